//! The addresses of a service's host: found on the control runtime, ahead of need and again and again, so that no request
//! waits for a name but the very first.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use firegate_google::outage::Outage;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::aside::Aside;
use crate::limits::{
    UPSTREAM_ADDRESSES_MAX, UPSTREAM_RESOLVE_INTERVAL, UPSTREAM_RESOLVE_RETRY_INTERVAL,
    UPSTREAM_RESOLVE_TIMEOUT,
};

/// What finds the addresses of a host.
pub(crate) trait Resolve: fmt::Debug + Send + Sync + 'static {
    /// The addresses, in the order in which they should be tried.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a>;
}

/// The addresses that are being looked for.
pub(crate) type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// The system's resolver, with its files, its search path and its order.
#[derive(Debug)]
pub(crate) struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// An address to which a connection was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResolvedAddress {
    pub(super) address: SocketAddr,
    /// As of which change of the host's addresses it is known to be one of them.
    pub(super) epoch: u64,
}

impl ResolvedAddress {
    /// Whether the host still has it. The addresses are compared once after each change.
    pub(super) fn is_current(&mut self, addresses: &Addresses) -> bool {
        let current = addresses.epoch();
        if self.epoch != current {
            if !addresses.contains(self.address) {
                return false;
            }
            self.epoch = current;
        }
        true
    }
}

/// The addresses of one host, as they were found last. A failure leaves those that were found before.
#[derive(Debug)]
pub(super) struct Addresses {
    host: Host,
    port: u16,
    found: watch::Sender<Found>,
    /// Changes whenever the addresses do.
    epoch: AtomicU64,
    /// Those of them to which no connection could be made lately.
    pub(super) aside: Aside,
    outage: Outage,
}

#[derive(Debug)]
enum Host {
    Address(IpAddr),
    Name(String),
}

#[derive(Debug, Default)]
struct Found {
    addresses: Arc<[SocketAddr]>,
    /// When they were looked for last, and what went wrong then.
    attempt: Option<(Instant, Result<(), String>)>,
}

impl Addresses {
    /// Of the host that a URL names. An address is known at once, a name when it was [refreshed](Self::refresh).
    pub(super) fn of(url: &url::Url) -> Self {
        let port = url.port_or_known_default().unwrap_or_default();
        let host = match url.host() {
            Some(url::Host::Ipv4(address)) => Host::Address(address.into()),
            Some(url::Host::Ipv6(address)) => Host::Address(address.into()),
            Some(url::Host::Domain(name)) => Host::Name(name.to_owned()),
            None => Host::Name(String::new()),
        };
        let addresses = match host {
            Host::Address(address) => Arc::from([SocketAddr::new(address, port)]),
            Host::Name(_) => Arc::default(),
        };
        let (found, _) = watch::channel(Found { addresses, attempt: None });
        Self {
            host,
            port,
            found,
            epoch: AtomicU64::new(0),
            aside: Aside::default(),
            outage: Outage::default(),
        }
    }

    /// What changes whenever the addresses do.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Whether an address is still one of the host's.
    fn contains(&self, address: SocketAddr) -> bool {
        self.found.borrow().addresses.contains(&address)
    }

    /// The addresses; of a name that was never looked for when it first was, `deadline` at the latest.
    ///
    /// # Errors
    /// Says why there are none.
    pub(super) async fn wait(&self, deadline: Instant) -> Result<Arc<[SocketAddr]>, String> {
        let mut found = self.found.subscribe();
        let known = found.wait_for(|found| found.attempt.is_some() || !found.addresses.is_empty());
        let Ok(Ok(found)) = timeout_at(deadline, known).await else {
            return Err("the host name could not be resolved in time".to_owned());
        };
        match &found.attempt {
            _ if !found.addresses.is_empty() => Ok(Arc::clone(&found.addresses)),
            Some((_, Err(error))) => Err(format!("the host name could not be resolved: {error}")),
            _ => Err("the host name has no address".to_owned()),
        }
    }

