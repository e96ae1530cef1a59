//! The Gregorian calendar, which knows no time zones and no leap seconds.

const SECONDS_PER_DAY: i64 = 86_400;

/// A second as a calendar and a clock show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CivilTime {
    /// The year; 0 is the one before year 1.
    pub year: i64,
    /// The month, from 1.
    pub month: i64,
    /// The day of the month, from 1.
    pub day: i64,
    /// The hour, from 0.
    pub hour: i64,
    /// The minute, from 0.
    pub minute: i64,
    /// The second, from 0.
    pub second: i64,
}

impl CivilTime {
    /// The second that begins so many after 1970-01-01T00:00:00.
    pub const fn of(seconds: i64) -> Self {
        let (days, second) = (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
        let (year, month, day) = civil_from_days(days);
        Self { year, month, day, hour: second / 3600, minute: second / 60 % 60, second: second % 60 }
    }

    /// How many seconds after 1970-01-01T00:00:00 it begins; none if no calendar or no clock shows it.
    pub fn seconds(self) -> Option<i64> {
        let is_shown = (1..=12).contains(&self.month)
            && (1..=days_in(self.year, self.month)).contains(&self.day)
            && (0..24).contains(&self.hour)
            && (0..60).contains(&self.minute)
            && (0..60).contains(&self.second);
        let days = is_shown.then(|| days_from_civil(self.year, self.month, self.day))?;
        Some(days * SECONDS_PER_DAY + self.hour * 3600 + self.minute * 60 + self.second)
    }

    /// How many days of its year are over, from 0.
    pub(crate) const fn day_of_year(self) -> i64 {
        days_from_civil(self.year, self.month, self.day) - days_from_civil(self.year, 1, 1)
    }

    /// How many days after a Sunday it is, from 0.
    pub(crate) const fn day_of_week(self) -> i64 {
        (days_from_civil(self.year, self.month, self.day) + 4).rem_euclid(7)
    }
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01, by eras of 400 years that begin in March, so that a leap day is a year's last
/// (<https://howardhinnant.github.io/date_algorithms.html#days_from_civil>).
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The contrary of [`days_from_civil`].
const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_each_others_contrary() {
        for days in (-719_000..2_900_000).step_by(37) {
            let seconds = days * SECONDS_PER_DAY + days.rem_euclid(SECONDS_PER_DAY);
            let civil = CivilTime::of(seconds);
            assert_eq!(civil.seconds(), Some(seconds), "{civil:?}");
        }
        // What a stranger's token says may be anything.
        for seconds in [i64::MIN, i64::MAX] {
            assert!((1..=12).contains(&CivilTime::of(seconds).month));
        }
    }

    #[test]
    fn what_no_calendar_shows_is_no_time() {
        let leap = CivilTime { year: 2024, month: 2, day: 29, hour: 23, minute: 59, second: 59 };
        assert_eq!(leap.seconds(), Some(1_709_251_199));
        for bad in [
            CivilTime { year: 2023, ..leap },
            CivilTime { year: 1900, ..leap },
            CivilTime { month: 0, ..leap },
            CivilTime { month: 13, ..leap },
            CivilTime { day: 0, ..leap },
            CivilTime { day: 30, ..leap },
            CivilTime { hour: 24, ..leap },
            CivilTime { minute: 60, ..leap },
            CivilTime { second: 60, ..leap },
        ] {
            assert_eq!(bad.seconds(), None, "{bad:?}");
        }
        assert_eq!((leap.day_of_week(), leap.day_of_year()), (4, 59));
    }
}
