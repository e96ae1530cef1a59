//! WebSockets over HTTP/2 (RFC 8441): an extended CONNECT of the client's, an upgrade at the service.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::ext::Protocol;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::site::{Site, TestBody, empty, in_time, listen, read_head, read_rest};

/// A handshake with a token of so many seconds.
fn handshake(site: &Site, protocol: Option<&'static str>, seconds: i64) -> Request<TestBody> {
    let mut request = Request::builder()
        .method(Method::CONNECT)
        .uri(format!("http://{}/socket?room=7", site.door.address()))
        .header("authorization", format!("Bearer {}", site.token(seconds)))
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "chat.v2")
        .body(empty())
        .expect("a request");
    if let Some(protocol) = protocol {
        request.extensions_mut().insert(Protocol::from_static(protocol));
    }
    request
}

/// Sends a request on a connection of its own, after the door has said that it takes extended CONNECTs.
async fn send(site: &Site, request: Request<TestBody>) -> Response<Incoming> {
    let mut sender = site.http2(65_535).await;
    let first = Request::get(format!("http://{}/", site.door.address())).body(empty()).expect("a request");
    let answer = in_time(sender.send_request(first)).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    in_time(sender.send_request(request)).await.expect("an answer")
}

/// Takes an upgrade and answers it; `key` is made into the answer to it.
async fn answer(
    listener: &TcpListener,
    status: &str,
    accept: impl FnOnce(&str) -> String,
) -> (TcpStream, String) {
    let (mut stream, _) = in_time(listener.accept()).await.expect("a connection");
    let head = read_head(&mut stream).await.to_string();
    let key = head.lines().find_map(|line| {
        line.to_ascii_lowercase().starts_with("sec-websocket-key: ").then(|| line[19..].to_owned())
    });
    let accept = accept(&key.expect("a key"));
    let answer = format!(
        "HTTP/1.1 {status}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\
         Sec-WebSocket-Protocol: chat.v2\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).await.expect("it is sent");
    (stream, head)
}

/// RFC 6455, section 4.2.2.
fn accept_of(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_an_upgrade_at_the_service_and_ends_with_its_users_lease() {
    let (listener, url) = listen().await;
    let site = Site::open(&url, "user_token: drop").await;
    let request = handshake(&site, Some("websocket"), 4);
    let (answered, (mut service, head)) =
        tokio::join!(send(&site, request), answer(&listener, "101 Switching Protocols", accept_of));
    let seen = head.to_ascii_lowercase();
    assert!(seen.starts_with("get /socket?room=7 http/1.1\r\n"), "{head}");
    for field in
        ["connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13", "x-firegate-user-id: eve"]
    {
        assert!(seen.contains(field), "{field}: {head}");
    }
    assert!(!seen.contains("authorization: bearer"), "{head}");
    assert_eq!(answered.status(), StatusCode::OK);
    assert_eq!(answered.headers()["sec-websocket-protocol"], "chat.v2");
    for name in ["sec-websocket-accept", "upgrade", "connection"] {
        assert!(!answered.headers().contains_key(name), "{name}: {:?}", answered.headers());
    }
    let mut client = TokioIo::new(in_time(hyper::upgrade::on(answered)).await.expect("a tunnel"));
    client.write_all(b"\x81\x82\0\0\0\0hi").await.expect("it is sent");
    let mut frame = [0; 8];
    in_time(service.read_exact(&mut frame)).await.expect("it comes");
    assert_eq!(&frame, b"\x81\x82\0\0\0\0hi");
    service.write_all(b"\x81\x02ho").await.expect("it is sent");
    let mut frame = [0; 4];
    in_time(client.read_exact(&mut frame)).await.expect("it comes");
    assert_eq!(&frame, b"\x81\x02ho");
    let (to_client, to_service) = tokio::join!(read_rest(&mut client), read_rest(&mut service));
    assert!(to_client.starts_with(b"\x88\x1a\x03\xf0the user's token expired"), "{to_client:?}");
    assert_eq!(to_service.first(), Some(&0x88), "{to_service:?}");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_answer_of_the_service_opens_it() {
    let (listener, url) = listen().await;
    let site = Site::open(&url, "user_token: drop").await;
    let another = |_: &str| accept_of("dGhlIHNhbXBsZSBub25jZQ==");
    for (line, accept, expected) in [
        ("101 Switching Protocols", another as fn(&str) -> String, StatusCode::BAD_GATEWAY),
        ("200 OK\r\nContent-Length: 0", accept_of, StatusCode::BAD_GATEWAY),
        ("403 Forbidden\r\nContent-Length: 0", accept_of, StatusCode::FORBIDDEN),
    ] {
        let request = handshake(&site, Some("websocket"), 3000);
        let (answered, _) = tokio::join!(send(&site, request), answer(&listener, line, accept));
        assert_eq!(answered.status(), expected, "{line}");
    }
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_judged_like_any_other_request_and_no_other_connect_is() {
    let (_listener, url) = listen().await;
    let site = Site::open(&url, "user_token: drop").await;
    let expired = send(&site, handshake(&site, Some("websocket"), -1)).await;
    assert_eq!(expired.status(), StatusCode::UNAUTHORIZED);
    let other = send(&site, handshake(&site, Some("connect-udp"), 3000)).await;
    assert_eq!(other.status(), StatusCode::BAD_REQUEST);
    site.close().await;
}
