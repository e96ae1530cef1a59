//! CVE-2023-25725 (HAProxy): a header without a name ended the list of headers too early, and those behind it were lost.

use crate::wire::{SMUGGLED, Wire, post};

#[tokio::test(flavor = "multi_thread")]
async fn a_header_without_a_name_ends_nothing() {
    let wire = Wire::open().await;
    for lines in [
        ":\r\nContent-Length: 40\r\n",
        ": x\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 3\r\n:x\r\n",
        "\0: x\r\nContent-Length: 40\r\n",
    ] {
        wire.refuses(post(lines, &format!("abc{SMUGGLED}"))).await;
    }
    wire.admits(post("Connection: close\r\nX:\r\n", "")).await;
    wire.close().await;
}
