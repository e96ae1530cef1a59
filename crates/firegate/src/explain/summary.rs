//! What a token is and what it says, without its signature.

use firegate_core::assertion::{AssertionForm, EXCHANGED_TOKEN_TYPE};
use firegate_core::identity::TokenKind;
use firegate_core::jose::{CompactJws, CompactJwsError};
use firegate_core::time::UnixTime;
use serde::Serialize;
use serde_json::{Map, Value};

use super::calendar::Instant;

const CUSTOM_TOKEN_AUDIENCE_PREFIX: &str = "https://identitytoolkit.googleapis.com/";
const APP_CHECK_ISSUER_PREFIX: &str = "https://firebaseappcheck.googleapis.com/";
pub(super) const GOOGLE_ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];

/// What Cloud Run writes in the place of a signature that it has validated.
const SIGNATURE_REMOVED: &str = ".SIGNATURE_REMOVED_BY_GOOGLE";

/// The bytes of an RSA-2048 signature: Google makes no shorter one.
const SIGNATURE_BYTES_MIN: usize = 256;

/// The bytes of an ES256 signature (RFC 7518, section 3.4).
const ES256_SIGNATURE_BYTES: usize = 64;

/// What a text turned out to be. Closed on purpose: each form has an advice of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenForm {
    /// The result of `getIdToken()`.
    FirebaseIdToken,
    /// The result of `getIdToken()` against a Firebase Auth emulator: not signed.
    UnsignedFirebaseToken,
    /// The result of `createSessionCookie()`.
    FirebaseSessionCookie,
    /// The result of `createCustomToken()`.
    FirebaseCustomToken,
    /// An ID token of a Google account or service account.
    GoogleIdToken,
    /// What Firegate's own token exchange returned.
    FiregateExchangedToken,
    /// What Firegate writes for a service in `X-Firegate-Assertion`.
    FiregateAssertion,
    /// An App Check token.
    AppCheckToken,
    /// Another JSON Web Token.
    OtherJsonWebToken,
    /// A token that a Cloud Run service received: its signature is gone.
    SignatureRemoved,
    /// A Google OAuth access token.
    GoogleAccessToken,
    /// A Google API key, such as the `apiKey` of a Firebase configuration.
    ApiKey,
    /// A JSON Web Token of which a part is missing.
    Cut,
    /// Tokens one behind the other, without anything between them.
    Several,
    /// An encrypted token (JWE, RFC 7516).
    Encrypted,
    /// Something else.
    Unreadable,
}

/// A token without its signature.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TokenSummary {
    /// What it is.
    pub form: TokenForm,
    /// The user id; of a custom token the one that the user will have.
    pub uid: Option<String>,
    /// The issuer.
    pub issuer: Option<String>,
    /// The tenant of the user.
    pub tenant: Option<String>,
    /// The e-mail address, verified or not.
    pub email: Option<String>,
    /// How the user signed in.
    pub sign_in_provider: Option<String>,
    /// The last real sign-in.
    pub signed_in: Option<Instant>,
    /// When it was issued.
    pub issued: Option<Instant>,
    /// When it expires.
    pub expires: Option<Instant>,
    /// The header's members.
    pub header: Map<String, Value>,
    /// The payload's members: the token's claims, not yet proven to be anyone's words.
    pub claims: Map<String, Value>,
}

