//! Where and how rates are limited: what the configuration says beside the security policies.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Where limits are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitsStore {
    /// In this process.
    Memory,
    /// In a server that several processes share.
    Redis(Box<RedisServer>),
}

/// A Redis or Valkey server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisServer {
    /// Its name or address; IPv6 without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether TLS is spoken.
    pub tls: bool,
    /// The database's number.
    pub database: u16,
    /// The user's name, if it is not the default user.
    pub username: Option<String>,
    /// The password that the URL has.
    pub password: Option<Password>,
    /// The file that has the password.
    pub password_file: Option<PathBuf>,
    /// The PEM file of the authorities that its certificate may come from, instead of the system's.
    pub ca_certificates: Option<PathBuf>,
    /// Whether it is a node of a cluster.
    pub cluster: bool,
}

/// A password, which no message, log or debug output shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

/// What holds for a limit while the shared store cannot be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnStoreFailure {
    /// Each process counts for itself.
    #[default]
    Local,
    /// Every request conforms.
    Open,
    /// No request passes: the fault is ours, and is answered so.
    Closed,
}

/// How the requests of an interval are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CountAlgorithm {
    /// An interval begins with a key's first request and with the first one after its end. Exact.
    #[default]
    Fixed,
    /// The requests of the last interval's length are estimated by those of two intervals: the former one's count weighs as
    /// much as is left of the present one. An estimate, which takes the former's requests as evenly spread; it spares services
    /// the burst of twice the count around the end of an interval.
    Sliding,
}

/// How one rule counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimitSettings {
    /// What holds while the shared store cannot be asked.
    pub on_store_failure: OnStoreFailure,
    /// How requests are counted.
    pub algorithm: CountAlgorithm,
}

/// How the rules of a backend's security policy count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// Those that are not named.
    pub default: RateLimitSettings,
    /// Single ones, by their priority.
    pub rules: BTreeMap<u32, RateLimitSettings>,
}

impl Password {
    /// The password.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// What only the server may learn.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(…)")
    }
}

impl RateLimits {
    /// How the rule of this priority counts.
    pub fn of(&self, priority: u32) -> RateLimitSettings {
        self.rules.get(&priority).copied().unwrap_or(self.default)
    }
}

/// As it is named in the log: without user and password.
impl fmt::Display for RedisServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "rediss" } else { "redis" };
        let host = &self.host;
        match host.contains(':') {
            true => write!(formatter, "{scheme}://[{host}]:{}", self.port),
            false => write!(formatter, "{scheme}://{host}:{}", self.port),
        }
    }
}
