//! A connection over HTTP/1 from its first request to its end. While it is used hyper reads and writes it; of an idle one
//! hyper would keep two buffers and a state of its own, 16 KiB, so when nobody has used it for a moment hyper is dropped, the
//! stream comes back, and another hyper takes it when the next request begins.

use std::convert::Infallible;
use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1::{Builder, UpgradeableConnection};
use hyper::service::Service;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::drain::Drain;
use super::framing::{FramedStream, Signals, leave};
use super::lent::{Lent, Loan, lend};
use super::preface::Rewound;
use super::resettable::Resettable;
use super::serve::finish;
use crate::limits::{CLIENT_WAKING_BYTES_MAX, HTTP1_READ_BUFFER_BYTES_MAX};
use crate::stream::{ClientConnection, ConnectionEnd, SignsOfUse};

/// hyper with a stream that is lent to it.
type Connection<S, H> = UpgradeableConnection<TokioIo<FramedStream<Rewound<Lent<S>>>>, H>;

/// Why hyper goes on no longer.
enum Stop<T> {
    Over(T),
    Cut,
    /// An answer ends before its end, and what came before that is written.
    BrokenOff,
    /// Nobody uses the connection, and hyper holds nothing of it.
    Rest,
}

/// Serves a connection that begins with `bytes`, by a service for each time that it is used. `None` if it was cut.
pub(super) async fn serve<S, H, B>(
    mut bytes: Vec<u8>,
    mut stream: S,
    service: impl Fn(Arc<Signals>) -> H,
    watch: &ClientConnection,
    drain: &Drain,
) -> Option<hyper::Result<()>>
where
    S: AsyncRead + AsyncWrite + Resettable + Unpin + Send + 'static,
    H: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    watch.end_without(SignsOfUse::Bytes);
    loop {
        let signals = Arc::new(Signals::default());
        let (lent, loan) = lend(stream);
        let claim = Claim { loan, signals: &signals };
        let framed = FramedStream::new(Rewound::new(bytes, lent), Arc::clone(&signals));
        let connection = Builder::new()
            // hyper sees whole heads alone, and waits for the next one as long as the connection is not cut.
            .header_read_timeout(None)
            .max_buf_size(HTTP1_READ_BUFFER_BYTES_MAX)
            .serve_connection(TokioIo::new(framed), service(Arc::clone(&signals)))
            .with_upgrades();
        let end = match use_it(Box::pin(connection), &signals, watch, drain).await {
            Stop::Rest => None,
            Stop::Over(served) => Some(served),
            // Given up as it is.
            Stop::Cut => return None,
            Stop::BrokenOff if signals.ends_with_answer() => return Some(Ok(())),
            Stop::BrokenOff => {
                // Its own client sees by its framing that it is no whole one. Those before it are.
                let mut returned = claim.loan.returned()?;
                return finish(pin!(leave(&mut returned)), watch).await.map(Ok);
            }
        };
        let returned = claim.loan.returned();
        if let Some(served) = end {
            // hyper lets a connection go as it is whose client once asked to switch, whatever it was answered.
            let left = returned.filter(|_| served.is_ok() && !signals.is_shut_down());
            let Some(mut left) = left else { return Some(served) };
            return finish(pin!(leave(&mut left)), watch).await.map(|()| served);
        }
        stream = returned?;
        match rest(&mut stream, watch, drain).await {
            Some(waking) => bytes = waking,
            None => return finish(pin!(stream.shutdown()), watch).await.map(|_| Ok(())),
        }
    }
}

/// The claim to the stream that hyper has. Where it is given up, as with every connection that is still open when the process
/// ends, an answer that was on its way is broken off.
struct Claim<'a, S: Resettable> {
    loan: Loan<S>,
    signals: &'a Signals,
}

impl<S: Resettable> Drop for Claim<'_, S> {
    fn drop(&mut self) {
        if self.signals.ends_with_answer() {
            self.loan.returned().iter().for_each(Resettable::reset_when_dropped);
        }
    }
}

