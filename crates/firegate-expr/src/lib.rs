//! Expressions: Cloud Armor's custom rules language and IAM conditions, exactly what Google accepts and nothing else, or with
//! the verified user in them.
//!
//! ```
//! use std::borrow::Cow;
//! use firegate_expr::{Attribute, Attributes, Dialect, Expression, Fact, Language, Outcome, Value};
//!
//! struct Request;
//! impl Attributes for Request {
//!     fn attribute(&self, attribute: Attribute) -> Fact<'_> {
//!         match attribute {
//!             Attribute::RequestPath => Fact::Known(Value::text("/admin/users")),
//!             _ => Fact::Absent,
//!         }
//!     }
//!     fn header(&self, _: &str) -> Option<Cow<'_, [u8]>> { None }
//!     fn has_user(&self) -> bool { false }
//!     fn claim(&self, _: &str) -> Fact<'_> { Fact::Absent }
//! }
//!
//! let text = "request.path.startsWith('/admin/') && !has(request.headers['x-ticket'])";
//! let expression = Expression::parse(text, Language::Armor, Dialect::Gcloud).expect("a sound expression");
//! assert_eq!(expression.evaluate(&Request), Outcome::True);
//! ```
//!
//! The way of a text: `syntax` makes a tree, `check` finds out what every name means and refuses what the language or the
//! dialect does not have, `evaluate` answers for a request. [`outcome`] says how errors and what is unknown combine.
#![forbid(unsafe_code)]

mod attribute;
pub mod calendar;
mod check;
pub mod code;
mod evaluate;
mod expression;
mod functions;
mod language;
mod letter_case;
pub mod limits;
mod lint;
pub mod outcome;
mod problem;
mod regular_expression;
pub mod suggestion;
mod syntax;
mod template;
#[cfg(test)]
mod tests;
mod trace;
mod value;

pub use attribute::{Attribute, Attributes, Fact};
pub use check::UnknownPart;
pub use expression::Expression;
pub use language::{Dialect, Language};
pub use letter_case::PathLetters;
pub use outcome::{ErrorKind, EvaluationError, Outcome};
pub use problem::{ExpressionError, Lint};
pub use regular_expression::WrittenLetters;
pub use trace::{Trace, Traced};
pub use value::{Duration, Timestamp, Value};
