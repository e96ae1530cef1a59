//! Why an expression said what it said: a verdict for every part, with the values that decided. It is for people; a request is
//! judged by [`crate::Expression::evaluate`].

use std::fmt;
use std::ops::Range;

use crate::attribute::{Attribute, Attributes};
use crate::check::node::{Node, Operation, Type};
use crate::evaluate::Evaluation;
use crate::limits::TRACE_VALUE_CHARACTERS_MAX;
use crate::outcome::Outcome;
use crate::value::Value;

/// A part of an expression and what it gave. Every part is evaluated by itself, so that those are there too that the
/// evaluation did not need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The part, as it is written.
    pub text: String,
    /// The bytes of the expression where it stands.
    pub span: Range<usize>,
    /// What it gave.
    pub result: Traced,
    /// The parts below that are not written down as values.
    pub parts: Vec<Trace>,
}

/// What a part gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Traced {
    /// It is a verdict.
    Verdict(Outcome),
    /// Another value, shortened, and never one that could be a token.
    Value(String),
}

impl fmt::Display for Traced {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verdict(Outcome::True) => formatter.write_str("true"),
            Self::Verdict(Outcome::False) => formatter.write_str("false"),
            Self::Verdict(Outcome::Unknown(name)) => {
                write!(formatter, "unknown ({name} is not evaluated here)")
            }
            Self::Verdict(Outcome::Error(error)) => write!(formatter, "error ({error})"),
            Self::Value(value) => formatter.write_str(value),
        }
    }
}

/// Headers in which tokens and secrets travel: their values are never shown.
const SECRET_HEADERS: [&str; 9] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-api-key",
    "x-firebase-appcheck",
    "x-firegate-assertion",
    "x-forwarded-authorization",
    "x-goog-iap-jwt-assertion",
    "x-serverless-authorization",
];

pub(crate) fn trace(text: &str, node: &Node, attributes: &dyn Attributes) -> Trace {
    let span = node.span.0 as usize..node.span.1 as usize;
    let parts = node
        .children()
        .into_iter()
        .filter(|child| !matches!(child.operation, Operation::Constant(_) | Operation::List(_)))
        .map(|child| trace(text, child, attributes))
        .collect();
    Trace {
        text: text.get(span.clone()).unwrap_or_default().to_owned(),
        span,
        result: result(node, attributes),
        parts,
    }
}

fn result(node: &Node, attributes: &dyn Attributes) -> Traced {
    let evaluation = Evaluation::new(attributes);
    if node.kind == Type::Bool {
        return Traced::Verdict(evaluation.outcome(node));
    }
    match evaluation.value(node) {
        Err(stop) => Traced::Verdict(stop.into()),
        Ok(Value::Bool(truth)) => Traced::Verdict(truth.into()),
        Ok(_) if reads_secret(node) => Traced::Value("(not shown)".to_owned()),
        Ok(value) => Traced::Value(shown(value)),
    }
}

/// Whether a part is made of a header that may hold a secret.
fn reads_secret(node: &Node) -> bool {
    let own = match &node.operation {
        Operation::Header(name) => SECRET_HEADERS.contains(&&**name),
        Operation::HeaderOf(_) => true,
        // A token may stand in the query of a WebSocket's or a download's address.
        Operation::Attribute(attribute) => *attribute == Attribute::RequestQuery,
        _ => false,
    };
    own || node.children().into_iter().any(reads_secret)
}

fn shown(value: Value<'_>) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(int) => int.to_string(),
        Value::Double(double) => format!("{double:?}"),
        Value::Timestamp(time) => format!("{} s since 1970", time.seconds()),
        Value::Duration(length) => format!("{} s", length.nanoseconds() / 1_000_000_000),
        Value::List(list) => format!("a list of {}", list.len()),
        Value::Texts(list) => format!("a list of {}", list.len()),
        Value::Object(members) => format!("a map of {}", members.len()),
        text @ (Value::Text(_) | Value::Address(_)) => {
            let text = text.into_text().unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            // Every JWT begins so: it is the base64 of `{"`.
            if text.contains("eyJ") {
                return "(not shown)".to_owned();
            }
            let mut out: String =
                text.chars().take(TRACE_VALUE_CHARACTERS_MAX).flat_map(char::escape_debug).collect();
            if text.chars().count() > TRACE_VALUE_CHARACTERS_MAX {
                out.push('…');
            }
            format!("'{out}'")
        }
    }
}
