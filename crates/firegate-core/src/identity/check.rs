use std::cell::Cell;

use firegate_files::configuration::{Anonymous, Tenants, Trust};
use serde_json::Value;

use super::keys::SignatureVerdict;
use super::{Audiences, IdentityRules, KeyRing, KeyState, TokenKind};
use crate::app_check::APP_CHECK_ISSUER_PREFIX;
use crate::assertion::EXCHANGED_TOKEN_TYPE;
use crate::jose::{CompactJws, JsonValue};
use crate::limits::SUBJECT_CHARACTERS_MAX;
use crate::reason::Reason;
use crate::time::UnixTime;

/// The audience of custom tokens, which are for Identity Platform's own eyes.
const CUSTOM_TOKEN_AUDIENCE: &str =
    "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit";

/// The issuer of Google ID tokens, in both of its spellings (Google: OpenID Connect, "validating an ID token").
const GOOGLE_ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];

/// What the addresses of all service accounts end in.
const SERVICE_ACCOUNT_DOMAIN: &str = ".gserviceaccount.com";

/// Header members that make a verifier fetch or obey something that the token's sender chose (RFC 7515, section 4.1).
const FORBIDDEN_HEADER_MEMBERS: [&str; 7] = ["crit", "b64", "jku", "jwk", "x5u", "x5c", "zip"];

/// A token together with what it is judged by.
#[derive(Clone, Debug)]
pub struct Examined<'a> {
    /// The token, taken apart.
    pub jws: &'a CompactJws<'a>,
    /// Who counts as a signed-in user.
    pub rules: &'a IdentityRules,
    /// The audiences of the backend that the request is for.
    pub audiences: Audiences<'a>,
    /// The issuers' keys.
    pub keys: &'a KeyRing,
    /// The time of judgement.
    pub now: UnixTime,
    /// The kind of token, by its issuer. Nothing of it is believed yet; it only chooses what to check it against.
    kind: Result<TokenKind, Obstacle>,
    /// Whether the signature turned out to have been found good before.
    signature_is_remembered: Cell<bool>,
}

/// Why a token does not pass a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The token or the policy is at fault.
    Denied(Reason),
    /// The key with this id is not known, and the set may be out of date.
    KeyUnknown {
        /// Whose keys are needed.
        kind: TokenKind,
        /// The header's `kid`.
        key_id: String,
    },
    /// There are no keys to judge the token with.
    KeysMissing {
        /// Whose keys are needed.
        kind: TokenKind,
    },
}

