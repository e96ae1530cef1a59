//! HTTP/2 that becomes HTTP/1 on the way (James Kettle, 2021: H2.CL, H2.TE, and headers with line ends in them): what frames
//! a request of HTTP/1 has no meaning in HTTP/2, and would have one behind the door.

use crate::frames::{Connection, DATA, END_HEADERS, END_STREAM, HEADERS, frame, others_are_served, request};
use crate::wire::{SMUGGLED, Wire};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_http_1_comes_in_by_http_2() {
    let wire = Wire::open().await;
    for fields in [
        ("transfer-encoding", "chunked"),
        ("connection", "keep-alive"),
        ("connection", "x-forwarded-for"),
        ("keep-alive", "1"),
        ("proxy-connection", "close"),
        ("upgrade", "websocket"),
        ("te", "chunked"),
        ("te", "trailers, chunked"),
        ("Transfer-Encoding", "chunked"),
        ("X-Upper", "a"),
        ("transfer_encoding", "chunked"),
        ("x y", "a"),
        ("x:y", "a"),
        (":x", "a"),
        ("", "a"),
        ("x\r\nsmuggled", "a"),
        ("x: a\r\nsmuggled", "a"),
        ("x", "a\r\nsmuggled: b"),
        ("x", "a\nsmuggled: b"),
        ("x", "a\0"),
        ("content-length", "3"),
        ("content-length", "x"),
        ("content-length", "+5"),
        ("content-length", "5, 5"),
        ("host", "other"),
        ("host", "door:80"),
        (":path", "/other"),
        (":authority", "other"),
    ] {
        let mut connection = Connection::open(&wire).await;
        connection.write(&frame(HEADERS, END_HEADERS, 1, &request("POST", "/attack", &[fields]))).await;
        connection.write(&frame(DATA, END_STREAM, 1, SMUGGLED.as_bytes())).await;
        let status = connection.status(1).await;
        assert!(matches!(status, None | Some(400)), "{fields:?}: {status:?}");
        let received = wire.origin.received();
        assert!(
            !received.contains("smuggled HTTP/1.1") || !received.contains("content-length: 3"),
            "{fields:?}: {received}"
        );
    }
    others_are_served(&wire).await;
    wire.close().await;
}

/// RFC 9110, section 8.6: hyper takes two equal lengths for one, and who joins them forwards `5, 5`.
#[tokio::test(flavor = "multi_thread")]
async fn a_length_is_said_once() {
    let wire = Wire::open().await;
    let length = SMUGGLED.len().to_string();
    let twice = [("content-length", length.as_str()), ("content-length", length.as_str())];
    let mut connection = Connection::open(&wire).await;
    connection.write(&frame(HEADERS, END_HEADERS, 1, &request("POST", "/attack", &twice))).await;
    connection.write(&frame(DATA, END_STREAM, 1, SMUGGLED.as_bytes())).await;
    let status = connection.status(1).await;
    assert!(matches!(status, None | Some(400)), "{status:?}");
    assert_eq!(wire.origin.received(), "");
    others_are_served(&wire).await;
    drop(connection);
    wire.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pseudo_headers_cannot_write_lines() {
    let wire = Wire::open().await;
    for (method, path) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET", "/a"),
        ("GE T", "/a"),
        ("", "/a"),
        ("GET", "/a HTTP/1.1\r\nX: y"),
        ("GET", "/a b"),
        ("GET", "a"),
        ("GET", ""),
        ("GET", "http://other/"),
        ("GET", "/a\r\n"),
        ("GET", "/\0"),
    ] {
        let mut connection = Connection::open(&wire).await;
        connection.write(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &request(method, path, &[]))).await;
        let status = connection.status(1).await;
        assert!(matches!(status, None | Some(400)), "{method:?} {path:?}: {status:?}");
        assert_eq!(wire.origin.received(), "", "{method:?} {path:?}");
    }
    wire.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fragment_is_gone_before_a_path_is_matched_or_forwarded() {
    let wire = Wire::open().await;
    let mut connection = Connection::open(&wire).await;
    connection
        .write(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("GET", "/a#/../admin", &[])))
        .await;
    if connection.status(1).await == Some(200) {
        let received = wire.origin.received();
        assert!(received.starts_with("GET /a HTTP/1.1\r\n"), "{received}");
    }
    drop(connection);
    wire.close().await;
}
