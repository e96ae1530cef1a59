//! Requests to services over real sockets.

mod bodies;
mod early;
mod endpoints;
mod expectations;
mod health;
mod http1;
mod http2;
mod kept;
#[cfg(target_os = "linux")]
mod machine;
mod retries;
mod reuse;
mod tls;
mod unprocessed;

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use firegate_core::reason::Code;
use firegate_core::snapshot::Snapshot;
use firegate_files::configuration;
use firegate_google::http::Roots;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use hyper::server::conn;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::endpoint::Endpoint;
use super::figures::EndpointFigures;
use super::resolve::{Resolve, Resolving};
use super::{OwnFields, Sending, ServiceBody, TimeLimits, Upstream, Upstreams};
use crate::panics::Panics;
use crate::refused::Refused;
use crate::stream::{Body, BodyError, BodyProgress, Streamed, full};

/// How long something may take that ought to happen at once, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// The names that are known, which a test may change.
#[derive(Clone, Debug, Default)]
struct Names(Arc<Mutex<HashMap<String, SocketAddr>>>);

impl Names {
    fn set(&self, name: &str, address: SocketAddr) {
        self.0.lock().expect("the names").insert(name.to_owned(), address);
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, host: &'a str, _: u16) -> Resolving<'a> {
        let known = self.0.lock().expect("the names").get(host).copied();
        Box::pin(
            async move { known.map(|address| vec![address]).ok_or_else(|| io::Error::other("no such name")) },
        )
    }
}

/// A name with two addresses, whichever it is.
#[derive(Debug)]
struct Two([SocketAddr; 2]);

impl Resolve for Two {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> Resolving<'a> {
        Box::pin(std::future::ready(Ok(self.0.to_vec())))
    }
}

/// The way to one backend.
struct Site {
    upstreams: Upstreams,
    upstream: Arc<Upstream>,
    names: Names,
}

impl Site {
    /// With a backend of these settings.
    fn new(settings: &str) -> Self {
        let names = Names::default();
        let upstreams = upstreams(names.clone(), Arc::default(), 2);
        let upstream = open(&upstreams, settings);
        Self { upstreams, upstream, names }
    }

    fn endpoint(&self, index: usize) -> Arc<Endpoint> {
        Arc::clone(&self.upstreams.endpoints()[index])
    }

    /// What is told of its endpoints.
    fn figures(&self) -> Vec<EndpointFigures> {
        self.upstreams.endpoint_figures(&[&self.upstream])
    }

    /// Sends as the door does: again, where that may be.
    async fn send(
        &self,
        method: Method,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Result<Response<ServiceBody>, Refused> {
        self.send_watched(method, headers, body, BodyProgress::default()).await
    }

    /// The same with a body that tells how far it is.
    async fn send_watched(
        &self,
        method: Method,
        headers: &[(&str, &str)],
        body: Body,
        progress: BodyProgress,
    ) -> Result<Response<ServiceBody>, Refused> {
        let mut passage = self.upstream.enter(0, TimeLimits::default())?;
        let sending = Sending { progress, ..sending() };
        let mut body = body;
        loop {
            let mut request = Request::new(body);
            *request.method_mut() = method.clone();
            for (name, value) in headers {
                let name = http::HeaderName::from_bytes(name.as_bytes()).expect("a name");
                request.headers_mut().insert(name, value.parse().expect("a value"));
            }
            match passage.send(request, &sending).await {
                Ok(response) => return Ok(response),
                Err(failure) => (passage, body) = failure.again()?,
            }
        }
    }

    async fn get(&self) -> Result<Answer, Refused> {
        Ok(Answer::read(self.send(Method::GET, &[], full("")).await?).await)
    }

    async fn post(&self, body: Body) -> Result<Answer, Refused> {
        Ok(Answer::read(self.send(Method::POST, &[], body).await?).await)
    }
}

fn sending() -> Sending<'static> {
    let target = "/a?b=c".parse().expect("a target");
    let (own_fields, progress) = (OwnFields::default(), BodyProgress::default());
    Sending { target, own_fields, host: None, wants_upgrade: false, progress }
}

fn upstreams(resolver: impl Resolve + 'static, panics: Arc<Panics>, workers: usize) -> Upstreams {
    let (resolver, roots) = (Arc::new(resolver), Roots::Given(Vec::new()));
    Upstreams::new(Handle::current(), panics, resolver, roots, workers).expect("TLS is there")
}

fn open(upstreams: &Upstreams, settings: &str) -> Arc<Upstream> {
    let backends = format!("{{ api: {{ plaintext: allow, {settings} }} }}");
    let text = format!("project: demo-project\nallow: [allUsers]\nbackends: {backends}\n");
    let configuration = configuration::parse("firegate.yaml", &text).expect("a configuration");
    upstreams.open(&Snapshot::compile(&configuration).backends[0]).expect("a way")
}

