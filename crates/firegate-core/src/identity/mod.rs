//! Who calls: the ID tokens and session cookies of one Firebase project, verified, and if the configuration accepts them
//! the Google ID tokens of service accounts and the tokens of Firegate's own exchange.
//!
//! The profile is stricter than Google's own SDKs (it judges `iat` and `auth_time`, refuses ambiguous JSON and `crit`)
//! and is one ordered list of checks, [`CHECKS`]: the front door runs it until the first refusal, `firegate explain`
//! runs all of it and shows what each check expected and found.

mod accounts;
mod audiences;
mod check;
mod claims;
mod keys;
mod principal;
mod read_token;
mod token_kind;
mod user;
mod user_facts;

#[cfg(test)]
mod tests;

pub use accounts::{AccountStatus, KnownAccount, KnownAccounts, NoKnownAccounts, judge_account};
pub use audiences::Audiences;
pub(crate) use check::forbidden_header_member;
pub use check::{CHECKS, Check, Examined, Obstacle};
use check::{DependsOn, Times};
pub use claims::Claims;
pub use keys::{KeyRing, KeyState, VerifiedSignatures};
pub use principal::{GoogleAccount, Principal};
pub use read_token::{ReadToken, ReadTokens};
pub use token_kind::TokenKind;
pub use user::{ToldUser, User};

use std::sync::Arc;

use firegate_files::configuration::{Trust, Users};

use crate::jose::CompactJws;
use crate::reason::{MalformedToken, Reason};
use crate::time::UnixTime;

/// Who counts as a signed-in user: the configuration's `project`, `users` and `trust`.
#[derive(Clone, Debug)]
pub struct IdentityRules {
    /// The project's ID, which is the tokens' audience.
    pub project: String,
    /// Kinds of token, tenants, anonymous users, clock skew.
    pub users: Users,
    /// Whether the unsigned tokens of a Firebase Auth emulator count too, after a look-up of the user, as in the Admin
    /// SDK. Only `firegate dev` can choose that.
    pub trust: Trust,
    /// The issuer of Firegate's own tokens.
    pub issuer: String,
    /// The keys of ID tokens come from an identity server on this machine, which may lose them.
    pub has_local_keys: bool,
}

/// A verified principal, and whether their account has still to be looked up although nothing else asks for it.
#[derive(Debug)]
pub struct Identified {
    /// Who it is.
    pub principal: Arc<Principal>,
    /// The token is unsigned and counts only after a look-up of the account.
    pub is_unsigned: bool,
}

/// Verifies a token: the whole profile of its kind, in order, up to the first refusal. The audiences are those of the
/// backend which the request is for: an exchanged token is for one alone.
///
/// # Errors
/// A [`Reason`] that is the token's or the policy's, or the keys that have to be fetched before it can be judged.
pub fn identify<'a>(
    token: &str,
    rules: &Arc<IdentityRules>,
    audiences: impl Into<Audiences<'a>>,
    keys: &KeyRing,
    now: UnixTime,
) -> Result<Identified, Obstacle> {
    let audiences: Audiences<'_> = audiences.into();
    if let Some(read) = keys.read.as_ref().and_then(|tokens| tokens.get(token)) {
        return identify_again(&read, rules, audiences, keys, now);
    }
    let jws = CompactJws::parse(token)
        .map_err(|error| Obstacle::Denied(Reason::TokenMalformed(MalformedToken::of(token, error))))?;
    let Judged { kind, times, is_unsigned, signature_is_remembered } =
        judge(&jws, rules, audiences, keys, now)?;
    let kept = keys.read.as_ref().filter(|_| signature_is_remembered).map(|tokens| (tokens, jws.clone()));
    let principal = Arc::new(Principal::from_verified(kind, &rules.project, jws)?);
    if let Some((tokens, jws)) = kept {
        tokens.insert(Arc::new(ReadToken::new(jws.into_owned(), kind, times, rules, Arc::clone(&principal))));
    }
    Ok(Identified { principal, is_unsigned })
}

/// Verifies a token that was read before. By the rules that it passed then, only what depends on the moment can have changed.
fn identify_again(
    read: &ReadToken,
    rules: &Arc<IdentityRules>,
    audiences: Audiences<'_>,
    keys: &KeyRing,
    now: UnixTime,
) -> Result<Identified, Obstacle> {
    let has_passed = read.has_passed(rules);
    // An exchanged token is for one backend alone.
    if has_passed && read.kind != TokenKind::ExchangedToken {
        let examined = Examined::again(read, rules, audiences, keys, now);
        for check in CHECKS.iter().filter(|check| check.depends_on == DependsOn::TheMoment) {
            (check.run)(&examined)?;
        }
        // An unsigned token has no signature that could have been seen before, and so was not kept.
        return Ok(Identified { principal: Arc::clone(&read.principal), is_unsigned: false });
    }
    let Judged { kind, times, is_unsigned, signature_is_remembered } =
        judge(&read.jws, rules, audiences, keys, now)?;
    if has_passed {
        return Ok(Identified { principal: Arc::clone(&read.principal), is_unsigned });
    }
    let principal = Arc::new(Principal::from_verified(kind, &rules.project, read.jws.clone())?);
    if let Some(tokens) = keys.read.as_ref().filter(|_| signature_is_remembered) {
        tokens.insert(Arc::new(ReadToken::new(read.jws.clone(), kind, times, rules, Arc::clone(&principal))));
    }
    Ok(Identified { principal, is_unsigned })
}

/// What the checks found of a token that passed them all.
struct Judged {
    kind: TokenKind,
    times: Times,
    is_unsigned: bool,
    signature_is_remembered: bool,
}

fn judge(
    jws: &CompactJws<'_>,
    rules: &IdentityRules,
    audiences: Audiences<'_>,
    keys: &KeyRing,
    now: UnixTime,
) -> Result<Judged, Obstacle> {
    let examined = Examined::new(jws, rules, audiences, keys, now);
    for check in CHECKS {
        (check.run)(&examined)?;
    }
    Ok(Judged {
        kind: examined.kind()?,
        times: examined.times()?,
        is_unsigned: examined.is_unsigned(),
        signature_is_remembered: examined.signature_is_remembered(),
    })
}
