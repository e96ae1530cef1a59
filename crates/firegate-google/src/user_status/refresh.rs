//! Keeping fresh what is known of users who were here lately.

use std::collections::{BinaryHeap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::age::Moment;
use super::entries::Due;
use super::entry::{Entry, in_ms};
use crate::backoff;
use crate::limits::{USER_STATUS_REFRESH_AGE_MIN, USER_STATUS_RETRY_MAX, USER_STATUS_SCHEDULE_MIN};

/// When whose record is due.
#[derive(Debug)]
pub(super) struct Schedule {
    /// In milliseconds.
    max_staleness_ms: AtomicU64,
    dues: Mutex<Dues>,
}

#[derive(Debug)]
struct Dues {
    heap: BinaryHeap<Due<Moment>>,
    /// When it was last looked at who is due.
    looked_at: Moment,
    /// The length at which entries that nobody knows any more are thrown out.
    sweep_at: usize,
}

impl Schedule {
    pub(super) fn new(max_staleness: Duration) -> Self {
        let dues =
            Dues { heap: BinaryHeap::new(), looked_at: Moment::ZERO, sweep_at: USER_STATUS_SCHEDULE_MIN };
        Self { max_staleness_ms: AtomicU64::new(in_ms(max_staleness)), dues: Mutex::new(dues) }
    }

    /// How old a record may become before it is looked up again.
    pub(super) fn max_staleness(&self) -> Duration {
        Duration::from_millis(self.max_staleness_ms.load(Ordering::Relaxed))
    }

    /// Counts for records whose moment is chosen from now on; those that are due later than they may be are looked up by
    /// the request that finds them too old.
    pub(super) fn set_max_staleness(&self, max_staleness: Duration) {
        self.max_staleness_ms.store(in_ms(max_staleness), Ordering::Relaxed);
    }

    /// How old a record becomes before it is refreshed: so much less than its bound that a slow call or a failed one is
    /// made good in time, and scattered, so that those who came together do not stay together.
    fn refresh_age(&self) -> Duration {
        let max_staleness = self.max_staleness();
        let age = max_staleness * 5 / 8 + backoff::random_up_to(max_staleness / 8);
        age.max(USER_STATUS_REFRESH_AGE_MIN)
    }

    /// Sees to it that an entry is refreshed in time; one that is in the schedule already stays there.
    pub(super) fn add(&self, entry: &Arc<Entry>, now: Moment) {
        // The first look spares the bus of all cores: nearly always it is scheduled.
        if !entry.scheduled.load(Ordering::SeqCst) && !entry.scheduled.swap(true, Ordering::SeqCst) {
            let rest = entry.age(now).map_or(Duration::ZERO, |age| self.refresh_age().saturating_sub(age));
            self.push(now + rest, Arc::clone(entry));
        }
    }

    /// Puts an entry that was taken from the schedule back, for when its new record is due.
    pub(super) fn put_back(&self, entry: Arc<Entry>, now: Moment) {
        self.push(now + self.refresh_age(), entry);
    }

    /// Puts an entry that was taken from the schedule back, for a given moment.
    pub(super) fn push(&self, at: Moment, entry: Arc<Entry>) {
        let mut dues = self.dues();
        dues.heap.push(Due { at, entry });
        if dues.heap.len() >= dues.sweep_at {
            dues.heap.retain(|due| Arc::strong_count(&due.entry) > 1);
            dues.sweep_at = (2 * dues.heap.len()).max(USER_STATUS_SCHEDULE_MIN);
        }
    }

    /// Takes the entries that are due and wanted; the others age out.
    pub(super) fn take_due(&self, now: Moment) -> Vec<Arc<Entry>> {
        let max_staleness = self.max_staleness();
        let mut dues = self.dues();
        dues.looked_at = now;
        let mut wanted = Vec::new();
        let mut early = Vec::new();
        while dues.heap.peek().is_some_and(|due| due.at <= now) {
            let Some(Due { entry, .. }) = dues.heap.pop() else { break };
            // A request's own look-up may have made it young again.
            let rest = entry.age(now).map(|age| (max_staleness / 2).saturating_sub(age));
            if !entry.is_wanted(now, max_staleness) && self.lets_go(&entry, now) {
                continue;
            }
            if let Some(rest) = rest.filter(|rest| !rest.is_zero()) {
                early.push(Due { at: now + rest + max_staleness / 8, entry });
            } else {
                wanted.push(entry);
            }
        }
        dues.heap.extend(early);
        wanted
    }

    /// What keeps entries that were taken from the schedule from being lost with the task that has them in its hands.
    pub(super) fn hand_over(&self, entries: &[Arc<Entry>]) -> HandedOver<'_> {
        HandedOver { schedule: self, entries: entries.to_vec() }
    }

    /// Puts back those that are not there again already. It asks no clock: that may be what the task fell over.
    fn restore(&self, entries: Vec<Arc<Entry>>) {
        let mut dues = self.dues();
        let mut lost =
            entries.into_iter().map(|entry| (Arc::as_ptr(&entry), entry)).collect::<HashMap<_, _>>();
        for due in &dues.heap {
            lost.remove(&Arc::as_ptr(&due.entry));
        }
        // What makes a task panic may do so again.
        let at = dues.looked_at + USER_STATUS_RETRY_MAX;
        dues.heap.extend(lost.into_values().map(|entry| Due { at, entry }));
    }

    /// Leaves an entry to age out, unless its user came at this very moment and found it scheduled: then nobody else would
    /// ever schedule it.
    fn lets_go(&self, entry: &Entry, now: Moment) -> bool {
        entry.scheduled.store(false, Ordering::SeqCst);
        !entry.is_wanted(now, self.max_staleness()) || entry.scheduled.swap(true, Ordering::SeqCst)
    }

    fn dues(&self) -> MutexGuard<'_, Dues> {
        self.dues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Entries in the hands of a task that looks them up. If it panics they go back: nobody else would ever schedule them, and
/// streams that end with their users' sessions would not.
#[derive(Debug)]
pub(super) struct HandedOver<'a> {
    schedule: &'a Schedule,
    entries: Vec<Arc<Entry>>,
}

