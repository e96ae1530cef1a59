//! What comes of it: what the service gets, the answer, the line that decided, and what was taken for granted.

use firegate_core::decision::Outcome;
use firegate_core::reason::{Reason, Stage};
use firegate_core::route::RouteEntry;
use firegate_files::configuration::Revocation;

use super::super::firegate_door::{Decided, origin, passed};
use super::{FileLine, Finding, FindingVerdict, StageLine, StageVerdict, Way};
use crate::explain::FiregateAnswer;

impl Way<'_> {
    pub(super) fn forward(&self) -> StageLine {
        let (summary, route) = match self.outcome {
            Outcome::Permit(permit) => (passed(permit), permit.route()),
            Outcome::Observed(observed) => {
                let url = origin(observed.backend().endpoint());
                (
                    format!("goes on to {url} as it would without Firegate, without a credential"),
                    observed.route(),
                )
            }
            _ => (String::new(), None),
        };
        let place = self.backend.as_deref().and_then(|backend| self.places.of_backend(&backend.name, None));
        let findings = route.map(|route| self.changes(route)).unwrap_or_default();
        let line = self.line(Stage::Upstream, summary, place, findings);
        match self.aborted() {
            Some(status) => {
                let summary = format!("fault injection answers it with {status}, and it does not go on");
                StageLine { verdict: StageVerdict::Refused, summary, ..line }
            }
            None => line,
        }
    }

    /// What the route and the policy change about the request.
    fn changes(&self, route: &RouteEntry) -> Vec<Finding> {
        let place = self.places.of_route(route.place());
        let told = |what: &str, why: String| Finding::new(FindingVerdict::Matches, what, place.clone(), why);
        let mut changes = Vec::new();
        if route.is_rewritten() {
            let path = route.path(&self.facts.path).as_str();
            changes.push(told("rewrite", format!("the service gets the path {path:?}")));
        }
        if let Some(status) = route.abort() {
            changes.push(told(
                "fault injection",
                format!("answered with {status} instead, for a share of the requests"),
            ));
        }
        if let Some(delay) = route.delay() {
            changes.push(told(
                "fault injection",
                format!("waits {} ms, for a share of the requests", delay.as_millis()),
            ));
        }
        if let Some(mirror) = route.mirror() {
            changes.push(told(
                "mirror",
                format!("a copy goes to {:?}, if its own bindings admit the caller", mirror.name),
            ));
        }
        for (name, _) in self.facts.screened.get().map_or(&[][..], |screened| screened.request_headers()) {
            changes.push(Finding::new(
                FindingVerdict::Matches,
                "header action",
                None,
                format!("the policy sets {name}"),
            ));
        }
        changes
    }

    pub(super) fn answer(&self, decided: &Decided) -> FiregateAnswer {
        if let Some(status) = self.aborted() {
            return FiregateAnswer::of_aborted(&Reason::FaultInjected { status });
        }
        let answer = FiregateAnswer::of(decided, self.keys_problem);
        FiregateAnswer { hint: self.change().or(answer.hint), ..answer }
    }

    /// The status with which fault injection answers what would be forwarded, by leave or because it is only observed.
    fn aborted(&self) -> Option<u16> {
        match self.outcome {
            Outcome::Permit(permit) => permit.route(),
            Outcome::Observed(observed) => observed.route(),
            _ => None,
        }
        .and_then(RouteEntry::abort)
    }

    /// What to change for this request, where more can be said than for the reason in general.
    fn change(&self) -> Option<String> {
        match self.reason()? {
            Reason::ArmorDenied(denied) => {
                let priority = denied.priority;
                let deciding = self.armor().findings.into_iter().rev();
                let parts = deciding.take(1).flat_map(|finding| finding.parts).map(|part| part.text);
                let parts = parts.collect::<Vec<_>>().join("` or `");
                let other = if parts.is_empty() {
                    String::new()
                } else {
                    format!(" so that `{parts}` comes out otherwise,")
                };
                Some(format!(
                    "change rule {priority} at {}{other} or let a rule before it end the policy: `action: allow` with a \
                     priority below {priority} for the requests that are meant",
                    denied.place
                ))
            }
            Reason::RouteNotFound => {
                let near = self.world.snapshot.routes.trace(self.facts).near;
                let near = near.first()?;
                Some(format!("{} is near: {}", near.pattern, near.why))
            }
            Reason::NoInvokerBinding { near, .. } => {
                let place = self.places.of_access(&self.backend.as_deref()?.name);
                let place =
                    place.map(|place| format!(" where {place} says who may call")).unwrap_or_default();
                let add = format!(
                    "add a member{place}: for example `allAuthenticatedUsers` for every signed-in user"
                );
                Some(match near.first() {
                    Some(near) => format!("{near}; or {add}"),
                    None => add,
                })
            }
            _ => None,
        }
    }

    /// The line that decided.
    pub(super) fn decided_at(&self) -> Option<FileLine> {
        let by_stage = |line: StageLine| line.place;
        if self.aborted().is_some() {
            return by_stage(self.route());
        }
        match self.outcome {
            Outcome::Permit(_) => by_stage(self.iam()),
            Outcome::Respond(_) | Outcome::Denial(_) | Outcome::Observed(_) => match self.end()?.0 {
                Stage::Route => by_stage(self.route())
                    .or_else(|| self.places.of("url_map"))
                    .or_else(|| self.places.of("routes")),
                Stage::Armor => match self.reason() {
                    Some(Reason::ArmorDenied(denied)) => Some(FileLine::parse(&denied.place)),
                    Some(Reason::RateLimited(exceeded)) => Some(FileLine::parse(&exceeded.place)),
                    _ => by_stage(self.armor()),
                },
                Stage::Cors => by_stage(self.cors()?),
                Stage::Identity => self.place_of_identity(self.reason()?),
                Stage::AppCheck => by_stage(self.app_check()?),
                Stage::Iam => by_stage(self.iam()),
                _ => None,
            },
            Outcome::Fault(_) => None,
        }
    }

    /// What was taken for granted.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.is_believed {
            let problem = self.keys_problem.unwrap_or("no keys are known");
            notes.push(format!("a signature could not be checked and was taken for valid: {problem}"));
        }
        let has_user = matches!(self.outcome, Outcome::Permit(permit) if permit.user().is_some());
        if has_user && self.configuration.users.revocation != Revocation::Off {
            notes
                .push("whether the user is disabled or revoked is looked up by `serve`, not here".to_owned());
        }
        let policy = self.backend.as_ref().and_then(|backend| backend.security_policy.as_ref());
        if self.configuration.geo.is_none()
            && policy.is_some_and(|policy| {
                let expressions = policy.rules().iter().filter_map(|rule| rule.expression());
                expressions
                    .flat_map(|expression| expression.reads())
                    .any(|attribute| attribute.is_of_region())
            })
        {
            notes.push("regions and networks are unknown, because `geo` names no database".to_owned());
        }
        notes
    }
}
