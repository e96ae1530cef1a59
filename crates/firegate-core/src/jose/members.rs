//! The members of a token's header or payload: a dozen names, each looked for once or twice, for which a hash costs more
//! than a comparison.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Map, Value};

/// Up to how many names each is compared with the others to find one that is repeated. Beyond, they are hashed.
const COMPARED_NAMES_MAX: usize = 24;

/// The members of one JSON object in their order, no name twice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Members(Vec<(Cow<'static, str>, Value)>);

impl Members {
    /// Takes members in their order; `None` if a name is repeated.
    pub(super) fn without_repetition(members: Vec<(Cow<'static, str>, Value)>) -> Option<Self> {
        let is_repeated = if members.len() <= COMPARED_NAMES_MAX {
            members
                .iter()
                .enumerate()
                .any(|(index, (name, _))| members[..index].iter().any(|(earlier, _)| earlier == name))
        } else {
            let mut names = HashSet::with_capacity(members.len());
            !members.iter().all(|(name, _)| names.insert(&**name))
        };
        (!is_repeated).then_some(Self(members))
    }

    /// The value of a member.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// Whether there is a member of this name, whatever its value.
    pub fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The names, in their order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }
}

impl IntoIterator for Members {
    type Item = (Cow<'static, str>, Value);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl From<Members> for Map<String, Value> {
    fn from(members: Members) -> Self {
        members.into_iter().map(|(name, value)| (name.into_owned(), value)).collect()
    }
}

/// A member's name. Those that nearly every token has are not copied.
pub(super) fn name(text: &str) -> Cow<'static, str> {
    Cow::Borrowed(match text {
        "alg" => "alg",
        "aud" => "aud",
        "auth_time" => "auth_time",
        "email" => "email",
        "email_verified" => "email_verified",
        "exp" => "exp",
        "firebase" => "firebase",
        "iat" => "iat",
        "iss" => "iss",
        "kid" => "kid",
        "sub" => "sub",
        "typ" => "typ",
        "user_id" => "user_id",
        _ => return Cow::Owned(text.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(names: impl Iterator<Item = String>) -> Vec<(Cow<'static, str>, Value)> {
        names.map(|text| (name(&text), Value::Null)).collect()
    }

    #[test]
    fn a_repeated_name_is_found_among_few_and_among_many() {
        for count in [1, 2, COMPARED_NAMES_MAX - 1, COMPARED_NAMES_MAX, COMPARED_NAMES_MAX + 1, 500] {
            let names = || (0..count).map(|number| number.to_string());
            let distinct = Members::without_repetition(members(names())).expect("no name is repeated");
            assert!(distinct.keys().eq(names()), "{count} names in another order");
            for number in [0, count / 2, count - 1] {
                let repeated = names().chain([number.to_string()]);
                assert_eq!(Members::without_repetition(members(repeated)), None, "{number} of {count}");
            }
        }
    }

    #[test]
    fn a_name_is_what_was_written() {
        let written = [
            "",
            "a",
            "alg",
            "aud",
            "auth_time",
            "email",
            "email_verified",
            "exp",
            "firebase",
            "iat",
            "iss",
            "kid",
            "kid ",
            "nbf",
            "sub",
            "typ",
            "user_id",
        ];
        for text in written {
            assert_eq!(name(text), text);
        }
    }
}
