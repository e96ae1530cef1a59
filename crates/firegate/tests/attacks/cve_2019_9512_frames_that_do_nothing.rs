//! CVE-2019-9512 (PING), -9515 (SETTINGS), -9518 (empty frames), -9513 (PRIORITY), -9517 and their relatives: frames that cost
//! a client nothing, and that are answered or looked at without an end.

use crate::frames::{
    Connection, DATA, END_HEADERS, ENHANCE_YOUR_CALM, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, frame, others_are_served, request,
};
use crate::wire::Wire;

/// More than any client has to send of them, and less than would take long.
const MANY: usize = 20_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_nothing_but_such_frames_is_sent_away() {
    let wire = Wire::open().await;
    let open = frame(HEADERS, END_HEADERS, 1, &request("POST", "/attack", &[]));
    for (name, piece) in [
        ("PING", frame(PING, 0, 0, &[0; 8])),
        ("an answer to no PING", frame(PING, 1, 0, &[0; 8])),
        ("SETTINGS", frame(SETTINGS, 0, 0, &[])),
        ("SETTINGS that change", frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0])),
        ("PRIORITY", frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 16])),
        ("empty DATA", frame(DATA, 0, 1, &[])),
        ("padded DATA", frame(DATA, 8, 1, &[0])),
        ("WINDOW_UPDATE of the connection", frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes())),
        ("WINDOW_UPDATE of a stream", frame(WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes())),
        ("RST_STREAM", frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes())),
        ("an unknown type", frame(0xfe, 0, 0, b"grease")),
    ] {
        let mut connection = Connection::open(&wire).await;
        connection.write(&[&open[..], &piece.repeat(MANY)].concat()).await;
        assert_eq!(connection.goodbye().await, Some(ENHANCE_YOUR_CALM), "{name}");
    }
    others_are_served(&wire).await;
    wire.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_as_a_client_needs_are_fine() {
    let wire = Wire::open().await;
    let mut connection = Connection::open(&wire).await;
    connection.write(&frame(PING, 0, 0, &[0; 8]).repeat(500)).await;
    connection.write(&frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()).repeat(500)).await;
    connection.write(&frame(HEADERS, END_HEADERS | 1, 1, &request("GET", "/a", &[]))).await;
    assert_eq!(connection.status(1).await, Some(200));
    drop(connection);
    wire.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_begins_with_settings() {
    let wire = Wire::open().await;
    let mut stream = wire.connect().await;
    let begin = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(PING, 0, 0, &[0; 8])[..]].concat();
    tokio::io::AsyncWriteExt::write_all(&mut stream, &begin).await.expect("it is sent");
    crate::wire::rest(&mut stream).await;
    let mut stream = wire.connect().await;
    tokio::io::AsyncWriteExt::write_all(&mut stream, &begin[..24]).await.expect("it is sent");
    crate::wire::rest(&mut stream).await;
    wire.close().await;
}
