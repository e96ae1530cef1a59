//! CVE-2021-32779 (Envoy): `/public#/../admin` was matched with its fragment, and forwarded or read without it. hyper drops
//! fragments before anybody can see them.

use crate::wire::Wire;

#[tokio::test(flavor = "multi_thread")]
async fn a_target_with_a_fragment_is_refused() {
    let wire = Wire::open().await;
    for target in ["/attack#", "/attack#/admin", "/#?a", "/attack?a#b", "http://door/attack#b", "#"] {
        wire.refuses(format!("GET {target} HTTP/1.1\r\nHost: door\r\n\r\n")).await;
    }
    let seen = wire.admits("GET /a%23b HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n").await;
    assert!(seen.starts_with("GET /a%23b HTTP/1.1\r\n"), "{seen}");
    wire.close().await;
}
