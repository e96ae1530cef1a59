//! From the parser's events to the tree.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::{Document, Entry, Lines, Node, Scalar, ScalarKind, Value, of_other_language, with_missing_blank};
use crate::diagnostic::{Diagnostic, Diagnostics, YamlPath, code};
use crate::limits::{FILE_BYTES_MAX, YAML_DEPTH_MAX, YAML_NODES_MAX};
use crate::suggestion::quoted;

/// How much a file may hold.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most bytes of text.
    pub bytes_max: usize,
    /// The most values, with the copies that aliases make.
    pub nodes_max: usize,
}

impl Bounds {
    /// Those of a file that people write.
    pub const CONFIGURATION: Self = Self { bytes_max: FILE_BYTES_MAX, nodes_max: YAML_NODES_MAX };
}

/// Parses one YAML document of a size that people write.
///
/// See [`parse_within`].
pub fn parse(file: &str, text: &str, diagnostics: &mut Diagnostics) -> Option<Document> {
    parse_within(file, text, Bounds::CONFIGURATION, diagnostics)
}

/// Parses one YAML document.
///
/// Duplicate keys and tags are added to `diagnostics`, and the tree is built without them. Where no tree can be
/// built, because the text is not YAML or exceeds [`crate::limits`], the reason is added and `None` returned.
pub fn parse_within(
    file: &str,
    text: &str,
    bounds: Bounds,
    diagnostics: &mut Diagnostics,
) -> Option<Document> {
    parse_documents(file, text, bounds, Documents::One, diagnostics)
}

/// Parses YAML of any number of documents, as `gcloud … list --format=yaml` prints them: the root is the list of them, unless
/// there is only one.
///
/// See [`parse_within`].
pub fn parse_stream(
    file: &str,
    text: &str,
    bounds: Bounds,
    diagnostics: &mut Diagnostics,
) -> Option<Document> {
    parse_documents(file, text, bounds, Documents::Any, diagnostics)
}

/// How many documents a text may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Documents {
    One,
    Any,
}

fn parse_documents(
    file: &str,
    text: &str,
    bounds: Bounds,
    documents: Documents,
    diagnostics: &mut Diagnostics,
) -> Option<Document> {
    let file: Arc<str> = file.into();
    if text.len() > bounds.bytes_max {
        // Not even the text is kept: the diagnostic names the file and has no place. How long the file is, nobody knows: of a
        // long one no more is read than shows that it is too long.
        let message =
            format!("{} has more than {} bytes, which is the most", quoted(&file), bounds.bytes_max);
        diagnostics.push(Diagnostic::error(code::TOO_LARGE, message));
        return None;
    }
    let text: Arc<str> = text.into();
    let lines = Lines::of(&text);
    diagnostics.add_source(file.clone(), text.clone());
    let options = granit_parser::options! { emit_comments: false };
    let mut builder = Builder {
        events: Parser::new_from_str_with_options(&text, options),
        file: &file,
        text: &text,
        lines: &lines,
        diagnostics,
        anchors: HashMap::new(),
        nodes: 0,
        nodes_max: bounds.nodes_max,
    };
    match builder.document(documents) {
        Ok(root) => Some(Document { root, file: file.clone(), text: text.clone(), lines }),
        Err(Stop { span, diagnostic }) => {
            let place = Some(lines.place(&file, &text, span));
            diagnostics.push(Diagnostic { place, ..*diagnostic });
            None
        }
    }
}

/// Why no tree can be built.
struct Stop {
    span: Range<usize>,
    diagnostic: Box<Diagnostic>,
}

impl Stop {
    fn new(span: Range<usize>, diagnostic: Diagnostic) -> Self {
        Self { span, diagnostic: Box::new(diagnostic) }
    }
}

struct Builder<'a> {
    events: Parser<'a, StrInput<'a>>,
    file: &'a Arc<str>,
    text: &'a str,
    lines: &'a Lines,
    diagnostics: &'a mut Diagnostics,
    /// The finished anchored values and how many nodes each has.
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    nodes_max: usize,
}

