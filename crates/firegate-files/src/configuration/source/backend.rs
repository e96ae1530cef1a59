//! The shape of a backend and of a route.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{AppCheckSource, DurationSource, FileSource, RateLimitsSource, SizeSource};

/// A backend: the origin of its URL, or the long form.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum BackendSource {
    /// The origin of the service, for example `https://api-abc123-uc.a.run.app`.
    Url(UrlSource),
    /// The long form.
    Full(Box<BackendFullSource>),
}

/// The origin of a service.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(title = "a URL such as `https://api-abc123-uc.a.run.app`")]
pub(crate) struct UrlSource(pub String);

/// A service behind Firegate.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackendFullSource {
    /// The origin of the service, for example `https://api-abc123-uc.a.run.app`.
    pub url: Option<UrlSource>,
    /// Several origins of the same service, for example one per region, instead of `url`.
    pub endpoints: Option<Vec<EndpointSource>>,
    /// The audience of the Google token and of the assertion. Default: the URL's origin.
    pub audience: Option<String>,
    /// How Firegate identifies itself to the service. Default: `default` for https, `none` for http.
    pub credential: Option<CredentialSource>,
    /// The service account that `impersonate` and `federate_user` act as.
    pub service_account: Option<String>,
    /// The workload identity provider that `federate_user` exchanges the user's token at.
    pub workload_identity_provider: Option<String>,
    /// Who may call this backend, instead of the top-level `allow`.
    pub allow: Option<Vec<String>>,
    /// An IAM policy as `gcloud run services get-iam-policy` prints it, instead of `allow`.
    pub iam_policy: Option<FileSource>,
    /// A Cloud Armor security policy.
    pub security_policy: Option<FileSource>,
    /// What holds for the rate limits of that policy beside what it says itself.
    pub rate_limits: Option<RateLimitsSource>,
    /// Whether refusals are enforced, or logged and counted only. Default: `on`.
    pub enforce: Option<EnforceSource>,
    /// Whether the service sees the user's own token. Default: `drop`.
    pub user_token: Option<UserTokenSource>,
    /// Where the user's token is looked for. Default: `[authorization]`.
    pub token_sources: Option<Vec<TokenSourceSource>>,
    /// Whether requests must carry an App Check token. Default: what `users.app_check` says.
    pub app_check: Option<AppCheckSource>,
    /// How the service is told who the user is. Default: `firegate`.
    pub identity_headers: Option<IdentityHeadersSource>,
    /// The HTTP version spoken to the service. Default: `auto`.
    pub protocol: Option<ProtocolSource>,
    /// The PEM file of the authorities that the service's certificate may come from, instead of the system's.
    pub ca_certificates: Option<String>,
    /// How many requests may be under way to the service, streams included. Default: 2048.
    pub requests_max: Option<u64>,
    /// Asks each endpoint now and then how it does. Only where the service runs anyway: with `credential: none`.
    pub health_check: Option<HealthCheckSource>,
    /// Whether tokens may go over plain http to an address that is not loopback. Default: `refuse`.
    pub plaintext: Option<PlaintextSource>,
    /// Whether paths with an encoded slash or backslash (`%2F`, `%5C`) reach the service. Default: `refuse`.
    pub encoded_slash: Option<EncodedSlashSource>,
    /// The largest request body. Default: 32MiB.
    pub body_bytes_max: Option<SizeSource>,
    /// How many bytes of a body a client has to send in a second, on average; 0 lets it send now and then. Default: 240.
    pub body_bytes_per_second_min: Option<SizeSource>,
    /// When long streams are ended.
    pub streams: Option<StreamsSource>,
    /// How long Firegate waits for the service.
    pub timeouts: Option<TimeoutsSource>,
}

/// One of several origins of a service.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndpointSource {
    /// The origin.
    pub url: Option<UrlSource>,
    /// The audience of the Google token and of the assertion. Default: the backend's `audience`, else the URL's origin.
    pub audience: Option<String>,
}

/// How Firegate identifies itself to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CredentialSource {
    /// Application default credentials: a key file, or the metadata server.
    Default,
    /// The metadata server alone.
    Metadata,
    /// Impersonation of `service_account`.
    Impersonate,
    /// The user's own token, exchanged at `workload_identity_provider`, impersonates `service_account`.
    FederateUser,
    /// No Google credential.
    None,
}

/// Whether refusals are enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EnforceSource {
    /// Refusals are enforced.
    On,
    /// Refusals are logged and counted, and the request goes through.
    Observe,
}

/// What becomes of the user's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UserTokenSource {
    /// The service does not see it.
    Drop,
    /// The service sees it where the client sent it.
    Forward,
}

/// Where a user's token is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TokenSourceSource {
    /// `Authorization: Bearer`.
    Authorization,
    /// The `__session` cookie.
    Cookie,
    /// `access_token` in the query, for WebSocket and server-sent events.
    Query,
    /// `Sec-WebSocket-Protocol`.
    WebsocketProtocol,
}

/// How a service is told who the user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IdentityHeadersSource {
    /// `X-Firegate-Assertion`, `X-Firegate-User-Id` and `X-Firegate-User-Email`.
    Firegate,
    /// What API Gateway sends.
    Apigateway,
    /// What Identity-Aware Proxy sends.
    Iap,
    /// Nothing.
    None,
}

/// The HTTP version spoken to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProtocolSource {
    /// HTTP/2 where the service offers it in the TLS handshake, else HTTP/1.1.
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 over TLS.
    H2,
    /// HTTP/2 without TLS, with prior knowledge.
    H2c,
}

/// Whether tokens may go over plain http.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PlaintextSource {
    /// Only to loopback addresses.
    Refuse,
    /// To any address.
    Allow,
}

/// What becomes of paths with an encoded slash or backslash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EncodedSlashSource {
    /// They are refused: servers read them differently.
    Refuse,
    /// They reach the service as they are, if no reading of them leads to another route.
    Forward,
}

/// When long streams are ended.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamsSource {
    /// Default: `token_expiry`.
    pub until: Option<StreamsUntilSource>,
}

/// What ends a long stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StreamsUntilSource {
    /// The expiry of the token that opened it.
    TokenExpiry,
    /// The expiry of the token, or the user's revocation before it.
    Revocation,
    /// Neither.
    Never,
}

/// How long Firegate waits for a service.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TimeoutsSource {
    /// For the connection. Default: 5s.
    pub connect: Option<DurationSource>,
    /// From the end of the request to the response's headers. Default: 60s.
    pub response_headers: Option<DurationSource>,
    /// Between two pieces of a body or stream. Default: 300s.
    pub idle: Option<DurationSource>,
    /// From the head of the request to the end of the answer; WebSockets are not bounded by it. Default: none.
    pub total: Option<DurationSource>,
}

/// A request that asks an endpoint how it does.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HealthCheckSource {
    /// The path that answers 2xx while all is well, for example `/healthz`.
    pub path: Option<String>,
    /// Between two of them. Default: 10s.
    pub interval: Option<DurationSource>,
    /// How long an answer may take. Default: 2s.
    pub timeout: Option<DurationSource>,
}

/// A path and the backend that answers it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteSource {
    /// `/exact`, or `/prefix/*`.
    pub path: Option<String>,
    /// The backend's name.
    pub backend: Option<String>,
}
