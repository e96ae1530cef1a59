//! A front door before one service, and the services and clients that the tests put on both sides of it.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use firegate_core::jose::RsaSigner;
use firegate_core::time::{Clock, ShiftedClock};
use firegate_proxy::FrontDoor;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stack::server::serve;
use crate::stack::{claims, clock, close, door, stranger};

/// How long anything may take, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// A body as the tests send it.
pub(crate) type TestBody = BoxBody<Bytes, std::convert::Infallible>;

pub(crate) struct Site {
    pub(crate) door: FrontDoor,
    signer: RsaSigner,
    clock: ShiftedClock,
}

impl Site {
    /// A front door before `service`, with keys of its own.
    pub(crate) async fn open(service: &str, settings: &str) -> Self {
        Self::open_by(service, settings, door).await
    }

    /// The same, by another way to open the door with a configuration.
    pub(crate) async fn open_by(
        service: &str,
        settings: &str,
        door: impl FnOnce(&str, &ShiftedClock) -> FrontDoor,
    ) -> Self {
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

    /// A token that expires in so many seconds, or as soon after them as a second begins.
    pub(crate) fn token(&self, seconds: i64) -> String {
        let mut claims = claims("demo-project", self.clock.now().as_seconds());
        claims["exp"] = json!(self.clock.since_epoch().as_secs_f64().ceil() as i64 + seconds);
        self.signer.sign(&claims).expect("a token")
    }

    pub(crate) async fn close(self) {
        close(self.door).await;
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.door.address()).await.expect("a connection")
    }

    /// Sends a head, to which the host and a token of so many seconds are added, and returns the connection.
    pub(crate) async fn send(&self, first_line: &str, fields: &str, seconds: i64) -> TcpStream {
        self.send_by("HTTP/1.1", first_line, fields, seconds).await
    }

    /// The same by another version of HTTP.
    pub(crate) async fn send_by(
        &self,
        version: &str,
        first_line: &str,
        fields: &str,
        seconds: i64,
    ) -> TcpStream {
        self.send_head(&format!("{first_line} {version}"), fields, &self.token(seconds)).await
    }

    /// Sends a head with a token that was made before.
    pub(crate) async fn send_with(&self, first_line: &str, token: &str) -> TcpStream {
        self.send_head(&format!("{first_line} HTTP/1.1"), "", token).await
    }

    async fn send_head(&self, first_line: &str, fields: &str, token: &str) -> TcpStream {
        let mut stream = self.connect().await;
        let head = format!("{first_line}\r\nHost: door\r\nAuthorization: Bearer {token}\r\n{fields}\r\n");
        stream.write_all(head.as_bytes()).await.expect("it is sent");
        stream
    }

    /// An HTTP/2 connection with prior knowledge, whose windows are as large as given.
    pub(crate) async fn http2(&self, window_bytes: u32) -> SendRequest<TestBody> {
        let stream = TokioIo::new(self.connect().await);
        let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(window_bytes).initial_connection_window_size(1 << 20);
        let (sender, connection) = builder.handshake(stream).await.expect("HTTP/2");
        tokio::spawn(connection);
        sender
    }
}

pub(crate) fn empty() -> TestBody {
    Empty::new().boxed()
}

/// Reads a message's head.
pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(in_time(stream.read_u8()).await.expect("a byte of the head"));
    }
    String::from_utf8(head).expect("text")
}

/// Reads what still comes until the other side is done, or breaks off.
pub(crate) async fn read_rest(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut rest = Vec::new();
    // A reset is an end as well, and what came before it counts.
    let _ = in_time(stream.read_to_end(&mut rest)).await;
    rest
}

/// Waits, but not for ever.
pub(crate) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it comes in time")
}
