//! Chunks whose size, extension or end servers read differently (TERM.EXT, EXT.TERM; sizes that overflow). By then the request
//! is on its way: it is broken off, so that the origin never sees its end.

use tokio::io::AsyncWriteExt;

use crate::stack::log;
use crate::wire::{SMUGGLED, Wire, post, rest};

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_body_is_never_completed() {
    let wire = Wire::open().await;
    for (index, body) in [
        "100000005\r\nhello\r\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFF5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5;\rb\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nX : y\r\n\r\n",
        "5\r\nhello\r\n0\r\nX: y\n\r\n",
        "5\r\nhello\r\n0\r\n\n",
        "\r\n5\r\nhello\r\n0\r\n\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        let mut stream = wire.connect().await;
        let before = wire.origin.received().len();
        // The head goes first, and alone: what is wrong comes when the request is under way.
        let head = post("Transfer-Encoding: chunked\r\n", "");
        stream.write_all(head.as_bytes()).await.expect("it is sent");
        let _ = stream.write_all(format!("{body}{SMUGGLED}").as_bytes()).await;
        let answers = rest(&mut stream).await;
        assert!(answers.starts_with("HTTP/1.1 400 "), "{body:?}: {answers}");
        assert!(answers.contains("x-firegate-reason: REQUEST_MALFORMED\r\n"), "{body:?}: {answers}");
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{body:?}: {answers}");
        wire.origin.ended(index + 1).await;
        let received = wire.origin.received()[before..].to_owned();
        assert!(!received.ends_with("0\r\n\r\n") && !received.contains("smuggled"), "{body:?}: {received}");
    }
    let body = "5;name=\"value\"\r\nhello\r\n0\r\nX: y\r\n\r\n";
    wire.admits(post("Connection: close\r\nTransfer-Encoding: chunked\r\n", body)).await;
    wire.close().await;
}

/// It is the client's fault and not its departure, and the operator who looks for smugglers finds it by that.
#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_body_is_not_told_of_as_a_client_that_left() {
    log::begin();
    let wire = Wire::open().await;
    let head = post("Transfer-Encoding: chunked\r\n", "").replace("POST /", "POST /malformed-chunks");
    let mut stream = wire.connect().await;
    stream.write_all(head.as_bytes()).await.expect("it is sent");
    stream.write_all(b"0x5\r\nhello\r\n0\r\n\r\n").await.expect("it is sent");
    let answers = rest(&mut stream).await;
    assert!(answers.starts_with("HTTP/1.1 400 "), "{answers}");
    let line = log::line(|line| line.contains("/malformed-chunks")).await;
    assert!(line.contains(" 400 ") && line.contains("evidence=\"the body is malformed\""), "{line}");
    wire.close().await;
}

/// What is matched is what is forwarded, and so is what is sent with it, whatever the method.
#[tokio::test(flavor = "multi_thread")]
async fn the_body_of_a_get_goes_on_with_it() {
    let wire = Wire::open().await;
    for method in ["GET", "HEAD", "DELETE", "POST"] {
        let lines = "Transfer-Encoding: chunked\r\nConnection: close\r\n";
        let request = post(lines, "3\r\nabc\r\n0\r\n\r\n").replace("POST ", &format!("{method} "));
        let received = wire.admits(request).await;
        assert!(received.contains("transfer-encoding: chunked\r\n"), "{method}: {received}");
        assert!(received.ends_with("\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), "{method}: {received}");
        let received =
            wire.admits(post("Connection: close\r\n", "").replace("POST ", &format!("{method} "))).await;
        assert!(!received.contains("transfer-encoding"), "{method}: {received}");
    }
    wire.close().await;
}
