//! What the container sees of an admitted request, and what of its answer comes back.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use firegate_emulator::cloud_run::{
    Arrival, CloudRunFront, CloudRunOptions, CloudRunService, DisputedStatuses,
};
use http::{Method, StatusCode, Version};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::client;
use crate::world::{SERVICE_URL, World, start};

const HOST: (&str, &str) = ("host", "api.localhost");

/// A container that answers with what it sees, as `http://127.0.0.1:PORT`.
pub(crate) async fn mirror() -> String {
    format!("http://{}", start(mirror_router()).await)
}

fn mirror_router() -> Router {
    let see = |request: Request| async move {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let headers: Map<String, Value> = parts
            .headers
            .keys()
            .map(|name| {
                let values: Vec<_> =
                    parts.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
                (name.to_string(), json!(values.join("|")))
            })
            .collect();
        let seen = json!({
            "method": parts.method.as_str(), "uri": parts.uri.to_string(), "headers": headers,
            "http2": parts.version == Version::HTTP_2, "body": String::from_utf8_lossy(&body),
        });
        ([("server", "mine"), ("x-own", "1"), ("keep-alive", "timeout=5")], seen.to_string())
    };
    Router::new()
        .route("/denied", get(|| async { (StatusCode::UNAUTHORIZED, "{\"error\":\"mine\"}") }))
        .route("/upgrade", get(echo_upgrade))
        .fallback(see)
}

/// Speaks a protocol that repeats every byte.
async fn echo_upgrade(mut request: Request) -> Response {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut io = TokioIo::new(upgrade.await.unwrap());
        let mut bytes = [0; 64];
        while let Ok(count @ 1..) = io.read(&mut bytes).await {
            io.write_all(&bytes[..count]).await.unwrap();
        }
    });
    (StatusCode::SWITCHING_PROTOCOLS, [("connection", "upgrade"), ("upgrade", "echo")]).into_response()
}

fn public(service: CloudRunService) -> CloudRunService {
    CloudRunService { invokers: vec!["allUsers".parse().unwrap()], ..service }
}

#[tokio::test]
async fn the_validated_token_loses_its_signature_and_the_other_header_nothing() {
    let world = World::start().await;
    let front = world.front(world.private_service(&mirror().await), Arrival::Internet).await;
    let token = world.id_token(SERVICE_URL).await;
    let removed = format!("{}.SIGNATURE_REMOVED_BY_GOOGLE", token.rsplit_once('.').unwrap().0);
    let firebase = world.user_token("alice");
    let (google, user) = (format!("Bearer {token}"), format!("Bearer {firebase}"));

    let both = [HOST, ("authorization", user.as_str()), ("x-serverless-authorization", google.as_str())];
    let seen = client::get(&format!("{front}/"), &both).await.json();
    assert_eq!(seen["headers"]["authorization"], user);
    assert_eq!(seen["headers"]["x-serverless-authorization"], format!("Bearer {removed}"));

    let seen = client::get(&format!("{front}/"), &[HOST, ("authorization", &google)]).await.json();
    assert_eq!(seen["headers"]["authorization"], format!("Bearer {removed}"));
    assert!(seen["headers"].get("x-serverless-authorization").is_none());
}

#[tokio::test]
async fn a_public_service_sees_every_credential_untouched() {
    let world = World::start().await;
    let front = world.front(public(world.private_service(&mirror().await)), Arrival::Internet).await;
    let token = format!("Bearer {}", world.id_token(SERVICE_URL).await);
    let headers = [HOST, ("authorization", "Bearer bad"), ("x-serverless-authorization", &token)];
    let seen = client::get(&format!("{front}/"), &headers).await.json();
    assert_eq!(
        (&seen["headers"]["authorization"], &seen["headers"]["x-serverless-authorization"]),
        (&json!("Bearer bad"), &json!(token))
    );
}

#[tokio::test]
async fn a_request_is_passed_on_as_cloud_run_does() {
    let world = World::start().await;
    let front = world.front(public(world.private_service(&mirror().await)), Arrival::Internet).await;
    let headers = [
        HOST,
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-proto", "http"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("connection", "x-secret-hop"),
        ("x-secret-hop", "1"),
        ("te", "trailers"),
    ];
    let answer = client::send(Method::PUT, &format!("{front}/a%2Fb/?x=1&y"), &headers, "hello").await;
    let seen = answer.json();
    assert_eq!(
        (&seen["method"], &seen["uri"], &seen["body"]),
        (&json!("PUT"), &json!("/a%2Fb/?x=1&y"), &json!("hello"))
    );
    let seen = &seen["headers"];
    assert_eq!(seen["host"], "api.localhost");
    assert_eq!(seen["x-forwarded-for"], "203.0.113.7,127.0.0.1");
    assert_eq!(seen["x-forwarded-proto"], "https");
    assert_eq!(seen["forwarded"], "for=127.0.0.1;proto=https");
    assert_eq!(seen["te"], "trailers");
    assert!(seen.get("x-secret-hop").is_none() && seen.get("connection").is_none(), "{seen}");
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let (trace_id, span) = seen["x-cloud-trace-context"].as_str().unwrap().split_once('/').unwrap();
    let span: u64 = span.strip_suffix(";o=1").unwrap().parse().unwrap();
    assert_eq!(trace_id, trace);
    assert_eq!(seen["traceparent"], format!("00-{trace}-{span:016x}-01"));

    assert_eq!(answer.header("server"), "Google Frontend");
    assert_eq!(answer.header("x-own"), "1");
    assert_eq!(answer.header("x-cloud-trace-context"), format!("{trace};o=1"));
    assert_eq!(answer.header("keep-alive"), "");
    assert_ne!(answer.header("date"), "");
}

