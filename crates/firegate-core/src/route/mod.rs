//! Where a request goes: the routes of the configuration, in their short form or as a Google Cloud URL map. Both compile to
//! the same: hosts lead to path matchers, path matchers have rules, and a rule leads to services or is a redirect.
//!
//! Hosts: exact, else the longest wildcard, else `*`. Path rules: an exact path, else the longest `/*` prefix; `/video/*`
//! matches `/video/` and everything below, not `/video`. Route rules: the first that matches, by priority.

mod compile;
mod conditions;
mod destination;
mod draw;
mod error_page;
mod header_action;
mod hosts;
mod map_tests;
mod names;
mod paths;
mod redirect;
mod rewrite;
mod rule;
mod trace;

use std::sync::Arc;

use firegate_files::configuration::{EncodedSlash, RESERVED_PREFIX};
use firegate_files::url_map::QueryMatch;

pub use destination::Destinations;
pub use error_page::ErrorPage;
pub use header_action::{HeaderActions, HeaderFacts};
pub use map_tests::TestFailure;
pub use names::{NamedRoute, RouteNumber};
pub use redirect::RedirectAnswer;
pub use rule::{RouteEntry, Rule, RulePlaceInFile};
pub use trace::{NearRoute, RouteTrace};

use crate::facts::{RequestFacts, without_whole_names_dot};
use crate::path::in_lower_case;
use crate::reason::Reason;
use crate::snapshot::Backend;
use conditions::{HeaderCondition, is_query_in_doubt, query_holds};
use destination::Destination;
use hosts::Hosts;
use names::Names;
use paths::{Index, MatchedBytes, Pattern};
use rule::{Choice, Target};

/// Why a path is refused that no backend of its route takes.
pub(crate) const ENCODED_SLASH: &str = "the path holds an encoded slash or backslash";

/// The routes of a configuration.
#[derive(Debug, Default)]
pub struct Routes {
    hosts: Hosts,
    matchers: Vec<PathMatcher>,
    /// For hosts that no pattern names; none if they are not found.
    default: Option<Fallback>,
    names: Names,
}

/// The rules for the paths of some hosts.
#[derive(Debug)]
struct PathMatcher {
    index: Index,
    /// By which a server finds the rule that takes capital letters for small ones.
    in_lower_case: Index,
    has_capital_letters: bool,
    order: Order,
    candidates: Vec<Candidate>,
    /// Whether any of them asks for more than the path.
    has_conditions: bool,
    rules: Vec<Arc<Rule>>,
    default: Option<Fallback>,
}

/// The rule for what no other one names.
#[derive(Debug)]
struct Fallback {
    rule: Arc<Rule>,
    route: RouteNumber,
}

/// Which of several rules decides.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// The one with the exact path, else the one with the longest prefix.
    MostSpecific,
    /// The first.
    First,
}

/// One of the alternatives for which a rule decides.
#[derive(Debug)]
struct Candidate {
    pattern: Pattern,
    headers: Vec<HeaderCondition>,
    query: Vec<QueryMatch>,
    /// The position of its rule.
    rule: usize,
    route: RouteNumber,
}

/// Where a request goes.
#[derive(Clone, Debug)]
pub enum Routed {
    /// To a service.
    To(RouteEntry),
    /// Elsewhere, by itself.
    Redirect(RouteNumber, RedirectAnswer),
}

impl Routed {
    /// How the request goes to its service, if it goes to one.
    pub fn entry(&self) -> Option<&RouteEntry> {
        match self {
            Self::To(entry) => Some(entry),
            Self::Redirect(..) => None,
        }
    }
}

/// A rule that was found, and what of it matched.
#[derive(Clone, Copy)]
struct Found<'a> {
    rule: &'a Arc<Rule>,
    /// Whose rule it is; none for the one of hosts that no pattern names.
    matcher: Option<&'a PathMatcher>,
    route: RouteNumber,
    matched: Option<(&'a Pattern, MatchedBytes)>,
}

