//! Whether a file is what its format says: one walk that reports everything.

use super::message_type::{Field, MessageType, Shape, Treatment};
use super::{GoogleFile, Located};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, code};
use crate::suggestion::{alternatives, nearest, quoted};
use crate::yaml::{Part, Scalar, ScalarKind, Value};

/// Compares a file with its format; `false` if it holds what is no message of it at all.
pub(super) fn check(file: &GoogleFile, diagnostics: &mut Diagnostics) -> bool {
    let mut all = true;
    for root in file.messages() {
        all &= is_message(file.format, &root, diagnostics);
    }
    if all {
        file.messages().for_each(|root| message(file.format, &root, diagnostics));
    }
    all
}

fn is_message(format: &MessageType, root: &Located<'_>, diagnostics: &mut Diagnostics) -> bool {
    if !matches!(root.node().value, Value::Mapping(_)) {
        let message = format!(
            "this file is no `{}`: expected a mapping, found {}",
            format.name,
            root.node().value.described()
        );
        root.report(diagnostics, Part::Value, Diagnostic::error(code::WRONG_TYPE, message));
        return false;
    }
    if let (Some(kind), Some(given)) = (format.kind, root.get("kind"))
        && given.text().is_some_and(|text| text != kind)
    {
        let found = given.text().unwrap_or_default();
        let message = format!("expected a file of the kind `{kind}`, found {}", quoted(found));
        given.report(diagnostics, Part::Value, Diagnostic::error(code::OTHER_KIND, message));
        return false;
    }
    true
}

fn message(format: &MessageType, located: &Located<'_>, diagnostics: &mut Diagnostics) {
    for (name, value) in located.entries() {
        match format.field(name) {
            Some(known) => field(known, &value, diagnostics),
            None => unknown(format, name, &value, diagnostics),
        }
    }
}

fn field(field: &Field, located: &Located<'_>, diagnostics: &mut Diagnostics) {
    match field.treatment {
        Treatment::Evaluated | Treatment::Kept => value(&field.shape, field.treatment, located, diagnostics),
        // What Google sets, and what nobody reads, may have any shape.
        Treatment::OutputOnly => {}
        // An export writes out what is switched off too, and nobody misses that.
        Treatment::WithoutEffect(_) if is_off(&located.node().value) => {}
        Treatment::WithoutEffect(why) => {
            let message = format!("`{}` has no effect here: {why}", field.name);
            let note = Diagnostic::note(code::FIELD_WITHOUT_EFFECT, message);
            located.report(diagnostics, Part::Key, note);
        }
        Treatment::Refused(why) => {
            let message = format!("`{}` is not supported: {why}", field.name);
            located.report(diagnostics, Part::Key, Diagnostic::error(code::FIELD_REFUSED, message));
        }
    }
}

/// Whether a value switches nothing on: `false`, 0, `NONE`, or nothing but such.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Scalar(Scalar { text, kind }) => match kind {
            ScalarKind::Null | ScalarKind::Boolean(false) => true,
            ScalarKind::Integer | ScalarKind::Float => text.parse() == Ok(0.0),
            ScalarKind::Text => matches!(text.as_str(), "" | "NONE" | "DISABLED"),
            ScalarKind::Boolean(true) => false,
        },
        Value::Sequence(nodes) => nodes.iter().all(|node| is_off(&node.value)),
        Value::Mapping(entries) => entries.iter().all(|entry| is_off(&entry.value.value)),
    }
}

fn value(shape: &Shape, treatment: Treatment, located: &Located<'_>, diagnostics: &mut Diagnostics) {
    if !located.fits(shape) {
        let mut finding = misfit(shape, located);
        if treatment == Treatment::Kept {
            finding.severity = Severity::Warning;
        }
        located.report(diagnostics, Part::Value, finding);
        return;
    }
    match shape {
        Shape::Message(format) => message(format, located, diagnostics),
        Shape::List(element) => {
            located.elements().for_each(|part| value(element, treatment, &part, diagnostics));
        }
        Shape::Map(element) => {
            located.entries().for_each(|(_, part)| value(element, treatment, &part, diagnostics));
        }
        Shape::Duration => duration(located, diagnostics),
        _ => {}
    }
}

fn duration(located: &Located<'_>, diagnostics: &mut Diagnostics) {
    if located.duration().is_none() {
        let message = "this is no duration";
        let hint = "write `seconds:` and `nanos:` as whole numbers from 0, for example `{seconds: 30}`";
        located.report(diagnostics, Part::Value, Diagnostic::error(code::QUANTITY, message).hint(hint));
    }
    for (name, part) in located.entries() {
        if !["seconds", "nanos"].contains(&name) {
            let message = format!("a duration has no field {}", quoted(name));
            let hint = "its fields are `seconds` and `nanos`";
            part.report(diagnostics, Part::Key, Diagnostic::error(code::UNKNOWN_FIELD, message).hint(hint));
        }
    }
}

/// Google's files gain fields over time, so an unknown one refuses nothing; one that is nearly known is a slip.
fn unknown(format: &MessageType, name: &str, located: &Located<'_>, diagnostics: &mut Diagnostics) {
    let message = format!("`{}` has no field {}: it is kept and has no effect", format.name, quoted(name));
    let names = format.fields.iter().map(|field| field.name);
    let finding = match nearest(name, names) {
        Some(meant) => {
            Diagnostic::warning(code::UNKNOWN_FIELD, message).hint(format!("did you mean `{meant}`?"))
        }
        None => Diagnostic::note(code::UNKNOWN_FIELD, message),
    };
    located.report(diagnostics, Part::Key, finding);
}

fn misfit(shape: &Shape, located: &Located<'_>) -> Diagnostic {
    if let (Shape::Word(words) | Shape::WordInAnyCase(words), Some(text)) = (shape, located.text()) {
        let message = format!("{} cannot stand here", quoted(text));
        let hint = match nearest(text, words.iter().copied()) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("write {}", alternatives(words.iter().copied())),
        };
        return Diagnostic::error(code::UNKNOWN_VALUE, message).hint(hint);
    }
    let message = format!("expected {}, found {}", expected(shape), located.node().value.described());
    let diagnostic = Diagnostic::error(code::WRONG_TYPE, message);
    let Value::Scalar(Scalar { text, .. }) = &located.node().value else { return diagnostic };
    match shape {
        Shape::List(_) => diagnostic.hint(format!("write a list: `[{text}]`")),
        Shape::Text | Shape::Resource => diagnostic.hint(format!("write it in quotes: `'{text}'`")),
        Shape::Duration => diagnostic.hint("write `{seconds: 30}`"),
        _ => diagnostic,
    }
}

fn expected(shape: &Shape) -> String {
    match shape {
        Shape::Text => "text".to_owned(),
        Shape::Boolean => "`true` or `false`".to_owned(),
        Shape::Integer => "a whole number".to_owned(),
        Shape::Number => "a number".to_owned(),
        Shape::Word(words) | Shape::WordInAnyCase(words) => alternatives(words.iter().copied()),
        Shape::Duration => "a duration `{seconds, nanos}`".to_owned(),
        Shape::Resource => "the name or URL of a resource".to_owned(),
        Shape::Message(format) => format!("a mapping, `{}`", format.name),
        Shape::List(_) => "a list".to_owned(),
        Shape::Map(_) => "a mapping".to_owned(),
        Shape::Any => "a value".to_owned(),
    }
}
