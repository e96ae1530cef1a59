//! CVE-2016-6581 (HPACK bomb): one large field in the table, and thousands of one-byte references to it, become gigabytes
//! of headers.

use crate::frames::{
    CONTINUATION, Connection, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, frame, integer,
    others_are_served, request,
};
use crate::wire::Wire;

#[tokio::test(flavor = "multi_thread")]
async fn headers_are_bounded_as_they_are_unpacked() {
    let wire = Wire::open().await;
    let mut bomb = request("GET", "/attack", &[]);
    // A literal that is indexed: 4000 bytes, which the table of 4096 just holds.
    bomb.push(0x40);
    integer(&mut bomb, 7, 0, 1);
    bomb.push(b'x');
    integer(&mut bomb, 7, 0, 4000);
    bomb.extend([b'y'; 4000]);
    // The first entry of the table is the static table's 61 and one.
    bomb.extend([0x80 | 62; 30_000]);
    let mut pieces = bomb.chunks(16_000).peekable();
    let mut bytes = frame(HEADERS, END_STREAM, 1, pieces.next().expect("a piece"));
    while let Some(piece) = pieces.next() {
        bytes.extend(frame(CONTINUATION, if pieces.peek().is_none() { END_HEADERS } else { 0 }, 1, piece));
    }
    let mut connection = Connection::open(&wire).await;
    connection.write(&bytes).await;
    assert_eq!(connection.goodbye().await, Some(ENHANCE_YOUR_CALM));
    assert_eq!(wire.origin.received(), "");

    // Within what is told to leave, but more than is read: 431.
    drop(connection);
    let mut connection = Connection::open(&wire).await;
    let fields =
        ["z".repeat(15_000), "z".repeat(15_000), "z".repeat(15_000), "z".repeat(15_000), "z".repeat(15_000)];
    let mut bytes = frame(HEADERS, END_STREAM, 1, &request("GET", "/attack", &[]));
    for (index, value) in fields.iter().enumerate() {
        let block = crate::frames::block(&[("x", value)]);
        bytes.extend(frame(CONTINUATION, if index == 4 { END_HEADERS } else { 0 }, 1, &block));
    }
    connection.write(&bytes).await;
    assert_eq!(connection.status(1).await, Some(431));
    assert_eq!(wire.origin.received(), "");

    // And more fields than are read.
    drop(connection);
    let mut connection = Connection::open(&wire).await;
    let many = vec![("x", "y"); 101];
    connection.write(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("GET", "/attack", &many))).await;
    assert_eq!(connection.status(1).await, Some(431));
    assert_eq!(wire.origin.received(), "");
    others_are_served(&wire).await;
    drop(connection);
    wire.close().await;
}
