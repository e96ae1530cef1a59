//! The checked configuration. A value of these types has passed every check; nothing behind them checks again.
//!
//! What the type system can say, it says: a credential carries what it needs, a backend always has an endpoint, a
//! route always names a backend that exists.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use super::google::GoogleEndpoints;
use super::names::{
    BackendName, Origin, ProjectId, ProjectNumber, ServiceAccountEmail, TenantId, WorkloadIdentityProvider,
};
use super::path_pattern::PathPattern;
use super::rate_limits::{LimitsStore, RateLimits};
use crate::diagnostic::Diagnostics;
use crate::groups::Groups;
use crate::iam_policy::{DenyPolicy, Grant};
use crate::load_balancer::UrlMask;
use crate::members::Member;
use crate::security_policy::SecurityPolicy;
use crate::url_map::{HeaderAction, UrlMap};

/// A checked configuration of the front door.
///
/// File names are as written; a relative one counts from the working directory.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The project whose users are let in.
    pub project: ProjectId,
    /// Its number, if given.
    pub project_number: Option<ProjectNumber>,
    /// The public addresses; none for port `$PORT`, else 8080, on all addresses.
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

/// A service behind Firegate.
#[derive(Clone, Debug)]
pub struct Backend {
    /// Its first, usually only, origin.
    pub endpoint: Endpoint,
    /// Further origins of the same service.
    pub further_endpoints: Vec<Endpoint>,
    /// How Firegate identifies itself to it.
    pub credential: Credential,
    /// Who may call it.
    pub access: Access,
    /// Its Cloud Armor policy.
    pub security_policy: Option<Arc<SecurityPolicy>>,
    /// How the rules of that policy count.
    pub rate_limits: RateLimits,
    /// What its backend service does to headers, after everything that the URL map does.
    pub header_action: HeaderAction,
    /// Whether refusals are enforced.
    pub enforce: Enforce,
    /// What becomes of the user's token.
    pub user_token: UserToken,
    /// Where the user's token is looked for: at least one place, each once, the first that has one in this order.
    pub token_sources: Vec<TokenSource>,
    /// Whether requests must carry an App Check token: the backend's own word, else that of `users`.
    pub app_check: AppCheck,
    /// How it is told who the user is.
    pub identity_headers: IdentityHeaders,
    /// The HTTP version spoken to it.
    pub protocol: Protocol,
    /// The PEM file of the roots that its certificate is judged by, instead of the system's.
    pub ca_certificates: Option<PathBuf>,
    /// How many requests may be under way to it.
    pub requests_max: usize,
    /// How its endpoints are asked how they do; never with a credential.
    pub health_check: Option<HealthCheck>,
    /// Whether tokens may go to it over plain http although it is not on loopback.
    pub plaintext: Plaintext,
    /// What becomes of paths with an encoded slash or backslash.
    pub encoded_slash: EncodedSlash,
    /// The largest request body, in bytes.
    pub body_bytes_max: u64,
    /// How many bytes of a body a client has to send in a second, on average; 0 for as few as it likes.
    pub body_bytes_per_second_min: u64,
    /// What ends long streams.
    pub streams_until: StreamsUntil,
    /// How long it is waited for.
    pub timeouts: Timeouts,
    /// A local address to connect to instead of the endpoint's host; `Host` and audience stay the backend's. Never in
    /// a file: `firegate dev --map` alone sets it, by [`Configuration::connect_through`].
    pub connect_through: Option<Url>,
}

/// A backend service with a URL mask.
#[derive(Clone, Debug)]
pub struct MaskedBackend {
    /// How requests name the service that they are for.
    pub mask: UrlMask,
    /// The backends, by what the URLs of their requests begin with; a request that has another beginning goes nowhere.
    pub backends: BTreeMap<String, BackendName>,
}

/// An origin of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Scheme, host and port; the path is `/`.
    pub url: Url,
    /// The audience of the Google token and of the assertion.
    pub audience: String,
}

/// How Firegate identifies itself to a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// An ID token by application default credentials.
    Default,
    /// An ID token from the metadata server.
    Metadata,
    /// An ID token of this service account, by impersonation.
    Impersonate {
        /// Who is impersonated.
        service_account: ServiceAccountEmail,
    },
    /// An ID token of this service account, impersonated with the user's own token.
    FederateUser {
        /// Who is impersonated.
        service_account: ServiceAccountEmail,
        /// Where the user's token is exchanged.
        provider: WorkloadIdentityProvider,
    },
    /// None.
    None,
}

/// Who may call a backend.
#[derive(Clone, Debug, PartialEq)]
pub enum Access {
    /// These members; an empty list is nobody.
    Members(Vec<Member>),
    /// Whom an IAM policy names.
    Policy {
        /// The file.
        file: PathBuf,
        /// Its bindings of roles for callers.
        grants: Arc<[Grant]>,
    },
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

/// How a file in one of Google's formats is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// As Google reads it.
    Gcloud,
    /// With Firegate's extensions.
    Firegate,
}

/// Whether refusals are enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforce {
    /// They are.
    On,
    /// They are logged and counted.
    Observe,
}

/// What becomes of the user's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserToken {
    /// It is removed from wherever it was read.
    Drop,
    /// It is left where the client put it.
    Forward,
}

