//! CVE-2025-8671 (MadeYouReset): frames that are wrong make the server reset streams by itself, which no count of the client's
//! resets sees.

use crate::frames::{
    Connection, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, WINDOW_UPDATE, frame, others_are_served,
    request,
};
use crate::wire::Wire;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_its_streams_reset_is_sent_away() {
    let wire = Wire::open().await;
    let mut connection = Connection::open(&wire).await;
    let block = request("GET", "/attack", &[]);
    // A window that overflows is an error of its stream alone.
    let flood = (0..2_000_u32).flat_map(|index| {
        let stream = 2 * index + 1;
        let overflow = frame(WINDOW_UPDATE, 0, stream, &0x7fff_ffff_u32.to_be_bytes());
        [frame(HEADERS, END_HEADERS | END_STREAM, stream, &block), overflow]
    });
    connection.write(&flood.flatten().collect::<Vec<_>>()).await;
    assert_eq!(connection.goodbye().await, Some(ENHANCE_YOUR_CALM));
    others_are_served(&wire).await;
    wire.close().await;
}
