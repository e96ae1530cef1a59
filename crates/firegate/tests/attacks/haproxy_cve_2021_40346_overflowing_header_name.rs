//! CVE-2021-40346 (HAProxy): the length of a header's name overflowed a byte, and `Content-Length` behind it was read as
//! another header than the one that was forwarded.

use crate::wire::{Wire, post};

#[tokio::test(flavor = "multi_thread")]
async fn a_long_name_is_no_other_name() {
    let wire = Wire::open().await;
    for extra in [241, 242, 256 - 14, 512 - 14, 60_000] {
        let name = format!("Content-Length0{}", "a".repeat(extra));
        let seen =
            wire.admits(post(&format!("Connection: close\r\n{name}:\r\nContent-Length: 3\r\n"), "abc")).await;
        let lengths = seen.to_ascii_lowercase().matches("\r\ncontent-length: ").count();
        assert_eq!(lengths, 1, "{extra}: {seen}");
        assert!(
            seen.contains("\r\ncontent-length: 3\r\n") && seen.ends_with("\r\n\r\nabc"),
            "{extra}: {seen}"
        );
    }
    wire.close().await;
}
