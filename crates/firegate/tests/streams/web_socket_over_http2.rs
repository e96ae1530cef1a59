//! WebSockets over HTTP/2 (RFC 8441): an extended CONNECT of the client's, an upgrade at the service, and the other way round.

use std::convert::Infallible;
use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use firegate_core::time::ShiftedClock;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::ext::Protocol;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::site::{Site, TestBody, empty, in_time, read_head, read_rest};
use crate::stack::door_closing_after;
use crate::stack::server::listen;
use firegate_proxy::limits::UPSTREAM_HTTP2_TUNNEL_CONNECTIONS_MAX;

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
    // There are services that announce content, which such an answer cannot have.
    let switching = "101 Switching Protocols\r\nContent-Length: 5";
    let (answered, (mut service, head)) =
        tokio::join!(send(&site, request), answer(&listener, switching, accept_of));
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
    for name in ["sec-websocket-accept", "upgrade", "connection", "content-length"] {
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
async fn it_keeps_its_connection_though_nothing_is_asked_for() {
    let (listener, url) = listen().await;
    let idle = Duration::from_secs(1);
    let closing = |text: &str, clock: &ShiftedClock| door_closing_after(idle, text, clock);
    let site = Site::open_by(&url, "user_token: drop", closing).await;
    let mut sender = site.http2(65_535).await;
    let plain = || Request::get(format!("http://{}/", site.door.address())).body(empty()).expect("a request");
    in_time(sender.send_request(plain())).await.expect("an answer");
    let request = handshake(&site, Some("websocket"), 3000);
    let (answered, (mut service, _)) = tokio::join!(
        in_time(sender.send_request(request)),
        answer(&listener, "101 Switching Protocols", accept_of)
    );
    let answered = answered.expect("an answer");
    let mut client = TokioIo::new(in_time(hyper::upgrade::on(answered)).await.expect("a tunnel"));
    // Connections that nobody uses are closed meanwhile, of either worker.
    for _ in 0..4 {
        let stream = TokioIo::new(site.connect().await);
        let idle =
            hyper::client::conn::http2::handshake::<_, _, TestBody>(TokioExecutor::new(), stream).await;
        let (_sender, connection) = idle.expect("HTTP/2");
        in_time(connection).await.expect("it ends by its protocol's own word");
    }
    in_time(sender.send_request(plain())).await.expect("the connection takes requests");
    client.write_all(b"\x81\x82\0\0\0\0hi").await.expect("it is sent");
    let mut frame = [0; 8];
    in_time(service.read_exact(&mut frame)).await.expect("it comes");
    drop((client, service));
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

/// A service that speaks HTTP/2 alone. It takes WebSockets if it says so, tells what it was asked, and sends back what it gets.
async fn serve_http2(
    takes_web_sockets: bool,
    streams_max: u32,
) -> (String, mpsc::UnboundedReceiver<Request<()>>) {
    let (listener, url) = listen().await;
    let (told, asked) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let told = told.clone();
            let service = service_fn(move |mut request: Request<Incoming>| {
                let upgrade = hyper::upgrade::on(&mut request);
                let is_web_socket = request.method() == Method::CONNECT;
                // The test may have seen enough.
                let _ = told.send(request.map(drop));
                if is_web_socket {
                    tokio::spawn(async move {
                        let mut socket = TokioIo::new(upgrade.await.expect("a tunnel"));
                        let mut bytes = [0; 64];
                        while let Ok(count @ 1..) = socket.read(&mut bytes).await {
                            socket.write_all(&bytes[..count]).await.expect("it is sent");
                        }
                    });
                }
                let answer = Response::builder().header("sec-websocket-protocol", "chat.v2").body(empty());
                async { Ok::<_, Infallible>(answer.expect("an answer")) }
            });
            let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            builder.max_concurrent_streams(streams_max);
            if takes_web_sockets {
                builder.enable_connect_protocol();
            }
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
        }
    });
    (url, asked)
}

