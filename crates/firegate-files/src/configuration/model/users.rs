//! Who counts as a signed-in user, and which apps they may use.

use std::time::Duration;

use super::super::names::{ProjectNumber, TenantId};

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
