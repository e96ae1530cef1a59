//! A service behind Firegate, and how it is called.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::super::names::{BackendName, ServiceAccountEmail, WorkloadIdentityProvider};
use super::super::rate_limits::RateLimits;
use super::AppCheck;
use crate::iam_policy::Grant;
use crate::load_balancer::UrlMask;
use crate::members::Member;
use crate::security_policy::SecurityPolicy;
use crate::url_map::HeaderAction;

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
    /// a file: `firegate dev --map` alone sets it, by [`super::Configuration::connect_through`].
    pub connect_through: Option<Url>,
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

impl Endpoint {
    /// Whether it has Cloud Run's own name, by which its front finds the service.
    pub fn is_on_cloud_run(&self) -> bool {
        self.url.host_str().is_some_and(|host| host.trim_end_matches('.').ends_with(".run.app"))
    }
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
    /// an origin that is trusted. [`super::AcceptedToken::SessionCookie`] is accepted wherever this stands.
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
