//! What one connection over HTTP/2 may hold of the door: it is told in the settings (RFC 9113, section 6.5.2), and clients that
//! do not care are held to it.

use std::collections::BTreeMap;

use firegate_proxy::limits::{
    HTTP2_CONNECTION_WINDOW_BYTES, HTTP2_HEADER_TABLE_BYTES_MAX, HTTP2_PENDING_RESETS_MAX,
    HTTP2_STREAM_WINDOW_BYTES, HTTP2_STREAMS_MAX, REQUEST_HEAD_BYTES_MAX,
};

use crate::frames::{
    CONTINUATION, Connection, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, PING, RST_STREAM,
    SETTINGS, WINDOW_UPDATE, block, frame, others_are_served, request,
};
use crate::wire::Wire;

/// `SETTINGS_INITIAL_WINDOW_SIZE`, and no room: answers with a body stay open.
const NO_WINDOW: [u8; 6] = [0, 4, 0, 0, 0, 0];

/// The error code of RFC 9113, section 7.
const REFUSED_STREAM: u8 = 0x7;

/// What a connection has before its first WINDOW_UPDATE (RFC 9113, section 6.9.2), and a table before it is said (section
/// 6.5.2).
const WINDOW_BYTES: u32 = 65_535;
const HEADER_TABLE_BYTES: u32 = 4096;

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_told_what_it_may_hold() {
    let wire = Wire::open().await;
    let mut connection = Connection::open(&wire).await;
    let (mut settings, mut window) = (BTreeMap::new(), WINDOW_BYTES);
    while settings.is_empty() || window == WINDOW_BYTES {
        let frame = connection.read().await.expect("a frame");
        match frame.kind {
            SETTINGS => {
                settings.extend(frame.payload.chunks(6).map(|one| (number(&one[..2]), number(&one[2..]))));
            }
            WINDOW_UPDATE if frame.stream == 0 => window += number(&frame.payload),
            _ => {}
        }
    }
    let header_table = settings.remove(&1).unwrap_or(HEADER_TABLE_BYTES);
    assert_eq!(header_table, HTTP2_HEADER_TABLE_BYTES_MAX);
    assert_eq!(settings.get(&3), Some(&HTTP2_STREAMS_MAX));
    assert_eq!(settings.get(&4), Some(&HTTP2_STREAM_WINDOW_BYTES));
    assert_eq!(settings.get(&6), Some(&REQUEST_HEAD_BYTES_MAX));
    assert_eq!(window, HTTP2_CONNECTION_WINDOW_BYTES);
    drop(connection);
    wire.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_streams_are_open_than_may_be() {
    let wire = Wire::open().await;
    let mut connection = Connection::open_with(&wire, &NO_WINDOW).await;
    let open = |number: u32| {
        let block = request("GET", "/.well-known/firegate/nothing", &[]);
        frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, &block)
    };
    connection.write(&(0..HTTP2_STREAMS_MAX).flat_map(open).collect::<Vec<_>>()).await;
    let mut answered = 0;
    while answered < HTTP2_STREAMS_MAX {
        let frame = connection.read().await.expect("a frame");
        assert_ne!(frame.kind, RST_STREAM, "{answered}");
        answered += u32::from(frame.kind == HEADERS);
    }
    connection.write(&open(HTTP2_STREAMS_MAX)).await;
    let refused = loop {
        let frame = connection.read().await.expect("a frame");
        assert_ne!(frame.kind, HEADERS, "it is answered");
        if frame.kind == RST_STREAM {
            break frame;
        }
    };
    assert_eq!((refused.stream, refused.payload[3]), (2 * HTTP2_STREAMS_MAX + 1, REFUSED_STREAM));
    others_are_served(&wire).await;
    drop(connection);
    wire.close().await;
}

/// Streams that are opened and reset before anybody has looked at them, so many at once.
fn resets(count: usize) -> Vec<u8> {
    let block = request("GET", "/attack", &[]);
    let streams = (0..count).map(|number| 2 * u32::try_from(number).expect("a stream") + 1);
    let pairs = streams.flat_map(|stream| {
        [
            frame(HEADERS, END_HEADERS | END_STREAM, stream, &block),
            frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()),
        ]
    });
    pairs.flatten().collect()
}

/// The frames that do nothing are counted too, and more of them may come.
#[tokio::test(flavor = "multi_thread")]
async fn no_more_resets_wait_to_be_looked_at_than_may() {
    let wire = Wire::open().await;
    let mut connection = Connection::open(&wire).await;
    connection.write(&resets(HTTP2_PENDING_RESETS_MAX)).await;
    connection.write(&frame(HEADERS, END_HEADERS | END_STREAM, 9_999, &request("GET", "/a", &[]))).await;
    assert_eq!(connection.status(9_999).await, Some(200));
    drop(connection);
    let mut connection = Connection::open(&wire).await;
    connection.write(&resets(15 * HTTP2_PENDING_RESETS_MAX)).await;
    assert_eq!(connection.goodbye().await, Some(ENHANCE_YOUR_CALM));
    others_are_served(&wire).await;
    drop(connection);
    wire.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_may_be_as_large_as_over_http1() {
    let wire = Wire::open().await;
    let mut connection = Connection::open(&wire).await;
    let value = "y".repeat(15_000);
    let mut bytes = frame(HEADERS, END_STREAM, 1, &request("GET", "/large", &[]));
    for number in 1..=4 {
        let flags = if number == 4 { END_HEADERS } else { 0 };
        bytes.extend(frame(CONTINUATION, flags, 1, &block(&[("x", &value)])));
    }
    const { assert!(4 * 15_000 < REQUEST_HEAD_BYTES_MAX && REQUEST_HEAD_BYTES_MAX < 5 * 15_000) };
    connection.write(&bytes).await;
    assert_eq!(connection.status(1).await, Some(200));
    drop(connection);
    wire.close().await;
}

/// It is gone, and nobody has told the door's socket.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_answers_no_pings_is_closed() {
    let wire = Wire::open().await;
    let mut connection = Connection::open(&wire).await;
    // What is under way does not keep it: half of an upload.
    connection.write(&frame(HEADERS, END_HEADERS, 1, &request("POST", "/attack", &[]))).await;
    let mut pings = 0;
    while let Some(frame) = connection.read().await {
        pings += usize::from(frame.kind == PING);
    }
    assert_eq!(pings, 1);
    others_are_served(&wire).await;
    drop(connection);
    wire.close().await;
}
