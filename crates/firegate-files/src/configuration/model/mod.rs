//! The checked configuration. A value of these types has passed every check; nothing behind them checks again.
//!
//! What the type system can say, it says: a credential carries what it needs, a backend always has an endpoint, a
//! route always names a backend that exists.

mod backend;
mod users;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use firegate_expr::Dialect;
use ipnet::IpNet;

pub use self::backend::{
    Access, Backend, Credential, EncodedSlash, Endpoint, Enforce, HealthCheck, IdentityHeaders,
    MaskedBackend, Plaintext, Protocol, StreamsUntil, Timeouts, TokenSource, UserToken,
};
pub use self::users::{AcceptedToken, Anonymous, AppCheck, Revocation, Tenants, Users};
use super::google::GoogleEndpoints;
use super::names::{BackendName, Origin, ProjectId, ProjectNumber};
use super::path_pattern::PathPattern;
use super::rate_limits::LimitsStore;
use crate::diagnostic::Diagnostics;
use crate::groups::Groups;
use crate::iam_policy::DenyPolicy;
use crate::url_map::UrlMap;

/// A checked configuration of the front door.
///
/// File names are as written; a relative one counts from the working directory.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The project whose users are let in.
    pub project: ProjectId,
    /// Its number, if given.
    pub project_number: Option<ProjectNumber>,
    /// The public addresses; none for port `$PORT`, else 8080, on all IPv4 addresses.
    pub listen: Vec<SocketAddr>,
    /// The listener for probes.
    pub health: Option<SocketAddr>,
    /// The listener for operators.
    pub admin: Option<SocketAddr>,
    /// Which requests have a line in the log.
    pub access_log: AccessLogSettings,
    /// TLS on the public listener.
    pub tls: Option<Tls>,
    /// How many connections there may be.
    pub limits: ConnectionLimits,
    /// How many requests may be under way.
    pub requests_max: u32,
    /// What stands before Firegate; absent for `cloud-run` on Cloud Run, else `direct`.
    pub behind: Option<Behind>,
    /// The directory for what outlives the process.
    pub data_dir: PathBuf,
    /// The services, at least one.
    pub backends: BTreeMap<BackendName, Backend>,
    /// Backend services that are none of the backends themselves: their requests name the backend that they are for.
    pub masked: BTreeMap<BackendName, MaskedBackend>,
    /// Which paths go where.
    pub routing: Routing,
    /// Who counts as a signed-in user.
    pub users: Users,
    /// The assertion about the user.
    pub assertion: AssertionSettings,
    /// Whether the token exchange answers. Then, or where its tokens are accepted, `assertion.issuer` is an origin, and no
    /// two backends have one audience.
    pub exchange: bool,
    /// Which web pages may call the backends; absent for none.
    pub cors: Option<Cors>,
    /// Who is in which group.
    pub groups: Groups,
    /// Who may call no backend, whoever lets them in.
    pub deny_policies: Vec<DenyPolicy>,
    /// The MaxMind database.
    pub geo: Option<PathBuf>,
    /// The Google endpoints.
    pub google: GoogleEndpoints,
    /// Where limits are counted.
    pub limits_store: LimitsStore,
    /// Memory for verified tokens, in bytes.
    pub verified_tokens_bytes: u64,
    /// What is allowed, and probably not meant; to be shown at start.
    pub warnings: Diagnostics,
    /// Whose tokens are trusted: set by [`Configuration::trust_emulator`] alone.
    pub(super) trust: Trust,
}

/// Which requests have a line in the log, and what it tells. What was refused, failed or was cut short always has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessLogSettings {
    /// The share of the other requests.
    pub sample: Share,
    /// Whether the line has the user's ID.
    pub user_ids: bool,
}

/// A share of a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u32);

impl Share {
    /// Nothing of it.
    pub const NOTHING: Self = Self(0);

    /// All of it.
    pub const ALL: Self = Self(1_000_000);

    /// So many millionths; `None` if that is more than all.
    pub fn of_million(count: u32) -> Option<Self> {
        (count <= Self::ALL.0).then_some(Self(count))
    }

    /// How many millionths it is.
    pub const fn per_million(self) -> u32 {
        self.0
    }
}

impl Default for Share {
    fn default() -> Self {
        Self::ALL
    }
}

/// A file in one of Google's formats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFile {
    /// Its name.
    pub file: PathBuf,
    /// What it holds.
    pub text: Arc<str>,
    /// How it is read.
    pub dialect: Dialect,
    /// Whether rules that cannot be evaluated here count as evaluated by the load balancer before.
    pub assume_evaluated_upstream: bool,
}

/// Which paths go to which backend.
#[derive(Clone, Debug)]
pub enum Routing {
    /// These routes; a path that none names is not found. No two have the same pattern.
    Routes(Vec<Route>),
    /// A Google Cloud URL map, whose services are all backends, or masked ones.
    UrlMap(Arc<UrlMap>),
}

/// A path and the backend that answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The paths.
    pub path: PathPattern,
    /// The backend, which exists, perhaps as a masked one.
    pub backend: BackendName,
}

/// Firegate's own assertion about the user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssertionSettings {
    /// Its `iss`, exactly as written.
    pub issuer: Option<String>,
    /// The file of the signing key; absent for a generated one in `data_dir`.
    pub key: Option<PathBuf>,
    /// The files of former keys, private or public ones, which are still published.
    pub previous_keys: Vec<PathBuf>,
}

/// Which web pages may call the backends from a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// The pages' origins.
    pub origins: AllowedOrigins,
    /// The methods; empty for the usual ones.
    pub methods: Vec<String>,
    /// The request headers beside the usual ones, in lower case.
    pub headers: Vec<String>,
    /// Whether cookies are sent; never with [`AllowedOrigins::Any`].
    pub credentials: bool,
}

/// The origins that may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// All.
    Any,
    /// These, compared exactly.
    Listed(Vec<Origin>),
}

/// What stands before Firegate and whose forwarded headers are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behind {
    /// Nothing.
    Direct,
    /// A Google Cloud Application Load Balancer.
    GoogleLoadBalancer,
    /// Cloud Run's own front end.
    CloudRun,
    /// The operator's own proxies.
    Hops {
        /// How many add to the forwarded headers, at least one.
        count: u8,
        /// Where they connect from, at least one range: the loopback addresses if a loopback listener names none.
        peers: Vec<IpNet>,
    },
}

/// TLS on the public listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificates, at least one.
    pub certificates: Vec<Certificate>,
}

/// The files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The chain, PEM.
    pub cert: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
}

/// How many connections the public listener takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// In all; absent for what fits the machine.
    pub connections_max: Option<u32>,
    /// From one client.
    pub connections_per_address_max: u32,
}

/// Whose tokens are trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Google's.
    Google,
    /// A local emulator's, unsigned ones included.
    Emulator,
}
