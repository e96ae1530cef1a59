//! One endpoint of a backend, as the whole process knows it: where it is, how it does, and the connections that each
//! worker has to it. A reload that does not change its settings changes nothing of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use firegate_files::configuration::{HealthCheck, Protocol};
use http::HeaderValue;
use http::uri::{Authority, Scheme};
use rustls::ClientConfig;
use tokio::sync::watch;
use tokio::time::Instant;
use url::Url;

use super::connect::{ConnectError, ConnectErrorKind, Connector, Opened, Versions};
use super::connections::{Connection, Connections, Flight, Reuse, SharedBy, SharedConnection};
use super::load::UnderWay;
use super::outliers::Outliers;
use super::resolve::{Addresses, Resolve};
use crate::limits::{UPSTREAM_HEALTH_FAILURES_MAX, UPSTREAM_HTTP2_VAIN_CONNECTIONS_MAX};
use crate::panics::Panics;

/// What makes an endpoint the same one after a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EndpointSettings {
    pub(super) backend: String,
    pub(super) url: Url,
    pub(super) connect_through: Option<Url>,
    pub(super) protocol: Protocol,
    /// The PEM text of the roots that the backend names.
    pub(super) roots: Option<Vec<u8>>,
    pub(super) health_check: Option<HealthCheck>,
    pub(super) connect_timeout: Duration,
}

/// One endpoint.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) settings: EndpointSettings,
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    /// The same, as HTTP/1 says it.
    pub(super) host: HeaderValue,
    pub(super) addresses: Addresses,
    pub(super) requests: UnderWay,
    pub(super) outliers: Outliers,
    pub(super) counters: Counters,
    health: Health,
    connector: Connector,
    upgrades: Connector,
    /// The version that a negotiation led to.
    negotiated: Negotiated,
    /// With which of the addresses the next connection begins.
    turn: AtomicUsize,
    /// By the workers' numbers.
    connections: Box<[Connections]>,
    panics: Arc<Panics>,
}

/// What is counted of an endpoint.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) connects: AtomicU64,
    pub(super) failed_connects: AtomicU64,
    /// Requests that got no answer, or 502, 503 or 504.
    pub(super) failures: AtomicU64,
}

#[derive(Debug, Default)]
struct Negotiated(AtomicU8);

impl Negotiated {
    const HTTP1: u8 = 1;
    const HTTP2: u8 = 2;

    fn set(&self, version: u8) {
        self.0.store(version, Ordering::Relaxed);
    }

    fn is_http1(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::HTTP1
    }
}

/// What the active checks say.
#[derive(Debug, Default)]
struct Health {
    failures: AtomicUsize,
    is_failing: AtomicBool,
}

/// A connection, and whether it carried requests before: the service may have closed such a one in the meantime.
pub(super) struct Obtained {
    pub(super) connection: Connection,
    pub(super) is_reused: bool,
}

/// What came of the HTTP/2 connections that were made while a request waited for one.
#[derive(Debug, Default)]
struct Attempts {
    /// How many were open when the last one was begun.
    open_before: Option<usize>,
    vain: usize,
}

impl Attempts {
    /// Another one is about to be made, while so many are open. If the last one left no more of them than there were before, it
    /// was closed as soon as it was made; one that is full already is none of those.
    ///
    /// # Errors
    /// If there were too many of those: whoever tries on and on keeps the service and this process busy in vain.
    fn begin(&mut self, open: usize) -> Result<(), ConnectError> {
        self.vain += usize::from(self.open_before.is_some_and(|before| open <= before));
        self.open_before = Some(open);
        if self.vain < UPSTREAM_HTTP2_VAIN_CONNECTIONS_MAX {
            return Ok(());
        }
        let what = format!(
            "the service closed {UPSTREAM_HTTP2_VAIN_CONNECTIONS_MAX} HTTP/2 connections in a row as soon as they were made"
        );
        Err(ConnectError::new(ConnectErrorKind::Unreachable, what))
    }
}

impl Endpoint {
    /// An endpoint to which nothing is open yet.
    ///
    /// # Errors
    /// If its URL cannot be called.
    pub(super) fn new(
        settings: EndpointSettings,
        tls: &ClientConfig,
        workers: usize,
        panics: Arc<Panics>,
    ) -> Result<Self, ConnectError> {
        let EndpointSettings { url, connect_through, protocol, .. } = &settings;
        let connect_to = connect_through.as_ref().unwrap_or(url);
        let text = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let uncallable =
            || ConnectError::new(ConnectErrorKind::Protocol, format!("{url} cannot be called by HTTP"));
        let connector = |versions| Connector::new(url, connect_to, versions, tls);
        Ok(Self {
            scheme: if connect_to.scheme() == "https" { Scheme::HTTPS } else { Scheme::HTTP },
            authority: text.parse().map_err(|_| uncallable())?,
            host: text.parse().map_err(|_| uncallable())?,
            addresses: Addresses::of(connect_to),
            requests: UnderWay::default(),
            outliers: Outliers::new(Instant::now()),
            counters: Counters::default(),
            health: Health::default(),
            connector: connector(Versions::of(*protocol, connect_to))?,
            upgrades: connector(Versions::Http1)?,
            negotiated: Negotiated::default(),
            turn: AtomicUsize::new(0),
            connections: (0..workers.max(1)).map(|_| Connections::default()).collect(),
            panics,
            settings,
        })
    }

