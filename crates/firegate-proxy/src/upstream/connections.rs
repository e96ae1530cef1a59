//! The open connections of one worker to one endpoint. Only that worker takes from them, so the lock is never waited for
//! but while the control runtime sweeps.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use futures_util::TryFutureExt as _;
use futures_util::task::AtomicWaker;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use tokio::sync::{SetOnce, watch};
use tokio::time::{Instant, timeout};

use super::connect::{ConnectError, ConnectErrorKind};
use super::headers::leave_one_length;
use super::http1::Http1Connection;
use super::resolve::{Addresses, ResolvedAddress};
use super::socket::LookAgain;
use super::unanswered::{Cause, Unanswered};
use crate::limits::{
    UPSTREAM_HTTP2_CONNECTIONS_MAX, UPSTREAM_HTTP2_STREAMS_MAX, UPSTREAM_HTTP2_TUNNEL_CONNECTIONS_MAX,
    UPSTREAM_IDLE_CONNECTIONS_MAX, UPSTREAM_IDLE_TIMEOUT, UPSTREAM_SETTINGS_LOOK_INTERVAL,
    UPSTREAM_SETTINGS_TIMEOUT, UPSTREAM_STALE_CONNECTIONS_MAX,
};
use crate::moment;
use crate::stream::Body;

/// The connections. HTTP/1 connections are here while they are idle, HTTP/2 connections while they are open.
#[derive(Debug, Default)]
pub(super) struct Connections(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    /// The one that was used last is at the back, and used next: so that those beyond the need grow old and are closed.
    idle: VecDeque<Idle>,
    requests: SharedConnections,
    tunnels: SharedConnections,
}

/// What an HTTP/2 connection is shared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SharedBy {
    Requests,
    /// WebSockets. They last, and the streams that they take are none of those that requests wait for.
    Tunnels,
}

/// Whether a connection may be one that was open before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reuse {
    Allowed,
    /// It is to be a new one, if there may be another one.
    Avoided,
}

/// The HTTP/2 connections of one kind.
#[derive(Debug, Default)]
struct SharedConnections {
    open: Vec<SharedConnection>,
    /// The connection that is being made for everyone who waits for one.
    flight: Option<Flight>,
}

/// What comes of a connection that is being made for everyone.
pub(super) type Flight = watch::Receiver<Option<Result<(), ConnectError>>>;

#[derive(Debug)]
struct Idle {
    connection: Box<Http1Connection>,
    since: Instant,
}

/// An HTTP/2 connection, on which many requests are under way.
#[derive(Debug)]
pub(super) struct SharedConnection {
    dispatch: http2::SendRequest<Body>,
    look_again: LookAgain,
    streams: Arc<Streams>,
    address: ResolvedAddress,
    /// When it was first seen without a request.
    idle_since: Option<Instant>,
}

/// How many requests are under way on an HTTP/2 connection, and what the service allows.
#[derive(Debug)]
pub(super) struct Streams {
    open: AtomicUsize,
    max: AtomicUsize,
    /// Set when the service has said that it takes extended CONNECTs, by which WebSockets are opened (RFC 8441, section 3).
    extended_connect: SetOnce<()>,
    since: Instant,
    /// Who knows: what the service says wakes another task, which does not pass it on.
    driver: AtomicWaker,
}

/// A connection that a request is sent by.
#[derive(Debug)]
pub(super) enum Connection {
    Http1(Box<Http1Connection>),
    Http2(SharedStream),
}

/// A request's place on an HTTP/2 connection, and the way to it.
#[derive(Debug)]
pub(super) struct SharedStream {
    dispatch: http2::SendRequest<Body>,
    place: StreamPlace,
}

/// A request's place on an HTTP/2 connection, for as long as it is under way.
#[derive(Debug)]
pub(super) struct StreamPlace(Arc<Streams>);

impl SharedStream {
    /// Sends a request.
    pub(super) fn send(
        &mut self,
        request: Request<Body>,
    ) -> impl Future<Output = Result<Response<Incoming>, Unanswered>> + use<> {
        let answer = self.dispatch.try_send_request(request).map_ok(|mut answer| {
            leave_one_length(answer.headers_mut());
            answer
        });
        answer.map_err(|mut error| match error.take_message() {
            Some(unsent) => Unanswered::Unsent(Box::new(unsent), Cause::Http2(error.into_error())),
            None => Unanswered::Broken(Cause::Http2(error.into_error())),
        })
    }
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            open: AtomicUsize::new(0),
            max: AtomicUsize::new(UPSTREAM_HTTP2_STREAMS_MAX),
            extended_connect: SetOnce::new(),
            since: Instant::now(),
            driver: AtomicWaker::new(),
        }
    }
}

