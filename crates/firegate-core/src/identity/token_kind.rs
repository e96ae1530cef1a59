use std::time::Duration;

use firegate_files::configuration::AcceptedToken;

use crate::limits::{
    APP_CHECK_TOKEN_LIFETIME_MAX, EXCHANGED_TOKEN_LIFETIME_MAX, GOOGLE_ID_TOKEN_LIFETIME_MAX,
    ID_TOKEN_LIFETIME_MAX, SESSION_COOKIE_LIFETIME_MAX,
};

/// The kinds of token that Firegate verifies. Each has its own issuer and its own key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// What the client SDKs' `getIdToken()` returns.
    IdToken,
    /// What the Admin SDKs' `createSessionCookie()` returns.
    SessionCookie,
    /// What Google mints for a service account: Cloud Scheduler's and Pub/Sub's calls carry one.
    GoogleIdToken,
    /// What Firegate's own token exchange returns.
    ExchangedToken,
    /// What the App Check SDK's `getToken()` returns. It identifies an app and never a user.
    AppCheck,
}

impl TokenKind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::IdToken, Self::SessionCookie, Self::GoogleIdToken, Self::ExchangedToken, Self::AppCheck];

    /// The kinds that a Firebase project's users have.
    pub const FIREBASE: [Self; 2] = [Self::IdToken, Self::SessionCookie];

    /// The issuer of a Firebase user's token, up to the project's ID that ends it; `None` for other kinds.
    pub const fn firebase_issuer_prefix(self) -> Option<&'static str> {
        match self {
            Self::IdToken => Some("https://securetoken.google.com/"),
            Self::SessionCookie => Some("https://session.firebase.google.com/"),
            Self::GoogleIdToken | Self::ExchangedToken | Self::AppCheck => None,
        }
    }

    /// The word by which `users.accept` accepts it; none for what identifies nobody.
    pub const fn accepted_by(self) -> Option<AcceptedToken> {
        match self {
            Self::IdToken => Some(AcceptedToken::IdToken),
            Self::SessionCookie => Some(AcceptedToken::SessionCookie),
            Self::GoogleIdToken => Some(AcceptedToken::GoogleIdToken),
            Self::ExchangedToken => Some(AcceptedToken::ExchangedToken),
            Self::AppCheck => None,
        }
    }

    /// The name in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IdToken => "ID token",
            Self::SessionCookie => "session cookie",
            Self::GoogleIdToken => "Google ID token",
            Self::ExchangedToken => "exchanged token",
            Self::AppCheck => "App Check token",
        }
    }

    /// The one algorithm that its issuer signs with.
    pub const fn algorithm(self) -> &'static str {
        match self {
            Self::ExchangedToken => "ES256",
            Self::IdToken | Self::SessionCookie | Self::GoogleIdToken | Self::AppCheck => "RS256",
        }
    }

    /// The longest life that its issuer mints.
    pub const fn lifetime_max(self) -> Duration {
        match self {
            Self::IdToken => ID_TOKEN_LIFETIME_MAX,
            Self::SessionCookie => SESSION_COOKIE_LIFETIME_MAX,
            Self::GoogleIdToken => GOOGLE_ID_TOKEN_LIFETIME_MAX,
            Self::ExchangedToken => EXCHANGED_TOKEN_LIFETIME_MAX,
            Self::AppCheck => APP_CHECK_TOKEN_LIFETIME_MAX,
        }
    }
}
