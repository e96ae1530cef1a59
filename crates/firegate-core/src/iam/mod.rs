//! Who may pass: deny policies first, then the bindings of a backend, against the caller. The only place that makes a
//! [`Permit`].
//!
//! `index` finds the members that name a caller, `directory` says who is in a group, `request` what a condition is told of a
//! request, and `near` which members all but named a caller who is refused. `member` compares one member with a caller, for
//! people and to hold the index against. How IAM's files are read is `firegate_files::iam_policy`.

mod denial;
mod directory;
mod index;
mod member;
mod near;
mod request;

use std::sync::Arc;

use firegate_files::diagnostic::Place;
use firegate_files::iam_policy::Grant;
use firegate_files::members::Member;

/// What a condition says of a request.
pub use firegate_expr::Outcome as ConditionOutcome;

pub use denial::{DenialTrace, DenyRules};
pub use directory::{Directory, IdentityPool};
pub use index::Reading;
pub use member::matches;
pub use request::IamRequest;

use crate::identity::Principal;
use crate::limits::MEMBERS_SHOWN_MAX;
use crate::permit::Permit;
use crate::reason::{MissingToken, Reason};
use crate::snapshot::Backend;
use crate::token_source::PresentedToken;
use index::MemberIndex;
use near::near;

/// Who may call a backend.
#[derive(Debug)]
pub struct Bindings {
    grants: Arc<[Grant]>,
    index: MemberIndex,
    denials: Arc<DenyRules>,
    directory: Arc<Directory>,
}

impl Bindings {
    /// Compiles the grants of a backend.
    pub fn new(grants: Arc<[Grant]>, denials: &Arc<DenyRules>, directory: &Arc<Directory>) -> Self {
        let mut index = MemberIndex::default();
        for (position, grant) in (0..).zip(grants.iter()) {
            index.insert(position, &grant.member, directory.pool());
        }
        Self { grants, index, denials: Arc::clone(denials), directory: Arc::clone(directory) }
    }

    /// Every grant, in the order of the file.
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// The deny rules, which come first.
    pub fn denials(&self) -> &DenyRules {
        &self.denials
    }

    /// Whether everyone may send this request, with or without a token.
    pub(crate) fn admit_everyone(&self, request: &IamRequest<'_>) -> bool {
        if self.index.everyone().is_empty() || self.denials.denying(request, None).is_some() {
            return false;
        }
        let everyone =
            self.index.everyone().iter().filter_map(|position| self.grants.get(*position as usize));
        everyone.into_iter().any(|grant| holds(grant, request, None))
    }

    /// Whether a grant names the caller, and holds for this request. One without a condition is looked for first.
    fn admit(&self, request: &IamRequest<'_>, principal: Option<&Principal>) -> bool {
        let (mut admits, mut conditional) = (false, Vec::new());
        self.each(principal, &mut |grant| match grant.condition {
            None => admits = true,
            Some(_) => conditional.push(grant),
        });
        admits || conditional.into_iter().any(|grant| holds(grant, request, principal))
    }

    /// Calls `found` with each grant that names the caller, whatever its condition says.
    fn each<'a>(&'a self, principal: Option<&Principal>, found: &mut dyn FnMut(&'a Grant)) {
        let (directory, reading) = (&self.directory, Reading::Strict);
        self.index.each_with_groups(principal, directory, reading, &mut |position| {
            self.grants.get(position as usize).into_iter().for_each(&mut *found);
        });
    }

    /// Whether a member names this very Google account for this request, by itself or by a group.
    pub(crate) fn name_account(&self, request: &IamRequest<'_>, principal: &Principal) -> bool {
        let mut is_named = false;
        self.each(Some(principal), &mut |grant| {
            is_named |= grant.member != Member::AllUsers && holds(grant, request, Some(principal));
        });
        is_named
    }

    /// The caller as a member would name them.
    pub fn name_of(&self, principal: &Principal) -> String {
        match principal {
            Principal::User(user) => self.directory.pool().principal(user),
            Principal::GoogleAccount(account) => format!("serviceAccount:{}", account.email),
        }
    }
}

/// Whether a grant's condition is true. One that cannot be evaluated grants nothing.
pub fn holds(grant: &Grant, request: &IamRequest<'_>, principal: Option<&Principal>) -> bool {
    grant.condition.as_ref().is_none_or(|condition| request.evaluate(condition, principal).is_true())
}

/// Lets the caller pass if no deny rule names them, and a grant does.
///
/// # Errors
/// Whoever is denied is refused; a caller without a token is asked for one; a user whom no grant names is refused.
pub fn authorize(
    backend: &Arc<Backend>,
    request: &IamRequest<'_>,
    principal: Option<Arc<Principal>>,
    token: Option<&PresentedToken<'_>>,
) -> Result<Permit, Reason> {
    let bindings = &backend.bindings;
    if let Some(rule) = bindings.denials.denying(request, principal.as_deref()) {
        let principal =
            principal.map_or_else(|| "nobody".to_owned(), |principal| bindings.name_of(&principal));
        return Err(Reason::DeniedByIamPolicy { principal, rule });
    }
    if bindings.admit(request, principal.as_deref()) {
        return Ok(Permit::new(Arc::clone(backend), principal, token));
    }
    let Some(principal) = principal else { return Err(Reason::TokenMissing(MissingToken::Nothing)) };
    let shown = bindings.grants.iter().take(MEMBERS_SHOWN_MAX);
    Err(Reason::NoInvokerBinding {
        near: near(bindings, request, &principal),
        members: shown.map(|grant| format!("{}{}", grant.member, line_of(grant.place.as_ref()))).collect(),
        more: bindings.grants.len().saturating_sub(MEMBERS_SHOWN_MAX),
        principal: bindings.name_of(&principal),
    })
}

/// Where something stands in a file, if it is known.
fn line_of(place: Option<&Place>) -> String {
    place.map(|place| format!(" ({}:{})", place.file, place.line)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