/// One rule of the profile.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// What is checked.
    pub name: &'static str,
    /// Where the rule comes from.
    pub source: &'static str,
    /// What the rule expects of this token.
    pub expected: fn(&Examined<'_>) -> String,
    /// What it found. Never the signature.
    pub found: fn(&Examined<'_>) -> String,
    /// Whether the token passes.
    pub run: fn(&Examined<'_>) -> Result<(), Obstacle>,
    /// What else than the token and the rules decides that.
    pub(super) depends_on: DependsOn,
}

/// What a check looks at beside the token and the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DependsOn {
    /// Nothing, but for exchanged tokens, whose audience is the backend that the request is for: what passed once passes again.
    Nothing,
    /// The time, or the keys that are known.
    TheMoment,
}

/// The whole profile, in order. Cheap checks come first, and those that tell a newcomer the most before those that
/// only say "no": a custom token is named as one before anyone misses its `kid`.
pub const CHECKS: &[Check] = &[
    Check {
        name: "kind of token",
        source: "iss; Firebase: verify ID tokens using a third-party JWT library",
        expected: |examined| {
            let accepted = TokenKind::ALL.into_iter().filter(|kind| examined.rules.accepts(*kind));
            accepted.map(|kind| examined.rules.issuer_of(kind)).collect::<Vec<_>>().join(" or ")
        },
        found: |examined| examined.found_claim("iss"),
        run: |examined| examined.kind().map(drop),
        depends_on: DependsOn::Nothing,
    },
    Check {
        name: "algorithm",
        source: "alg; RFC 8725, section 3.1",
        expected: |examined| match examined.rules.trust {
            Trust::Google => examined.profile().algorithm().to_owned(),
            Trust::Emulator => "RS256, or none from the emulator".to_owned(),
        },
        found: |examined| describe(examined.jws.header().get("alg")),
        run: algorithm,
        depends_on: DependsOn::Nothing,
    },
    Check {
        name: "header",
        source: "typ, kid, crit; RFC 7515, section 4.1",
        expected: |_| "typ JWT or none, a kid, no crit, b64, jku, jwk, x5u, x5c, zip".to_owned(),
        found: |examined| {
            let names = examined.jws.header().keys().collect::<Vec<_>>();
            format!("members {names:?}, typ {}", describe(examined.jws.header().get("typ")))
        },
        run: header,
        depends_on: DependsOn::Nothing,
    },
    Check {
        name: "audience",
        source: "aud; Firebase: verify ID tokens (the project), RFC 7519, section 4.1.3",
        expected: |examined| match examined.profile() {
            TokenKind::GoogleIdToken => format!("one of {:?}", examined.rules.users.google_audiences),
            TokenKind::ExchangedToken => exchanged_audience(examined.audiences),
            _ => format!("{:?}, a string", examined.rules.project),
        },
        found: |examined| examined.found_claim("aud"),
        run: audience,
        depends_on: DependsOn::Nothing,
    },
    Check {
        name: "user id",
        source: "sub; Firebase: a non-empty string of at most 128 characters",
        expected: |_| {
            format!("a string of 1 to {SUBJECT_CHARACTERS_MAX} characters, none of them a control character")
        },
        found: |examined| examined.found_claim("sub"),
        run: subject,
        depends_on: DependsOn::Nothing,
    },
    Check {
        name: "claims",
        source: "email, email_verified, firebase; the token format",
        expected: |_| "each of its own type".to_owned(),
        found: |examined| match typed_claims(examined) {
            Ok(()) => "as expected".to_owned(),
            Err(_) => "another type".to_owned(),
        },
        run: typed_claims,
        depends_on: DependsOn::Nothing,
    },
    Check {
        name: "times",
        source: "exp, iat, auth_time, nbf; RFC 7519, section 4.1",
        expected: |examined| {
            let (now, skew) = (examined.now.date(), examined.rules.users.clock_skew.as_secs());
            format!("auth_time ≤ iat < exp, exp after {now}, none more than {skew} s in the future")
        },
        found: |examined| {
            ["auth_time", "iat", "exp"]
                .map(|name| {
                    let time = examined.time(name).map(|time| time.date().to_string());
                    format!("{name} {}", time.unwrap_or_else(|_| examined.found_claim(name)))
                })
                .join(", ")
        },
        run: times,
        depends_on: DependsOn::TheMoment,
    },
    Check {
        name: "signature",
        source: "the issuer's published keys; RFC 7518, section 3.3",
        expected: |_| "made by the published key that kid names".to_owned(),
        found: |examined| match signature(examined) {
            Ok(()) if examined.is_unsigned() => "none, which the emulator's tokens have not".to_owned(),
            Ok(()) => format!("valid, by key {}", describe(examined.jws.header().get("kid"))),
            Err(Obstacle::KeysMissing { .. }) => "not checked: no keys are known".to_owned(),
            Err(Obstacle::KeyUnknown { key_id, .. }) => format!("no published key {key_id:?}"),
            Err(Obstacle::Denied(_)) => "not valid".to_owned(),
        },
        run: signature,
        depends_on: DependsOn::TheMoment,
    },
    Check {
        name: "tenant",
        source: "users.tenants",
        expected: |examined| match &examined.rules.users.tenants {
            Tenants::Any => "any".to_owned(),
            Tenants::Listed(tenants) => format!("none or one of {tenants:?}"),
            Tenants::None => "none".to_owned(),
        },
        found: |examined| describe(examined.firebase("tenant")),
        run: tenant,
        depends_on: DependsOn::Nothing,
    },
    Check {
        name: "anonymous",
        source: "users.anonymous",
        expected: |examined| match examined.rules.users.anonymous {
            Anonymous::Allow => "any provider".to_owned(),
            Anonymous::Deny => "a provider other than anonymous".to_owned(),
        },
        found: |examined| describe(examined.firebase("sign_in_provider")),
        run: anonymous,
        depends_on: DependsOn::Nothing,
    },
];

impl<'a> Examined<'a> {
    /// Puts a token beside what it is judged by. The audiences are those of the backend which the request is for.
    pub fn new(
        jws: &'a CompactJws<'a>,
        rules: &'a IdentityRules,
        audiences: impl Into<Audiences<'a>>,
        keys: &'a KeyRing,
        now: UnixTime,
    ) -> Self {
        let kind = kind_of(jws, rules).map_err(Obstacle::Denied);
        Self::of_kind(kind, jws, rules, audiences, keys, now)
    }

    /// The same for a token whose kind is known.
    pub(super) fn of_kind(
        kind: Result<TokenKind, Obstacle>,
        jws: &'a CompactJws<'a>,
        rules: &'a IdentityRules,
        audiences: impl Into<Audiences<'a>>,
        keys: &'a KeyRing,
        now: UnixTime,
    ) -> Self {
        let audiences = audiences.into();
        Self { jws, rules, audiences, keys, now, kind, signature_is_remembered: Cell::new(false) }
    }

    /// The kind of token, if it is one that is accepted.
    pub(super) fn kind(&self) -> Result<TokenKind, Obstacle> {
        self.kind.clone()
    }

    /// Whose rules are shown for it. A token of no accepted kind has failed the first check already; to explain it, it is
    /// compared with what was expected.
    fn profile(&self) -> TokenKind {
        *self.kind.as_ref().unwrap_or(&TokenKind::IdToken)
    }

    /// Whether this is a token of the emulator that is accepted without a signature.
    pub(super) fn is_unsigned(&self) -> bool {
        self.rules.trust == Trust::Emulator
            && self.jws.header_text("alg") == Some("none")
            && self.jws.signature().is_empty()
            && self.kind.as_ref().is_ok_and(|kind| TokenKind::FIREBASE.contains(kind))
    }

    pub(super) fn signature_is_remembered(&self) -> bool {
        self.signature_is_remembered.get()
    }

    fn found_claim(&self, name: &str) -> String {
        describe(self.jws.payload().get(name))
    }

    fn firebase(&self, name: &str) -> Option<JsonValue<'a>> {
        self.jws.payload().get("firebase")?.as_object()?.get(name)
    }

    fn time(&self, claim: &'static str) -> Result<UnixTime, Obstacle> {
        match self.jws.payload().get(claim) {
            Some(value) => value.as_i64().map(UnixTime::from_seconds).ok_or(Obstacle::Denied(
                Reason::TokenClaimInvalid { claim, why: "is not a whole number of seconds" },
            )),
            None => invalid(claim, "is missing"),
        }
    }
}