impl Streams {
    /// Takes note of how many streams the service allows.
    pub(super) fn allow(&self, max: usize) {
        self.max.store(max.min(UPSTREAM_HTTP2_STREAMS_MAX), Ordering::Relaxed);
    }

    /// Takes note whether the service takes extended CONNECTs, which it says once and for all; `driver` looks again when it is
    /// woken.
    pub(super) fn allow_extended_connect(&self, is_allowed: bool, driver: &Waker) {
        self.driver.register(driver);
        if is_allowed && !self.extended_connect.initialized() {
            let _ = self.extended_connect.set(());
        }
    }

    /// Whether the service takes extended CONNECTs. It says so in its first frame, which may not have come yet.
    async fn takes_extended_connect(&self) -> bool {
        loop {
            self.driver.wake();
            let said = timeout(UPSTREAM_SETTINGS_LOOK_INTERVAL, self.extended_connect.wait()).await;
            if said.is_ok() || self.since.elapsed() >= UPSTREAM_SETTINGS_TIMEOUT {
                return said.is_ok();
            }
        }
    }

    fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    fn has_place(&self) -> bool {
        self.open() < self.max.load(Ordering::Relaxed)
    }

    fn enter(self: &Arc<Self>) -> StreamPlace {
        self.open.fetch_add(1, Ordering::Relaxed);
        StreamPlace(Arc::clone(self))
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connection {
    /// Whether a WebSocket can be opened on it.
    pub(super) async fn takes_web_sockets(&self) -> bool {
        match self {
            Self::Http1(_) => true,
            Self::Http2(shared) => shared.place.0.takes_extended_connect().await,
        }
    }

    /// Whether more places are taken on it than there are: the service may allow fewer than was thought before it said so.
    pub(super) fn is_overbooked(&self) -> bool {
        match self {
            Self::Http1(_) => false,
            Self::Http2(SharedStream { place, .. }) => place.0.open() > place.0.max.load(Ordering::Relaxed),
        }
    }
}

impl SharedConnection {
    pub(super) fn new(
        dispatch: http2::SendRequest<Body>,
        look_again: LookAgain,
        streams: Arc<Streams>,
        address: ResolvedAddress,
    ) -> Self {
        Self { dispatch, look_again, streams, address, idle_since: None }
    }

    /// For one request alone.
    pub(super) fn into_dispatch(self) -> http2::SendRequest<Body> {
        self.dispatch
    }

    /// A place on it. The service may have closed it while nobody used it: what it has said is read before the request is
    /// written, which then goes by another connection.
    pub(super) fn take(&mut self) -> Connection {
        if self.streams.open() == 0 {
            self.look_again.read_now();
        }
        self.idle_since = None;
        Connection::Http2(SharedStream { dispatch: self.dispatch.clone(), place: self.streams.enter() })
    }

    fn is_over(&mut self, now: Instant) -> bool {
        if self.streams.open() > 0 {
            self.idle_since = None;
            return false;
        }
        now.duration_since(*self.idle_since.get_or_insert(now)) >= UPSTREAM_IDLE_TIMEOUT
    }
}

impl Connections {
    /// A connection that is open and has room for a request.
    pub(super) fn take(&self, addresses: &Addresses) -> Option<Connection> {
        let mut open = self.open();
        if let Some(connection) = open.requests.take(addresses) {
            return Some(connection);
        }
        if open.requests.open.len() >= UPSTREAM_HTTP2_CONNECTIONS_MAX {
            // It waits there for a stream to end, which is sooner than for a connection that is refused.
            let shared = &mut open.requests.open;
            return shared.iter_mut().min_by_key(|shared| shared.streams.open()).map(SharedConnection::take);
        }
        open.take_idle(addresses)
    }

    /// An HTTP/2 connection that is open and has room for a WebSocket; none if another one has to be made.
    ///
    /// # Errors
    /// If there may be no other one. Nobody waits for a WebSocket to end.
    pub(super) fn take_for_tunnel(
        &self,
        addresses: &Addresses,
        reuse: Reuse,
    ) -> Result<Option<Connection>, ConnectError> {
        let mut open = self.open();
        let taken = open.tunnels.take(addresses);
        let may_be_another = open.tunnels.open.len() < UPSTREAM_HTTP2_TUNNEL_CONNECTIONS_MAX;
        let taken = taken.filter(|_| reuse == Reuse::Allowed || !may_be_another);
        if taken.is_none() && !may_be_another {
            let what = format!(
                "the worker has {UPSTREAM_HTTP2_TUNNEL_CONNECTIONS_MAX} HTTP/2 connections for WebSockets to the service, and \
                 all of them are full"
            );
            return Err(ConnectError::new(ConnectErrorKind::NoRoomForWebSockets, what));
        }
        Ok(taken)
    }

    /// Keeps an HTTP/1 connection whose answer has ended for the next request.
    pub(super) fn give_back(&self, connection: Box<Http1Connection>) {
        let since = moment::now();
        let mut open = self.open();
        if open.idle.len() >= UPSTREAM_IDLE_CONNECTIONS_MAX {
            open.idle.pop_front();
        }
        open.idle.push_back(Idle { connection, since });
    }

    /// How many HTTP/2 connections are open.
    pub(super) fn shared(&self, by: SharedBy) -> usize {
        let open = self.open();
        let shared = match by {
            SharedBy::Requests => &open.requests.open,
            SharedBy::Tunnels => &open.tunnels.open,
        };
        shared.iter().filter(|shared| !shared.dispatch.is_closed()).count()
    }

    /// Adds an HTTP/2 connection.
    pub(super) fn add(&self, by: SharedBy, connection: SharedConnection) {
        let mut open = self.open();
        let (shared, most) = match by {
            SharedBy::Requests => (&mut open.requests.open, UPSTREAM_HTTP2_CONNECTIONS_MAX),
            SharedBy::Tunnels => (&mut open.tunnels.open, UPSTREAM_HTTP2_TUNNEL_CONNECTIONS_MAX),
        };
        if shared.len() >= most {
            // Who is under way on it holds on to it.
            shared.remove(0);
        }
        shared.push(connection);
    }

    /// The connection that is being made for everyone, or what `begin` begins.
    pub(super) fn join(&self, by: SharedBy, begin: impl FnOnce() -> Flight) -> Flight {
        let mut open = self.open();
        let flight = match by {
            SharedBy::Requests => &mut open.requests.flight,
            SharedBy::Tunnels => &mut open.tunnels.flight,
        };
        match flight {
            // A flight whose other end is gone came to nothing.
            Some(flight) if flight.has_changed().is_ok() => flight.clone(),
            _ => flight.insert(begin()).clone(),
        }
    }

    /// Closes what was idle for too long, or goes to an address that the host no longer has.
    pub(super) fn sweep(&self, addresses: &Addresses, now: Instant) {
        let mut open = self.open();
        open.idle.retain_mut(|idle| {
            !idle.is_over(now)
                && idle.connection.is_current(addresses)
                // Nobody reads what comes by it, be it its end.
                && idle.connection.is_usable()
        });
        open.requests.sweep(addresses, now);
        open.tunnels.sweep(addresses, now);
    }

    /// How many are open and carry no request.
    pub(super) fn idle(&self) -> usize {
        let open = self.open();
        let shared = open.requests.open.iter().chain(&open.tunnels.open);
        open.idle.len() + shared.filter(|shared| shared.streams.open() == 0).count()
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SharedConnections {
    /// A place on one of them.
    fn take(&mut self, addresses: &Addresses) -> Option<Connection> {
        self.retain_open(addresses);
        // The newest first: it was made because the others would not do.
        let mut newest_first = self.open.iter_mut().rev();
        newest_first.find(|shared| shared.streams.has_place()).map(SharedConnection::take)
    }

    fn sweep(&mut self, addresses: &Addresses, now: Instant) {
        self.retain_open(addresses);
        self.open.retain_mut(|shared| !shared.is_over(now));
    }

    /// Whoever still waits for an answer on a connection that is left out here gets it all the same.
    fn retain_open(&mut self, addresses: &Addresses) {
        self.open.retain_mut(|shared| !shared.dispatch.is_closed() && shared.address.is_current(addresses));
    }
}

impl Open {
    /// One that is idle and can be used. Many may have been closed at once: no request looks for one that was not for long.
    fn take_idle(&mut self, addresses: &Addresses) -> Option<Connection> {
        if self.idle.is_empty() {
            return None;
        }
        let now = moment::now();
        let mut stale = 0;
        while stale < UPSTREAM_STALE_CONNECTIONS_MAX {
            let mut idle = self.idle.pop_back()?;
            if idle.is_over(now) {
                // All before it are older.
                self.idle.clear();
                return None;
            }
            if !idle.connection.is_current(addresses) {
                continue;
            }
            if idle.connection.is_usable() {
                return Some(Connection::Http1(idle.connection));
            }
            stale += 1;
        }
        None
    }
}

impl Idle {
    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.since) >= UPSTREAM_IDLE_TIMEOUT
    }
}
