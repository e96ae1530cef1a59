//! CVE-2023-44487: streams that are opened and reset at once are no longer counted, and each has begun work.

use crate::frames::{
    Connection, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, RST_STREAM, frame, others_are_served,
    request,
};
use crate::wire::Wire;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_resets_what_it_opens_is_sent_away() {
    let wire = Wire::open().await;
    let mut connection = Connection::open(&wire).await;
    let block = request("GET", "/attack", &[]);
    let flood = (0..20_000_u32).flat_map(|index| {
        let stream = 2 * index + 1;
        [
            frame(HEADERS, END_HEADERS | END_STREAM, stream, &block),
            frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()),
        ]
    });
    connection.write(&flood.flatten().collect::<Vec<_>>()).await;
    assert_eq!(connection.goodbye().await, Some(ENHANCE_YOUR_CALM));
    others_are_served(&wire).await;
    wire.close().await;
}
