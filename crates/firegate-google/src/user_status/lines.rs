//! Who waits to be looked up. Each tenant has a line of its own, because a look-up asks about the users of one; whoever
//! comes while calls are under way goes into the next one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use firegate_core::identity::KnownAccount;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::UserStatusFault;
use super::entries::Entry;
use crate::backoff;
use crate::limits::{
    ACCOUNTS_PER_LOOKUP_MAX, USER_STATUS_CALLS_PER_TENANT_MAX, USER_STATUS_FAILURE_MEMORY,
    USER_STATUS_RETRY_MAX, USER_STATUS_RETRY_MIN, USER_STATUS_WAIT_MAX,
};

pub(super) type Tenant = Option<Arc<str>>;
pub(super) type Answer = Result<KnownAccount, UserStatusFault>;

/// The lines of all tenants that have one.
#[derive(Debug, Default)]
pub(super) struct Lines(Mutex<HashMap<Tenant, Line>>);

#[derive(Debug, Default)]
struct Line {
    /// Users whose requests wait.
    asked: VecDeque<Asked>,
    /// Users whose records are to be kept fresh; they go along, behind the others.
    stale: VecDeque<Arc<Entry>>,
    /// How many tasks take from this line.
    workers: usize,
    failure: Option<Failure>,
    failures_in_row: u32,
}

#[derive(Debug)]
struct Failure {
    at: Instant,
    /// How long nothing is refreshed after it.
    pause: Duration,
    fault: UserStatusFault,
}

/// A user whose request waits.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) uid: Arc<str>,
    at: Instant,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// Whom one call asks for.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) uids: Vec<Arc<str>>,
    pub(super) asked: Vec<Asked>,
    pub(super) stale: Vec<Arc<Entry>>,
}

/// What becomes of an entry that is due.
#[derive(Debug)]
pub(super) enum Refresh {
    /// It is in the line; whether a new task has to take from it.
    Queued { needs_worker: bool },
    /// The line pauses after a failure, for this long.
    Paused(Duration),
}

impl Lines {
    /// Puts a user whose request waits into the line; whether a new task has to take from it.
    pub(super) fn ask(&self, tenant: &Tenant, uid: Arc<str>) -> (oneshot::Receiver<Answer>, bool) {
        let (answer, receiver) = oneshot::channel();
        let mut lines = self.lock();
        let line = lines.entry(tenant.clone()).or_default();
        line.asked.push_back(Asked { uid, at: Instant::now(), answer });
        let needs_worker = line.hire();
        (receiver, needs_worker)
    }

    /// Puts a user whose record is to be kept fresh into the line.
    pub(super) fn refresh(&self, entry: &Arc<Entry>) -> Refresh {
        let mut lines = self.lock();
        let line = lines.entry(entry.key.tenant.clone()).or_default();
        let rest = line.failure.as_ref().map(|failure| failure.pause.saturating_sub(failure.at.elapsed()));
        if let Some(rest) = rest.filter(|rest| !rest.is_zero()) {
            return Refresh::Paused(rest);
        }
        line.stale.push_back(Arc::clone(entry));
        // What is only to be kept fresh needs no second call at the same time.
        let needs_worker = line.workers == 0 && line.hire();
        Refresh::Queued { needs_worker }
    }

    /// The failure of a moment ago, so that an outage is not hammered.
    pub(super) fn recent_failure(&self, tenant: &Tenant) -> Option<UserStatusFault> {
        let lines = self.lock();
        let failure = lines.get(tenant)?.failure.as_ref()?;
        (failure.at.elapsed() < USER_STATUS_FAILURE_MEMORY).then(|| failure.fault.clone())
    }

    /// Whom to ask for next; none if the line is empty, and then the task that asks ends.
    pub(super) fn take(&self, tenant: &Tenant) -> Option<Batch> {
        let mut lines = self.lock();
        let line = lines.get_mut(tenant)?;
        let mut batch = Batch::default();
        while batch.uids.len() < ACCOUNTS_PER_LOOKUP_MAX
            && let Some(asked) = line.asked.pop_front()
        {
            if asked.at.elapsed() >= USER_STATUS_WAIT_MAX {
                // Whoever asked has gone; that the call's task is gone too is no matter.
                let _ = asked.answer.send(Err(UserStatusFault::TimedOut));
                continue;
            }
            batch.add(&asked.uid);
            batch.asked.push(asked);
        }
        while batch.uids.len() < ACCOUNTS_PER_LOOKUP_MAX
            && let Some(entry) = line.stale.pop_front()
        {
            batch.add(&entry.key.uid);
            batch.stale.push(entry);
        }
        if batch.uids.is_empty() {
            line.workers = line.workers.saturating_sub(1);
            return None;
        }
        Some(batch)
    }

    /// Takes note that a call brought answers.
    pub(super) fn note_success(&self, tenant: &Tenant) {
        if let Some(line) = self.lock().get_mut(tenant) {
            line.failure = None;
            line.failures_in_row = 0;
        }
    }

    /// Takes note that a call failed. Those who were to be kept fresh leave the line for the pause that is returned.
    pub(super) fn note_failure(
        &self,
        tenant: &Tenant,
        fault: &UserStatusFault,
    ) -> (Duration, VecDeque<Arc<Entry>>) {
        let mut lines = self.lock();
        let line = lines.entry(tenant.clone()).or_default();
        line.failures_in_row = line.failures_in_row.saturating_add(1);
        let pause = backoff::pause(line.failures_in_row, USER_STATUS_RETRY_MIN, USER_STATUS_RETRY_MAX);
        if line.failures_in_row == 1 {
            tracing::warn!(tenant = tenant.as_deref(), %fault, "users' accounts could not be looked up; retrying");
        }
        line.failure = Some(Failure { at: Instant::now(), pause, fault: fault.clone() });
        (pause, std::mem::take(&mut line.stale))
    }

    /// Forgets lines that nobody waits in and whose last failure is long ago.
    pub(super) fn tidy(&self) {
        let remembers = |failure: &Failure| failure.at.elapsed() < 2 * USER_STATUS_RETRY_MAX;
        self.lock().retain(|_, line| line.workers > 0 || line.failure.as_ref().is_some_and(remembers));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Tenant, Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn hire(&mut self) -> bool {
        let needs_worker = self.workers < USER_STATUS_CALLS_PER_TENANT_MAX;
        self.workers += usize::from(needs_worker);
        needs_worker
    }
}

impl Batch {
    fn add(&mut self, uid: &Arc<str>) {
        // One who waits may also be due.
        if !self.uids.contains(uid) {
            self.uids.push(Arc::clone(uid));
        }
    }
}
