//! JSON as a security decision has to read it: no duplicate member names, at any depth (RFC 8259, section 4, leaves
//! their meaning open, and parsers disagree), a bounded depth and a bounded number of values.
//!
//! Whatever a stranger sends as a token is read by this before its signature is looked at, and most of what is read is never asked
//! for. So no tree is built: a [`JsonDocument`] is its text, and a list of where in it each value stands.

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
        let (nodes, unescaped) = reader::read(&text, values_max, members_max)?;
        Ok(Self { text, unescaped, nodes })
    }

    /// Its members.
    pub fn object(&self) -> JsonObject<'_> {
        JsonObject::outermost(self)
    }

    /// The text of a string or number.
    fn text(&self, node: Node) -> &str {
        node.text(&self.text, &self.unescaped)
    }
}

impl Node {
    fn text<'a>(self, text: &'a str, unescaped: &'a str) -> &'a str {
        let text = if self.kind == Kind::EscapedString { unescaped } else { text };
        // It was cut there before.
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
