//! Request lines that servers read in ways of their own: HTTP/0.9, other versions, more spaces than two, and targets that
//! are neither a path nor a URL.

use crate::wire::Wire;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_line_has_one_form() {
    let wire = Wire::open().await;
    for line in [
        "GET /attack",
        "GET",
        "GET /attack HTTP/0.9",
        "GET /attack HTTP/1.2",
        "GET /attack HTTP/2.0",
        "GET /attack HTTP/1.10",
        "GET /attack HTTP/1",
        "GET /attack http/1.1",
        "GET  /attack HTTP/1.1",
        "GET /attack  HTTP/1.1",
        "GET /attack HTTP/1.1 ",
        " GET /attack HTTP/1.1",
        "GET /attack /smuggled HTTP/1.1",
        "GET attack HTTP/1.1",
        "GET * HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET door:80 HTTP/1.1",
        "GET ftp://door/attack HTTP/1.1",
        "GET //[ HTTP/1.1/",
        "CONNECT door:443 HTTP/1.1",
        "G\"T /attack HTTP/1.1",
        "UNREAD /attack HTTP/1.1",
    ] {
        wire.refuses(format!("{line}\r\nHost: door\r\n\r\n")).await;
    }
    wire.admits("GET http://door/ HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n").await;
    wire.close().await;
}

/// RFC 9112, section 3.2: a request without Host is refused, and a URL as its target says nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_url_as_target_needs_a_host_too() {
    let wire = Wire::open().await;
    wire.refuses("GET http://door/attack HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned()).await;
    wire.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_is_told_so() {
    let wire = Wire::open().await;
    let long = "a".repeat(64 * 1024);
    // The first is too long as a line, the second as a path that would have to be matched.
    for long in [&*long, &long[..9 * 1024]] {
        let head = format!("GET /{long} HTTP/1.1\r\nHost: door\r\n\r\n");
        wire.refuses_with(head, 414, "REQUEST_TARGET_TOO_LONG").await;
    }
    let head = |lines: &str| format!("GET /attack HTTP/1.1\r\nHost: door\r\n{lines}\r\n");
    wire.refuses_with(head(&format!("X: {long}\r\n")), 431, "REQUEST_HEAD_TOO_LARGE").await;
    wire.refuses_with(head(&"X: y\r\n".repeat(100)), 431, "REQUEST_HEAD_TOO_LARGE").await;
    let many = format!("{}Connection: close\r\n", "X: y\r\n".repeat(98));
    wire.admits(head(&many)).await;
    wire.close().await;
}
