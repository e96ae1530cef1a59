//! GHSA-7rh7-c77v-6434 and GHSA-pxq7-h93f-9jrg: the query or the fragment was part of what a public route was matched by.

use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn only_the_path_chooses_the_route() {
    let site = Site::open().await;
    for path in ["/admin/users?/public/a", "/admin/users?x=/../../public/", "/admin/users?#/public/a"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n");
        let answer = site.send_raw(request.as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 401 ") || answer.starts_with("HTTP/1.1 400 "),
            "{path}: {answer}"
        );
    }
    site.close().await;
}
