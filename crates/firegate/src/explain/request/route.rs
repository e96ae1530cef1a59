//! Where a request goes, and what was near.

use firegate_core::decision::{Outcome, Respond};
use firegate_core::reason::{Reason, Stage};
use firegate_core::route::{RouteTrace, Routed};
use firegate_files::configuration::RESERVED_PREFIX;

use super::super::firegate_door::shown_location;
use super::{Finding, FindingVerdict, StageLine, Way};

impl Way<'_> {
    pub(super) fn route(&self) -> StageLine {
        let trace = self.world.snapshot.routes.trace(self.facts);
        let summary = self.route_summary(&trace);
        let place = trace.place.as_ref().and_then(|place| self.places.of_route(place));
        let mut findings = Vec::new();
        if trace.services.iter().filter(|(_, weight)| *weight > 0).count() > 1 {
            let services = trace.services.iter().map(|(name, weight)| format!("{name} with {weight}"));
            let why = format!(
                "chance chooses by weight: {}; explained for one draw of it",
                services.collect::<Vec<_>>().join(", ")
            );
            findings.push(Finding::new(FindingVerdict::NotKnown, "weights", None, why));
        }
        for near in trace.near {
            let place = near.place.as_ref().and_then(|place| self.places.of_route(place));
            findings.push(Finding::new(FindingVerdict::Near, near.pattern, place, near.why));
        }
        self.line(Stage::Route, summary, place, findings)
    }

    fn route_summary(&self, trace: &RouteTrace) -> String {
        let path = self.facts.path.as_str();
        let host = match (&trace.host, self.facts.host) {
            (Some(pattern), host) if pattern == host => format!("the host is {host:?}"),
            (Some(pattern), host) => format!("the host {host:?} is one of {pattern}"),
            (None, host) => format!("no rule names the host {host:?}"),
        };
        let rule = trace.place.as_ref().filter(|place| place.file.is_some());
        let rule = rule.map(|place| format!(" ({})", place.path)).unwrap_or_default();
        let found = match &trace.path {
            Some(pattern) => format!("{host}, and the path is like {pattern}{rule}"),
            None => format!("{host}, and no rule names the path {path:?}: the default holds{rule}"),
        };
        match (&self.routed, self.outcome) {
            (Some(Routed::To(entry)), _)
                if trace.place.as_ref().is_some_and(|place| place.file.is_none()) =>
            {
                // The short form knows no hosts.
                let pattern = trace.path.as_deref().unwrap_or_default();
                format!("to {:?}: the path is like {pattern}", entry.backend().name)
            }
            (Some(Routed::To(entry)), _) => format!("to {:?}: {found}", entry.backend().name),
            (Some(Routed::Redirect(..)), Outcome::Respond(Respond::Redirect(answer))) => {
                format!("a redirect to {}: {found}", shown_location(answer))
            }
            (Some(Routed::Redirect(..)), _) => format!("a redirect: {found}"),
            (None, _) if path.starts_with(RESERVED_PREFIX) => {
                format!(
                    "{path:?} is one of Firegate's own paths, which are answered by itself and never routed"
                )
            }
            (None, _) => match self.reason() {
                Some(Reason::RouteNotFound) | None => format!("no route names the path {path:?}"),
                Some(reason) => format!("{found}; {reason}"),
            },
        }
    }
}
