//! What goes through besides a simple request, and where it ends.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::{any, get};
use bytes::Bytes;
use firegate_core::jose::RsaSigner;
use firegate_core::time::{Clock, ShiftedClock};
use firegate_proxy::FrontDoor;
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::gate::read_to_end;
use crate::stack::server::serve;
use crate::stack::{Call, at, claims, clock, close, door, stranger};

/// How long a stream may go on after its lease, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

struct Site {
    door: FrontDoor,
    signer: RsaSigner,
    clock: ShiftedClock,
}

impl Site {
    /// A front door before `service`, with keys of its own.
    async fn open(service: &str, settings: &str) -> Self {
        let (clock, signer) = (clock(), stranger());
        let document = json!({"keys": [signer.public_jwk()]}).to_string();
        let keys = serve(Router::new().route("/keys", get(|| async { document }))).await;
        let door = door(
            &format!(
                "project: demo-project\nallow: [allAuthenticatedUsers]\nbackends: {{ api: {{ url: '{service}', {settings} }} }}\n\
                 google: {{ id_token_keys: '{keys}/keys' }}\n"
            ),
            &clock,
        );
        door.ready().await;
        Self { door, signer, clock }
    }

    /// A token that expires in so many seconds.
    fn token(&self, seconds: i64) -> String {
        let now = self.clock.now().as_seconds();
        let mut claims = claims("demo-project", now);
        claims["exp"] = json!(now + seconds);
        self.signer.sign(&claims).expect("a token")
    }
}

/// A service that answers with the headers it got.
async fn mirror() -> String {
    let answer = |headers: HeaderMap| async move {
        let pairs =
            headers.iter().map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap_or_default())));
        Value::Object(pairs.collect()).to_string()
    };
    serve(Router::new().fallback(any(answer))).await
}

async fn seen(settings: &str) -> (Value, String) {
    let site = Site::open(&mirror().await, settings).await;
    let token = site.token(3000);
    let seen = Call::get(&at(&site.door, "/")).bearer(&token).send().await.ok();
    close(site.door).await;
    (seen, token)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_verifies_firebase_tokens_itself_gets_them_unchanged() {
    let (seen, token) = seen("user_token: forward").await;
    assert_eq!(seen["authorization"], json!(format!("Bearer {token}")));
    let (seen, _) = self::seen("user_token: drop").await;
    assert_eq!(seen["authorization"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn presets_speak_as_googles_gateways_do() {
    let (seen, token) = seen("identity_headers: apigateway, user_token: forward").await;
    assert_eq!(seen["x-apigateway-api-userinfo"].as_str(), token.split('.').nth(1));
    assert_eq!(seen["x-endpoint-api-userinfo"].as_str(), token.split('.').nth(1));
    assert_eq!(seen["x-forwarded-authorization"], json!(format!("Bearer {token}")));
    assert_eq!(seen["x-firegate-user-id"], Value::Null);

    let (seen, _) = self::seen("identity_headers: apigateway").await;
    assert_eq!(seen["x-forwarded-authorization"], Value::Null, "the token is dropped everywhere");

    let (seen, _) = self::seen("identity_headers: iap").await;
    assert_eq!(
        seen["x-goog-authenticated-user-email"],
        json!("securetoken.google.com/demo-project:eve@example.com")
    );
    assert_eq!(seen["x-goog-authenticated-user-id"], json!("securetoken.google.com/demo-project:eve"));
    let assertion = seen["x-goog-iap-jwt-assertion"].as_str().expect("an assertion");
    let claims = firegate_core::jose::CompactJws::parse(assertion).expect("a token").into_payload();
    assert_eq!(claims["iss"], json!("https://cloud.google.com/iap"));
    assert_eq!(claims["sub"], json!("securetoken.google.com/demo-project:eve"));
    assert_eq!(claims["gcip"]["firebase"]["sign_in_provider"], json!("password"));

    let (seen, _) = self::seen("identity_headers: none").await;
    assert_eq!((&seen["x-firegate-assertion"], &seen["x-firegate-user-id"]), (&Value::Null, &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_refused_announced_or_not() {
    let swallow = |body: Bytes| async move { body.len().to_string() };
    let service = serve(Router::new().fallback(any(swallow))).await;
    let site = Site::open(&service, "body_bytes_max: 1KiB").await;
    let token = site.token(3000);
    let post =
        |bytes: usize| Call::new(Method::POST, &at(&site.door, "/")).bearer(&token).body(vec![b'x'; bytes]);
    assert_eq!(post(1024).send().await.body.as_ref(), b"1024");
    post(1025).send().await.expect_refusal(413, "BODY_TOO_LARGE", "NONE");

    let head = format!(
        "POST / HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
    let mut stream = TcpStream::connect(site.door.address()).await.expect("a connection");
    stream.write_all(format!("{head}{chunk}{chunk}").as_bytes()).await.expect("it is sent");
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 413");
    close(site.door).await;
}

/// A service that switches protocols and then sends back what it gets.
async fn switching() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let head = read_head(&mut stream).await;
                assert!(head.contains("upgrade: websocket"), "{head}");
                let answer =
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
                stream.write_all(answer.as_bytes()).await.expect("it is sent");
                let (mut from, mut to) = stream.split();
                // Ends when the front door does.
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    format!("http://{address}")
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
    String::from_utf8(head).expect("text")
}

async fn web_socket(site: &Site, token: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(site.door.address()).await.expect("a connection");
    let head = format!(
        "GET /socket HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer {token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("it is sent");
    let head = read_head(&mut stream).await;
    (stream, head)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_socket_passes_for_a_user_and_ends_with_their_token() {
    let site = Site::open(&switching().await, "user_token: drop").await;
    let (_, refused) = web_socket(&site, "a.b.c").await;
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");

    let (mut stream, head) = web_socket(&site, &site.token(2)).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    stream.write_all(b"ping").await.expect("it is sent");
    let mut echo = [0; 4];
    stream.read_exact(&mut echo).await.expect("an echo");
    assert_eq!(&echo, b"ping");
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the tunnel outlives its user's token");
    close(site.door).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_answer_is_broken_off_with_the_token_and_not_ended() {
    let endless = || async {
        let pieces = futures_util::stream::unfold((), |()| async {
            tokio::task::yield_now().await;
            Some((Ok::<_, Infallible>(Bytes::from_static(b"data: tick\n\n")), ()))
        });
        Body::from_stream(pieces)
    };
    let service = serve(Router::new().fallback(any(endless))).await;
    let site = Site::open(&service, "user_token: drop").await;
    let mut stream = TcpStream::connect(site.door.address()).await.expect("a connection");
    let head = format!("GET / HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer {}\r\n\r\n", site.token(2));
    stream.write_all(head.as_bytes()).await.expect("it is sent");
    let last = read_to_end(&mut stream).await;
    assert!(!last.ends_with(b"0\r\n\r\n"), "a client would take it for the whole");
    close(site.door).await;
}
