//! What stands in a document.

use serde_json::{Map, Number, Value};

use super::{JsonDocument, Kind, Node};

/// A value in a [`JsonDocument`].
#[derive(Clone, Copy, Debug)]
pub enum JsonValue<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(JsonNumber<'a>),
    /// A string, with its escapes resolved.
    String(&'a str),
    /// An array.
    Array(JsonArray<'a>),
    /// An object.
    Object(JsonObject<'a>),
}

/// A number, as it is written.
#[derive(Clone, Copy, Debug)]
pub struct JsonNumber<'a>(&'a str);

/// An array's elements.
#[derive(Clone, Copy, Debug)]
pub struct JsonArray<'a>(Nodes<'a>);

/// An object's members in their order, no name twice.
#[derive(Clone, Copy, Debug)]
pub struct JsonObject<'a>(Nodes<'a>);

/// The nodes that are left of an array or object.
#[derive(Clone, Copy, Debug)]
struct Nodes<'a> {
    document: &'a JsonDocument,
    next: usize,
    end: usize,
}

impl<'a> Nodes<'a> {
    fn of(document: &'a JsonDocument, container: usize) -> Self {
        let end = document.nodes.get(container).map_or(0, |node| node.end as usize);
        Self { document, next: container + 1, end }
    }

    /// The next node, whatever it is, and those behind what it holds.
    fn split(self) -> Option<(usize, Node, Self)> {
        let Self { document, next: at, end } = self;
        let node = *document.nodes.get(at).filter(|_| at < end)?;
        Some((at, node, Self { document, next: node.behind(at), end }))
    }

    /// The nodes behind the name of this member. Only names are looked at on the way there.
    fn find(self, name: &str) -> Option<Self> {
        let mut left = self;
        loop {
            let (_, own, rest) = left.split()?;
            if self.document.is(own, name) {
                return Some(rest);
            }
            (_, _, left) = rest.split()?;
        }
    }

    fn value(self) -> Option<(JsonValue<'a>, Self)> {
        let (at, node, rest) = self.split()?;
        let document = self.document;
        let value = match node.kind {
            Kind::Null => JsonValue::Null,
            Kind::False => JsonValue::Bool(false),
            Kind::True => JsonValue::Bool(true),
            Kind::Number => JsonValue::Number(JsonNumber(document.text(node))),
            Kind::String | Kind::EscapedString => JsonValue::String(document.text(node)),
            Kind::Array => JsonValue::Array(JsonArray(Self::of(document, at))),
            Kind::Object => JsonValue::Object(JsonObject(Self::of(document, at))),
        };
        Some((value, rest))
    }
}

impl<'a> JsonObject<'a> {
    pub(super) fn outermost(document: &'a JsonDocument) -> Self {
        Self(Nodes::of(document, 0))
    }

    /// The members.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, JsonValue<'a>)> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let (_, name, rest) = left.split()?;
            let (value, rest) = rest.value()?;
            left = rest;
            Some((left.document.text(name), value))
        })
    }

    /// The names.
    pub fn keys(self) -> impl Iterator<Item = &'a str> {
        self.iter().map(|(name, _)| name)
    }

    /// The value of a member.
    pub fn get(self, name: &str) -> Option<JsonValue<'a>> {
        let Nodes { document, next, end } = self.0;
        // The members of the outermost object are looked for again and again.
        if next == 1 {
            let at = document.names.first(name)?;
            if document.nodes.get(at).is_some_and(|own| document.is(*own, name)) {
                return Nodes { document, next: at + 1, end }.value().map(|(value, _)| value);
            }
        }
        self.0.find(name)?.value().map(|(value, _)| value)
    }

    /// The value of a member that is a string.
    pub fn text(self, name: &str) -> Option<&'a str> {
        self.get(name)?.as_str()
    }

    /// The value of a member that is a whole number.
    pub fn integer(self, name: &str) -> Option<i64> {
        self.get(name)?.as_i64()
    }

    /// Whether there is a member of this name, whatever its value.
    pub fn contains_key(self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

impl<'a> JsonArray<'a> {
    /// The elements.
    pub fn iter(self) -> impl Iterator<Item = JsonValue<'a>> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let (value, rest) = left.value()?;
            left = rest;
            Some(value)
        })
    }
}

impl JsonNumber<'_> {
    /// The number, if it is a whole one that fits and is written as one.
    pub fn as_i64(self) -> Option<i64> {
        // As for every other reader of JSON, the sign makes it no integer.
        self.0.parse().ok().filter(|_| self.0 != "-0")
    }

    fn to_number(self) -> Option<Number> {
        serde_json::from_str(self.0).ok()
    }
}

impl<'a> JsonValue<'a> {
    /// The string, if it is one.
    pub fn as_str(self) -> Option<&'a str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The truth value, if it is one.
    pub fn as_bool(self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(value) } else { None }
    }

    /// The whole number, if it is one that fits.
    pub fn as_i64(self) -> Option<i64> {
        if let Self::Number(number) = self { number.as_i64() } else { None }
    }

    /// The object, if it is one.
    pub fn as_object(self) -> Option<JsonObject<'a>> {
        if let Self::Object(members) = self { Some(members) } else { None }
    }
}

impl From<JsonValue<'_>> for Value {
    fn from(value: JsonValue<'_>) -> Self {
        match value {
            JsonValue::Null => Self::Null,
            JsonValue::Bool(value) => Self::Bool(value),
            // It was a number when it was read.
            JsonValue::Number(number) => number.to_number().map_or(Self::Null, Self::Number),
            JsonValue::String(text) => Self::String(text.to_owned()),
            JsonValue::Array(elements) => Self::Array(elements.iter().map(Self::from).collect()),
            JsonValue::Object(members) => Self::Object(members.into()),
        }
    }
}

impl From<JsonObject<'_>> for Map<String, Value> {
    fn from(members: JsonObject<'_>) -> Self {
        members.iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
    }
}
