//! What a decision comes to.

use crate::cors::PreflightAnswer;
use crate::observed::Observed;
use crate::permit::Permit;
use crate::reason::{Denial, Fault};
use crate::route::RedirectAnswer;

/// How a request ends.
#[derive(Debug)]
pub enum Outcome {
    /// It is forwarded.
    Permit(Box<Permit>),
    /// It is forwarded although it would be refused, because its backend is only observed.
    Observed(Box<Observed>),
    /// It is answered here.
    Respond(Respond),
    /// The rules refuse it.
    Denial(Denial),
    /// It could not be decided.
    Fault(Fault),
}

/// What is answered without a service.
#[derive(Debug)]
pub enum Respond {
    /// A preflight that is allowed.
    Preflight(PreflightAnswer),
    /// The way to somewhere else.
    Redirect(RedirectAnswer),
}