impl<'a> Builder<'a> {
    fn document(&mut self, documents: Documents) -> Result<Node, Stop> {
        let mut root = None;
        let mut further = Vec::new();
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) => {
                    if root.is_some() && documents == Documents::One {
                        let message = "a second document begins here";
                        let found = Diagnostic::error(code::YAML_FEATURE, message).hint(
                            "a configuration file is one document: remove the `---` line and what follows",
                        );
                        return Err(Stop::new(span, found));
                    }
                    let (event, span) = self.next()?;
                    let node = self.node(event, span, &YamlPath::root())?;
                    match root {
                        None => root = Some(node),
                        Some(_) => further.push(node),
                    }
                }
                Event::StreamEnd if further.is_empty() => {
                    return Ok(root.unwrap_or(Node { value: null(), span }));
                }
                Event::StreamEnd => {
                    return Ok(Node {
                        value: Value::Sequence(root.into_iter().chain(further).collect()),
                        span: 0..self.text.len(),
                    });
                }
                _ => return Err(self.unexpected(span)),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Range<usize>), Stop> {
        match self.events.next_event() {
            Some(Ok((event, span))) => Ok((event, bytes(span))),
            Some(Err(error)) => Err(self.syntax(&error)),
            None => Err(self.unexpected(self.text.len()..self.text.len())),
        }
    }

    fn syntax(&self, error: &ScanError) -> Stop {
        let at = error.marker().byte_offset().unwrap_or(0).min(self.text.len());
        let mut found = Diagnostic::error(code::YAML_SYNTAX, format!("this is not YAML: {}", error.info()));
        let line_start = self.text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
        let line = self.text.get(line_start..).and_then(|rest| rest.lines().next()).unwrap_or("");
        let second_colon = error.info().contains("mapping values are not allowed");
        if let Some((before, mended)) = self.missing_blank_before(line_start).filter(|_| second_colon) {
            // The reader takes both lines for one text, and stumbles over the second colon.
            found = found.hint(format!("a blank is missing behind the colon: `{mended}`"));
            return Stop::new(before, found);
        }
        if let Some(hint) = of_other_language(self.text) {
            found = found.hint(hint);
        } else if line.trim_start_matches(' ').starts_with('\t') {
            found = found.hint("indent with spaces: YAML does not take tabs");
        } else if line.contains(": *") || line.contains("[*") {
            found = found.hint("a value that begins with `*` is written in quotes");
        } else if error.info().contains("did not find expected key") {
            found = found.hint("begin all keys of one mapping in the same column");
        }
        Stop::new(at..at, found)
    }

    /// The line before this one, if it lacks the blank behind its colon, and how it is written.
    fn missing_blank_before(&self, line_start: usize) -> Option<(Range<usize>, String)> {
        let before = self.text.get(..line_start)?.trim_end();
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.get(start..)?;
        let start = start + line.len() - line.trim_start().len();
        let mended = with_missing_blank(line.trim())?;
        Some((start..before.len(), mended))
    }

    fn unexpected(&self, span: Range<usize>) -> Stop {
        Stop::new(span, Diagnostic::error(code::YAML_SYNTAX, "this is not YAML: the document ends too early"))
    }

    /// The node at `path`, which begins with `event`.
    fn node(&mut self, event: Event<'a>, span: Range<usize>, path: &YamlPath) -> Result<Node, Stop> {
        self.count(1, &span)?;
        let before = self.nodes;
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tagged_text = self.tag(tag.as_deref(), &span, path);
                let kind = match style {
                    ScalarStyle::Plain if !tagged_text => kind(&text),
                    _ => ScalarKind::Text,
                };
                let scalar = Scalar { text: text.into_owned(), kind };
                (Node { value: Value::Scalar(scalar), span }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), &span, path);
                (self.sequence(span, path)?, anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), &span, path);
                (self.mapping(span, path)?, anchor)
            }
            Event::Alias(anchor) => return self.alias(anchor, span),
            _ => return Err(self.unexpected(span)),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - before + 1));
        }
        Ok(node)
    }

    fn sequence(&mut self, start: Range<usize>, path: &YamlPath) -> Result<Node, Stop> {
        self.check_depth(path, &start)?;
        let mut nodes: Vec<Node> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                let end = self.end(&span, nodes.last().map(|node| node.span.end));
                return Ok(Node { value: Value::Sequence(nodes), span: start.start..end });
            }
            let path = path.index(nodes.len());
            nodes.push(self.node(event, span, &path)?);
        }
    }

    fn mapping(&mut self, start: Range<usize>, path: &YamlPath) -> Result<Node, Stop> {
        self.check_depth(path, &start)?;
        let mut entries: Vec<Entry> = Vec::new();
        let mut first: HashMap<String, Range<usize>> = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                let end = self.end(&span, entries.last().map(|entry| entry.value.span.end));
                return Ok(Node { value: Value::Mapping(entries), span: start.start..end });
            }
            let key = self.node(event, span, &path.key("?"))?;
            let (event, span) = self.next()?;
            let Value::Scalar(Scalar { text, .. }) = key.value else {
                self.node(event, span, &path.key("?"))?;
                let found = Diagnostic::error(code::YAML_FEATURE, "a key must be text");
                let is_template = self.text.get(..key.span.start).is_some_and(|before| before.ends_with('{'));
                let hint =
                    "`{{ … }}` is a template's: make the file of it first, for example with `helm template`";
                self.report(key.span, path, found.hint_if(is_template.then_some(hint)));
                continue;
            };
            let path = path.key(&text);
            let value = self.node(event, span, &path)?;
            if let Some(first) = first.get(&text) {
                let line = self.lines.place(self.file, self.text, first.clone()).line;
                let message = format!("the key {} stands here twice", quoted(&text));
                let hint = format!("the first one is in line {line}; remove one of them");
                self.report(key.span, &path, Diagnostic::error(code::DUPLICATE_KEY, message).hint(hint));
                continue;
            }
            first.insert(text.clone(), key.span.clone());
            entries.push(Entry { key: text, key_span: key.span, value });
        }
    }

    fn alias(&mut self, anchor: usize, span: Range<usize>) -> Result<Node, Stop> {
        let Some((node, nodes)) = self.anchors.get(&anchor).cloned() else {
            let found = Diagnostic::error(code::YAML_FEATURE, "this alias stands inside the value it names");
            return Err(Stop::new(span, found));
        };
        self.count(nodes, &span)?;
        Ok(node)
    }

    /// Refuses every tag but `!!str`; returns whether the value is text by its tag.
    fn tag(&mut self, tag: Option<&Tag>, span: &Range<usize>, path: &YamlPath) -> bool {
        let Some(tag) = tag else { return false };
        if tag.is_yaml_core_schema_tag("str") {
            return true;
        }
        let message = format!("the tag {} is not used in these files", quoted(&tag.original()));
        self.report(span.clone(), path, Diagnostic::error(code::YAML_FEATURE, message).hint("remove it"));
        false
    }

    fn count(&mut self, nodes: usize, span: &Range<usize>) -> Result<(), Stop> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes <= self.nodes_max {
            return Ok(());
        }
        let message = format!("the file holds more than {} values", self.nodes_max);
        Err(Stop::new(span.clone(), Diagnostic::error(code::TOO_LARGE, message)))
    }

    fn check_depth(&self, path: &YamlPath, span: &Range<usize>) -> Result<(), Stop> {
        if path.segments().len() < YAML_DEPTH_MAX {
            return Ok(());
        }
        let message = format!("mappings and lists nest deeper than {YAML_DEPTH_MAX} here");
        Err(Stop::new(span.clone(), Diagnostic::error(code::TOO_LARGE, message)))
    }

    /// Where a mapping or list ends: at its closing bracket, or for a block where its last value ends.
    fn end(&self, closing: &Range<usize>, last: Option<usize>) -> usize {
        match self.text.get(closing.clone()) {
            Some("]" | "}") => closing.end,
            _ => last.unwrap_or(closing.start),
        }
    }

    fn report(&mut self, span: Range<usize>, path: &YamlPath, diagnostic: Diagnostic) {
        let place = Some(self.lines.place(self.file, self.text, span));
        self.diagnostics.push(Diagnostic { path: path.to_string(), place, ..diagnostic });
    }
}

