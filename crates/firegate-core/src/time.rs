//! The clocks, passed in. Tokens are judged by wall-clock seconds, as RFC 7519 defines them, and requests are counted by a
//! steady clock, which nobody sets; nothing in the decision reads the time by itself, so that a test can move it and a replay
//! gives the same answer.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Seconds since 1970-01-01T00:00:00Z, ignoring leap seconds: the `NumericDate` of RFC 7519, section 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(i64);

impl UnixTime {
    /// The instant `seconds` after the epoch.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since the epoch.
    pub const fn as_seconds(self) -> i64 {
        self.0
    }

    /// This instant moved later by whole seconds of `duration`, saturating at the end of time.
    pub const fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add_unsigned(duration.as_secs()))
    }

    /// This instant moved earlier by whole seconds of `duration`, saturating at the beginning of time.
    pub const fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub_unsigned(duration.as_secs()))
    }

    /// How long it is from `earlier` until this instant; zero if `earlier` is not earlier.
    pub const fn since(self, earlier: Self) -> Duration {
        let seconds = self.0.saturating_sub(earlier.0);
        Duration::from_secs(if seconds > 0 { seconds.unsigned_abs() } else { 0 })
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Where the current time comes from.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The current wall-clock time.
    fn now(&self) -> UnixTime;

    /// How long a steady clock has run since a beginning of its own: it never goes back, and follows no step of the wall clock.
    fn steady(&self) -> Duration;

    /// The same as the time since 1970-01-01T00:00:00Z, to the microsecond or as fine as the clock is: for the lines of a
    /// log, never to judge by.
    fn since_epoch(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.now().as_seconds()).unwrap_or(0))
    }
}

/// A clock that can be shared between threads.
pub type SharedClock = Arc<dyn Clock>;

/// When this process first looked at the steady clock.
#[expect(clippy::disallowed_methods, reason = "the one place where the system's steady clock is read")]
static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The clock of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixTime {
        UnixTime(i64::try_from(self.since_epoch().as_secs()).unwrap_or(i64::MAX))
    }

    #[expect(clippy::disallowed_methods, reason = "the one place where the system's clock is read")]
    fn since_epoch(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    fn steady(&self) -> Duration {
        BEGINNING.elapsed()
    }
}

/// A clock that runs with another one, shifted by an amount that can be changed: for tests that let an hour pass,
/// and for replays. Clones share the shift.
#[derive(Clone, Debug)]
pub struct ShiftedClock {
    base: SharedClock,
    shift_seconds: Arc<AtomicI64>,
    /// How far it was moved forwards in all: no step back takes anything away.
    steady_shift_seconds: Arc<AtomicU64>,
}

impl ShiftedClock {
    /// A clock that starts equal to `base`.
    pub fn new(base: SharedClock) -> Self {
        Self { base, shift_seconds: Arc::default(), steady_shift_seconds: Arc::default() }
    }

    /// Moves this clock and all its clones by `seconds`, backwards if negative: then the steady clock does not follow.
    pub fn advance(&self, seconds: i64) {
        self.steady_shift_seconds.fetch_add(u64::try_from(seconds).unwrap_or_default(), Ordering::SeqCst);
        self.shift_seconds.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> UnixTime {
        UnixTime(self.base.now().0.saturating_add(self.shift_seconds.load(Ordering::SeqCst)))
    }

    fn steady(&self) -> Duration {
        self.base.steady() + Duration::from_secs(self.steady_shift_seconds.load(Ordering::SeqCst))
    }

    fn since_epoch(&self) -> Duration {
        let shift = self.shift_seconds.load(Ordering::SeqCst);
        let (base, by) = (self.base.since_epoch(), Duration::from_secs(shift.unsigned_abs()));
        if shift < 0 { base.saturating_sub(by) } else { base.saturating_add(by) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steady_clock_follows_no_step_back() {
        let clock = ShiftedClock::new(Arc::new(SystemClock));
        let (wall, steady) = (clock.now(), clock.steady());
        clock.advance(60);
        clock.advance(-3600);
        assert!(clock.now() < wall);
        assert!((60..=61).contains(&(clock.steady() - steady).as_secs()));
    }
}
