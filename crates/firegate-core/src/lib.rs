//! The decision: who may pass to which service, and why not. Pure: no I/O, no runtime, clock and randomness passed in.
//!
//! A request's way through the modules, each of which takes what the one before it made:
//! [`facts`] → [`route`] → [`cors`] → [`token_source`] → [`identity`] → [`app_check`] → [`iam`] → [`permit`] →
//! [`assertion`], driven by [`decision`]. [`exchange`] asks the same machine for a token instead of a forwarded request.

pub mod app_check;
pub mod armor;
pub mod assertion;
pub mod conceal;
pub mod cors;
pub mod decision;
pub mod exchange;
pub mod facts;
pub mod forwarded;
pub mod headers;
pub mod iam;
pub mod identity;
pub mod jose;
pub mod limiter;
pub mod limits;
mod method_override;
pub mod observed;
mod parameter;
pub mod path;
pub mod permit;
pub mod reason;
pub mod route;
pub mod snapshot;
pub mod time;
pub mod token_source;
pub mod trace;

/// Expressions and what their parts gave, for those who explain a decision.
pub use firegate_expr as expressions;
