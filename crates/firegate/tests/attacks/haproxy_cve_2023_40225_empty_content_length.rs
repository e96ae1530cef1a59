//! CVE-2023-40225 (HAProxy): an empty `Content-Length` was forwarded, and read behind as none or as zero.

use crate::wire::{SMUGGLED, Wire, post};

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_length_is_no_length() {
    let wire = Wire::open().await;
    for lines in
        ["Content-Length:\r\n", "Content-Length: \t \r\n", "Content-Length:\r\nContent-Length: 3\r\n"]
    {
        wire.refuses(post(lines, &format!("abc{SMUGGLED}"))).await;
    }
    wire.admits(post("Connection: close\r\nContent-Length: 0\r\n", "")).await;
    wire.close().await;
}
