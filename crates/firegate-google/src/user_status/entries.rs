//! What is known of users: a bounded cache of whoever comes, and beside it those who must not be forgotten.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering as Atomic};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use firegate_core::time::UnixTime;
use quick_cache::sync::Cache;
use tokio::time::Instant;

use super::age::Moment;
use super::entry::{Entry, UserKey, UserName};
use super::watch::Watcher;
use crate::limits::{REFUSAL_MEMORY_GRACE, REFUSAL_MEMORY_MAX};

/// An entry with the time at which something has to be done about it; the earliest is the greatest, as a heap wants it.
#[derive(Debug)]
pub(super) struct Due<T> {
    pub(super) at: T,
    pub(super) entry: Arc<Entry>,
}

impl<T: Ord> Ord for Due<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at)
    }
}

impl<T: Ord> PartialOrd for Due<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Ord> PartialEq for Due<T> {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl<T: Ord> Eq for Due<T> {}

/// All entries. A user has one entry at a time: new ones are made under the lock of what is held.
#[derive(Debug)]
pub(super) struct Entries {
    cache: Cache<UserKey, Arc<Entry>>,
    held: Mutex<Held>,
    /// How many are held, so that nobody takes the lock in vain.
    held_count: AtomicUsize,
    refusals_max: usize,
    /// The wall-clock second until which somebody's refusal is not remembered.
    forgotten_until: AtomicI64,
}

/// Those who must not be forgotten: eviction from the cache does not touch them.
#[derive(Debug, Default)]
struct Held {
    pinned: HashMap<UserKey, Pin>,
    ends: BinaryHeap<Due<Instant>>,
    watched: HashMap<UserKey, Arc<Entry>>,
}

/// One who is pinned, until when. By the steady clock: a wall clock that is ahead and put right later lets nobody go.
#[derive(Debug)]
struct Pin {
    entry: Arc<Entry>,
    until: Instant,
}

impl Entries {
    pub(super) fn new(users_max: usize, refusals_max: usize) -> Self {
        Self {
            cache: Cache::new(users_max.max(1)),
            held: Mutex::default(),
            held_count: AtomicUsize::new(0),
            refusals_max,
            forgotten_until: AtomicI64::new(i64::MIN),
        }
    }

    /// A user's entry, if there is one.
    pub(super) fn find(&self, name: UserName<'_>) -> Option<Arc<Entry>> {
        if let Some(entry) = self.cache.get(&name) {
            return Some(entry);
        }
        if self.held_count.load(Atomic::Acquire) == 0 {
            return None;
        }
        self.held().find(&name.to_key())
    }

    /// A user's entry, made if there is none.
    pub(super) fn obtain(&self, key: &UserKey, now: Moment) -> Arc<Entry> {
        self.obtain_in(&self.held(), key, now)
    }

    fn obtain_in(&self, held: &Held, key: &UserKey, now: Moment) -> Arc<Entry> {
        if let Some(entry) = held.find(key).or_else(|| self.cache.get(key)) {
            return entry;
        }
        let entry = Arc::new(Entry::new(key.clone(), now));
        self.cache.insert(key.clone(), Arc::clone(&entry));
        entry
    }

    /// Keeps what is known of a user until `until`, and a while longer; `now` is the wall clock's time. If there is no room,
    /// or nothing is known that could be kept, that is remembered instead.
    pub(super) fn pin(&self, name: UserName<'_>, until: UnixTime, now: UnixTime) {
        let mut held = self.held();
        let entry = held.find(&name.to_key()).or_else(|| self.cache.get(&name));
        match entry.filter(|entry| entry.record().is_some()) {
            Some(entry) => self.pin_in(&mut held, entry, until, now),
            None => self.forget_until(until),
        }
    }

