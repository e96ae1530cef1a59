//! Times and lengths of time as expressions write them, and what of a time is asked for.

use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};

use crate::calendar::CivilTime;
use crate::check::node::Calendar;
use crate::value::{Duration, Timestamp};

/// Reads a time as RFC 3339 has it, in capital letters: `2027-01-31T23:59:59.5+01:00`.
pub(crate) fn timestamp(text: &[u8]) -> Option<Timestamp> {
    let text = str::from_utf8(text).ok()?;
    let (date, rest) = text.split_once('T')?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let (clock, rest) = rest.split_at_checked(8)?;
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(after) => {
            let length = after.bytes().take_while(u8::is_ascii_digit).count();
            let (digits, zone) = after.split_at_checked(length)?;
            (nanoseconds(digits)?, zone)
        }
        None => (0, rest),
    };
    let offset = match zone {
        "Z" => 0,
        zone => offset_seconds(
            zone.strip_prefix('+')
                .map(|zone| (1, zone))
                .or_else(|| zone.strip_prefix('-').map(|zone| (-1, zone)))?,
        )?,
    };
    let civil = CivilTime { year, month, day, hour, minute, second };
    let seconds = civil.seconds().filter(|_| year > 0)? - offset;
    Timestamp::from_nanoseconds(i128::from(seconds) * 1_000_000_000 + i128::from(fraction))
}

/// Reads a length of time: `3600s`, `1h30m`, `-1.5h`.
/// <https://github.com/google/cel-spec/blob/master/doc/langdef.md#timestamps-and-durations>
pub(crate) fn duration(text: &[u8]) -> Option<Duration> {
    let text = str::from_utf8(text).ok()?;
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Duration::from_nanoseconds(0);
    }
    let mut sum: i128 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let whole_length = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (whole, after) = rest.split_at_checked(whole_length)?;
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => after.split_at_checked(after.bytes().take_while(u8::is_ascii_digit).count())?,
            None => ("", after),
        };
        if (whole.is_empty() && fraction.is_empty()) || whole.len() > 18 || fraction.len() > 18 {
            return None;
        }
        let (unit, after) = ["ms", "us", "µs", "ns", "h", "m", "s"]
            .into_iter()
            .find_map(|unit| Some((unit, after.strip_prefix(unit)?)))?;
        let scale: i128 = match unit {
            "h" => 3_600_000_000_000,
            "m" => 60_000_000_000,
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            "ns" => 1,
            _ => 1_000,
        };
        let part = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<i128>().ok() };
        let tenths = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        sum = sum.checked_add(part(whole)? * scale)?.checked_add(part(fraction)? * scale / tenths)?;
        rest = after;
    }
    Duration::from_nanoseconds(sign * sum)
}

/// Reads a time zone: a name of the IANA database, `UTC`, or a fixed offset `+01:00`.
pub(crate) fn zone(text: &str) -> Option<TimeZone> {
    if text == "UTC" {
        return Some(TimeZone::UTC);
    }
    if text.contains(':') {
        let signed = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let seconds = i32::try_from(offset_seconds(signed)?).ok()?;
        return Offset::from_seconds(seconds).ok().map(TimeZone::fixed);
    }
    TimeZoneDatabase::bundled().get(text).ok()
}

/// A field of a time, as it is in a zone. Months, days of the month and of the year count from 0, `getDate` from 1, and a
/// week begins with Sunday.
pub(crate) fn field(time: Timestamp, field: Calendar, zone: &TimeZone) -> Option<i64> {
    // The database's times end a day before ours, so that every offset fits; no zone changes its offset there.
    let seconds = time.seconds().clamp(jiff::Timestamp::MIN.as_second(), jiff::Timestamp::MAX.as_second());
    let offset = zone.to_offset(jiff::Timestamp::from_second(seconds).ok()?).seconds();
    let local = time.seconds() + i64::from(offset);
    let civil = CivilTime::of(local);
    Some(match field {
        Calendar::FullYear => civil.year,
        Calendar::Month => civil.month - 1,
        Calendar::Date => civil.day,
        Calendar::DayOfMonth => civil.day - 1,
        Calendar::DayOfWeek => civil.day_of_week(),
        Calendar::DayOfYear => civil.day_of_year(),
        Calendar::Hours => civil.hour,
        Calendar::Minutes => civil.minute,
        Calendar::Seconds => civil.second,
        Calendar::Milliseconds => {
            i64::try_from(time.nanoseconds().rem_euclid(1_000_000_000) / 1_000_000).ok()?
        }
    })
}

/// A length of time in whole units; the calendar's fields have no meaning for it.
pub(crate) fn whole_units(duration: Duration, unit: Calendar) -> Option<i64> {
    let nanoseconds = duration.nanoseconds();
    let units = match unit {
        Calendar::Hours => nanoseconds / 3_600_000_000_000,
        Calendar::Minutes => nanoseconds / 60_000_000_000,
        Calendar::Seconds => nanoseconds / 1_000_000_000,
        Calendar::Milliseconds => nanoseconds / 1_000_000 % 1_000,
        _ => return None,
    };
    i64::try_from(units).ok()
}

