//! Where limits are counted, and how the rules of a backend's policy count.

use std::collections::BTreeMap;

use url::{Host, Url};

use super::Checker;
use super::url::has_password;
use crate::configuration::model::{Backend, Behind};
use crate::configuration::names::BackendName;
use crate::configuration::rate_limits::{
    CountAlgorithm, LimitsStore, OnStoreFailure, Password, RateLimitSettings, RateLimits, RedisServer,
};
use crate::configuration::source::{
    CountAlgorithmSource, LimitsStoreFullSource, LimitsStoreSource, OnStoreFailureSource,
    RateLimitRuleSource, RateLimitsSource,
};
use crate::diagnostic::{Diagnostic, YamlPath, code};
use crate::optional;
use crate::suggestion::quoted;
use crate::yaml::Part;

/// The port of Redis.
const PORT_DEFAULT: u16 = 6379;

/// The highest priority that a rule has: that of the default rule.
const PRIORITY_MAX: u32 = i32::MAX as u32;

/// What makes limits of several instances one.
const PER_INSTANCE_HINT: &str = "let them count together: `limits_store: rediss://HOST:PORT`; or run one instance: gcloud run services update SERVICE \
     --max-instances 1";

/// What `limits_store` says.
pub(super) struct CheckedStore {
    pub(super) store: LimitsStore,
    /// What holds where a backend says nothing.
    pub(super) on_failure: OnStoreFailure,
}

impl Checker<'_> {
    pub(super) fn limits_store(&mut self, source: Option<LimitsStoreSource>) -> Option<CheckedStore> {
        let path = YamlPath::root().key("limits_store");
        match source {
            None => Some(CheckedStore { store: LimitsStore::Memory, on_failure: OnStoreFailure::default() }),
            Some(LimitsStoreSource::Place(place)) if place == "memory" => {
                Some(CheckedStore { store: LimitsStore::Memory, on_failure: OnStoreFailure::default() })
            }
            Some(LimitsStoreSource::Place(place)) => {
                let server = self.redis_url(&path, &place)?;
                let store = LimitsStore::Redis(Box::new(server));
                Some(CheckedStore { store, on_failure: OnStoreFailure::default() })
            }
            Some(LimitsStoreSource::Full(full)) => self.redis_server(&path, *full),
        }
    }

    fn redis_server(&mut self, path: &YamlPath, source: LimitsStoreFullSource) -> Option<CheckedStore> {
        let LimitsStoreFullSource { url, username, password_file, ca_certificates, cluster, on_failure } =
            source;
        let Some(url) = url else {
            let found = Diagnostic::error(code::MISSING_KEY, "the server's `url` is not given");
            self.missing(&path.key("url"), found.hint("add `url: redis://HOST:PORT`"));
            return None;
        };
        let server = self.redis_url(&path.key("url"), &url);
        let file = |checker: &mut Self, key: &str, name: Option<String>| {
            name.map(|name| checker.file_name(&path.key(key), Some(name)))
        };
        let password_file = optional(file(self, "password_file", password_file));
        let ca_certificates = optional(file(self, "ca_certificates", ca_certificates));
        let mut server = server?;
        let mut report = |key: &str, message: &str, hint: &str| {
            let found = Diagnostic::error(code::LIMITS_STORE, message).hint(hint);
            self.report_part(&path.key(key), Part::Key, found);
            None
        };
        let has_file = matches!(password_file, Some(Some(_)));
        if has_file && server.password.is_some() {
            return report("password_file", "the URL has a password already", "keep it out of the URL");
        }
        if username.is_some() && server.username.is_some() {
            return report("username", "the URL has a user name already", "remove one of them");
        }
        if username.is_some() && !has_file && server.password.is_none() {
            return report("username", "a user name needs a password", "add `password_file`");
        }
        if matches!(ca_certificates, Some(Some(_))) && !server.tls {
            let hint = "write `rediss://`, or remove `ca_certificates`";
            return report("ca_certificates", "certificates are for a server that speaks TLS", hint);
        }
        server.cluster = cluster.unwrap_or_default();
        if server.cluster && server.database != 0 {
            return report("cluster", "a cluster has one database, number 0", "remove the URL's path");
        }
        server.username = username.or(server.username);
        (server.password_file, server.ca_certificates) = (password_file?, ca_certificates?);
        let on_failure = on_failure.map_or_else(OnStoreFailure::default, on_store_failure);
        Some(CheckedStore { store: LimitsStore::Redis(Box::new(server)), on_failure })
    }

    /// On Cloud Run there are as many instances as it likes.
    pub(super) fn limits_per_instance(
        &mut self,
        backends: Option<&BTreeMap<BackendName, Backend>>,
        behind: Option<&Option<Behind>>,
        store: Option<&CheckedStore>,
    ) {
        let counts_alone = store.is_some_and(|checked| checked.store == LimitsStore::Memory);
        if !counts_alone || behind.is_none_or(|behind| *behind != Some(Behind::CloudRun)) {
            return;
        }
        let limits = |backend: &Backend| {
            let policy = backend.security_policy.as_ref();
            policy.is_some_and(|policy| policy.rules.iter().any(|rule| rule.action.rate_limit().is_some()))
        };
        let mut backends = backends.into_iter().flatten();
        if let Some((name, _)) = backends.find(|(_, backend)| limits(backend)) {
            let path = YamlPath::root().key("backends").key(name.as_str()).key("security_policy");
            let message = "the limits of the policy are counted per instance, of which Cloud Run starts as many as it needs";
            let found = Diagnostic::note(code::LIMITS_PER_INSTANCE, message);
            self.report(&path, found.hint(PER_INSTANCE_HINT));
        }
    }

    /// The server that a URL names. The text is never repeated: it may hold a password.
    fn redis_url(&mut self, path: &YamlPath, text: &str) -> Option<RedisServer> {
        match redis_url(text) {
            Ok(server) => Some(server),
            Err((code, message)) => {
                let found = Diagnostic::error(code, message)
                    .hint("write `memory`, `redis://HOST:PORT` or, with TLS, `rediss://HOST:PORT`");
                let found = if has_password(text) { found.conceal() } else { found };
                self.report(path, found);
                None
            }
        }
    }

    /// How the rules of a backend's policy count.
    pub(super) fn rate_limits(
        &mut self,
        path: &YamlPath,
        source: Option<RateLimitsSource>,
        on_failure: OnStoreFailure,
        has_policy: bool,
    ) -> Option<RateLimits> {
        let usual = RateLimitSettings { on_store_failure: on_failure, ..RateLimitSettings::default() };
        let Some(RateLimitsSource { on_failure, algorithm, rules }) = source else {
            return Some(RateLimits { default: usual, ..RateLimits::default() });
        };
        if !has_policy {
            let message = "there is no `security_policy` whose rules could limit rates";
            let found =
                Diagnostic::error(code::RATE_LIMITS, message).hint("add one, or remove `rate_limits`");
            self.report_part(path, Part::Key, found);
            return None;
        }
        let default = settings(usual, RateLimitRuleSource { on_failure, algorithm });
        let mut checked = Some(RateLimits { default, ..RateLimits::default() });
        for (priority, rule) in rules.unwrap_or_default() {
            let number = priority.parse().ok().filter(|number| *number <= PRIORITY_MAX);
            let (Some(number), Some(limits)) = (number, &mut checked) else {
                if number.is_none() {
                    let message = format!("{} is not the priority of a rule", quoted(&priority));
                    let found = Diagnostic::error(code::RATE_LIMITS, message);
                    let hint =
                        "rules are named by their priority, for example `1000: { on_failure: closed }`";
                    self.report_part(&path.key("rules").key(&priority), Part::Key, found.hint(hint));
                    checked = None;
                }
                continue;
            };
            limits.rules.insert(number, settings(default, rule));
        }
        checked
    }
}

