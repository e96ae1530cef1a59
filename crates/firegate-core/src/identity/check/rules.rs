//! What each check demands of a token.

use firegate_files::configuration::{Anonymous, Tenants};

use super::kind::wrong_project;
use super::{Examined, Obstacle, deny, invalid};
use crate::assertion::EXCHANGED_TOKEN_TYPE;
use crate::identity::keys::SignatureVerdict;
use crate::identity::{KeyState, TokenKind};
use crate::jose::{CompactJws, JsonValue};
use crate::limits::SUBJECT_CHARACTERS_MAX;
use crate::reason::Reason;

/// What the addresses of all service accounts end in.
const SERVICE_ACCOUNT_DOMAIN: &str = ".gserviceaccount.com";

/// Header members that make a verifier fetch or obey something that the token's sender chose (RFC 7515, section 4.1).
const FORBIDDEN_HEADER_MEMBERS: [&str; 7] = ["crit", "b64", "jku", "jwk", "x5u", "x5c", "zip"];

/// A member of the header that makes a verifier obey the token.
pub(crate) fn forbidden_header_member(jws: &CompactJws<'_>) -> Option<&'static str> {
    FORBIDDEN_HEADER_MEMBERS.into_iter().find(|member| jws.header().contains_key(member))
}

pub(super) fn algorithm(examined: &Examined<'_>) -> Result<(), Obstacle> {
    let algorithm = examined.profile().algorithm();
    match examined.jws.header_text("alg") {
        Some(found) if found == algorithm => Ok(()),
        Some("none") if examined.is_unsigned() => Ok(()),
        Some("none") => deny(Reason::TokenUnsigned),
        found => deny(Reason::TokenAlgorithmNotAllowed { found: found.unwrap_or_default().to_owned() }),
    }
}

pub(super) fn header(examined: &Examined<'_>) -> Result<(), Obstacle> {
    let header = examined.jws.header();
    if let Some(member) = forbidden_header_member(examined.jws) {
        return deny(Reason::TokenHeaderNotAllowed { member });
    }
    let typ = if examined.profile() == TokenKind::ExchangedToken { EXCHANGED_TOKEN_TYPE } else { "JWT" };
    match header.get("typ") {
        None if typ == "JWT" => {}
        Some(JsonValue::String(found)) if found == typ => {}
        _ => return deny(Reason::TokenHeaderNotAllowed { member: "typ" }),
    }
    match header.get("kid") {
        Some(JsonValue::String(key_id)) if !key_id.is_empty() => Ok(()),
        None if examined.is_unsigned() => Ok(()),
        _ => deny(Reason::TokenHeaderNotAllowed { member: "kid" }),
    }
}

pub(super) fn audience(examined: &Examined<'_>) -> Result<(), Obstacle> {
    match examined.profile() {
        TokenKind::GoogleIdToken => return one_audience(examined, &examined.rules.users.google_audiences),
        TokenKind::ExchangedToken => return one_audience(examined, &examined.audiences.listed()),
        TokenKind::IdToken | TokenKind::SessionCookie | TokenKind::AppCheck => {}
    }
    match examined.jws.payload().get("aud") {
        Some(JsonValue::String(project)) if project == examined.rules.project => Ok(()),
        Some(JsonValue::String(project)) => deny(wrong_project(examined.rules, project)),
        Some(_) => invalid("aud", "is not a string"),
        None => invalid("aud", "is missing"),
    }
}

/// The one audience, exactly as it is written.
fn one_audience(examined: &Examined<'_>, accepted: &[String]) -> Result<(), Obstacle> {
    match examined.jws.payload().get("aud") {
        Some(JsonValue::String(audience)) if accepted.iter().any(|accepted| accepted == audience) => Ok(()),
        Some(JsonValue::String(audience)) => {
            deny(Reason::TokenWrongAudience { expected: accepted.to_vec(), found: audience.to_owned() })
        }
        Some(_) => invalid("aud", "is not a string"),
        None => invalid("aud", "is missing"),
    }
}

pub(super) fn subject(examined: &Examined<'_>) -> Result<(), Obstacle> {
    match examined.jws.payload().get("sub") {
        Some(JsonValue::String("")) => invalid("sub", "is empty"),
        // There are no more characters than bytes.
        Some(JsonValue::String(uid))
            if uid.len() > SUBJECT_CHARACTERS_MAX && uid.encode_utf16().count() > SUBJECT_CHARACTERS_MAX =>
        {
            invalid("sub", "is longer than 128 characters")
        }
        Some(JsonValue::String(uid)) if has_control_character(uid) => {
            invalid("sub", "holds a control character")
        }
        Some(JsonValue::String(_)) => Ok(()),
        Some(_) => invalid("sub", "is not a string"),
        None => invalid("sub", "is missing"),
    }
}

/// Nearly every text is ASCII, and of that many bytes are looked at at once.
fn has_control_character(text: &str) -> bool {
    match text.is_ascii() {
        true => text.bytes().fold(false, |found, byte| found | byte.is_ascii_control()),
        false => text.chars().any(char::is_control),
    }
}

pub(super) fn typed_claims(examined: &Examined<'_>) -> Result<(), Obstacle> {
    let payload = examined.jws.payload();
    match payload.get("email") {
        None => {}
        // Control characters would end up in a header towards the service.
        Some(JsonValue::String(email)) if !has_control_character(email) => {}
        Some(_) => return invalid("email", "is not a plain string"),
    }
    if payload.get("email_verified").is_some_and(|verified| verified.as_bool().is_none()) {
        return invalid("email_verified", "is not true or false");
    }
    if examined.profile() == TokenKind::GoogleIdToken {
        // Without a verified address it is nobody whom a member could name; and a person with a Google account is no caller,
        // but somebody who should sign in to Firebase with it.
        return match (payload.text("email"), payload.get("email_verified")) {
            (Some(email), Some(JsonValue::Bool(true))) if email.ends_with(SERVICE_ACCOUNT_DOMAIN) => Ok(()),
            (Some(_), Some(JsonValue::Bool(true))) => deny(Reason::TokenIsGoogleIdToken),
            _ => invalid("email", "is missing or not verified"),
        };
    }
    if payload
        .get("user_id")
        .is_some_and(|user_id| user_id.as_str().is_none() || user_id.as_str() != payload.text("sub"))
    {
        return invalid("user_id", "differs from `sub`");
    }
    if payload.get("firebase").and_then(JsonValue::as_object).is_none() {
        return invalid("firebase", "is not an object");
    }
    match examined.firebase("tenant") {
        None => {}
        Some(JsonValue::String(tenant)) if !tenant.is_empty() => {}
        Some(_) => return invalid("firebase.tenant", "is not a non-empty string"),
    }
    match examined.firebase("sign_in_provider") {
        Some(JsonValue::String(_)) => Ok(()),
        _ => invalid("firebase.sign_in_provider", "is not a string"),
    }
}

pub(super) fn signature(examined: &Examined<'_>) -> Result<(), Obstacle> {
    if examined.is_unsigned() {
        return Ok(());
    }
    let kind = examined.kind()?;
    let KeyState::Usable(keys) = examined.keys.state(kind) else {
        return Err(Obstacle::KeysMissing { kind });
    };
    let key_id = examined.jws.header_text("kid").unwrap_or_default();
    let Some(key) = keys.find(key_id) else {
        return Err(Obstacle::KeyUnknown { kind, key_id: key_id.to_owned() });
    };
    match examined.keys.verify(keys, key, examined.jws) {
        SignatureVerdict::Bad => deny(Reason::TokenSignatureInvalid),
        verdict => {
            examined.signature_is_remembered.set(verdict == SignatureVerdict::Remembered);
            Ok(())
        }
    }
}

pub(super) fn tenant(examined: &Examined<'_>) -> Result<(), Obstacle> {
    let Some(tenant) = examined.firebase("tenant").and_then(JsonValue::as_str) else { return Ok(()) };
    match &examined.rules.users.tenants {
        Tenants::Any => Ok(()),
        Tenants::Listed(tenants) if tenants.iter().any(|accepted| accepted.as_str() == tenant) => Ok(()),
        Tenants::Listed(_) | Tenants::None => deny(Reason::TenantNotAccepted { tenant: tenant.to_owned() }),
    }
}

pub(super) fn anonymous(examined: &Examined<'_>) -> Result<(), Obstacle> {
    let is_anonymous = examined.firebase("sign_in_provider").and_then(JsonValue::as_str) == Some("anonymous");
    match examined.rules.users.anonymous {
        Anonymous::Deny if is_anonymous => deny(Reason::AnonymousUserNotAccepted),
        Anonymous::Allow | Anonymous::Deny => Ok(()),
    }
}
