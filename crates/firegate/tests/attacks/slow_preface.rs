//! Connections that never say what they are: each would hold a place for ever.

use firegate_proxy::limits::REQUEST_HEAD_TIMEOUT;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_is_closed_at_the_time_out() {
    let site = Site::open().await;
    let closes = async |bytes: &[u8]| {
        let mut stream = TcpStream::connect(site.door.address()).await.expect("a connection");
        stream.write_all(bytes).await.expect("it is sent");
        let mut rest = Vec::new();
        let patience = REQUEST_HEAD_TIMEOUT * 2;
        tokio::time::timeout(patience, stream.read_to_end(&mut rest)).await.is_ok()
    };
    let (silent, preface, head) =
        tokio::join!(closes(b""), closes(b"PRI * HT"), closes(b"GET / HTTP/1.1\r\nHos"));
    assert_eq!((silent, preface, head), (true, true, true));
    site.close().await;
}
