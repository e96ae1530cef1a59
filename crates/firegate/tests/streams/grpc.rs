//! gRPC through the door, by tonic on both sides: every kind of call, its metadata, trailers and deadline, and how a stream
//! ends with its user's lease.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use futures_util::{Stream, StreamExt, future::BoxFuture, stream};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tonic::body::Body;
use tonic::client::Grpc as Client;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http;
use tonic::metadata::MetadataValue;
use tonic::server::{Grpc as Server, StreamingService, UnaryService};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status, Streaming};

use crate::site::{Site, in_time};
use crate::stack::authority::Authority;
use crate::stack::door_trusting;
use crate::stack::server::listen;

/// Messages that are bytes, so that no compiler of protocol buffers is needed.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

type Messages = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

/// Answers with what it got: each message as it comes.
#[derive(Clone, Copy)]
struct Echo;

async fn answer(request: http::Request<Incoming>) -> Result<http::Response<Body>, Infallible> {
    let request = request.map(Body::new);
    Ok(match request.uri().path() {
        "/test.Echo/Say" => Server::new(Raw).unary(Echo, request).await,
        "/test.Echo/Count" => Server::new(Raw).streaming(Count, request).await,
        _ => Server::new(Raw).streaming(Echo, request).await,
    })
}

impl UnaryService<Bytes> for Echo {
    type Response = Bytes;
    type Future = BoxFuture<'static, Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        Box::pin(async move {
            let metadata = request.metadata();
            let seen = |name: &str| {
                metadata.get(name).and_then(|value| value.to_str().ok()).unwrap_or("-").to_owned()
            };
            let (user, deadline) = (seen("x-firegate-user-id"), seen("grpc-timeout"));
            match request.get_ref().as_ref() {
                b"refuse" => {
                    let mut status = Status::new(Code::FailedPrecondition, "not now: 100 %");
                    status.metadata_mut().insert("x-detail", MetadataValue::from_static("kept"));
                    Err(status)
                }
                b"hang" => std::future::pending().await,
                _ => Ok(Response::new(Bytes::from(format!("{user} {deadline}")))),
            }
        })
    }
}

impl StreamingService<Bytes> for Echo {
    type Response = Bytes;
    type ResponseStream = Messages;
    type Future = BoxFuture<'static, Result<Response<Messages>, Status>>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        Box::pin(async move { Ok(Response::new(Box::pin(request.into_inner()) as Messages)) })
    }
}

/// Counts to twelve, one number each half second, and then is silent.
struct Count;

impl StreamingService<Bytes> for Count {
    type Response = Bytes;
    type ResponseStream = Messages;
    type Future = BoxFuture<'static, Result<Response<Messages>, Status>>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        let numbers = stream::iter(0..12_u8).then(|number| async move {
            tokio::time::sleep(Duration::from_millis(500)).await;
            Ok(Bytes::from(vec![number]))
        });
        let numbers = numbers.chain(request.into_inner());
        Box::pin(async move { Ok(Response::new(Box::pin(numbers) as Messages)) })
    }
}

/// Serves the service over TLS, where HTTP/2 is agreed on by ALPN.
fn serve(listener: TcpListener, authority: &Authority) {
    let certificate = authority.issue("service", &["127.0.0.1"]);
    let key = PrivateKeyDer::from_pem_file(authority.file("service-key.pem")).expect("a key");
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a certificate");
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let stream = TokioIo::new(acceptor.accept(stream).await.expect("TLS"));
                let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                // Ends when the front door does.
                let _ = builder.serve_connection(stream, service_fn(answer)).await;
            });
        }
    });
}

/// A door before the service, and a client of it.
async fn opened() -> (Site, Client<Channel>) {
    opened_with("user_token: drop").await
}

async fn opened_with(settings: &str) -> (Site, Client<Channel>) {
    let (listener, url) = listen().await;
    let authority = Authority::new();
    serve(listener, &authority);
    let root = authority.root();
    let service = url.replace("http:", "https:");
    let site = Site::open_by(&service, &format!("credential: none, {settings}"), |text, clock| {
        door_trusting(text, clock, root)
    })
    .await;
    let channel = Endpoint::new(format!("http://{}", site.door.address())).expect("an address");
    let channel = in_time(channel.connect()).await.expect("a connection");
    (site, Client::new(channel))
}

/// A call with a token of so many seconds.
fn with_token<T>(site: &Site, seconds: i64, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let bearer = format!("Bearer {}", site.token(seconds)).parse().expect("a value");
    request.metadata_mut().insert("authorization", bearer);
    request
}

