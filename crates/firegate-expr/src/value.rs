//! What an expression computes with. Texts are bytes, as Cloud Armor takes them: a header need not be UTF-8.

use std::borrow::Cow;
use std::net::IpAddr;

use serde_json::{Map, Value as Json};

/// A value while an expression is evaluated; borrowed from the request wherever it can be.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// JSON's null, as a claim may be.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Double(f64),
    /// A text: bytes, UTF-8 or not.
    Text(Cow<'a, [u8]>),
    /// An IP address; wherever a text is asked for, it is the address as it is usually written.
    Address(IpAddr),
    /// A point in time.
    Timestamp(Timestamp),
    /// A length of time.
    Duration(Duration),
    /// A list out of a claim.
    List(&'a [Json]),
    /// A list of texts.
    Texts(&'a [String]),
    /// An object out of a claim.
    Object(&'a Map<String, Json>),
}

impl<'a> Value<'a> {
    /// A text that is borrowed.
    pub fn text(text: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self::Text(Cow::Borrowed(text.as_ref()))
    }

    /// A time, in seconds since 1970-01-01T00:00:00Z.
    pub const fn time(unix_seconds: i64) -> Self {
        Self::Timestamp(Timestamp::from_seconds(unix_seconds))
    }

    /// What its name in a message is.
    pub(crate) const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Double(_) => "double",
            Self::Text(_) | Self::Address(_) => "string",
            Self::Timestamp(_) => "timestamp",
            Self::Duration(_) => "duration",
            Self::List(_) | Self::Texts(_) => "list",
            Self::Object(_) => "map",
        }
    }

    /// The text, if it is one.
    pub(crate) fn into_text(self) -> Option<Cow<'a, [u8]>> {
        match self {
            Self::Text(text) => Some(text),
            Self::Address(address) => Some(Cow::Owned(address.to_string().into_bytes())),
            _ => None,
        }
    }

    /// Equality as CEL has it: numbers are compared by what they are worth, and values of different types are not equal.
    /// <https://github.com/google/cel-spec/blob/master/doc/langdef.md#equality>
    pub(crate) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Address(address), Self::Text(text)) | (Self::Text(text), Self::Address(address)) => {
                is_written_so(*address, text)
            }
            (Self::Int(int), Self::Double(double)) | (Self::Double(double), Self::Int(int)) => {
                int_and_double_are_equal(*int, *double)
            }
            (Self::List(left), Self::List(right)) => {
                left.len() == right.len()
                    && left.iter().zip(*right).all(|(l, r)| Self::from(l).equals(&Self::from(r)))
            }
            (Self::Object(left), Self::Object(right)) => {
                left.len() == right.len()
                    && left.iter().all(|(key, value)| {
                        right.get(key).is_some_and(|other| Self::from(value).equals(&Self::from(other)))
                    })
            }
            (left, right) => left == right,
        }
    }
}

/// A double above 2^53 cannot be told from its neighbours, and is equal to no whole number that it was not written as.
fn int_and_double_are_equal(int: i64, double: f64) -> bool {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "compared both ways")]
    let same = int as f64 == double && double as i64 == int;
    same
}

/// Whether `text` is how the address is written, without making a new text of it.
fn is_written_so(address: IpAddr, text: &[u8]) -> bool {
    struct Rest<'a>(&'a [u8]);
    impl std::fmt::Write for Rest<'_> {
        fn write_str(&mut self, part: &str) -> std::fmt::Result {
            self.0 = self.0.strip_prefix(part.as_bytes()).ok_or(std::fmt::Error)?;
            Ok(())
        }
    }
    let mut rest = Rest(text);
    std::fmt::Write::write_fmt(&mut rest, format_args!("{address}")).is_ok() && rest.0.is_empty()
}

impl<'a> From<&'a Json> for Value<'a> {
    fn from(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(int) => Self::Int(int),
                None => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::text(text),
            Json::Array(elements) => Self::List(elements),
            Json::Object(members) => Self::Object(members),
        }
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

