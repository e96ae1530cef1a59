//! Streams whose time is over and that nobody asks for more. A body has its timers, but they run only when hyper asks for
//! its next piece, and hyper asks no more while the peer does not read: over HTTP/1 the socket is full, over HTTP/2 the
//! window is closed. So what is open is also listed here, and one timer for each worker goes over the list. Whoever holds
//! a stream beyond its bounds loses the connection.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use slab::Slab;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, MissedTickBehavior};

use super::lease::Lease;
use crate::limits::{
    CLIENT_IDLE_TIMEOUT, CLIENT_WRITE_STALL_TIMEOUT, STREAM_OVERDUE_GRACE, STREAM_SWEEP_INTERVAL,
};

/// What a worker has open. Nobody but the worker takes the lock, for a few instructions each time.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenStreams(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    streams: Slab<Stream>,
    connections: Slab<Stalling>,
    cut: Arc<CutConnections>,
}

/// How many connections were cut in this process, by what their clients did.
#[derive(Debug, Default)]
pub(crate) struct CutConnections {
    stream_overdue: AtomicU64,
    write_stalled: AtomicU64,
}

/// The same at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CutFigures {
    /// They held a stream whose time was over.
    pub(crate) stream_overdue: u64,
    /// They took nothing of what was to be written.
    pub(crate) write_stalled: u64,
}

impl CutConnections {
    /// How many there were so far.
    pub(crate) fn figures(&self) -> CutFigures {
        CutFigures {
            stream_overdue: self.stream_overdue.load(Ordering::Relaxed),
            write_stalled: self.write_stalled.load(Ordering::Relaxed),
        }
    }
}

/// One body that is under way.
#[derive(Debug)]
struct Stream {
    lease: Lease,
    idle: Option<Duration>,
    connection: Arc<Connection>,
    moved: bool,
    /// Since when nothing has moved.
    still_since: Option<Instant>,
    /// Since when the lease is known to be over.
    over_since: Option<Instant>,
}

/// One connection, since when it takes nothing, and since when nobody uses it.
#[derive(Debug)]
struct Stalling {
    connection: Arc<Connection>,
    since: Option<Instant>,
    idle_since: Option<Instant>,
}

#[derive(Debug, Default)]
struct Connection {
    cut: Cut,
    /// The client has not made room for what is to be written.
    is_full: AtomicBool,
    /// Something was written since the last look.
    has_written: AtomicBool,
    /// Something was read since the last look.
    has_read: AtomicBool,
    /// It ends when nobody uses it for long.
    ends_when_idle: AtomicBool,
    /// How many requests are under way.
    requests: AtomicUsize,
}

/// Whether a connection has to end, and who learns of it. A token of tokio's would take a lock each time that the connection
/// is looked after.
#[derive(Debug, Default)]
struct Cut {
    is_due: AtomicBool,
    /// It was found that nobody uses the connection. Whoever begins to use it before it ends keeps it.
    is_idle: AtomicBool,
    waiting: AtomicWaker,
}

impl Cut {
    fn now(&self) {
        self.is_due.store(true, Ordering::Release);
        self.waiting.wake();
    }

    fn when_idle(&self) {
        self.is_idle.store(true, Ordering::Release);
        self.waiting.wake();
    }

    fn is_due(&self) -> bool {
        self.is_due.load(Ordering::Acquire)
    }
}

