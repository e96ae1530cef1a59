//! JSON as a security decision has to read it: no duplicate member names, at any depth (RFC 8259, section 4, leaves
//! their meaning open, and parsers disagree), a bounded depth and a bounded number of values.
//!
//! Whatever a stranger sends as a token is read by this before its signature is looked at, and most of what is read is never
//! asked for. So no tree is built: a [`JsonDocument`] is its text, and a list of where in it each value stands.

mod reader;
mod value;

use serde_json::{Map, Value};

use crate::limits::JSON_VALUES_MAX;
pub use value::{JsonArray, JsonNumber, JsonObject, JsonValue};

/// Why a text is not acceptable JSON. The message names the place but quotes nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}, at byte {at}")]
pub struct StrictJsonError {
    why: &'static str,
    at: usize,
}

/// A JSON object that was read strictly.
#[derive(Clone, Debug)]
pub struct JsonDocument {
    text: String,
    /// The strings that are written with escapes, as they are meant, one after the other.
    unescaped: String,
    /// Every value and every member's name, in the order of the text; the outermost object is the first.
    nodes: Vec<Node>,
    /// The outermost object's names.
    names: Names,
}

/// Where a value or a member's name stands.
#[derive(Clone, Copy, Debug)]
struct Node {
    kind: Kind,
    /// Where it starts in the text, behind the quotation mark of a string; of a string with escapes, where in those.
    start: u32,
    /// Where it ends there; of an array or object, how many nodes there are up to its last one.
    end: u32,
}

/// Where an object's names stand, by a number that is made of each: the first one of each number. The names that are looked for
/// in a token have numbers of their own.
#[derive(Clone, Debug)]
struct Names([u16; 64]);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Null,
    False,
    True,
    Number,
    String,
    EscapedString,
    Array,
    Object,
}

/// Parses `text` as one JSON object.
///
/// # Errors
/// If the text is not JSON, not an object, repeats a member name, or is deeper or larger than the named limits.
pub fn parse_object(text: &[u8]) -> Result<Map<String, Value>, StrictJsonError> {
    let document = JsonDocument::read(text.to_vec(), JSON_VALUES_MAX, JSON_VALUES_MAX)?;
    Ok(document.object().into())
}

impl JsonDocument {
    /// Reads one JSON object that holds no more than `values_max` values, and whose objects have no more than `members_max`
    /// members, in all. A member costs several times as much as an array's element, because its name has to be compared with
    /// the others.
    ///
    /// # Errors
    /// As [`parse_object`], with these bounds.
    pub(super) fn read(
        text: Vec<u8>,
        values_max: usize,
        members_max: usize,
    ) -> Result<Self, StrictJsonError> {
        let text = String::from_utf8(text)
            .map_err(|error| StrictJsonError { why: "not UTF-8", at: error.utf8_error().valid_up_to() })?;
        let (nodes, unescaped, names) = reader::read(&text, values_max, members_max)?;
        Ok(Self { text, unescaped, nodes, names })
    }

    /// Its members.
    pub fn object(&self) -> JsonObject<'_> {
        JsonObject::outermost(self)
    }

    /// Whether a name is this one.
    fn is(&self, node: Node, name: &str) -> bool {
        let text = if node.kind == Kind::EscapedString { &self.unescaped } else { &self.text };
        text.as_bytes().get(node.start as usize..node.end as usize) == Some(name.as_bytes())
    }

    /// The text of a string or number.
    fn text(&self, node: Node) -> &str {
        node.text(&self.text, &self.unescaped)
    }
}

impl Names {
    fn new() -> Self {
        Self([0; 64])
    }

    fn number(name: &str) -> usize {
        let (first, last) = match name.as_bytes() {
            [first, .., last] => (*first, *last),
            [only] => (*only, *only),
            [] => (0, 0),
        };
        (usize::from(first) ^ (usize::from(last) * 23) ^ name.len()) % 64
    }

    /// The node of the first name that has this name's number; without one, this name is not there.
    fn first(&self, name: &str) -> Option<usize> {
        // No name is the first node, which is the outermost object.
        Some(usize::from(self.0[Self::number(name)])).filter(|at| *at != 0)
    }

    /// Notes the node of a name, unless another one has its number.
    fn note(&mut self, name: &str, at: u16) {
        let first = &mut self.0[Self::number(name)];
        if *first == 0 {
            *first = at;
        }
    }
}

impl Node {
    /// The node behind this one, which is the one at `at`, and behind what it holds.
    fn behind(self, at: usize) -> usize {
        if matches!(self.kind, Kind::Array | Kind::Object) { self.end as usize } else { at + 1 }
    }

    fn text<'a>(self, text: &'a str, unescaped: &'a str) -> &'a str {
        let text = if self.kind == Kind::EscapedString { unescaped } else { text };
        // It was cut there before.
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

#[cfg(test)]
impl From<&Map<String, Value>> for JsonDocument {
    fn from(members: &Map<String, Value>) -> Self {
        let text = serde_json::to_vec(members).expect("a tree has a text");
        Self::read(text, JSON_VALUES_MAX, JSON_VALUES_MAX).expect("it is an object")
    }
}

#[cfg(test)]
mod tests;
