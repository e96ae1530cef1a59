//! Who waits to be looked up. Each tenant has a line of its own, because a look-up asks about the users of one; whoever
//! comes while calls are under way goes into the next one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use firegate_core::identity::KnownAccount;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::UserStatusFault;
use super::entry::Entry;
use crate::backoff;
use crate::limits::{
    ACCOUNTS_PER_LOOKUP_MAX, USER_STATUS_CALLS_PER_TENANT_MAX, USER_STATUS_FAILURE_MEMORY,
    USER_STATUS_REFRESH_PLACES_MIN, USER_STATUS_RETRY_MAX, USER_STATUS_RETRY_MIN, USER_STATUS_WAIT_MAX,
};
use crate::outage::Outage;

pub(super) type Tenant = Option<Arc<str>>;
pub(super) type Answer = Result<KnownAccount, UserStatusFault>;

/// What is logged of an outage.
const NOT_LOOKED_UP: &str = "users' accounts could not be looked up; retrying; hint: let this process reach the Identity Toolkit \
    endpoint, and its account have roles/firebaseauth.viewer on the project";

/// The lines of all tenants that have one.
#[derive(Debug, Default)]
pub(super) struct Lines(Mutex<HashMap<Tenant, Line>>);

#[derive(Debug, Default)]
struct Line {
    /// Users whose requests wait.
    asked: VecDeque<Asked>,
    /// Users whose records are to be kept fresh; they go along, behind the others but for a few places.
    stale: VecDeque<Arc<Entry>>,
    /// How many tasks take from this line.
    workers: usize,
    failure: Option<Failure>,
    failures_in_row: u32,
    outage: Outage,
    /// When a call brought answers last.
    answered_at: Option<Instant>,
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

/// A task's place among those that take from a line. It is given back also if the task panics.
#[derive(Debug)]
pub(super) struct Place<'a> {
    lines: &'a Lines,
    tenant: &'a Tenant,
    is_held: bool,
}

impl<'a> Place<'a> {
    /// The place of a task that was hired.
    pub(super) fn new(lines: &'a Lines, tenant: &'a Tenant) -> Self {
        Self { lines, tenant, is_held: true }
    }

