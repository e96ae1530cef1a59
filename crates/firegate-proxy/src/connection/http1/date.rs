//! The `Date` of answers (RFC 9110, section 6.6.1), written once a second.

use std::cell::Cell;

use firegate_core::time::{CivilTime, UnixTime};

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const SECONDS_PER_DAY: i64 = 86_400;

/// How many characters an IMF-fixdate has.
const LENGTH: usize = 29;

thread_local! {
    /// The last second whose date was asked for, and the date.
    static WRITTEN: Cell<Option<(UnixTime, [u8; LENGTH])>> = const { Cell::new(None) };
}

/// Puts a moment's date behind the bytes; nothing, where a year has other than four digits.
pub(super) fn append(moment: UnixTime, bytes: &mut Vec<u8>) {
    let written = WRITTEN.get().filter(|(second, _)| *second == moment);
    let Some((_, date)) = written.or_else(|| Some((moment, date(moment)?))) else { return };
    if written.is_none() {
        WRITTEN.set(Some((moment, date)));
    }
    bytes.extend_from_slice(b"date: ");
    bytes.extend_from_slice(&date);
    bytes.extend_from_slice(b"\r\n");
}

fn date(moment: UnixTime) -> Option<[u8; LENGTH]> {
    let seconds = moment.as_seconds();
    let CivilTime { year, month, day, hour, minute, second } = CivilTime::of(seconds);
    let weekday = usize::try_from(seconds.div_euclid(SECONDS_PER_DAY).rem_euclid(7)).ok()?;
    let weekday = DAYS.get(weekday)?;
    let month = MONTHS.get(usize::try_from(month).ok()?.checked_sub(1)?)?;
    let text = format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT");
    text.as_bytes().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_told_as_rfc_9110_has_them() {
        let check = |seconds, expected: &str| {
            for _ in 0..2 {
                let mut bytes = Vec::new();
                append(UnixTime::from_seconds(seconds), &mut bytes);
                assert_eq!(String::from_utf8_lossy(&bytes), expected);
            }
        };
        check(784_111_777, "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
        check(0, "date: Thu, 01 Jan 1970 00:00:00 GMT\r\n");
        check(951_827_696, "date: Tue, 29 Feb 2000 12:34:56 GMT\r\n");
        check(1_800_000_000, "date: Fri, 15 Jan 2027 08:00:00 GMT\r\n");
        check(300_000_000_000, "");
    }
}
