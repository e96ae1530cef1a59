use serde_json::{Map, Value};

use super::{Obstacle, TokenKind};
use crate::jose::CompactJws;
use crate::reason::Reason;
use crate::time::UnixTime;

/// Claims that Identity Platform sets itself; everything else at the top level is the developer's, or profile data.
const REGISTERED_CLAIMS: [&str; 12] = [
    "aud",
    "auth_time",
    "email",
    "email_verified",
    "exp",
    "firebase",
    "iat",
    "iss",
    "nbf",
    "provider_id",
    "sub",
    "user_id",
];

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
    /// The custom claims and the profile's `name`, `picture` and `phone_number`.
    pub claims: Map<String, Value>,
    /// The kind of token.
    pub kind: TokenKind,
    /// When the user last really signed in.
    pub auth_time: UnixTime,
    /// When the token expires.
    pub expires_at: UnixTime,
    /// The token's payload segment, as gateways hand it on: base64url, unpadded.
    pub payload_segment: String,
    /// The SHA-256 of the whole token: what may be kept for this user is kept under it.
    pub token_digest: [u8; 32],
    /// The `firebase` claim.
    pub firebase: Map<String, Value>,
}

impl User {
    /// Whether the user signed in anonymously.
    pub fn is_anonymous(&self) -> bool {
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
        let mut claims = jws.into_payload();
        let firebase = match claims.remove("firebase") {
            Some(Value::Object(firebase)) => firebase,
            _ => return Err(invalid("firebase", "is not an object")),
        };
        let text = |name: &str| firebase.get(name).and_then(Value::as_str).map(str::to_owned);
        let time = |claims: &Map<String, Value>, name| {
            claims.get(name).and_then(Value::as_i64).map(UnixTime::from_seconds)
        };
        let string = |claims: &mut Map<String, Value>, name| match claims.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let user = Self {
            project: project.to_owned(),
            tenant: text("tenant"),
            sign_in_provider: text("sign_in_provider").unwrap_or_default(),
            auth_time: time(&claims, "auth_time").ok_or(invalid("auth_time", "is missing"))?,
            expires_at: time(&claims, "exp").ok_or(invalid("exp", "is missing"))?,
            uid: string(&mut claims, "sub").ok_or(invalid("sub", "is missing"))?,
            email: string(&mut claims, "email"),
            email_verified: claims.get("email_verified") == Some(&Value::Bool(true)),
            kind,
            payload_segment,
            token_digest,
            firebase,
            claims: custom_claims(kind, claims),
        };
        Ok(user)
    }
}

/// What is neither Identity Platform's nor Firegate's own word: an exchanged token has it nested.
fn custom_claims(kind: TokenKind, mut claims: Map<String, Value>) -> Map<String, Value> {
    if kind == TokenKind::ExchangedToken {
        return match claims.remove("claims") {
            Some(Value::Object(claims)) => claims,
            _ => Map::new(),
        };
    }
    claims.retain(|name, _| !REGISTERED_CLAIMS.contains(&name.as_str()));
    claims
}

const fn invalid(claim: &'static str, why: &'static str) -> Obstacle {
    Obstacle::Denied(Reason::TokenClaimInvalid { claim, why })
}
