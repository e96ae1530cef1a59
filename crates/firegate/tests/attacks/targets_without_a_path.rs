//! Targets whose path is empty (RFC 9112, section 3.2.2; RFC 9113, section 8.3.1): matched as `/`, and never sent on as they
//! came. A request line without a target is one of HTTP/0.9 to some servers, and a `:path` of `?q` is malformed to all.

use crate::frames::{Connection, END_HEADERS, END_STREAM, HEADERS, frame, request};
use crate::wire::Wire;

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_path_is_sent_on_as_a_slash() {
    let wire = Wire::open().await;
    for (target, sent) in
        [("http://door?q", "/?q"), ("http://door", "/"), ("http://door/?", "/?"), ("/", "/")]
    {
        let seen =
            wire.admits(format!("GET {target} HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n")).await;
        assert!(seen.starts_with(&format!("GET {sent} HTTP/1.1\r\n")), "{target}: {seen}");
    }
    for path in ["?q", "#x", "#", "/"] {
        let before = wire.origin.received().len();
        let mut connection = Connection::open(&wire).await;
        connection.write(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("GET", path, &[]))).await;
        // Either layer may refuse it.
        let status = connection.status(1).await;
        let seen = wire.origin.received()[before..].to_owned();
        match status {
            Some(200) => {
                let target = seen.strip_prefix("GET ").and_then(|rest| rest.split(' ').next());
                assert!(matches!(target, Some("/" | "/?q")), "{path}: {seen}");
            }
            refused => {
                assert!(matches!(refused, None | Some(400)) && seen.is_empty(), "{path}: {refused:?} {seen}")
            }
        }
    }
    wire.close().await;
}
