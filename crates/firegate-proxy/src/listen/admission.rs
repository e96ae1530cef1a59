//! How many connections are let in: in all, and from one client. A place is held by the connection itself and is free
//! again when its socket closes, whatever became of it in between: a WebSocket holds one to its end.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use firegate_core::forwarded::ForwardedTrust;
use firegate_files::configuration::ConnectionLimits;

use super::descriptors::connections_max;
use crate::client_places::ClientPlaces;

/// The places for connections, and what became of those who asked for one.
#[derive(Debug)]
pub(super) struct Admission {
    connections_max: usize,
    /// The proxies before this one. All clients come from few addresses through them, so they are not counted by theirs.
    proxies: ArcSwapOption<ForwardedTrust>,
    open: AtomicUsize,
    by_client: ClientPlaces,
    /// How many each worker has.
    by_worker: Box<[AtomicUsize]>,
    accepted: AtomicU64,
    refused: AtomicU64,
    refused_by_client: AtomicU64,
}

/// Why a connection is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// There are as many as may be.
    Connections,
    /// This client has as many as it may have.
    Client,
}

/// One connection's place. Dropping it frees it.
#[derive(Debug)]
pub(crate) struct Place {
    admission: Arc<Admission>,
    client: Option<IpAddr>,
    worker: Option<usize>,
}

/// What metrics tell of connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConnectionFigures {
    /// How many are open, for each worker.
    pub(crate) open: Vec<usize>,
    /// How many were let in.
    pub(crate) accepted: u64,
    /// How many were refused because there were as many as may be.
    pub(crate) refused: u64,
    /// How many were refused because their client had as many as it may have.
    pub(crate) refused_by_client: u64,
}

impl Admission {
    pub(super) fn new(limits: ConnectionLimits, workers: usize) -> Self {
        Self {
            connections_max: connections_max(limits.connections_max, workers),
            proxies: ArcSwapOption::empty(),
            open: AtomicUsize::new(0),
            by_client: ClientPlaces::new(limits.connections_per_address_max as usize),
            by_worker: (0..workers).map(|_| AtomicUsize::new(0)).collect(),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            refused_by_client: AtomicU64::new(0),
        }
    }

    /// How many there may be in all.
    pub(super) fn connections_max(&self) -> usize {
        self.connections_max
    }

    /// Gives a place to a connection from this address.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Result<Place, Full> {
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.connections_max {
            self.open.fetch_sub(1, Ordering::Relaxed);
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Full::Connections);
        }
        let mut place = Place { admission: Arc::clone(self), client: None, worker: None };
        let peer = peer.to_canonical();
        if !self.proxies.load().as_ref().is_some_and(|proxies| proxies.trusts(peer)) {
            place.client = self.by_client.enter(peer);
            if place.client.is_none() {
                self.refused_by_client.fetch_add(1, Ordering::Relaxed);
                return Err(Full::Client);
            }
        }
        self.accepted.fetch_add(1, Ordering::Relaxed);
        Ok(place)
    }

    /// Goes by other proxies for the connections that come from now on.
    pub(super) fn go_by(&self, proxies: Option<ForwardedTrust>) {
        self.proxies.store(proxies.map(Arc::new));
    }

    /// How many connections a worker has.
    pub(super) fn open_on(&self, worker: usize) -> usize {
        self.by_worker.get(worker).map_or(usize::MAX, |open| open.load(Ordering::Relaxed))
    }

    pub(super) fn figures(&self) -> ConnectionFigures {
        ConnectionFigures {
            open: self.by_worker.iter().map(|open| open.load(Ordering::Relaxed)).collect(),
            accepted: self.accepted.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            refused_by_client: self.refused_by_client.load(Ordering::Relaxed),
        }
    }
}

impl Place {
    /// Counts the connection for the worker that serves it from now on.
    pub(super) fn on_worker(mut self, worker: usize) -> Self {
        if let Some(open) = self.admission.by_worker.get(worker) {
            open.fetch_add(1, Ordering::Relaxed);
            self.worker = Some(worker);
        }
        self
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let open = self.worker.and_then(|worker| self.admission.by_worker.get(worker));
        if let Some(open) = open {
            open.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(client) = self.client {
            self.admission.by_client.leave(client);
        }
        self.admission.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use firegate_files::configuration::Behind;

    use super::*;

    fn admission(connections: u32, per_client: u32, behind: &Behind) -> Arc<Admission> {
        let limits =
            ConnectionLimits { connections_max: Some(connections), connections_per_address_max: per_client };
        let admission = Admission::new(limits, 2);
        admission.go_by(ForwardedTrust::of(behind, *behind == Behind::CloudRun));
        Arc::new(admission)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn there_are_as_many_places_as_said_and_each_is_free_again() {
        let admission = admission(2, 10, &Behind::Direct);
        let client = address("192.0.2.1");
        let first = admission.admit(client).expect("a place");
        let _second = admission.admit(client).expect("a place");
        assert_eq!(admission.admit(client).expect_err("it is full"), Full::Connections);
        drop(first);
        let _third = admission.admit(client).expect("a place");
        assert_eq!(admission.admit(client).expect_err("it is full"), Full::Connections);
        let figures = admission.figures();
        assert_eq!((figures.accepted, figures.refused, figures.refused_by_client), (3, 2, 0));
    }

    #[test]
    fn one_client_does_not_take_the_places_of_the_others() {
        let check = |behind: &Behind, first: &str, second: &str, expected: Result<(), Full>| {
            let admission = admission(10, 1, behind);
            let _place = admission.admit(address(first)).expect("a place");
            let found = admission.admit(address(second)).map(drop);
            assert_eq!(found, expected, "{behind:?}: {first}, then {second}");
        };
        let direct = Behind::Direct;
        check(&direct, "192.0.2.1", "192.0.2.1", Err(Full::Client));
        check(&direct, "192.0.2.1", "192.0.2.2", Ok(()));
        check(&direct, "192.0.2.1", "::ffff:192.0.2.1", Err(Full::Client));
        check(&direct, "2001:db8:0:1::1", "2001:db8:0:1:ffff::2", Err(Full::Client));
        check(&direct, "2001:db8:0:1::1", "2001:db8:0:2::1", Ok(()));
        check(&Behind::CloudRun, "169.254.1.1", "169.254.1.1", Ok(()));
        let hops = Behind::Hops { count: 1, peers: vec!["10.0.0.0/8".parse().expect("a network")] };
        check(&hops, "10.0.0.1", "10.0.0.1", Ok(()));
        check(&hops, "192.0.2.1", "192.0.2.1", Err(Full::Client));
        check(&hops, "::ffff:10.0.0.1", "10.0.0.1", Ok(()));
    }

    #[test]
    fn nothing_is_kept_of_clients_that_left() {
        let admission = admission(10, 1, &Behind::Direct);
        let place = admission.admit(address("192.0.2.1")).expect("a place").on_worker(1);
        assert_eq!(admission.admit(address("192.0.2.1")).expect_err("it has one"), Full::Client);
        assert_eq!(admission.figures().open, [0, 1]);
        drop(place);
        assert_eq!(admission.figures().open, [0, 0]);
        assert_eq!(admission.open.load(Ordering::Relaxed), 0);
        assert!(admission.by_client.is_empty());
    }
}
