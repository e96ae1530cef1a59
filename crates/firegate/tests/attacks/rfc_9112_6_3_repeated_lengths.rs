//! Several lengths, or one that is no plain number: of two lengths hyper keeps the first if they are alike, other servers
//! take the last, or the sum of nothing.

use crate::wire::{SMUGGLED, Wire, post};

#[tokio::test(flavor = "multi_thread")]
async fn a_body_has_one_length_in_one_spelling() {
    let wire = Wire::open().await;
    for lines in [
        "Content-Length: 3\r\nContent-Length: 3\r\n",
        "Content-Length: 3\r\nContent-Length: 40\r\n",
        "Content-Length: 0\r\ncontent-length: 40\r\n",
        "Content-Length: 3, 3\r\n",
        "Content-Length: 3,40\r\n",
        "Content-Length: +3\r\n",
        "Content-Length: -3\r\n",
        "Content-Length: 03\r\n",
        "Content-Length: 0x3\r\n",
        "Content-Length: 3 \t 0\r\n",
        "Content-Length: 18446744073709551619\r\n",
        "Content-Length: 99999999999999999999999\r\n",
    ] {
        wire.refuses(post(lines, &format!("abc{SMUGGLED}"))).await;
    }
    wire.admits(post("Connection: close\r\nContent-Length: 3\r\n", "abc")).await;
    wire.close().await;
}
