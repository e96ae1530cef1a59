//! One connection of a client's as the worker's list knows it: whether it is used, and whether it has to end.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::{ConnectionStreams, OpenStreams};
use crate::connection::Resettable;
use crate::limits::CLIENT_WRITE_STALL_TIMEOUT;

/// What shows that somebody uses a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignsOfUse {
    /// Whatever comes or goes: HTTP/1 has nothing but requests and answers.
    Bytes,
    /// Requests alone: pings and settings of HTTP/2 go on for as long as anybody likes.
    Requests,
}

/// How a connection has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionEnd {
    /// At once, whatever is under way.
    Cut,
    /// By its protocol's own word: nobody uses it.
    Unused,
}

/// One connection, since when it takes nothing, and since when nobody uses it.
#[derive(Debug)]
pub(super) struct Stalling {
    pub(super) connection: Arc<Connection>,
    since: Option<Instant>,
    idle_since: Option<Instant>,
}

#[derive(Debug, Default)]
pub(super) struct Connection {
    pub(super) cut: Cut,
    /// The client has not made room for what is to be written.
    is_full: AtomicBool,
    /// What was written is not all on its way: over TLS the client has not made room for the last of it.
    is_flushing: AtomicBool,
    /// Something was written since the last look.
    has_written: AtomicBool,
    /// Something was read since the last look.
    has_read: AtomicBool,
    /// A request began since the last look.
    has_asked: AtomicBool,
    /// It ends when nobody uses it for long, which these show.
    ends_without: OnceLock<SignsOfUse>,
    /// How many requests are under way.
    requests: AtomicUsize,
}

/// Whether a connection has to end, and who learns of it. A token of tokio's would take a lock each time that the connection
/// is looked after.
#[derive(Debug, Default)]
pub(super) struct Cut {
    /// Why it has to end, if it has to.
    why: OnceLock<&'static str>,
    /// It was found that nobody uses the connection. Whoever begins to use it before it ends keeps it.
    is_idle: AtomicBool,
    waiting: AtomicWaker,
}

impl Cut {
    /// Cuts the connection, for which the log has these words.
    pub(super) fn now(&self, why: &'static str) {
        let _ = self.why.set(why);
        self.waiting.wake();
    }

    pub(super) fn when_idle(&self) {
        self.is_idle.store(true, Ordering::Release);
        self.waiting.wake();
    }

    pub(super) fn is_due(&self) -> bool {
        self.why.get().is_some()
    }
}

impl Connection {
    fn poll_end(&self, context: &Context<'_>) -> Poll<ConnectionEnd> {
        // In this order, so that what comes in between is not missed.
        self.cut.waiting.register(context.waker());
        if self.cut.is_due() {
            return Poll::Ready(ConnectionEnd::Cut);
        }
        // A request may have been read since the look that found nobody.
        if self.cut.is_idle.load(Ordering::Relaxed)
            && self.cut.is_idle.swap(false, Ordering::Acquire)
            && !self.is_used()
        {
            return Poll::Ready(ConnectionEnd::Unused);
        }
        Poll::Pending
    }

    /// Whether a request is under way, or there was a sign of use since the last look.
    fn is_used(&self) -> bool {
        let is_set = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        self.requests.load(Ordering::Relaxed) > 0
            || is_set(&self.has_asked)
            || (self.ends_without.get() != Some(&SignsOfUse::Requests)
                && (is_set(&self.has_read) || is_set(&self.has_written)))
    }
}

impl Stalling {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self { connection, since: None, idle_since: None }
    }

    /// For how long nobody has used it, if that ends it.
    pub(super) fn idle_for(&mut self, now: Instant) -> Option<Duration> {
        let connection = &*self.connection;
        let is_used = connection.is_used();
        connection.has_read.store(false, Ordering::Relaxed);
        connection.has_asked.store(false, Ordering::Relaxed);
        if is_used {
            self.idle_since = None;
            return None;
        }
        let since = *self.idle_since.get_or_insert(now);
        connection.ends_without.get().map(|_| now.duration_since(since))
    }

    pub(super) fn is_overdue(&mut self, now: Instant) -> bool {
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
    pub(super) connection: Arc<Connection>,
    key: usize,
}

impl ClientConnection {
    pub(super) fn new(open: OpenStreams) -> Self {
        let connection = Arc::<Connection>::default();
        let key = open.lock().connections.insert(Stalling::new(Arc::clone(&connection)));
        Self { open, connection, key }
    }

    /// Waits until the connection has to end. Whoever was told that nobody uses it has the time of a request's head to close
    /// it; then it is to be cut.
    pub(crate) async fn end(&self) -> ConnectionEnd {
        poll_fn(|context| self.connection.poll_end(context)).await
    }

    /// Waits until the connection has to be cut.
    pub(crate) async fn cut(&self) {
        while self.end().await != ConnectionEnd::Cut {}
    }

    /// Has the connection end when nobody uses it for long. The one timer that looks after all costs a request nothing.
    pub(crate) fn end_without(&self, signs: SignsOfUse) {
        let _ = self.connection.ends_without.set(signs);
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

/// Whether a connection was cut, for whoever tells what became of its requests.
#[derive(Debug)]
pub(crate) struct CutNotice(Arc<Connection>);

impl CutNotice {
    pub(super) fn of(connection: &Arc<Connection>) -> Self {
        Self(Arc::clone(connection))
    }

    /// Why it was, if it was.
    pub(crate) fn why(&self) -> Option<&'static str> {
        self.0.cut.why.get().copied()
    }
}

/// A request, which is under way until this is dropped with the body of its answer.
#[derive(Debug)]
pub(crate) struct RequestOnConnection(Arc<Connection>);

impl RequestOnConnection {
    pub(super) fn begin(connection: &Arc<Connection>) -> Self {
        connection.has_asked.store(true, Ordering::Relaxed);
        connection.requests.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(connection))
    }
}

impl Drop for RequestOnConnection {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
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

    fn note_flush(&self, flushed: Poll<io::Result<()>>) -> Poll<io::Result<()>> {
        let connection = &*self.connection;
        if connection.is_flushing.load(Ordering::Relaxed) && flushed.is_ready() {
            // From now on nobody uses it, and not from when it was written.
            connection.has_written.store(true, Ordering::Relaxed);
        }
        connection.is_flushing.store(flushed.is_pending(), Ordering::Relaxed);
        flushed
    }
}

impl<I: Resettable> Resettable for WatchedWrites<I> {
    fn reset_when_dropped(&self) {
        self.inner.reset_when_dropped();
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
        let flushed = Pin::new(&mut self.inner).poll_flush(context);
        self.note_flush(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.inner).poll_shutdown(context);
        self.note_flush(shut)
    }
}
