//! CVE-2026-42274 and its follow-up, CVE-2021-29492, CVE-2025-66490: escapes that the proxy and the service read
//! differently.

use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn an_escape_is_read_in_one_way_or_refused() {
    let site = Site::open().await;
    let send = async |path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n");
        site.send_raw(request.as_bytes()).await
    };
    for path in [
        "/public/%2e%2e/admin/users",
        "/public/%2E./admin/users",
        "/public/..\\admin\\users",
        "/%61dmin/users",
    ] {
        let answer = send(path).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{path}: {answer}");
    }
    for path in [
        "/public/..%2fadmin/users",
        "/public/..%5cadmin/users",
        "/public/%252e%252e/admin/users",
        "/public/%c0%ae%c0%ae/admin/users",
        "/public/%f8%80%80%80%ae%f8%80%80%80%ae/admin/users",
        "/public/%FC%80%80%80%80%ae/admin/users",
        "/public/%25c0%25ae%25c0%25ae/admin/users",
        "/public/%25e0%2580%25ae/admin/users",
        "/public/..%253b/admin/users",
        "/public/a%00b",
        "/public/a%0d%0aX-Injected:%201",
        "/public/%zz",
        "/public/..;/admin/users",
    ] {
        let answer = send(path).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
    }
    site.close().await;
}
