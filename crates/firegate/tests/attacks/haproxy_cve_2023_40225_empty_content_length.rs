//! CVE-2023-40225 (HAProxy): an empty `Content-Length` was forwarded, and read behind as none or as zero.

use crate::frames::{Connection, END_HEADERS, END_STREAM, HEADERS, frame, others_are_served, request};
use crate::wire::{SMUGGLED, Wire, post};

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_length_is_no_length() {
    let wire = Wire::open().await;
    for lines in
        ["Content-Length:\r\n", "Content-Length: \t \r\n", "Content-Length:\r\nContent-Length: 3\r\n"]
    {
        wire.refuses(post(lines, &format!("abc{SMUGGLED}"))).await;
    }
    wire.admits(post("Connection: close\r\nContent-Length: 0\r\n", "")).await;
    wire.close().await;
}

/// Over HTTP/2 a length frames nothing, and is forwarded all the same.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_length_over_http2_is_none_either() {
    let wire = Wire::open().await;
    let mut connection = Connection::open(&wire).await;
    for (stream, method, flags) in [(1, "GET", END_HEADERS | END_STREAM), (3, "POST", END_HEADERS)] {
        let block = request(method, "/attack", &[("content-length", "")]);
        connection.write(&frame(HEADERS, flags, stream, &block)).await;
        assert_eq!(connection.status(stream).await, Some(400), "{method}: {}", wire.origin.received());
    }
    assert_eq!(wire.origin.received(), "");
    others_are_served(&wire).await;
    drop(connection);
    wire.close().await;
}
