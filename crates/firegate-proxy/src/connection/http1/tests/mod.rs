//! A connection as its client sees it, whatever the pieces in which everything comes.

mod ending;
mod reading;
mod switching;
mod writing;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use firegate_core::time::SystemClock;
use futures_util::FutureExt as _;
use http_body_util::{BodyExt as _, Full};
use tokio::io::{AsyncReadExt as _, DuplexStream, ReadBuf, duplex};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::connection::framing::Violation;
use crate::limits::CLIENT_IDLE_TIMEOUT;
use crate::stream::{CutConnections, OpenStreams};

const REQUEST: &[u8] = b"POST / HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 4\r\n\r\nbody";
const ANSWER: &str = "answered";

/// A stream that keeps what is written until it is flushed, as TLS does.
struct Keeping {
    stream: DuplexStream,
    kept: Vec<u8>,
}

impl AsyncRead for Keeping {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Keeping {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.kept.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, kept } = &mut *self;
        while !kept.is_empty() {
            let count = ready!(Pin::new(&mut *stream).poll_write(context, kept))?;
            kept.drain(..count);
        }
        Pin::new(stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Resettable for Keeping {
    fn reset_when_dropped(&self) {}
}

/// What answers the requests of a test's connection.
struct By<F>(F);

impl<F, B> Answer for By<F>
where
    F: Fn(Request<RequestBody>, Option<ClientUpgrade>) -> BoxFuture<'static, Response<B>>,
{
    type Body = B;

    fn answer(
        &self,
        request: Request<RequestBody>,
        upgrade: Option<ClientUpgrade>,
    ) -> BoxFuture<'static, Response<B>> {
        (self.0)(request, upgrade)
    }
}

/// A connection that is served, and its client. Time passes when everybody waits.
struct Site {
    client: DuplexStream,
    stop: CancellationToken,
    serving: JoinHandle<bool>,
}

/// Serves a connection with so much room for each direction.
fn serve_by<F, B>(room: usize, answer: F) -> Site
where
    F: Fn(Request<RequestBody>, Option<ClientUpgrade>) -> BoxFuture<'static, Response<B>> + Unpin + 'static,
    B: Body<Data = Bytes> + Unpin + 'static,
{
    let (client, stream) = duplex(room);
    let open = OpenStreams::new(CLIENT_IDLE_TIMEOUT, Arc::<CutConnections>::default());
    let (stop, watch) = (CancellationToken::new(), open.connection());
    let drain = Drain::new(&stop);
    tokio::task::spawn_local(async move { open.watch().await });
    let (ending, stopped) = (drain.clone(), stop.clone());
    tokio::task::spawn_local(async move {
        stopped.cancelled().await;
        ending.close_idle_after(Duration::from_secs(1)).await;
    });
    let serving = tokio::task::spawn_local(async move {
        let stream = watch.watched(Keeping { stream, kept: Vec::new() });
        let served = Served { watch: &watch, drain: &drain, clock: &SystemClock };
        serve(Vec::new(), stream, By(answer), served).await.is_ok()
    });
    Site { client, stop, serving }
}

/// What answers without a look at the body, which it hands on.
struct Taking<T>(T);

impl<T: Fn(RequestBody)> Answer for Taking<T> {
    type Body = Full<Bytes>;

    fn answer(
        &self,
        request: Request<RequestBody>,
        _: Option<ClientUpgrade>,
    ) -> BoxFuture<'static, Response<Full<Bytes>>> {
        (self.0)(request.into_body());
        async { Response::new(Full::from("")) }.boxed()
    }
}

/// A client of somebody who answers without a look at the body, which `take` gets.
pub(crate) fn served_by(room: usize, take: impl Fn(RequestBody) + Send + Unpin + 'static) -> DuplexStream {
    let (client, stream) = duplex(room);
    let open = OpenStreams::new(CLIENT_IDLE_TIMEOUT, Arc::<CutConnections>::default());
    let (watch, drain) = (open.connection(), Drain::new(&CancellationToken::new()));
    tokio::spawn(async move {
        let stream = watch.watched(Keeping { stream, kept: Vec::new() });
        let served = Served { watch: &watch, drain: &drain, clock: &SystemClock };
        serve(Vec::new(), stream, Taking(take), served).await
    });
    client
}

/// Tells what a request was, in the body of its answer.
async fn tell(request: Request<RequestBody>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let fields = parts.headers.iter().map(|(name, value)| format!("{name}={value:?}")).collect::<Vec<_>>();
    let body = match body.collect().await {
        Ok(body) => {
            let trailers = body.trailers().map(|trailers| format!("{trailers:?}"));
            format!("{:?} {trailers:?}", body.to_bytes())
        }
        Err(error) => error.to_string(),
    };
    let violation = parts.extensions.get::<Violation>();
    let text =
        format!("{} {} {:?} {fields:?} {body} {violation:?}\n", parts.method, parts.uri, parts.version);
    Response::new(Full::from(text))
}

fn telling(room: usize) -> Site {
    serve_by(room, |request, _| tell(request).boxed())
}

fn answering(room: usize) -> Site {
    serve_by(room, |request, _| {
        async {
            let body = request.into_body().collect().await.expect("a whole body").to_bytes();
            assert!(body.is_empty() || body == "body");
            Response::new(Full::from(ANSWER))
        }
        .boxed()
    })
}

impl Site {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.client.write_all(bytes.as_ref()).await.expect("it is open");
    }

    async fn answer(&mut self) {
        let mut read = Vec::new();
        while !read.ends_with(ANSWER.as_bytes()) {
            assert_ne!(self.client.read_buf(&mut read).await.expect("an answer"), 0, "it was closed");
        }
        assert!(read.starts_with(b"HTTP/1."), "{:?}", String::from_utf8_lossy(&read));
    }

    /// What comes until the connection ends.
    async fn rest(&mut self) -> String {
        let mut read = Vec::new();
        self.client.read_to_end(&mut read).await.expect("an end");
        String::from_utf8(read).expect("text")
    }
}

async fn a_moment() {
    tokio::time::sleep(Duration::from_secs(3)).await;
}

fn test(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    tokio::task::LocalSet::new().block_on(&runtime.expect("a runtime"), future);
}

/// The bodies that [`tell`] made.
fn told(answers: &str) -> Vec<String> {
    let bodies = answers.split("HTTP/1.").skip(1).filter_map(|answer| answer.split_once("\r\n\r\n"));
    bodies.map(|(_, body)| body.trim_end().to_owned()).collect()
}
