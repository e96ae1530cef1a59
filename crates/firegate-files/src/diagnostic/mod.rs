//! What is wrong in a file, where, and what to do about it.
//!
//! A check never stops at its first finding: it collects [`Diagnostics`], which render as text with the lines of
//! the file, or serialise as JSON for tools.

mod catalogue;
pub mod code;
pub(crate) mod path;
mod render;

use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

pub use catalogue::markdown as catalogue_markdown;
pub use path::YamlPath;
pub use render::Style;

use crate::limits::DIAGNOSTICS_MAX;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is taken, and probably does not do what was meant.
    Warning,
    /// The file is taken, and this is worth knowing.
    Note,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file's name as it was given, or the name of the variable that held the text.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The bytes of the file that are meant.
    pub span: Range<usize>,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// The stable code, for example `FG004`; all are in [`code`].
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The path of the value, for example `backends.api.url`, or the flag it was given by; empty for the whole file.
    pub path: String,
    /// Where it stands; absent when it came from flags, and when nothing stands there.
    pub place: Option<Place>,
    /// What is wrong, in lower case and without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether the line is not printed, because it holds a secret.
    #[serde(skip)]
    pub(crate) concealed: bool,
}

impl Diagnostic {
    /// An error without a place; the reader of the file adds path and place.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message.into())
    }

    /// A warning without a place.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message.into())
    }

    /// A note without a place.
    pub fn note(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, code, message.into())
    }

    fn new(severity: Severity, code: &'static str, message: String) -> Self {
        Self { code, severity, path: String::new(), place: None, message, hint: None, concealed: false }
    }

    /// The same finding with an advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same finding, of whose place only the line number is printed.
    #[must_use]
    pub fn conceal(mut self) -> Self {
        self.concealed = true;
        self
    }

    /// The same finding with an advice, if there is one.
    #[must_use]
    pub fn hint_if(mut self, hint: Option<impl Into<String>>) -> Self {
        self.hint = hint.map(Into::into).or(self.hint);
        self
    }
}

/// A file that findings point into.
#[derive(Clone)]
struct Source {
    file: Arc<str>,
    text: Arc<str>,
}

/// All findings about one or more files, in the order of the files' lines.
#[derive(Clone, Default, Serialize)]
#[serde(transparent)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    #[serde(skip)]
    sources: Vec<Source>,
    /// How many findings there were beyond [`DIAGNOSTICS_MAX`], and whether one of them was an error.
    #[serde(skip)]
    omitted: usize,
    #[serde(skip)]
    omitted_error: bool,
}

impl Diagnostics {
    /// Nothing found yet, in no file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a file's text known, so that its lines can be printed with the findings.
    pub fn add_source(&mut self, file: Arc<str>, text: Arc<str>) {
        if self.source(&file).is_none() {
            self.sources.push(Source { file, text });
        }
    }

    /// Adds a finding; an equal one is kept once. Where there are too many, the worst are kept.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.list.contains(&diagnostic) {
            return;
        }
        if self.list.len() == DIAGNOSTICS_MAX {
            self.omitted += 1;
            let milder = self.list.iter().rposition(|kept| kept.severity > diagnostic.severity);
            let Some(milder) = milder else {
                self.omitted_error |= diagnostic.severity == Severity::Error;
                return;
            };
            self.list.remove(milder);
        }
        self.list.push(diagnostic);
    }

    /// Adds what was found in another file, whose lines can then be printed too.
    pub fn append(&mut self, other: Self) {
        for source in other.sources {
            self.add_source(source.file, source.text);
        }
        self.omitted += other.omitted;
        self.omitted_error |= other.omitted_error;
        other.list.into_iter().for_each(|found| self.push(found));
    }

    /// The findings, errors and warnings, as they stand in the file.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// How many findings are kept.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether any finding is an error.
    pub fn has_errors(&self) -> bool {
        self.omitted_error || self.list.iter().any(|found| found.severity == Severity::Error)
    }

    /// Orders the findings by file and line; those without a place come last.
    pub fn sort(&mut self) {
        self.list.sort_by_key(|found| match &found.place {
            Some(place) => {
                (false, self.sources.iter().position(|s| *s.file == *place.file), place.span.start)
            }
            None => (true, None, 0),
        });
    }

    fn source(&self, file: &str) -> Option<&Source> {
        self.sources.iter().find(|source| &*source.file == file)
    }
}

impl std::fmt::Debug for Diagnostics {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(&self.list).finish()
    }
}

impl std::fmt::Display for Diagnostics {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.render(Style::Plain))
    }
}

impl std::error::Error for Diagnostics {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_beyond_the_bound_are_counted_and_still_refuse() {
        let mut diagnostics = Diagnostics::new();
        for number in 0..DIAGNOSTICS_MAX {
            diagnostics.push(Diagnostic::warning(code::UNKNOWN_KEY, format!("finding {number}")));
        }
        assert!(!diagnostics.has_errors());
        diagnostics.push(Diagnostic::error(code::UNKNOWN_KEY, "one too many"));
        assert_eq!(diagnostics.len(), DIAGNOSTICS_MAX);
        assert!(diagnostics.has_errors(), "an error that is not listed still refuses");
        assert!(diagnostics.to_string().contains("1 more"), "{diagnostics}");
    }

    #[test]
    fn notes_do_not_crowd_out_errors() {
        let mut diagnostics = Diagnostics::new();
        for number in 0..DIAGNOSTICS_MAX {
            diagnostics.push(Diagnostic::note(code::UNKNOWN_FIELD, format!("finding {number}")));
        }
        diagnostics.push(Diagnostic::error(code::UNKNOWN_KEY, "what refuses"));
        assert_eq!(diagnostics.len(), DIAGNOSTICS_MAX);
        assert!(diagnostics.to_string().contains("what refuses"), "{diagnostics}");
        assert!(diagnostics.to_string().contains("1 more"), "{diagnostics}");
    }

    #[test]
    fn equal_findings_are_kept_once() {
        let mut diagnostics = Diagnostics::new();
        diagnostics.push(Diagnostic::error(code::URL, "the same"));
        diagnostics.push(Diagnostic::error(code::URL, "the same"));
        assert_eq!(diagnostics.len(), 1);
    }

    #[test]
    fn json_has_every_field() {
        let mut diagnostics = Diagnostics::new();
        let place = Place { file: "firegate.yaml".into(), line: 2, column: 3, span: 10..14 };
        diagnostics.push(Diagnostic {
            path: "backends.api.url".to_owned(),
            place: Some(place),
            ..Diagnostic::error(code::URL, "not a URL").hint("write one")
        });
        let json = serde_json::to_value(&diagnostics).unwrap();
        assert_eq!(
            json,
            serde_json::json!([{
                "code": code::URL, "severity": "error", "path": "backends.api.url",
                "place": {"file": "firegate.yaml", "line": 2, "column": 3, "span": {"start": 10, "end": 14}},
                "message": "not a URL", "hint": "write one"
            }])
        );
    }
}