/// The body of an answer of which hyper never hears that it breaks off: it would give up all that it has not written yet, and
/// be it of whole answers.
pub(super) struct WrittenOut<B> {
    inner: B,
    signals: Arc<Signals>,
    is_broken_off: bool,
}

impl<B> WrittenOut<B> {
    pub(super) fn new(inner: B, signals: Arc<Signals>) -> Self {
        Self { inner, signals, is_broken_off: false }
    }
}

impl<B: Body + Unpin> Body for WrittenOut<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        if self.is_broken_off {
            return Poll::Pending;
        }
        match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
            Some(Err(_)) => {
                self.is_broken_off = true;
                self.signals.break_off();
                // Whoever drives the connection is woken, and drops this.
                Poll::Pending
            }
            frame => Poll::Ready(frame),
        }
    }

    fn is_end_stream(&self) -> bool {
        !self.is_broken_off && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Has hyper serve the connection until it ends, or may rest. What hyper has is dropped with this.
async fn use_it<S, H, B>(
    mut connection: Pin<Box<Connection<S, H>>>,
    signals: &Signals,
    watch: &ClientConnection,
    drain: &Drain,
) -> Stop<hyper::Result<()>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    loop {
        tokio::select! {
            biased;
            served = connection.as_mut() => return Stop::Over(served),
            () = signals.broken_off() => return Stop::BrokenOff,
            end = watch.end_or_rest() => match end {
                Some(ConnectionEnd::Cut) => return Stop::Cut,
                Some(ConnectionEnd::Unused) => break,
                // No request is under way, the client takes what is written to it, and every byte that came was a whole
                // request's: hyper has worked off all that it had.
                None if signals.is_between_requests() => return Stop::Rest,
                None => {}
            },
            () = drain.idle_over().cancelled() => break,
        }
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        biased;
        served = finish(connection.as_mut(), watch) => served.map_or(Stop::Cut, Stop::Over),
        () = signals.broken_off() => Stop::BrokenOff,
    }
}

/// Waits for the first bytes of the next request. `None` if there will be none.
async fn rest(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    watch: &ClientConnection,
    drain: &Drain,
) -> Option<Vec<u8>> {
    tokio::select! {
        biased;
        read = waking_bytes(stream) => read.ok().filter(|bytes| !bytes.is_empty()),
        _ = watch.end() => None,
        () = drain.idle_over().cancelled() => None,
    }
}

