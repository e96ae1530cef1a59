//! How much of an answer the door keeps for a client over HTTP/2 that takes nothing of it.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::site::{Site, TestBody, empty, in_time};
use crate::stack::server::listen;

const PIECE_BYTES: usize = 16 * 1024;

/// What the client lets the door send of each answer, as it says. It takes nothing.
const CLIENT_WINDOW_BYTES: u32 = 1024 * 1024;

/// How many answers the client has begun, all on one connection.
const ANSWERS: usize = 99;

/// What the door may take of each: its window and its buffer (128 and 64 KiB), and a piece or two at every hand that it goes
/// through. By hyper's own default the buffer alone would be 400 KiB.
const AHEAD_BYTES_MAX: usize = 300 * 1024;

/// What the system's own buffers of the connection hold.
const SYSTEM_BYTES_MAX: usize = 10 * 1024 * 1024;

/// So many requests of another client pass while the service sends nothing: it waits then.
const PASSED_MEANWHILE: usize = 50;

/// An answer without an end, which counts what is taken of it.
struct Endless(Arc<AtomicUsize>);

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.fetch_add(PIECE_BYTES, Ordering::SeqCst);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; PIECE_BYTES])))))
    }
}

/// A service over HTTP/2 that keeps little itself; how much of its answers it got rid of.
async fn service() -> (Arc<AtomicUsize>, String) {
    let (listener, url) = listen().await;
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let counted = Arc::clone(&counted);
            let answer = service_fn(move |request: Request<Incoming>| {
                let body = match request.uri().path() {
                    "/endless" => Either::Left(Endless(Arc::clone(&counted))),
                    _ => Either::Right(Full::new(Bytes::from_static(b"hello"))),
                };
                async { Ok::<_, Infallible>(Response::new(body)) }
            });
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.max_send_buf_size(PIECE_BYTES);
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), answer));
        }
    });
    (sent, url)
}

/// A connection from which nothing is read once `is_deaf`.
struct Deaf {
    stream: TcpStream,
    is_deaf: Arc<AtomicBool>,
}

impl AsyncRead for Deaf {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_deaf.load(Ordering::SeqCst) {
            return Poll::Pending;
        }
        Pin::new(&mut this.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Deaf {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// A client that sends requests and reads nothing, however much it said that may be sent.
async fn deaf(site: &Site) -> (SendRequest<TestBody>, JoinHandle<hyper::Result<()>>) {
    let is_deaf = Arc::new(AtomicBool::new(false));
    let stream = Deaf { stream: site.connect().await, is_deaf: Arc::clone(&is_deaf) };
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(CLIENT_WINDOW_BYTES).initial_connection_window_size(1 << 30);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.expect("HTTP/2");
    is_deaf.store(true, Ordering::SeqCst);
    (sender, tokio::spawn(connection))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_does_not_take_stays_with_the_service() {
    let (sent, url) = service().await;
    let site = Site::open(&url, "protocol: h2c").await;
    let request = |path: &str| {
        let request = Request::get(format!("http://{}{path}", site.door.address()));
        let request = request.header("authorization", format!("Bearer {}", site.token(3000)));
        request.body(empty()).expect("a request")
    };
    let (mut deaf, connection) = deaf(&site).await;
    let unread =
        (0..ANSWERS).map(|_| tokio::spawn(deaf.send_request(request("/endless")))).collect::<Vec<_>>();
    let mut other = site.http2(CLIENT_WINDOW_BYTES).await;
    let (mut passed, mut before) = (0, 0);
    while passed < PASSED_MEANWHILE {
        let answer = in_time(other.send_request(request("/"))).await.expect("an answer");
        in_time(answer.into_body().collect()).await.expect("a whole body");
        let now = sent.load(Ordering::SeqCst);
        passed = if now == before && now > 0 { passed + 1 } else { 0 };
        before = now;
        assert!(now <= ANSWERS * AHEAD_BYTES_MAX + SYSTEM_BYTES_MAX, "{now}");
    }
    assert!(before > ANSWERS * PIECE_BYTES, "all have begun: {before}");
    unread.iter().for_each(JoinHandle::abort);
    connection.abort();
    site.close().await;
}
