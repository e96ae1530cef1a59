//! The way a request took: who the client is, as far as somebody trustworthy vouches for it, and what the service is told.
//! Elements of `X-Forwarded-For` are counted from the right, because everything that a client sent itself stands on the
//! left.

mod address_text;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use firegate_files::configuration::Behind;
use http::header::{FORWARDED, VIA};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use ipnet::IpNet;

pub use self::address_text::AddressText;
use crate::headers::is_protected;
use crate::limits::REQUEST_ID_BYTES_MAX;
use crate::trace;

/// The addresses from which Google's front ends speak to backends
/// (<https://cloud.google.com/load-balancing/docs/https#source-ip-addresses>).
const GOOGLE_FRONT_ENDS: [&str; 2] = ["35.191.0.0/16", "130.211.0.0/22"];

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

const X_FIREGATE_REQUEST_ID: HeaderName = HeaderName::from_static("x-firegate-request-id");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Who may speak for a client, and how many elements of the forwarded list they vouch for.
#[derive(Clone, Debug)]
pub struct ForwardedTrust {
    /// The client's element, counted from the right, 1 being the last one.
    position: usize,
    peers: Peers,
    /// They are the operator's own. Google's front ends pass on what clients send.
    are_own: bool,
}

#[derive(Clone, Debug)]
enum Peers {
    /// Nobody else can reach the listener: Cloud Run's own front is always between.
    Everyone,
    Listed(Vec<IpNet>),
}

/// The client's address and scheme, as far as somebody trustworthy vouches for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Where the request comes from.
    pub address: IpAddr,
    /// `http` or `https`, as the client sent it.
    pub scheme: &'static str,
    /// Whether whom the request came from may speak for others.
    pub is_vouched_for: bool,
}

impl ForwardedTrust {
    /// What the configuration's `behind` means. `None`: forwarded headers count for nothing.
    pub fn of(behind: &Behind, on_cloud_run: bool) -> Option<Self> {
        let google = || Peers::Listed(GOOGLE_FRONT_ENDS.iter().filter_map(|net| net.parse().ok()).collect());
        Some(match behind {
            Behind::Direct => return None,
            // Anywhere else its front stands before nobody, and whoever reaches the listener writes the header.
            Behind::CloudRun if !on_cloud_run => return None,
            // Cloud Run's front appends the client and nothing else.
            Behind::CloudRun => Self { position: 1, peers: Peers::Everyone, are_own: false },
            // The load balancer appends the client and itself; on Cloud Run the front adds nothing to it.
            Behind::GoogleLoadBalancer => {
                let peers = if on_cloud_run { Peers::Everyone } else { google() };
                Self { position: 2, peers, are_own: false }
            }
            Behind::Hops { count, peers } => {
                let peers = Peers::Listed(peers.clone());
                Self { position: usize::from(*count), peers, are_own: true }
            }
        })
    }

    /// Whether forwarded headers from this address count.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        match &self.peers {
            Peers::Everyone => true,
            Peers::Listed(nets) => nets.iter().any(|net| net.contains(&peer)),
        }
    }
}

/// The one place that reads forwarded headers. `peer` is whom the request came from, by a connection of this `scheme`.
pub fn client(
    trust: Option<&ForwardedTrust>,
    peer: IpAddr,
    scheme: &'static str,
    headers: &HeaderMap,
) -> Client {
    let peer = peer.to_canonical();
    let Some(trust) = trust.filter(|trust| trust.trusts(peer)) else {
        return Client { address: peer, scheme, is_vouched_for: false };
    };
    let mut schemes = headers.get_all(X_FORWARDED_PROTO).iter().map(HeaderValue::as_bytes);
    let scheme = match (schemes.next(), schemes.next()) {
        (None, _) => scheme,
        (Some(b"https"), None) => "https",
        (Some(_), _) => "http",
    };
    let elements = headers
        .get_all(X_FORWARDED_FOR)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    // Each is read by itself: bytes of the client's, in the same line, do not make the proxy's unreadable. Too few elements, or
    // one that is no address: somebody is not where the configuration says.
    let element = elements.rev().nth(trust.position.saturating_sub(1));
    let address = element.and_then(|element| std::str::from_utf8(element).ok()).and_then(address);
    Client { address: address.unwrap_or(peer), scheme, is_vouched_for: true }
}