    /// The connections of a worker.
    pub(super) fn connections(&self, worker: usize) -> &Connections {
        // A worker that is not known would be a mistake of the start, and shares with another one.
        &self.connections[worker % self.connections.len()]
    }

    /// Whether requests should go there if there is a choice.
    pub(super) fn is_available(&self, now: impl FnOnce() -> Instant) -> bool {
        self.is_healthy() && !self.outliers.is_ejected(now)
    }

    /// Whether the active checks succeed, or there are none.
    pub(super) fn is_healthy(&self) -> bool {
        !self.health.is_failing.load(Ordering::Relaxed)
    }

    /// Takes note of an active check.
    pub(super) fn checked(&self, outcome: Result<(), String>) {
        let url = self.settings.url.as_str();
        match outcome {
            Ok(()) => {
                self.health.failures.store(0, Ordering::Relaxed);
                if self.health.is_failing.swap(false, Ordering::Relaxed) {
                    tracing::info!(backend = self.settings.backend, url, "an endpoint is healthy again");
                }
            }
            Err(error) => {
                let failures = self.health.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
                if failures >= UPSTREAM_HEALTH_FAILURES_MAX
                    && !self.health.is_failing.swap(true, Ordering::Relaxed)
                {
                    tracing::warn!(
                        backend = self.settings.backend,
                        url,
                        error,
                        "an endpoint fails its health check"
                    );
                }
            }
        }
    }

    /// An answer came that is no failure of the endpoint.
    pub(super) fn succeeded(&self) {
        self.outliers.success();
    }

    /// No connection, no answer, or one that says that there is none.
    pub(super) fn failed(&self) {
        self.counters.failures.fetch_add(1, Ordering::Relaxed);
        if self.outliers.failure(Instant::now()) {
            let (backend, url) = (&self.settings.backend, self.settings.url.as_str());
            tracing::warn!(
                backend,
                url,
                "an endpoint failed several times in a row and is left alone for a while, unless the backend has too few others"
            );
        }
    }

    /// Looks its host's name up again if it is time to, and closes what has been idle for too long.
    pub(super) async fn tend(&self, resolver: &dyn Resolve) {
        if self.addresses.is_due(Instant::now()) {
            self.addresses.refresh(resolver).await;
        }
        let now = Instant::now();
        for connections in &self.connections {
            connections.sweep(&self.addresses, now);
        }
    }

    /// An open connection with room for a request, if there is one.
    pub(super) fn reuse(&self, worker: usize) -> Option<Obtained> {
        let connection = self.connections(worker).take(&self.addresses)?;
        Some(Obtained { connection, is_reused: true })
    }

    /// A new connection with room for a request.
    pub(super) async fn obtain(self: &Arc<Self>, worker: usize) -> Result<Obtained, ConnectError> {
        let (connections, mut attempts) = (self.connections(worker), Attempts::default());
        loop {
            if self.speaks_http1() {
                return match self.connect().await? {
                    Opened::Http1(own) => {
                        Ok(Obtained { connection: Connection::Http1(own), is_reused: false })
                    }
                    Opened::Http2(shared) => Ok(self.shared(worker, shared)),
                };
            }
            attempts.begin(connections.shared(SharedBy::Requests))?;
            self.share(worker, SharedBy::Requests).await?;
            if let Some(connection) = connections.take(&self.addresses) {
                return Ok(Obtained { connection, is_reused: false });
            }
        }
    }

    /// A connection for a WebSocket: one with HTTP/1 that is nobody else's, or a place on one with HTTP/2 if the backend speaks
    /// that alone.
    ///
    /// # Errors
    /// If there is none, or the service takes no WebSockets over HTTP/2.
    pub(super) async fn obtain_for_upgrade(
        self: &Arc<Self>,
        worker: usize,
        reuse: Reuse,
    ) -> Result<Obtained, ConnectError> {
        if self.upgrades_over_http2() {
            return self.obtain_for_tunnel(worker, reuse).await;
        }
        match self.connect_by(&self.upgrades).await? {
            Opened::Http1(own) => Ok(Obtained { connection: Connection::Http1(own), is_reused: false }),
            Opened::Http2(_) => Err(ConnectError::new(ConnectErrorKind::Protocol, "HTTP/2 has no upgrades")),
        }
    }

