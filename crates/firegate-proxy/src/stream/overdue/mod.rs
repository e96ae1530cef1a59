//! Streams whose time is over and that nobody asks for more. A body has its timers, but they run only when
//! its next piece is asked for, and nobody asks for more while the peer does not read: over HTTP/1 the socket is full, over
//! HTTP/2 the window is closed. So what is open is also listed here, and one timer for each worker goes over the list.
//! Whoever holds a stream beyond its bounds loses the connection.

mod connection;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use slab::Slab;
use tokio::time::{Instant, MissedTickBehavior};

pub(crate) use self::connection::{
    ClientConnection, ConnectionEnd, CutNotice, RequestOnConnection, SignsOfUse,
};
use self::connection::{Connection, Stalling};
use super::lease::Lease;
use crate::limits::{REQUEST_HEAD_TIMEOUT, STREAM_OVERDUE_GRACE, STREAM_SWEEP_INTERVAL};

/// Why connections are cut, as it is told of them and of every request that was under way on them.
const OVERDUE: &str = "the client holds a stream whose time is over, and reads no more";
const STALLED: &str = "the client took nothing of what was to be written";
const UNUSED: &str = "nobody uses it, and its client does not let it end";

/// What a worker has open. Nobody but the worker takes the lock, for a few instructions each time.
#[derive(Clone, Debug)]
pub(crate) struct OpenStreams(Arc<Mutex<Open>>);

#[derive(Debug)]
struct Open {
    streams: Slab<Stream>,
    connections: Slab<Stalling>,
    /// How long nobody may use a connection.
    idle_timeout: Duration,
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

impl OpenStreams {
    /// Nothing yet. A connection may be used by nobody for `idle_timeout`. What is cut is counted in `cut`, with what other
    /// workers cut.
    pub(crate) fn new(idle_timeout: Duration, cut: Arc<CutConnections>) -> Self {
        let (streams, connections) = (Slab::new(), Slab::new());
        Self(Arc::new(Mutex::new(Open { streams, connections, idle_timeout, cut })))
    }

    /// Lists a client's connection while the guard lives.
    pub(crate) fn connection(&self) -> ClientConnection {
        ClientConnection::new(self.clone())
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
                tracing::info!("a connection was cut: {OVERDUE}");
                self.cut.stream_overdue.fetch_add(1, Ordering::Relaxed);
                stream.connection.cut.now(OVERDUE);
            }
        }
        for (_, stalling) in &mut self.connections {
            // Both are asked, for each takes note of what moved.
            let (idle_for, is_overdue) = (stalling.idle_for(now), stalling.is_overdue(now));
            let is_idle = |most| idle_for.is_some_and(|idle_for| idle_for >= most);
            if stalling.connection.cut.is_due() {
                continue;
            }
            if is_overdue {
                tracing::info!("a connection was cut: {STALLED}");
                self.cut.write_stalled.fetch_add(1, Ordering::Relaxed);
                stalling.connection.cut.now(STALLED);
            } else if is_idle(self.idle_timeout + REQUEST_HEAD_TIMEOUT) {
                // It was asked to end, and whoever was about to send a request would have.
                tracing::info!("a connection was cut: {UNUSED}");
                stalling.connection.cut.now(UNUSED);
            } else if is_idle(self.idle_timeout) {
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

/// Lists the streams of one connection.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionStreams {
    open: OpenStreams,
    connection: Arc<Connection>,
}

impl ConnectionStreams {
    /// What says whether the connection was cut.
    pub(crate) fn cut_notice(&self) -> CutNotice {
        CutNotice::of(&self.connection)
    }

    /// Notes that a request is under way while the guard lives.
    pub(crate) fn begin_request(&self) -> RequestOnConnection {
        RequestOnConnection::begin(&self.connection)
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