/// What a proxy of the operator's own calls the request: `X-Firegate-Request-Id`, else `X-Request-Id`. Whoever could choose it
/// otherwise could give two requests one name, in a log that somebody relies on.
pub fn request_id<'a>(
    trust: Option<&ForwardedTrust>,
    peer: IpAddr,
    headers: &'a HeaderMap,
) -> Option<&'a HeaderValue> {
    trust.filter(|trust| trust.are_own && trust.trusts(peer.to_canonical()))?;
    let name = [X_FIREGATE_REQUEST_ID, X_REQUEST_ID].into_iter().find(|name| headers.contains_key(name))?;
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let is_sane = (1..=REQUEST_ID_BYTES_MAX).contains(&value.len()) && value.as_bytes().iter().all(is_plain);
    is_sane.then_some(value)
}

/// An address, with or without a port.
fn address(element: &str) -> Option<IpAddr> {
    let element = element.trim();
    let bare = element.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(element);
    let address = bare.parse().ok().or_else(|| element.parse::<SocketAddr>().ok().map(|found| found.ip()))?;
    Some(IpAddr::to_canonical(&address))
}

/// Who counts as one client: an IPv4 address, or the 64 bits of an IPv6 address that name a network. A client chooses the
/// others as it likes (RFC 8981).
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Deletes every header that speaks of identity, of Google or of the way a request took. A trace that can be understood stays.
pub fn remove_protected(headers: &mut HeaderMap) {
    trace::drop_malformed(headers);
    let protected = headers.keys().filter(|name| is_protected(name)).cloned().collect::<Vec<_>>();
    for name in protected {
        headers.remove(name);
    }
}

/// Adds the headers that tell the way a request took, none of which is left of those that are protected. `host` is what the
/// client named, and `version` what it spoke.
pub fn tell_way(client: &Client, host: &str, version: Version, headers: &mut Vec<(HeaderName, HeaderValue)>) {
    let address = AddressText::of(client.address);
    if let Ok(value) = HeaderValue::try_from(forwarded(client, address.as_str(), host)) {
        headers.push((FORWARDED, value));
    }
    for (name, text) in [(X_FORWARDED_FOR, address.as_str()), (X_FORWARDED_HOST, host)] {
        if !text.is_empty()
            && let Ok(value) = HeaderValue::from_str(text)
        {
            headers.push((name, value));
        }
    }
    headers.push((VIA, via(version)));
    headers.push((X_FORWARDED_PROTO, HeaderValue::from_static(client.scheme)));
}

/// RFC 9110, section 7.6.3: this hop alone, by its pseudonym. Google's front ends hand on what a client wrote there, and
/// nothing tells it from what a trusted hop did.
fn via(version: Version) -> HeaderValue {
    HeaderValue::from_static(match version {
        Version::HTTP_09 => "0.9 firegate",
        Version::HTTP_10 => "1.0 firegate",
        Version::HTTP_2 => "2 firegate",
        Version::HTTP_3 => "3 firegate",
        _ => "1.1 firegate",
    })
}