/// What comes next, read by a buffer that is there only while something comes.
async fn waking_bytes(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    poll_fn(|context| {
        let mut bytes = [0; CLIENT_WAKING_BYTES_MAX];
        let mut buffer = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().to_vec()))
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::time::Duration;

    use bytes::Bytes;
    use futures_util::stream;
    use http_body_util::{BodyExt as _, StreamBody};
    use hyper::service::service_fn;
    use tokio::io::{AsyncReadExt, DuplexStream, duplex};
    use tokio::sync::Notify;
    use tokio::task::JoinHandle;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::limits::{CLIENT_IDLE_TIMEOUT, CLIENT_REST_DELAY};
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
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
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

    /// A connection that is served, and its client. Time passes when everybody waits.
    struct Served {
        client: DuplexStream,
        /// How often hyper began to use it.
        uses: Rc<Cell<usize>>,
        /// An answer waits for it if there is something of this in the request's head.
        slow: Arc<Notify>,
        stop: CancellationToken,
        serving: JoinHandle<Option<bool>>,
    }

    fn serve_one(room: usize) -> Served {
        let (client, stream) = duplex(room);
        let open = OpenStreams::new(CLIENT_IDLE_TIMEOUT, Arc::<CutConnections>::default());
        let (uses, slow) = (Rc::new(Cell::new(0)), Arc::new(Notify::new()));
        let (stop, watch) = (CancellationToken::new(), open.connection());
        let drain = Drain::new(&stop);
        tokio::task::spawn_local(async move { open.watch().await });
        let ending = drain.clone();
        let stopped = stop.clone();
        tokio::task::spawn_local(async move {
            stopped.cancelled().await;
            ending.close_idle_after(Duration::from_secs(1)).await;
        });
        let (counted, slowed) = (Rc::clone(&uses), Arc::clone(&slow));
        let serving = tokio::task::spawn_local(async move {
            let stream = watch.watched(Keeping { stream, kept: Vec::new() });
            let service = |_: Arc<Signals>| {
                counted.set(counted.get() + 1);
                let (streams, slowed) = (watch.streams(), Arc::clone(&slowed));
                service_fn(move |request: Request<Incoming>| {
                    let (under_way, slowed) = (streams.begin_request(), Arc::clone(&slowed));
                    async move {
                        if request.uri().path() == "/slow" {
                            slowed.notified().await;
                        }
                        let body = request.into_body().collect().await.expect("a whole body").to_bytes();
                        assert!(body.is_empty() || body == "body");
                        drop(under_way);
                        Ok::<_, Infallible>(Response::new(ANSWER.to_owned()))
                    }
                })
            };
            serve(Vec::new(), stream, service, &watch, &drain).await.map(|served| served.is_ok())
        });
        Served { client, uses, slow, stop, serving }
    }

    impl Served {
        async fn send(&mut self, bytes: &[u8]) {
            self.client.write_all(bytes).await.expect("it is open");
        }

        async fn answer(&mut self) {
            let mut read = Vec::new();
            while !read.ends_with(ANSWER.as_bytes()) {
                assert_ne!(self.client.read_buf(&mut read).await.expect("an answer"), 0, "it was closed");
            }
            assert!(read.starts_with(b"HTTP/1."));
        }
    }

    async fn a_moment() {
        tokio::time::sleep(3 * CLIENT_REST_DELAY).await;
    }

    fn test(future: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        tokio::task::LocalSet::new().block_on(&runtime.expect("a runtime"), future);
    }

    #[test]
    fn an_idle_connection_rests_and_serves_the_next_request_as_before() {
        test(async {
            let mut served = serve_one(64 * 1024);
            for uses in 1..4 {
                served.send(REQUEST).await;
                served.answer().await;
                served.send(REQUEST).await;
                served.answer().await;
                assert_eq!(served.uses.get(), uses, "who is soon back finds hyper there");
                a_moment().await;
            }
            // The next one comes in pieces, and with another one behind it.
            for piece in [REQUEST, REQUEST].concat().chunks(7) {
                served.send(piece).await;
                tokio::task::yield_now().await;
            }
            served.answer().await;
            a_moment().await;
            assert_eq!(served.uses.get(), 4);
            // And its head is longer than what wakes it.
            let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Long: {}\r\n\r\n", "x".repeat(20_000));
            served.send(long.as_bytes()).await;
            served.answer().await;
            assert_eq!(served.uses.get(), 5);
        });
    }

    #[test]
    fn a_connection_with_something_under_way_does_not_rest() {
        test(async {
            let mut served = serve_one(64 * 1024);
            let (head, body) = REQUEST.split_at(30);
            served.send(head).await;
            a_moment().await;
            served.send(body).await;
            served.answer().await;
            a_moment().await;
            // A body that is on its way, and an answer that is.
            served.send(&REQUEST[..REQUEST.len() - 1]).await;
            a_moment().await;
            assert_eq!(served.uses.get(), 2);
            served.send(b"y").await;
            served.answer().await;
            served.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
            a_moment().await;
            served.slow.notify_one();
            served.answer().await;
            assert_eq!(served.uses.get(), 2);
        });
    }

    #[test]
    fn an_answer_that_the_client_does_not_take_is_not_lost() {
        test(async {
            let mut served = serve_one(16);
            served.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            a_moment().await;
            served.answer().await;
            assert_eq!(served.uses.get(), 1);
        });
    }

    /// hyper writes no more of what it has once it hears of an error.
    #[test]
    fn what_came_before_an_answer_that_breaks_off_is_written() {
        test(async {
            let (mut client, stream) = duplex(128);
            let open = OpenStreams::new(CLIENT_IDLE_TIMEOUT, Arc::<CutConnections>::default());
            let (watch, drain) = (open.connection(), Drain::new(&CancellationToken::new()));
            let serving = tokio::task::spawn_local(async move {
                let stream = watch.watched(Keeping { stream, kept: Vec::new() });
                let service = |signals: Arc<Signals>| {
                    service_fn(move |request: Request<Incoming>| {
                        let signals = Arc::clone(&signals);
                        let end =
                            (request.uri().path() != "/whole").then(|| Err(io::Error::other("it broke")));
                        let pieces = [Ok(Frame::data(Bytes::from_static(b"piece")))].into_iter().chain(end);
                        let body = WrittenOut::new(StreamBody::new(stream::iter(pieces)), signals);
                        async move { Ok::<_, Infallible>(Response::new(body)) }
                    })
                };
                serve(Vec::new(), stream, service, &watch, &drain).await.map(|served| served.is_ok())
            });
            let heads =
                ["whole", "whole", "part"].map(|path| format!("GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n"));
            client.write_all(heads.concat().as_bytes()).await.expect("it is open");
            // All of them are answered, and there is room for one answer and a part of the next.
            a_moment().await;
            let mut read = String::new();
            client.read_to_string(&mut read).await.expect("an end");
            let bodies = read.split("HTTP/1.1 200 OK").skip(1);
            let bodies = bodies.map(|answer| answer.split("\r\n\r\n5\r\n").nth(1)).collect::<Vec<_>>();
            let whole = Some("piece\r\n0\r\n\r\n");
            assert_eq!(bodies, [whole, whole, Some("piece\r\n")], "{read}");
            assert_eq!(serving.await.expect("no panic"), Some(true));
        });
    }

    #[test]
    fn a_connection_that_has_to_close_closes_though_its_client_is_slow_to_take_the_answer() {
        test(async {
            let mut served = serve_one(40);
            served.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n").await;
            a_moment().await;
            served.answer().await;
            let end = tokio::time::timeout(CLIENT_REST_DELAY, served.client.read(&mut [0])).await;
            assert_eq!(end.expect("at once").expect("an end"), 0);
            assert_eq!((served.uses.get(), served.serving.await.expect("no panic")), (1, Some(true)));
        });
    }

    #[test]
    fn a_connection_at_rest_ends_with_its_client_and_when_the_process_stops() {
        test(async {
            let mut served = serve_one(64 * 1024);
            served.send(REQUEST).await;
            served.answer().await;
            a_moment().await;
            drop(served.client);
            assert_eq!(served.serving.await.expect("no panic"), Some(true));

            let mut served = serve_one(64 * 1024);
            served.send(REQUEST).await;
            served.answer().await;
            a_moment().await;
            served.stop.cancel();
            assert_eq!(served.client.read(&mut [0]).await.expect("an end"), 0);
            assert_eq!(served.serving.await.expect("no panic"), Some(true));
        });
    }

    #[test]
    fn a_connection_at_rest_is_closed_when_it_was_idle_for_long() {
        test(async {
            let mut served = serve_one(64 * 1024);
            served.send(REQUEST).await;
            served.answer().await;
            let since = tokio::time::Instant::now();
            assert_eq!(served.client.read(&mut [0]).await.expect("an end"), 0);
            let idle = since.elapsed();
            assert!(idle >= CLIENT_IDLE_TIMEOUT && idle < CLIENT_IDLE_TIMEOUT + 2 * CLIENT_REST_DELAY);
            assert_eq!(served.uses.get(), 1);
        });
    }
}
