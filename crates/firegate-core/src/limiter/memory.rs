//! The windows of this process: one for each key, bounded in number, and shared by all workers.
//!
//! A key's window lies in one of many shards, each under a lock of its own that is held for one look-up. A window that is over
//! goes when its shard is full; one that still counts, or bans, never does. While there is no place, keys that are new are
//! counted together, each rule's by themselves: the limit holds for them all as if they were one.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::figures::{Event, Labels, LimiterFigures};
use super::key::{KeyPart, LocalKey};
use super::rule::{RateLimit, RuleIdentity};
use super::shared::{Settled, StoreQuestion};
use super::window::Window;
use super::{Count, CountOutcome, Counters, Counting, OnStoreFailure, StoreAnswer};
use crate::limits::{LIMITER_KEYS_PER_SHARD_MAX, LIMITER_SHARDS, LIMITER_SWEEP_INTERVAL};
use crate::time::SharedClock;

/// Counts in this process.
pub struct MemoryCounters {
    clock: SharedClock,
    secret: [u8; 16],
    shards: Box<[Mutex<Shard>]>,
    /// What is counted together, by rule.
    overflow: Mutex<HashMap<RuleIdentity, Window>>,
    labels: Labels,
}

/// Some of the windows.
#[derive(Debug, Default)]
struct Shard {
    windows: HashMap<LocalKey, Window, BuildHasherDefault<KeyHasher>>,
    /// When it is worth while to look again for windows that are over.
    sweep_at_ms: u64,
}

/// A key is a hash already.
#[derive(Debug, Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    /// The halves of a key come one after the other; the last one decides, and the other has chosen the shard.
    fn write_u64(&mut self, half: u64) {
        self.0 = half;
    }
}

/// A table has a byte beside each of its places, and their number is a power of two.
const TABLES_BYTES_MAX: usize = LIMITER_SHARDS
    * (LIMITER_KEYS_PER_SHARD_MAX * 8 / 7).next_power_of_two()
    * (size_of::<(LocalKey, Window)>() + 1);

// A million keys and more lie within 128 MiB, a table included that grows at the moment.
const _: () = {
    assert!(LIMITER_SHARDS * LIMITER_KEYS_PER_SHARD_MAX > 1_000_000);
    assert!(TABLES_BYTES_MAX < 96 * 1024 * 1024);
};

/// What came of a look at a key before the shared store is asked.
#[derive(Debug)]
pub(super) enum Foreseen {
    /// What it would say.
    Known(Count),
    /// It has to be asked, and told of so many requests.
    Unknown { key: LocalKey, unreported: u32 },
}

impl MemoryCounters {
    /// Counters without any count yet. The secret is of this process alone and drawn at random.
    pub fn new(clock: SharedClock, secret: [u8; 16]) -> Self {
        Self {
            clock,
            secret,
            shards: (0..LIMITER_SHARDS).map(|_| Mutex::default()).collect(),
            overflow: Mutex::default(),
            labels: Labels::default(),
        }
    }

    /// Prepares for the rules of a configuration. What was counted for a rule that has not changed is kept, and the figures of
    /// a label go on.
    pub fn go_by(&self, rules: &[Arc<RateLimit>]) {
        self.labels.give(rules);
    }

    /// What there is to know of them.
    pub fn figures(&self) -> LimiterFigures {
        LimiterFigures {
            keys: self.shards.iter().map(|shard| lock(shard).windows.len()).sum(),
            keys_max: LIMITER_SHARDS * LIMITER_KEYS_PER_SHARD_MAX,
            rules: self.labels.counts(),
        }
    }

