//! Trailers that belong to a connection: over HTTP/2 they cannot be sent. An answer that was whole would be reset behind its
//! body, and a request would never end; whoever sends five of them would have the service taken for one that fails.

use std::convert::Infallible;

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::stack::{clock, close, door};
use crate::wire::rest;

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nKeep-Alive: 5\r\n\
    Proxy-Connection: close\r\nUpgrade: h2c\r\nTE: gzip\r\nX-Checksum: 1\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_them_is_whole() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let _ = stream.read(&mut [0; 4096]).await;
        stream.write_all(ANSWER).await.expect("it is sent");
        let _ = stream.read(&mut [0]).await;
    });
    let text = format!("project: demo-project\nbackends: {{ api: 'http://{address}' }}\nallow: [allUsers]\n");
    let door = door(&text, &clock());
    let stream = TokioIo::new(TcpStream::connect(door.address()).await.expect("a connection"));
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await;
    let (mut sender, connection) = handshake.expect("HTTP/2");
    tokio::spawn(connection);
    let request = Request::get("http://door/").body(Full::<bytes::Bytes>::default());
    let answer = sender.send_request(request.expect("a request")).await.expect("an answer");
    let body = answer.into_body().collect().await.expect("a whole body");
    let trailers = body.trailers().expect("trailers").clone();
    assert_eq!((trailers.len(), &trailers["x-checksum"]), (1, &http::HeaderValue::from_static("1")));
    assert_eq!(body.to_bytes(), "ok");
    close(door).await;
}

/// Answers with the trailers that it got.
async fn tell(request: Request<Incoming>) -> Result<Response<Full<bytes::Bytes>>, Infallible> {
    let body = request.into_body().collect().await.expect("a whole body");
    let names = body.trailers().map(|trailers| trailers.keys().map(|name| name.as_str()).collect::<Vec<_>>());
    Ok(Response::new(Full::from(format!("{:?}", names.unwrap_or_default()))))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_them_ends() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service_fn(tell)));
        }
    });
    let backend = format!("{{ url: 'http://{address}', protocol: h2c }}");
    let text = format!("project: demo-project\nbackends: {{ api: {backend} }}\nallow: [allUsers]\n");
    let door = door(&text, &clock());
    for line in ["Keep-Alive: 5", "Proxy-Connection: close", "Upgrade: h2c", "TE: gzip", "Connection: close"]
    {
        let mut stream = TcpStream::connect(door.address()).await.expect("a connection");
        let request = format!(
            "POST / HTTP/1.1\r\nHost: door\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\
             {line}\r\nX-Checksum: 1\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("it is sent");
        let answer = rest(&mut stream).await;
        assert!(
            answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("[\"x-checksum\"]"),
            "{line}: {answer}"
        );
    }
    close(door).await;
}
