//! A service over HTTP/2 that sends a body behind a status that has none (RFC 9110, sections 15.3.5 and 15.4.5). Handed on, it would
//! be a message that clients refuse, or read each in their own way.

use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::answers_reset_without_an_error::opened;
use crate::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, frame};
use crate::stack::close;

#[tokio::test(flavor = "multi_thread")]
async fn none_is_handed_on() {
    // In HPACK's static table.
    for (block, status) in [(0x89, 204), (0x8b, 304)] {
        let head = frame(HEADERS, END_HEADERS, 1, &[block]);
        let door = opened(vec![head, frame(DATA, END_STREAM, 1, b"a body")]).await;
        let stream = TokioIo::new(TcpStream::connect(door.address()).await.expect("a connection"));
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await;
        let (mut sender, connection) = handshake.expect("HTTP/2");
        tokio::spawn(connection);
        let request = http::Request::get("http://door/").body(Full::<bytes::Bytes>::default());
        let answer = sender.send_request(request.expect("a request")).await.expect("an answer");
        assert_eq!((answer.status().as_u16(), answer.headers().get("content-length")), (status, None));
        assert_eq!(answer.into_body().collect().await.expect("a whole body").to_bytes(), "");
        close(door).await;
    }
}
