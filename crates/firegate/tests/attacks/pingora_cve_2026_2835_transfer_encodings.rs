//! CVE-2026-2835 (pingora): requests of HTTP/1.0 with a `Transfer-Encoding`, and codings in many spellings, were framed
//! otherwise than by the service behind. Exactly `chunked`, once, is a coding here.

use crate::wire::{SMUGGLED, Wire, post};

#[tokio::test(flavor = "multi_thread")]
async fn chunked_is_the_one_coding() {
    let wire = Wire::open().await;
    let body = format!("0\r\n\r\n{SMUGGLED}");
    for lines in [
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: ,chunked\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding\t: chunked\r\n",
        " Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "X: y\nTransfer-Encoding: chunked\r\n",
        "X: y\rTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
    ] {
        wire.refuses(post(lines, &body)).await;
    }
    let old = post("Transfer-Encoding: chunked\r\n", &body).replace("HTTP/1.1\r\nHost", "HTTP/1.0\r\nHost");
    assert!(old.starts_with("POST /attack HTTP/1.0\r\n"), "{old}");
    wire.refuses(old.replace(SMUGGLED, "")).await;
    wire.admits(post("Connection: close\r\nTransfer-Encoding: \tCHUNKED \r\n", "0\r\n\r\n")).await;
    wire.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_only_looks_like_it_is_refused_too() {
    let wire = Wire::open().await;
    for name in ["Transfer_Encoding", "Transfer.Encoding", "Content_Length", "content.length"] {
        wire.refuses(post(&format!("{name}: chunked\r\n"), "")).await;
    }
    wire.close().await;
}
