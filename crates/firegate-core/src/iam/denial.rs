//! Deny policies: who may not call, whoever lets them in.

use std::sync::Arc;

use firegate_expr::Outcome;
use firegate_files::iam_policy::{DeniedPrincipal, DenyPolicy, DenyRule};
use firegate_files::members::Member;

use super::directory::Directory;
use super::index::{MemberIndex, Reading};
use super::{IamRequest, line_of};
use crate::identity::Principal;

/// The deny rules of a configuration. They hold for every backend.
#[derive(Debug)]
pub struct DenyRules {
    rules: Vec<DenyRule>,
    /// Whom the rules deny, and whom each of them spares.
    denied: MemberIndex,
    exceptions: MemberIndex,
    directory: Arc<Directory>,
}

/// A deny rule beside a request, for people.
#[derive(Clone, Debug)]
pub struct DenialTrace<'a> {
    /// The rule.
    pub rule: &'a DenyRule,
    /// Whether it names the caller.
    pub names: bool,
    /// Whether it spares the caller.
    pub spares: bool,
    /// What its condition says; none if it has none.
    pub condition: Option<Outcome>,
}

impl DenialTrace<'_> {
    /// Whether the rule denies.
    pub fn denies(&self) -> bool {
        self.names && !self.spares && self.condition != Some(Outcome::False)
    }
}

impl DenyRules {
    /// Compiles deny policies.
    pub fn new(policies: &[DenyPolicy], directory: &Arc<Directory>) -> Self {
        let rules = policies.iter().flat_map(|policy| policy.rules.iter().cloned()).collect::<Vec<_>>();
        let (mut denied, mut exceptions) = (MemberIndex::default(), MemberIndex::default());
        for (position, rule) in (0..).zip(&rules) {
            let insert = |index: &mut MemberIndex, principal: &DeniedPrincipal| match principal {
                DeniedPrincipal::Everyone => index.insert(position, &Member::AllUsers, directory.pool()),
                DeniedPrincipal::Member(member) => index.insert(position, member, directory.pool()),
            };
            rule.denied.iter().for_each(|principal| insert(&mut denied, principal));
            rule.exceptions.iter().for_each(|principal| insert(&mut exceptions, principal));
        }
        Self { rules, denied, exceptions, directory: Arc::clone(directory) }
    }

    /// The first rule that denies the caller, in the order of the files, and why it holds. Whoever might be meant is: an
    /// address counts although it is not verified, a set of the pool holds tenants' users too, and a condition that cannot be
    /// evaluated counts as true. Nobody is spared by a mere claim to an address.
    pub(super) fn denying(&self, request: &IamRequest<'_>, principal: Option<&Principal>) -> Option<String> {
        if self.rules.is_empty() {
            return None;
        }
        let spared = self.sparing(principal);
        let mut first: Option<u32> = None;
        self.naming(principal, &mut |position| {
            let holds =
                || self.rules.get(position as usize).is_some_and(|rule| holds(rule, request, principal));
            if first.is_none_or(|first| position < first) && !spared.contains(&position) && holds() {
                first = Some(position);
            }
        });
        let rule = first.and_then(|first| self.rules.get(first as usize))?;
        Some(why(rule, request, principal))
    }

    /// Each rule beside a request, in the order of the files.
    pub fn trace(&self, request: &IamRequest<'_>, principal: Option<&Principal>) -> Vec<DenialTrace<'_>> {
        let spared = self.sparing(principal);
        let mut naming = Vec::new();
        self.naming(principal, &mut |position| naming.push(position));
        let rules = (0_u32..).zip(&self.rules);
        rules
            .map(|(position, rule)| {
                let condition = rule.condition.as_ref();
                DenialTrace {
                    rule,
                    names: naming.contains(&position),
                    spares: spared.contains(&position),
                    condition: condition.map(|condition| request.evaluate(condition, principal)),
                }
            })
            .collect()
    }

    /// The rules that spare the caller.
    fn sparing(&self, principal: Option<&Principal>) -> Vec<u32> {
        let mut spared = Vec::new();
        let found = &mut |position| spared.push(position);
        self.exceptions.each_with_groups(principal, &self.directory, Reading::Strict, found);
        spared
    }

    /// Calls `found` with each rule that names the caller.
    fn naming(&self, principal: Option<&Principal>, found: &mut dyn FnMut(u32)) {
        self.denied.each_with_groups(principal, &self.directory, Reading::Wide, found);
    }
}

fn holds(rule: &DenyRule, request: &IamRequest<'_>, principal: Option<&Principal>) -> bool {
    rule.condition.as_ref().is_none_or(|condition| request.evaluate(condition, principal) != Outcome::False)
}

fn why(rule: &DenyRule, request: &IamRequest<'_>, principal: Option<&Principal>) -> String {
    let mut why = format!("a deny rule{}", line_of(rule.place.as_ref()));
    if !rule.description.is_empty() {
        why.push_str(&format!(", {:?}", rule.description));
    }
    if let Some(condition) = &rule.condition {
        let title = &condition.title;
        why.push_str(&match request.evaluate(condition, principal) {
            Outcome::Error(error) => {
                format!("; its condition {title:?} cannot be evaluated ({error}), and denies")
            }
            Outcome::Unknown(name) => {
                format!("; its condition {title:?} asks for {name}, which is not known here, and denies")
            }
            Outcome::True | Outcome::False => format!("; its condition {title:?} is true"),
        });
    }
    why
}