impl Connection {
    fn poll_cut(&self, context: &Context<'_>) -> Poll<()> {
        // In this order, so that what comes in between is not missed.
        self.cut.waiting.register(context.waker());
        if self.cut.is_due() {
            return Poll::Ready(());
        }
        // A request may have been read since the look that found nobody.
        let is_used = || self.requests.load(Ordering::Relaxed) > 0 || self.has_read.load(Ordering::Relaxed);
        if self.cut.is_idle.swap(false, Ordering::Acquire) && !is_used() {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl OpenStreams {
    /// Nothing yet. What is cut is counted in `cut`, with what other workers cut.
    pub(crate) fn new(cut: Arc<CutConnections>) -> Self {
        Self(Arc::new(Mutex::new(Open { cut, ..Open::default() })))
    }

    /// Lists a client's connection while the guard lives.
    pub(crate) fn connection(&self) -> ClientConnection {
        let connection = Arc::new(Connection::default());
        let stalling = Stalling { connection: Arc::clone(&connection), since: None, idle_since: None };
        let key = self.lock().connections.insert(stalling);
        ClientConnection { open: self.clone(), connection, key }
    }

    /// Looks after what is open, for ever.
    pub(crate) async fn watch(&self) {
        let mut ticks = tokio::time::interval(STREAM_SWEEP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = ticks.tick().await;
            self.lock().sweep(now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Cuts the connections of all who are overdue.
    fn sweep(&mut self, now: Instant) {
        for (_, stream) in &mut self.streams {
            if stream.is_overdue(now) && !stream.connection.cut.is_due() {
                tracing::info!(
                    "a connection was cut: it holds a stream whose time is over, and reads no more"
                );
                self.cut.stream_overdue.fetch_add(1, Ordering::Relaxed);
                stream.connection.cut.now();
            }
        }
        for (_, stalling) in &mut self.connections {
            // Both are asked, for each takes note of what moved.
            let (is_idle, is_overdue) = (stalling.is_idle(now), stalling.is_overdue(now));
            if stalling.connection.cut.is_due() {
                continue;
            }
            if is_overdue {
                tracing::info!("a connection was cut: it took nothing of what was to be written");
                self.cut.write_stalled.fetch_add(1, Ordering::Relaxed);
                stalling.connection.cut.now();
            } else if is_idle {
                tracing::debug!("a connection that nobody uses is closed");
                stalling.connection.cut.when_idle();
            }
        }
    }
}

impl Stream {
    fn is_overdue(&mut self, now: Instant) -> bool {
        if std::mem::take(&mut self.moved) {
            self.still_since = None;
        }
        let still_since = *self.still_since.get_or_insert(now);
        let is_idle = self.idle.is_some_and(|idle| now >= still_since + idle + STREAM_OVERDUE_GRACE);
        let over_since = match self.lease.ended(now) {
            Some(_) => *self.over_since.get_or_insert(self.lease.until.map_or(now, |until| until.min(now))),
            None => return is_idle,
        };
        is_idle || now >= over_since + STREAM_OVERDUE_GRACE
    }
}

impl Stalling {
    fn is_idle(&mut self, now: Instant) -> bool {
        let Connection { has_read, has_written, requests, ends_when_idle, .. } = &*self.connection;
        let has_moved = has_read.swap(false, Ordering::Relaxed) || has_written.load(Ordering::Relaxed);
        if has_moved || requests.load(Ordering::Relaxed) > 0 {
            self.idle_since = None;
            return false;
        }
        let since = *self.idle_since.get_or_insert(now);
        ends_when_idle.load(Ordering::Relaxed) && now >= since + CLIENT_IDLE_TIMEOUT
    }

    fn is_overdue(&mut self, now: Instant) -> bool {
        let has_written = self.connection.has_written.swap(false, Ordering::Relaxed);
        if has_written || !self.connection.is_full.load(Ordering::Relaxed) {
            self.since = None;
            return false;
        }
        now >= *self.since.get_or_insert(now) + CLIENT_WRITE_STALL_TIMEOUT
    }
}

/// A client's connection, listed while this lives.
#[derive(Debug)]
pub(crate) struct ClientConnection {
    open: OpenStreams,
    connection: Arc<Connection>,
    key: usize,
}

impl ClientConnection {
    /// Waits until the connection has to be cut.
    pub(crate) async fn cut(&self) {
        poll_fn(|context| self.connection.poll_cut(context)).await;
    }

    /// Has the connection cut when nobody uses it for long. The one timer that looks after all costs a request nothing.
    pub(crate) fn end_when_idle(&self) {
        self.connection.ends_when_idle.store(true, Ordering::Relaxed);
    }

    /// By what the connection's streams are listed.
    pub(crate) fn streams(&self) -> ConnectionStreams {
        ConnectionStreams { open: self.open.clone(), connection: Arc::clone(&self.connection) }
    }

    /// The connection's bytes, watched for a client that takes none.
    pub(crate) fn watched<I>(&self, inner: I) -> WatchedWrites<I> {
        WatchedWrites { inner, connection: Arc::clone(&self.connection) }
    }
}

impl Drop for ClientConnection {
    fn drop(&mut self) {
        self.open.lock().connections.try_remove(self.key);
    }
}

/// Lists the streams of one connection.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionStreams {
    open: OpenStreams,
    connection: Arc<Connection>,
}

impl ConnectionStreams {
    /// Notes that a request is under way while the guard lives.
    pub(crate) fn begin_request(&self) -> RequestOnConnection {
        self.connection.requests.fetch_add(1, Ordering::Relaxed);
        RequestOnConnection(Arc::clone(&self.connection))
    }

    /// Lists a stream while the guard lives.
    pub(crate) fn open(&self, lease: &Lease, idle: Option<Duration>) -> OpenStream {
        let stream = Stream {
            lease: lease.clone(),
            idle,
            connection: Arc::clone(&self.connection),
            moved: false,
            still_since: None,
            over_since: None,
        };
        let key = self.open.lock().streams.insert(stream);
        OpenStream { open: self.open.clone(), key }
    }
}

/// A request, which is under way until this is dropped with the body of its answer.
#[derive(Debug)]
pub(crate) struct RequestOnConnection(Arc<Connection>);

impl Drop for RequestOnConnection {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream, listed while this lives.
#[derive(Debug)]
pub(crate) struct OpenStream {
    open: OpenStreams,
    key: usize,
}

impl OpenStream {
    /// Notes that a piece went through.
    pub(crate) fn moved(&self) {
        if let Some(stream) = self.open.lock().streams.get_mut(self.key) {
            stream.moved = true;
        }
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.open.lock().streams.try_remove(self.key);
    }
}

/// Notes whether the client makes room for what is written.
#[derive(Debug)]
pub(crate) struct WatchedWrites<I> {
    inner: I,
    connection: Arc<Connection>,
}

impl<I> WatchedWrites<I> {
    fn note(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.connection.is_full.store(written.is_pending(), Ordering::Relaxed);
        if written.is_ready() {
            self.connection.has_written.store(true, Ordering::Relaxed);
        }
        written
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for WatchedWrites<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        if read.is_ready() {
            self.connection.has_read.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for WatchedWrites<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, pieces);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn is_cut(connection: &ClientConnection) -> bool {
        connection.connection.cut.is_due()
    }

    /// Looks at what is open once a second, for so many seconds.
    async fn pass(open: &OpenStreams, seconds: u64) {
        for _ in 0..seconds {
            tokio::time::advance(Duration::from_secs(1)).await;
            open.lock().sweep(Instant::now());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_nobody_asks_for_more_ends_with_its_lease_and_takes_the_connection_along() {
        let cut = Arc::new(CutConnections::default());
        let open = OpenStreams::new(Arc::clone(&cut));
        let (late, other) = (open.connection(), open.connection());
        let lease = Lease { until: Some(Instant::now() + Duration::from_secs(10)), watch: None };
        let _late_streams = [late.streams().open(&lease, None), late.streams().open(&lease, None)];
        let _endless = other.streams().open(&Lease::default(), None);
        let grace = STREAM_OVERDUE_GRACE.as_secs();
        pass(&open, 10 + grace - 1).await;
        assert!(!is_cut(&late), "what is under way has its grace");
        pass(&open, 1).await;
        assert!(is_cut(&late) && !is_cut(&other));
        late.cut().await;
        pass(&open, 5).await;
        assert_eq!(cut.figures(), CutFigures { stream_overdue: 1, write_stalled: 0 }, "a connection, once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_in_which_nothing_moves_is_idle_whoever_is_to_blame() {
        let open = OpenStreams::default();
        let connection = open.connection();
        let stream = connection.streams().open(&Lease::default(), Some(Duration::from_secs(30)));
        let grace = STREAM_OVERDUE_GRACE.as_secs();
        pass(&open, 30).await;
        stream.moved();
        pass(&open, 30 + grace).await;
        assert!(!is_cut(&connection));
        pass(&open, 1).await;
        assert!(is_cut(&connection));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_cut_though_no_stream_is_open() {
        let cut = Arc::new(CutConnections::default());
        let open = OpenStreams::new(Arc::clone(&cut));
        let connection = open.connection();
        let (ours, mut theirs) = tokio::io::duplex(8);
        let mut writes = connection.watched(ours);
        let stalled = async {
            let _ = writes.write_all(&[0; 64]).await;
        };
        tokio::pin!(stalled);
        assert!(futures_util::poll!(&mut stalled).is_pending());
        let timeout = CLIENT_WRITE_STALL_TIMEOUT.as_secs();
        pass(&open, timeout).await;
        // A client that takes something, however little, begins anew.
        let mut some = [0; 8];
        tokio::io::AsyncReadExt::read_exact(&mut theirs, &mut some).await.expect("some bytes");
        assert!(futures_util::poll!(&mut stalled).is_pending());
        pass(&open, timeout).await;
        assert!(!is_cut(&connection));
        pass(&open, 2).await;
        assert!(is_cut(&connection));
        assert_eq!(cut.figures(), CutFigures { stream_overdue: 0, write_stalled: 1 });
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_nobody_uses_ends_and_one_with_a_request_under_way_does_not() {
        let open = OpenStreams::default();
        let [idle, asked, lasting] = [open.connection(), open.connection(), open.connection()];
        idle.end_when_idle();
        asked.end_when_idle();
        let request = asked.streams().begin_request();
        let timeout = CLIENT_IDLE_TIMEOUT.as_secs();
        pass(&open, timeout).await;
        // Whoever sends something begins anew.
        let (ours, mut theirs) = tokio::io::duplex(8);
        theirs.write_all(b"x").await.expect("room");
        let mut byte = [0];
        tokio::io::AsyncReadExt::read_exact(&mut idle.watched(ours), &mut byte).await.expect("a byte");
        pass(&open, timeout).await;
        assert!(idle.cut().now_or_never().is_none());
        pass(&open, 2).await;
        // A request that comes when the end is decided, and not yet known, keeps the connection.
        let late = idle.streams().begin_request();
        assert!(idle.cut().now_or_never().is_none());
        drop(late);
        pass(&open, timeout + 1).await;
        assert!(idle.cut().now_or_never().is_some());
        assert!(asked.cut().now_or_never().is_none());
        drop(request);
        pass(&open, timeout + 1).await;
        assert!(asked.cut().now_or_never().is_some());
        assert!(lasting.cut().now_or_never().is_none());
    }

    #[tokio::test]
    async fn what_is_closed_is_listed_no_more() {
        let open = OpenStreams::default();
        let connection = open.connection();
        let streams = connection.streams();
        let stream = streams.open(&Lease::default(), None);
        drop((connection, stream));
        let listed = open.lock();
        assert!(listed.streams.is_empty() && listed.connections.is_empty());
    }
}
