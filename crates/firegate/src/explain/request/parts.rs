//! Which parts of an expression decided it, out of a trace of all its parts.

use firegate_core::expressions::{Outcome, Trace, Traced};
use serde::Serialize;

use super::super::limits::PARTS_SHOWN_MAX;

/// A part that decided, and what it gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartLine {
    /// The part as it is written.
    pub text: String,
    /// `true`, `false`, or why it is neither.
    pub result: String,
    /// What it compares: `request.path is '/orders'`.
    pub values: Vec<String>,
}

/// The parts that decided, or the first of them.
pub(in crate::explain) fn deciding(trace: &Trace) -> Vec<PartLine> {
    let mut found = Vec::new();
    collect(trace, &mut found);
    found.truncate(PARTS_SHOWN_MAX);
    found
}

/// What the whole expression gave.
pub(super) fn outcome(trace: &Trace) -> Option<&Outcome> {
    match &trace.result {
        Traced::Verdict(outcome) => Some(outcome),
        Traced::Value(_) => None,
    }
}

/// How many of the parts are true of which it is made: how near an expression came.
pub(super) fn true_parts(trace: &Trace) -> usize {
    let verdicts = trace.parts.iter().filter(|part| outcome(part).is_some()).collect::<Vec<_>>();
    if verdicts.is_empty() {
        return usize::from(outcome(trace) == Some(&Outcome::True));
    }
    verdicts.into_iter().map(true_parts).sum()
}

/// A conjunction is false by its false parts, and a disjunction true by its true ones: those that gave what the whole gave.
/// Where none did, the whole is a negation or a choice, and all its parts are told.
fn collect(trace: &Trace, found: &mut Vec<PartLine>) {
    let verdicts = trace.parts.iter().filter(|part| outcome(part).is_some()).collect::<Vec<_>>();
    if verdicts.is_empty() {
        let values = trace.parts.iter().map(|part| format!("{} is {}", part.text, part.result));
        let (text, result) = (trace.text.clone(), trace.result.to_string());
        found.push(PartLine { text, result, values: values.collect() });
        return;
    }
    let is_alike = |part: &&&Trace| part.result == trace.result;
    let alike = verdicts.iter().filter(is_alike).copied().collect::<Vec<_>>();
    let told = if alike.is_empty() { verdicts } else { alike };
    told.into_iter().for_each(|part| collect(part, found));
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use firegate_core::expressions::{Attribute, Attributes, Dialect, Expression, Fact, Language, Value};

    use super::*;

    struct Request;

    impl Attributes for Request {
        fn attribute(&self, attribute: Attribute) -> Fact<'_> {
            match attribute {
                Attribute::RequestPath => Fact::Known(Value::text("/orders")),
                Attribute::RequestMethod => Fact::Known(Value::text("GET")),
                _ => Fact::Absent,
            }
        }

        fn header(&self, _: &str) -> Option<Cow<'_, [u8]>> {
            None
        }

        fn has_user(&self) -> bool {
            false
        }

        fn claim(&self, _: &str) -> Fact<'_> {
            Fact::Absent
        }
    }

    fn check(text: &str, expected: &[&str]) {
        let expression = Expression::parse(text, Language::Armor, Dialect::Gcloud).expect("an expression");
        let found = deciding(&expression.trace(&Request));
        let found =
            found.iter().map(|part| format!("{}: {} [{}]", part.result, part.text, part.values.join("; ")));
        assert_eq!(found.collect::<Vec<_>>(), expected, "{text}");
    }

    #[test]
    fn the_parts_that_decided_are_told_and_no_others() {
        let (get, orders) = ("request.method == 'GET'", "request.path.startsWith('/admin')");
        let of_get = "true: request.method == 'GET' [request.method is 'GET']";
        let of_orders = "false: request.path.startsWith('/admin') [request.path is '/orders']";
        check(get, &[of_get]);
        check(&format!("{get} && {orders}"), &[of_orders]);
        check(&format!("{get} || {orders}"), &[of_get]);
        check(&format!("!({get}) || {orders}"), &[of_get, of_orders]);
        check("request.headers['x-a'] == 'b'", &["error (no such key): request.headers['x-a'] []"]);
    }
}