impl Found<'_> {
    /// How many bytes of the path the rule says letter by letter.
    fn literal_bytes(&self) -> usize {
        self.matched.map_or(0, |(pattern, _)| pattern.literal_bytes())
    }

    /// Whether a server that takes capital letters for small ones would find a rule that says more of the path than this
    /// one, and leads to a backend that others may call: `/ADMIN/users` for `/admin/*`.
    fn leads_elsewhere_in_another_case(&self, facts: &RequestFacts<'_>, backend: &Arc<Backend>) -> bool {
        let Some(matcher) = self.matcher else { return false };
        let path = &facts.path;
        if !path.has_capital_letters() && !matcher.has_capital_letters {
            return false;
        }
        let others = path.other_readings().iter().map(String::as_str);
        let mut readings = std::iter::once(path.as_str()).chain(others);
        readings.any(|reading| {
            let mut others = matcher.find_in_any_case(facts, reading).into_iter();
            others.any(|other| matcher.comes_before(other, *self) && !other.rule.is_as_good(facts, backend))
        })
    }
}

impl Fallback {
    fn found(&self) -> Found<'_> {
        Found { rule: &self.rule, matcher: None, route: self.route, matched: None }
    }
}

impl Routes {
    /// Every route by its name, in their order.
    pub fn named(&self) -> impl Iterator<Item = &NamedRoute> {
        self.names.iter()
    }

    /// Selects where a request goes.
    ///
    /// # Errors
    /// If no route names its path, or its URL names no service by the mask of the one that does, or it is one of Firegate's
    /// own; if the path holds an encoded slash, and the backend does not take such paths; if a server that decodes it, or cuts
    /// the path's parameters off, would choose another route; if another one may be meant by a header or a parameter of the
    /// query that the service reads otherwise, or by another method that the request names; if the path that the route makes of
    /// it has no one reading.
    pub fn select(&self, facts: &RequestFacts<'_>) -> Result<Routed, Reason> {
        if facts.path.as_str().starts_with(RESERVED_PREFIX) {
            return Err(Reason::RouteNotFound);
        }
        let found = self.find(facts, facts.path.as_str()).ok_or(Reason::RouteNotFound)?;
        let services = match &found.rule.target {
            Target::Services(services) => services,
            Target::Redirect(redirect) => {
                let matched = found.matched.map(|(_, bytes)| bytes);
                return redirect.answer(facts, matched).map(|answer| Routed::Redirect(found.route, answer));
            }
        };
        let (choice, Choice { destination, .. }) =
            services.draw(facts.random).ok_or(Reason::RouteNotFound)?;
        let backend = destination.backend(facts.host, facts.path.as_str()).ok_or(Reason::RouteNotFound)?;
        let encoded_slash = backend.settings.encoded_slash;
        self.check_readings(facts, found, destination, backend)?;
        let rewritten = services.rewrite.as_ref();
        let rewritten =
            rewritten.map(|rewrite| rewrite.apply(&facts.path, found.matched, encoded_slash)).transpose()?;
        Ok(Routed::To(RouteEntry {
            rule: Arc::clone(found.rule),
            route: found.route,
            choice,
            backend: Arc::clone(backend),
            rewritten,
            random: facts.random,
        }))
    }

