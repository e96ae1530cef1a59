//! From the tree back to text: YAML in block style, or indented JSON. Reading what was written gives the same values.

use super::build::kind;
use super::{Entry, Node, Scalar, ScalarKind, Value};

/// How far a nested line stands to the right.
const INDENT: usize = 2;

/// Words that YAML 1.1, which some of Google's tools still read, takes for something else than text.
const WORDS_OF_YAML_1_1: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];

/// A value as YAML. The text ends with a line feed.
pub fn write_yaml(node: &Node) -> String {
    let mut text = String::new();
    match &node.value {
        Value::Mapping(entries) if !entries.is_empty() => mapping(entries, 0, false, &mut text),
        Value::Sequence(nodes) if !nodes.is_empty() => sequence(nodes, 0, &mut text),
        value => {
            inline(value, &mut text);
            text.push('\n');
        }
    }
    text
}

/// A value as JSON. The text ends with a line feed.
pub fn write_json(node: &Node) -> String {
    let mut text = String::new();
    json(&node.value, Some(0), &mut text);
    text.push('\n');
    text
}

/// Lines of `key: value`; the first one has no indent if it stands behind a dash.
fn mapping(entries: &[Entry], indent: usize, behind_dash: bool, text: &mut String) {
    for (position, entry) in entries.iter().enumerate() {
        if position > 0 || !behind_dash {
            text.push_str(&" ".repeat(indent));
        }
        text.push_str(&yaml_text(&entry.key));
        text.push(':');
        match &entry.value.value {
            Value::Mapping(inner) if !inner.is_empty() => {
                text.push('\n');
                mapping(inner, indent + INDENT, false, text);
            }
            // As Google's tools write it: the dashes stand below the key.
            Value::Sequence(nodes) if !nodes.is_empty() => {
                text.push('\n');
                sequence(nodes, indent, text);
            }
            value => {
                text.push(' ');
                inline(value, text);
                text.push('\n');
            }
        }
    }
}

fn sequence(nodes: &[Node], indent: usize, text: &mut String) {
    for node in nodes {
        text.push_str(&" ".repeat(indent));
        text.push_str("- ");
        match &node.value {
            Value::Mapping(entries) if !entries.is_empty() => mapping(entries, indent + INDENT, true, text),
            // A list in a list: on one line, as JSON.
            Value::Sequence(_) => {
                json(&node.value, None, text);
                text.push('\n');
            }
            value => {
                inline(value, text);
                text.push('\n');
            }
        }
    }
}

/// A scalar, or an empty mapping or list.
fn inline(value: &Value, text: &mut String) {
    match value {
        Value::Scalar(Scalar { text: written, kind: ScalarKind::Text }) => text.push_str(&yaml_text(written)),
        Value::Scalar(Scalar { kind: ScalarKind::Null, .. }) => text.push_str("null"),
        Value::Scalar(scalar) => text.push_str(&scalar.text),
        Value::Sequence(_) => text.push_str("[]"),
        Value::Mapping(_) => text.push_str("{}"),
    }
}

/// Text, in quotes where it would be read as something else without.
fn yaml_text(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    if text.chars().any(char::is_control) || text.contains(['\u{85}', '\u{2028}', '\u{2029}', '\u{feff}']) {
        return json_text(text);
    }
    format!("'{}'", text.replace('\'', "''"))
}

fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let begins_well = bytes.first().is_some_and(|first| first.is_ascii_alphabetic() || *first == b'/');
    let is_fine = |byte: &u8| byte.is_ascii_alphanumeric() || b" _./()@+=-:#$".contains(byte);
    begins_well
        && bytes.iter().all(is_fine)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && kind(text) == ScalarKind::Text
        && !WORDS_OF_YAML_1_1.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// Lines that are indented so far, or one line.
fn json(value: &Value, indent: Option<usize>, text: &mut String) {
    let (open, close, count) = match value {
        Value::Scalar(scalar) => return json_scalar(scalar, text),
        Value::Sequence(nodes) => ('[', ']', nodes.len()),
        Value::Mapping(entries) => ('{', '}', entries.len()),
    };
    let below = indent.map(|indent| indent + INDENT);
    text.push(open);
    for position in 0..count {
        if position > 0 {
            text.push(',');
        }
        match below {
            Some(below) => new_line(below, text),
            None if position > 0 => text.push(' '),
            None => {}
        }
        json_part(value, position, below, text);
    }
    if let Some(indent) = indent.filter(|_| count > 0) {
        new_line(indent, text);
    }
    text.push(close);
}

