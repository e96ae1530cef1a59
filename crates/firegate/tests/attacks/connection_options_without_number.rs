//! A `Connection` that names thousands of headers: each is looked for among each of the request's, so that one head of 64 KiB
//! costs what a hundred usual ones do.

use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_header_names_no_more_than_a_head_has_fields() {
    let site = Site::open().await;
    let send = async |fields: &[String]| {
        let lines = fields.iter().map(|value| format!("Connection: {value}\r\n")).collect::<String>();
        let request = format!("GET /public/a HTTP/1.1\r\nHost: door\r\n{lines}\r\n");
        site.send_raw(request.as_bytes()).await
    };
    let names = |count: usize| vec!["x"; count].join(",");
    let passed = send(&[format!("close,{}", names(99))]).await;
    assert!(passed.starts_with("HTTP/1.1 200 "), "{passed}");
    for fields in [
        vec![format!("close,{}", names(100))],
        vec!["close".to_owned(), names(60), names(60)],
        vec![format!("close,{}", names(30_000))],
        vec![format!("close{}", ",".repeat(30_000))],
    ] {
        let refused = send(&fields).await;
        assert!(refused.starts_with("HTTP/1.1 400 "), "{refused}");
        assert!(refused.contains("REQUEST_MALFORMED"), "{refused}");
    }
    site.close().await;
}
