//! What is known of users: a bounded cache of whoever comes, and beside it those who must not be forgotten.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering as Atomic};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use firegate_core::identity::{AccountStatus, KnownAccount};
use firegate_core::time::UnixTime;
use quick_cache::Equivalent;
use quick_cache::sync::Cache;

use super::age::{AgeClock, Moment};
use super::watch::Watcher;
use crate::limits::REFUSAL_MEMORY_GRACE;

/// Who a user is: the same uid in another tenant is somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct UserKey {
    pub(super) tenant: Option<Arc<str>>,
    pub(super) uid: Arc<str>,
}

/// A key that is only looked for. It hashes as [`UserKey`] does.
#[derive(Clone, Copy, Hash)]
pub(super) struct UserName<'a> {
    pub(super) tenant: Option<&'a str>,
    pub(super) uid: &'a str,
}

impl Equivalent<UserKey> for UserName<'_> {
    fn equivalent(&self, key: &UserKey) -> bool {
        *self.uid == *key.uid && self.tenant == key.tenant.as_deref()
    }
}

impl UserName<'_> {
    pub(super) fn to_key(self) -> UserKey {
        UserKey { tenant: self.tenant.map(Arc::from), uid: Arc::from(self.uid) }
    }
}

/// What one look-up said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) account: Option<AccountStatus>,
    /// When the look-up began.
    pub(super) began: Moment,
    /// The same by the wall clock of then.
    pub(super) began_wall: UnixTime,
}

/// One user.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: UserKey,
    record: ArcSwapOption<Record>,
    /// The moment of the last request, in seconds.
    seen: AtomicU64,
    /// Whether the refresher has it in its schedule, or it is being looked up for it.
    pub(super) scheduled: AtomicBool,
    /// The wall-clock second until which it is pinned; changed under the lock of [`Held`] alone.
    pinned_until: AtomicI64,
    watchers: Mutex<Vec<Watcher>>,
}

/// How a new record differs from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing that would refuse anybody who was not refused before.
    Harmless,
    /// The account is gone or disabled, or sessions were revoked since the last look.
    Refusing,
}

impl Entry {
    fn new(key: UserKey, now: Moment) -> Self {
        Self {
            key,
            record: ArcSwapOption::empty(),
            seen: AtomicU64::new(now.as_secs()),
            scheduled: AtomicBool::new(false),
            pinned_until: AtomicI64::new(i64::MIN),
            watchers: Mutex::default(),
        }
    }

    /// Takes note that the user was here.
    pub(super) fn mark_seen(&self, now: Moment) {
        self.seen.store(now.as_secs(), Atomic::Relaxed);
    }

    pub(super) fn known(&self, ages: &AgeClock) -> Option<KnownAccount> {
        let record = self.record.load();
        // A wall clock that stepped back must not make the record look younger than it is.
        let known = |record: &Record| KnownAccount {
            account: record.account,
            as_of: record.began_wall.min(ages.wall_at(record.began)),
        };
        record.as_deref().map(known)
    }

    /// How old the record is.
    pub(super) fn age(&self, now: Moment) -> Option<Duration> {
        self.record.load().as_deref().map(|record| now.saturating_sub(record.began))
    }

    /// Whether the record is worth keeping fresh: the user was here lately, or holds a stream.
    pub(super) fn is_wanted(&self, now: Moment, max_staleness: Duration) -> bool {
        let unseen = now.as_secs().saturating_sub(self.seen.load(Atomic::Relaxed));
        unseen <= max_staleness.as_secs() || !self.watchers().is_empty()
    }

    /// Takes a record, unless a later look-up was faster, and ends the streams that it ends.
    pub(super) fn accept(&self, record: Record) -> Change {
        let watchers = self.watchers();
        let before = self.record.load();
        let before = before.as_deref();
        if before.is_some_and(|before| before.began > record.began) {
            return Change::Harmless;
        }
        let valid_since = |record: &Record| record.account.map(|account| account.valid_since);
        let refusing = match record.account {
            None | Some(AccountStatus { disabled: true, .. }) => true,
            Some(account) => {
                before.and_then(valid_since).is_some_and(|earlier| earlier < account.valid_since)
            }
        };
        self.record.store(Some(Arc::new(record)));
        for watcher in watchers.iter() {
            watcher.judge(record.account.as_ref());
        }
        if refusing { Change::Refusing } else { Change::Harmless }
    }

    fn add_watcher(&self, watcher: Watcher) {
        let mut watchers = self.watchers();
        if let Some(record) = self.record.load().as_deref() {
            watcher.judge(record.account.as_ref());
        }
        watchers.push(watcher);
    }

    /// Removes a watcher; whether it was the last one.
    fn remove_watcher(&self, id: u64) -> bool {
        let mut watchers = self.watchers();
        watchers.retain(|watcher| watcher.id != id);
        watchers.is_empty()
    }

    fn watchers(&self) -> MutexGuard<'_, Vec<Watcher>> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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
    pinned: HashMap<UserKey, Arc<Entry>>,
    ends: BinaryHeap<Due<UnixTime>>,
    watched: HashMap<UserKey, Arc<Entry>>,
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

    /// Keeps what is known of a user until `until`, and a while longer. If there is no room, or nothing is known that could
    /// be kept, that is remembered instead.
    pub(super) fn pin(&self, name: UserName<'_>, until: UnixTime) {
        let mut held = self.held();
        let entry = held.find(&name.to_key()).or_else(|| self.cache.get(&name));
        match entry.filter(|entry| entry.record.load().is_some()) {
            Some(entry) => self.pin_in(&mut held, entry, until),
            None => self.forget_until(until),
        }
    }

    /// The same for an entry that is at hand, though the cache may have dropped it meanwhile.
    pub(super) fn pin_entry(&self, entry: &Arc<Entry>, until: UnixTime) {
        let mut held = self.held();
        let entry = held.find(&entry.key).unwrap_or_else(|| Arc::clone(entry));
        self.pin_in(&mut held, entry, until);
    }

    fn pin_in(&self, held: &mut Held, entry: Arc<Entry>, until: UnixTime) {
        let kept_until = until.plus(REFUSAL_MEMORY_GRACE);
        let pinned_until = entry.pinned_until.load(Atomic::Relaxed);
        if pinned_until != i64::MIN {
            entry.pinned_until.store(pinned_until.max(kept_until.as_seconds()), Atomic::Relaxed);
        } else if held.pinned.len() < self.refusals_max {
            entry.pinned_until.store(kept_until.as_seconds(), Atomic::Relaxed);
            held.pinned.insert(entry.key.clone(), Arc::clone(&entry));
            held.ends.push(Due { at: kept_until, entry });
            self.count(held);
        } else {
            self.forget_until(until);
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
    pub(super) fn release(&self, now: UnixTime) {
        let mut held = self.held();
        while held.ends.peek().is_some_and(|end| end.at < now) {
            let Some(Due { entry, .. }) = held.ends.pop() else { break };
            let until = UnixTime::from_seconds(entry.pinned_until.load(Atomic::Relaxed));
            if until < now {
                entry.pinned_until.store(i64::MIN, Atomic::Relaxed);
                held.pinned.remove(&entry.key);
            } else {
                held.ends.push(Due { at: until, entry });
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
        let mut held = self.held();
        if entry.remove_watcher(watcher_id) && held.watched.remove(&entry.key).is_some() {
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
        self.watched.get(key).or_else(|| self.pinned.get(key)).cloned()
    }
}
