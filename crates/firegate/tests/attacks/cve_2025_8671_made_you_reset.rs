//! CVE-2025-8671 (MadeYouReset): frames that are wrong make the server reset streams by itself, which no count of the client's
//! resets sees.

use firegate_proxy::limits::HTTP2_LOCAL_RESETS_MAX;

use crate::frames::{
    Connection, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, RST_STREAM, WINDOW_UPDATE, frame,
    others_are_served, request,
};
use crate::wire::Wire;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_its_streams_reset_is_sent_away() {
    let wire = Wire::open().await;
    let block = request("GET", "/attack", &[]);
    // A window that overflows is an error of its stream alone.
    let reset = |number: usize| {
        let stream = 2 * u32::try_from(number).expect("a stream") + 1;
        let overflow = frame(WINDOW_UPDATE, 0, stream, &0x7fff_ffff_u32.to_be_bytes());
        [frame(HEADERS, END_HEADERS | END_STREAM, stream, &block), overflow].concat()
    };
    let mut connection = Connection::open(&wire).await;
    connection.write(&(0..HTTP2_LOCAL_RESETS_MAX).flat_map(reset).collect::<Vec<_>>()).await;
    for _ in 0..HTTP2_LOCAL_RESETS_MAX {
        while connection.read().await.expect("a frame").kind != RST_STREAM {}
    }
    connection.write(&frame(HEADERS, END_HEADERS | END_STREAM, 9_999, &block)).await;
    assert_eq!(connection.status(9_999).await, Some(200), "a load balancer's connection serves many clients");
    drop(connection);
    let mut connection = Connection::open(&wire).await;
    connection.write(&(0..2 * HTTP2_LOCAL_RESETS_MAX).flat_map(reset).collect::<Vec<_>>()).await;
    assert_eq!(connection.goodbye().await, Some(ENHANCE_YOUR_CALM));
    others_are_served(&wire).await;
    drop(connection);
    wire.close().await;
}
