//! What each rule of a policy says of a request, whether or not it came to that rule. It is for people; requests are judged by
//! [`Screening`](super::Screening).

use firegate_expr::Trace;

use super::compile::{Condition, Policy, PolicyRule};
use super::{Subject, key};
use crate::limiter::Limits;

/// A rule beside a request.
#[derive(Debug)]
pub struct RuleTrace<'a> {
    /// Where it stands among the policy's rules.
    pub position: u32,
    /// The rule.
    pub rule: &'a PolicyRule,
    /// What its condition says.
    pub condition: ConditionTrace,
}

/// What a rule's condition says of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConditionTrace {
    /// It is for every request.
    Everything,
    /// Whether one of its ranges holds the client's address.
    Sources(bool),
    /// Each part of its expression.
    Expression(Box<Trace>),
    /// It is for none: what it does was done by the load balancer before.
    Nothing,
}

impl Policy {
    /// The rules in their order, each beside the request.
    pub fn trace<'a>(&'a self, subject: &'a Subject<'_>) -> impl Iterator<Item = RuleTrace<'a>> {
        let for_address = self.sources.rules_for(subject.facts.client);
        (0_u32..).zip(&self.rules).map(move |(position, rule)| {
            let condition = match &rule.condition {
                Condition::Everything => ConditionTrace::Everything,
                Condition::Sources => ConditionTrace::Sources(for_address.binary_search(&position).is_ok()),
                Condition::Expression(expression) => {
                    ConditionTrace::Expression(Box::new(expression.trace(subject)))
                }
                Condition::Nothing => ConditionTrace::Nothing,
            };
            RuleTrace { position, rule, condition }
        })
    }
}

impl PolicyRule {
    /// What it limits, if it does.
    pub fn limits(&self) -> Option<Limits> {
        self.limit.as_ref().map(|compiled| *compiled.limit.limits())
    }

    /// By what it would count a request: the kinds of the key, and what they fell back to.
    pub fn key_of(&self, subject: &Subject<'_>) -> Option<String> {
        self.limit.as_ref().map(|compiled| key::description(&key::find(&compiled.keys, subject)))
    }
}
