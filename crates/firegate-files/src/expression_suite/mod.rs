//! Tests of one expression, in the format of Google's own tool for Cloud Armor's rules, so that one file runs in both:
//! <https://github.com/cel-expr/cloud-armor-rules#test>
//!
//! ```yaml
//! name: admin
//! expr: request.path.startsWith('/admin/') && !has(request.headers['x-ticket'])
//! tests:
//!   - name: without a ticket
//!     expect: true
//!     when: { request: { path: /admin/users } }
//! ```
//!
//! Firegate's own keys, which Google's tool passes over: `language: iam`, `dialect: firegate`, and in `when` the verified user
//! (`auth: { uid, email, …, token: { … } }`) and what IAM conditions ask for (`resource`, `destination`, `request.time`).
//!
//! It is stricter than that tool in two ways: a case that expects an error fails if there is none, and a header is found by its
//! name in lower case alone, as in Cloud Armor itself.

mod variables;

use firegate_expr::{
    Dialect, ErrorKind, EvaluationError, Expression, ExpressionError, Language, Outcome, Trace,
};

use self::variables::Variables;
use crate::diagnostic::{Diagnostic, Diagnostics, YamlPath, code};
use crate::suggestion::{nearest, quoted};
use crate::yaml::{self, Document, Node, Part, ScalarKind, Value};

/// An expression and its tests.
#[derive(Debug)]
pub struct ExpressionSuite {
    name: String,
    expression: Expression,
    cases: Vec<Case>,
}

/// One test.
#[derive(Debug)]
pub struct Case {
    name: String,
    line: usize,
    expected: Expected,
    when: Variables,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Expected {
    Truth(bool),
    /// An error whose message has this part.
    Error(String),
}

/// How a test went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As expected.
    Passed,
    /// Otherwise, and how.
    Failed(String),
}

const SUITE_KEYS: [&str; 5] = ["name", "expr", "tests", "language", "dialect"];
const CASE_KEYS: [&str; 5] = ["name", "expect", "error", "expect_error", "when"];

impl ExpressionSuite {
    /// Reads a file of tests. Nothing is returned if it cannot be used; why is in `diagnostics`.
    pub fn parse(file_name: &str, text: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        let document = yaml::parse(file_name, text, diagnostics)?;
        let mut reader = Reader { document: &document, diagnostics };
        let suite = reader.suite();
        diagnostics.sort();
        suite.filter(|_| !diagnostics.has_errors())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its tests, in the order of the file.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// Runs a test.
    pub fn judge(&self, case: &Case) -> Verdict {
        let outcome = self.expression.evaluate(&case.when);
        let as_expected = match (&case.expected, outcome) {
            (Expected::Truth(expected), outcome) => outcome == Outcome::from(*expected),
            (Expected::Error(part), Outcome::Error(error)) => self.is_told(error, part),
            (Expected::Error(_), _) => false,
        };
        if as_expected {
            return Verdict::Passed;
        }
        let found = match outcome {
            Outcome::True => "true".to_owned(),
            Outcome::False => "false".to_owned(),
            Outcome::Unknown(name) => format!("unknown: {name} is not evaluated here"),
            Outcome::Error(error) => format!("the error {:?}", self.message(error)),
        };
        Verdict::Failed(match &case.expected {
            Expected::Truth(expected) => format!("expected {expected}, got {found}"),
            Expected::Error(part) => format!("expected an error that says {part:?}, got {found}"),
        })
    }

    /// What every part of the expression gave in a test, a line each.
    pub fn explain(&self, case: &Case) -> Vec<String> {
        fn lines(trace: &Trace, depth: usize, out: &mut Vec<String>) {
            out.push(format!("{}{} = {}", "  ".repeat(depth), trace.text, trace.result));
            trace.parts.iter().for_each(|part| lines(part, depth + 1, out));
        }
        let mut out = Vec::new();
        lines(&self.expression.trace(&case.when), 0, &mut out);
        out
    }

    /// The error as it is told, with the key that is missing.
    fn message(&self, error: EvaluationError) -> String {
        let part = self.expression.text().get(error.span()).unwrap_or_default();
        match error.kind {
            ErrorKind::NoSuchKey => format!("{error}: {}", last_key(part)),
            _ => error.to_string(),
        }
    }

    /// Whether an error is the expected one: by our words, or by those of Google's tool for it.
    fn is_told(&self, error: EvaluationError, part: &str) -> bool {
        let googles: &[&str] = match error.kind {
            ErrorKind::NoNumber => &["strconv.ParseInt", "invalid syntax", "type conversion error"],
            ErrorKind::Overflow => &["integer overflow", "value out of range"],
            ErrorKind::NoAddress => &["invalid IP address"],
            ErrorKind::NoRange => &["invalid IP range"],
            ErrorKind::WrongType => &["no such overload"],
            ErrorKind::NoSuchIndex => &["index out of bounds"],
            _ => &[],
        };
        self.message(error).contains(part)
            || googles.iter().any(|words| part.contains(words) || words.contains(part))
    }
}

impl Case {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The line of the file where it begins, from 1.
    pub fn line(&self) -> usize {
        self.line
    }
}

/// The key that a path asks for last.
fn last_key(path: &str) -> &str {
    let inner = path.strip_suffix(']').and_then(|path| path.rsplit_once('[')).map(|(_, key)| key);
    match inner {
        Some(key) => key.trim_matches(['\'', '"', ' ']),
        None => path.rsplit('.').next().unwrap_or(path),
    }
}

struct Reader<'a> {
    document: &'a Document,
    diagnostics: &'a mut Diagnostics,
}