#[tokio::test]
async fn what_the_application_refuses_is_the_applications() {
    let world = World::start().await;
    let front = world.front(public(world.private_service(&mirror().await)), Arrival::Internet).await;
    let answer = client::get(&format!("{front}/denied"), &[HOST]).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (401, "{\"error\":\"mine\"}"));
    assert_eq!(answer.header("www-authenticate"), "");
}

#[tokio::test]
async fn a_container_may_be_absent_and_come_back() {
    let world = World::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let front =
        world.front(public(world.private_service(&format!("http://{address}"))), Arrival::Internet).await;
    let absent = client::get(&format!("{front}/"), &[HOST]).await;
    let text = "upstream connect error or disconnect/reset before headers. reset reason: connection failure";
    assert_eq!(
        (absent.status.as_u16(), absent.header("content-type"), absent.body.as_str()),
        (503, "text/plain", text)
    );
    assert_eq!(absent.header("server"), "Google Frontend");

    for _ in 0..2 {
        let listener = TcpListener::bind(address).await.unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            axum::serve(listener, mirror_router()).with_graceful_shutdown(stopped).await.unwrap();
        });
        let answer = client::send(Method::POST, &format!("{front}/"), &[HOST], "body").await;
        assert_eq!((answer.status, &answer.json()["body"]), (StatusCode::OK, &json!("body")));
        stop.send(()).unwrap();
        serving.await.unwrap();
    }
}

#[tokio::test]
async fn a_container_that_hangs_up_is_told_apart() {
    let world = World::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let container = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream)
        }
    });
    let front = world.front(public(world.private_service(&container)), Arrival::Internet).await;
    let answer = client::get(&format!("{front}/"), &[HOST]).await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.ends_with("reset reason: connection termination"), "{}", answer.body);
}

#[tokio::test]
async fn bodies_stream_in_both_directions() {
    let world = World::start().await;
    let reflect = |request: Request| async move { Response::new(Body::new(request.into_body())) };
    let container = format!("http://{}", start(Router::new().fallback(reflect)).await);
    let front = world.front(public(world.private_service(&container)), Arrival::Internet).await;
    let (sender, receiver) = mpsc::channel::<Bytes>(1);
    let frames = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let bytes = receiver.recv().await?;
        Some((Ok::<_, Infallible>(Frame::data(bytes)), receiver))
    });
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = http::Request::post(format!("{front}/")).header("host", "api.localhost");
    let request = request.body(StreamBody::new(Box::pin(frames))).unwrap();
    sender.send(Bytes::from_static(b"one")).await.unwrap();
    let mut body = client.request(request).await.unwrap().into_body();
    // Each part comes back before the next one is sent: nothing waits for the end.
    assert_eq!(next_data(&mut body).await.unwrap(), "one");
    sender.send(Bytes::from_static(b"two")).await.unwrap();
    assert_eq!(next_data(&mut body).await.unwrap(), "two");
    drop(sender);
    assert_eq!(next_data(&mut body).await, None);
}

async fn next_data(body: &mut hyper::body::Incoming) -> Option<Bytes> {
    let frame = body.frame().await?.unwrap();
    frame.into_data().ok()
}

#[tokio::test]
async fn http2_reaches_the_front_and_the_container() {
    let world = World::start().await;
    let container = mirror().await;
    for use_http2 in [false, true] {
        let service = CloudRunService { use_http2, ..public(world.private_service(&container)) };
        let front = world.front(service, Arrival::Internet).await;
        let stream = TcpStream::connect(front.strip_prefix("http://").unwrap()).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::get("http://api.localhost/path?x=1")
            .body(http_body_util::Empty::<Bytes>::new())
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!((response.status(), response.version()), (StatusCode::OK, Version::HTTP_2));
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let seen: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(seen["http2"], use_http2);
        let named = if use_http2 { &seen["uri"] } else { &seen["headers"]["host"] };
        assert_eq!(named, if use_http2 { "http://api.localhost/path?x=1" } else { "api.localhost" });
    }
}

#[tokio::test]
async fn an_upgraded_connection_carries_bytes_both_ways_until_the_front_stops() {
    let world = World::start().await;
    let service = public(world.private_service(&mirror().await));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let front = CloudRunFront::new(CloudRunOptions {
        services: vec![service],
        statuses: DisputedStatuses::default(),
        keys: world.keys.clone(),
        clock: std::sync::Arc::new(world.clock.clone()),
    });
    let serving = tokio::spawn(front.serve(listener, Arrival::Internet, async { drop(stopped.await) }));

    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(
            b"GET /upgrade HTTP/1.1\r\nhost: api.localhost\r\nconnection: Upgrade\r\nupgrade: echo\r\n\r\n",
        )
        .await
        .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    assert!(head.contains("upgrade: echo\r\n") && head.contains("connection: upgrade\r\n"), "{head}");
    for text in ["ping", "pong"] {
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut echoed = [0; 4];
        stream.read_exact(&mut echoed).await.unwrap();
        assert_eq!(echoed, text.as_bytes());
    }
    stop.send(()).unwrap();
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_upgrade_needs_a_credential_too() {
    let world = World::start().await;
    let front = world.front(world.private_service(&mirror().await), Arrival::Internet).await;
    let headers = [HOST, ("connection", "upgrade"), ("upgrade", "echo")];
    let answer = client::get(&format!("{front}/upgrade"), &headers).await;
    assert_eq!(answer.status, 403);
}
