//! Which of thousands of members name a caller, found by what is known of the caller instead of by looking at each member.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use firegate_files::members::{Member, is_profile_claim};

use super::directory::{Directory, IdentityPool};
use super::member::{domain_of, each_value};
use crate::identity::{Principal, User};

/// Whom a member means where there is a doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Who is surely meant: an address counts if it is verified, the pool's sets hold project-level users, and what users write
    /// of themselves (their name and picture) counts for nothing. Nothing else may grant anything.
    Strict,
    /// Who might be meant: any address counts, and the pool's sets and domains hold tenants' users too, as Google's sets do.
    /// Whoever is kept out must not come in by leaving their address unverified, or by signing in to a tenant.
    Wide,
}

/// Members by what they name.
#[derive(Debug, Default)]
pub(super) struct MemberIndex {
    everyone: Vec<u32>,
    signed_in: Vec<u32>,
    /// By address in lower case.
    users: Positions,
    accounts: Positions,
    groups: Positions,
    /// By name in lower case.
    domains: Positions,
    subjects: Positions,
    /// Those of the whole pool.
    pool: Vec<u32>,
    /// By attribute and value; the values of `email` in lower case.
    attributes: BTreeMap<Box<str>, Positions>,
}

type Positions = HashMap<Box<str>, Vec<u32>>;

impl MemberIndex {
    /// Adds a member. One of another pool names nobody here.
    pub(super) fn insert(&mut self, position: u32, member: &Member, pool: &IdentityPool) {
        if member.pool().is_some_and(|named| !pool.is(named)) {
            return;
        }
        match member {
            Member::AllUsers => self.everyone.push(position),
            Member::AllAuthenticatedUsers => self.signed_in.push(position),
            Member::User(address) => push(&mut self.users, lower(address), position),
            Member::ServiceAccount(address) => push(&mut self.accounts, lower(address), position),
            Member::Group(address) => push(&mut self.groups, lower(address), position),
            Member::Domain(name) => push(&mut self.domains, lower(name), position),
            Member::Principal { subject, .. } => self.insert_subject(position, subject),
            Member::PrincipalSetAll { .. } => self.pool.push(position),
            Member::PrincipalSet { attribute, value, .. } => {
                let value = if attribute == "email" { lower(value) } else { Cow::Borrowed(value.as_str()) };
                push(self.attributes.entry(attribute.as_str().into()).or_default(), value, position);
            }
        }
    }

    /// Adds the project-level user with this user id.
    pub(super) fn insert_subject(&mut self, position: u32, uid: &str) {
        push(&mut self.subjects, Cow::Borrowed(uid), position);
    }

    /// The positions of those that name everyone.
    pub(super) fn everyone(&self) -> &[u32] {
        &self.everyone
    }

    /// Calls `found` with the position of each member that names the caller, but for groups.
    pub(super) fn each(&self, principal: Option<&Principal>, reading: Reading, found: &mut dyn FnMut(u32)) {
        self.everyone.iter().for_each(|position| found(*position));
        match principal {
            None => {}
            Some(Principal::GoogleAccount(account)) => look(&self.accounts, &lower(&account.email), found),
            Some(Principal::User(user)) => self.each_of_user(user, reading, found),
        }
    }

    /// The same with the groups that the caller is in.
    pub(super) fn each_with_groups(
        &self,
        principal: Option<&Principal>,
        directory: &Directory,
        reading: Reading,
        found: &mut dyn FnMut(u32),
    ) {
        self.each(principal, reading, found);
        if let Some(principal) = principal.filter(|_| !self.groups.is_empty()) {
            directory
                .each_group(principal, reading, &mut |address| look(&self.groups, &lower(address), found));
        }
    }

    fn each_of_user(&self, user: &User, reading: Reading, found: &mut dyn FnMut(u32)) {
        self.signed_in.iter().for_each(|position| found(*position));
        let project_level = user.tenant.is_none();
        let email = match reading {
            Reading::Strict => user.verified_email(),
            Reading::Wide => user.email.as_deref(),
        };
        let in_sets = project_level || reading == Reading::Wide;
        let email = email.filter(|_| in_sets).map(lower);
        if in_sets {
            self.pool.iter().for_each(|position| found(*position));
        }
        if project_level {
            look(&self.subjects, &user.uid, found);
        }
        if let Some(email) = &email {
            // An address names a person, who is another one in a tenant.
            if project_level {
                look(&self.users, email, found);
            }
            match reading {
                Reading::Strict => look(&self.domains, domain_of(email).unwrap_or_default(), found),
                Reading::Wide => {
                    email.split('@').skip(1).for_each(|domain| look(&self.domains, domain, found));
                }
            }
        }
        for (attribute, values) in &self.attributes {
            match &**attribute {
                "email" => look(values, email.as_deref().unwrap_or_default(), found),
                // What users write of themselves names nobody for sure.
                name if is_profile_claim(name) && reading == Reading::Strict => {}
                name if in_sets || name == "tenant" => {
                    each_value(user, name, &mut |value| look(values, value, found));
                }
                _ => {}
            }
        }
    }
}

fn push(positions: &mut Positions, key: Cow<'_, str>, position: u32) {
    positions.entry(key.into()).or_default().push(position);
}

fn look(positions: &Positions, key: &str, found: &mut dyn FnMut(u32)) {
    positions.get(key).into_iter().flatten().for_each(|position| found(*position));
}

/// IAM compares addresses and domains without regard to case. Most are in lower case already.
fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}
