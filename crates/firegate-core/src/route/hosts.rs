//! Which path matcher a host belongs to: an exact host first, then the longest wildcard, then `*`. The host is what the
//! client says, and so it chooses a route and never what is allowed: policy and audience are the backend's.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use firegate_files::url_map::HostPattern;

use crate::limits::HOST_BYTES_MAX;

/// Host patterns and the numbers of their path matchers.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    exact: HashMap<Box<str>, usize>,
    /// By the ends of hosts, which begin with `.` or `-`.
    ends: HashMap<Box<str>, usize>,
    any: Option<usize>,
}

/// A pattern that names hosts, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NamedHosts<'a> {
    Exact(&'a str),
    Suffix(&'a str),
}

impl Hosts {
    pub(super) fn add(&mut self, pattern: &HostPattern, matcher: usize) {
        match pattern {
            HostPattern::Exact(host) => drop(self.exact.insert(host.as_str().into(), matcher)),
            HostPattern::Suffix(end) => drop(self.ends.insert(end.as_str().into(), matcher)),
            HostPattern::Any => self.any = Some(matcher),
        }
    }

    /// The path matcher of the requests for `host`.
    ///
    /// Google's classic load balancer takes no notice of a port, the others compare it. Here a host with its port is looked
    /// for first, then the host alone.
    pub(super) fn find(&self, host: &str) -> Option<usize> {
        self.find_named(host).map(|(_, matcher)| matcher).or(self.any)
    }

    /// Whether there is a path matcher for all the others: `*`.
    pub(super) fn take_any(&self) -> bool {
        self.any.is_some()
    }

    /// Every pattern that names hosts.
    pub(super) fn patterns(&self) -> impl Iterator<Item = NamedHosts<'_>> {
        let exact = self.exact.keys().map(|host| NamedHosts::Exact(host));
        exact.chain(self.ends.keys().map(|end| NamedHosts::Suffix(end)))
    }

    /// The pattern that names `host`, and its path matcher.
    pub(super) fn find_named(&self, host: &str) -> Option<(NamedHosts<'_>, usize)> {
        // No name is longer, and a longer text would cost more than it is worth.
        if host.len() > HOST_BYTES_MAX {
            return None;
        }
        let host = if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(host.to_ascii_lowercase())
        } else {
            Cow::Borrowed(host)
        };
        let found = self.named(&host);
        found.or_else(|| self.named(without_port(&host)?))
    }

    fn named(&self, host: &str) -> Option<(NamedHosts<'_>, usize)> {
        if let Some((host, matcher)) = self.exact.get_key_value(host) {
            return Some((NamedHosts::Exact(host), *matcher));
        }
        if self.ends.is_empty() {
            return None;
        }
        // `*` stands for `[a-z0-9-.]*`, and the first place that fits leaves the longest end.
        let is_covered =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
        for (at, byte) in host.bytes().enumerate() {
            if matches!(byte, b'.' | b'-')
                && let Some((end, matcher)) = host.get(at..).and_then(|end| self.ends.get_key_value(end))
            {
                return Some((NamedHosts::Suffix(end), *matcher));
            }
            if !is_covered(byte) {
                return None;
            }
        }
        None
    }
}

impl fmt::Display for NamedHosts<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => formatter.write_str(host),
            Self::Suffix(end) => write!(formatter, "*{end}"),
        }
    }
}

/// A host that has a port, without it.
fn without_port(host: &str) -> Option<&str> {
    // Most have none, and are too short for a search that begins with many bytes at once.
    let colon = host.bytes().rposition(|byte| byte == b':')?;
    let (name, port) = (host.get(..colon)?, host.get(colon + 1..)?);
    port.bytes().all(|byte| byte.is_ascii_digit()).then_some(name)
}

/// The port that a host names.
pub(super) fn port(host: &str) -> Option<&str> {
    let (_, port) = host.rsplit_once(':')?;
    (!port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())).then_some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_host_wins() {
        let mut hosts = Hosts::default();
        for (number, pattern) in [
            HostPattern::Any,
            HostPattern::Suffix(".example.com".to_owned()),
            HostPattern::Suffix("-eu.example.com".to_owned()),
            HostPattern::Exact("www.example.com".to_owned()),
            HostPattern::Exact("www.example.com:8080".to_owned()),
            HostPattern::Suffix(".api.example.com".to_owned()),
        ]
        .iter()
        .enumerate()
        {
            hosts.add(pattern, number);
        }
        let check = |host: &str, expected: usize| assert_eq!(hosts.find(host), Some(expected), "{host}");
        check("www.example.com", 3);
        check("WWW.Example.Com", 3);
        check("www.example.com:8080", 4);
        check("www.example.com:9090", 3);
        check("a.example.com", 1);
        check("a-eu.example.com", 2);
        check("a-eu.b.example.com", 1);
        check("x.api.example.com", 5);
        check("x.y.api.example.com:444", 5);
        check("example.com", 0);
        check("evilexample.com", 0);
        check("a_b.example.com", 0);
        check("www.example.com.", 0);
        check("[::1]:8080", 0);
        check("", 0);
        check(&format!("{}.example.com", "a".repeat(HOST_BYTES_MAX)), 0);
    }
}