/// The bytes of a span. Spans of text that is already in memory always have them.
fn bytes(span: Span) -> Range<usize> {
    span.byte_range().unwrap_or(0..0)
}

fn null() -> Value {
    Value::Scalar(Scalar { text: String::new(), kind: ScalarKind::Null })
}

/// The kind of a plain scalar by YAML 1.2's core schema (section 10.3.2).
pub(super) fn kind(text: &str) -> ScalarKind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return ScalarKind::Null,
        "true" | "True" | "TRUE" => return ScalarKind::Boolean(true),
        "false" | "False" | "FALSE" => return ScalarKind::Boolean(false),
        ".nan" | ".NaN" | ".NAN" => return ScalarKind::Float,
        _ => {}
    }
    let digits = |text: &str, radix: u32| !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
    if let Some(hexadecimal) = text.strip_prefix("0x") {
        return if digits(hexadecimal, 16) { ScalarKind::Integer } else { ScalarKind::Text };
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return if digits(octal, 8) { ScalarKind::Integer } else { ScalarKind::Text };
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits(unsigned, 10) {
        return ScalarKind::Integer;
    }
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return ScalarKind::Float;
    }
    let number = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'))
        && unsigned.parse::<f64>().is_ok();
    if number { ScalarKind::Float } else { ScalarKind::Text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_have_the_kinds_of_the_core_schema() {
        let check = |text: &str, expected: ScalarKind| assert_eq!(kind(text), expected, "{text}");
        check("", ScalarKind::Null);
        check("~", ScalarKind::Null);
        check("true", ScalarKind::Boolean(true));
        check("on", ScalarKind::Text);
        check("off", ScalarKind::Text);
        check("no", ScalarKind::Text);
        check("0123", ScalarKind::Integer);
        check("-1", ScalarKind::Integer);
        check("0x1F", ScalarKind::Integer);
        check("0xZZ", ScalarKind::Text);
        check("1.5", ScalarKind::Float);
        check("1e3", ScalarKind::Float);
        check("-.inf", ScalarKind::Float);
        check("1.2.3", ScalarKind::Text);
        check("5s", ScalarKind::Text);
        check("e", ScalarKind::Text);
    }
}
