//! What the names in members mean: the pool that principals are named in, and who is in which group.

use std::collections::{BTreeMap, HashMap};

use firegate_files::groups::{GroupMember, Groups};
use firegate_files::members::{Member, Pool};
use serde_json::Value;

use super::index::{MemberIndex, Reading};
use crate::identity::{Principal, User};

/// What the names in members mean.
#[derive(Debug)]
pub struct Directory {
    pool: IdentityPool,
    /// The custom claim that holds the addresses of a user's groups.
    claim: Option<String>,
    /// The groups' addresses, in lower case, and their positions.
    positions: HashMap<Box<str>, u32>,
    /// The addresses by position, and the groups that each is a member of.
    groups: Vec<Group>,
    /// Which groups list a caller.
    index: MemberIndex,
}

#[derive(Debug)]
struct Group {
    address: Box<str>,
    within: Vec<u32>,
}

/// The workload identity pool in whose spelling members name this project's users.
#[derive(Clone, Debug)]
pub struct IdentityPool {
    pub(crate) name: String,
    pub(crate) project_number: Option<String>,
}

impl Directory {
    /// Compiles the groups of a configuration.
    pub fn new(pool: IdentityPool, groups: &Groups) -> Self {
        let mut addresses: BTreeMap<&str, &[GroupMember]> = BTreeMap::new();
        for (address, members) in &groups.members {
            addresses.insert(address, members);
        }
        let positions: HashMap<Box<str>, u32> =
            addresses.keys().zip(0..).map(|(address, position)| (Box::from(*address), position)).collect();
        let group = |address: &str| Group { address: address.into(), within: Vec::new() };
        let mut compiled = addresses.keys().map(|address| group(address)).collect::<Vec<_>>();
        let mut index = MemberIndex::default();
        for (position, members) in (0..).zip(addresses.values()) {
            for member in *members {
                match member {
                    GroupMember::Member(Member::Group(nested)) => {
                        let nested = positions.get(nested.to_ascii_lowercase().as_str());
                        if let Some(nested) = nested.and_then(|nested| compiled.get_mut(*nested as usize)) {
                            nested.within.push(position);
                        }
                    }
                    GroupMember::Member(member) => index.insert(position, member, &pool),
                    GroupMember::Uid(uid) => index.insert_subject(position, uid),
                }
            }
        }
        Self { pool, claim: groups.claim.clone(), positions, groups: compiled, index }
    }

    /// The pool that names this project's users.
    pub fn pool(&self) -> &IdentityPool {
        &self.pool
    }

    /// Whether anything says who is in the group with this address.
    pub fn knows_group(&self, address: &str) -> bool {
        self.claim.is_some() || self.positions.contains_key(address.to_ascii_lowercase().as_str())
    }

    /// Whether a caller is in the group with this address. A project-level user is also in those that their claim lists.
    pub fn is_in_group(&self, address: &str, principal: &Principal, reading: Reading) -> bool {
        let mut is_in = false;
        self.each_group(principal, reading, &mut |found| is_in |= found.eq_ignore_ascii_case(address));
        is_in
    }

    /// Calls `found` with the address of each group that a caller is in. No group is left out; one may be told twice.
    pub(super) fn each_group(&self, principal: &Principal, reading: Reading, found: &mut dyn FnMut(&str)) {
        let mut open = Vec::new();
        self.index.each(Some(principal), reading, &mut |position| open.push(position));
        for address in self.claimed(principal, reading) {
            found(address);
            let lower = address.to_ascii_lowercase();
            open.extend(self.positions.get(lower.as_str()).copied());
        }
        let mut seen = Vec::new();
        while let Some(position) = open.pop() {
            if let Some(group) = self.groups.get(position as usize).filter(|_| !seen.contains(&position)) {
                seen.push(position);
                found(&group.address);
                open.extend(&group.within);
            }
        }
    }

    /// The addresses that the user's claim lists; a tenant's user might be meant by them.
    fn claimed<'a>(
        &self,
        principal: &'a Principal,
        reading: Reading,
    ) -> impl Iterator<Item = &'a str> + use<'a> {
        let user = principal.user().filter(|user| user.tenant.is_none() || reading == Reading::Wide);
        let claim = self.claim.as_deref().and_then(|claim| user?.claims.own().get(claim));
        let elements = match claim {
            Some(Value::Array(elements)) => elements.as_slice(),
            Some(element) => std::slice::from_ref(element),
            None => &[],
        };
        elements.iter().filter_map(Value::as_str)
    }
}

impl IdentityPool {
    /// Whether a member's pool is this one. Without a configured project number the pool's name decides.
    pub fn is(&self, pool: &Pool) -> bool {
        self.name == pool.name
            && self.project_number.as_ref().is_none_or(|number| *number == pool.project_number)
    }

    /// How a member would name the user.
    pub fn principal(&self, user: &User) -> String {
        let number = self.project_number.as_deref().unwrap_or("PROJECT_NUMBER");
        let pool = format!(
            "iam.googleapis.com/projects/{number}/locations/global/workloadIdentityPools/{}",
            self.name
        );
        match &user.tenant {
            Some(tenant) => format!("principalSet://{pool}/attribute.tenant/{tenant}"),
            None => format!("principal://{pool}/subject/{}", user.uid),
        }
    }
}
