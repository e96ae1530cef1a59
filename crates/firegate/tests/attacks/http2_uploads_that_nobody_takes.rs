//! Uploads over HTTP/2 of which their service takes nothing. A load balancer carries many clients by one connection, and those
//! who send to a sick service held up what the others send to a well one.

use bytes::Bytes;
use firegate_proxy::limits::{HTTP2_STREAM_WINDOW_BYTES, HTTP2_STREAMS_MAX};
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::site::{echo, listen};
use crate::stack::{clock, close, door};
use crate::wire::PATIENCE;

#[tokio::test(flavor = "multi_thread")]
async fn they_hold_up_no_other_upload() {
    const STALLED: u32 = HTTP2_STREAMS_MAX / 8;
    let clock = clock();
    let service = echo(&clock).await;
    // It takes connections, and answers no handshake.
    let (_silent, sick) = listen().await;
    let port = sick.port().expect("a port");
    let text = format!(
        "project: demo-project\nallow: [allUsers]\nbackends:\n  well: {{ url: '{service}', credential: none }}\n  \
         sick: {{ url: 'https://127.0.0.1:{port}', credential: none, timeouts: {{ connect: 60s }} }}\n\
         routes: [{{ path: /sick, backend: sick }}, {{ path: /*, backend: well }}]\n"
    );
    let door = door(&text, &clock);
    let stream = TcpStream::connect(door.address()).await.expect("a connection");
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.expect("HTTP/2");
    let connection = tokio::spawn(connection);
    let mut upload = |path: &str, bytes: u32| {
        let body = Full::new(Bytes::from(vec![b'x'; bytes as usize]));
        let request = Request::post(format!("http://door{path}")).body(body).expect("a request");
        sender.send_request(request)
    };
    let stalled = (0..STALLED).map(|_| upload("/sick", HTTP2_STREAM_WINDOW_BYTES)).collect::<Vec<_>>();
    let other = tokio::time::timeout(PATIENCE, upload("/", 5)).await.expect("it is not held up");
    assert_eq!(other.expect("an answer").status(), StatusCode::OK);
    drop((stalled, sender));
    connection.abort();
    close(door).await;
}
