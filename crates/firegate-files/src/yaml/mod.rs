//! YAML text as a tree of values with their places. The one module that knows the YAML parser.
//!
//! The tree keeps each scalar as it was written, so that a reader can say "found the number 5" and point at it. The
//! words of YAML 1.2's core schema hold: `on` and `off` are text, `true` and `false` are not. Anchors and aliases
//! are followed; merge keys and tags are refused, and further documents but where a list may come as such.

mod build;
mod write;

use std::ops::Range;
use std::sync::Arc;

use crate::diagnostic::path::Segment;
use crate::diagnostic::{Diagnostic, Diagnostics, Place, YamlPath};
use crate::suggestion::quoted;

pub use build::{Bounds, parse, parse_stream, parse_within};
pub use write::{write_json, write_yaml};

/// A file that was parsed.
#[derive(Clone, Debug)]
pub struct Document {
    file: Arc<str>,
    text: Arc<str>,
    lines: Lines,
    /// What the file holds; [`ScalarKind::Null`] for an empty one.
    pub root: Node,
}

/// A value and the bytes it stands in.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Its bytes in the file; for an alias those of the anchored value.
    pub span: Range<usize>,
}

/// A value of any kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text, a number, `true`, `false` or nothing.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order of the file, each key once.
    Mapping(Vec<Entry>),
}

impl Value {
    /// What it is, for messages that say what was found.
    pub(crate) fn described(&self) -> String {
        match self {
            Self::Mapping(_) => "a mapping".to_owned(),
            Self::Sequence(_) => "a list".to_owned(),
            Self::Scalar(Scalar { text, kind }) => match kind {
                ScalarKind::Null => "nothing".to_owned(),
                ScalarKind::Boolean(_) => quoted(text),
                ScalarKind::Integer | ScalarKind::Float => format!("the number {}", quoted(text)),
                ScalarKind::Text => format!("the text {}", quoted(text)),
            },
        }
    }
}

/// One key of a mapping and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The key's bytes in the file.
    pub key_span: Range<usize>,
    /// The value.
    pub value: Node,
}

/// A scalar as it was written, without quotes and escapes.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar {
    /// The text.
    pub text: String,
    /// What YAML's core schema makes of it.
    pub kind: ScalarKind,
}

/// The kind of a scalar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ScalarKind {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`, unquoted.
    Boolean(bool),
    /// A whole number, unquoted.
    Integer,
    /// A number with a fraction or exponent, unquoted.
    Float,
    /// Everything else.
    Text,
}

/// Which part of an entry is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The key.
    Key,
    /// The value; a block of several lines is shown by its key.
    Value,
}

/// A text that was meant for a key with its value and has no blank behind the colon, with that blank. The colon of a URL wants
/// none.
pub(crate) fn with_missing_blank(text: &str) -> Option<String> {
    let (key, value) = text.split_once(':')?;
    let is_key = key.starts_with(|first: char| first.is_ascii_lowercase())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_value = !value.is_empty() && !value.starts_with(' ') && !value.starts_with("//");
    (is_key && is_value && !text.contains('\n')).then(|| format!("{key}: {value}"))
}

/// What to do about a text in Terraform's language, which begins with a block. YAML takes many of them for one long text.
pub(crate) fn of_other_language(text: &str) -> Option<&'static str> {
    let words =
        ["resource ", "data ", "module ", "variable ", "provider ", "output ", "locals ", "terraform "];
    let is_comment = |line: &&str| !line.is_empty() && !line.starts_with(['#', '/', '*']);
    let first = text.lines().map(str::trim).find(is_comment)?;
    let begins_block = words.iter().any(|word| first.starts_with(word)) && first.contains('{');
    begins_block.then_some(
        "this is Terraform's language, and YAML or JSON is read here; what Terraform has made, `gcloud … export` and \
         `gcloud … describe` write so",
    )
}

impl Document {
    /// The file's name.
    pub fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// The file's text.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The value at `path`, if there is one.
    pub fn get(&self, path: &YamlPath) -> Option<&Node> {
        path.segments().iter().try_fold(&self.root, |node, segment| node.step(segment).map(|(_, node)| node))
    }

    /// The keys of the mapping at `path`; none if there is no mapping.
    pub fn keys(&self, path: &YamlPath) -> Vec<String> {
        match self.get(path).map(|node| &node.value) {
            Some(Value::Mapping(entries)) => entries.iter().map(|entry| entry.key.clone()).collect(),
            _ => Vec::new(),
        }
    }

