//! Whether the user may still be one: the stage that looks at the account.

use super::{
    AccountStatus, Admitted, Asked, Code, Identified, Need, Principal, Reason, Revocation, Stage, Step,
    Trust, UnixTime, Waiting, World, consume, decide, deny, fault, judge_account,
};
use crate::identity::{KnownAccount, User};
use crate::snapshot::Snapshot;
use firegate_files::configuration::TokenSource;
use std::time::Duration;

/// How the account of an identified user is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AccountRule {
    /// How old what is known may be. Nothing is young enough for an unsigned token, which is worth what the account says now.
    max_staleness: Option<Duration>,
    /// Whether users of whom nothing bad is known pass while Identity Platform cannot be asked.
    allow_on_failure: bool,
}

impl AccountRule {
    /// The rule for a principal, if there is one. Google's accounts are not Identity Platform's.
    pub(super) fn of(identified: &Identified, snapshot: &Snapshot) -> Option<Self> {
        let Principal::User(_) = &*identified.principal else { return None };
        if identified.is_unsigned && snapshot.identity.trust == Trust::Emulator {
            return Some(Self { max_staleness: None, allow_on_failure: false });
        }
        match snapshot.identity.users.revocation {
            Revocation::Off => None,
            Revocation::Required { max_staleness, allow_on_failure } => {
                Some(Self { max_staleness: Some(max_staleness), allow_on_failure })
            }
        }
    }

    fn is_young_enough(self, known: &KnownAccount, now: UnixTime) -> bool {
        // Either way: a clock that was set back must not make old knowledge young.
        let apart = now.since(known.as_of).max(known.as_of.since(now));
        self.max_staleness.is_some_and(|max| apart <= max)
    }
}

/// Judges by what is known, or asks.
pub(super) fn check<'a>(admitted: Admitted<'a>, world: &World<'_>) -> Step<'a> {
    let (Some(rule), Some(user)) = (admitted.account, admitted.permit.user()) else {
        return consume(admitted, world.now);
    };
    let (tenant, uid) = (user.tenant.as_deref(), user.uid.as_str());
    match world.accounts.known(tenant, uid) {
        Some(known) if rule.is_young_enough(&known, world.now) => {
            judge(admitted, known.account.as_ref(), world)
        }
        _ => {
            let need = Need::AccountStatus { tenant: tenant.map(str::to_owned), uid: uid.to_owned() };
            Waiting::Account(admitted).until_answered(need)
        }
    }
}

/// Judges by what a look-up says.
pub(super) fn judge<'a>(
    admitted: Admitted<'a>,
    account: Option<&AccountStatus>,
    world: &World<'_>,
) -> Step<'a> {
    match verdict(&admitted, account, world) {
        Ok(()) => consume(admitted, world.now),
        Err(reason) => refuse(admitted, reason, world),
    }
}

/// The account could not be looked up. What is known against a user stays known; what was known for them is too old.
pub(super) fn unavailable<'a>(admitted: Admitted<'a>, world: &World<'_>) -> Step<'a> {
    let known = |user: &User| world.accounts.known(user.tenant.as_deref(), &user.uid);
    if let Some(known) = admitted.permit.user().and_then(known)
        && let Err(reason) = verdict(&admitted, known.account.as_ref(), world)
    {
        return refuse(admitted, reason, world);
    }
    let allows = admitted.account.is_some_and(|rule| rule.allow_on_failure);
    if allows && !world.accounts.has_forgotten_refusals() {
        return consume(Admitted { permit: admitted.permit.unchecked(), ..admitted }, world.now);
    }
    fault(Code::UserStatusUnavailable, Stage::Identity, "the account could not be looked up")
}

/// Refuses a user; where everyone may pass, one whom a cookie names is nobody instead, as with any other cookie that fails.
/// What nobody may do is decided anew: all that let the request pass so far may have done so for the user's sake.
fn refuse<'a>(admitted: Admitted<'a>, reason: Reason, world: &World<'_>) -> Step<'a> {
    if admitted.permit.token_source() == Some(TokenSource::Cookie) && admitted.admits_everyone {
        return decide(Asked::as_nobodys(&admitted), None, world);
    }
    deny(reason, Stage::Identity)
}

/// The verdict, and if it is a refusal the note that it was made.
fn verdict(
    admitted: &Admitted<'_>,
    account: Option<&AccountStatus>,
    world: &World<'_>,
) -> Result<(), Reason> {
    let Some(user) = admitted.permit.user() else { return Ok(()) };
    judge_account(user, account).inspect_err(|_| {
        world.accounts.refused(user.tenant.as_deref(), &user.uid, user.expires_at);
    })
}
