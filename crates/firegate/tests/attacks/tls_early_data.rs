//! TLS early data (RFC 8446, section 8): what a client sends before the handshake is over, anybody who recorded it can send
//! again, and a request with a token would be made twice.

use std::sync::Arc;

use rustls::HandshakeKind;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::stack::authority::{Authority, VERSIONS, connect};
use crate::stack::{clock, close, door};

#[tokio::test(flavor = "multi_thread")]
async fn no_early_data_is_offered_or_taken() {
    let authority = Authority::new();
    authority.issue("one", &["one.example"]);
    let door = door(&authority.configuration(&["one"]), &clock());
    let mut client = authority.client(&["http/1.1"], &VERSIONS[..1]);
    client.enable_early_data = true;
    let client = Arc::new(client);
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let mut stream =
            connect(Arc::clone(&client), door.address(), "one.example").await.expect("a handshake");
        let request = b"GET / HTTP/1.1\r\nHost: one.example\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.expect("it is sent");
        // The tickets come with the answer.
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("an answer");
        assert!(answer.starts_with(b"HTTP/1.1 502 "), "{answer:?}");
        let session = stream.get_ref().1;
        assert_eq!(session.handshake_kind(), Some(expected));
        assert!(!session.is_early_data_accepted());
    }
    // A ticket that allowed it would let the client begin with it.
    let host = ServerName::try_from("one.example").expect("a name");
    let mut next = rustls::ClientConnection::new(client, host).expect("a connection");
    assert!(next.early_data().is_none(), "the ticket allows none");
    close(door).await;
}