    /// The same for an entry that is at hand. If the cache dropped it meanwhile and the user got another one, that one
    /// learns what this one knows and is pinned: a user has one entry, and whoever asks for them finds it.
    pub(super) fn pin_entry(&self, entry: &Arc<Entry>, until: UnixTime, now: UnixTime) {
        let mut held = self.held();
        let present = held.find(&entry.key).or_else(|| self.cache.get(&entry.key));
        let present = present.unwrap_or_else(|| Arc::clone(entry));
        if !Arc::ptr_eq(&present, entry)
            && let Some(record) = entry.record()
        {
            present.accept(record);
        }
        self.pin_in(&mut held, present, until, now);
    }

    fn pin_in(&self, held: &mut Held, entry: Arc<Entry>, until: UnixTime, now: UnixTime) {
        let left = until.since(now).min(REFUSAL_MEMORY_MAX);
        let kept_until = Instant::now() + left + REFUSAL_MEMORY_GRACE;
        if let Some(pin) = held.pinned.get_mut(&entry.key) {
            pin.until = pin.until.max(kept_until);
        } else if held.pinned.len() < self.refusals_max {
            let pin = Pin { entry: Arc::clone(&entry), until: kept_until };
            held.pinned.insert(entry.key.clone(), pin);
            held.ends.push(Due { at: kept_until, entry });
            self.count(held);
        } else {
            self.forget_until(until);
        }
    }

    /// Keeps everybody who is pinned for so much longer.
    pub(super) fn pin_for_longer(&self, by: Duration) {
        for pin in self.held().pinned.values_mut() {
            pin.until += by;
        }
    }

    fn forget_until(&self, until: UnixTime) {
        let forgotten_until = until.plus(REFUSAL_MEMORY_GRACE).as_seconds();
        if self.forgotten_until.fetch_max(forgotten_until, Atomic::AcqRel) == i64::MIN {
            tracing::error!(
                limit = self.refusals_max,
                "a refused user could not be remembered: while Identity Platform is out of reach, nobody is let in unchecked"
            );
        }
    }

    /// Lets go of those whose time is over.
    pub(super) fn release(&self, now: Instant) {
        let mut held = self.held();
        while held.ends.peek().is_some_and(|end| end.at < now) {
            let Some(Due { entry, .. }) = held.ends.pop() else { break };
            match held.pinned.get(&entry.key).map(|pin| pin.until) {
                Some(until) if until >= now => held.ends.push(Due { at: until, entry }),
                _ => {
                    held.pinned.remove(&entry.key);
                }
            }
        }
        self.count(&held);
    }

    pub(super) fn has_forgotten(&self, now: UnixTime) -> bool {
        now.as_seconds() < self.forgotten_until.load(Atomic::Acquire)
    }

    /// Holds a user's entry for a stream.
    pub(super) fn watch(&self, key: &UserKey, watcher: Watcher, now: Moment) -> Arc<Entry> {
        let mut held = self.held();
        let entry = self.obtain_in(&held, key, now);
        held.watched.insert(key.clone(), Arc::clone(&entry));
        entry.add_watcher(watcher);
        self.count(&held);
        entry
    }

    /// Ends a stream's hold; what was learnt stays in the cache.
    pub(super) fn unwatch(&self, entry: &Arc<Entry>, watcher_id: u64) {
        // The lock of all is taken for a user's last stream alone.
        if !entry.remove_watcher(watcher_id) {
            return;
        }
        let mut held = self.held();
        // Another stream may have come between the two locks, and gone again.
        let is_held = held.watched.get(&entry.key).is_some_and(|watched| Arc::ptr_eq(watched, entry));
        if is_held && !entry.is_watched() {
            held.watched.remove(&entry.key);
            if !held.pinned.contains_key(&entry.key) && !self.cache.contains_key(&entry.key) {
                self.cache.insert(entry.key.clone(), Arc::clone(entry));
            }
            self.count(&held);
        }
    }

    /// How many users are known, pinned, and watched.
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        let held = self.held();
        (self.cache.len(), held.pinned.len(), held.watched.len())
    }

    /// The age of the oldest record of a user who was here lately.
    pub(super) fn oldest(&self, now: Moment, max_staleness: Duration) -> Option<Duration> {
        let watched: Vec<_> = self.held().watched.values().cloned().collect();
        let entries = self.cache.iter().map(|(_, entry)| entry).chain(watched);
        entries.filter(|entry| entry.is_wanted(now, max_staleness)).filter_map(|entry| entry.age(now)).max()
    }

