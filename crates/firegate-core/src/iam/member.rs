//! Whether a member names a caller.

use firegate_files::members::{Member, is_profile_claim};
use serde_json::Value;

use super::directory::Directory;
use super::index::Reading;
use crate::identity::{GoogleAccount, Principal, User};

/// Whether a member names the caller.
///
/// A user that belongs to a tenant matches only members that name the tenant, because user ids and addresses repeat
/// across tenants; `allAuthenticatedUsers` is every user that the configuration's `users` admits. By their `name` or `picture`,
/// which users write themselves, nobody matches.
///
/// A Google account matches the `serviceAccount:` member with its address, and `allUsers`. It is not one of
/// `allAuthenticatedUsers`: anyone can make a service account and ask Google for a token with any audience.
pub fn matches(member: &Member, directory: &Directory, principal: Option<&Principal>) -> bool {
    match (member, principal) {
        (Member::AllUsers, _) => true,
        (_, None) => false,
        (Member::Group(address), Some(principal)) => {
            directory.is_in_group(address, principal, Reading::Strict)
        }
        (Member::ServiceAccount(address), Some(Principal::GoogleAccount(account))) => {
            is_account(account, address)
        }
        (_, Some(Principal::GoogleAccount(_))) => false,
        (member, Some(Principal::User(user))) => matches_user(member, directory, user),
    }
}

pub(super) fn is_account(account: &GoogleAccount, address: &str) -> bool {
    account.email.eq_ignore_ascii_case(address)
}

fn matches_user(member: &Member, directory: &Directory, user: &User) -> bool {
    let (project_level, pool) = (user.tenant.is_none(), directory.pool());
    match member {
        Member::AllUsers | Member::AllAuthenticatedUsers => true,
        Member::User(address) => {
            project_level && user.verified_email().is_some_and(|email| email.eq_ignore_ascii_case(address))
        }
        Member::Domain(domain) => {
            let found = user.verified_email().and_then(domain_of);
            project_level && found.is_some_and(|found| found.eq_ignore_ascii_case(domain))
        }
        Member::Principal { pool: named, subject } => project_level && pool.is(named) && user.uid == *subject,
        Member::PrincipalSet { pool: named, attribute, value } => {
            pool.is(named)
                && (project_level || attribute == "tenant")
                && has_attribute(user, attribute, value)
        }
        Member::PrincipalSetAll { pool: named } => project_level && pool.is(named),
        // Service accounts do not sign in with Firebase; a group is asked of the directory.
        Member::Group(_) | Member::ServiceAccount(_) => false,
    }
}

/// The domain of an address with exactly one `@`: `a@evil@good.com` has none.
pub(super) fn domain_of(email: &str) -> Option<&str> {
    email.split_once('@').map(|(_, domain)| domain).filter(|domain| !domain.contains('@'))
}

fn has_attribute(user: &User, attribute: &str, value: &str) -> bool {
    if is_profile_claim(attribute) {
        return false;
    }
    if attribute == "email" {
        return user.verified_email().is_some_and(|email| email.eq_ignore_ascii_case(value));
    }
    let mut has = false;
    each_value(user, attribute, &mut |found| has |= found == value);
    has
}

/// Calls `found` with each value of an attribute but `email`, as a member spells it. A list's are its elements.
pub(super) fn each_value(user: &User, attribute: &str, found: &mut dyn FnMut(&str)) {
    match attribute {
        "tenant" => user.tenant.as_deref().into_iter().for_each(found),
        "provider" => found(&user.sign_in_provider),
        claim => match user.claims.own().get(claim) {
            Some(Value::Array(elements)) => elements.iter().for_each(|element| each_scalar(element, found)),
            Some(element) => each_scalar(element, found),
            None => {}
        },
    }
}

fn each_scalar(value: &Value, found: &mut dyn FnMut(&str)) {
    match value {
        Value::String(text) => found(text),
        Value::Bool(truth) => found(if *truth { "true" } else { "false" }),
        Value::Number(number) => found(&number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {}
    }
}
