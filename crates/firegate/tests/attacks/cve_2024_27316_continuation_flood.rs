//! CVE-2024-27316 and its relatives: a header block that goes on in CONTINUATION frames without an end.

use crate::frames::{
    CONTINUATION, Connection, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, block, frame, others_are_served,
    request,
};
use crate::wire::Wire;

#[tokio::test(flavor = "multi_thread")]
async fn a_header_block_ends() {
    let wire = Wire::open().await;
    for piece in [block(&[]), block(&[("x", "y")]), block(&[("x", &"y".repeat(16_000))])] {
        let mut connection = Connection::open(&wire).await;
        let mut flood = frame(HEADERS, END_STREAM, 1, &request("GET", "/attack", &[]));
        for _ in 0..1_000 {
            flood.extend(frame(CONTINUATION, 0, 1, &piece));
        }
        connection.write(&flood).await;
        assert_eq!(connection.goodbye().await, Some(ENHANCE_YOUR_CALM));
    }
    assert_eq!(wire.origin.received(), "");
    others_are_served(&wire).await;
    wire.close().await;
}
