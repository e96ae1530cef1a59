//! Where and how rates are limited.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// Where rate limits are counted.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(title = "`memory`, the URL of a Redis or Valkey server, or a mapping with its `url`")]
pub(crate) enum LimitsStoreSource {
    /// `memory`, or `redis://HOST:PORT`; `rediss://` with TLS.
    Place(String),
    /// A server, with how it is reached and what holds while it is not.
    Full(Box<LimitsStoreFullSource>),
}

/// A Redis or Valkey server.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsStoreFullSource {
    /// `redis://HOST:PORT`, or `rediss://HOST:PORT` with TLS; a path is the number of the database.
    pub url: Option<String>,
    /// Whom Firegate is there (ACL). Default: the server's default user.
    pub username: Option<String>,
    /// The file that holds the password.
    pub password_file: Option<String>,
    /// The PEM file of the authorities that the server's certificate may come from, instead of the system's.
    pub ca_certificates: Option<String>,
    /// Whether it is a cluster, of which the URL names one node. Default: false.
    pub cluster: Option<bool>,
    /// What holds for a limit while the server cannot be asked. Default: `local`.
    pub on_failure: Option<OnStoreFailureSource>,
}

/// What holds for a limit while the shared store cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnStoreFailureSource {
    /// Every process counts for itself.
    Local,
    /// Nothing is limited.
    Open,
    /// Nothing passes that would have to be counted: 503.
    Closed,
}

/// How requests are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CountAlgorithmSource {
    /// Exactly, in intervals that begin with a key's first request.
    Fixed,
    /// By an estimate that slides over two intervals.
    Sliding,
}

/// What holds for the rate limits of a backend's security policy beside what the policy itself says.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateLimitsSource {
    /// What holds while the shared store cannot be asked. Default: what `limits_store.on_failure` says.
    pub on_failure: Option<OnStoreFailureSource>,
    /// How requests are counted. Default: `fixed`.
    pub algorithm: Option<CountAlgorithmSource>,
    /// The same for single rules, by their priority.
    pub rules: Option<BTreeMap<String, RateLimitRuleSource>>,
}

/// What holds for one rule.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateLimitRuleSource {
    /// What holds while the shared store cannot be asked. Default: what the backend's `rate_limits.on_failure` says.
    pub on_failure: Option<OnStoreFailureSource>,
    /// How requests are counted. Default: what the backend's `rate_limits.algorithm` says.
    pub algorithm: Option<CountAlgorithmSource>,
}