    fn count(&self, held: &Held) {
        self.held_count.store(held.pinned.len() + held.watched.len(), Atomic::Release);
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn find(&self, key: &UserKey) -> Option<Arc<Entry>> {
        self.watched.get(key).or_else(|| self.pinned.get(key).map(|pin| &pin.entry)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::super::entry::Change;
    use super::super::entry::tests::{START, is_disabled, key, record};
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn watcher(id: u64) -> (Watcher, CancellationToken) {
        let ended = CancellationToken::new();
        (Watcher { id, auth_time: START, ended: ended.clone() }, ended)
    }

    #[test]
    fn a_refusal_that_an_evicted_entry_learns_reaches_the_entry_that_took_its_place() {
        for is_watched in [false, true] {
            let entries = Entries::new(100, 100);
            let evicted = entries.obtain(&key("alice"), Duration::ZERO);
            evicted.accept(record(1, false));
            entries.cache.remove(&key("alice"));
            let (watcher, ended) = watcher(7);
            let present = if is_watched {
                entries.watch(&key("alice"), watcher, Duration::ZERO)
            } else {
                entries.obtain(&key("alice"), Duration::ZERO)
            };
            present.accept(record(2, false));
            assert_eq!(evicted.accept(record(3, true)), Change::Refusing);
            entries.pin_entry(&evicted, START.plus(HOUR), START);
            let found = entries.find(UserName { tenant: None, uid: "alice" }).expect("pinned");
            assert_eq!((is_disabled(&found), ended.is_cancelled()), (Some(true), is_watched));
            assert!(Arc::ptr_eq(&found, &present), "one user has one entry");
            assert_eq!(entries.counts().1, 1);
        }
    }

    #[test]
    fn a_pin_ends_by_the_steady_clock_with_what_was_left_of_the_token_and_the_grace() {
        let entries = Entries::new(100, 100);
        entries.obtain(&key("alice"), Duration::ZERO).accept(record(1, true));
        let name = UserName { tenant: None, uid: "alice" };
        let began = Instant::now();
        entries.pin(name, START.plus(HOUR), START);
        // A second refusal of a token that lives longer.
        entries.pin(name, START.plus(2 * HOUR), START);
        let check = |elapsed: Duration, expected: usize| {
            entries.release(began + elapsed);
            assert_eq!(entries.counts().1, expected, "{elapsed:?}");
        };
        check(Duration::ZERO, 1);
        check(HOUR + REFUSAL_MEMORY_GRACE + Duration::from_secs(60), 1);
        check(2 * HOUR + REFUSAL_MEMORY_GRACE - Duration::from_secs(1), 1);
        check(2 * HOUR + REFUSAL_MEMORY_GRACE + Duration::from_secs(60), 0);
        // A token that claims to live for ever.
        entries.pin(name, UnixTime::from_seconds(i64::MAX), START);
        check(1000 * HOUR, 1);
    }

    #[test]
    fn a_user_is_watched_until_the_last_of_many_streams_ends() {
        let entries = Entries::new(100, 100);
        let watched: Vec<_> =
            (0..20_000).map(|id| entries.watch(&key("alice"), watcher(id).0, Duration::ZERO)).collect();
        let (last, others) = watched.split_last().expect("many");
        for (id, entry) in (0..).zip(others) {
            entries.unwatch(entry, id);
        }
        assert_eq!(entries.counts().2, 1);
        assert!(last.is_wanted(HOUR, Duration::ZERO), "also with a bound on staleness of zero");
        entries.unwatch(last, 19_999);
        assert_eq!(entries.counts().2, 0);
        assert!(!last.is_wanted(HOUR, Duration::ZERO));
        assert!(!entries.obtain(&key("bob"), HOUR).is_wanted(HOUR, Duration::ZERO), "nobody is refreshed");
    }
}
