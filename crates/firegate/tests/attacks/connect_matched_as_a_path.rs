//! CONNECT: matched by the path of its target and forwarded by its authority.

use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn connect_is_not_forwarded() {
    let site = Site::open().await;
    for target in ["/public/x", "http://door/public/x", "door:80"] {
        let request = format!("CONNECT {target} HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n");
        let answer = site.send_raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{target}: {answer}");
    }
    site.close().await;
}