    /// Whether every server that reads the path, the headers and the method in its own way would choose this route too.
    fn check_readings(
        &self,
        facts: &RequestFacts<'_>,
        found: Found<'_>,
        destination: &Destination,
        backend: &Arc<Backend>,
    ) -> Result<(), Reason> {
        if facts.path.has_encoded_separator() && backend.settings.encoded_slash == EncodedSlash::Refuse {
            return Err(Reason::RequestMalformed { why: ENCODED_SLASH });
        }
        let is_this =
            |other: Option<Found<'_>>| other.is_some_and(|other| Arc::ptr_eq(other.rule, found.rule));
        let is_its = |reading: &str| {
            destination.backend(facts.host, reading).is_some_and(|other| Arc::ptr_eq(other, backend))
        };
        let leads_there = |reading: &String| is_this(self.find(facts, reading)) && is_its(reading);
        if found.leads_elsewhere_in_another_case(facts, backend) {
            return Err(Reason::RequestMalformed {
                why: "the path would lead to another route, whose callers are others, if its letters had another case",
            });
        }
        if !facts.path.other_readings().iter().all(leads_there) {
            let why = if facts.path.has_encoded_separator() {
                "the path's encoded slash would lead to another route if it were decoded"
            } else {
                "the path would lead to another route if its parameters, or a dot or blank at its end, were cut off"
            };
            return Err(Reason::RequestMalformed { why });
        }
        if let Some(host) = without_whole_names_dot(facts.host) {
            let facts = RequestFacts { host: &host, ..facts.clone() };
            if !is_this(self.find(&facts, facts.path.as_str())) {
                let why = "the host would lead to another route without the dot at its end";
                return Err(Reason::RequestMalformed { why });
            }
        }
        let others = facts.path.other_readings().iter().map(String::as_str);
        let mut readings = std::iter::once(facts.path.as_str()).chain(others);
        let mut leads_elsewhere = |matcher: &PathMatcher| {
            let mut others = readings.by_ref().flat_map(|reading| matcher.find_in_doubt(facts, reading));
            others.any(|rule| !Arc::ptr_eq(rule, found.rule) && !rule.is_as_good(facts, backend))
        };
        if found.matcher.is_some_and(&mut leads_elsewhere) {
            let why = "the request would take another route, whose callers are others, by a header or a parameter that the service may read otherwise, or by the method that it names beside its own";
            return Err(Reason::RequestMalformed { why });
        }
        Ok(())
    }