fn on_store_failure(source: OnStoreFailureSource) -> OnStoreFailure {
    match source {
        OnStoreFailureSource::Local => OnStoreFailure::Local,
        OnStoreFailureSource::Open => OnStoreFailure::Open,
        OnStoreFailureSource::Closed => OnStoreFailure::Closed,
    }
}

fn settings(usual: RateLimitSettings, source: RateLimitRuleSource) -> RateLimitSettings {
    RateLimitSettings {
        on_store_failure: source.on_failure.map_or(usual.on_store_failure, on_store_failure),
        algorithm: match source.algorithm {
            None => usual.algorithm,
            Some(CountAlgorithmSource::Fixed) => CountAlgorithm::Fixed,
            Some(CountAlgorithmSource::Sliding) => CountAlgorithm::Sliding,
        },
    }
}

fn redis_url(text: &str) -> Result<RedisServer, (&'static str, &'static str)> {
    let url = Url::parse(text).map_err(|_| (code::UNKNOWN_VALUE, "this is no place to count limits in"))?;
    let tls = match url.scheme() {
        "redis" => false,
        "rediss" => true,
        _ => return Err((code::UNKNOWN_VALUE, "this is no place to count limits in")),
    };
    let host = match url.host() {
        Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        _ => return Err((code::LIMITS_STORE, "the URL names no server")),
    };
    if url.query().is_some() || url.fragment().is_some() {
        return Err((code::LIMITS_STORE, "the URL has a query or fragment"));
    }
    let database = match url.path().trim_start_matches('/') {
        "" => 0,
        number => {
            number.parse().map_err(|_| (code::LIMITS_STORE, "the URL's path is no number of a database"))?
        }
    };
    let decoded =
        |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().map(|text| text.into_owned());
    let not_text = |_| (code::LIMITS_STORE, "the URL's user name or password is no text");
    let username = decoded(url.username()).map_err(not_text)?;
    let password = url.password().map(decoded).transpose().map_err(not_text)?;
    if password.is_none() && !username.is_empty() {
        return Err((code::LIMITS_STORE, "the URL has a user name and no password"));
    }
    Ok(RedisServer {
        host,
        port: url.port().unwrap_or(PORT_DEFAULT),
        tls,
        database,
        username: Some(username).filter(|name| !name.is_empty()),
        password: password.map(Password::new),
        password_file: None,
        ca_certificates: None,
        cluster: false,
    })
}
