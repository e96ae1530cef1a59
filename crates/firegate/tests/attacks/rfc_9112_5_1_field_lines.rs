//! White space in or behind a header's name, and headers that go on in the next line (obs-fold): who trims it and who does
//! not disagree about the name.

use crate::wire::{SMUGGLED, Wire, post};

#[tokio::test(flavor = "multi_thread")]
async fn names_are_tokens_and_lines_are_not_folded() {
    let wire = Wire::open().await;
    for lines in [
        "Content-Length : 3\r\n",
        "Content-Length\t: 3\r\n",
        "Content Length: 3\r\n",
        " Content-Length: 3\r\n",
        "X: y\r\n Content-Length: 3\r\n",
        "X: y\r\n\tContent-Length: 3\r\n",
        "X:\r\n y\r\nContent-Length: 3\r\n",
        "Content-Length\r\n",
        "Content-Length\u{a0}: 3\r\n",
        "(Content-Length): 3\r\n",
        "Content-Length;: 3\r\n",
    ] {
        wire.refuses(post(lines, &format!("abc{SMUGGLED}"))).await;
    }
    wire.refuses("GET /attack HTTP/1.1\r\n Host: door\r\n\r\n").await;
    wire.admits(post("Connection: close\r\nContent-Length:3\r\n", "abc")).await;
    wire.close().await;
}
