use firegate_core::time::UnixTime;

/// Reads the timestamps of Google's JSON (RFC 3339 in UTC, `2026-11-23T21:00:00Z`, with or without a fraction, which is cut
/// off).
pub(super) fn parse_utc(text: &str) -> Option<UnixTime> {
    let text = text.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (date, time) = whole.split_once('T')?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days from the civil date: years begin in March, so that the leap day is the last of a year.
    let year_of_march = if month > 2 { year } else { year - 1 };
    let (century_cycle, year_of_cycle) = (year_of_march.div_euclid(400), year_of_march.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = century_cycle * 146_097 + year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100
        + day_of_year
        - 719_468;
    Some(UnixTime::from_seconds(days * 86_400 + hour * 3600 + minute * 60 + second))
}

fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(separator);
    let mut read = [0; 3];
    for (number, digits) in read.iter_mut().zip(digits) {
        let part = parts
            .next()
            .filter(|part| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(parse_utc(text), expected.map(UnixTime::from_seconds), "{text}");
    }

    #[test]
    fn google_timestamps_are_read_to_the_second() {
        check("1970-01-01T00:00:00Z", Some(0));
        check("2001-09-09T01:46:40Z", Some(1_000_000_000));
        check("2024-02-29T12:00:00.999999999Z", Some(1_709_208_000));
        check("2026-11-23T21:00:00Z", Some(1_795_467_600));
        check("2026-11-23T21:00:00+00:00", None);
        check("2026-11-23T21:00:00", None);
        check("2026-11-23 21:00:00Z", None);
        check("2026-13-23T21:00:00Z", None);
        check("2026-11-23T21:00:00.Z", None);
        check("26-11-23T21:00:00Z", None);
        check("2026-11-23T+1:00:00Z", None);
        check("", None);
    }
}
