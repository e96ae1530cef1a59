//! Whether a file is what its format says: one walk that reports everything.

use super::message_type::{Field, MessageType, Shape, Treatment};
use super::{GoogleFile, Located};
use crate::compat::FORMATS;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, YamlPath, code};
use crate::export::other_format;
use crate::suggestion::{alternatives, nearest, quoted};
use crate::yaml::{Entry, Node, Part, Scalar, ScalarKind, Value, of_other_language};

/// A field by another name than the format's, as Terraform writes it for example; it was reported as an error.
#[derive(Debug)]
pub(super) struct Slip {
    pub(super) path: YamlPath,
    /// The name that was meant.
    pub(super) meant: &'static str,
}

/// Compares a file with its format, and returns the slips in it, the outer ones first; none if it holds what is no message of
/// the format at all.
pub(super) fn check(file: &GoogleFile, diagnostics: &mut Diagnostics) -> Option<Vec<Slip>> {
    let mut all = true;
    for root in file.messages() {
        all &= is_message(file.format, &root, diagnostics);
    }
    if !all {
        return None;
    }
    let mut walk = Walk { fields: file.format.all_fields(), slips: Vec::new(), diagnostics };
    file.messages().for_each(|root| walk.message(file.format, &root));
    Some(walk.slips)
}

struct Walk<'a> {
    /// Every field that a file of the format may have, with its path.
    fields: Vec<(String, &'static Field)>,
    slips: Vec<Slip>,
    diagnostics: &'a mut Diagnostics,
}