    /// Gives the key at `path` another name, unless its mapping has that already.
    pub(crate) fn rename(&mut self, path: &YamlPath, name: &str) {
        let Some((Segment::Key(key), parents)) = path.segments().split_last() else { return };
        let parent = parents.iter().try_fold(&mut self.root, Node::step_mut);
        let Some(Node { value: Value::Mapping(entries), .. }) = parent else { return };
        if entries.iter().all(|entry| entry.key != name)
            && let Some(entry) = entries.iter_mut().find(|entry| *entry.key == **key)
        {
            entry.key = name.to_owned();
        }
    }

    /// Where `part` of what is at `path` stands, if there is anything. The root itself has no place.
    pub fn place(&self, path: &YamlPath, part: Part) -> Option<Place> {
        let mut node = &self.root;
        let mut key: Option<&Range<usize>> = None;
        for segment in path.segments() {
            let (step_key, step_node) = node.step(segment)?;
            (key, node) = (step_key, step_node);
        }
        if path.is_root() {
            return None;
        }
        let one_line =
            self.text.get(node.span.clone()).is_some_and(|text| !text.is_empty() && !text.contains('\n'));
        let span = match (part, key) {
            (Part::Value, _) if one_line => node.span.clone(),
            (_, Some(key)) => key.clone(),
            // Of several elements that are written alike, the list's key would name none.
            (_, None) => self.first_line(&node.span),
        };
        Some(self.lines.place(&self.file, &self.text, span))
    }

    /// The place of the first line of what the file holds.
    pub fn place_of_first_line(&self) -> Place {
        self.place_of(self.first_line(&self.root.span))
    }

    fn first_line(&self, span: &Range<usize>) -> Range<usize> {
        let first = self.text.get(span.clone()).and_then(|text| text.lines().next()).map_or(0, str::len);
        span.start..span.start + first
    }

    /// The place of these bytes of the text.
    pub fn place_of(&self, span: Range<usize>) -> Place {
        self.lines.place(&self.file, &self.text, span)
    }

    /// Adds a finding about `path`, with the place where it stands, or where its nearest parent stands, or that it has.
    pub fn report(&self, diagnostics: &mut Diagnostics, path: &YamlPath, part: Part, diagnostic: Diagnostic) {
        let place =
            self.place(path, part).or_else(|| self.nearest_place(&path.parent())).or(diagnostic.place);
        diagnostics.push(Diagnostic { path: path.to_string(), place, ..diagnostic });
    }

    /// The place of the value that holds `path`: of a scalar itself, which stands for a whole mapping then, or of the
    /// key of a mapping or list.
    fn nearest_place(&self, path: &YamlPath) -> Option<Place> {
        let mut path = path.clone();
        while !path.is_root() {
            if let Some(node) = self.get(&path) {
                let short_form = matches!(node.value, Value::Scalar(_));
                return self.place(&path, if short_form { Part::Value } else { Part::Key });
            }
            path = path.parent();
        }
        None
    }
}

impl Node {
    /// The value of `key`, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Mapping(entries) => {
                entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
            }
            Value::Sequence(_) | Value::Scalar(_) => None,
        }
    }

    /// Whether nothing stands here.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(Scalar { kind: ScalarKind::Null, .. }))
    }

    /// The value one step below, and the bytes of its key if it has one.
    fn step(&self, segment: &Segment) -> Option<(Option<&Range<usize>>, &Node)> {
        match (&self.value, segment) {
            (Value::Mapping(entries), Segment::Key(key)) => entries
                .iter()
                .find(|entry| *entry.key == **key)
                .map(|entry| (Some(&entry.key_span), &entry.value)),
            (Value::Sequence(nodes), Segment::Index(index)) => nodes.get(*index).map(|node| (None, node)),
            _ => None,
        }
    }

    fn step_mut(&mut self, segment: &Segment) -> Option<&mut Self> {
        match (&mut self.value, segment) {
            (Value::Mapping(entries), Segment::Key(key)) => {
                entries.iter_mut().find(|entry| *entry.key == **key).map(|entry| &mut entry.value)
            }
            (Value::Sequence(nodes), Segment::Index(index)) => nodes.get_mut(*index),
            _ => None,
        }
    }
}

/// Where the lines of a text begin, in bytes: a file of many findings is not searched again for each.
#[derive(Clone, Debug)]
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let later = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self(std::iter::once(0).chain(later).collect())
    }

    /// The place of `span` in the text.
    fn place(&self, file: &str, text: &str, span: Range<usize>) -> Place {
        let line = self.0.partition_point(|start| *start <= span.start);
        let start = line.checked_sub(1).and_then(|index| self.0.get(index)).copied().unwrap_or(0);
        let column = text.get(start..span.start).map_or(0, |part| part.chars().count()) + 1;
        Place { file: file.to_string(), line, column, span }
    }
}

#[cfg(test)]
mod tests;
