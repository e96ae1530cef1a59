//! App Check: which app a request comes from, as Firebase attests it
//! (<https://firebase.google.com/docs/app-check/custom-resource-backend>). It says nothing of the user, and a user's token
//! says nothing of the app: where it is required, both have to be good.

use firegate_files::configuration::AppCheck;
use http::HeaderName;

use crate::facts::RequestFacts;
use crate::headers::is_alike;
use crate::identity::{KeyRing, KeyState, Obstacle, TokenKind};
use crate::jose::{CompactJws, JsonValue};
use crate::limits::{APP_CHECK_TOKEN_LIFETIME_MAX, APP_ID_BYTES_MAX};
use crate::reason::{AmbiguousCredential, Reason};
use crate::time::UnixTime;

/// The header that carries the token.
pub const FIREBASE_APP_CHECK: HeaderName = HeaderName::from_static("x-firebase-appcheck");

/// The issuer, up to the project's number that ends it.
pub const APP_CHECK_ISSUER_PREFIX: &str = "https://firebaseappcheck.googleapis.com/";

/// An app that proved what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedApp<'a> {
    /// Its ID, such as `1:123456789012:web:0a1b2c`.
    pub app_id: String,
    /// The token, if it still has to be consumed.
    pub to_be_consumed: Option<&'a str>,
}

/// What an App Check token is judged by.
#[derive(Clone, Copy, Debug)]
pub struct AppCheckRules<'a> {
    /// The project's ID.
    pub project: &'a str,
    /// The backend's setting.
    pub setting: &'a AppCheck,
    /// How far in the future its times may lie.
    pub clock_skew: std::time::Duration,
}

/// Verifies the request's App Check token, if the backend requires one.
///
/// # Errors
/// If there is none, or one that is not good, or if the keys have to be fetched first.
pub fn verify_app<'a>(
    facts: &RequestFacts<'a>,
    rules: &AppCheckRules<'_>,
    keys: &KeyRing,
    now: UnixTime,
) -> Result<Option<VerifiedApp<'a>>, Obstacle> {
    let AppCheck::Required { project_number, apps, consume } = rules.setting else { return Ok(None) };
    let ambiguous = Obstacle::Denied(Reason::CredentialAmbiguous(AmbiguousCredential::AppCheck));
    let mut values = facts.headers.get_all(FIREBASE_APP_CHECK).iter();
    let has_look_alike = || facts.headers.keys().any(|found| is_alike(found, FIREBASE_APP_CHECK.as_str()));
    let token = match (values.next(), values.next()) {
        (None, _) => return Err(Obstacle::Denied(Reason::AppCheckTokenMissing)),
        // A service that folds names would read either of them.
        (Some(_), _) if has_look_alike() => return Err(ambiguous),
        (Some(value), None) => value.to_str().map_err(|_| ambiguous)?,
        (Some(_), Some(_)) => return Err(ambiguous),
    };
    let jws = CompactJws::parse(token).map_err(|error| invalid("form", format!("is wrong: {error}")))?;
    header(&jws)?;
    let issuer = jws.payload_text("iss").and_then(|issuer| issuer.strip_prefix(APP_CHECK_ISSUER_PREFIX));
    if issuer != Some(project_number.as_ref()) {
        return Err(invalid("`iss`", "is not App Check's for this project's number"));
    }
    audience(&jws, rules.project)?;
    let app_id = match jws.payload_text("sub") {
        Some(app_id)
            if !app_id.is_empty()
                && app_id.len() <= APP_ID_BYTES_MAX
                && !app_id.chars().any(char::is_control) =>
        {
            app_id
        }
        _ => return Err(invalid("`sub`", "is not the ID of an app")),
    };
    times(&jws, rules, now)?;
    signature(&jws, keys)?;
    if apps.as_ref().is_some_and(|apps| !apps.iter().any(|allowed| allowed == app_id)) {
        return Err(Obstacle::Denied(Reason::AppCheckAppNotAllowed { app_id: app_id.to_owned() }));
    }
    Ok(Some(VerifiedApp { app_id: app_id.to_owned(), to_be_consumed: consume.then_some(token) }))
}

/// Exactly RS256 and `typ` JWT, which App Check always sets, a `kid`, and nothing that makes a verifier obey the token.
fn header(jws: &CompactJws<'_>) -> Result<(), Obstacle> {
    if jws.header_text("alg") != Some("RS256") {
        return Err(invalid("`alg`", "is not RS256"));
    }
    if jws.header_text("typ") != Some("JWT") {
        return Err(invalid("`typ`", "is not JWT"));
    }
    if let Some(member) = crate::identity::forbidden_header_member(jws) {
        return Err(invalid("header", format!("holds `{member}`")));
    }
    match jws.header_text("kid") {
        Some(key_id) if !key_id.is_empty() => Ok(()),
        _ => Err(invalid("`kid`", "is missing")),
    }
}

/// An array of strings that contains the project.
fn audience(jws: &CompactJws<'_>, project: &str) -> Result<(), Obstacle> {
    let Some(JsonValue::Array(audiences)) = jws.payload().get("aud") else {
        return Err(invalid("`aud`", "is not an array"));
    };
    let is_projects = |audience: JsonValue<'_>| {
        audience.as_str().and_then(|text| text.strip_prefix("projects/")) == Some(project)
    };
    if !audiences.iter().all(|audience| audience.as_str().is_some()) || !audiences.iter().any(is_projects) {
        return Err(invalid("`aud`", "does not name this project"));
    }
    Ok(())
}

fn times(jws: &CompactJws<'_>, rules: &AppCheckRules<'_>, now: UnixTime) -> Result<(), Obstacle> {
    let time = |part: &'static str, claim: &str| {
        let seconds = jws.payload().integer(claim);
        seconds.map(UnixTime::from_seconds).ok_or_else(|| invalid(part, "is not a whole number of seconds"))
    };
    let expires_at = time("`exp`", "exp")?;
    let issued_at = time("`iat`", "iat")?;
    if expires_at <= now {
        return Err(Obstacle::Denied(Reason::AppCheckTokenExpired { expired_at: expires_at, now }));
    }
    if issued_at > now.plus(rules.clock_skew) {
        return Err(invalid("`iat`", "lies in the future"));
    }
    if jws.payload().contains_key("nbf") && time("`nbf`", "nbf")? > now {
        return Err(invalid("`nbf`", "lies in the future"));
    }
    if issued_at >= expires_at || expires_at.since(issued_at) > APP_CHECK_TOKEN_LIFETIME_MAX {
        return Err(invalid("`exp`", "is not between `iat` and seven days later"));
    }
    Ok(())
}

fn signature(jws: &CompactJws<'_>, keys: &KeyRing) -> Result<(), Obstacle> {
    let kind = TokenKind::AppCheck;
    let KeyState::Usable(set) = keys.state(kind) else { return Err(Obstacle::KeysMissing { kind }) };
    let key_id = jws.header_text("kid").unwrap_or_default();
    match set.find(key_id) {
        None => Err(Obstacle::KeyUnknown { kind, key_id: key_id.to_owned() }),
        Some(key) if keys.verifies(set, key, jws) => Ok(()),
        Some(_) => Err(invalid("signature", "is not valid")),
    }
}

fn invalid(part: &'static str, why: impl ToString) -> Obstacle {
    Obstacle::Denied(Reason::AppCheckTokenInvalid { part, why: why.to_string() })
}