async fn say(
    site: &Site,
    client: &mut Client<Channel>,
    seconds: i64,
    message: &'static str,
) -> Result<Bytes, Status> {
    let mut request = with_token(site, seconds, Bytes::from_static(message.as_bytes()));
    request.set_timeout(Duration::from_secs(30));
    in_time(client.ready()).await.expect("a connection");
    let path = http::uri::PathAndQuery::from_static("/test.Echo/Say");
    in_time(client.unary(request, path, Raw)).await.map(Response::into_inner)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_passes_with_its_user_its_deadline_and_its_status() {
    let (site, mut client) = opened().await;
    let answer = say(&site, &mut client, 3000, "hello").await.expect("an answer");
    let answer = String::from_utf8(answer.to_vec()).expect("text");
    assert!(answer.starts_with("eve ") && !answer.ends_with('-'), "the deadline goes on: {answer}");
    let status = say(&site, &mut client, 3000, "refuse").await.expect_err("a status");
    assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, "not now: 100 %"));
    assert_eq!(status.metadata().get("x-detail").map(|value| value.as_bytes()), Some(&b"kept"[..]));
    let status = say(&site, &mut client, -1, "hello").await.expect_err("a status");
    assert_eq!(status.code(), Code::Unauthenticated);
    let reason = status.metadata().get("x-firegate-reason").map(|value| value.as_bytes());
    assert_eq!(reason, Some(&b"TOKEN_EXPIRED"[..]));
    site.close().await;
}

/// Opens a stream of both directions: what is sent into the channel comes back in the stream.
async fn chat(
    site: &Site,
    client: &mut Client<Channel>,
    seconds: i64,
) -> (mpsc::UnboundedSender<Bytes>, Streaming<Bytes>) {
    call(site, client, "/test.Echo/Chat", seconds).await
}

async fn call(
    site: &Site,
    client: &mut Client<Channel>,
    path: &'static str,
    seconds: i64,
) -> (mpsc::UnboundedSender<Bytes>, Streaming<Bytes>) {
    let (say, said) = mpsc::unbounded_channel();
    let messages =
        stream::unfold(said, |mut said| async { said.recv().await.map(|message| (message, said)) });
    in_time(client.ready()).await.expect("a connection");
    let path = http::uri::PathAndQuery::from_static(path);
    let answer = in_time(client.streaming(with_token(site, seconds, messages), path, Raw)).await;
    (say, answer.expect("a stream").into_inner())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_message_of_a_stream_passes_before_the_next_one_is_sent() {
    let (site, mut client) = opened().await;
    let (say, mut heard) = chat(&site, &mut client, 3000).await;
    for message in ["one", "two", "three"] {
        say.send(Bytes::from_static(message.as_bytes())).expect("it is sent");
        assert_eq!(
            in_time(heard.next()).await.expect("a message").expect("no status").as_ref(),
            message.as_bytes()
        );
    }
    drop(say);
    assert!(in_time(heard.next()).await.is_none(), "the service ends it well");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_lease_and_says_so() {
    let (site, mut client) = opened().await;
    let (say, mut heard) = chat(&site, &mut client, 3).await;
    say.send(Bytes::from_static(b"one")).expect("it is sent");
    assert_eq!(in_time(heard.next()).await.expect("a message").expect("no status").as_ref(), b"one");
    let status = in_time(heard.next()).await.expect("an end").expect_err("a status");
    assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "the user's token expired"));
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_idle_only_if_nothing_moves_in_either_direction() {
    let (site, mut client) = opened_with("timeouts: { idle: 2s }").await;
    // The service counts for six seconds, and the client only listens.
    let (_say, mut heard) = call(&site, &mut client, "/test.Echo/Count", 3000).await;
    for number in 0..12_u8 {
        let message = in_time(heard.next()).await.expect("a message").expect("no status");
        assert_eq!(message.as_ref(), [number]);
    }
    // Then it only listens too, and nobody says anything any more.
    let status = in_time(heard.next()).await.expect("an end").expect_err("a status");
    assert_eq!(
        (status.code(), status.message()),
        (Code::DeadlineExceeded, "no more of the body came in time")
    );
    site.close().await;
}

/// The client's own deadline, of half a minute, is the service's affair; the backend's time is the door's.
#[tokio::test(flavor = "multi_thread")]
async fn what_takes_longer_than_its_backend_allows_is_told_as_a_deadline_and_is_no_whole() {
    let (site, mut client) = opened_with("timeouts: { total: 2s }").await;
    let status = say(&site, &mut client, 3000, "hang").await.expect_err("a status");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    let reason = status.metadata().get("x-firegate-reason").map(|value| value.as_bytes());
    assert_eq!(reason, Some(&b"UPSTREAM_TIMED_OUT"[..]));
    // It counts for six seconds.
    let (_say, mut heard) = call(&site, &mut client, "/test.Echo/Count", 3000).await;
    let mut messages = 0;
    let end = loop {
        match in_time(heard.next()).await {
            Some(Ok(_)) => messages += 1,
            end => break end,
        }
    };
    let status = end.expect("an end").expect_err("a status");
    let why = "the request and its answer took longer than they may in all";
    assert_eq!((status.code(), status.message()), (Code::DeadlineExceeded, why));
    assert!(messages < 12, "{messages}");
    site.close().await;
}