impl TokenForm {
    /// The form in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirebaseIdToken => "Firebase ID token",
            Self::UnsignedFirebaseToken => "unsigned Firebase token of an Auth emulator",
            Self::FirebaseSessionCookie => "Firebase session cookie",
            Self::FirebaseCustomToken => "Firebase custom token",
            Self::GoogleIdToken => "Google ID token",
            Self::FiregateExchangedToken => "exchanged token of Firegate's",
            Self::FiregateAssertion => "assertion of Firegate's",
            Self::AppCheckToken => "App Check token",
            Self::OtherJsonWebToken => "JSON Web Token of another issuer",
            Self::SignatureRemoved => "token whose signature Cloud Run has removed",
            Self::GoogleAccessToken => "Google access token",
            Self::ApiKey => "Google API key",
            Self::Cut => "JSON Web Token that is not whole",
            Self::Several => "several tokens in one text",
            Self::Encrypted => "encrypted token",
            Self::Unreadable => "text that is no token",
        }
    }

    fn of(token: &str, parsed: &Result<CompactJws<'_>, CompactJwsError>) -> Self {
        if token.ends_with(SIGNATURE_REMOVED) {
            return Self::SignatureRemoved;
        }
        match parsed {
            Ok(jws) => Self::of_parsed(jws),
            Err(_) if token.starts_with("ya29.") => Self::GoogleAccessToken,
            Err(_) if token.starts_with("AIza") => Self::ApiKey,
            // `{"` in base64url: every header begins so.
            Err(_) if is_several(token) => Self::Several,
            Err(error) if token.starts_with("ey") => match (error, token.split('.').count()) {
                (CompactJwsError::PartCount, 5) => Self::Encrypted,
                (CompactJwsError::PartCount, 1 | 2) => Self::Cut,
                (CompactJwsError::Base64("signature" | "payload") | CompactJwsError::Json("payload"), _) => {
                    Self::Cut
                }
                _ => Self::Unreadable,
            },
            Err(_) => Self::Unreadable,
        }
    }

    fn of_parsed(jws: &CompactJws<'_>) -> Self {
        let issuer = jws.payload_text("iss").unwrap_or_default();
        let audience = jws.payload_text("aud").unwrap_or_default();
        let is_of =
            |kind: TokenKind| kind.firebase_issuer_prefix().is_some_and(|prefix| issuer.starts_with(prefix));
        let form = if is_of(TokenKind::IdToken) {
            Self::FirebaseIdToken
        } else if is_of(TokenKind::SessionCookie) {
            Self::FirebaseSessionCookie
        } else if GOOGLE_ISSUERS.contains(&issuer) {
            Self::GoogleIdToken
        } else if let Some(form) = Self::of_firegates_own(jws) {
            form
        } else if audience.starts_with(CUSTOM_TOKEN_AUDIENCE_PREFIX) {
            Self::FirebaseCustomToken
        } else if issuer.starts_with(APP_CHECK_ISSUER_PREFIX) {
            Self::AppCheckToken
        } else {
            Self::OtherJsonWebToken
        };
        let is_firebase = matches!(form, Self::FirebaseIdToken | Self::FirebaseSessionCookie);
        let is_firegates = matches!(form, Self::FiregateExchangedToken | Self::FiregateAssertion);
        match jws.header_text("alg") {
            Some("none") if is_firebase => Self::UnsignedFirebaseToken,
            Some("RS256") if is_firebase && jws.signature().len() < SIGNATURE_BYTES_MIN => Self::Cut,
            Some("ES256") if is_firegates && jws.signature().len() < ES256_SIGNATURE_BYTES => Self::Cut,
            _ => form,
        }
    }

    /// Firegate's own tokens differ by their header's type alone. Whose Firegate it was, the issuer says.
    fn of_firegates_own(jws: &CompactJws<'_>) -> Option<Self> {
        let typ = jws.header_text("typ")?;
        if typ == EXCHANGED_TOKEN_TYPE {
            return Some(Self::FiregateExchangedToken);
        }
        (typ == AssertionForm::Firegate.type_name()).then_some(Self::FiregateAssertion)
    }
}

/// Whether a text goes on with the header of its first token where that one's signature ends.
fn is_several(token: &str) -> bool {
    let parts: Vec<&str> = token.split('.').collect();
    match parts.as_slice() {
        [header, _, third, _, _, ..] => header.starts_with("ey") && third.ends_with(header),
        _ => false,
    }
}

impl TokenSummary {
    /// Reads what can be read. Of a token whose third part is damaged, the first two are still shown.
    pub(super) fn of(token: &str, parsed: &Result<CompactJws<'_>, CompactJwsError>, now: UnixTime) -> Self {
        let form = TokenForm::of(token, parsed);
        let unsigned = token.rsplit_once('.').map(|(rest, _)| format!("{rest}.")).unwrap_or_default();
        let (header, claims) = match (parsed, CompactJws::parse(&unsigned)) {
            (Ok(jws), _) => (jws.header().into(), jws.payload().into()),
            (Err(_), Ok(rest)) => (rest.header().into(), rest.into_payload()),
            (Err(_), Err(_)) => (Map::new(), Map::new()),
        };
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let firebase = |name: &str| text(claims.get("firebase").and_then(|firebase| firebase.get(name)));
        let instant = |name: &str| Some(Instant::new(claims.get(name)?.as_i64()?, now));
        let uid = if form == TokenForm::FirebaseCustomToken { "uid" } else { "sub" };
        Self {
            form,
            uid: text(claims.get(uid)),
            issuer: text(claims.get("iss")),
            tenant: firebase("tenant"),
            email: text(claims.get("email")),
            sign_in_provider: firebase("sign_in_provider"),
            signed_in: instant("auth_time"),
            issued: instant("iat"),
            expires: instant("exp"),
            header,
            claims,
        }
    }
}