fn new_line(indent: usize, text: &mut String) {
    text.push('\n');
    text.push_str(&" ".repeat(indent));
}

/// One element of a list, or one key and its value.
fn json_part(value: &Value, position: usize, indent: Option<usize>, text: &mut String) {
    match value {
        Value::Sequence(nodes) => {
            nodes.get(position).into_iter().for_each(|node| json(&node.value, indent, text));
        }
        Value::Mapping(entries) => {
            if let Some(entry) = entries.get(position) {
                text.push_str(&json_text(&entry.key));
                text.push_str(": ");
                json(&entry.value.value, indent, text);
            }
        }
        Value::Scalar(_) => {}
    }
}

fn json_scalar(scalar: &Scalar, text: &mut String) {
    match scalar.kind {
        ScalarKind::Null => text.push_str("null"),
        ScalarKind::Boolean(value) => text.push_str(if value { "true" } else { "false" }),
        // YAML's numbers are more than JSON's: `+1`, `0x1F`, `.inf`.
        ScalarKind::Integer | ScalarKind::Float
            if serde_json::from_str::<serde_json::Number>(&scalar.text).is_ok() =>
        {
            text.push_str(&scalar.text);
        }
        ScalarKind::Integer | ScalarKind::Float | ScalarKind::Text => text.push_str(&json_text(&scalar.text)),
    }
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::diagnostic::Diagnostics;
    use crate::yaml::parse;

    fn node(value: Value) -> Node {
        Node { value, span: 0..0 }
    }

    /// The value without places.
    fn bare(value: &Value) -> Value {
        match value {
            Value::Scalar(scalar) => Value::Scalar(scalar.clone()),
            Value::Sequence(nodes) => Value::Sequence(nodes.iter().map(|n| node(bare(&n.value))).collect()),
            Value::Mapping(entries) => Value::Mapping(
                entries
                    .iter()
                    .map(|e| Entry { key: e.key.clone(), key_span: 0..0, value: node(bare(&e.value.value)) })
                    .collect(),
            ),
        }
    }

    fn read(text: &str) -> Value {
        let mut diagnostics = Diagnostics::new();
        let document = parse("written", text, &mut diagnostics);
        bare(&document.unwrap_or_else(|| panic!("{diagnostics}\n{text}")).root.value)
    }

    fn value() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            "[ -~]{0,12}",
            "[a-zA-Z0-9:#'\"\\\\ \\n\\t-]{0,12}",
            "\\PC{0,6}",
            Just("yes".to_owned()),
            Just("0123".to_owned()),
            Just("null".to_owned()),
            Just("2020-01-01".to_owned()),
        ];
        let scalar = prop_oneof![
            text.prop_map(|text| Scalar { text, kind: ScalarKind::Text }),
            any::<i64>().prop_map(|n| Scalar { text: n.to_string(), kind: ScalarKind::Integer }),
            any::<bool>().prop_map(|b| Scalar { text: b.to_string(), kind: ScalarKind::Boolean(b) }),
        ];
        scalar.prop_map(Value::Scalar).prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4)
                    .prop_map(|values| Value::Sequence(values.into_iter().map(node).collect())),
                prop::collection::btree_map("[ -~]{1,8}", inner, 0..4).prop_map(|entries| {
                    let entry = |(key, value)| Entry { key, key_span: 0..0, value: node(value) };
                    Value::Mapping(entries.into_iter().map(entry).collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_as_the_same(value in value()) {
            let written = node(value.clone());
            prop_assert_eq!(read(&write_yaml(&written)), value.clone());
            prop_assert_eq!(read(&write_json(&written)), value.clone());
            prop_assert!(serde_json::from_str::<serde_json::Value>(&write_json(&written)).is_ok());
        }
    }

    #[test]
    fn yaml_is_written_as_googles_tools_write_it() {
        let text = "description: ''\nfingerprint: dT_5QmeI6h8=\nid: '200433714284642728'\nrules:\n- action: deny(403)\n  match:\n    config:\n      srcIpRanges:\n      - '*'\n    versionedExpr: SRC_IPS_V1\n  preview: false\n- labels: {}\n";
        assert_eq!(write_yaml(&node(read(text))), text);
    }
}
