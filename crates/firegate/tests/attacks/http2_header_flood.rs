//! A head of many small fields: over HTTP/1 their number is bounded by the parser, over HTTP/2 by nobody but the door.

use firegate_proxy::limits::REQUEST_HEADERS_MAX;
use http::{HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn more_fields_than_are_read_are_refused() {
    let site = Site::open().await;
    let stream = TcpStream::connect(site.door.address()).await.expect("a connection");
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.expect("HTTP/2");
    tokio::spawn(connection);
    let mut send = async |fields: usize, name: Option<&str>| {
        let uri = format!("http://{}/public/a", site.door.address());
        let mut request = Request::get(uri).body(Empty::<bytes::Bytes>::new()).expect("a request");
        for number in 0..fields {
            let name = name.map_or_else(|| format!("x-field-{number}"), str::to_owned);
            let name = name.parse::<HeaderName>().expect("a name");
            request.headers_mut().append(name, HeaderValue::from_static("1"));
        }
        let answer = sender.send_request(request).await.expect("an answer");
        (answer.status(), answer.headers().get("x-firegate-reason").cloned())
    };
    // A browser sends each cookie in a field of its own, and they are one for the service.
    assert_eq!(send(REQUEST_HEADERS_MAX * 4, Some("cookie")).await, (StatusCode::OK, None));
    for name in [None, Some("x-field")] {
        assert_eq!(send(REQUEST_HEADERS_MAX / 2, name).await, (StatusCode::OK, None));
        let (_, reason) = send(REQUEST_HEADERS_MAX, name).await;
        assert_eq!(reason, None, "it is the service that may have less room");
        let (status, reason) = send(REQUEST_HEADERS_MAX + 1, name).await;
        assert_eq!(status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        assert_eq!(reason, Some(HeaderValue::from_static("REQUEST_HEAD_TOO_LARGE")));
    }
    site.close().await;
}
