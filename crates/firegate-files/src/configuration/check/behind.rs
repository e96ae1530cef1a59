//! What stands before Firegate, and may say who the client is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net};

use super::Checker;
use crate::configuration::model::Behind;
use crate::configuration::source::{BehindSource, BehindWordSource, HopsSource};
use crate::diagnostic::{Diagnostic, YamlPath, code};
use crate::limits::HOPS_MAX;
use crate::suggestion::quoted;
use crate::yaml::Part;

impl Checker<'_> {
    /// `None` if what was given is wrong; `Some(None)` if nothing was.
    pub(super) fn behind(
        &mut self,
        behind: Option<BehindSource>,
        listen: &[SocketAddr],
    ) -> Option<Option<Behind>> {
        match behind {
            None => Some(None),
            Some(BehindSource::Word(BehindWordSource::Direct)) => Some(Some(Behind::Direct)),
            Some(BehindSource::Word(BehindWordSource::GoogleLb)) => Some(Some(Behind::GoogleLoadBalancer)),
            Some(BehindSource::Word(BehindWordSource::CloudRun)) => Some(Some(Behind::CloudRun)),
            Some(BehindSource::Hops(hops)) => self.hops(hops, listen).map(Some),
        }
    }

    fn hops(&mut self, source: HopsSource, listen: &[SocketAddr]) -> Option<Behind> {
        let path = YamlPath::root().key("behind");
        let count = match source.hops {
            Some(count @ 1..=HOPS_MAX) => Some(count),
            Some(_) => {
                let found =
                    Diagnostic::error(code::BEHIND, format!("the number of proxies is from 1 to {HOPS_MAX}"))
                        .hint("write `behind: direct` if there is none");
                self.report(&path.key("hops"), found);
                None
            }
            None => {
                let found =
                    Diagnostic::error(code::MISSING_KEY, "`behind` does not say how many proxies there are")
                        .hint("add `hops: 1` if one proxy stands before Firegate");
                self.missing(&path.key("hops"), found);
                None
            }
        };
        let texts = source.peers.unwrap_or_default();
        let loopback = !listen.is_empty() && listen.iter().all(|address| address.ip().is_loopback());
        if texts.is_empty() && !loopback && !self.was_refused(&path.key("peers")) {
            let found = Diagnostic::error(code::BEHIND, "`behind` does not say where the proxies connect from").hint(
                "add `peers: [10.0.0.0/8]` with their addresses: without it any client could forge its own address",
            );
            self.report_part(&path, Part::Key, found);
            return None;
        }
        let peers: Vec<Option<IpNet>> = texts
            .iter()
            .enumerate()
            .map(|(index, text)| self.range(&path.key("peers").index(index), text))
            .collect();
        let mut peers = peers.into_iter().collect::<Option<Vec<_>>>()?;
        if peers.is_empty() {
            // Only this machine can connect to a loopback listener.
            peers =
                ipv4_loopback().into_iter().chain([IpNet::from(IpAddr::V6(Ipv6Addr::LOCALHOST))]).collect();
        }
        Some(Behind::Hops { count: count?, peers })
    }

    fn range(&mut self, path: &YamlPath, text: &str) -> Option<IpNet> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(IpNet::from(address));
        }
        match text.parse::<IpNet>() {
            Ok(range) if range.trunc() == range => Some(range),
            Ok(range) => {
                let message = format!("{} has bits beyond its prefix", quoted(text));
                let hint = format!("did you mean `{}`?", range.trunc());
                self.report(path, Diagnostic::error(code::BEHIND, message).hint(hint));
                None
            }
            Err(_) => {
                let found =
                    Diagnostic::error(code::BEHIND, format!("{} is not a range of addresses", quoted(text)))
                        .hint("write for example `10.0.0.0/8`");
                self.report(path, found);
                None
            }
        }
    }
}

/// All of 127.0.0.0/8.
fn ipv4_loopback() -> Option<IpNet> {
    Ipv4Net::new(Ipv4Addr::new(127, 0, 0, 0), 8).ok().map(IpNet::V4)
}
