//! CVE-2026-2833 and CVE-2025-64763: bytes that followed an upgrade request were forwarded before the service had agreed
//! to switch, and read there as a second request that nobody had judged.

use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn a_second_request_behind_a_refused_upgrade_is_judged_for_itself() {
    let site = Site::open().await;
    let request = "GET /public/a HTTP/1.1\r\nHost: door\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\
                   GET /admin/users HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n";
    let answer = site.send_raw(request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "the sample does not switch: {answer}");
    assert!(!answer.contains("/admin/users"), "the second request reached the service: {answer}");
    assert!(answer.contains("HTTP/1.1 401 ") || answer.matches("HTTP/1.1 ").count() == 1, "{answer}");
    let unasked = "GET /public/a HTTP/1.1\r\nHost: door\r\nUpgrade: websocket\r\nConnection: close\r\n\r\n";
    let answer = site.send_raw(unasked.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    site.close().await;
}
