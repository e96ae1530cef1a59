//! A head that is refused because others may read it otherwise may also end elsewhere for them: whatever follows it on the
//! connection has no meaning, and is not served as the next request.

use crate::wire::{SMUGGLED, Wire, post};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_behind_them_is_served() {
    let wire = Wire::open().await;
    for lines in [
        "Content_Length: 40\r\n",
        "Transfer.Encoding: chunked\r\n",
        "Host: another\r\n",
        "Upgrade: websocket\r\n",
    ] {
        wire.refuses(post(lines, "")).await;
    }
    for line in ["POST /attack HTTP/1.1\r\n", "POST http://another/attack HTTP/1.1\r\nHost: door\r\n"] {
        wire.refuses(format!("{line}\r\n")).await;
    }
    wire.admits(post("Connection: close\r\n", "")).await;
    wire.close().await;
}

/// Who goes on after a refusal of another kind is served: the head was understood.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_behind_one_that_is_merely_not_found_is_served() {
    let wire = Wire::open().await;
    let unknown = "GET /.well-known/firegate/unknown HTTP/1.1\r\nHost: door\r\n\r\n";
    let last = SMUGGLED.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    let answers = wire.send(format!("{unknown}{last}")).await;
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 2, "{answers}");
    assert!(answers.starts_with("HTTP/1.1 404 ") && answers.contains("HTTP/1.1 200 "), "{answers}");
    wire.close().await;
}
