//! What is known of one user, and who watches them.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering as Atomic};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use firegate_core::identity::{AccountStatus, KnownAccount};
use firegate_core::time::UnixTime;
use quick_cache::Equivalent;

use super::age::{AgeClock, Moment};
use super::watch::Watcher;

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

impl Entry {
    pub(super) fn new(key: UserKey, now: Moment) -> Self {
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

    /// What the last look-up said, if there was one.
    pub(super) fn record(&self) -> Option<Record> {
        self.record.load().as_deref().copied()
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

    pub(super) fn add_watcher(&self, watcher: Watcher) {
        let mut watchers = self.watchers();
        if let Some(record) = self.record.load().as_deref() {
            watcher.judge(record.account.as_ref());
        }
        watchers.insert(watcher.id, watcher);
    }

    /// Removes a watcher; whether it was the last one.
    pub(super) fn remove_watcher(&self, id: u64) -> bool {
        let mut watchers = self.watchers();
        watchers.remove(&id);
        watchers.is_empty()
    }

    pub(super) fn is_watched(&self) -> bool {
        !self.watchers().is_empty()
    }

    fn watchers(&self) -> MutexGuard<'_, HashMap<u64, Watcher>> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a new record differs from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing that would refuse anybody who was not refused before.
    Harmless,
    /// The account is gone or disabled, or sessions were revoked since the last look.
    Refusing,
}

pub(super) fn in_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::hash_map::DefaultHasher;
    use std::hash::Hasher;

    use super::*;

    pub(crate) const START: UnixTime = UnixTime::from_seconds(1_800_000_000);

    pub(crate) fn key(uid: &str) -> UserKey {
        UserName { tenant: None, uid }.to_key()
    }

    pub(crate) fn record(call: u64, disabled: bool) -> Record {
        let valid_since = UnixTime::from_seconds(1000);
        let began = Began { call, moment: Duration::ZERO, wall: START };
        Record { account: Some(AccountStatus { disabled, valid_since }), began }
    }

    pub(crate) fn is_disabled(entry: &Entry) -> Option<bool> {
        entry.record()?.account.map(|account| account.disabled)
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
}