    /// A place for a WebSocket on an HTTP/2 connection.
    async fn obtain_for_tunnel(
        self: &Arc<Self>,
        worker: usize,
        reuse: Reuse,
    ) -> Result<Obtained, ConnectError> {
        let (connections, mut is_reused) = (self.connections(worker), true);
        let mut attempts = Attempts::default();
        loop {
            // What was made meanwhile is new.
            let reuse_now = if is_reused { reuse } else { Reuse::Allowed };
            let Some(connection) = connections.take_for_tunnel(&self.addresses, reuse_now)? else {
                attempts.begin(connections.shared(SharedBy::Tunnels))?;
                self.share(worker, SharedBy::Tunnels).await?;
                is_reused = false;
                continue;
            };
            if !connection.takes_web_sockets().await {
                let what = "the service did not say that it takes WebSockets over HTTP/2 (RFC 8441)";
                return Err(ConnectError::new(ConnectErrorKind::NoWebSockets, what));
            }
            if !connection.is_overbooked() {
                // One that has to do although it is not new is given up on like a new one.
                return Ok(Obtained { connection, is_reused: is_reused && reuse == Reuse::Allowed });
            }
        }
    }

    /// Waits for an HTTP/2 connection. Of those who do one connects, for all of them.
    async fn share(self: &Arc<Self>, worker: usize, by: SharedBy) -> Result<(), ConnectError> {
        let mut flight = self.connections(worker).join(by, || self.begin_shared(worker, by));
        let landed = flight.wait_for(Option::is_some).await;
        let stopping = || Err(ConnectError::new(ConnectErrorKind::Unreachable, "the worker is stopping"));
        landed.ok().and_then(|outcome| outcome.clone()).unwrap_or_else(stopping)
    }

    /// Whether a WebSocket is opened there by HTTP/2.
    pub(super) fn upgrades_over_http2(&self) -> bool {
        matches!(self.settings.protocol, Protocol::H2 | Protocol::H2c)
    }

    /// A connection of the configured versions, for whoever asks for it.
    pub(super) async fn connect(&self) -> Result<Opened, ConnectError> {
        self.connect_by(&self.connector).await
    }

    async fn connect_by(&self, connector: &Connector) -> Result<Opened, ConnectError> {
        let deadline = Instant::now() + self.settings.connect_timeout;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let opened = connector.connect(&self.addresses, turn, deadline).await;
        let counter = if opened.is_ok() { &self.counters.connects } else { &self.counters.failed_connects };
        counter.fetch_add(1, Ordering::Relaxed);
        opened
    }

    fn speaks_http1(&self) -> bool {
        match self.connector.versions() {
            Versions::Http1 => true,
            Versions::Http2 => false,
            Versions::Negotiated => self.negotiated.is_http1(),
        }
    }

    /// Makes a connection for everyone who waits. It goes on when the request that began it goes away. A panic in it is no
    /// request's own: it is counted once, and all who wait are told of it.
    fn begin_shared(self: &Arc<Self>, worker: usize, by: SharedBy) -> Flight {
        let (landed, flight) = watch::channel(None);
        let endpoint = Arc::clone(self);
        tokio::spawn(async move {
            let connected = endpoint.panics.catch(endpoint.connect_shared(worker, by)).await;
            let outcome = connected.unwrap_or_else(|panicked| {
                let (backend, url) = (&endpoint.settings.backend, endpoint.settings.url.as_str());
                tracing::error!(%panicked, backend, url, "a connection to a service was given up");
                Err(ConnectError::new(ConnectErrorKind::Panicked, panicked.to_string()))
            });
            // The first to learn of it may all have left.
            landed.send_replace(Some(outcome));
        });
        flight
    }

    /// Makes a connection, and leaves it where a worker finds it.
    async fn connect_shared(&self, worker: usize, by: SharedBy) -> Result<(), ConnectError> {
        match self.connect().await? {
            Opened::Http1(own) => {
                self.negotiated.set(Negotiated::HTTP1);
                self.connections(worker).give_back(own);
            }
            Opened::Http2(shared) => {
                self.negotiated.set(Negotiated::HTTP2);
                self.connections(worker).add(by, shared);
            }
        }
        Ok(())
    }

    /// The service that spoke HTTP/1 speaks HTTP/2 now.
    fn shared(&self, worker: usize, mut shared: SharedConnection) -> Obtained {
        self.negotiated.set(Negotiated::HTTP2);
        let connection = shared.take();
        self.connections(worker).add(SharedBy::Requests, shared);
        Obtained { connection, is_reused: false }
    }

    /// How many connections are open and carry no request, of all workers.
    pub(super) fn idle_connections(&self) -> usize {
        self.connections.iter().map(Connections::idle).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_is_full_is_none_that_was_made_in_vain() {
        let mut attempts = Attempts::default();
        let in_a_burst = 10 * UPSTREAM_HTTP2_VAIN_CONNECTIONS_MAX;
        (0..in_a_burst).for_each(|open| attempts.begin(open).expect("there are more of them each time"));
        let in_vain = (0..).take_while(|_| attempts.begin(in_a_burst - 1).is_ok()).count();
        assert_eq!(in_vain + 1, UPSTREAM_HTTP2_VAIN_CONNECTIONS_MAX);
    }
}
