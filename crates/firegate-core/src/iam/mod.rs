//! Who may pass: the bindings of a backend against the caller. The only place that makes a [`Permit`].

mod directory;
mod index;
mod member;
mod near;

use std::sync::Arc;

use firegate_files::members::Member;

pub use directory::{Directory, IdentityPool};
pub use index::AddressReading;
pub use member::matches;

use crate::identity::{GoogleAccount, Principal};
use crate::limits::MEMBERS_SHOWN_MAX;
use crate::permit::Permit;
use crate::reason::Reason;
use crate::snapshot::Backend;
use crate::token_source::PresentedToken;
use index::MemberIndex;
use near::near;

/// Who may call a backend.
#[derive(Debug)]
pub struct Bindings {
    members: Box<[Member]>,
    index: MemberIndex,
    directory: Arc<Directory>,
}

impl Bindings {
    /// Compiles the members of a backend.
    pub fn new(members: &[Member], directory: &Arc<Directory>) -> Self {
        let mut index = MemberIndex::default();
        for (position, member) in (0..).zip(members) {
            index.insert(position, member, directory.pool());
        }
        Self { members: members.into(), index, directory: Arc::clone(directory) }
    }

    /// Every member, in the order of the file.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Whether everyone may call, with or without a token.
    pub fn admit_everyone(&self) -> bool {
        self.members.contains(&Member::AllUsers)
    }

    fn admit(&self, principal: Option<&Principal>) -> bool {
        let mut is_named = false;
        let found = &mut |_| is_named = true;
        self.index.each_with_groups(principal, &self.directory, AddressReading::Verified, found);
        is_named
    }

    /// Whether a member names this very Google account, by itself or by a group.
    pub fn name_account(&self, account: &GoogleAccount) -> bool {
        let principal = Principal::GoogleAccount(Box::new(account.clone()));
        let mut is_named = false;
        self.index.each_with_groups(
            Some(&principal),
            &self.directory,
            AddressReading::Verified,
            &mut |position| {
                is_named |=
                    self.members.get(position as usize).is_some_and(|member| *member != Member::AllUsers);
            },
        );
        is_named
    }
}

/// Lets the caller pass if a member of the backend's bindings matches them.
///
/// # Errors
/// A caller without a token is asked for one; a user whom no member matches is refused.
pub fn authorize(
    backend: &Arc<Backend>,
    principal: Option<Arc<Principal>>,
    token: Option<&PresentedToken<'_>>,
) -> Result<Permit, Reason> {
    let bindings = &backend.bindings;
    if bindings.admit(principal.as_deref()) {
        return Ok(Permit::new(Arc::clone(backend), principal, token));
    }
    let Some(principal) = principal else { return Err(Reason::TokenMissing) };
    let shown = bindings.members.iter().take(MEMBERS_SHOWN_MAX);
    Err(Reason::NoInvokerBinding {
        near: near(bindings, &principal),
        members: shown.map(Member::to_string).collect(),
        more: bindings.members.len().saturating_sub(MEMBERS_SHOWN_MAX),
        principal: match &*principal {
            Principal::User(user) => bindings.directory.pool().principal(user),
            Principal::GoogleAccount(account) => format!("serviceAccount:{}", account.email),
        },
    })
}

#[cfg(test)]
mod tests;
