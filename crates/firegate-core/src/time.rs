//! The clocks, passed in. Tokens are judged by wall-clock seconds, as RFC 7519 defines them, and requests are counted by a
//! steady clock, which nobody sets; nothing in the decision reads the time by itself, so that a test can move it and a replay
//! gives the same answer.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use firegate_expr::Timestamp;

pub use firegate_expr::calendar::CivilTime;

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

    /// Reads an instant as RFC 3339 has it: `2027-01-31T23:59:59Z`. A part of a second is dropped.
    pub fn parse(text: &str) -> Option<Self> {
        Timestamp::parse(text).map(|time| Self(time.seconds()))
    }

    /// This instant as RFC 3339 has it, in UTC; what lies outside its four digits of years, or before 1970, in seconds.
    pub const fn date(self) -> Date {
        Date(self)
    }

    /// This instant moved later by whole seconds of `duration`, saturating at the end of time.
    pub const fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add_unsigned(duration.as_secs()))
    }

    /// This instant moved earlier by whole seconds of `duration`, saturating at the beginning of time.
    pub const fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub_unsigned(duration.as_secs()))
    }

    /// The same as a duration; zero for what lies before the epoch.
    pub const fn since_epoch(self) -> Duration {
        self.since(Self(0))
    }

    /// How long it is from `earlier` until this instant; zero if `earlier` is not earlier.
    pub const fn since(self, earlier: Self) -> Duration {
        let seconds = self.0.saturating_sub(earlier.0);
        Duration::from_secs(if seconds > 0 { seconds.unsigned_abs() } else { 0 })
    }
}

/// In seconds, as programs have it.
impl fmt::Display for UnixTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A time as people read it. See [`UnixTime::date`].
#[derive(Clone, Copy, Debug)]
pub struct Date(UnixTime);

impl fmt::Display for Date {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !(0..YEAR_10000).contains(&self.0.0) {
            return self.0.fmt(formatter);
        }
        let CivilTime { year, month, day, hour, minute, second } = CivilTime::of(self.0.0);
        write!(formatter, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// 10000-01-01T00:00:00Z.
const YEAR_10000: i64 = 253_402_300_800;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A duration as a person says it: the largest unit and the one below it.
pub fn span(duration: Duration) -> String {
    let units = [("d", DAY), ("h", HOUR), ("min", MINUTE), ("s", 1)];
    let mut rest = duration.as_secs();
    let mut parts = Vec::new();
    for (name, length) in units {
        let count = rest / length;
        rest %= length;
        if count > 0 {
            parts.push(format!("{count} {name}"));
        } else if !parts.is_empty() {
            break;
        }
        if parts.len() == 2 {
            break;
        }
    }
    if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") }
}

/// Where the current time comes from.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The current wall-clock time.
    fn now(&self) -> UnixTime;

    /// How long a steady clock has run since a beginning of its own: it never goes back, and follows no step of the wall clock.
    fn steady(&self) -> Duration;

    /// The same as the time since 1970-01-01T00:00:00Z, to the microsecond or as fine as the clock is: for the lines of a
    /// log, and for how long it is until a second begins. Never to judge by.
    fn since_epoch(&self) -> Duration {
        self.now().since_epoch()
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
    fn times_are_told_as_rfc_3339_has_them() {
        let check = |seconds, expected: &str| {
            assert_eq!(UnixTime::from_seconds(seconds).date().to_string(), expected);
        };
        check(0, "1970-01-01T00:00:00Z");
        check(951_827_696, "2000-02-29T12:34:56Z");
        check(1_800_000_000, "2027-01-15T08:00:00Z");
        check(253_402_300_799, "9999-12-31T23:59:59Z");
        // What a stranger's token says may be anything.
        check(253_402_300_800, "253402300800");
        check(-1, "-1");
        check(i64::MAX, "9223372036854775807");
        check(i64::MIN, "-9223372036854775808");
    }

    #[test]
    fn times_are_read_as_they_are_told() {
        for told in ["1970-01-01T00:00:00Z", "2000-02-29T12:34:56Z", "9999-12-31T23:59:59Z"] {
            assert_eq!(UnixTime::parse(told).map(|time| time.date().to_string()).as_deref(), Some(told));
        }
        let parts = UnixTime::parse("2027-01-15T09:00:00.999+01:00");
        assert_eq!(parts, Some(UnixTime::from_seconds(1_800_000_000)));
        assert_eq!(UnixTime::parse("1800000000"), None);
    }

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