fn kind_of(jws: &CompactJws<'_>, rules: &IdentityRules) -> Result<TokenKind, Reason> {
    let issuer = jws.payload_text("iss").unwrap_or_default();
    let unknown = || Reason::TokenIssuerUnknown { found: issuer.to_owned() };
    for kind in TokenKind::FIREBASE {
        let prefix = kind.firebase_issuer_prefix();
        let Some(project) = prefix.and_then(|prefix| issuer.strip_prefix(prefix)) else { continue };
        return match kind {
            _ if project != rules.project => Err(wrong_project(rules, project)),
            kind if rules.accepts(kind) => Ok(kind),
            TokenKind::SessionCookie => Err(Reason::TokenIsSessionCookie),
            _ => Err(unknown()),
        };
    }
    if GOOGLE_ISSUERS.contains(&issuer) {
        let kind = TokenKind::GoogleIdToken;
        return if rules.accepts(kind) { Ok(kind) } else { Err(Reason::TokenIsGoogleIdToken) };
    }
    if issuer == rules.issuer {
        // An assertion has the same issuer and keys, and another type.
        let is_exchanged = jws.header_text("typ") == Some(EXCHANGED_TOKEN_TYPE);
        let kind = TokenKind::ExchangedToken;
        return if is_exchanged && rules.accepts(kind) { Ok(kind) } else { Err(Reason::TokenIsFiregatesOwn) };
    }
    Err(match issuer {
        _ if jws.payload_text("aud") == Some(CUSTOM_TOKEN_AUDIENCE) => Reason::TokenIsCustomToken,
        _ if issuer.starts_with(APP_CHECK_ISSUER_PREFIX) => Reason::TokenIsAppCheckToken,
        _ => unknown(),
    })
}

fn wrong_project(rules: &IdentityRules, found: &str) -> Reason {
    Reason::TokenWrongProject { expected: rules.project.clone(), found: found.to_owned() }
}

impl IdentityRules {
    fn accepts(&self, kind: TokenKind) -> bool {
        kind.accepted_by().is_some_and(|word| self.users.accept.contains(&word))
    }

    /// The issuer of a kind of token.
    fn issuer_of(&self, kind: TokenKind) -> String {
        match kind {
            TokenKind::GoogleIdToken => GOOGLE_ISSUERS.join(" or "),
            TokenKind::ExchangedToken => self.issuer.clone(),
            TokenKind::AppCheck => APP_CHECK_ISSUER_PREFIX.to_owned(),
            TokenKind::IdToken | TokenKind::SessionCookie => {
                format!("{}{}", kind.firebase_issuer_prefix().unwrap_or_default(), self.project)
            }
        }
    }
}