/// RFC 7239, section 4: addresses of IPv6 are in brackets, and what has brackets or a colon is quoted. The identifier of
/// this hop tells no address (section 6.3).
fn forwarded(client: &Client, address: &str, host: &str) -> String {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_quotable = |byte: u8| is_token(byte) || b"[]:".contains(&byte);
    let node = match client.address {
        IpAddr::V4(_) => ["", address, ""],
        IpAddr::V6(_) => ["\"[", address, "]\""],
    };
    let host = match host {
        "" => ["", "", ""],
        host if host.bytes().all(is_token) => [";host=", host, ""],
        host if host.bytes().all(is_quotable) => [";host=\"", host, "\""],
        // No host that was read is of another kind.
        _ => ["", "", ""],
    };
    let [before, node, after] = node;
    let [name, host, end] = host;
    ["by=_firegate;for=", before, node, after, name, host, end, ";proto=", client.scheme].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
        }
        headers
    }

    fn check(behind: Behind, on_cloud_run: bool, peer: &str, forwarded: &[&str], expected: &str) {
        let pairs = forwarded.iter().map(|value| ("x-forwarded-for", *value)).collect::<Vec<_>>();
        let trust = ForwardedTrust::of(&behind, on_cloud_run);
        let found = client(trust.as_ref(), peer.parse().expect("an address"), "http", &fields(&pairs));
        assert_eq!(found.address.to_string(), expected, "{behind:?} {peer} {forwarded:?}");
    }

    fn hops(count: u8) -> Behind {
        Behind::Hops { count, peers: vec!["10.0.0.0/8".parse().expect("a net")] }
    }

    #[test]
    fn the_scheme_is_the_connections_own_unless_somebody_vouches_for_another() {
        let check = |behind: &Behind, scheme, forwarded: &[&str], expected| {
            let pairs = forwarded.iter().map(|scheme| ("x-forwarded-proto", *scheme)).collect::<Vec<_>>();
            let trust = ForwardedTrust::of(behind, true);
            let peer = "169.254.1.1".parse().expect("an address");
            let found = client(trust.as_ref(), peer, scheme, &fields(&pairs)).scheme;
            assert_eq!(found, expected, "{behind:?} {scheme} {forwarded:?}");
        };
        check(&Behind::Direct, "http", &["https"], "http");
        check(&Behind::Direct, "https", &["http"], "https");
        check(&Behind::Direct, "https", &[], "https");
        check(&Behind::CloudRun, "http", &["https"], "https");
        check(&Behind::CloudRun, "https", &["http"], "http");
        check(&Behind::CloudRun, "http", &["ftp"], "http");
        check(&Behind::CloudRun, "https", &["ftp"], "http");
        check(&Behind::CloudRun, "http", &["https", "https"], "http");
        check(&Behind::CloudRun, "https", &[], "https");
    }

    #[test]
    fn a_request_is_called_what_a_proxy_of_ones_own_calls_it_and_nobody_else() {
        let check = |behind: &Behind, peer: &str, pairs: &[(&str, &str)], expected: Option<&str>| {
            let (trust, headers) = (ForwardedTrust::of(behind, true), fields(pairs));
            let found = request_id(trust.as_ref(), peer.parse().expect("an address"), &headers);
            let found = found.map(|value| value.to_str().expect("text"));
            assert_eq!(found, expected, "{behind:?} {peer} {pairs:?}");
        };
        let (name, own) = ("x-request-id", "x-firegate-request-id");
        check(&hops(1), "10.0.0.1", &[(name, "a-1_b.C")], Some("a-1_b.C"));
        check(&hops(1), "::ffff:10.0.0.1", &[(name, "a")], Some("a"));
        check(&hops(1), "10.0.0.1", &[(name, "a"), (own, "b")], Some("b"));
        check(&hops(1), "10.0.0.1", &[], None);
        check(&hops(1), "192.0.2.1", &[(name, "a")], None);
        for behind in [Behind::Direct, Behind::CloudRun, Behind::GoogleLoadBalancer] {
            check(&behind, "169.254.1.1", &[(name, "a"), (own, "a")], None);
        }
        let longest = "a".repeat(REQUEST_ID_BYTES_MAX);
        check(&hops(1), "10.0.0.1", &[(name, &longest)], Some(&longest));
        for bad in ["", "a b", "a,b", "a\"b", "a/b", "a:b", &"a".repeat(REQUEST_ID_BYTES_MAX + 1)] {
            check(&hops(1), "10.0.0.1", &[(name, bad)], None);
        }
        check(&hops(1), "10.0.0.1", &[(name, "a"), (name, "a")], None);
        check(&hops(1), "10.0.0.1", &[(own, "a"), (own, "b"), (name, "c")], None);
    }

    #[test]
    fn only_those_who_vouch_are_believed() {
        let google = Behind::GoogleLoadBalancer;
        check(Behind::Direct, false, "192.0.2.1", &["203.0.113.9"], "192.0.2.1");
        check(Behind::CloudRun, true, "169.254.1.1", &["1.2.3.4, 203.0.113.9"], "203.0.113.9");
        for stranger in ["169.254.1.1", "127.0.0.1", "35.191.3.4"] {
            check(Behind::CloudRun, false, stranger, &["1.2.3.4, 203.0.113.9"], stranger);
        }
        let by_google = ["1.2.3.4, 203.0.113.9, 34.1.1.1"];
        check(google.clone(), false, "35.191.3.4", &by_google, "203.0.113.9");
        check(google.clone(), false, "130.211.3.4", &by_google, "203.0.113.9");
        check(google.clone(), false, "35.191.255.254", &by_google, "203.0.113.9");
        for stranger in ["130.210.255.254", "130.211.4.4", "35.190.255.254", "35.192.0.1"] {
            check(google.clone(), false, stranger, &by_google, stranger);
        }
        check(google.clone(), false, "35.191.3.4", &["1.2.3.4", "203.0.113.9, 34.1.1.1"], "203.0.113.9");
        check(google.clone(), false, "192.0.2.1", &["203.0.113.9, 34.1.1.1"], "192.0.2.1");
        check(google.clone(), true, "169.254.1.1", &["203.0.113.9, 34.1.1.1"], "203.0.113.9");
        check(google.clone(), true, "169.254.1.1", &["34.1.1.1"], "169.254.1.1");
        check(google, true, "169.254.1.1", &["nonsense, 34.1.1.1"], "169.254.1.1");
        check(hops(3), false, "::ffff:10.1.1.1", &["203.0.113.9, 10.2.2.2, 10.3.3.3"], "203.0.113.9");
        check(hops(3), false, "192.0.2.1", &["203.0.113.9, 10.2.2.2, 10.3.3.3"], "192.0.2.1");
        check(hops(3), false, "10.1.1.1", &["10.2.2.2, 10.3.3.3"], "10.1.1.1");
        check(hops(1), false, "10.1.1.1", &[], "10.1.1.1");
        check(hops(1), false, "10.1.1.1", &["203.0.113.9; 10.2.2.2"], "10.1.1.1");
        check(hops(1), false, "10.1.1.1", &["203.0.113.9:4711"], "203.0.113.9");
        check(hops(1), false, "10.1.1.1", &["[2001:db8::1]:4711"], "2001:db8::1");
        check(hops(1), false, "10.1.1.1", &["[2001:db8::1]"], "2001:db8::1");
        check(hops(1), false, "10.1.1.1", &["::ffff:203.0.113.9"], "203.0.113.9");
        check(hops(1), false, "10.1.1.1", &["unknown"], "10.1.1.1");
        check(hops(1), false, "10.1.1.1", &["\u{fc}, 203.0.113.9"], "203.0.113.9");
        check(
            Behind::GoogleLoadBalancer,
            false,
            "35.191.3.4",
            &["\u{fc}", "\u{fc}, 203.0.113.9, 34.1.1.1"],
            "203.0.113.9",
        );
        check(hops(1), false, "10.1.1.1", &["203.0.113.9, \u{fc}"], "10.1.1.1");
    }

    /// Who is not vouched for says nothing of themselves: a policy would believe the header that it reads the address from.
    #[test]
    fn nobody_speaks_for_a_client_but_who_may() {
        let check_on = |on_cloud_run: bool, behind: Behind, peer: &str, expected: bool| {
            let trust = ForwardedTrust::of(&behind, on_cloud_run);
            let client = client(trust.as_ref(), peer.parse().expect("an address"), "http", &HeaderMap::new());
            assert_eq!(client.is_vouched_for, expected, "{behind:?} {peer}");
        };
        let check = |behind, peer, expected| check_on(false, behind, peer, expected);
        check(Behind::Direct, "10.1.1.1", false);
        check(Behind::CloudRun, "169.254.1.1", false);
        check_on(true, Behind::CloudRun, "169.254.1.1", true);
        check(Behind::GoogleLoadBalancer, "35.191.3.4", true);
        check(Behind::GoogleLoadBalancer, "10.1.1.1", false);
        check(hops(1), "10.1.1.1", true);
        check(hops(1), "192.0.2.1", false);
    }

    /// What becomes of a request's headers.
    fn rewrite(headers: &mut HeaderMap, client: &Client, host: &str, version: Version) {
        remove_protected(headers);
        let mut told = Vec::new();
        tell_way(client, host, version, &mut told);
        for (name, value) in told {
            assert_eq!(headers.insert(name, value), None);
        }
    }

    fn rewritten(address: &str, host: &str, version: Version, via: &[&str]) -> HeaderMap {
        let pairs = via.iter().map(|value| ("via", *value)).collect::<Vec<_>>();
        let mut headers = fields(&pairs);
        let client =
            Client { address: address.parse().expect("an address"), scheme: "https", is_vouched_for: true };
        rewrite(&mut headers, &client, host, version);
        headers
    }

    #[test]
    fn the_way_is_told_anew() {
        let headers = rewritten("203.0.113.9", "door.example:8080", Version::HTTP_11, &["1.0 liar"]);
        assert_eq!(headers["x-forwarded-for"], "203.0.113.9");
        assert_eq!(headers["x-forwarded-host"], "door.example:8080");
        assert_eq!(headers["x-forwarded-proto"], "https");
        assert_eq!(headers["via"], "1.1 firegate");
        let expected = "by=_firegate;for=203.0.113.9;host=\"door.example:8080\";proto=https";
        assert_eq!(headers["forwarded"], expected);

        let headers = rewritten("2001:db8::1", "door.example", Version::HTTP_2, &["1.1 a", "1.1 google"]);
        assert_eq!(headers["via"], "2 firegate", "a client may have written the rest, whoever handed it on");
        let expected = "by=_firegate;for=\"[2001:db8::1]\";host=door.example;proto=https";
        assert_eq!(headers["forwarded"], expected);

        let headers = rewritten("203.0.113.9", "", Version::HTTP_10, &[]);
        assert!(!headers.contains_key("x-forwarded-host"));
        assert_eq!(headers["via"], "1.0 firegate");
        assert_eq!(headers["forwarded"], "by=_firegate;for=203.0.113.9;proto=https");
        let headers = rewritten("203.0.113.9", "a_b-c.example", Version::HTTP_11, &[]);
        assert_eq!(headers["forwarded"], "by=_firegate;for=203.0.113.9;host=a_b-c.example;proto=https");
        for other in ["a\"b", "a;proto=http", "a,for=_b", "a\\b"] {
            let headers = rewritten("203.0.113.9", other, Version::HTTP_11, &[]);
            assert_eq!(headers["forwarded"], "by=_firegate;for=203.0.113.9;proto=https", "{other}");
        }
        let headers = rewritten("203.0.113.9", "[2001:db8::2]:443", Version::HTTP_11, &[]);
        let expected = "by=_firegate;for=203.0.113.9;host=\"[2001:db8::2]:443\";proto=https";
        assert_eq!(headers["forwarded"], expected);
    }

    /// Names that speak of the way a request took, in every spelling that a server may fold.
    fn forwarding_name() -> impl Strategy<Value = String> {
        let names = [
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-forwarded-prefix",
            "x-forwarded-uri",
            "x-forwarded",
            "forwarded",
            "via",
            "x-real-ip",
            "x-original-url",
            "true-client-ip",
            "x-client-ip",
            "client-ip",
            "cf-connecting-ip",
            "fastly-client-ip",
            "x-cluster-client-ip",
            "x-host",
            "x-original-forwarded-for",
            "x-original-host",
        ];
        let spelt = |(name, folds): (&str, Vec<u8>)| {
            let separators = ['-', '_', '.'];
            let mut folds = folds.into_iter().cycle();
            let fold = |letter| match letter {
                '-' => separators[usize::from(folds.next().unwrap_or_default() % 3)],
                other => other,
            };
            name.chars().map(fold).collect::<String>()
        };
        (prop::sample::select(names.to_vec()), prop::collection::vec(0_u8..3, 4)).prop_map(spelt)
    }

    proptest! {
        /// Advisories of Envoy (CVE-2024-45806), oauth2-proxy (CVE-2026-40575), Traefik (CVE-2026-35051) and Oathkeeper
        /// (GHSA-vhr5-ggp3-qq85): forwarded headers of whoever is not trusted changed something all the same.
        #[test]
        fn whoever_is_not_trusted_changes_nothing_by_a_forwarded_header(
            sent in prop::collection::vec((forwarding_name(), "[ -~]{0,40}"), 0..8),
            peer in prop::sample::select(vec!["192.0.2.1", "10.0.0.1", "127.0.0.1", "::1", "35.190.0.1"]),
            behind in prop::sample::select(vec![
                Behind::Direct,
                Behind::CloudRun,
                Behind::GoogleLoadBalancer,
                Behind::Hops { count: 1, peers: vec!["172.16.0.0/12".parse().expect("a net")] },
            ]),
        ) {
            let peer: IpAddr = peer.parse().expect("an address");
            let trust = ForwardedTrust::of(&behind, false);
            let result = |pairs: &[(String, String)]| {
                let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>();
                let mut headers = fields(&pairs);
                headers.insert("accept", HeaderValue::from_static("*/*"));
                let client = client(trust.as_ref(), peer, "http", &headers);
                rewrite(&mut headers, &client, "door.example", Version::HTTP_11);
                (client, headers)
            };
            prop_assert_eq!(result(&sent), result(&[]));
        }
    }
}