fn is_message(format: &MessageType, root: &Located<'_>, diagnostics: &mut Diagnostics) -> bool {
    if !matches!(root.node().value, Value::Mapping(_)) {
        let message = format!(
            "this file is no `{}`: expected a mapping, found {}",
            format.name,
            root.node().value.described()
        );
        let hint = root.text().and_then(of_other_language);
        root.report(diagnostics, Part::Value, Diagnostic::error(code::WRONG_TYPE, message).hint_if(hint));
        return false;
    }
    if root.get("terraform_version").is_some() {
        let message =
            format!("expected a `{}`, and this is Terraform's own record of what it made", format.name);
        // Such a record holds secrets of whatever was made.
        let found = Diagnostic::error(code::OTHER_KIND, message).hint_if(export_command(format)).conceal();
        root.report(diagnostics, Part::Value, found);
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
    if let (None, Some(kind)) = (format.field("kind"), root.get("kind")) {
        let found = quoted(kind.text().unwrap_or_default());
        let message = format!("a `{}` has no `kind`: this is a file of the kind {found}", format.name);
        kind.report(diagnostics, Part::Value, Diagnostic::error(code::OTHER_KIND, message));
        return false;
    }
    // Read as what it is not, a file says nothing: as a security policy, that nobody is refused.
    if let Some(other) = other_format(format, root.node()) {
        let message =
            format!("expected a `{}`, and this has the fields of another file: {}", format.name, other.title);
        let found = Diagnostic::error(code::OTHER_KIND, message)
            .hint(format!("such a file is named as `{}`; were two names swapped?", other.key));
        root.report(diagnostics, Part::Value, found);
        return false;
    }
    true
}

/// How a file of a format is made.
fn export_command(format: &MessageType) -> Option<String> {
    let known = FORMATS.iter().find(|known| std::ptr::eq(known.fields, format))?;
    Some(format!("`{}` writes such a file", known.command))
}

impl Walk<'_> {
    fn message(&mut self, format: &MessageType, located: &Located<'_>) {
        for (name, value) in located.entries() {
            match format.field(name) {
                Some(known) => self.field(known, &value),
                None => self.unknown(format, name, &value),
            }
        }
    }

    fn field(&mut self, field: &Field, located: &Located<'_>) {
        match field.treatment {
            Treatment::Evaluated | Treatment::Kept => self.value(&field.shape, field.treatment, located),
            // What Google sets, and what nobody reads, may have any shape.
            Treatment::OutputOnly => {}
            // An export writes out what is switched off too, and nobody misses that.
            Treatment::WithoutEffect(_) if is_off(&located.node().value) => {}
            Treatment::WithoutEffect(why) => {
                let message = format!("`{}` has no effect here: {why}", field.name);
                let note = Diagnostic::note(code::FIELD_WITHOUT_EFFECT, message);
                located.report(self.diagnostics, Part::Key, note);
            }
            Treatment::Refused(why) => {
                let message = format!("`{}` is not supported: {why}", field.name);
                located.report(self.diagnostics, Part::Key, Diagnostic::error(code::FIELD_REFUSED, message));
            }
        }
    }

    fn value(&mut self, shape: &Shape, treatment: Treatment, located: &Located<'_>) {
        if !located.fits(shape) {
            let mut finding = misfit(shape, located);
            if treatment == Treatment::Kept {
                finding.severity = Severity::Warning;
            }
            located.report(self.diagnostics, Part::Value, finding);
            return;
        }
        match shape {
            Shape::Message(format) => self.message(format, located),
            Shape::List(element) => {
                located.elements().for_each(|part| self.value(element, treatment, &part));
            }
            Shape::Map(element) => {
                located.entries().for_each(|(_, part)| self.value(element, treatment, &part));
            }
            Shape::Duration => duration(located, self.diagnostics),
            _ => {}
        }
    }

    /// Google's files gain fields over time, so an unknown one refuses nothing. One that is nearly known, or known elsewhere,
    /// is a slip: if what was meant is evaluated, the file would mean something else without it.
    fn unknown(&mut self, format: &MessageType, name: &str, located: &Located<'_>) {
        let names = format.fields.iter().map(|field| field.name);
        let meant = nearest(name, names).and_then(|meant| format.field(meant));
        let elsewhere = self.elsewhere(name);
        let is_missed = meant.is_some_and(Field::has_effect) || elsewhere.is_some();
        let consequence = match format.others_refused() {
            Some(why) => why,
            None if is_missed => "it would be missed",
            None => "it is kept and has no effect",
        };
        let message = format!("`{}` has no field {}: {consequence}", format.name, quoted(name));
        let refused = is_missed || format.others_refused().is_some();
        let slip = meant.filter(|meant| {
            refused
                && elsewhere.is_none()
                && meant.treatment == Treatment::Evaluated
                && located.fits(&meant.shape)
        });
        let finding = match (refused, meant) {
            (true, _) => Diagnostic::error(code::UNKNOWN_FIELD, message),
            (false, Some(_)) => Diagnostic::warning(code::UNKNOWN_FIELD, message),
            (false, None) => Diagnostic::note(code::UNKNOWN_FIELD, message),
        };
        let hint = match (meant, elsewhere) {
            (_, Some(place)) => Some(format!("it belongs to {place}: how far is it indented?")),
            (Some(meant), None) => Some(format!("did you mean `{}`?", meant.name)),
            (None, None) => None,
        };
        located.report(self.diagnostics, Part::Key, finding.hint_if(hint));
        if let Some(meant) = slip {
            self.slips.push(Slip { path: located.path().clone(), meant: meant.name });
            self.field(meant, located);
        }
    }

    /// Where an evaluated field of this name belongs.
    fn elsewhere(&self, name: &str) -> Option<String> {
        let (path, _) = self.fields.iter().find(|(_, field)| field.name == name && field.has_effect())?;
        Some(match path.rsplit_once('.') {
            Some((message, _)) => format!("`{message}`"),
            None => "the top of the file".to_owned(),
        })
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
    let text = match &located.node().value {
        Value::Scalar(Scalar { text, .. }) => text,
        Value::Mapping(entries) => {
            return match (shape, entries.as_slice()) {
                (Shape::List(_), _) => diagnostic.hint("begin each of its elements with `- `"),
                (
                    Shape::Text,
                    [Entry { key, value: Node { value: Value::Scalar(Scalar { text, .. }), .. }, .. }],
                ) => {
                    diagnostic.hint(format!("write it without the blank behind the colon: `'{key}:{text}'`"))
                }
                _ => diagnostic,
            };
        }
        Value::Sequence(_) => return diagnostic,
    };
    match shape {
        Shape::Boolean if ["true", "false"].contains(&text.as_str()) => {
            diagnostic.hint(format!("write it without quotes: `{text}`"))
        }
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