const NANOSECONDS_PER_SECOND: i128 = 1_000_000_000;

/// A point in time, from year 1 to year 9999, to the nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(i128);

/// A length of time, at most 10,000 years in either direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(i128);

/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999999Z: what CEL's timestamps reach.
const TIMESTAMP_MIN: i128 = -62_135_596_800 * NANOSECONDS_PER_SECOND;
const TIMESTAMP_MAX: i128 = 253_402_300_800 * NANOSECONDS_PER_SECOND - 1;
/// The seconds of `google.protobuf.Duration`.
const DURATION_MAX: i128 = 315_576_000_000 * NANOSECONDS_PER_SECOND;

impl Timestamp {
    /// The instant `seconds` after 1970-01-01T00:00:00Z.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds as i128 * NANOSECONDS_PER_SECOND)
    }

    /// Reads a time as RFC 3339 has it: `2027-01-31T23:59:59Z`.
    pub fn parse(text: &str) -> Option<Self> {
        crate::functions::time::timestamp(text.as_bytes())
    }

    pub(crate) fn from_nanoseconds(nanoseconds: i128) -> Option<Self> {
        (TIMESTAMP_MIN..=TIMESTAMP_MAX).contains(&nanoseconds).then_some(Self(nanoseconds))
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub const fn nanoseconds(self) -> i128 {
        self.0
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    pub fn seconds(self) -> i64 {
        i64::try_from(self.0.div_euclid(NANOSECONDS_PER_SECOND)).unwrap_or(i64::MAX)
    }

    pub(crate) fn plus(self, duration: Duration) -> Option<Self> {
        Self::from_nanoseconds(self.0.checked_add(duration.0)?)
    }

    pub(crate) fn minus(self, duration: Duration) -> Option<Self> {
        Self::from_nanoseconds(self.0.checked_sub(duration.0)?)
    }

    pub(crate) fn since(self, earlier: Self) -> Option<Duration> {
        Duration::from_nanoseconds(self.0.checked_sub(earlier.0)?)
    }
}

impl Duration {
    pub(crate) fn from_nanoseconds(nanoseconds: i128) -> Option<Self> {
        (-DURATION_MAX..=DURATION_MAX).contains(&nanoseconds).then_some(Self(nanoseconds))
    }

    /// The length in nanoseconds.
    pub(crate) const fn nanoseconds(self) -> i128 {
        self.0
    }

    pub(crate) fn plus(self, other: Self) -> Option<Self> {
        Self::from_nanoseconds(self.0.checked_add(other.0)?)
    }

    pub(crate) fn minus(self, other: Self) -> Option<Self> {
        Self::from_nanoseconds(self.0.checked_sub(other.0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_is_cels() {
        let json =
            serde_json::json!([1, 1.0, 1.5, "a", null, true, [1], {"a": [1]}, 9_007_199_254_740_993_i64]);
        let values: Vec<Value<'_>> = json.as_array().unwrap().iter().map(Value::from).collect();
        let check = |left: usize, right: usize, expected: bool| {
            assert_eq!(values[left].equals(&values[right]), expected, "{left} {right}");
            assert_eq!(values[right].equals(&values[left]), expected, "{right} {left}");
        };
        check(0, 1, true);
        check(0, 2, false);
        check(3, 3, true);
        check(0, 3, false);
        check(4, 4, true);
        check(4, 5, false);
        check(6, 6, true);
        check(7, 7, true);
        assert!(!Value::Int(9_007_199_254_740_993).equals(&Value::Double(9_007_199_254_740_992.0)));
        assert!(!Value::Double(f64::NAN).equals(&Value::Double(f64::NAN)));
        let address = Value::Address("2001:db8::1".parse().unwrap());
        assert!(address.equals(&Value::text("2001:db8::1")));
        assert!(!address.equals(&Value::text("2001:db8::11")));
        assert!(!address.equals(&Value::text("2001:DB8::1")));
        assert!(!address.equals(&Value::text("2001:db8::")));
    }
}
