//! Slowloris (2009): heads that never end. Each would hold a connection for as long as its client likes.

use firegate_proxy::limits::REQUEST_HEAD_TIMEOUT;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use crate::wire::{INNOCENT, Wire, rest};

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_does_not_end_is_refused_in_its_turn() {
    let wire = Wire::open().await;
    let mut stream = wire.connect().await;
    let begun = Instant::now();
    stream
        .write_all(format!("{INNOCENT}GET /attack HTTP/1.1\r\nHost: do").as_bytes())
        .await
        .expect("it is sent");
    let answers = rest(&mut stream).await;
    assert!(begun.elapsed() >= REQUEST_HEAD_TIMEOUT, "not before its time");
    assert!(answers.starts_with("HTTP/1.1 200 "), "{answers}");
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 2, "{answers}");
    assert!(answers.contains("HTTP/1.1 408 ") && answers.contains("REQUEST_HEAD_TIMED_OUT"), "{answers}");
    assert!(!wire.origin.received().contains("attack"));
    wire.close().await;
}
