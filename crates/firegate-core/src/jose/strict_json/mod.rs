//! JSON as a security decision has to read it: no duplicate member names, at any depth (RFC 8259, section 4, leaves
//! their meaning open, and parsers disagree), a bounded depth and a bounded number of values.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::members::{self, Members};
use crate::limits::{JSON_DEPTH_MAX, JSON_VALUES_MAX};

/// Why a text is not acceptable JSON. The message names the place but quotes nothing of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StrictJsonError(String);

/// Parses `text` as one JSON object.
///
/// # Errors
/// If the text is not JSON, not an object, repeats a member name, or is deeper or larger than the named limits.
pub fn parse_object(text: &[u8]) -> Result<Map<String, Value>, StrictJsonError> {
    let text = str::from_utf8(text).map_err(|error| StrictJsonError(error.to_string()))?;
    parse_members(text, JSON_VALUES_MAX, JSON_VALUES_MAX).map(Map::from)
}

/// Parses `text` as one JSON object that holds no more than `values_max` values, and whose objects have no more than
/// `members_max` members, in all. A member costs several times as much as an array's element, because its name has to be
/// compared with the others.
///
/// # Errors
/// As [`parse_object`], with these bounds.
pub(super) fn parse_members(
    text: &str,
    values_max: usize,
    members_max: usize,
) -> Result<Members, StrictJsonError> {
    let budget = Budget { values: Cell::new(values_max), members: Cell::new(members_max) };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let room = USUAL_MEMBERS.min(text.len() / USUAL_MEMBER_BYTES);
    let members = deserializer
        .deserialize_any(StrictObject { value: StrictValue { depth: 0, budget: &budget }, room })
        .and_then(|members| deserializer.end().map(|()| members));
    members.map_err(|error| StrictJsonError(error.to_string()))
}

/// Up to how many members the outermost object has room for from the start: a token's claims and a header fit, and nothing
/// is moved while they come.
const USUAL_MEMBERS: usize = 16;

/// How many bytes of text a member of a token usually has.
const USUAL_MEMBER_BYTES: usize = 24;

/// How much more may come.
struct Budget {
    values: Cell<usize>,
    members: Cell<usize>,
}

impl Budget {
    fn spend<E: Error>(of: &Cell<usize>, too_many: &'static str) -> Result<(), E> {
        of.set(of.get().checked_sub(1).ok_or_else(|| E::custom(too_many))?);
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct StrictValue<'a> {
    depth: usize,
    budget: &'a Budget,
}

impl StrictValue<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        let depth = self.depth + 1;
        if depth > JSON_DEPTH_MAX {
            return Err(E::custom("nested too deeply"));
        }
        Ok(Self { depth, ..self })
    }

    fn count<E: Error>(self) -> Result<(), E> {
        Budget::spend(&self.budget.values, "too many values")
    }
}

impl<'de> DeserializeSeed<'de> for StrictValue<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StrictValue<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.count()?;
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.count()?;
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.count()?;
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.count()?;
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.count()?;
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.count()?;
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        self.count()?;
        let deeper = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element_seed(deeper)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        self.count()?;
        let deeper = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            Budget::spend(&self.budget.members, "too many members")?;
            let value = members.next_value_seed(deeper)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a member name is repeated"));
            }
        }
        Ok(Value::Object(object))
    }
}

/// The outermost value, which has to be an object.
struct StrictObject<'a> {
    value: StrictValue<'a>,
    room: usize,
}

impl<'de> Visitor<'de> for StrictObject<'_> {
    type Value = Members;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Members, A::Error> {
        self.value.count()?;
        let deeper = self.value.deeper()?;
        let mut object = Vec::with_capacity(self.room);
        while let Some(name) = members.next_key_seed(MemberName)? {
            Budget::spend(&deeper.budget.members, "too many members")?;
            object.push((name, members.next_value_seed(deeper)?));
        }
        Members::without_repetition(object).ok_or_else(|| A::Error::custom("a member name is repeated"))
    }
}

/// A member's name, with its escapes resolved.
struct MemberName;

impl<'de> DeserializeSeed<'de> for MemberName {
    type Value = Cow<'static, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for MemberName {
    type Value = Cow<'static, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a member's name")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(members::name(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, accepted: bool) {
        assert_eq!(parse_object(text.as_bytes()).is_ok(), accepted, "{text}");
    }

    #[test]
    fn only_unambiguous_objects_are_accepted() {
        check(r#"{"a":1,"b":[true,null,"x",1.5,{"c":-2}]}"#, true);
        check(r#"{"a":1,"a":1}"#, false);
        check(r#"{"a":1,"\u0061":2}"#, false);
        check(r#"{"aud":1,"\u0061ud":2}"#, false);
        check(r#"{"a":{"b":1,"b":2}}"#, false);
        check(r#"{"a":1} "#, true);
        check(r#"{"a":1}x"#, false);
        check(r#"[]"#, false);
        check(r#"{"a":1e999}"#, false);
        check("", false);
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let nested = |depth: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        check(&nested(JSON_DEPTH_MAX - 1), true);
        check(&nested(JSON_DEPTH_MAX), false);
        let wide = |count: usize| format!(r#"{{"a":[{}0]}}"#, "0,".repeat(count - 1));
        check(&wide(JSON_VALUES_MAX - 2), true);
        check(&wide(JSON_VALUES_MAX), false);
    }
}