/// Where a user's token is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// `Authorization: Bearer`. It wins over [`Self::Cookie`].
    Authorization,
    /// The `__session` cookie. A browser sends it whoever made the page, so unsafe methods and WebSocket upgrades need
    /// an origin that is trusted. [`AcceptedToken::SessionCookie`] is accepted wherever this stands.
    Cookie,
    /// The parameter `access_token` of the query, for WebSocket upgrades and `Accept: text/event-stream` alone.
    Query,
    /// The element after `access_token` in `Sec-WebSocket-Protocol`, for WebSocket upgrades alone.
    WebsocketProtocol,
}

/// How a service is told who the user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityHeaders {
    /// `X-Firegate-…`.
    Firegate,
    /// As API Gateway does.
    ApiGateway,
    /// As Identity-Aware Proxy does.
    Iap,
    /// Not at all.
    None,
}

/// The HTTP version spoken to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// What the service offers.
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 over TLS.
    H2,
    /// HTTP/2 without TLS.
    H2c,
}

/// Whether tokens may go over plain http to an address that is not loopback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plaintext {
    /// They may not.
    Refuse,
    /// They may.
    Allow,
}

/// What becomes of paths with an encoded slash or backslash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodedSlash {
    /// They are refused.
    Refuse,
    /// They are forwarded as they are.
    Forward,
}

/// What ends a long stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamsUntil {
    /// The expiry of the token that opened it.
    TokenExpiry,
    /// That, or the user's revocation.
    Revocation,
    /// Neither.
    Never,
}

/// How long a service is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the connection.
    pub connect: Duration,
    /// From the end of the request to the response's headers.
    pub response_headers: Duration,
    /// Between two pieces of a body or stream.
    pub idle: Duration,
    /// From the head of the request to the end of the answer.
    pub total: Option<Duration>,
}

/// A request that asks an endpoint how it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// The path, with a slash before it.
    pub path: String,
    /// Between two of them.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            response_headers: Duration::from_secs(60),
            idle: Duration::from_secs(300),
            total: None,
        }
    }
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

/// Who counts as a signed-in user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Users {
    /// The kinds of tokens, at least one.
    pub accept: Vec<AcceptedToken>,
    /// The audiences that Google ID tokens may be for, compared exactly: at least one if
    /// [`AcceptedToken::GoogleIdToken`] is accepted, else none.
    pub google_audiences: Vec<String>,
    /// Which tenants' users.
    pub tenants: Tenants,
    /// Whether anonymous users do.
    pub anonymous: Anonymous,
    /// The pool's name in principals.
    pub identity_pool: String,
    /// How far clocks may differ.
    pub clock_skew: Duration,
    /// Whether users are looked up.
    pub revocation: Revocation,
}

/// A kind of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptedToken {
    /// A Firebase ID token.
    IdToken,
    /// A Firebase session cookie.
    SessionCookie,
    /// A Google ID token of a service account, for one of [`Users::google_audiences`].
    GoogleIdToken,
    /// A token that Firegate's own exchange issued. `assertion.issuer` is an origin wherever this stands: it is the
    /// token's `iss`.
    ExchangedToken,
}

/// Which tenants' users count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tenants {
    /// Project-level users alone.
    None,
    /// Project-level users and those of every tenant.
    Any,
    /// The users of these tenants, at least one.
    Listed(Vec<TenantId>),
}

/// Whether anonymous users count as signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anonymous {
    /// They do not.
    Deny,
    /// They do.
    Allow,
}

/// Whether requests must carry an App Check token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppCheck {
    /// They need not.
    Off,
    /// They must.
    Required {
        /// The project's number, which the issuer of App Check tokens carries.
        project_number: ProjectNumber,
        /// The app IDs let in; absent for every app of the project.
        apps: Option<Vec<String>>,
        /// Whether a token counts once only.
        consume: bool,
    },
}

/// Whether users are looked up, to notice that they were disabled or revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// They are not.
    Off,
    /// They are.
    Required {
        /// How old an answer may be.
        max_staleness: Duration,
        /// Whether users of whom nothing is known are let in while Google cannot be asked.
        allow_on_failure: bool,
    },
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

impl Endpoint {
    /// Whether it has Cloud Run's own name, by which its front finds the service.
    pub fn is_on_cloud_run(&self) -> bool {
        self.url.host_str().is_some_and(|host| host.trim_end_matches('.').ends_with(".run.app"))
    }
}

impl Backend {
    /// All origins, the first one first.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        std::iter::once(&self.endpoint).chain(&self.further_endpoints)
    }

    /// The members of its `allow` list; none when an IAM policy decides.
    pub fn members(&self) -> &[Member] {
        match &self.access {
            Access::Members(members) => members,
            Access::Policy { .. } => &[],
        }
    }

    /// Who may call it, and when.
    pub fn grants(&self) -> Arc<[Grant]> {
        match &self.access {
            Access::Members(members) => {
                let grant = |member: &Member| Grant { member: member.clone(), condition: None, place: None };
                members.iter().map(grant).collect()
            }
            Access::Policy { grants, .. } => Arc::clone(grants),
        }
    }
}