    /// Whether it is time to look for them again.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        if matches!(self.host, Host::Address(_)) {
            return false;
        }
        match &self.found.borrow().attempt {
            None => true,
            Some((at, Ok(()))) => now >= *at + UPSTREAM_RESOLVE_INTERVAL,
            Some((at, Err(_))) => now >= *at + UPSTREAM_RESOLVE_RETRY_INTERVAL,
        }
    }

    /// Logs what went wrong, or that it no longer does, and not with every attempt.
    fn tell(&self, host: &str, error: Option<&String>) {
        match error {
            Some(error) => {
                if let Some(failures) = self.outage.failed(Instant::now()) {
                    tracing::warn!(host, error, failures, "{UNRESOLVED}");
                }
            }
            None => {
                if let Some(failures) = self.outage.worked() {
                    tracing::info!(host, failures, "a service's host name is resolved again");
                }
            }
        }
    }

    /// Looks for the addresses of a name again.
    pub(super) async fn refresh(&self, resolver: &dyn Resolve) {
        let Host::Name(name) = &self.host else { return };
        let outcome = match timeout(UPSTREAM_RESOLVE_TIMEOUT, resolver.resolve(name, self.port)).await {
            Ok(Ok(addresses)) if addresses.is_empty() => Err("there is no address".to_owned()),
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the resolver did not answer in time".to_owned()),
        };
        self.tell(name, outcome.as_ref().err());
        let attempted_at = Instant::now();
        self.found.send_modify(|found| {
            let result = outcome.map(|addresses| {
                let addresses = distinct(addresses);
                // The resolver may turn the same ones around with every answer.
                let is_same = addresses.len() == found.addresses.len()
                    && addresses.iter().all(|address| found.addresses.contains(address));
                if !is_same {
                    found.addresses = addresses.into();
                    self.epoch.fetch_add(1, Ordering::Release);
                }
            });
            found.attempt = Some((attempted_at, result));
        });
    }
}

/// Each address once, up to the bound. A file of hosts may name one twice.
fn distinct(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut distinct = Vec::new();
    for address in addresses {
        if distinct.len() < UPSTREAM_ADDRESSES_MAX && !distinct.contains(&address) {
            distinct.push(address);
        }
    }
    distinct
}

/// What is logged of a name that has no addresses at the moment.
const UNRESOLVED: &str = "a service's host name could not be resolved; retrying, with the addresses that were found before, if any; hint: \
    look at the name in the backend's `url`, and at this machine's resolver";

