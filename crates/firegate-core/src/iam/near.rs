//! What was near: the members that would name a refused caller if one thing about the caller were different.

use super::Bindings;
use super::index::AddressReading::{Claimed, Verified};
use crate::identity::{Principal, User};
use crate::limits::NEAR_SHOWN_MAX;

/// What was near, a sentence each, for the operator.
pub(super) fn near(bindings: &Bindings, principal: &Principal) -> Vec<String> {
    let Principal::User(user) = principal else { return Vec::new() };
    let mut near = Vec::new();
    match &user.tenant {
        Some(tenant) => {
            let why =
                format!("the user is in tenant {tenant:?}, and only a member that names the tenant matches");
            let at_project_level = User { tenant: None, ..(**user).clone() };
            tell(bindings, at_project_level, Verified, &why, &mut near);
        }
        None if user.verified_email().is_none() => {
            let address = user.email.as_deref().unwrap_or_default();
            let why = format!("the user's address {address:?} is not verified");
            tell(bindings, (**user).clone(), Claimed, &why, &mut near);
        }
        None => {}
    }
    near
}

/// Tells of the members that would name this user.
fn tell(bindings: &Bindings, user: User, reading: super::AddressReading, why: &str, near: &mut Vec<String>) {
    let principal = Principal::User(Box::new(user));
    bindings.index.each_with_groups(Some(&principal), &bindings.directory, reading, &mut |position| {
        let member = bindings.members.get(position as usize);
        if let Some(member) = member.filter(|_| near.len() < NEAR_SHOWN_MAX) {
            let line = format!("{member} would match, but {why}");
            if !near.contains(&line) {
                near.push(line);
            }
        }
    });
}
