//! What becomes of a refusal by a backend that is only observed.

use std::sync::Arc;

use super::{Asked, Outcome, Purpose, Step, is_foreign};
use crate::facts::RequestFacts;
use crate::observed::{Observed, Refusal};
use crate::route::RouteEntry;
use crate::snapshot::Backend;
use crate::token_source::PresentedToken;

/// A request to a backend that is only observed.
#[derive(Clone, Debug)]
pub(super) struct Observing<'a> {
    facts: &'a RequestFacts<'a>,
    backend: Arc<Backend>,
    route: Option<RouteEntry>,
}

impl<'a> Observing<'a> {
    /// The same as `asked`, if its backend is observed. A token is never exchanged for one who may not have it.
    pub(super) fn of(asked: &Asked<'a>) -> Option<Self> {
        let observes = asked.backend.observes() && matches!(asked.purpose, Purpose::Forward);
        observes.then(|| Self {
            facts: asked.facts,
            backend: Arc::clone(&asked.backend),
            route: asked.route.clone(),
        })
    }

    /// Lets a refused request through, and sees to it that the same is done with one that waits.
    pub(super) fn let_through(self, step: Step<'a>) -> Step<'a> {
        let refusal = match step {
            Step::Done(Outcome::Denial(denial)) => Refusal::Denial(denial),
            Step::Done(Outcome::Fault(fault)) => Refusal::Fault(fault),
            Step::Done(outcome) => return Step::Done(outcome),
            Step::Need(need, mut decision) => {
                decision.observing = Some(self);
                return Step::Need(need, decision);
            }
        };
        let is_callers_own = |token: &PresentedToken<'_>| match &refusal {
            Refusal::Denial(denial) => is_foreign(&denial.reason, token.text),
            Refusal::Fault(_) => false,
        };
        let observed = Observed::new(self.backend, self.route, self.facts, refusal.clone(), is_callers_own);
        Step::Done(Outcome::Observed(Box::new(observed)))
    }
}