/// An answer that came whole.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    body: Bytes,
    trailers: Option<HeaderMap>,
}

impl Answer {
    async fn read(response: Response<ServiceBody>) -> Self {
        let (parts, body) = response.into_parts();
        let whole = body.collect().await.expect("a whole body");
        let trailers = whole.trailers().cloned();
        Self { status: parts.status, body: whole.to_bytes(), trailers }
    }
}

fn code(outcome: Result<Answer, Refused>) -> Code {
    outcome.expect_err("no answer").code()
}

/// Answers with what is sent, as it comes.
async fn echo(request: Request<Incoming>) -> Response<Body> {
    Response::new(request.into_body().map_err(BodyError::from).streamed())
}

/// A body in pieces.
fn streamed(pieces: impl IntoIterator<Item = Bytes, IntoIter: Send + 'static>) -> Body {
    let frames = pieces.into_iter().map(|piece| Ok(Frame::data(piece)));
    StreamBody::new(futures_util::stream::iter(frames)).streamed()
}

/// A service that a test writes itself.
struct Origin {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    close: Arc<Notify>,
}

impl Origin {
    /// Each connection is served by what `serve` makes of it and of its number, from zero.
    async fn start<S, F>(serve: S) -> Self
    where
        S: Fn(TcpStream, usize) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let [connections, ended] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        let (counts, close) = ([&connections, &ended].map(Arc::clone), Arc::<Notify>::default());
        let closing = Arc::clone(&close);
        tokio::spawn(async move {
            let [connections, ended] = counts;
            while let Ok((stream, _)) = listener.accept().await {
                let served = serve(stream, connections.fetch_add(1, Ordering::Relaxed));
                let (ended, closed) = (Arc::clone(&ended), Arc::clone(&closing).notified_owned());
                tokio::spawn(async move {
                    tokio::select! {
                        () = served => {}
                        () = closed => {}
                    }
                    ended.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
        Self { address, connections, ended, close }
    }

    /// Answers every request with this text.
    async fn saying(text: &'static str) -> Self {
        Self::start(move |mut stream, _| async move {
            while let Some(_head) = head(&mut stream).await {
                say(&mut stream, text).await;
            }
        })
        .await
    }

    /// Speaks HTTP/1, and HTTP/2 with prior knowledge, of which it allows so many streams on a connection.
    async fn answering<S, F>(streams_max: u32, answer: S) -> Self
    where
        S: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        Self::start(move |stream, _| {
            let answer = answer.clone();
            async move {
                let service = service_fn(move |request| {
                    let answer = answer(request);
                    async move { Ok::<_, Infallible>(answer.await) }
                });
                let mut preface = [0; 3];
                stream.peek(&mut preface).await.expect("a request");
                let io = TokioIo::new(stream);
                let _ = match &preface {
                    b"PRI" => {
                        let mut builder = conn::http2::Builder::new(TokioExecutor::new());
                        builder.max_concurrent_streams(streams_max).serve_connection(io, service).await
                    }
                    _ => conn::http1::Builder::new().serve_connection(io, service).await,
                };
            }
        })
        .await
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Closes those that are open, and says nothing.
    fn close_all(&self) {
        self.close.notify_waiters();
    }

    /// How many of them are open.
    fn open_connections(&self) -> usize {
        self.connections() - self.ended.load(Ordering::Relaxed)
    }
}

/// Reads a request's head; `None` when there is none any more.
async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).expect("text"))
}

async fn say(stream: &mut TcpStream, text: &str) {
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
    // The other side may be gone already.
    let _ = stream.write_all(answer.as_bytes()).await;
}

/// An address at which every connection is refused: a socket has it, to the end of the process, and does not listen. A listener
/// that is closed is not gone while a process that another test starts still has it.
fn nobody() -> SocketAddr {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
    let address = socket.local_addr().expect("an address");
    std::mem::forget(socket);
    address
}

/// Lets everything that is ready happen, the system's news of sockets included.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// Time that stands still but for [`tokio::time::advance`]. Paused time alone runs on while a socket is waited for.
struct Still(#[expect(dead_code, reason = "held, not read")] std::sync::mpsc::Sender<()>);

impl Still {
    fn stand() -> Self {
        let (held, over) = std::sync::mpsc::channel();
        // While such a task runs, time does not run by itself.
        tokio::task::spawn_blocking(move || over.recv());
        Self(held)
    }
}

/// Waits for something that is bound to happen.
async fn until(mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("it happens");
}
