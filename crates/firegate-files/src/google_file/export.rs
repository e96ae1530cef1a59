//! Writing a file back, as Google's import takes it: unknown fields and the fingerprint are kept, what Google sets is left
//! out, and every scalar stays what it was.

use super::GoogleFile;
use super::message_type::{MessageType, Shape, Treatment};
use crate::yaml::{Entry, Node, Value, write_json, write_yaml};

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// YAML, in block style.
    Yaml,
    /// JSON, indented.
    Json,
}

impl GoogleFile {
    /// The file without what Google sets: its message, or the list of them if they are not one. The text ends with a line feed.
    pub fn export(&self, form: Form) -> String {
        let mut written: Vec<Node> = self
            .messages()
            .map(|root| Node { value: message(self.format, &root.node().value), span: 0..0 })
            .collect();
        let written = match (written.len(), written.pop()) {
            (1, Some(only)) => only,
            (_, last) => {
                Node { value: Value::Sequence(written.into_iter().chain(last).collect()), span: 0..0 }
            }
        };
        match form {
            Form::Yaml => write_yaml(&written),
            Form::Json => write_json(&written),
        }
    }
}

fn message(format: &MessageType, value: &Value) -> Value {
    let Value::Mapping(entries) = value else { return value.clone() };
    let written = entries.iter().filter_map(|entry| {
        let field = format.field(&entry.key);
        match field {
            Some(field) if field.treatment == Treatment::OutputOnly => None,
            Some(field) => Some(with_value(entry, shaped(&field.shape, &entry.value.value))),
            None => Some(entry.clone()),
        }
    });
    Value::Mapping(written.collect())
}

fn shaped(shape: &Shape, value: &Value) -> Value {
    match (shape, value) {
        (Shape::Message(format), value) => message(format, value),
        (Shape::List(element), Value::Sequence(nodes)) => {
            let written =
                nodes.iter().map(|node| Node { value: shaped(element, &node.value), ..node.clone() });
            Value::Sequence(written.collect())
        }
        (Shape::Map(element), Value::Mapping(entries)) => {
            let written = entries.iter().map(|entry| with_value(entry, shaped(element, &entry.value.value)));
            Value::Mapping(written.collect())
        }
        (_, value) => value.clone(),
    }
}

fn with_value(entry: &Entry, value: Value) -> Entry {
    let node = Node { value, span: entry.value.span.clone() };
    Entry { key: entry.key.clone(), key_span: entry.key_span.clone(), value: node }
}
