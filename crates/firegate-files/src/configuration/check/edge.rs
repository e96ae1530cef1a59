//! The side that faces the clients: listeners, TLS, how much comes in, what stands before Firegate, and CORS.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net};

use super::{Checker, Given};
use crate::configuration::model::{
    AccessLogSettings, AllowedOrigins, Behind, Certificate, ConnectionLimits, Cors, Share, Tls,
};
use crate::configuration::names::{NameError, Origin, listen_address};
use crate::configuration::quantity;
use crate::configuration::source::{
    AccessLogSource, AccessLogWordSource, BehindSource, BehindWordSource, ConfigurationSource, CorsSource,
    HopsSource, LimitsSource, ListenSource, ListenerSource, TlsSource,
};
use crate::diagnostic::{Diagnostic, YamlPath, code};
use crate::limits::{
    CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_DEFAULT, HOPS_MAX, LISTEN_ADDRESSES_MAX, REQUESTS_DEFAULT,
    REQUESTS_MAX,
};
use crate::suggestion::quoted;
use crate::yaml::Part;

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

    pub(super) fn access_log(&mut self, source: Option<AccessLogSource>) -> Option<AccessLogSettings> {
        let full = match source {
            None | Some(AccessLogSource::Word(AccessLogWordSource::All)) => {
                return Some(AccessLogSettings::default());
            }
            Some(AccessLogSource::Word(AccessLogWordSource::Refused)) => {
                return Some(AccessLogSettings { sample: Share::NOTHING, ..AccessLogSettings::default() });
            }
            Some(AccessLogSource::Full(full)) => full,
        };
        let sample = match full.sample.map(|share| (quantity::share(&share.0), share.0)) {
            None => Share::ALL,
            Some((Ok(share), _)) => share,
            Some((Err(error), text)) => {
                let found =
                    Diagnostic::error(code::QUANTITY, format!("{} is not a share: {error}", quoted(&text)))
                        .hint("write for example `10%` or `0.5%`");
                self.report(&YamlPath::root().key("access_log").key("sample"), found);
                return None;
            }
        };
        Some(AccessLogSettings { sample, user_ids: full.user_ids.unwrap_or(false) })
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

    pub(super) fn cors(&mut self, source: CorsSource) -> Option<Cors> {
        let path = YamlPath::root().key("cors");
        let credentials = source.credentials.unwrap_or(false);
        let origins = match source.origins {
            Some(origins) if !origins.is_empty() => self.origins(&path.key("origins"), &origins, credentials),
            given => {
                let found = Diagnostic::error(code::CORS, "`cors` names no origins")
                    .hint("add the origins of your pages, `origins: [\"https://app.example.com\"]`, or remove `cors`");
                match given {
                    Some(_) => self.report(&path.key("origins"), found),
                    None => self.missing(&path.key("origins"), found),
                }
                None
            }
        };
        let methods = self.tokens(&path.key("methods"), source.methods.unwrap_or_default(), "GET");
        let headers = self.tokens(&path.key("headers"), source.headers.unwrap_or_default(), "X-Request-Id");
        if let Some(methods) = &methods {
            self.upper_case(&path.key("methods"), methods)?;
        }
        let headers =
            headers.map(|headers| headers.iter().map(|header| header.to_ascii_lowercase()).collect());
        Some(Cors { origins: origins?, methods: methods?, headers: headers?, credentials })
    }

    fn origins(&mut self, path: &YamlPath, texts: &[String], credentials: bool) -> Option<AllowedOrigins> {
        let mut origins = Some(Vec::new());
        for (index, text) in texts.iter().enumerate() {
            let (message, hint) = match text.as_str() {
                "*" if credentials => (
                    "`*` with `credentials` would let every site act as the user",
                    "list the origins of your pages",
                ),
                "*" if texts.len() > 1 => (
                    "`*` stands beside other origins, which it makes meaningless",
                    "keep `*` alone, or remove it",
                ),
                "*" => return Some(AllowedOrigins::Any),
                text => {
                    let origin = self.name::<Origin>(&path.index(index), code::CORS, text);
                    origins = origins.zip(origin).map(|(mut origins, origin)| {
                        origins.push(origin);
                        origins
                    });
                    continue;
                }
            };
            self.report(&path.index(index), Diagnostic::error(code::CORS, message).hint(hint));
            origins = None;
        }
        origins.map(AllowedOrigins::Listed)
    }

    /// HTTP tokens (RFC 9110, section 5.6.2), none of them `*`.
    fn tokens(&mut self, path: &YamlPath, texts: Vec<String>, example: &str) -> Option<Vec<String>> {
        let mut valid = true;
        for (index, text) in texts.iter().enumerate() {
            let is_token = !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(&byte));
            if !is_token {
                let found = Diagnostic::error(code::CORS, format!("{} is not a name", quoted(text)))
                    .hint(format!("list each one, for example `{example}`"));
                self.report(&path.index(index), found);
                valid = false;
            }
        }
        valid.then_some(texts)
    }

    fn upper_case(&mut self, path: &YamlPath, methods: &[String]) -> Option<()> {
        let mut valid = Some(());
        for (index, method) in methods.iter().enumerate() {
            let upper = method.to_ascii_uppercase();
            if upper != *method {
                let found = Diagnostic::error(
                    code::CORS,
                    format!("the method {} is not in upper case", quoted(method)),
                )
                .hint(format!("methods are compared exactly: write `{upper}`"));
                self.report(&path.index(index), found);
                valid = None;
            }
        }
        valid
    }

    /// Whether the file has something at `path`.
    pub(super) fn stands_at(&self, path: &YamlPath) -> bool {
        match &self.given {
            Given::File(document) => document.get(path).is_some(),
            Given::Flags => false,
        }
    }
}

/// All of 127.0.0.0/8.
fn ipv4_loopback() -> Option<IpNet> {
    Ipv4Net::new(Ipv4Addr::new(127, 0, 0, 0), 8).ok().map(IpNet::V4)
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
