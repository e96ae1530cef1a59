//! The profile: what is checked of a token, in which order, and how each check is explained. The list is here; `rules` and
//! `times` have what each check demands, `kind` which kind of token one says it is.

mod kind;
mod rules;
mod times;

use std::cell::{Cell, OnceCell};

use firegate_files::configuration::{Anonymous, Tenants, Trust};
use serde_json::Value;

use super::{Audiences, IdentityRules, KeyRing, ReadToken, TokenKind};
use crate::jose::{CompactJws, JsonValue};
use crate::limits::SUBJECT_CHARACTERS_MAX;
use crate::reason::Reason;
use crate::time::UnixTime;

use kind::kind_of;
pub(crate) use rules::forbidden_header_member;
use rules::{algorithm, anonymous, audience, header, signature, subject, tenant, typed_claims};
pub(super) use times::Times;
use times::times;

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
    /// What it says of its own time, once that was asked for.
    times: OnceCell<Times>,
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
        let (audiences, times) = (audiences.into(), OnceCell::new());
        Self { jws, rules, audiences, keys, now, kind, times, signature_is_remembered: Cell::new(false) }
    }

    /// The same for a token that was read before.
    pub(super) fn again(
        read: &'a ReadToken,
        rules: &'a IdentityRules,
        audiences: Audiences<'a>,
        keys: &'a KeyRing,
        now: UnixTime,
    ) -> Self {
        let (kind, times) = (Ok(read.kind), OnceCell::from(read.times));
        let signature_is_remembered = Cell::new(false);
        Self { jws: &read.jws, rules, audiences, keys, now, kind, times, signature_is_remembered }
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

    /// What it says of its own time.
    pub(super) fn times(&self) -> Result<Times, Obstacle> {
        if let Some(times) = self.times.get() {
            return Ok(*times);
        }
        let times = Times::read(self)?;
        Ok(*self.times.get_or_init(|| times))
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
            Some(value) => match value.as_i64() {
                Some(seconds) => Ok(UnixTime::from_seconds(seconds)),
                None => invalid(claim, "is not a whole number of seconds"),
            },
            None => invalid(claim, "is missing"),
        }
    }
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

/// What the audience of an exchanged token has to be, in words.
fn exchanged_audience(audiences: Audiences<'_>) -> String {
    match audiences.listed().as_slice() {
        [audience] => format!("{audience:?}, a string"),
        several => format!("one of {several:?}"),
    }
}
