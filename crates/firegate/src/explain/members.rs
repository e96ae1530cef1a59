//! Each member of a backend's bindings against the user: whether it names them, and why not.

use firegate_core::iam::{self, ConditionOutcome, Directory, IamRequest, IdentityPool, Reading};
use firegate_core::identity::{Principal, User};
use firegate_core::snapshot::Backend;
use firegate_files::iam_policy::Grant;
use firegate_files::members::{Member, Pool};
use serde::Serialize;
use serde_json::Value;

/// One member of the bindings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemberLine {
    /// The member as it is written.
    pub member: String,
    /// Whether it names the user; absent if there is no user to compare with.
    pub matches: Option<bool>,
    /// Why, in one sentence.
    pub why: String,
}

/// Compares every member. `principal` is absent when the token did not pass its checks.
pub(super) fn compare(
    backend: &Backend,
    directory: &Directory,
    request: &IamRequest<'_>,
    principal: Option<&Principal>,
) -> Vec<MemberLine> {
    let grants = backend.bindings.grants().iter();
    grants.map(|grant| line(grant, directory, request, principal)).collect()
}

/// Compares one member.
pub(super) fn line(
    grant: &Grant,
    directory: &Directory,
    request: &IamRequest<'_>,
    principal: Option<&Principal>,
) -> MemberLine {
    let member = &grant.member;
    let (matches, why) = match (member, principal) {
        (Member::AllUsers, _) => (Some(true), "everyone, with or without a token".to_owned()),
        (_, None) => {
            (None, "the token did not pass its checks, so that there is no user to compare with".to_owned())
        }
        (_, Some(principal)) => (
            Some(iam::matches(member, directory, Some(principal))),
            match (principal, member) {
                (_, Member::Group(address)) => group(address, directory, principal),
                (Principal::User(user), _) => why(member, directory.pool(), user),
                (Principal::GoogleAccount(account), _) => {
                    format!(
                        "the caller is the Google account {:?}, which only `serviceAccount:` names",
                        account.email
                    )
                }
            },
        ),
    };
    let place = grant.place.as_ref().map(|place| format!(" ({}:{})", place.file, place.line));
    let (matches, why) = under_condition(grant, request, principal, (matches, why));
    MemberLine { member: format!("{member}{}", place.unwrap_or_default()), matches, why }
}

/// The same for a member that is let in under a condition.
fn under_condition(
    grant: &Grant,
    request: &IamRequest<'_>,
    principal: Option<&Principal>,
    (matches, why): (Option<bool>, String),
) -> (Option<bool>, String) {
    let Some(condition) = &grant.condition else { return (matches, why) };
    let (title, text) = (&condition.title, condition.expression.text());
    let says = match request.evaluate(condition, principal) {
        ConditionOutcome::True => "is true".to_owned(),
        ConditionOutcome::False => "is false".to_owned(),
        ConditionOutcome::Unknown(name) => {
            format!("asks for {name}, which is not known here, and lets nobody in")
        }
        ConditionOutcome::Error(error) => format!("cannot be evaluated ({error}), and lets nobody in"),
    };
    let holds = iam::holds(grant, request, principal);
    (matches.map(|matches| matches && holds), format!("{why}; the condition {title:?}, `{text}`, {says}"))
}

fn why(member: &Member, pool: &IdentityPool, user: &User) -> String {
    if let Some(tenant) = &user.tenant
        && !may_name_a_tenants_user(member)
    {
        return format!(
            "the user belongs to tenant {tenant:?}, and ids and addresses repeat across tenants: only a member that \
             names the tenant can match"
        );
    }
    match member {
        Member::AllUsers => "everyone, with or without a token".to_owned(),
        Member::AllAuthenticatedUsers => {
            format!("every user of the Firebase project {:?} whom `users` admits", user.project)
        }
        Member::User(_) | Member::Domain(_) => address_of(user),
        Member::Principal { pool: named, .. } => {
            other_pool(pool, named).unwrap_or_else(|| format!("the user id is {:?}", user.uid))
        }
        Member::PrincipalSet { pool: named, attribute, .. } => {
            other_pool(pool, named).unwrap_or_else(|| attribute_found(user, attribute))
        }
        Member::PrincipalSetAll { pool: named } => {
            other_pool(pool, named).unwrap_or_else(|| "every project-level user of the pool".to_owned())
        }
        Member::ServiceAccount(_) => {
            "a service account is a caller of Google's, never a signed-in user of the Firebase project"
                .to_owned()
        }
        Member::Group(_) => "the directory of groups decides".to_owned(),
    }
}

fn group(address: &str, directory: &Directory, principal: &Principal) -> String {
    if directory.is_in_group(address, principal, Reading::Strict) {
        return "the caller is in the group".to_owned();
    }
    match (directory.knows_group(address), principal) {
        (false, _) => "nothing says who is in the group: `groups` names no file that lists it".to_owned(),
        (true, Principal::User(user)) if user.tenant.is_some() => {
            "the caller is not in the group: a tenant's user is, if a member of it names the tenant"
                .to_owned()
        }
        (true, Principal::User(user)) if user.email.is_some() && user.verified_email().is_none() => {
            format!("the caller is not in the group: {}", address_of(user))
        }
        (true, _) => "the caller is not in the group".to_owned(),
    }
}

fn may_name_a_tenants_user(member: &Member) -> bool {
    match member {
        Member::AllUsers | Member::AllAuthenticatedUsers => true,
        Member::PrincipalSet { attribute, .. } => attribute == "tenant",
        _ => false,
    }
}

fn address_of(user: &User) -> String {
    match (&user.email, user.email_verified) {
        (None, _) => "the user has no e-mail address".to_owned(),
        (Some(email), true) => format!("the user's verified address is {email:?}"),
        (Some(email), false) => {
            format!("the user's address {email:?} is not verified, and only verified ones count")
        }
    }
}

/// Says so if the member is of another pool than the configuration's.
fn other_pool(pool: &IdentityPool, named: &Pool) -> Option<String> {
    (!pool.is(named)).then(|| {
        format!(
            "the member is of pool {:?} in project number {}; `users.identity_pool` or `project_number` names another",
            named.name, named.project_number
        )
    })
}

fn attribute_found(user: &User, attribute: &str) -> String {
    let found = match attribute {
        "tenant" => user.tenant.clone().map(Value::String),
        "provider" => Some(Value::String(user.sign_in_provider.clone())),
        "email" => return address_of(user),
        claim => user.claims.own().get(claim).cloned(),
    };
    match found {
        Some(value) => format!("the user's `{attribute}` is {value}"),
        None => format!("the user has no `{attribute}`"),
    }
}
