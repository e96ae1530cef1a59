//! Two names of the host in one request (RFC 9113, section 8.3.1): one would choose what is believed, the other would be
//! forwarded.

use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_differs_from_the_authority_is_refused() {
    let site = Site::open().await;
    let send = async |authority: &str, host: Option<&str>| {
        let stream = TcpStream::connect(site.door.address()).await.expect("a connection");
        let executor = TokioExecutor::new();
        let handshake = hyper::client::conn::http2::handshake(executor, TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.expect("HTTP/2");
        tokio::spawn(connection);
        let mut request = Request::get(format!("http://{authority}/public/a"));
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let request = request.body(Empty::<bytes::Bytes>::new()).expect("a request");
        sender.send_request(request).await.map(|answer| answer.status())
    };
    for (authority, host) in [
        ("door.example", None),
        ("door.example", Some("door.example")),
        ("door.example", Some("DOOR.example")),
    ] {
        assert_eq!(send(authority, host).await.expect("an answer"), StatusCode::OK, "{authority} {host:?}");
    }
    for (authority, host) in [
        ("door.example", Some("evil.example")),
        ("door.example", Some("door.example:80")),
        ("user@door.example", None),
        ("user:secret@door.example", Some("door.example")),
    ] {
        // Either layer may refuse it.
        let status = send(authority, host).await.unwrap_or(StatusCode::BAD_REQUEST);
        assert_eq!(status, StatusCode::BAD_REQUEST, "{authority} {host:?}");
    }
    site.close().await;
}
