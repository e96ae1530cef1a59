//! Durations, sizes and shares with their units.

use std::time::Duration;

use super::model::Share;

/// Why a text is no duration, size or share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum QuantityError {
    /// It has no unit.
    #[error("it has no unit")]
    NoUnit,
    /// The unit is none of ours.
    #[error("the unit `{0}` is not known")]
    UnknownUnit(String),
    /// It has no whole number before the unit.
    #[error("it is not a whole number and a unit")]
    NotANumber,
    /// It is larger than can be counted.
    #[error("it is too large")]
    TooLarge,
}

/// A duration: a whole number and `ms`, `s`, `m` or `h`.
pub(super) fn duration(text: &str) -> Result<Duration, QuantityError> {
    let (number, unit) = split(text)?;
    let milliseconds: u64 = match unit {
        "" if number == 0 => 0,
        "" => return Err(QuantityError::NoUnit),
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        other => return Err(QuantityError::UnknownUnit(other.to_owned())),
    };
    number.checked_mul(milliseconds).map(Duration::from_millis).ok_or(QuantityError::TooLarge)
}

/// A duration as it is written in a configuration.
pub(super) fn written(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let units = [(3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let unit = units.into_iter().find(|(length, _)| milliseconds > 0 && milliseconds.is_multiple_of(*length));
    match unit {
        Some((length, unit)) => format!("{}{unit}", milliseconds / length),
        None if milliseconds == 0 => "0s".to_owned(),
        None => format!("{milliseconds}ms"),
    }
}

/// A size in bytes: a whole number and a binary (`KiB`, `MiB`, `GiB`) or decimal (`KB`, `MB`, `GB`) unit, or `B`.
pub(super) fn size(text: &str) -> Result<u64, QuantityError> {
    let (number, unit) = split(text)?;
    let bytes: u64 = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "KB" | "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        other => return Err(QuantityError::UnknownUnit(other.to_owned())),
    };
    number.checked_mul(bytes).ok_or(QuantityError::TooLarge)
}

/// A share: a number from 0 to 100 with at most four decimal places, and `%`.
pub(super) fn share(text: &str) -> Result<Share, QuantityError> {
    let number = text.strip_suffix('%').ok_or(QuantityError::NoUnit)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || fraction.len() > 4 {
        return Err(QuantityError::NotANumber);
    }
    let per_million = format!("{whole}{fraction:0<4}").parse().map_err(|_| QuantityError::TooLarge)?;
    Share::of_million(per_million).ok_or(QuantityError::TooLarge)
}

fn split(text: &str) -> Result<(u64, &str), QuantityError> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    if digits.is_empty() {
        return Err(QuantityError::NotANumber);
    }
    let number = digits.parse().map_err(|_| QuantityError::TooLarge)?;
    let unit = unit.trim_start_matches(' ');
    if unit.starts_with('.') {
        return Err(QuantityError::NotANumber);
    }
    Ok((number, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check = |text: &str, expected: Result<u64, QuantityError>| {
            assert_eq!(duration(text), expected.map(Duration::from_millis), "{text}");
        };
        check("5s", Ok(5_000));
        check("300ms", Ok(300));
        check("1m", Ok(60_000));
        check("2h", Ok(7_200_000));
        check("0", Ok(0));
        check("5", Err(QuantityError::NoUnit));
        check("5sec", Err(QuantityError::UnknownUnit("sec".into())));
        check("1.5s", Err(QuantityError::NotANumber));
        check("-5s", Err(QuantityError::NotANumber));
        check("", Err(QuantityError::NotANumber));
        check("99999999999999999999s", Err(QuantityError::TooLarge));
        check("18446744073709551615h", Err(QuantityError::TooLarge));
    }

    #[test]
    fn what_is_written_is_read() {
        let check = |milliseconds, expected: &str| {
            assert_eq!(written(Duration::from_millis(milliseconds)), expected);
            assert_eq!(duration(expected), Ok(Duration::from_millis(milliseconds)));
        };
        check(0, "0s");
        check(1, "1ms");
        check(1_500, "1500ms");
        check(90_000, "90s");
        check(300_000, "5m");
        check(7_200_000, "2h");
    }

    #[test]
    fn shares() {
        let check = |text: &str, expected: Result<u32, QuantityError>| {
            assert_eq!(share(text).map(Share::per_million), expected, "{text}");
        };
        check("100%", Ok(1_000_000));
        check("10%", Ok(100_000));
        check("0.5%", Ok(5_000));
        check("0.0001%", Ok(1));
        check("0%", Ok(0));
        check("10", Err(QuantityError::NoUnit));
        check("%", Err(QuantityError::NotANumber));
        check("-1%", Err(QuantityError::NotANumber));
        check("1.%", Err(QuantityError::NotANumber));
        check("0.00001%", Err(QuantityError::NotANumber));
        check("100.0001%", Err(QuantityError::TooLarge));
        check("99999999999%", Err(QuantityError::TooLarge));
    }

    #[test]
    fn sizes() {
        let check =
            |text: &str, expected: Result<u64, QuantityError>| assert_eq!(size(text), expected, "{text}");
        check("32MiB", Ok(33_554_432));
        check("32 MiB", Ok(33_554_432));
        check("1MB", Ok(1_000_000));
        check("17", Ok(17));
        check("17B", Ok(17));
        check("1G", Err(QuantityError::UnknownUnit("G".into())));
        check("MiB", Err(QuantityError::NotANumber));
        check("18446744073709551615GiB", Err(QuantityError::TooLarge));
    }
}
