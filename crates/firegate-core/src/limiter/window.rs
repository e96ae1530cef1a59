//! The arithmetic of one key under one rule. Times are milliseconds of a steady clock.

use std::time::Duration;

use super::rule::{Algorithm, Ban, Limits, Threshold};
use super::{Count, CountOutcome};

/// What is kept of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// When the threshold's interval ends; if the key is banned, when the ban does.
    end_ms: u64,
    /// When the ban threshold's interval ends.
    total_end_ms: u64,
    /// From when on nothing of this says anything.
    over_ms: u64,
    /// How many requests conform in the interval, or [`BANNED`].
    count: u32,
    /// How many did in the interval before it, for a sliding count.
    previous: u32,
    /// How many requests came in the ban threshold's interval.
    total: u32,
    /// How many of `count` the shared store has not been told of.
    unreported: u32,
}

/// Instead of a count: the key is banned. No count comes so far, because none exceeds its threshold.
const BANNED: u32 = u32::MAX;

/// What a shared store says of a key after it has counted a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedCount {
    /// Whether the request is within the limit.
    pub outcome: CountOutcome,
    /// How long the interval lasts, or the ban if the key is banned.
    pub left_ms: u64,
    /// How many requests conform in the interval.
    pub count: u32,
    /// How many did in the interval before it.
    pub previous: u32,
    /// How long the ban threshold's interval lasts.
    pub total_left_ms: u64,
    /// How many requests came in it.
    pub total: u32,
}

impl Window {
    /// The window of a key that comes for the first time at `now_ms`.
    pub fn new(limits: &Limits, now_ms: u64) -> Self {
        let end_ms = now_ms.saturating_add(limits.threshold.interval_ms());
        Self { end_ms, total_end_ms: 0, over_ms: end_ms, count: 0, previous: 0, total: 0, unreported: 0 }
    }

    /// Whether it says nothing any more: a new one would judge alike.
    pub const fn is_over(&self, now_ms: u64) -> bool {
        now_ms >= self.over_ms
    }

    /// When it is.
    pub const fn over_ms(&self) -> u64 {
        self.over_ms
    }

    /// Whether the key is banned.
    pub const fn is_banned(&self, now_ms: u64) -> bool {
        self.count == BANNED && now_ms < self.end_ms
    }

    /// Counts a request.
    pub fn count(&mut self, limits: &Limits, now_ms: u64) -> Count {
        if self.is_banned(now_ms) {
            return self.told(CountOutcome::Banned, limits, now_ms);
        }
        if self.is_over(now_ms) || self.count == BANNED {
            *self = Self::new(limits, now_ms);
        }
        if let Some(ban) = limits.ban
            && let Some(threshold) = ban.threshold()
            && self.is_one_too_many(threshold, now_ms)
        {
            return self.ban(ban, limits, now_ms);
        }
        self.advance(limits, now_ms);
        let outcome = if self.has_room(limits, now_ms) {
            self.count += 1;
            CountOutcome::Conform
        } else if let Some(ban) = limits.ban.filter(|ban| ban.threshold().is_none()) {
            return self.ban(ban, limits, now_ms);
        } else {
            CountOutcome::Exceed
        };
        self.keep(limits);
        self.told(outcome, limits, now_ms)
    }

    /// Counts a request that the shared store could not be asked about, and remembers that it has not been told of it.
    pub(crate) fn count_unreported(&mut self, limits: &Limits, now_ms: u64) -> Count {
        let count = self.count(limits, now_ms);
        if count.conforms() {
            self.unreported = self.unreported.saturating_add(1);
        }
        count
    }

    /// What the shared store would say without being asked: that the key is banned, or that its interval is used up. It is
    /// asked all the same about a rule that bans, because then it counts what exceeds too.
    pub fn foresee(&self, limits: &Limits, now_ms: u64) -> Option<Count> {
        if self.is_banned(now_ms) {
            return Some(self.told(CountOutcome::Banned, limits, now_ms));
        }
        let is_known = limits.ban.is_none() && now_ms < self.end_ms && !self.has_room(limits, now_ms);
        is_known.then(|| self.told(CountOutcome::Exceed, limits, now_ms))
    }

    /// How many requests conformed in the present interval without the shared store's knowing of them.
    pub const fn unreported(&self, now_ms: u64) -> u32 {
        if now_ms < self.end_ms { self.unreported } else { 0 }
    }

    /// Counts a request as the shared store does: after `unreported` ones that a process has let pass without it.
    pub fn shared(&mut self, limits: &Limits, unreported: u32, now_ms: u64) -> SharedCount {
        if unreported > 0 && !self.is_banned(now_ms) {
            if self.is_over(now_ms) || self.count == BANNED {
                *self = Self::new(limits, now_ms);
            }
            self.advance(limits, now_ms);
            self.count = self.count.saturating_add(unreported).min(limits.threshold.count());
        }
        let outcome = self.count(limits, now_ms).outcome;
        SharedCount {
            outcome,
            left_ms: self.end_ms.saturating_sub(now_ms),
            count: if self.count == BANNED { 0 } else { self.count },
            previous: self.previous,
            total_left_ms: self.total_end_ms.saturating_sub(now_ms),
            total: self.total,
        }
    }

