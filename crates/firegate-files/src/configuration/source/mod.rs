//! The shape of `firegate.yaml`: what may stand where, before anything is checked against anything else.
//!
//! These types are the one description of the shape. The JSON schema is generated from them, [`super::shape`] checks
//! a file against that schema, and what passed is read into them. Doc comments become the schema's descriptions;
//! a `title` is the noun phrase of messages ("expected a duration such as …").

mod backend;
mod rate_limits;
mod users;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

pub(crate) use backend::{
    BackendFullSource, BackendSource, CredentialSource, EncodedSlashSource, EndpointSource, EnforceSource,
    HealthCheckSource, IdentityHeadersSource, PlaintextSource, ProtocolSource, RouteSource,
    StreamsUntilSource, TimeoutsSource, TokenSourceSource, UrlSource, UserTokenSource,
};
pub(crate) use rate_limits::{
    CountAlgorithmSource, LimitsStoreFullSource, LimitsStoreSource, OnStoreFailureSource,
    RateLimitRuleSource, RateLimitsSource,
};
pub(crate) use users::{
    AcceptSource, AnonymousSource, AppCheckFullSource, AppCheckSource, OnFailureSource, RevocationSource,
    SwitchSource, TenantsSource, TenantsWordSource, UsersSource,
};

/// The configuration of the Firegate front door, `firegate.yaml`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "a configuration")]
pub(crate) struct ConfigurationSource {
    /// The ID of the Firebase or Identity Platform project whose users are let in, for example `my-project`.
    pub project: Option<String>,
    /// The project's number; App Check alone needs it.
    pub project_number: Option<DigitsSource>,
    /// The public address, for example `0.0.0.0:8080`, or a list of them. Default: port `$PORT`, else 8080, on all
    /// IPv4 addresses.
    pub listen: Option<ListenSource>,
    /// The listener for probes: `/livez` and `/readyz` only.
    pub health: Option<ListenerSource>,
    /// The listener for operators: `/metrics`. Never the public one.
    pub admin: Option<ListenerSource>,
    /// Which requests have a line in the log: `all`, `refused`, or the rest by a sample. What was refused, failed or was cut
    /// short always has one. Default: `all`.
    pub access_log: Option<AccessLogSource>,
    /// TLS on the public listener.
    pub tls: Option<TlsSource>,
    /// How much is taken in at once.
    pub limits: Option<LimitsSource>,
    /// What stands before Firegate and whose forwarded headers are believed. Default: `cloud-run` on Cloud Run, else
    /// `direct`.
    pub behind: Option<BehindSource>,
    /// The directory for the last good key sets and the generated assertion key. Default: `./firegate-data`.
    pub data_dir: Option<String>,
    /// Who may call the backends that say nothing themselves. `allAuthenticatedUsers` are the signed-in users of the
    /// Firebase project, not the holders of a Google account.
    pub allow: Option<Vec<String>>,
    /// The services behind Firegate, by name.
    pub backends: Option<BTreeMap<String, BackendSource>>,
    /// Which paths go to which backend; what no route names is answered 404. With one backend the default is `/*`.
    pub routes: Option<Vec<RouteSource>>,
    /// A Google Cloud URL map, instead of `routes`.
    pub url_map: Option<FileSource>,
    /// What stands behind the URL map, as gcloud prints it: every backend service is a backend, and its Cloud Run service is
    /// found by itself.
    pub load_balancer: Option<LoadBalancerSource>,
    /// Who counts as a signed-in user.
    pub users: Option<UsersSource>,
    /// Whose tokens are trusted. `emulator` cannot be set in a file: only `firegate dev` trusts an emulator.
    pub trust: Option<TrustSource>,
    /// Firegate's own signed assertion about the user, sent to the backends.
    pub assertion: Option<AssertionSource>,
    /// The token exchange (RFC 8693).
    pub exchange: Option<ExchangeSource>,
    /// Which web pages may call the backends from a browser. Default: none but their own.
    pub cors: Option<CorsSource>,
    /// A file that says who is in which group.
    pub groups: Option<String>,
    /// Custom roles and the permissions they carry.
    pub roles: Option<BTreeMap<String, Vec<String>>>,
    /// IAM deny policies, by file.
    pub deny_policies: Option<Vec<FileSource>>,
    /// Where clients are.
    pub geo: Option<GeoSource>,
    /// The Google endpoints, for emulators, private universes and tests. Default: Google's.
    pub google: Option<GoogleSource>,
    /// Where rate limits are counted: `memory`, or the URL of a Redis or Valkey server. Default: `memory`.
    pub limits_store: Option<LimitsStoreSource>,
    /// Sizes of the caches.
    pub cache: Option<CacheSource>,
}