    /// Looks at a key without counting.
    pub(super) fn foresee(&self, rule: &RateLimit, parts: &[KeyPart<'_>]) -> Foreseen {
        let key = LocalKey::of(&self.secret, rule.identity(), parts);
        let now_ms = self.now_ms();
        let shard = self.shard(key);
        let Some(window) = shard.windows.get(&key).filter(|window| !window.is_over(now_ms)) else {
            return Foreseen::Unknown { key, unreported: 0 };
        };
        match window.foresee(rule.limits(), now_ms) {
            Some(count) => Foreseen::Known(count),
            None => Foreseen::Unknown { key, unreported: window.unreported(now_ms) },
        }
    }

    /// Looks up a key's window, or the rule's for the keys that have no place, and does something with it.
    fn with_window(
        &self,
        rule: &RateLimit,
        key: LocalKey,
        act: impl FnOnce(&mut Window, u64) -> Count,
    ) -> Count {
        let now_ms = self.now_ms();
        let limits = rule.limits();
        {
            let mut shard = self.shard(key);
            if let Some(window) = shard.windows.get_mut(&key) {
                return act(window, now_ms);
            }
            if shard.has_place(now_ms) {
                let mut window = Window::new(limits, now_ms);
                let count = act(&mut window, now_ms);
                shard.windows.insert(key, window);
                return count;
            }
        }
        let mut overflow = lock(&self.overflow);
        overflow.retain(|_, window| !window.is_over(now_ms));
        let window = overflow.entry(rule.identity()).or_insert_with(|| Window::new(limits, now_ms));
        // Nobody is banned for what strangers did who share the place.
        let throttled = super::Limits { ban: None, ..*limits };
        Count { is_overflow: true, ..window.count(&throttled, now_ms) }
    }

    /// Counts a request, and that it came of it.
    fn count_key(
        &self,
        rule: &RateLimit,
        key: LocalKey,
        act: impl FnOnce(&mut Window, u64) -> Count,
    ) -> Count {
        let count = self.with_window(rule, key, act);
        rule.figures().add_count(&count);
        count
    }

    fn shard(&self, key: LocalKey) -> MutexGuard<'_, Shard> {
        // The upper half of the product is evenly spread below the number of shards (Lemire's reduction).
        let index = (u128::from(key.high) * self.shards.len() as u128) >> 64;
        lock(&self.shards[usize::try_from(index).unwrap_or_default()])
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.clock.steady().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Nothing in a shard is left half done by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    /// Whether one more window may be added. Before the table grows, what is over goes.
    fn has_place(&mut self, now_ms: u64) -> bool {
        let has_grown = self.windows.len() < self.windows.capacity().min(LIMITER_KEYS_PER_SHARD_MAX);
        if !has_grown && now_ms >= self.sweep_at_ms {
            self.sweep(now_ms);
        }
        self.windows.len() < LIMITER_KEYS_PER_SHARD_MAX
    }

    fn sweep(&mut self, now_ms: u64) {
        let mut next_ms = u64::MAX;
        self.windows.retain(|_, window| {
            let stays = !window.is_over(now_ms);
            if stays {
                next_ms = next_ms.min(window.over_ms());
            }
            stays
        });
        // With much room left over after a flood, the memory goes too.
        if self.windows.len() * 8 < self.windows.capacity() {
            self.windows.shrink_to(self.windows.len() * 2);
        }
        // A flood of new keys must not cost a sweep for each of them.
        let pause_ms = u64::try_from(LIMITER_SWEEP_INTERVAL.as_millis()).unwrap_or(u64::MAX);
        self.sweep_at_ms =
            if self.windows.is_empty() { 0 } else { next_ms.max(now_ms.saturating_add(pause_ms)) };
    }
}

impl Counters for MemoryCounters {
    fn count(&self, rule: &Arc<RateLimit>, key: &[KeyPart<'_>]) -> Counting {
        let key = LocalKey::of(&self.secret, rule.identity(), key);
        let limits = rule.limits();
        Counting::Counted(self.count_key(rule, key, |window, now_ms| window.count(limits, now_ms)))
    }

    fn settle(&self, question: &StoreQuestion, answer: StoreAnswer<'_>) -> Settled {
        let (rule, key) = (question.rule(), question.local_key());
        let limits = rule.limits();
        if let StoreAnswer::Counted(shared) = answer {
            let mirrored =
                |window: &mut Window, now_ms| window.mirror(shared, question.unreported(), limits, now_ms);
            // Where there is no place to keep it, the store's word holds all the same.
            let mirrored = self.mirror(rule, key, mirrored);
            rule.figures().add_count(&mirrored);
            return Settled::Counted(mirrored);
        }
        let holds = match (rule.on_store_failure(), answer) {
            (OnStoreFailure::Open, StoreAnswer::NotAsked) => OnStoreFailure::Local,
            (configured, _) => configured,
        };
        match holds {
            OnStoreFailure::Local => {
                rule.figures().add(Event::StoreFailureLocal);
                let count = |window: &mut Window, now_ms| window.count_unreported(limits, now_ms);
                Settled::Counted(self.count_key(rule, key, count))
            }
            OnStoreFailure::Open => {
                rule.figures().add(Event::StoreFailureOpen);
                Settled::Counted(Count { outcome: CountOutcome::Conform, ..rule.untouched() })
            }
            OnStoreFailure::Closed => {
                rule.figures().add(Event::StoreFailureClosed);
                Settled::Unavailable
            }
        }
    }
}

impl MemoryCounters {
    /// Takes over what the shared store says, if there is a place for it.
    fn mirror(&self, rule: &RateLimit, key: LocalKey, act: impl FnOnce(&mut Window, u64) -> Count) -> Count {
        let now_ms = self.now_ms();
        let mut shard = self.shard(key);
        if let Some(window) = shard.windows.get_mut(&key) {
            return act(window, now_ms);
        }
        let mut window = Window::new(rule.limits(), now_ms);
        let count = act(&mut window, now_ms);
        if shard.has_place(now_ms) {
            shard.windows.insert(key, window);
        }
        count
    }
}

impl fmt::Debug for MemoryCounters {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("MemoryCounters").field("shards", &self.shards.len()).finish_non_exhaustive()
    }
}