    /// The rule of a request, if it had this path.
    fn find(&self, facts: &RequestFacts<'_>, path: &str) -> Option<Found<'_>> {
        match self.hosts.find(facts.host).and_then(|number| self.matchers.get(number)) {
            Some(matcher) => matcher.find(facts, path),
            None => self.default.as_ref().map(Fallback::found),
        }
    }
}

impl PathMatcher {
    fn find(&self, facts: &RequestFacts<'_>, path: &str) -> Option<Found<'_>> {
        let number = match self.order {
            Order::MostSpecific => self.index.most_specific(path),
            Order::First => self
                .index
                .first(path, |number| self.fulfilled(number, facts, path))
                .map(|(number, ())| number),
        };
        let candidate = number.and_then(|number| self.candidates.get(number as usize));
        let Some(candidate) = candidate else {
            let default = self.default.as_ref().map(Fallback::found);
            return default.map(|found| Found { matcher: Some(self), ..found });
        };
        let matched = candidate.pattern.find(path).map(|bytes| (&candidate.pattern, bytes));
        let rule = self.rules.get(candidate.rule)?;
        Some(Found { rule, matcher: Some(self), route: candidate.route, matched })
    }

    /// The rules that may be for the request as the service gets it, and reads its path; none where nothing of that can differ
    /// from what is read here.
    fn find_in_doubt(&self, facts: &RequestFacts<'_>, path: &str) -> Vec<&Arc<Rule>> {
        if matches!(self.order, Order::MostSpecific) || !self.has_conditions {
            return Vec::new();
        }
        let mut doubtful = Vec::new();
        let certain = self.index.first(path, |number| {
            let is_in_doubt = self.candidates.get(number as usize)?.is_in_doubt(facts);
            if is_in_doubt && self.may_be_fulfilled(number, facts, path) {
                doubtful.push(number);
            }
            self.fulfilled(number, facts, path).filter(|()| !is_in_doubt)
        });
        let certain = certain.map(|(number, ())| number);
        let before = doubtful.into_iter().filter(|number| certain.is_none_or(|certain| *number < certain));
        let rule = |number: u32| self.rules.get(self.candidates.get(number as usize)?.rule);
        let last = certain.map_or_else(|| self.default.as_ref().map(|default| &default.rule), rule);
        before.map(rule).chain([last]).flatten().collect()
    }

    /// Whether a candidate would decide, if all of its conditions that are in doubt held.
    fn may_be_fulfilled(&self, number: u32, facts: &RequestFacts<'_>, path: &str) -> bool {
        self.candidates
            .get(number as usize)
            .is_some_and(|candidate| candidate.pattern.find(path).is_some() && candidate.may_accept(facts))
    }

    /// The rule that a server finds for a path that takes capital letters for small ones; several, if that is all that tells
    /// them apart, and those before it of which nobody knows whether they are for the request.
    fn find_in_any_case<'a>(&'a self, facts: &RequestFacts<'_>, path: &str) -> Vec<Found<'a>> {
        let (mut certain, mut doubtful) = (Vec::new(), Vec::new());
        let lower = in_lower_case(path);
        self.in_lower_case.first::<()>(lower.as_deref().unwrap_or(path), |number| {
            let candidate = self.candidates.get(number as usize)?;
            let bytes = candidate.pattern.find_in_any_case(path)?;
            if candidate.may_accept(facts) {
                let (rule, matched) = (self.rules.get(candidate.rule)?, Some((&candidate.pattern, bytes)));
                let found = Found { rule, matcher: Some(self), route: candidate.route, matched };
                if candidate.is_in_doubt(facts) { &mut doubtful } else { &mut certain }.push(found);
            }
            None
        });
        let best = match self.order {
            Order::MostSpecific => certain.iter().max_by_key(|found| found.literal_bytes()),
            Order::First => certain.iter().min_by_key(|found| found.route),
        };
        let best = best.copied();
        certain.retain(|found| best.is_some_and(|best| found.literal_bytes() == best.literal_bytes()));
        doubtful.retain(|found| best.is_none_or(|best| found.route < best.route));
        certain.append(&mut doubtful);
        certain
    }

    /// Whether a rule that holds for letters of either case would have been chosen instead of the one that was. One that
    /// says as much of the path in the request's own letters was meant.
    fn comes_before(&self, other: Found<'_>, found: Found<'_>) -> bool {
        let is_earlier = match self.order {
            Order::MostSpecific => true,
            Order::First => other.route < found.route,
        };
        is_earlier && other.literal_bytes() > found.literal_bytes()
    }

    fn fulfilled(&self, number: u32, facts: &RequestFacts<'_>, path: &str) -> Option<()> {
        let candidate = self.candidates.get(number as usize)?;
        let fits = candidate.pattern.find(path).is_some() && candidate.accepts(facts);
        fits.then_some(())
    }
}

impl Candidate {
    /// Whether the request is as it asks, its path aside.
    fn accepts(&self, facts: &RequestFacts<'_>) -> bool {
        self.headers.iter().all(|condition| condition.holds(facts))
            && self.query.iter().all(|condition| query_holds(condition, facts.query))
    }

    /// The same, if all of its conditions that are in doubt held.
    fn may_accept(&self, facts: &RequestFacts<'_>) -> bool {
        self.headers.iter().all(|condition| condition.is_in_doubt(facts) || condition.holds(facts))
            && self.query.iter().all(|condition| {
                is_query_in_doubt(condition, facts.query) || query_holds(condition, facts.query)
            })
    }

    /// Whether nobody knows if it is for the request as the service gets it.
    fn is_in_doubt(&self, facts: &RequestFacts<'_>) -> bool {
        self.headers.iter().any(|condition| condition.is_in_doubt(facts))
            || self.query.iter().any(|condition| is_query_in_doubt(condition, facts.query))
    }
}
