use std::time::Duration;

use crate::limits::{ID_TOKEN_LIFETIME_MAX, SESSION_COOKIE_LIFETIME_MAX};

/// The kinds of token that identify a user of a Firebase project. Each has its own issuer and its own key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// What the client SDKs' `getIdToken()` returns.
    IdToken,
    /// What the Admin SDKs' `createSessionCookie()` returns.
    SessionCookie,
}

impl TokenKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::IdToken, Self::SessionCookie];

    /// The issuer, up to the project's ID that ends it.
    pub const fn issuer_prefix(self) -> &'static str {
        match self {
            Self::IdToken => "https://securetoken.google.com/",
            Self::SessionCookie => "https://session.firebase.google.com/",
        }
    }

    /// The name in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IdToken => "ID token",
            Self::SessionCookie => "session cookie",
        }
    }

    /// The longest life that Google mints.
    pub const fn lifetime_max(self) -> Duration {
        match self {
            Self::IdToken => ID_TOKEN_LIFETIME_MAX,
            Self::SessionCookie => SESSION_COOKIE_LIFETIME_MAX,
        }
    }
}
