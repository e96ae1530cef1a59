//! A value of a file, with its place.

use std::time::Duration;

use super::message_type::Shape;
use crate::diagnostic::{Diagnostic, Diagnostics, Place, YamlPath};
use crate::yaml::{Document, Node, Part, Scalar, ScalarKind, Value};

/// A value and where it stands. What has another shape than is asked for reads as absent: it was reported when the file was
/// compared with its format.
#[derive(Clone, Debug)]
pub struct Located<'a> {
    document: &'a Document,
    node: &'a Node,
    path: YamlPath,
}

impl<'a> Located<'a> {
    pub(super) fn new(document: &'a Document, node: &'a Node, path: YamlPath) -> Self {
        Self { document, node, path }
    }

    /// The field `name`; `null` is absent.
    pub fn get(&self, name: &str) -> Option<Self> {
        let node = self.node.get(name).filter(|node| !node.is_null())?;
        Some(Self::new(self.document, node, self.path.key(name)))
    }

    /// The elements of a list; none if this is no list.
    pub fn elements(&self) -> impl Iterator<Item = Self> + use<'a> {
        let nodes: &'a [Node] = match &self.node.value {
            Value::Sequence(nodes) => nodes,
            _ => &[],
        };
        let (document, path) = (self.document, self.path.clone());
        nodes.iter().enumerate().map(move |(index, node)| Self::new(document, node, path.index(index)))
    }

    /// The keys and values of a mapping, but for `null`; none if this is no mapping.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Self)> + use<'a> {
        let entries = match &self.node.value {
            Value::Mapping(entries) => entries.as_slice(),
            _ => &[],
        };
        let (document, path) = (self.document, self.path.clone());
        let given = entries.iter().filter(|entry| !entry.value.is_null());
        given.map(move |entry| (entry.key.as_str(), Self::new(document, &entry.value, path.key(&entry.key))))
    }

    /// The elements of the list `name`; none if the field is absent.
    pub fn list(&self, name: &str) -> impl Iterator<Item = Self> + use<'a> {
        self.get(name).map(|list| list.elements()).into_iter().flatten()
    }

    /// The text.
    pub fn text(&self) -> Option<&'a str> {
        self.scalar().filter(|scalar| scalar.kind == ScalarKind::Text).map(|scalar| scalar.text.as_str())
    }

    /// The whole number, written as a number or in quotes.
    pub fn integer(&self) -> Option<i64> {
        self.scalar().and_then(integer)
    }

    /// The number.
    pub fn number(&self) -> Option<f64> {
        self.scalar().and_then(number)
    }

    /// The truth.
    pub fn boolean(&self) -> Option<bool> {
        match self.scalar()?.kind {
            ScalarKind::Boolean(value) => Some(value),
            _ => None,
        }
    }

    /// Which of `words` stands here, in upper or lower case.
    pub fn word(&self, words: &[&'static str]) -> Option<&'static str> {
        let text = self.text()?;
        words.iter().find(|word| word.eq_ignore_ascii_case(text)).copied()
    }

    /// The duration of `{seconds, nanos}`; a negative one is none.
    pub fn duration(&self) -> Option<Duration> {
        let part = |name| self.get(name).map_or(Some(0), |part| part.integer());
        let (seconds, nanos) = (part("seconds")?, part("nanos")?);
        Some(Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok().filter(|n| *n < NANOS)?))
    }

    /// The name of a resource: the last segment of its URL.
    pub fn resource_name(&self) -> Option<&'a str> {
        self.text().map(last_segment).filter(|name| !name.is_empty())
    }

    /// Where it is in the file: `rules[0].action`.
    pub fn path(&self) -> &YamlPath {
        &self.path
    }

    /// The place of the value, or of its key if it is a block of lines. The whole file has none.
    pub fn place(&self) -> Option<Place> {
        self.document.place(&self.path, Part::Value)
    }

    /// Where a message begins: where its first field stands.
    pub fn beginning(&self) -> Option<Place> {
        let first = self.entries().next().and_then(|(_, first)| first.place());
        first.or_else(|| self.place())
    }

    /// The place of `span` within this text, in bytes of the text, as well as it can be said: within quotes and on one line
    /// exactly, else the whole value's.
    pub fn place_within(&self, span: std::ops::Range<usize>) -> Option<Place> {
        let file = self.document.text();
        let written = file.get(self.node.span.clone());
        let exact = self.text().zip(written).and_then(|(text, written)| {
            // Without escapes and folded lines the text stands in the file as it is.
            let quotes = written.find(text)?;
            let start = self.node.span.start + quotes;
            text.get(span.clone()).map(|_| start + span.start..start + span.end)
        });
        match exact {
            Some(span) => Some(self.document.place_of(span)),
            None => self.place(),
        }
    }

    /// Adds a finding about this value.
    pub fn report(&self, diagnostics: &mut Diagnostics, part: Part, diagnostic: Diagnostic) {
        self.document.report(diagnostics, &self.path, part, self.in_its_file(diagnostic));
    }

    /// Adds a finding about a part of this text, in bytes of the text.
    pub fn report_within(
        &self,
        diagnostics: &mut Diagnostics,
        span: std::ops::Range<usize>,
        diagnostic: Diagnostic,
    ) {
        let place = self.place_within(span);
        diagnostics.push(Diagnostic { path: self.path.to_string(), place, ..diagnostic });
    }

    /// Adds a finding about the field `name`, whether it is there or missing.
    pub fn report_field(&self, name: &str, diagnostics: &mut Diagnostics, diagnostic: Diagnostic) {
        self.document.report(diagnostics, &self.path.key(name), Part::Value, self.in_its_file(diagnostic));
    }

    /// A finding about the file as a whole has to say which of all files it is about.
    fn in_its_file(&self, diagnostic: Diagnostic) -> Diagnostic {
        Diagnostic { place: Some(self.document.place_of_first_line()), ..diagnostic }
    }

    fn scalar(&self) -> Option<&'a Scalar> {
        match &self.node.value {
            Value::Scalar(scalar) => Some(scalar),
            Value::Sequence(_) | Value::Mapping(_) => None,
        }
    }

    pub(super) fn node(&self) -> &'a Node {
        self.node
    }

    /// Whether the value has this shape, not looking into lists and mappings.
    pub(super) fn fits(&self, shape: &Shape) -> bool {
        match (shape, &self.node.value) {
            (Shape::Any, _)
            | (Shape::Message(_) | Shape::Map(_) | Shape::Duration, Value::Mapping(_))
            | (Shape::List(_), Value::Sequence(_)) => true,
            (Shape::Text | Shape::Resource, _) => self.text().is_some(),
            (Shape::Boolean, _) => self.boolean().is_some(),
            (Shape::Integer, _) => self.integer().is_some(),
            (Shape::Number, _) => self.number().is_some(),
            (Shape::Word(words), _) => self.text().is_some_and(|text| words.contains(&text)),
            (Shape::WordInAnyCase(words), _) => self.word(words).is_some(),
            (Shape::Message(_) | Shape::Map(_) | Shape::Duration | Shape::List(_), _) => false,
        }
    }
}

/// How many nanoseconds a second has.
const NANOS: u32 = 1_000_000_000;

fn integer(scalar: &Scalar) -> Option<i64> {
    match scalar.kind {
        ScalarKind::Integer | ScalarKind::Text => scalar.text.parse().ok(),
        ScalarKind::Null | ScalarKind::Boolean(_) | ScalarKind::Float => None,
    }
}

fn number(scalar: &Scalar) -> Option<f64> {
    match scalar.kind {
        ScalarKind::Integer | ScalarKind::Float | ScalarKind::Text => {
            scalar.text.parse().ok().filter(|number: &f64| number.is_finite())
        }
        ScalarKind::Null | ScalarKind::Boolean(_) => None,
    }
}

/// The last segment of a full or partial resource URL, which is the resource's name.
pub fn last_segment(url: &str) -> &str {
    url.rsplit_once('/').map_or(url, |(_, name)| name)
}
