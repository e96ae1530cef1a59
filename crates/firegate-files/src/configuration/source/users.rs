//! The shape of `users`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::DurationSource;

/// Who counts as a signed-in user.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UsersSource {
    /// The kinds of tokens. Default: `[id_token]`.
    pub accept: Option<Vec<AcceptSource>>,
    /// The audiences of the Google ID tokens that `google_id_token` accepts: what the callers were told to ask for, for
    /// example `https://api.example.com`.
    pub google_audiences: Option<Vec<String>>,
    /// Which tenants' users: `none`, `any`, or a list. Default: `none`.
    pub tenants: Option<TenantsSource>,
    /// Whether users who signed in anonymously count. Default: `deny`.
    pub anonymous: Option<AnonymousSource>,
    /// The pool's name in `principal://` and `principalSet://` members. Default: `firebase`.
    pub identity_pool: Option<String>,
    /// How far in the future a token's times may lie, because clocks differ; at most 300s. Default: 10s. An expired token
    /// gets no grace.
    pub clock_skew: Option<DurationSource>,
    /// Whether requests must carry an App Check token, where the backend does not say. Default: `off`.
    pub app_check: Option<AppCheckSource>,
    /// Whether users are looked up, to notice that they were disabled or revoked.
    pub revocation: Option<RevocationSource>,
}

/// A kind of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AcceptSource {
    /// A Firebase ID token.
    IdToken,
    /// A Firebase session cookie.
    SessionCookie,
    /// A Google ID token of a service account, for one of `google_audiences`.
    GoogleIdToken,
    /// A token that the token exchange of this front door, or of a replica with the same key, issued.
    ExchangedToken,
}

/// Which tenants' users count.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum TenantsSource {
    /// `none` or `any`.
    Word(TenantsWordSource),
    /// The IDs of the tenants.
    Listed(Vec<String>),
}

/// All or no tenants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TenantsWordSource {
    /// No tenant's users, only project-level users.
    None,
    /// Every tenant's users, and project-level users.
    Any,
}

/// Whether anonymous users count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AnonymousSource {
    /// They do not count as signed in.
    Deny,
    /// They count as signed in.
    Allow,
}

/// Whether requests must carry an App Check token.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum AppCheckSource {
    /// `off` or `required`.
    Word(SwitchSource),
    /// Required, with these settings.
    Full(AppCheckFullSource),
}

/// App Check with settings.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppCheckFullSource {
    /// The app IDs that are let in. Default: every app of the project.
    pub apps: Option<Vec<String>>,
    /// Whether a token counts once only. Default: `false`.
    pub consume: Option<bool>,
}

/// A check that is off or required.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SwitchSource {
    /// Not checked.
    Off,
    /// Checked on every request.
    Required,
}

/// Whether users are looked up.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RevocationSource {
    /// Default: `off`.
    pub check: Option<SwitchSource>,
    /// How old an answer may be. Default: 60s.
    pub max_staleness: Option<DurationSource>,
    /// What happens to users of whom nothing is known while Google cannot be asked. Default: `deny`.
    pub on_failure: Option<OnFailureSource>,
}

/// What happens when a check cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnFailureSource {
    /// The request is answered 503.
    Deny,
    /// The request goes on.
    Allow,
}
