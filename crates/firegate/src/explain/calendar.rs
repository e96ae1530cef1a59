//! Unix times as people read them.

use std::time::Duration;

use firegate_core::time::{CivilTime, UnixTime, span};
use serde::Serialize;

/// An instant of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Instant {
    /// Seconds since 1970-01-01T00:00:00Z, as the token has it.
    pub seconds: i64,
    /// The same as a date in UTC; none if it is beyond the calendar.
    pub utc: Option<String>,
    /// How far that is from the time of judgement.
    pub relative: String,
}

impl Instant {
    pub(super) fn new(seconds: i64, now: UnixTime) -> Self {
        Self { seconds, utc: utc(seconds), relative: relative(UnixTime::from_seconds(seconds), now) }
    }
}

fn utc(seconds: i64) -> Option<String> {
    let CivilTime { year, month, day, hour, minute, second } = CivilTime::of(seconds);
    let date = || format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC");
    (1..=9999).contains(&year).then(date)
}

fn relative(at: UnixTime, now: UnixTime) -> String {
    match (at.since(now), now.since(at)) {
        (Duration::ZERO, Duration::ZERO) => "now".to_owned(),
        (Duration::ZERO, past) => format!("{} ago", span(past)),
        (future, _) => format!("in {}", span(future)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(seconds: i64, utc: Option<&str>, relative: &str) {
        let instant = Instant::new(seconds, UnixTime::from_seconds(1_800_000_000));
        assert_eq!((instant.utc.as_deref(), instant.relative.as_str()), (utc, relative));
    }

    #[test]
    fn times_are_dates_and_distances() {
        check(1_800_000_000, Some("2027-01-15 08:00:00 UTC"), "now");
        check(1_800_003_540, Some("2027-01-15 08:59:00 UTC"), "in 59 min");
        check(1_799_999_935, Some("2027-01-15 07:58:55 UTC"), "1 min 5 s ago");
        check(1_800_003_601, Some("2027-01-15 09:00:01 UTC"), "in 1 h");
        check(1_800_000_000 + 14 * 86_400 + 3600, Some("2027-01-29 09:00:00 UTC"), "in 14 d 1 h");
        check(0, Some("1970-01-01 00:00:00 UTC"), "20833 d 8 h ago");
        check(-1, Some("1969-12-31 23:59:59 UTC"), "20833 d 8 h ago");
        check(i64::MAX, None, "in 106751991146467 d 7 h");
    }
}
