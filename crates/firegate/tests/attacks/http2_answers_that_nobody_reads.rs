//! A client of HTTP/2 with a window without room: the answer's body cannot go, and every one that is kept takes a place among
//! the requests of all. Refusals take one too, so that nobody has to be signed in for it.

use crate::frames::{Connection, END_HEADERS, END_STREAM, HEADERS, frame, others_are_served, request};
use crate::wire::{PATIENCE, Wire};

/// `SETTINGS_INITIAL_WINDOW_SIZE` (RFC 9113, section 6.5.2), and no room.
const NO_WINDOW: [u8; 6] = [0, 4, 0, 0, 0, 0];

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_answers_untouched_is_cut_off() {
    let wire = Wire::open().await;
    let mut connection = Connection::open_with(&wire, &NO_WINDOW).await;
    for stream in [1, 3, 5] {
        let block = request("GET", "/.well-known/firegate/nothing", &[]);
        connection.write(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)).await;
        assert_eq!(connection.status(stream).await, Some(404));
    }
    others_are_served(&wire).await;
    // It answers pings, so that nothing but what it holds speaks against it.
    let ended = tokio::time::timeout(PATIENCE, connection.answers_pings_until_the_end()).await;
    ended.expect("the connection is cut");
    others_are_served(&wire).await;
    wire.close().await;
}
