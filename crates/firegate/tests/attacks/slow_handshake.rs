//! TLS handshakes that begin and never end: slowloris before the first request.

use firegate_proxy::limits::TLS_HANDSHAKE_TIMEOUT;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stack::authority::Authority;
use crate::stack::{clock, close, door};

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_does_not_end_is_ended() {
    let authority = Authority::new();
    authority.issue("one", &["one.example"]);
    let door = door(&authority.configuration(&["one"]), &clock());
    let closes = async |bytes: &[u8]| {
        let mut stream = TcpStream::connect(door.address()).await.expect("a connection");
        stream.write_all(bytes).await.expect("it is sent");
        let mut rest = Vec::new();
        let patience = TLS_HANDSHAKE_TIMEOUT * 3;
        tokio::time::timeout(patience, stream.read_to_end(&mut rest)).await.is_ok()
    };
    // Nothing, the type of a record, and the beginning of a hello that says it is 512 bytes long.
    let hello = [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], &[7; 40]].concat();
    let (silent, record, hello) = tokio::join!(closes(b""), closes(b"\x16"), closes(&hello));
    assert_eq!((silent, record, hello), (true, true, true));
    close(door).await;
}