/// Where the public listener is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(title = "an address such as `0.0.0.0:8080`, or a list of them")]
pub(crate) enum ListenSource {
    /// One address.
    One(String),
    /// Several.
    Several(Vec<String>),
}

/// How much is taken in at once.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsSource {
    /// How many connections may be open on the public listener; what is beyond is closed. Default: 8192 for each core, and
    /// no more than half of the descriptors that the process may have.
    pub connections_max: Option<u32>,
    /// How many of them one client may have: an IPv4 address, or an IPv6 network of 64 bits. It does not count for the
    /// proxies that `behind` trusts. Default: 1024.
    pub connections_per_address_max: Option<u32>,
    /// How many requests may be under way, until the last byte of their answers; what is beyond is answered 503 before anything
    /// is verified. Default: 16384.
    pub requests_max: Option<u32>,
}

/// A listener.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListenerSource {
    /// The address and port, for example `127.0.0.1:9902`.
    pub listen: Option<String>,
}

/// Which requests have a line in the log.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum AccessLogSource {
    /// All, or those alone that did not go well.
    Word(AccessLogWordSource),
    /// A sample, and what is told.
    Full(AccessLogFullSource),
}

/// Which requests have a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AccessLogWordSource {
    /// Every request.
    All,
    /// Requests that were refused, failed or were cut short.
    Refused,
}

/// Which requests have a line in the log, and what it tells.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessLogFullSource {
    /// The share of the requests that went well. Default: `100%`.
    pub sample: Option<ShareSource>,
    /// Whether the line has the user's ID, which is personal data. Default: `false`.
    pub user_ids: Option<bool>,
}

/// TLS on the public listener.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsSource {
    /// The certificates; the client's server name chooses among several.
    pub certificates: Option<Vec<CertificateSource>>,
}

/// A certificate and its key.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CertificateSource {
    /// The PEM file of the certificate chain.
    pub cert: Option<String>,
    /// The PEM file of the private key.
    pub key: Option<String>,
}

/// What stands before Firegate.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum BehindSource {
    /// A known arrangement.
    Word(BehindWordSource),
    /// Your own proxies.
    Hops(HopsSource),
}

/// A known arrangement of what stands before Firegate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BehindWordSource {
    /// Nothing: the peer is the client.
    Direct,
    /// A Google Cloud Application Load Balancer.
    GoogleLb,
    /// Cloud Run's own front end.
    CloudRun,
}

/// Your own proxies before Firegate.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HopsSource {
    /// How many proxies add to the forwarded headers.
    pub hops: Option<u8>,
    /// The addresses they connect from, as CIDR ranges.
    pub peers: Option<Vec<String>>,
}

/// Whose tokens are trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TrustSource {
    /// Google's alone.
    Google,
    /// A local emulator's; only `firegate dev` can set it.
    Emulator,
}

/// Firegate's own assertion.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssertionSource {
    /// The `iss` of the assertion: the public URL of this front door.
    pub issuer: Option<UrlSource>,
    /// The PEM file of the signing key (EC P-256). Default: generated and kept in `data_dir`.
    pub key: Option<String>,
    /// PEM files of former keys, which are still published. The public halves do (`-----BEGIN PUBLIC KEY-----`): a key
    /// that no longer signs need not be kept.
    pub previous_keys: Option<Vec<String>>,
}

/// The token exchange.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExchangeSource {
    /// Whether `/.well-known/firegate/token` answers. Default: `false`.
    pub enabled: Option<bool>,
}

