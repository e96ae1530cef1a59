//! Lines that end otherwise than with CRLF, empty lines before a request, and control characters: each is skipped by one server
//! and read by another. hyper takes a bare LF for a line's end, and skips empty lines.

use crate::wire::{SMUGGLED, Wire, post};

#[tokio::test(flavor = "multi_thread")]
async fn lines_end_with_crlf_and_hold_no_control_character() {
    let wire = Wire::open().await;
    for request in [
        "\r\nGET /attack HTTP/1.1\r\nHost: door\r\n\r\n",
        "\nGET /attack HTTP/1.1\r\nHost: door\r\n\r\n",
        "\r\rGET /attack HTTP/1.1\r\nHost: door\r\n\r\n",
        "GET /attack HTTP/1.1\nHost: door\n\n",
        "GET /attack HTTP/1.1\r\nHost: door\n\r\n",
        "GET /attack HTTP/1.1\r\nHost: door\r\n\n",
        "GET /attack HTTP/1.1\rHost: door\r\r",
        "GET /att\0ack HTTP/1.1\r\nHost: door\r\n\r\n",
        "GET /attack\tHTTP/1.1\r\nHost: door\r\n\r\n",
        "GET /attack HTTP/1.1\r\nHost: door\0\r\n\r\n",
        "GET /attack HTTP/1.1\r\nHost: door\x0b\r\n\r\n",
        "GET /attack HTTP/1.1\r\nHost: door\r\nX: \x7f\r\n\r\n",
        "GET /attack HTTP/1.1\r\nHost: door\r\nX: y\r\r\n\r\n",
    ] {
        wire.refuses(request).await;
    }
    let body = format!("abc{SMUGGLED}");
    wire.refuses(post("X: y\nContent-Length: 3\r\n", &body)).await;
    wire.refuses(post("X: y\rContent-Length: 3\r\n", &body)).await;
    wire.refuses(post("Content-Length: 3\n", &body)).await;
    // A request whose body is followed by an empty line, as old browsers sent it.
    let old = post("Content-Length: 3\r\n", "abc\r\n").into_bytes();
    let answers = wire.send([&old[..], SMUGGLED.as_bytes()].concat()).await;
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 2, "{answers}");
    assert!(answers.contains("HTTP/1.1 400 ") && !wire.origin.received().contains("smuggled"), "{answers}");
    wire.admits("GET / HTTP/1.1\r\nHost: door\r\nX:\ty\tz \r\nConnection: close\r\n\r\n").await;
    wire.close().await;
}
