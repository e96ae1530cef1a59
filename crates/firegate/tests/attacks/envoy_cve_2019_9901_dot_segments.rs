//! CVE-2019-9901 (and GHSA-p224-6x5r-fjpm of Oathkeeper): `/public/../admin` was matched as public and forwarded as admin.

use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_matched_is_what_is_forwarded() {
    let site = Site::open().await;
    for path in
        ["/public/../admin/users", "/public/./../admin/users", "/public//../admin/users", "/x/../admin/users"]
    {
        let request = format!("GET {path} HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n");
        let answer = site.send_raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{path}: {answer}");
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
            site.token()
        );
        let answer = site.send_raw(request.as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 403 ") && answer.contains("NO_INVOKER_BINDING"),
            "{path}: {answer}"
        );
    }
    let request = "GET /admin/../public/a HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n";
    let answer = site.send_raw(request.as_bytes()).await;
    assert!(answer.contains("\"path\": \"/public/a\""), "{answer}");
    site.close().await;
}