impl Reader<'_> {
    fn report(&mut self, path: &YamlPath, part: Part, diagnostic: Diagnostic) {
        self.document.report(self.diagnostics, path, part, diagnostic);
    }

    fn suite(&mut self) -> Option<ExpressionSuite> {
        let root = YamlPath::root();
        if !matches!(self.document.root.value, Value::Mapping(_)) {
            let message = "this is no file of tests: it has to have `name`, `expr` and `tests`";
            self.report(&root, Part::Value, Diagnostic::error(code::WRONG_TYPE, message));
            return None;
        }
        self.known_keys(&root, &SUITE_KEYS);
        let name = self.text(&root, "name").unwrap_or_default();
        let language =
            self.word(&root, "language", &[("armor", Language::Armor), ("iam", Language::IamCondition)]);
        let dialect =
            self.word(&root, "dialect", &[("gcloud", Dialect::Gcloud), ("firegate", Dialect::Firegate)]);
        let Some(text) = self.text(&root, "expr") else {
            self.report(&root, Part::Value, Diagnostic::error(code::MISSING_KEY, "`expr` is missing"));
            return None;
        };
        let expression =
            self.expression(&text, language.unwrap_or(Language::Armor), dialect.unwrap_or(Dialect::Gcloud));
        let tests = root.key("tests");
        let cases = match self.document.get(&tests).map(|node| &node.value) {
            Some(Value::Sequence(nodes)) if !nodes.is_empty() => {
                (0..nodes.len()).filter_map(|index| self.case(&tests.index(index))).collect()
            }
            _ => {
                let error = Diagnostic::error(code::MISSING_KEY, "there are no `tests`");
                self.report(&tests, Part::Value, error);
                Vec::new()
            }
        };
        Some(ExpressionSuite { name, expression: expression?, cases })
    }

    fn expression(&mut self, text: &str, language: Language, dialect: Dialect) -> Option<Expression> {
        let path = YamlPath::root().key("expr");
        match Expression::parse(text, language, dialect) {
            Ok(expression) => {
                for lint in expression.lints() {
                    let finding = Diagnostic::warning(lint.code, lint.message).hint_if(lint.hint);
                    self.report_within(&path, text, lint.span, finding);
                }
                Some(expression)
            }
            Err(errors) => {
                for ExpressionError { span, code, message, hint } in errors {
                    self.report_within(&path, text, span, Diagnostic::error(code, message).hint_if(hint));
                }
                None
            }
        }
    }

    /// Reports a finding about a part of an expression: where the part stands in the file, if it can be found there. A text of
    /// several lines or with escapes is not in the file as it is read, so that the part itself is looked for: as many
    /// occurrences of it come before in the file as in the expression.
    fn report_within(
        &mut self,
        path: &YamlPath,
        text: &str,
        span: std::ops::Range<usize>,
        finding: Diagnostic,
    ) {
        let place = self.document.get(path).and_then(|node| {
            let part = text.get(span.clone()).filter(|part| !part.is_empty())?;
            let before = text.get(..span.start)?.matches(part).count();
            let written = self.document.text().get(node.span.clone())?;
            let (at, _) = written.match_indices(part).nth(before)?;
            let start = node.span.start + at;
            Some(self.document.place_of(start..start + part.len()))
        });
        match place {
            Some(place) => {
                self.diagnostics.push(Diagnostic { path: path.to_string(), place: Some(place), ..finding });
            }
            None => self.report(path, Part::Key, finding),
        }
    }

    fn case(&mut self, path: &YamlPath) -> Option<Case> {
        let node = self.document.get(path)?;
        if !matches!(node.value, Value::Mapping(_)) {
            self.report(path, Part::Value, Diagnostic::error(code::WRONG_TYPE, "a test is a mapping"));
            return None;
        }
        self.known_keys(path, &CASE_KEYS);
        let name = self.text(path, "name").unwrap_or_else(|| path.to_string());
        let expect = match node.get("expect").map(|node| &node.value) {
            None => None,
            Some(Value::Scalar(scalar)) if matches!(scalar.kind, ScalarKind::Boolean(_)) => {
                Some(scalar.kind == ScalarKind::Boolean(true))
            }
            Some(_) => {
                let error = Diagnostic::error(code::WRONG_TYPE, "`expect` is `true` or `false`");
                self.report(&path.key("expect"), Part::Value, error);
                return None;
            }
        };
        let error = self.text(path, "error").or_else(|| self.text(path, "expect_error"));
        if expect == Some(true) && error.is_some() {
            let message = "a test expects either a result or an error";
            self.report(path, Part::Value, Diagnostic::error(code::EITHER_OR, message));
            return None;
        }
        let when_path = path.key("when");
        let when = node.get("when").filter(|node| !node.is_null());
        let (when, unknown) = Variables::of(when);
        for key in unknown {
            let path = key.iter().fold(when_path.clone(), |path, key| path.key(key));
            let message = format!("{} is not evaluated", quoted(&key.join(".")));
            let note = Diagnostic::warning(code::UNKNOWN_KEY, message);
            let hint =
                nearest(&key.join("."), variables::known()).map(|name| format!("did you mean `{name}`?"));
            self.report(&path, Part::Key, note.hint_if(hint));
        }
        let expected = error.map_or(Expected::Truth(expect.unwrap_or(false)), Expected::Error);
        let line = self.document.place_of(node.span.clone()).line;
        Some(Case { name, line, expected, when })
    }

    fn known_keys(&mut self, path: &YamlPath, known: &[&str]) {
        for key in self.document.keys(path) {
            if !known.contains(&key.as_str()) {
                let finding = Diagnostic::warning(code::UNKNOWN_KEY, format!("unknown key {}", quoted(&key)));
                let hint = nearest(&key, known.iter().copied()).map(|name| format!("did you mean `{name}`?"));
                self.report(&path.key(&key), Part::Key, finding.hint_if(hint));
            }
        }
    }

    fn text(&mut self, path: &YamlPath, key: &str) -> Option<String> {
        let path = path.key(key);
        let node = self.document.get(&path)?;
        match &node.value {
            Value::Scalar(scalar) if scalar.kind != ScalarKind::Null => Some(scalar.text.clone()),
            Value::Scalar(_) => None,
            _ => {
                let error = Diagnostic::error(code::WRONG_TYPE, format!("`{key}` is a text"));
                self.report(&path, Part::Value, error);
                None
            }
        }
    }

    fn word<T: Copy>(&mut self, path: &YamlPath, key: &str, words: &[(&str, T)]) -> Option<T> {
        let written = self.text(path, key)?;
        let found = words.iter().find(|(word, _)| *word == written).map(|(_, value)| *value);
        if found.is_none() {
            let message = format!("{} is no {key}", quoted(&written));
            let hint = crate::suggestion::alternatives(words.iter().map(|(word, _)| *word));
            self.report(
                &path.key(key),
                Part::Value,
                Diagnostic::error(code::UNKNOWN_VALUE, message).hint(format!("write {hint}")),
            );
        }
        found
    }
}

/// Whether a node is a mapping, and its entries.
fn entries(node: &Node) -> &[yaml::Entry] {
    match &node.value {
        Value::Mapping(entries) => entries,
        Value::Sequence(_) | Value::Scalar(_) => &[],
    }
}

#[cfg(test)]
mod tests;
