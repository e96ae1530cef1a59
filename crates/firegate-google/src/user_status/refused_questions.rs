//! Who is to blame when the API refuses a look-up as it stands (400): one name among a hundred, or all of them. One user
//! whose id it does not take must not fail those who happen to be in the same call.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::time::Instant;

use super::lines::{Batch, Tenant};
use super::{UserKey, UserStatusCache, UserStatusFault};
use crate::accounts::AccountsFault;
use crate::fault::FaultSource;
use crate::limits::{
    USER_STATUS_REFUSED_QUESTION_MEMORY, USER_STATUS_RETRY_MAX, USER_STATUS_SPLIT_CALLS_MAX,
};

/// A user whose look-up was refused while others' were answered.
#[derive(Clone, Debug)]
pub(super) struct RefusedQuestion {
    at: Instant,
    fault: UserStatusFault,
}

impl UserStatusFault {
    /// Whether the API refused the question itself.
    pub(super) fn is_of_question(&self) -> bool {
        matches!(self, Self::Lookup(AccountsFault::Call(FaultSource::Answered { status: 400, .. })))
    }
}

impl UserStatusCache {
    /// Asks for a batch, and once more in halves of what is refused, until those to blame are alone or the bound on calls
    /// is met. Where everything was refused a moment ago, it is refused again, and one call is enough.
    pub(super) async fn ask(&self, tenant: &Tenant, batch: Batch) {
        let is_alone = batch.uids.len() == 1;
        let mut calls_left =
            if self.lines.were_all_refused(tenant) { 0 } else { USER_STATUS_SPLIT_CALLS_MAX };
        let mut is_answered = false;
        let mut refused = None::<(Batch, UserStatusFault)>;
        let mut to_blame = Vec::new();
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            let began = self.begin_call();
            let answer = self.call(tenant, &part).await;
            if answer.is_err() {
                self.count_failed_call();
            }
            match answer {
                Ok(accounts) => {
                    is_answered = true;
                    self.settle(tenant, part, began, &accounts);
                }
                Err(fault) if !fault.is_of_question() => {
                    // An outage is everybody's.
                    let rest = refused.into_iter().map(|(batch, _)| batch).chain(parts);
                    return self.give_up(tenant, rest.fold(part, Batch::with), &fault);
                }
                Err(_) if part.uids.len() > 1 && calls_left > 1 => {
                    calls_left -= 2;
                    parts.extend(part.halves());
                }
                Err(fault) => {
                    // In a larger part, where the bound on calls was met, there may be others.
                    to_blame.extend(part.uids.first().filter(|_| part.uids.len() == 1).cloned());
                    let part = refused.take().map_or_else(Batch::default, |(batch, _)| batch).with(part);
                    refused = Some((part, fault));
                }
            }
        }
        match refused {
            None => {}
            Some((batch, fault)) if is_answered || is_alone && self.lines.was_answered_lately(tenant) => {
                self.refuse(tenant, batch, &to_blame, &fault);
            }
            Some((batch, fault)) => self.give_up(tenant, batch, &fault),
        }
    }

    /// Fails those who were refused, and nobody else of the tenant; those who were alone are remembered.
    fn refuse(&self, tenant: &Tenant, batch: Batch, to_blame: &[Arc<str>], fault: &UserStatusFault) {
        if let Some(times) = self.refusals_told.failed(Instant::now()) {
            let (tenant, users) = (tenant.as_deref(), batch.uids.len());
            tracing::warn!(tenant, users, %fault, times, "the look-up of some users is refused, and that of others is not");
        }
        for uid in to_blame {
            let key = UserKey { tenant: tenant.clone(), uid: Arc::clone(uid) };
            self.refused_questions.insert(key, RefusedQuestion { at: Instant::now(), fault: fault.clone() });
        }
        let retry_at = self.ages.now() + USER_STATUS_RETRY_MAX;
        for entry in batch.stale {
            self.schedule.push(retry_at, entry);
        }
        for asked in batch.asked {
            // Nobody may wait any more.
            let _ = asked.answer.send(Err(fault.clone()));
        }
    }

    /// The refusal of this very user a moment ago.
    pub(super) fn recently_refused(&self, key: &UserKey) -> Option<UserStatusFault> {
        let refused = self.refused_questions.get(key)?;
        (refused.at.elapsed() < USER_STATUS_REFUSED_QUESTION_MEMORY).then_some(refused.fault)
    }
}

impl Batch {
    /// The same users in two batches.
    fn halves(mut self) -> [Self; 2] {
        let uids = self.uids.split_off(self.uids.len() / 2);
        let of_other: HashSet<&str> = uids.iter().map(|uid| &**uid).collect();
        let (asked, own_asked) = self.asked.into_iter().partition(|asked| of_other.contains(&*asked.uid));
        let (stale, own_stale) = self.stale.into_iter().partition(|entry| of_other.contains(&*entry.key.uid));
        [Self { uids: self.uids, asked: own_asked, stale: own_stale }, Self { asked, stale, uids }]
    }

    /// The users of both.
    fn with(mut self, other: Self) -> Self {
        self.uids.extend(other.uids);
        self.asked.extend(other.asked);
        self.stale.extend(other.stale);
        self
    }
}
