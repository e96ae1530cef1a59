//! How connections get in: the addresses that are listened at, TLS, and how many there may be.

use std::net::{IpAddr, SocketAddr};

use super::Checker;
use crate::configuration::model::{Certificate, ConnectionLimits, Tls};
use crate::configuration::names::{NameError, listen_address};
use crate::configuration::source::{
    ConfigurationSource, LimitsSource, ListenSource, ListenerSource, TlsSource,
};
use crate::diagnostic::{Diagnostic, YamlPath, code};
use crate::limits::{
    CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_DEFAULT, LISTEN_ADDRESSES_MAX, REQUESTS_DEFAULT, REQUESTS_MAX,
};

/// The addresses to listen on.
pub(super) struct Listeners {
    /// The public ones; none for the default.
    pub(super) listen: Vec<SocketAddr>,
    pub(super) health: Option<SocketAddr>,
    pub(super) admin: Option<SocketAddr>,
}

impl Checker<'_> {
    pub(super) fn listeners(&mut self, source: &ConfigurationSource) -> Listeners {
        let root = YamlPath::root();
        let mut named = self.public(source.listen.as_ref());
        let listen = named.iter().filter_map(|(_, address)| *address).collect();
        let health = self.listener(&root.key("health"), source.health.as_ref());
        let admin = self.listener(&root.key("admin"), source.admin.as_ref());
        named.push((root.key("health").key("listen"), health));
        named.push((root.key("admin").key("listen"), admin));
        for (position, (path, address)) in named.iter().enumerate() {
            let before = named.iter().take(position);
            let Some(address) = address else { continue };
            for (other, _) in before.filter(|(_, other)| other.is_some_and(|other| overlap(&other, address)))
            {
                let [name, other] = [path, other].map(|path| {
                    let text = path.to_string();
                    text.strip_suffix(".listen").map(str::to_owned).unwrap_or(text)
                });
                let found = Diagnostic::error(
                    code::LISTEN,
                    format!("`{name}` listens on the same address as `{other}`"),
                )
                .hint("give it another port");
                self.report(path, found);
            }
        }
        if let Some(address) = admin.filter(|address| !address.ip().is_loopback()) {
            let message = format!("whoever reaches `{address}` reads the metrics");
            let found = Diagnostic::warning(code::ADMIN_REACHABLE, message).hint(format!(
                "listen on `127.0.0.1:{}` if they are collected on this machine; else let the network keep strangers away",
                address.port()
            ));
            self.report(&root.key("admin").key("listen"), found);
        }
        Listeners { listen, health, admin }
    }

    /// The public addresses, each with its place in the file.
    fn public(&mut self, source: Option<&ListenSource>) -> Vec<(YamlPath, Option<SocketAddr>)> {
        let path = YamlPath::root().key("listen");
        let texts = match source {
            None => return Vec::new(),
            Some(ListenSource::One(text)) => {
                let address = self.address(&path, text);
                return vec![(path, address)];
            }
            Some(ListenSource::Several(texts)) => texts,
        };
        if texts.is_empty() || texts.len() > LISTEN_ADDRESSES_MAX {
            let found = Diagnostic::error(
                code::LISTEN,
                format!(
                    "`listen` has {} addresses; it may have from 1 to {LISTEN_ADDRESSES_MAX}",
                    texts.len()
                ),
            );
            self.report(&path, found.hint("list those that clients connect to, or remove `listen`"));
            return Vec::new();
        }
        let texts = texts.iter().enumerate();
        texts.map(|(index, text)| (path.index(index), self.address(&path.index(index), text))).collect()
    }

    pub(super) fn limits(&mut self, source: &LimitsSource) -> Option<ConnectionLimits> {
        let path = YamlPath::root().key("limits");
        let connections_max =
            self.count(&path.key("connections_max"), source.connections_max, CONNECTIONS_MAX);
        let per_address = self.count(
            &path.key("connections_per_address_max"),
            source.connections_per_address_max,
            CONNECTIONS_MAX,
        );
        Some(ConnectionLimits {
            connections_max: connections_max?,
            connections_per_address_max: per_address?.unwrap_or(CONNECTIONS_PER_ADDRESS_DEFAULT),
        })
    }

    pub(super) fn requests_max(&mut self, source: &LimitsSource) -> Option<u32> {
        let path = YamlPath::root().key("limits").key("requests_max");
        let requests_max = self.count(&path, source.requests_max, REQUESTS_MAX)?;
        Some(requests_max.unwrap_or(REQUESTS_DEFAULT))
    }

    /// A number of things, if it is given: at least one of them.
    fn count(&mut self, path: &YamlPath, given: Option<u32>, max: u32) -> Option<Option<u32>> {
        match given {
            Some(number) if !(1..=max).contains(&number) => {
                let found = Diagnostic::error(code::QUANTITY, format!("{number} is out of range"))
                    .hint(format!("from 1 to {max}; there is no way to say unlimited"));
                self.report(path, found);
                None
            }
            given => Some(given),
        }
    }

    fn listener(&mut self, path: &YamlPath, source: Option<&ListenerSource>) -> Option<SocketAddr> {
        let path = path.key("listen");
        match source?.listen.as_deref() {
            Some(text) => self.address(&path, text),
            None => {
                let found = Diagnostic::error(code::MISSING_KEY, format!("`{path}` is not given"))
                    .hint("add an address, for example `listen: 127.0.0.1:9902`");
                self.missing(&path, found);
                None
            }
        }
    }

    fn address(&mut self, path: &YamlPath, text: &str) -> Option<SocketAddr> {
        match listen_address(text) {
            Ok(address) => Some(address),
            Err(NameError { message, hint }) => {
                self.report(path, Diagnostic::error(code::LISTEN, message).hint(hint));
                None
            }
        }
    }

    pub(super) fn tls(&mut self, source: TlsSource) -> Option<Tls> {
        let path = YamlPath::root().key("tls").key("certificates");
        let certificates = source.certificates.unwrap_or_default();
        if certificates.is_empty() {
            let found = Diagnostic::error(code::MISSING_KEY, "TLS needs a certificate")
                .hint("add `certificates: [ { cert: cert.pem, key: key.pem } ]`");
            self.missing(&path, found);
            return None;
        }
        let certificates = certificates.into_iter().enumerate();
        let checked: Vec<Option<Certificate>> = certificates
            .map(|(index, certificate)| {
                let path = path.index(index);
                let cert = self.file_name(&path.key("cert"), certificate.cert);
                let key = self.file_name(&path.key("key"), certificate.key);
                Some(Certificate { cert: cert?, key: key? })
            })
            .collect();
        checked.into_iter().collect::<Option<Vec<_>>>().map(|certificates| Tls { certificates })
    }
}

/// Whether two listeners would fight for a port.
fn overlap(left: &SocketAddr, right: &SocketAddr) -> bool {
    // All addresses of IPv6 are those of IPv4 too, unless the system is told otherwise (RFC 3493, section 5.3).
    let covers = |wide: IpAddr, narrow: IpAddr| {
        wide == narrow || (wide.is_unspecified() && (wide.is_ipv6() || narrow.is_ipv4()))
    };
    let (one, other) = (left.ip(), right.ip());
    left.port() != 0 && left.port() == right.port() && (covers(one, other) || covers(other, one))
}
