//! A service over HTTP/2 that sends a body behind a status that has none (RFC 9110, sections 15.3.5 and 15.4.5). Handed on, it
//! would be a message that clients refuse, or read each in their own way.

use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::answers_reset_without_an_error::opened;
use crate::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, frame};
use crate::stack::{clock, close, door};

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

/// A length that a service over HTTP/1 announces all the same is a promise that an HTTP/2 client would see broken.
#[tokio::test(flavor = "multi_thread")]
async fn none_is_announced() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("a head"));
        }
        let answer = b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nETag: \"a\"\r\n\r\n";
        stream.write_all(answer).await.expect("it is sent");
    });
    let text = format!("project: demo-project\nbackends: {{ api: 'http://{address}' }}\nallow: [allUsers]\n");
    let door = door(&text, &clock());
    let stream = TokioIo::new(TcpStream::connect(door.address()).await.expect("a connection"));
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await;
    let (mut sender, connection) = handshake.expect("HTTP/2");
    tokio::spawn(connection);
    let request = http::Request::get("http://door/").body(Full::<bytes::Bytes>::default());
    let answer = sender.send_request(request.expect("a request")).await.expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.headers().get("content-length")), (204, None));
    assert!(answer.headers().contains_key("etag"));
    assert_eq!(answer.into_body().collect().await.expect("a whole body").to_bytes(), "");
    close(door).await;
}