    /// Whom to ask for next; none if the line is empty, and then the place is given back.
    pub(super) fn take(&mut self) -> Option<Batch> {
        let batch = self.lines.take(self.tenant);
        self.is_held = batch.is_some();
        batch
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.is_held
            && let Some(line) = self.lines.lock().get_mut(self.tenant)
        {
            line.workers = line.workers.saturating_sub(1);
        }
    }
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
        // What is only to be kept fresh needs another call at the same time if those under way leave somebody behind.
        let needs_worker = line.stale.len() > ACCOUNTS_PER_LOOKUP_MAX * line.workers && line.hire();
        Refresh::Queued { needs_worker }
    }

    /// The failure of a moment ago, so that an outage is not hammered.
    pub(super) fn recent_failure(&self, tenant: &Tenant) -> Option<UserStatusFault> {
        let lines = self.lock();
        let failure = lines.get(tenant)?.failure.as_ref()?;
        (failure.at.elapsed() < USER_STATUS_FAILURE_MEMORY).then(|| failure.fault.clone())
    }

    /// Whether the last call was refused as it stood, whoever was asked for.
    pub(super) fn were_all_refused(&self, tenant: &Tenant) -> bool {
        let lines = self.lock();
        let failure = lines.get(tenant).and_then(|line| line.failure.as_ref());
        failure.is_some_and(|failure| failure.fault.is_of_question())
    }

    /// Whether calls bring answers, so that a refusal is no outage.
    pub(super) fn was_answered_lately(&self, tenant: &Tenant) -> bool {
        self.answered_at(tenant).is_some_and(|at| at.elapsed() < USER_STATUS_RETRY_MAX)
    }

    /// Whether a call has brought answers since then.
    pub(super) fn was_answered_since(&self, tenant: &Tenant, then: Instant) -> bool {
        self.answered_at(tenant).is_some_and(|at| at > then)
    }

    fn answered_at(&self, tenant: &Tenant) -> Option<Instant> {
        self.lock().get(tenant)?.answered_at
    }

    /// Whom to ask for next; none if the line is empty, and then the task that asks ends.
    fn take(&self, tenant: &Tenant) -> Option<Batch> {
        let mut lines = self.lock();
        let line = lines.get_mut(tenant)?;
        let mut batch = Batch::default();
        let asked_max = ACCOUNTS_PER_LOOKUP_MAX - line.stale.len().min(USER_STATUS_REFRESH_PLACES_MIN);
        while batch.uids.len() < asked_max
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
            if let Some(failures) = line.outage.worked() {
                tracing::info!(
                    tenant = tenant.as_deref(),
                    failures,
                    "users' accounts can be looked up again"
                );
            }
            line.answered_at = Some(Instant::now());
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
        if let Some(failures) = line.outage.failed(Instant::now()) {
            tracing::warn!(tenant = tenant.as_deref(), %fault, failures, "{NOT_LOOKED_UP}");
        }
        line.failure = Some(Failure { at: Instant::now(), pause, fault: fault.clone() });
        (pause, std::mem::take(&mut line.stale))
    }

    /// Forgets lines that nobody waits in and whose last answer and last failure are long ago.
    pub(super) fn tidy(&self) {
        let remembers = |failure: &Failure| failure.at.elapsed() < 2 * USER_STATUS_RETRY_MAX;
        let is_recent = |at: Instant| at.elapsed() < USER_STATUS_RETRY_MAX;
        self.lock().retain(|_, line| {
            line.workers > 0
                // Whoever a task left behind that panicked goes along with the next one.
                || !line.asked.is_empty()
                || !line.stale.is_empty()
                || line.failure.as_ref().is_some_and(remembers)
                || line.answered_at.is_some_and(is_recent)
        });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user_status::entries::Entries;
    use crate::user_status::entry::UserName;

    const TENANT: Tenant = None;

    fn stale(count: usize) -> Vec<Arc<Entry>> {
        let entries = Entries::new(10_000, 0);
        let obtain = |number: usize| {
            let uid = format!("stale-{number}");
            entries.obtain(&UserName { tenant: None, uid: &uid }.to_key(), Duration::ZERO)
        };
        (0..count).map(obtain).collect()
    }

    /// Puts users into the line; how many tasks were hired for them, and what keeps the requests waiting.
    fn ask(lines: &Lines, count: usize) -> (usize, Vec<oneshot::Receiver<Answer>>) {
        let asked = (0..count).map(|number| lines.ask(&TENANT, Arc::from(format!("asked-{number}"))));
        let (waiting, hired): (Vec<_>, Vec<_>) = asked.unzip();
        (hired.into_iter().filter(|hired| *hired).count(), waiting)
    }

    fn refresh(lines: &Lines, entries: &[Arc<Entry>]) -> usize {
        let hires =
            |entry: &&Arc<Entry>| matches!(lines.refresh(entry), Refresh::Queued { needs_worker: true });
        entries.iter().filter(hires).count()
    }

    #[test]
    fn more_tasks_refresh_when_more_records_are_due_than_they_take_at_once() {
        let check = |due: usize, expected: usize| {
            assert_eq!(refresh(&Lines::default(), &stale(due)), expected, "{due}");
        };
        check(0, 0);
        check(1, 1);
        check(100, 1);
        check(101, 2);
        check(201, 3);
        check(10_000, USER_STATUS_CALLS_PER_TENANT_MAX);
    }

    #[test]
    fn records_that_are_due_have_places_beside_any_number_of_requests() {
        let check = |requests: usize, due: usize, expected: (usize, usize)| {
            let lines = Lines::default();
            let (_, _waiting) = ask(&lines, requests);
            refresh(&lines, &stale(due));
            let batch = lines.take(&TENANT).expect("somebody is in the line");
            assert_eq!((batch.asked.len(), batch.stale.len()), expected, "{requests} and {due}");
        };
        check(1000, 0, (100, 0));
        check(1000, 10, (90, 10));
        check(1000, 1000, (75, 25));
        check(10, 1000, (10, 90));
        check(0, 1000, (0, 100));
    }

    #[test]
    fn a_task_that_panics_gives_its_place_back() {
        let lines = Lines::default();
        let (hired, _waiting) = ask(&lines, 200);
        assert_eq!(hired, USER_STATUS_CALLS_PER_TENANT_MAX);
        let panicked = std::thread::scope(|scope| {
            let task = scope.spawn(|| {
                let mut place = Place::new(&lines, &TENANT);
                let batch = place.take();
                panic!("with {batch:?} in its hands");
            });
            task.join().is_err()
        });
        assert!(panicked);
        assert_eq!(ask(&lines, 1).0, 1, "another task may take its place");
        let mut place = Place::new(&lines, &TENANT);
        while place.take().is_some() {}
        drop(place);
        assert_eq!(ask(&lines, 10).0, 1, "one that ends regularly gives back one place");
    }

    #[test]
    fn whoever_tasks_that_panicked_left_in_the_line_is_there_for_the_next_one() {
        let lines = Lines::default();
        let (hired, _waiting) = ask(&lines, 20);
        refresh(&lines, &stale(10));
        // As they would be without having taken anybody.
        (0..hired).for_each(|_| drop(Place::new(&lines, &TENANT)));
        lines.tidy();
        let batch = lines.take(&TENANT).expect("somebody is in the line");
        assert_eq!((batch.asked.len(), batch.stale.len()), (20, 10));
        lines.tidy();
        assert!(lines.lock().is_empty(), "nobody is");
    }
}
