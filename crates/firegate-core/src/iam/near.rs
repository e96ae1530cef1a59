//! What was near: the members that would name a refused caller if one thing about the caller were different.

use firegate_expr::Outcome;
use firegate_files::iam_policy::{Condition, Grant};
use firegate_files::members::{Member, is_profile_claim};

use super::index::Reading;
use super::member::each_value;
use super::{Bindings, IamRequest, line_of};
use crate::identity::{Principal, User};
use crate::limits::NEAR_SHOWN_MAX;

/// What was near, a sentence each, for the operator.
pub(super) fn near(bindings: &Bindings, request: &IamRequest<'_>, principal: &Principal) -> Vec<String> {
    let mut near = Vec::new();
    bindings.each(Some(principal), &mut |grant| {
        // Without a condition it would have let the caller in.
        if let Some(condition) = &grant.condition {
            push(&mut near, grant, &why_not(condition, request, principal));
        }
    });
    let Principal::User(user) = principal else { return near };
    for grant in bindings.grants().iter().filter(|grant| names_profile(grant)) {
        let Member::PrincipalSet { attribute, value, .. } = &grant.member else { continue };
        each_value(user, attribute, &mut |found| {
            if found == value {
                push(&mut near, grant, "what users write of themselves lets nobody in");
            }
        });
    }
    match &user.tenant {
        Some(tenant) => {
            let why =
                format!("the user is in tenant {tenant:?}, and only a member that names the tenant matches");
            let at_project_level = User { tenant: None, ..(**user).clone() };
            tell(bindings, at_project_level, Reading::Strict, &why, &mut near);
        }
        None if user.verified_email().is_none() => {
            let address = user.email.as_deref().unwrap_or_default();
            let why = format!("the user's address {address:?} is not verified");
            tell(bindings, (**user).clone(), Reading::Wide, &why, &mut near);
        }
        None => {}
    }
    near
}

/// Whether a grant is for users of a name or picture, whichever.
fn names_profile(grant: &Grant) -> bool {
    matches!(&grant.member, Member::PrincipalSet { attribute, .. } if is_profile_claim(attribute))
}

/// Why a condition grants nothing.
fn why_not(condition: &Condition, request: &IamRequest<'_>, principal: &Principal) -> String {
    let title = &condition.title;
    match request.evaluate(condition, Some(principal)) {
        Outcome::Error(error) => format!("the condition {title:?} cannot be evaluated: {error}"),
        Outcome::Unknown(name) => {
            format!("the condition {title:?} asks for {name}, which is not known here")
        }
        Outcome::True | Outcome::False => format!("the condition {title:?} is false"),
    }
}

/// Tells of the members that would name this user.
fn tell(bindings: &Bindings, user: User, reading: Reading, why: &str, near: &mut Vec<String>) {
    let principal = Principal::User(Box::new(user));
    bindings.index.each_with_groups(Some(&principal), &bindings.directory, reading, &mut |position| {
        let grant = bindings.grants.get(position as usize).filter(|grant| !names_profile(grant));
        grant.into_iter().for_each(|grant| push(near, grant, why));
    });
}

fn push(near: &mut Vec<String>, grant: &Grant, why: &str) {
    let line = format!("{}{} would match, but {why}", grant.member, line_of(grant.place.as_ref()));
    if near.len() < NEAR_SHOWN_MAX && !near.contains(&line) {
        near.push(line);
    }
}