    /// Takes over what the shared store says, which has been told of `reported` requests.
    pub fn mirror(&mut self, shared: &SharedCount, reported: u32, limits: &Limits, now_ms: u64) -> Count {
        let end_ms = now_ms.saturating_add(shared.left_ms);
        let is_banned = shared.outcome == CountOutcome::Banned;
        let mut mirrored = Self {
            end_ms,
            total_end_ms: now_ms.saturating_add(shared.total_left_ms),
            over_ms: end_ms,
            count: if is_banned { BANNED } else { shared.count.min(limits.threshold.count()) },
            previous: shared.previous.min(limits.threshold.count()),
            total: shared.total,
            unreported: self.unreported(now_ms).saturating_sub(reported),
        };
        if !is_banned {
            mirrored.keep(limits);
        }
        // An answer that was on its way when the key was banned does not end the ban.
        if is_banned || !self.is_banned(now_ms) {
            *self = mirrored;
        }
        mirrored.told(shared.outcome, limits, now_ms)
    }

    /// Counts a request towards the ban, and says whether it is one too many. All that come are counted, those too that do not
    /// conform.
    fn is_one_too_many(&mut self, threshold: Threshold, now_ms: u64) -> bool {
        if now_ms >= self.total_end_ms {
            (self.total_end_ms, self.total) = (now_ms.saturating_add(threshold.interval_ms()), 0);
        }
        self.total = self.total.saturating_add(1);
        self.total > threshold.count()
    }

    /// Bans the key to the end of its intervals and for the duration after it. Of the two intervals the later end counts: after
    /// a ban all begins anew, and in what is left of an interval no more may conform than in the whole.
    fn ban(&mut self, ban: Ban, limits: &Limits, now_ms: u64) -> Count {
        let interval_end_ms = self.end_ms.max(self.total_end_ms).max(now_ms);
        let end_ms = interval_end_ms.saturating_add(ban.duration_ms());
        *self = Self { end_ms, over_ms: end_ms, count: BANNED, ..Self::new(limits, now_ms) };
        self.told(CountOutcome::Banned, limits, now_ms)
    }

    /// Goes on to the interval of this moment.
    fn advance(&mut self, limits: &Limits, now_ms: u64) {
        if now_ms < self.end_ms {
            return;
        }
        let interval_ms = limits.threshold.interval_ms();
        let next_ms = self.end_ms.saturating_add(interval_ms);
        (self.end_ms, self.previous) = match limits.algorithm {
            Algorithm::Sliding if now_ms < next_ms => (next_ms, self.count),
            Algorithm::Sliding | Algorithm::Fixed => (now_ms.saturating_add(interval_ms), 0),
        };
        (self.count, self.unreported) = (0, 0);
    }

    fn keep(&mut self, limits: &Limits) {
        let end_ms = match limits.algorithm {
            Algorithm::Fixed => self.end_ms,
            Algorithm::Sliding => self.end_ms.saturating_add(limits.threshold.interval_ms()),
        };
        self.over_ms = end_ms.max(self.total_end_ms);
    }

    fn has_room(&self, limits: &Limits, now_ms: u64) -> bool {
        self.count < self.capacity(limits, now_ms)
    }

    /// How many requests may conform in the present interval, as far as can be said now.
    fn capacity(&self, limits: &Limits, now_ms: u64) -> u32 {
        let threshold = limits.threshold;
        let (count, interval_ms) = (u64::from(threshold.count()), threshold.interval_ms());
        let weighed = u64::from(self.previous).saturating_mul(self.end_ms.saturating_sub(now_ms));
        let taken = weighed.div_ceil(interval_ms);
        u32::try_from(count.saturating_sub(taken)).unwrap_or(u32::MAX)
    }

    /// When one more request would conform, if none does now.
    fn room_ms(&self, limits: &Limits, now_ms: u64) -> u64 {
        let interval_ms = limits.threshold.interval_ms();
        // A sliding count weighs the former interval's requests by the time that is left: so much may be left for one more.
        let left_for = |room: u32, previous: u32| {
            u64::from(room).saturating_mul(interval_ms) / u64::from(previous.max(1))
        };
        let room = limits.threshold.count().saturating_sub(self.count);
        let at_ms = match limits.algorithm {
            Algorithm::Fixed => self.end_ms,
            Algorithm::Sliding if room > 0 => self.end_ms.saturating_sub(left_for(room - 1, self.previous)),
            Algorithm::Sliding => {
                let next_ms = self.end_ms.saturating_add(interval_ms);
                next_ms.saturating_sub(left_for(limits.threshold.count() - 1, self.count))
            }
        };
        at_ms.saturating_sub(now_ms)
    }

    fn told(&self, outcome: CountOutcome, limits: &Limits, now_ms: u64) -> Count {
        let threshold = limits.threshold;
        let (remaining, reset_ms) = match outcome {
            CountOutcome::Conform => {
                let remaining = self.capacity(limits, now_ms).saturating_sub(self.count);
                (remaining, self.end_ms.saturating_sub(now_ms))
            }
            CountOutcome::Exceed => (0, self.room_ms(limits, now_ms)),
            CountOutcome::Banned => (0, self.end_ms.saturating_sub(now_ms)),
        };
        Count {
            outcome,
            limit: threshold.count(),
            remaining,
            interval: Duration::from_millis(threshold.interval_ms()),
            reset_after: Duration::from_millis(reset_ms),
            is_overflow: false,
        }
    }
}