fn numbers(text: &str, separator: char, lengths: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(separator);
    let mut out = [0; 3];
    for (number, length) in out.iter_mut().zip(lengths) {
        let part = parts.next()?;
        let sound = part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
        *number = part.parse().ok().filter(|_| sound)?;
    }
    parts.next().is_none().then_some(out)
}

fn nanoseconds(digits: &str) -> Option<i64> {
    let sound = (1..=9).contains(&digits.len());
    let value: i64 = digits.parse().ok().filter(|_| sound)?;
    Some(value * 10_i64.pow(9 - u32::try_from(digits.len()).ok()?))
}

/// `HH:MM` with its sign.
fn offset_seconds((sign, text): (i64, &str)) -> Option<i64> {
    let [hours, minutes, _] = numbers(&format!("{text}:00"), ':', [2, 2, 2])?;
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_rfc_3339_has_them() {
        let check = |text: &str, seconds: Option<i64>| {
            assert_eq!(timestamp(text.as_bytes()).map(Timestamp::seconds), seconds, "{text}");
        };
        check("1970-01-01T00:00:00Z", Some(0));
        check("2027-01-01T00:00:00Z", Some(1_798_761_600));
        check("2027-01-01T01:00:00+01:00", Some(1_798_761_600));
        check("2026-12-31T19:00:00.000-05:00", Some(1_798_761_600));
        check("1969-12-31T23:59:59.999999999Z", Some(-1));
        check("2024-02-29T00:00:00Z", Some(1_709_164_800));
        check("0001-01-01T00:00:00Z", Some(-62_135_596_800));
        check("9999-12-31T23:59:59Z", Some(253_402_300_799));
        for bad in [
            "2023-02-29T00:00:00Z",
            "2027-13-01T00:00:00Z",
            "2027-01-01",
            "2027-01-01T00:00:00",
            "2027-01-01 00:00:00Z",
            "2027-01-01T24:00:00Z",
            "2027-1-01T00:00:00Z",
            "2027-01-01T00:00:00+0100",
            "2027-01-01T00:00:00.Z",
            "2027-01-01T00:00:00.1234567890Z",
            "0000-01-01T00:00:00Z",
            "",
            "é",
            "9999-12-31T23:59:59-01:00",
            "2027-01-01T00:00:00é",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn lengths_of_time_are_read_as_cel_has_them() {
        let check = |text: &str, nanoseconds: Option<i128>| {
            assert_eq!(duration(text.as_bytes()).map(Duration::nanoseconds), nanoseconds, "{text}");
        };
        check("3600s", Some(3_600_000_000_000));
        check("1h30m", Some(5_400_000_000_000));
        check("-1.5h", Some(-5_400_000_000_000));
        check("0", Some(0));
        check("1ms2us3ns", Some(1_002_003));
        check(".5s", Some(500_000_000));
        for bad in ["", "1", "s", "1x", "1 s", "-", "1e3s", "999999999999999999h", "."] {
            check(bad, None);
        }
    }

    #[test]
    fn the_calendar_is_that_of_the_zone() {
        let check = |time: &str, zone_name: &str, asked: Calendar, expected: i64| {
            let (time, zone) = (timestamp(time.as_bytes()).unwrap(), zone(zone_name).unwrap());
            assert_eq!(field(time, asked, &zone), Some(expected), "{asked:?} {zone_name}");
        };
        // A Sunday.
        let time = "2026-11-29T23:30:15.250Z";
        check(time, "UTC", Calendar::DayOfWeek, 0);
        check(time, "UTC", Calendar::Hours, 23);
        check(time, "Europe/Berlin", Calendar::DayOfWeek, 1);
        check(time, "Europe/Berlin", Calendar::Hours, 0);
        check("2026-07-01T00:00:00Z", "Europe/Berlin", Calendar::Hours, 2);
        check(time, "-05:30", Calendar::Hours, 18);
        check(time, "UTC", Calendar::Minutes, 30);
        check(time, "UTC", Calendar::Seconds, 15);
        check(time, "UTC", Calendar::Milliseconds, 250);
        check(time, "UTC", Calendar::Month, 10);
        check(time, "UTC", Calendar::Date, 29);
        check(time, "UTC", Calendar::DayOfMonth, 28);
        check(time, "UTC", Calendar::FullYear, 2026);
        check("2024-12-31T00:00:00Z", "UTC", Calendar::DayOfYear, 365);
        check("0001-01-01T00:00:00Z", "UTC", Calendar::FullYear, 1);
        check("9999-12-31T23:59:59Z", "UTC", Calendar::Hours, 23);
        check("9999-12-31T23:59:59Z", "+01:00", Calendar::FullYear, 10_000);
        assert!(zone("Europe/Atlantis").is_none() && zone("25:00").is_none() && zone("+1:00").is_none());
    }
}
