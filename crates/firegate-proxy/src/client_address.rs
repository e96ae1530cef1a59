//! The client's address, and what is told to the service of the way a request took. Elements of `X-Forwarded-For` are
//! counted from the right, because everything a client sent itself stands on the left.

use std::net::IpAddr;

use firegate_files::configuration::Behind;
use http::HeaderMap;
use ipnet::IpNet;

/// The addresses from which Google's front ends speak to backends
/// (<https://cloud.google.com/load-balancing/docs/https#source-ip-addresses>).
const GOOGLE_FRONT_ENDS: [&str; 2] = ["35.191.0.0/16", "130.211.0.0/22"];

/// Who may speak for a client, and how many elements of the forwarded list they vouch for.
#[derive(Clone, Debug)]
pub(crate) struct ForwardedTrust {
    /// The client's element, counted from the right, 1 being the last one.
    position: usize,
    peers: Peers,
}

#[derive(Clone, Debug)]
enum Peers {
    /// Nobody else can reach the listener: Cloud Run's own front is always between.
    Everyone,
    Listed(Vec<IpNet>),
}

impl ForwardedTrust {
    /// What the configuration's `behind` means. `None`: forwarded headers count for nothing.
    pub(crate) fn of(behind: &Behind, on_cloud_run: bool) -> Option<Self> {
        let google = || Peers::Listed(GOOGLE_FRONT_ENDS.iter().filter_map(|net| net.parse().ok()).collect());
        Some(match behind {
            Behind::Direct => return None,
            // Cloud Run's front appends the client and nothing else.
            Behind::CloudRun => Self { position: 1, peers: Peers::Everyone },
            // The load balancer appends the client and itself; on Cloud Run the front adds nothing to it.
            Behind::GoogleLoadBalancer => {
                Self { position: 2, peers: if on_cloud_run { Peers::Everyone } else { google() } }
            }
            Behind::Hops { count, peers } => {
                Self { position: usize::from(*count), peers: Peers::Listed(peers.clone()) }
            }
        })
    }

    /// Whether forwarded headers from this address count.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        match &self.peers {
            Peers::Everyone => true,
            Peers::Listed(nets) => nets.iter().any(|net| net.contains(&peer)),
        }
    }
}

/// The client's address and scheme, as far as somebody trustworthy vouches for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) address: IpAddr,
    pub(crate) scheme: &'static str,
}

/// The one place that reads forwarded headers. `scheme` is the one of the connection itself.
pub(crate) fn client(
    trust: Option<&ForwardedTrust>,
    peer: IpAddr,
    scheme: &'static str,
    headers: &HeaderMap,
) -> Client {
    let peer = peer.to_canonical();
    let unforwarded = Client { address: peer, scheme };
    let Some(trust) = trust.filter(|trust| trust.trusts(peer)) else { return unforwarded };
    let scheme = match headers.get("x-forwarded-proto").map(|value| value.as_bytes()) {
        Some(b"https") => "https",
        Some(_) => "http",
        None => scheme,
    };
    let elements = headers
        .get_all("x-forwarded-for")
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','));
    // Too few elements, or one that is no address: somebody is not where the configuration says.
    let address =
        elements.rev().nth(trust.position.saturating_sub(1)).and_then(|element| element.trim().parse().ok());
    Client { address: address.unwrap_or(peer), scheme }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(behind: Behind, on_cloud_run: bool, peer: &str, forwarded: &[&str], expected: &str) {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().expect("a header value"));
        }
        let trust = ForwardedTrust::of(&behind, on_cloud_run);
        let found = client(trust.as_ref(), peer.parse().expect("an address"), "http", &headers).address;
        assert_eq!(found.to_string(), expected, "{behind:?} {peer} {forwarded:?}");
    }

    #[test]
    fn the_scheme_is_the_connections_own_unless_somebody_vouches_for_another() {
        let check = |behind: &Behind, scheme, forwarded: Option<&'static str>, expected| {
            let headers = forwarded.map(|scheme| {
                ("x-forwarded-proto".parse().expect("a name"), scheme.parse().expect("a value"))
            });
            let headers = headers.into_iter().collect::<HeaderMap>();
            let trust = ForwardedTrust::of(behind, true);
            let peer = "169.254.1.1".parse().expect("an address");
            let found = client(trust.as_ref(), peer, scheme, &headers).scheme;
            assert_eq!(found, expected, "{behind:?} {scheme} {forwarded:?}");
        };
        check(&Behind::Direct, "http", Some("https"), "http");
        check(&Behind::Direct, "https", Some("http"), "https");
        check(&Behind::Direct, "https", None, "https");
        check(&Behind::CloudRun, "http", Some("https"), "https");
        check(&Behind::CloudRun, "https", Some("http"), "http");
        check(&Behind::CloudRun, "http", Some("ftp"), "http");
        check(&Behind::CloudRun, "https", None, "https");
    }

    #[test]
    fn only_those_who_vouch_are_believed() {
        check(Behind::Direct, false, "192.0.2.1", &["203.0.113.9"], "192.0.2.1");
        check(Behind::CloudRun, true, "169.254.1.1", &["1.2.3.4, 203.0.113.9"], "203.0.113.9");
        check(
            Behind::GoogleLoadBalancer,
            false,
            "35.191.3.4",
            &["1.2.3.4, 203.0.113.9, 34.1.1.1"],
            "203.0.113.9",
        );
        check(
            Behind::GoogleLoadBalancer,
            false,
            "35.191.3.4",
            &["1.2.3.4", "203.0.113.9, 34.1.1.1"],
            "203.0.113.9",
        );
        check(Behind::GoogleLoadBalancer, false, "192.0.2.1", &["203.0.113.9, 34.1.1.1"], "192.0.2.1");
        check(Behind::GoogleLoadBalancer, true, "169.254.1.1", &["203.0.113.9, 34.1.1.1"], "203.0.113.9");
        check(Behind::GoogleLoadBalancer, true, "169.254.1.1", &["34.1.1.1"], "169.254.1.1");
        check(Behind::GoogleLoadBalancer, true, "169.254.1.1", &["nonsense, 34.1.1.1"], "169.254.1.1");
        let hops = || Behind::Hops { count: 3, peers: vec!["10.0.0.0/8".parse().expect("a net")] };
        check(hops(), false, "::ffff:10.1.1.1", &["203.0.113.9, 10.2.2.2, 10.3.3.3"], "203.0.113.9");
        check(hops(), false, "192.0.2.1", &["203.0.113.9, 10.2.2.2, 10.3.3.3"], "192.0.2.1");
    }
}
