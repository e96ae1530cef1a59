//! CVE-2024-45410: a header that the client names in `Connection` was deleted after the proxy had set it.

use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn connection_deletes_nothing_that_firegate_sets() {
    let site = Site::open().await;
    let request = format!(
        "GET /a HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer {}\r\nX-Own: 1\r\nConnection: close, X-Firegate-User-Id, \
         X-Firegate-Assertion, X-Forwarded-For, X-Forwarded-Proto, Host, X-Own\r\n\r\n",
        site.token()
    );
    let answer = site.send_raw(request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    for name in ["x-firegate-user-id", "x-firegate-assertion", "x-forwarded-for", "x-forwarded-proto", "host"]
    {
        assert!(answer.contains(&format!("\"{name}\":")), "{name} is gone: {answer}");
    }
    assert!(!answer.contains("\"x-own\":"), "what the client names of its own goes: {answer}");
    site.close().await;
}