async fn expect_echo(socket: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    socket.write_all(b"\x81\x82\0\0\0\0hi").await.expect("it is sent");
    let mut echo = [0; 8];
    in_time(socket.read_exact(&mut echo)).await.expect("it comes");
    assert_eq!(&echo, b"\x81\x82\0\0\0\0hi");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_speaks_http_2_is_asked_by_an_extended_connect_whatever_its_client_speaks() {
    let (url, mut asked) = serve_http2(true, 100).await;
    let site = Site::open(&url, "user_token: drop, protocol: h2c").await;

    let answered = send(&site, handshake(&site, Some("websocket"), 3000)).await;
    assert_eq!(answered.status(), StatusCode::OK);
    assert_eq!(answered.headers()["sec-websocket-protocol"], "chat.v2");
    let mut over_http2 = TokioIo::new(in_time(hyper::upgrade::on(answered)).await.expect("a tunnel"));
    expect_echo(&mut over_http2).await;

    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut over_http1 = site.send("GET /socket?room=7", &format!("{upgrade}{key}"), 4).await;
    let head = read_head(&mut over_http1).await.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    for field in ["upgrade: websocket", "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="] {
        assert!(head.contains(field), "{field}: {head}");
    }
    expect_echo(&mut over_http1).await;

    for _ in 0..2 {
        let request = in_time(asked.recv()).await.expect("a request");
        assert_eq!(request.method(), Method::CONNECT);
        assert_eq!(request.extensions().get::<Protocol>().map(Protocol::as_str), Some("websocket"));
        assert_eq!(
            request.uri().path_and_query().map(ToString::to_string),
            Some("/socket?room=7".to_owned())
        );
        assert_eq!(request.headers()["x-firegate-user-id"], "eve");
        assert_eq!(request.headers()["sec-websocket-version"], "13");
        for name in ["sec-websocket-key", "upgrade", "connection", "authorization"] {
            assert!(!request.headers().contains_key(name), "{name}: {:?}", request.headers());
        }
    }

    let mut without_key = site.send("GET /socket", upgrade, 3000).await;
    assert!(read_head(&mut without_key).await.starts_with("HTTP/1.1 400 "), "nothing could answer it");

    // The lease ends one, and the other goes on by the same connection.
    let closed = read_rest(&mut over_http1).await;
    assert!(closed.starts_with(b"\x88\x1a\x03\xf0the user's token expired"), "{closed:?}");
    expect_echo(&mut over_http2).await;
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_does_not_say_so_is_not_asked_and_is_no_failing_endpoint() {
    let (url, mut asked) = serve_http2(false, 100).await;
    let site = Site::open(&url, "user_token: drop, protocol: h2c").await;
    // More often than failures in a row eject an endpoint.
    for _ in 0..8 {
        let answered = send(&site, handshake(&site, Some("websocket"), 3000)).await;
        assert_eq!(answered.status(), StatusCode::BAD_GATEWAY);
        assert_eq!(answered.headers()["x-firegate-reason"], "UPSTREAM_WITHOUT_WEB_SOCKETS");
    }
    let mut plain = site.send("GET /plain", "Connection: close\r\n", 3000).await;
    assert!(read_head(&mut plain).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(in_time(asked.recv()).await.expect("a request").uri().path(), "/plain");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_that_last_leave_requests_their_streams() {
    const STREAMS_MAX: u32 = 2;
    let (url, _asked) = serve_http2(true, STREAMS_MAX).await;
    let site = Site::open(&url, "user_token: drop, protocol: h2c").await;
    // One connection, and so one worker.
    let mut sender = site.http2(65_535).await;
    let plain = || {
        Request::get(format!("http://{}/", site.door.address()))
            .header("authorization", format!("Bearer {}", site.token(3000)))
            .body(empty())
            .expect("a request")
    };
    let answered = in_time(sender.send_request(plain())).await.expect("an answer");
    assert_eq!(answered.status(), StatusCode::OK);
    let count = UPSTREAM_HTTP2_TUNNEL_CONNECTIONS_MAX * STREAMS_MAX as usize;
    let asked = (0..count).map(|_| sender.send_request(handshake(&site, Some("websocket"), 3000)));
    let mut sockets = Vec::new();
    for answered in in_time(futures_util::future::join_all(asked.collect::<Vec<_>>())).await {
        let answered = answered.expect("an answer");
        assert_eq!(answered.status(), StatusCode::OK);
        sockets.push(TokioIo::new(in_time(hyper::upgrade::on(answered)).await.expect("a tunnel")));
    }
    let one_more = in_time(sender.send_request(handshake(&site, Some("websocket"), 3000))).await;
    let one_more = one_more.expect("an answer");
    assert_eq!(one_more.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(one_more.headers()["x-firegate-reason"], "UPSTREAM_OVERLOADED");
    let answered = in_time(sender.send_request(plain())).await.expect("an answer");
    assert_eq!(answered.status(), StatusCode::OK, "requests pass");
    // Whoever leaves makes room for another one.
    for socket in &mut sockets {
        expect_echo(socket).await;
    }
    sockets.pop();
    let another = async {
        while in_time(sender.send_request(handshake(&site, Some("websocket"), 3000)))
            .await
            .expect("an answer")
            .status()
            != StatusCode::OK
        {}
    };
    in_time(another).await;
    drop(sockets);
    site.close().await;
}
