//! Cross-site WebSocket hijacking by an extended CONNECT (RFC 8441): over HTTP/2 a WebSocket looks like no upgrade, and has
//! to come from a page that may all the same.

use http::{Method, Request};
use http_body_util::Empty;
use hyper::ext::Protocol;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::project::Project;

const CONFIGURATION: &str = "\
backends:
  web: { url: 'SERVICE', token_sources: [cookie] }
users: { accept: [id_token, session_cookie] }
cors: { origins: ['https://app.example.com'], credentials: true }
allow: [allAuthenticatedUsers]";

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_page_opens_no_web_socket_with_the_users_cookie() {
    let project = Project::open().await;
    let gate = project.gate(CONFIGURATION).await;
    let stream = TcpStream::connect(gate.door.address()).await.expect("a connection");
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.expect("HTTP/2");
    tokio::spawn(connection);
    let cookie = format!("__session={}", project.session_cookie());
    let mut send = async |method: Method, origin: Option<&str>| {
        let mut request = Request::builder().method(method.clone()).uri(gate.url("/a").as_str());
        request = request.header("cookie", &cookie);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let mut request = request.body(Empty::<bytes::Bytes>::new()).expect("a request");
        if method == Method::CONNECT {
            request.extensions_mut().insert(Protocol::from_static("websocket"));
        }
        let answer = sender.send_request(request).await.expect("an answer");
        let reason = answer.headers().get("x-firegate-reason");
        (answer.status().as_u16(), reason.map(|reason| reason.to_str().expect("text").to_owned()))
    };
    // The cookie is good: a page may be read with it.
    assert_eq!(send(Method::GET, None).await, (200, None));
    for foreign in [None, Some("https://evil.example"), Some("null")] {
        let refused = (403, Some("COOKIE_ORIGIN_NOT_ALLOWED".to_owned()));
        assert_eq!(send(Method::CONNECT, foreign).await, refused, "{foreign:?}");
    }
    // A page that may is let through to the service, which speaks no WebSocket.
    let (status, reason) = send(Method::CONNECT, Some("https://app.example.com")).await;
    assert_eq!((status, reason.as_deref()), (502, Some("UPSTREAM_PROTOCOL")));
    gate.close().await;
}
