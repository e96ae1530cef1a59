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
use tokio::time::Instant;

use super::age::{AgeClock, Moment};
use super::watch::Watcher;
use crate::limits::{REFUSAL_MEMORY_GRACE, REFUSAL_MEMORY_MAX};

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
    pub(super) began: Began,
}

/// The beginning of a look-up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Began {
    /// Its number, in the order in which look-ups began. A later one knows better, whatever the clocks say.
    pub(super) call: u64,
    pub(super) moment: Moment,
    /// The same by the wall clock of then.
    pub(super) wall: UnixTime,
}

/// One user.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: UserKey,
    record: ArcSwapOption<Record>,
    /// The moment of the last request, in milliseconds.
    seen_ms: AtomicU64,
    /// Whether the refresher has it in its schedule, or it is being looked up for it.
    pub(super) scheduled: AtomicBool,
    watchers: Mutex<HashMap<u64, Watcher>>,
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
            seen_ms: AtomicU64::new(in_ms(now)),
            scheduled: AtomicBool::new(false),
            watchers: Mutex::default(),
        }
    }

    /// Takes note that the user was here.
    pub(super) fn mark_seen(&self, now: Moment) {
        let now_ms = in_ms(now);
        if self.seen_ms.load(Atomic::Relaxed) != now_ms {
            // In one order with the look at `scheduled` that follows: the schedule looks at both the other way round.
            self.seen_ms.store(now_ms, Atomic::SeqCst);
        }
    }

    pub(super) fn known(&self, ages: &AgeClock) -> Option<KnownAccount> {
        let record = self.record.load();
        // A wall clock that stepped back must not make the record look younger than it is.
        let known = |record: &Record| KnownAccount {
            account: record.account,
            as_of: record.began.wall.min(ages.wall_at(record.began.moment)),
        };
        record.as_deref().map(known)
    }

    /// How old the record is.
    pub(super) fn age(&self, now: Moment) -> Option<Duration> {
        self.record.load().as_deref().map(|record| now.saturating_sub(record.began.moment))
    }

    /// Whether the record is worth keeping fresh: the user was here lately, or holds a stream.
    pub(super) fn is_wanted(&self, now: Moment, max_staleness: Duration) -> bool {
        let unseen_ms = in_ms(now).saturating_sub(self.seen_ms.load(Atomic::SeqCst));
        // A bound of zero wants no record again, also in the millisecond of the request.
        let is_recent = !max_staleness.is_zero() && unseen_ms <= in_ms(max_staleness);
        is_recent || self.is_watched()
    }

    /// Takes a record, unless a later look-up was faster, and ends the streams that it ends.
    pub(super) fn accept(&self, record: Record) -> Change {
        let watchers = self.watchers();
        let before = self.record.load();
        let before = before.as_deref();
        if before.is_some_and(|before| before.began.call > record.began.call) {
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
        for watcher in watchers.values() {
            watcher.judge(record.account.as_ref());
        }
        if refusing { Change::Refusing } else { Change::Harmless }
    }

    fn add_watcher(&self, watcher: Watcher) {
        let mut watchers = self.watchers();
        if let Some(record) = self.record.load().as_deref() {
            watcher.judge(record.account.as_ref());
        }
        watchers.insert(watcher.id, watcher);
    }

    /// Removes a watcher; whether it was the last one.
    fn remove_watcher(&self, id: u64) -> bool {
        let mut watchers = self.watchers();
        watchers.remove(&id);
        watchers.is_empty()
    }

    fn is_watched(&self) -> bool {
        !self.watchers().is_empty()
    }

    fn watchers(&self) -> MutexGuard<'_, HashMap<u64, Watcher>> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn in_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
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
        match entry.filter(|entry| entry.record.load().is_some()) {
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
            && let Some(record) = entry.record.load().as_deref()
        {
            present.accept(*record);
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
    use std::collections::hash_map::DefaultHasher;
    use std::hash::Hasher;

    use tokio_util::sync::CancellationToken;

    use super::*;

    const START: UnixTime = UnixTime::from_seconds(1_800_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn key(uid: &str) -> UserKey {
        UserName { tenant: None, uid }.to_key()
    }

    fn record(call: u64, disabled: bool) -> Record {
        let valid_since = UnixTime::from_seconds(1000);
        let began = Began { call, moment: Duration::ZERO, wall: START };
        Record { account: Some(AccountStatus { disabled, valid_since }), began }
    }

    fn is_disabled(entry: &Entry) -> Option<bool> {
        let record = entry.record.load();
        record.as_deref().and_then(|record| record.account).map(|account| account.disabled)
    }

    fn watcher(id: u64) -> (Watcher, CancellationToken) {
        let ended = CancellationToken::new();
        (Watcher { id, auth_time: START, ended: ended.clone() }, ended)
    }

    #[test]
    fn a_name_hashes_as_its_key_does() {
        let hash = |value: &dyn Fn(&mut DefaultHasher)| {
            let mut hasher = DefaultHasher::new();
            value(&mut hasher);
            hasher.finish()
        };
        for tenant in [None, Some("blue")] {
            let name = UserName { tenant, uid: "alice" };
            assert_eq!(hash(&|hasher| name.hash(hasher)), hash(&|hasher| name.to_key().hash(hasher)));
        }
    }

    #[test]
    fn the_answer_of_an_earlier_call_never_replaces_that_of_a_later_one() {
        // All calls begin at one moment: a clock does not tell which was first.
        let entry = Entry::new(key("alice"), Duration::ZERO);
        let check = |call: u64, disabled: bool, expected: bool| {
            entry.accept(record(call, disabled));
            assert_eq!(is_disabled(&entry), Some(expected), "{call}");
        };
        check(1, false, false);
        check(3, true, true);
        check(2, false, true);
        check(4, false, false);
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
    fn a_user_is_recent_up_to_the_bound_on_staleness_and_never_with_a_bound_of_zero() {
        let entry = Entry::new(key("alice"), Duration::ZERO);
        let check = |unseen_ms: u64, staleness_ms: u64, expected: bool| {
            let (now, staleness) = (Duration::from_millis(unseen_ms), Duration::from_millis(staleness_ms));
            assert_eq!(entry.is_wanted(now, staleness), expected, "{unseen_ms} of {staleness_ms} ms");
        };
        check(0, 1000, true);
        // A moment jumps by up to a second: the wall clock has whole ones.
        check(1000, 1000, true);
        check(1001, 1000, false);
        check(0, 0, false);
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
