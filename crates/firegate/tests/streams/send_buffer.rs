//! How much of an answer the door keeps for a client over HTTP/2 that reads slowly.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::site::{Site, empty, in_time, listen};

const PIECE_BYTES: usize = 16 * 1024;

/// What the client lets the door send ahead of its reading.
const CLIENT_WINDOW_BYTES: u32 = 64 * 1024;

/// Pieces that the client reads, each after another request has gone to the service and back.
const PIECES: usize = 300;

/// What the service may be ahead of the client: its own buffer, the door's window and buffer (128 and 64 KiB), the client's
/// window, and a piece at each of them. By hyper's own default the door's buffer alone would be 400 KiB.
const AHEAD_BYTES_MAX: usize = 400 * 1024;

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

#[tokio::test(flavor = "multi_thread")]
async fn what_a_slow_reader_has_not_taken_stays_with_the_service() {
    let (sent, url) = service().await;
    let site = Site::open(&url, "protocol: h2c").await;
    let request = |path: &str| {
        let request = Request::get(format!("http://{}{path}", site.door.address()));
        let request = request.header("authorization", format!("Bearer {}", site.token(3000)));
        request.body(empty()).expect("a request")
    };
    let mut slow = site.http2(CLIENT_WINDOW_BYTES).await;
    let mut other = site.http2(CLIENT_WINDOW_BYTES).await;
    let mut answer = in_time(slow.send_request(request("/endless"))).await.expect("an answer").into_body();
    let (mut read, mut ahead_max) = (0, 0);
    for _ in 0..PIECES {
        let passed = in_time(other.send_request(request("/"))).await.expect("an answer");
        in_time(passed.into_body().collect()).await.expect("a whole body");
        let frame = in_time(answer.frame()).await.expect("there is more").expect("it goes on");
        read += frame.into_data().expect("data").len();
        ahead_max = ahead_max.max(sent.load(Ordering::SeqCst).saturating_sub(read));
    }
    assert!(ahead_max > CLIENT_WINDOW_BYTES as usize, "the service waits for the client: {ahead_max}");
    assert!(ahead_max <= AHEAD_BYTES_MAX, "{ahead_max}");
    drop((answer, slow, other));
    site.close().await;
}
