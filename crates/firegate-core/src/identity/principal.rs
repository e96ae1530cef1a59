use serde_json::{Map, Value};

use super::{Obstacle, TokenKind, User};
use crate::jose::CompactJws;
use crate::reason::Reason;
use crate::time::UnixTime;

/// Who sent a request, verified.
#[derive(Clone, Debug, PartialEq)]
pub enum Principal {
    /// A user of the Firebase project.
    User(Box<User>),
    /// An account of Google's: a service account that calls by itself. It is no user of the project, and whoever has a
    /// Google Cloud project can make one that asks for any audience; only a member that names it matches it.
    GoogleAccount(Box<GoogleAccount>),
}

/// A Google account that proved itself by a Google ID token.
#[derive(Clone, Debug, PartialEq)]
pub struct GoogleAccount {
    /// Its address, verified by Google.
    pub email: String,
    /// Its unique, numeric ID: the token's `sub`.
    pub subject: String,
    /// When the token expires.
    pub expires_at: UnixTime,
    /// The token's payload segment, as gateways hand it on: base64url, unpadded.
    pub payload_segment: String,
    /// The SHA-256 that names the whole token.
    pub token_digest: [u8; 32],
    /// The token's claims.
    pub claims: Map<String, Value>,
}

impl Principal {
    /// The user, if it is one.
    pub fn user(&self) -> Option<&User> {
        match self {
            Self::User(user) => Some(user),
            Self::GoogleAccount(_) => None,
        }
    }

    /// When the token that names them expires.
    pub fn expires_at(&self) -> UnixTime {
        match self {
            Self::User(user) => user.expires_at,
            Self::GoogleAccount(account) => account.expires_at,
        }
    }

    /// The SHA-256 that names the token which names them: what may be kept for this token is kept under it.
    pub fn token_digest(&self) -> &[u8; 32] {
        match self {
            Self::User(user) => &user.token_digest,
            Self::GoogleAccount(account) => &account.token_digest,
        }
    }

    /// Reads who it is out of a token that has passed every check.
    pub(super) fn from_verified(
        kind: TokenKind,
        project: &str,
        jws: CompactJws<'_>,
    ) -> Result<Self, Obstacle> {
        match kind {
            TokenKind::IdToken | TokenKind::SessionCookie | TokenKind::ExchangedToken => {
                User::from_verified(kind, project, jws).map(Box::new).map(Self::User)
            }
            TokenKind::GoogleIdToken => {
                GoogleAccount::from_verified(jws).map(Box::new).map(Self::GoogleAccount)
            }
            TokenKind::AppCheck => Err(Obstacle::Denied(Reason::TokenIsAppCheckToken)),
        }
    }
}

impl GoogleAccount {
    fn from_verified(jws: CompactJws<'_>) -> Result<Self, Obstacle> {
        let token_digest = *jws.digest();
        let payload_segment = jws.payload_segment().to_owned();
        let text = |claim: &'static str| {
            let found = jws.payload_text(claim).map(str::to_owned);
            found.ok_or(Obstacle::Denied(Reason::TokenClaimInvalid { claim, why: "is missing" }))
        };
        let expires_at = jws.payload().integer("exp").map(UnixTime::from_seconds);
        Ok(Self {
            email: text("email")?,
            subject: text("sub")?,
            expires_at: expires_at
                .ok_or(Obstacle::Denied(Reason::TokenClaimInvalid { claim: "exp", why: "is missing" }))?,
            payload_segment,
            token_digest,
            claims: jws.into_payload(),
        })
    }
}