/// The addresses in the order in which they are tried: the families take turns, beginning with the resolver's first
/// (RFC 8305, section 4), and within a family every connection begins with another address.
pub(super) fn in_turn(addresses: &[SocketAddr], turn: usize) -> Vec<SocketAddr> {
    let Some(first) = addresses.first() else { return Vec::new() };
    let (mut preferred, mut other): (Vec<_>, Vec<_>) =
        addresses.iter().copied().partition(|address| address.is_ipv6() == first.is_ipv6());
    for family in [&mut preferred, &mut other] {
        if !family.is_empty() {
            let count = family.len();
            family.rotate_left(turn % count);
        }
    }
    let mut other = other.into_iter();
    let mut order = Vec::with_capacity(addresses.len());
    for address in preferred {
        order.push(address);
        order.extend(other.next());
    }
    order.extend(other);
    order
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use firegate_google::limits::OUTAGE_LINE_INTERVAL;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn families_take_turns_and_connections_begin_with_another_address() {
        let check = |addresses: &[&str], turn: usize, expected: &[&str]| {
            let addresses = addresses.iter().map(|text| address(text)).collect::<Vec<_>>();
            let expected = expected.iter().map(|text| address(text)).collect::<Vec<_>>();
            assert_eq!(in_turn(&addresses, turn), expected, "{addresses:?} {turn}");
        };
        check(&[], 3, &[]);
        check(&["1.0.0.1:1"], 3, &["1.0.0.1:1"]);
        check(&["1.0.0.1:1", "1.0.0.2:1"], 1, &["1.0.0.2:1", "1.0.0.1:1"]);
        let both = ["[::1]:1", "[::2]:1", "1.0.0.1:1", "1.0.0.2:1", "1.0.0.3:1"];
        check(&both, 0, &["[::1]:1", "1.0.0.1:1", "[::2]:1", "1.0.0.2:1", "1.0.0.3:1"]);
        check(&both, 1, &["[::2]:1", "1.0.0.2:1", "[::1]:1", "1.0.0.3:1", "1.0.0.1:1"]);
    }

    #[derive(Debug, Default)]
    struct Answers(Mutex<Vec<io::Result<Vec<SocketAddr>>>>);

    impl Resolve for Answers {
        fn resolve<'a>(&'a self, _: &'a str, _: u16) -> Resolving<'a> {
            let answer = self.0.lock().expect("the answers").remove(0);
            Box::pin(std::future::ready(answer))
        }
    }

    /// Counts the lines of the log.
    struct Lines(Arc<AtomicU64>);

    impl tracing::Subscriber for Lines {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }

        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

        fn event(&self, _: &tracing::Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn enter(&self, _: &tracing::span::Id) {}

        fn exit(&self, _: &tracing::span::Id) {}
    }

    /// It is tried every other second, all night, and the resolver may find new words each time.
    #[tokio::test(start_paused = true)]
    async fn what_goes_wrong_is_told_seldom_and_when_it_is_over() {
        let failure = |why: &str| Err(io::Error::other(why.to_owned()));
        let found = || Ok(vec![address("192.0.2.1:80")]);
        let (soon, later) = (Duration::ZERO, OUTAGE_LINE_INTERVAL);
        let script: Vec<(io::Result<_>, (Duration, u64))> = vec![
            (found(), (soon, 0)),
            (failure("no such name"), (soon, 1)),
            (failure("no answer"), (soon, 1)),
            (failure("no such name"), (later, 2)),
            (found(), (soon, 3)),
            (found(), (soon, 3)),
            (failure("no such name"), (soon, 3)),
            (found(), (soon, 3)),
        ];
        let (answers, expected): (Vec<_>, Vec<_>) = script.into_iter().unzip();
        let resolver = Answers(Mutex::new(answers));
        let addresses = Addresses::of(&"http://service.example".parse().expect("a URL"));
        let lines = Arc::<AtomicU64>::default();
        let _log = tracing::subscriber::set_default(Lines(Arc::clone(&lines)));
        for (after, told) in expected {
            tokio::time::advance(after).await;
            addresses.refresh(&resolver).await;
            assert_eq!(lines.load(Ordering::Relaxed), told);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_keeps_what_was_found_and_is_soon_tried_again() {
        let (old, new) = (address("192.0.2.1:80"), address("192.0.2.2:80"));
        let failure = || Err(io::Error::other("no such name"));
        let resolver = Answers(Mutex::new(vec![failure(), Ok(vec![old]), failure(), Ok(vec![new])]));
        let addresses = Addresses::of(&"http://service.example".parse().expect("a URL"));
        let soon = || Instant::now() + UPSTREAM_RESOLVE_RETRY_INTERVAL;
        assert!(addresses.is_due(Instant::now()));
        assert!(addresses.wait(soon()).await.expect_err("never looked for").contains("in time"));
        addresses.refresh(&resolver).await;
        assert!(addresses.wait(soon()).await.expect_err("there is none").contains("no such name"));
        assert!(!addresses.is_due(Instant::now()) && addresses.is_due(soon()));
        addresses.refresh(&resolver).await;
        assert_eq!(&*addresses.wait(soon()).await.expect("an address"), [old]);
        assert!(!addresses.is_due(soon()) && addresses.is_due(Instant::now() + UPSTREAM_RESOLVE_INTERVAL));
        let epoch = addresses.epoch();
        addresses.refresh(&resolver).await;
        assert_eq!(
            (&*addresses.wait(soon()).await.expect("an address"), addresses.epoch()),
            (&[old][..], epoch)
        );
        assert!(addresses.is_due(soon()));
        addresses.refresh(&resolver).await;
        assert_eq!(&*addresses.wait(soon()).await.expect("an address"), [new]);
        assert_ne!(addresses.epoch(), epoch);
        assert!(addresses.contains(new) && !addresses.contains(old));
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_is_named_twice_stands_for_no_other_one() {
        let (kept, gone) = (address("192.0.2.1:80"), address("192.0.2.2:80"));
        let resolver = Answers(Mutex::new(vec![Ok(vec![kept, gone]), Ok(vec![kept, kept])]));
        let addresses = Addresses::of(&"http://service.example".parse().expect("a URL"));
        addresses.refresh(&resolver).await;
        let epoch = addresses.epoch();
        addresses.refresh(&resolver).await;
        assert_ne!(addresses.epoch(), epoch);
        assert_eq!(&*addresses.wait(Instant::now()).await.expect("an address"), [kept]);
        assert!(!addresses.contains(gone));
    }

    #[tokio::test]
    async fn an_address_needs_no_resolver() {
        let addresses = Addresses::of(&"http://[::1]:8080".parse().expect("a URL"));
        assert!(!addresses.is_due(Instant::now()));
        assert_eq!(&*addresses.wait(Instant::now()).await.expect("an address"), [address("[::1]:8080")]);
    }
}
