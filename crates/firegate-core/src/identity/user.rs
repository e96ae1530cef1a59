use std::sync::OnceLock;

use http::{HeaderName, HeaderValue};

use super::{Claims, Obstacle, TokenKind};
use crate::jose::{CompactJws, JsonValue};
use crate::reason::Reason;
use crate::time::UnixTime;

/// A verified user of the project. User ids and e-mail addresses repeat across tenants: only tenant and uid together
/// name a user.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// The project's ID.
    pub project: String,
    /// The tenant, if the user belongs to one.
    pub tenant: Option<String>,
    /// The user id: the token's `sub`.
    pub uid: String,
    /// The e-mail address, verified or not.
    pub email: Option<String>,
    /// Whether Identity Platform holds the address to be the user's.
    pub email_verified: bool,
    /// How the user signed in: `password`, `google.com`, `custom`, `anonymous`, …
    pub sign_in_provider: String,
    /// What else the token says of the user.
    pub claims: Claims,
    /// The kind of token.
    pub kind: TokenKind,
    /// When the user last really signed in.
    pub auth_time: UnixTime,
    /// When the token expires.
    pub expires_at: UnixTime,
    /// The token's payload segment, as gateways hand it on: base64url, unpadded.
    pub payload_segment: String,
    /// The SHA-256 that names the whole token: what may be kept for this user is kept under it.
    pub token_digest: [u8; 32],
    /// How services are told of the user.
    pub told: ToldUser,
}

/// Firegate's own headers about a user, written when a service is told of the user for the first time. A copy of the user has
/// none: something else may be said of it.
#[derive(Debug, Default)]
pub struct ToldUser(OnceLock<Vec<(HeaderName, HeaderValue)>>);

impl ToldUser {
    /// The headers, which `write` writes.
    pub(crate) fn headers(
        &self,
        write: impl FnOnce() -> Vec<(HeaderName, HeaderValue)>,
    ) -> &[(HeaderName, HeaderValue)] {
        self.0.get_or_init(write)
    }
}

impl Clone for ToldUser {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for ToldUser {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl User {
    /// Whether the user signed in anonymously.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.sign_in_provider == "anonymous"
    }

    /// The address, if it is verified: the only one that may grant anything.
    pub fn verified_email(&self) -> Option<&str> {
        self.email.as_deref().filter(|_| self.email_verified)
    }

    /// Reads the user out of a token that has passed every check.
    pub(super) fn from_verified(
        kind: TokenKind,
        project: &str,
        jws: CompactJws<'_>,
    ) -> Result<Self, Obstacle> {
        let token_digest = *jws.digest();
        let payload_segment = jws.payload_segment().to_owned();
        let (mut uid, mut email, mut email_verified) = (None, None, false);
        let (mut auth_time, mut expires_at, mut firebase) = (None, None, None);
        for (name, value) in jws.payload().iter() {
            match (name, value) {
                ("sub", JsonValue::String(text)) => uid = Some(text.to_owned()),
                ("email", JsonValue::String(text)) => email = Some(text.to_owned()),
                ("email_verified", value) => email_verified = value.as_bool() == Some(true),
                ("auth_time", value) => auth_time = value.as_i64().map(UnixTime::from_seconds),
                ("exp", value) => expires_at = value.as_i64().map(UnixTime::from_seconds),
                ("firebase", JsonValue::Object(members)) => firebase = Some(members),
                _ => {}
            }
        }
        let firebase = firebase.ok_or(invalid("firebase", "is not an object"))?;
        let text = |name: &str| firebase.text(name).map(str::to_owned);
        Ok(Self {
            project: project.to_owned(),
            tenant: text("tenant"),
            uid: uid.ok_or(invalid("sub", "is missing"))?,
            email,
            email_verified,
            sign_in_provider: text("sign_in_provider").unwrap_or_default(),
            claims: Claims::new(kind, jws.into_payload_document()),
            kind,
            auth_time: auth_time.ok_or(invalid("auth_time", "is missing"))?,
            expires_at: expires_at.ok_or(invalid("exp", "is missing"))?,
            payload_segment,
            token_digest,
            told: ToldUser::default(),
        })
    }
}

const fn invalid(claim: &'static str, why: &'static str) -> Obstacle {
    Obstacle::Denied(Reason::TokenClaimInvalid { claim, why })
}