/// Which web pages may call the backends from a browser.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CorsSource {
    /// The origins of the pages, for example `https://app.example.com`, or `*` alone.
    pub origins: Option<Vec<String>>,
    /// The methods they may use. Default, and when empty: those that the backends are commonly called with.
    pub methods: Option<Vec<String>>,
    /// The request headers they may set beside `Authorization`, `Content-Type`, `X-Firebase-AppCheck` and
    /// `X-Requested-With`.
    pub headers: Option<Vec<String>>,
    /// Whether cookies are sent. Default: `false`.
    pub credentials: Option<bool>,
}

/// Where clients are.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GeoSource {
    /// A MaxMind database file.
    pub mmdb: Option<String>,
}

/// The Google endpoints.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GoogleSource {
    /// The keys of Firebase ID tokens, as a JWK set or x509 map.
    pub id_token_keys: Option<UrlSource>,
    /// The keys of Firebase session cookies.
    pub session_cookie_keys: Option<UrlSource>,
    /// The keys of App Check tokens.
    pub app_check_keys: Option<UrlSource>,
    /// The base URL of the App Check API.
    pub app_check: Option<UrlSource>,
    /// The keys of Google ID tokens.
    pub google_id_token_keys: Option<UrlSource>,
    /// The base URL of the Identity Toolkit API.
    pub identity_toolkit: Option<UrlSource>,
    /// The base URL of the Security Token Service.
    pub sts: Option<UrlSource>,
    /// The base URL of the IAM Credentials API.
    pub iam_credentials: Option<UrlSource>,
    /// The OAuth 2.0 token endpoint.
    pub oauth2_token: Option<UrlSource>,
    /// The base URL of the metadata server.
    pub metadata: Option<UrlSource>,
}

/// Sizes of the caches.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CacheSource {
    /// The memory for verified tokens. Default: 64MiB.
    pub verified_tokens_bytes: Option<SizeSource>,
}

/// A file in one of Google's formats: its name, or the name and how to read it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum FileSource {
    /// The name of the file.
    Name(FileNameSource),
    /// The name and how to read it.
    Full(FileFullSource),
}

/// The name of a file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(title = "the name of a file")]
pub(crate) struct FileNameSource(pub String);

/// A file and how to read it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileFullSource {
    /// The name of the file.
    pub file: Option<FileNameSource>,
    /// Google's own reading, or with Firegate's extensions. Default: `gcloud`.
    pub dialect: Option<DialectSource>,
    /// What is taken as given.
    pub assume: Option<AssumeSource>,
}

/// How a file in one of Google's formats is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DialectSource {
    /// As Google reads it.
    Gcloud,
    /// With Firegate's extensions.
    Firegate,
}

/// What is taken as given about a security policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AssumeSource {
    /// Rules that Firegate cannot evaluate were evaluated by the load balancer before it.
    EvaluatedUpstream,
}

/// The parts of a load balancer behind its URL map. Each file holds one of them or a list.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoadBalancerSource {
    /// Backend services: `gcloud compute backend-services export`, `describe` or `list`.
    pub backend_services: Option<Vec<FileNameSource>>,
    /// Serverless network endpoint groups: `gcloud compute network-endpoint-groups describe` or `list`.
    pub network_endpoint_groups: Option<Vec<FileNameSource>>,
    /// Cloud Run services: `gcloud run services list --format=json`.
    pub cloud_run_services: Option<Vec<FileNameSource>>,
    /// The Cloud Armor policies that the backend services name.
    pub security_policies: Option<Vec<FileSource>>,
}

/// Decimal digits, in quotes or not.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(title = "a number such as `\"123456789012\"`")]
pub(crate) enum DigitsSource {
    /// The digits as text.
    Text(String),
    /// The digits as a number.
    Number(u64),
}

/// A duration.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(title = "a duration such as `5s`, `300ms` or `1m`", extend("pattern" = "^[0-9]+(ms|s|m|h)$"))]
pub(crate) struct DurationSource(pub String);

/// A share.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(title = "a share such as `10%` or `0.5%`", extend("pattern" = "^[0-9]+(\\.[0-9]+)?%$"))]
pub(crate) struct ShareSource(pub String);

/// A size in bytes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(title = "a size such as `32MiB` or a number of bytes")]
pub(crate) enum SizeSource {
    /// A number and a unit: B, KiB, MiB, GiB, KB, MB or GB.
    Text(String),
    /// A number of bytes.
    Bytes(u64),
}
