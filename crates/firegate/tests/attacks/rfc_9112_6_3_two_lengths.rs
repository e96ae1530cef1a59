//! CL.TE and TE.CL (Watchfire 2005, James Kettle 2019; pingora #945): a request with both lengths, of which the next reader
//! takes the other one. hyper removes `Content-Length` and says nothing.

use crate::wire::{SMUGGLED, Wire, post};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_both_is_refused_in_either_order() {
    let wire = Wire::open().await;
    let body = format!("0\r\n\r\n{SMUGGLED}");
    let length = format!("Content-Length: {}\r\n", body.len());
    let chunked = "Transfer-Encoding: chunked\r\n";
    wire.refuses(post(&format!("{length}{chunked}"), &body)).await;
    wire.refuses(post(&format!("{chunked}{length}"), &body)).await;
    wire.refuses(post(&format!("{chunked}X: y\r\n{length}"), &body)).await;
    wire.refuses(post(&format!("{chunked}Content-Length: garbage\r\n"), &body)).await;
    wire.refuses(post(&format!("content-length: 0\r\n{chunked}"), &body)).await;
    wire.refuses(post(&format!("CONTENT-LENGTH: 4\r\n{chunked}"), "5c\r\nGPOST / HTTP/1.1\r\n\r\n")).await;

    let seen = wire.admits(post("Connection: close\r\nContent-Length: 5\r\n", "hello")).await;
    assert!(seen.contains("\r\ncontent-length: 5\r\n") && seen.ends_with("\r\n\r\nhello"), "{seen}");
    let seen = wire.admits(post(&format!("Connection: close\r\n{chunked}"), "5\r\nhello\r\n0\r\n\r\n")).await;
    assert!(seen.ends_with("\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), "{seen}");
    wire.close().await;
}
