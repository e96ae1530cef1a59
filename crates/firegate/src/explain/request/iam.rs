//! Who may call the backend: deny rules first, then its members, those first that say most about the caller.

use firegate_core::decision::{Caller, Outcome};
use firegate_core::iam::{self, IamRequest};
use firegate_core::identity::Principal;
use firegate_core::reason::{Reason, Stage};
use firegate_core::snapshot::Backend;

use super::super::limits::MEMBERS_SHOWN_MAX;
use super::super::members;
use super::parts::deciding;
use super::{FileLine, Finding, FindingVerdict, StageLine, Way};

impl Way<'_> {
    pub(super) fn iam(&self) -> StageLine {
        let Some(backend) = self.backend.as_deref() else {
            return self.line(Stage::Iam, "there is no backend to call".to_owned(), None, Vec::new());
        };
        let principal = self.caller.as_ref().and_then(Caller::principal);
        let request = IamRequest::of(self.facts, self.world.now);
        let mut findings = self.denials(backend, &request, principal);
        let mut members = self.members(backend, &request, principal);
        let granting = members.iter().find(|finding| finding.verdict == FindingVerdict::Matches);
        let granted = granting.map(|finding| (finding.what.clone(), finding.place.clone()));
        // In the order of the file, but for the ones that say nothing of the caller.
        members.sort_by_key(|finding| match finding.verdict {
            FindingVerdict::Matches => 0,
            FindingVerdict::Near | FindingVerdict::Preview => 1,
            FindingVerdict::NotKnown => 2,
            FindingVerdict::DoesNotMatch => 3,
        });
        let more = members.len().saturating_sub(MEMBERS_SHOWN_MAX);
        members.truncate(MEMBERS_SHOWN_MAX);
        findings.extend(members);
        if more > 0 {
            let why = format!("{more} more members, none of which says more");
            findings.push(Finding::new(FindingVerdict::DoesNotMatch, "others", None, why));
        }
        let (summary, place) = match (self.reason(), self.outcome, granted) {
            (Some(reason @ Reason::DeniedByIamPolicy { .. }), ..) => {
                let denying = findings.iter().find(|finding| finding.verdict == FindingVerdict::Matches);
                (reason.to_string(), denying.and_then(|finding| finding.place.clone()))
            }
            (_, Outcome::Permit(_), Some((member, place))) => {
                (format!("{member} may call {:?}", backend.name), place)
            }
            _ => {
                let who = principal.map_or_else(
                    || "nobody in particular".to_owned(),
                    |principal| backend.bindings.name_of(principal),
                );
                let summary = format!("no member of {:?} lets {who} in", backend.name);
                (summary, self.places.of_access(&backend.name))
            }
        };
        self.line(Stage::Iam, summary, place, findings)
    }

    /// The deny rules that name the caller, whether or not they hold.
    fn denials(
        &self,
        backend: &Backend,
        request: &IamRequest<'_>,
        principal: Option<&Principal>,
    ) -> Vec<Finding> {
        let rules = backend.bindings.denials().trace(request, principal);
        let named = rules.into_iter().filter(|trace| trace.names).take(MEMBERS_SHOWN_MAX);
        named
            .map(|trace| {
                let verdict = match trace.denies() {
                    true => FindingVerdict::Matches,
                    false => FindingVerdict::Near,
                };
                let why = match (trace.spares, &trace.rule.condition) {
                    (true, _) => "it names the caller, and spares them by an exception".to_owned(),
                    (false, Some(condition)) if trace.denies() => {
                        format!(
                            "it denies: its condition {:?} does not say that it is false",
                            condition.title
                        )
                    }
                    (false, Some(condition)) => {
                        format!("it would deny, and its condition {:?} is false", condition.title)
                    }
                    (false, None) => "it denies the caller".to_owned(),
                };
                let what = match trace.rule.description.as_str() {
                    "" => "deny rule".to_owned(),
                    description => format!("deny rule {description:?}"),
                };
                let place = trace.rule.place.as_ref().map(FileLine::from);
                let condition =
                    trace.rule.condition.as_ref().map(|condition| request.trace(condition, principal));
                let parts = condition.as_ref().map(deciding).unwrap_or_default();
                Finding { parts, ..Finding::new(verdict, what, place, why) }
            })
            .collect()
    }

    fn members(
        &self,
        backend: &Backend,
        request: &IamRequest<'_>,
        principal: Option<&Principal>,
    ) -> Vec<Finding> {
        let directory = &self.world.snapshot.directory;
        let near = match self.reason() {
            Some(Reason::NoInvokerBinding { near, .. }) => near.as_slice(),
            _ => &[],
        };
        let grants = backend.bindings.grants().iter().enumerate();
        grants
            .map(|(position, grant)| {
                let line = members::line(grant, directory, request, principal);
                let names = iam::matches(&grant.member, directory, principal);
                let is_near = names || near.iter().any(|near| near.starts_with(&line.member));
                let verdict = match line.matches {
                    Some(true) => FindingVerdict::Matches,
                    Some(false) if is_near => FindingVerdict::Near,
                    Some(false) => FindingVerdict::DoesNotMatch,
                    None => FindingVerdict::NotKnown,
                };
                let condition = grant.condition.as_ref().filter(|_| names);
                let condition = condition.map(|condition| request.trace(condition, principal));
                Finding {
                    parts: condition.as_ref().map(deciding).unwrap_or_default(),
                    ..Finding::new(
                        verdict,
                        grant.member.to_string(),
                        self.places.of_grant(&backend.name, position, grant),
                        if principal.is_none() && line.matches.is_none() {
                            "there is no user to compare with".to_owned()
                        } else {
                            line.why
                        },
                    )
                }
            })
            .collect()
    }
}
