//! Conditions of bindings and deny rules.

use std::sync::Arc;

use firegate_expr::{Dialect, Expression, ExpressionError, Language};

use crate::diagnostic::{Diagnostic, Diagnostics, Place, code};
use crate::google_file::{Located, Part};

/// Under which condition a binding or a deny rule holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// What it is called; the expression if it has no title.
    pub title: String,
    /// What has to be true.
    pub expression: Arc<Expression>,
    /// Where the expression stands.
    pub place: Option<Place>,
}

impl Condition {
    /// Reads a condition. `None` if it cannot be read, which is in `diagnostics` then. `by_an_error` is what follows if it
    /// cannot be evaluated.
    pub(super) fn read(
        located: &Located<'_>,
        dialect: Dialect,
        by_an_error: &str,
        diagnostics: &mut Diagnostics,
    ) -> Option<Arc<Self>> {
        let title = located.get("title").and_then(|title| title.text()).unwrap_or_default();
        let Some(given) = located.get("expression") else {
            let found = Diagnostic::error(code::MISSING_KEY, "a condition has no `expression`");
            located.report_field("expression", diagnostics, found);
            return None;
        };
        // A value of another shape was reported with the form of the file.
        let text = given.text()?;
        if title.is_empty() && dialect == Dialect::Gcloud {
            let found = Diagnostic::warning(code::IAM_CONDITION, "a condition has no `title`")
                .hint("Google documents one as required: name what the condition is for");
            located.report_field("title", diagnostics, found);
        }
        match Expression::parse(text, Language::IamCondition, dialect) {
            Ok(expression) => {
                for lint in expression.lints() {
                    let message = match lint.code {
                        firegate_expr::code::HAS_MISSING => format!("{}, and {by_an_error}", lint.message),
                        _ => lint.message,
                    };
                    let found = Diagnostic::warning(lint.code, message).hint_if(lint.hint);
                    given.report_within(diagnostics, lint.span, found);
                }
                let title = if title.is_empty() { text } else { title };
                let expression = Arc::new(expression);
                Some(Arc::new(Self { title: title.to_owned(), expression, place: given.place() }))
            }
            Err(errors) => {
                for ExpressionError { span, code, message, hint } in errors {
                    given.report_within(diagnostics, span, Diagnostic::error(code, message).hint_if(hint));
                }
                None
            }
        }
    }
}

/// That a condition is there and has another shape than a condition's reads as none: the binding must not lose it.
pub(super) fn condition_of<'a>(
    located: &Located<'a>,
    name: &str,
    dialect: Dialect,
    by_an_error: &str,
    diagnostics: &mut Diagnostics,
) -> Result<Option<Arc<Condition>>, ()> {
    let Some(given) = located.get(name) else { return Ok(None) };
    if given.entries().next().is_none() {
        let found = Diagnostic::error(code::IAM_CONDITION, "an empty condition says nothing")
            .hint("write its `expression`, or remove it");
        given.report(diagnostics, Part::Key, found);
        return Err(());
    }
    Condition::read(&given, dialect, by_an_error, diagnostics).map(Some).ok_or(())
}