impl HandedOver<'_> {
    /// The task has put all of them back.
    pub(super) fn are_back(mut self) {
        self.entries.clear();
    }
}

impl Drop for HandedOver<'_> {
    fn drop(&mut self) {
        if !self.entries.is_empty() {
            self.schedule.restore(std::mem::take(&mut self.entries));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user_status::entries::Entries;
    use crate::user_status::entry::UserName;
    use crate::user_status::watch::Watcher;

    const STALENESS: Duration = Duration::from_secs(60);

    #[test]
    fn a_user_who_comes_while_the_schedule_lets_go_of_them_stays_in_it() {
        let schedule = Schedule::new(STALENESS);
        let entries = Entries::new(10, 10);
        let entry = entries.obtain(&UserName { tenant: None, uid: "alice" }.to_key(), Duration::ZERO);
        let gone = 2 * STALENESS;
        schedule.add(&entry, Duration::ZERO);
        assert!(schedule.take_due(gone).is_empty() && !entry.scheduled.load(Ordering::SeqCst), "aged out");
        // The user comes after the schedule's first look and finds the entry scheduled still.
        schedule.add(&entry, gone);
        entry.mark_seen(gone);
        assert!(!schedule.lets_go(&entry, gone));
        assert!(entry.scheduled.load(Ordering::SeqCst));
        assert_eq!(schedule.take_due(gone).len(), 1);
        // Whoever put it back meanwhile keeps it: it is in the schedule once.
        entry.mark_seen(gone);
        entry.scheduled.store(true, Ordering::SeqCst);
        assert!(!schedule.lets_go(&entry, gone));
    }

    #[test]
    fn with_a_bound_of_zero_streams_alone_are_refreshed_and_not_all_the_time() {
        let schedule = Schedule::new(Duration::ZERO);
        let entries = Entries::new(10, 10);
        let key = UserName { tenant: None, uid: "alice" }.to_key();
        let entry = entries.obtain(&key, Duration::ZERO);
        schedule.put_back(Arc::clone(&entry), Duration::ZERO);
        assert!(schedule.take_due(Duration::from_millis(50)).is_empty());
        assert!(schedule.take_due(Duration::from_secs(1)).is_empty(), "aged out");
        let ended = tokio_util::sync::CancellationToken::new();
        let auth_time = firegate_core::time::UnixTime::from_seconds(1000);
        entries.watch(&key, Watcher { id: 0, auth_time, ended }, Duration::ZERO);
        schedule.put_back(entry, Duration::ZERO);
        assert!(schedule.take_due(Duration::from_millis(50)).is_empty());
        assert_eq!(schedule.take_due(Duration::from_secs(1)).len(), 1);
    }

    #[test]
    fn what_a_task_that_panics_had_in_its_hands_is_due_again_after_a_pause_and_once() {
        let schedule = Schedule::new(STALENESS);
        let entries = Entries::new(10, 10);
        for uid in ["alice", "bob"] {
            let entry = entries.obtain(&UserName { tenant: None, uid }.to_key(), Duration::ZERO);
            schedule.add(&entry, Duration::ZERO);
        }
        let due = schedule.take_due(STALENESS / 2);
        let [first, second] = &due[..] else { panic!("{due:?}") };
        let handed_over = schedule.hand_over(&due);
        schedule.push(STALENESS, Arc::clone(first));
        drop(handed_over);
        let pause_ends = STALENESS / 2 + USER_STATUS_RETRY_MAX;
        assert_eq!(pause_ends, STALENESS);
        assert!(schedule.take_due(pause_ends - Duration::from_millis(1)).is_empty());
        assert_eq!(schedule.take_due(pause_ends).len(), 2);
        // A task that ends regularly has put them back itself.
        schedule.hand_over(&[Arc::clone(first), Arc::clone(second)]).are_back();
        assert!(schedule.dues().heap.is_empty());
    }
}