/// A member of the header that makes a verifier obey the token.
pub(crate) fn forbidden_header_member(jws: &CompactJws<'_>) -> Option<&'static str> {
    FORBIDDEN_HEADER_MEMBERS.into_iter().find(|member| jws.header().contains_key(member))
}

fn describe(value: Option<JsonValue<'_>>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| Value::from(value).to_string())
}

fn deny<T>(reason: Reason) -> Result<T, Obstacle> {
    Err(Obstacle::Denied(reason))
}

fn invalid<T>(claim: &'static str, why: &'static str) -> Result<T, Obstacle> {
    deny(Reason::TokenClaimInvalid { claim, why })
}

fn algorithm(examined: &Examined<'_>) -> Result<(), Obstacle> {
    let algorithm = examined.profile().algorithm();
    match examined.jws.header_text("alg") {
        Some(found) if found == algorithm => Ok(()),
        Some("none") if examined.is_unsigned() => Ok(()),
        Some("none") => deny(Reason::TokenUnsigned),
        found => deny(Reason::TokenAlgorithmNotAllowed { found: found.unwrap_or_default().to_owned() }),
    }
}

fn header(examined: &Examined<'_>) -> Result<(), Obstacle> {
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

fn audience(examined: &Examined<'_>) -> Result<(), Obstacle> {
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

/// What the audience of an exchanged token has to be, in words.
fn exchanged_audience(audiences: Audiences<'_>) -> String {
    match audiences.listed().as_slice() {
        [audience] => format!("{audience:?}, a string"),
        several => format!("one of {several:?}"),
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

fn subject(examined: &Examined<'_>) -> Result<(), Obstacle> {
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

fn typed_claims(examined: &Examined<'_>) -> Result<(), Obstacle> {
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
        // Without a verified address it is nobody whom a member could name; and a person with a Google account is no caller, but
        // somebody who should sign in to Firebase with it.
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

fn times(examined: &Examined<'_>) -> Result<(), Obstacle> {
    let (now, skew) = (examined.now, examined.rules.users.clock_skew);
    let expires_at = examined.time("exp")?;
    let issued_at = examined.time("iat")?;
    // Google's service accounts never sign in.
    let auth_time = match examined.profile() {
        TokenKind::GoogleIdToken => issued_at,
        _ => examined.time("auth_time")?,
    };
    // The skew is for what seems to come from the future. A token past its end gets no grace: the assertion about the user,
    // a federated token and the stream's lease all end with it, and refreshing costs the app one call.
    if expires_at <= now {
        return deny(Reason::TokenExpired { expired_at: expires_at, now });
    }
    for (claim, at) in [("iat", issued_at), ("auth_time", auth_time)] {
        if at > now.plus(skew) {
            return deny(Reason::TokenNotYetValid { claim, at, now });
        }
    }
    if examined.jws.payload().contains_key("nbf") {
        // Firebase sets none. Whoever does means it, and other verifiers give it no grace.
        let at = examined.time("nbf")?;
        if at > now {
            return deny(Reason::TokenNotYetValid { claim: "nbf", at, now });
        }
    }
    if auth_time > issued_at {
        return invalid("auth_time", "is later than `iat`");
    }
    if issued_at >= expires_at {
        return invalid("exp", "is not later than `iat`");
    }
    if expires_at.since(issued_at) > examined.kind()?.lifetime_max() {
        return invalid("exp", "is further from `iat` than Google ever sets it");
    }
    Ok(())
}

fn signature(examined: &Examined<'_>) -> Result<(), Obstacle> {
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

fn tenant(examined: &Examined<'_>) -> Result<(), Obstacle> {
    let Some(tenant) = examined.firebase("tenant").and_then(JsonValue::as_str) else { return Ok(()) };
    match &examined.rules.users.tenants {
        Tenants::Any => Ok(()),
        Tenants::Listed(tenants) if tenants.iter().any(|accepted| accepted.as_str() == tenant) => Ok(()),
        Tenants::Listed(_) | Tenants::None => deny(Reason::TenantNotAccepted { tenant: tenant.to_owned() }),
    }
}

fn anonymous(examined: &Examined<'_>) -> Result<(), Obstacle> {
    let is_anonymous = examined.firebase("sign_in_provider").and_then(JsonValue::as_str) == Some("anonymous");
    match examined.rules.users.anonymous {
        Anonymous::Deny if is_anonymous => deny(Reason::AnonymousUserNotAccepted),
        Anonymous::Allow | Anonymous::Deny => Ok(()),
    }
}
