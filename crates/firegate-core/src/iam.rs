//! Who may pass: the bindings of a backend against the caller. The only place that makes a [`Permit`].

use std::sync::Arc;

use firegate_files::members::Member;
use serde_json::Value;

use crate::identity::{GoogleAccount, Principal, User};
use crate::permit::Permit;
use crate::reason::Reason;
use crate::snapshot::{Backend, IdentityPool};
use crate::token_source::PresentedToken;

/// Lets the caller pass if a member of the backend's bindings matches them.
///
/// # Errors
/// A caller without a token is asked for one; a user whom no member matches is refused.
pub fn authorize(
    backend: &Arc<Backend>,
    pool: &IdentityPool,
    principal: Option<Arc<Principal>>,
    token: Option<&PresentedToken<'_>>,
) -> Result<Permit, Reason> {
    if backend.members().iter().any(|member| matches(member, pool, principal.as_deref())) {
        return Ok(Permit::new(Arc::clone(backend), principal, token));
    }
    match principal {
        None => Err(Reason::TokenMissing),
        Some(principal) => Err(Reason::NoInvokerBinding {
            principal: match &*principal {
                Principal::User(user) => pool.principal(user),
                Principal::GoogleAccount(account) => format!("serviceAccount:{}", account.email),
            },
            members: backend.members().iter().map(Member::to_string).collect(),
        }),
    }
}

/// Whether a member names the caller.
///
/// A user that belongs to a tenant matches only members that name the tenant, because user ids and addresses repeat
/// across tenants; `allAuthenticatedUsers` is every user that the configuration's `users` admits.
///
/// A Google account matches the `serviceAccount:` member with its address, and `allUsers`. It is not one of
/// `allAuthenticatedUsers`: anyone can make a service account and ask Google for a token with any audience.
pub fn matches(member: &Member, pool: &IdentityPool, principal: Option<&Principal>) -> bool {
    match (member, principal) {
        (Member::AllUsers, _) => true,
        (_, None) => false,
        (Member::ServiceAccount(address), Some(Principal::GoogleAccount(account))) => {
            is_account(account, address)
        }
        (_, Some(Principal::GoogleAccount(_))) => false,
        (member, Some(Principal::User(user))) => matches_user(member, pool, user),
    }
}

/// Whether a member names this very Google account.
pub fn names_account(backend: &Backend, account: &GoogleAccount) -> bool {
    backend
        .members()
        .iter()
        .any(|member| matches!(member, Member::ServiceAccount(address) if is_account(account, address)))
}

fn is_account(account: &GoogleAccount, address: &str) -> bool {
    account.email.eq_ignore_ascii_case(address)
}

fn matches_user(member: &Member, pool: &IdentityPool, user: &User) -> bool {
    let project_level = user.tenant.is_none();
    match member {
        Member::AllUsers | Member::AllAuthenticatedUsers => true,
        Member::User(address) => {
            project_level && user.verified_email().is_some_and(|email| email.eq_ignore_ascii_case(address))
        }
        Member::Domain(domain) => {
            project_level
                && user
                    .verified_email()
                    .and_then(domain_of)
                    .is_some_and(|found| found.eq_ignore_ascii_case(domain))
        }
        Member::Principal { pool: named, subject } => project_level && pool.is(named) && user.uid == *subject,
        Member::PrincipalSet { pool: named, attribute, value } => {
            pool.is(named)
                && (project_level || attribute == "tenant")
                && has_attribute(user, attribute, value)
        }
        Member::PrincipalSetAll { pool: named } => project_level && pool.is(named),
        // Service accounts do not sign in with Firebase, and groups need a source of membership.
        Member::Group(_) | Member::ServiceAccount(_) => false,
    }
}

/// The domain of an address with exactly one `@`: `a@evil@good.com` has none.
fn domain_of(email: &str) -> Option<&str> {
    email.split_once('@').map(|(_, domain)| domain).filter(|domain| !domain.contains('@'))
}

fn has_attribute(user: &User, attribute: &str, value: &str) -> bool {
    match attribute {
        "tenant" => user.tenant.as_deref() == Some(value),
        "provider" => user.sign_in_provider == value,
        "email" => user.verified_email().is_some_and(|email| email.eq_ignore_ascii_case(value)),
        claim => match user.claims.get(claim) {
            Some(Value::Array(elements)) => elements.iter().any(|element| is_value(element, value)),
            Some(element) => is_value(element, value),
            None => false,
        },
    }
}

fn is_value(found: &Value, expected: &str) -> bool {
    match found {
        Value::String(text) => text == expected,
        Value::Bool(truth) => expected == if *truth { "true" } else { "false" },
        Value::Number(number) => number.to_string() == expected,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}
