//! What is counted on a request's way: relaxed additions to numbers whose places were made at the start. Nothing is hashed,
//! locked or allocated for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use firegate_core::armor::Screened;
use firegate_core::reason::{Code, Family};
use firegate_core::route::RouteNumber;
use firegate_core::snapshot::{Backend, Snapshot};

use super::routes::{RouteCount, RouteCounters};
use super::rule_matches::{PolicyCounts, RuleMatch};
use super::traffic::{Traffic, TrafficFigures};

/// Permit, answer and a client that left, before the codes.
pub(super) const ENDINGS_WITHOUT_CODE: usize = 3;

/// How many ways there are for a request to end: each code as a refusal, and as what would have been one.
const ENDINGS: usize = ENDINGS_WITHOUT_CODE + 2 * Code::ALL.len();

/// The place of requests without a backend: their name is empty, and the first.
const NO_BACKEND: usize = 0;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It was forwarded, and the service's answer is handed on.
    Permit,
    /// Firegate answered it: a preflight, a redirect, or a path of its own.
    Respond,
    /// The client left before the answer.
    Cancelled,
    /// It was refused, or failed.
    Refused(Code),
    /// It was forwarded, and would have been refused if its backend were not only observed.
    WouldRefuse(Code),
}

/// Where a request's path is routed to: places among the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// The backend's, or that of none.
    backend: usize,
    /// The route's row, if one was found.
    row: Option<usize>,
}

impl Route {
    /// No backend: the request was refused before it had one, or no route matches.
    pub(crate) const NONE: Self = Self { backend: NO_BACKEND, row: None };
}

/// The counters of requests. A new configuration adds to those of the former one, so that they never go back; those of a
/// backend that is gone are told until the configuration after that, so that what was last counted is read.
#[derive(Debug)]
pub(crate) struct Decisions {
    /// The names, sorted, and their counters. Before them are those of requests without a backend, by no name.
    backends: Vec<(String, Arc<Counts>)>,
    /// The names of those that are gone.
    gone: BTreeSet<String>,
    /// The counters of the backends' policies, by the places of the backends.
    policies: Vec<Option<Arc<PolicyCounts>>>,
    routes: RouteCounters,
    allowed_on_failure: Arc<AtomicU64>,
}

/// The counters of one backend.
#[derive(Debug)]
struct Counts {
    endings: [AtomicU64; ENDINGS],
    traffic: Traffic,
}

impl Default for Counts {
    fn default() -> Self {
        Self { endings: std::array::from_fn(|_| AtomicU64::new(0)), traffic: Traffic::default() }
    }
}

/// One counter with its labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DecisionCount<'a> {
    pub(super) outcome: &'static str,
    pub(super) code: &'static str,
    pub(super) backend: &'a str,
    pub(super) count: u64,
}

impl<'a> DecisionCount<'a> {
    /// The values of the labels, in the order of the metric's description.
    pub(super) fn labels(&self) -> [&'a str; 3] {
        [self.outcome, self.code, self.backend]
    }
}

impl Ending {
    pub(super) fn place(self) -> usize {
        match self {
            Self::Permit => 0,
            Self::Respond => 1,
            Self::Cancelled => 2,
            // The catalogue lists the codes in the order in which the enumeration does.
            Self::Refused(code) => ENDINGS_WITHOUT_CODE + code as usize,
            Self::WouldRefuse(code) => ENDINGS_WITHOUT_CODE + Code::ALL.len() + code as usize,
        }
    }

    pub(super) fn all() -> impl Iterator<Item = Self> {
        let of_each = |ending: fn(Code) -> Self| Code::ALL.iter().map(move |code| ending(*code));
        let without = [Self::Permit, Self::Respond, Self::Cancelled].into_iter();
        without.chain(of_each(Self::Refused)).chain(of_each(Self::WouldRefuse))
    }

    /// How it ended, in a word.
    pub(crate) fn outcome(self) -> &'static str {
        self.labels().0
    }

    pub(super) fn labels(self) -> (&'static str, &'static str) {
        match self {
            Self::Permit => ("permit", ""),
            Self::Respond => ("respond", ""),
            Self::Cancelled => ("cancelled", ""),
            Self::WouldRefuse(code) => ("would_refuse", code.entry().name),
            Self::Refused(code) => match code.entry().family {
                Family::Denial => ("denial", code.entry().name),
                Family::Fault => ("fault", code.entry().name),
            },
        }
    }

    /// Whether it is written although it never happened yet. Alerts are about faults, and the first one of a series that
    /// was not there is no increase for Prometheus; with every denial of every backend the answer would only be long.
    fn is_always_written(self) -> bool {
        match self {
            Self::Permit => true,
            Self::Respond | Self::Cancelled | Self::WouldRefuse(_) => false,
            Self::Refused(code) => code.entry().family == Family::Fault,
        }
    }
}

impl Decisions {
    /// Counters for requests to the backends of this configuration, which count on from where `former` is.
    pub(crate) fn new(snapshot: &Snapshot, former: Option<&Self>) -> Self {
        let backends = &snapshot.backends;
        let before = former.map(|former| former.policies.iter().flatten().cloned().collect::<Vec<_>>());
        let policies = PolicyCounts::of(backends, &before.unwrap_or_default());
        let names = backends.iter().map(|backend| backend.name.clone()).chain([String::new()]);
        let mut counts = names.map(|name| (name, Arc::default())).collect::<BTreeMap<_, _>>();
        let mut gone = BTreeSet::new();
        for (name, count) in former.into_iter().flat_map(|former| &former.backends) {
            if counts.contains_key(name) || !former.is_some_and(|former| former.gone.contains(name)) {
                let is_new = counts.insert(name.clone(), Arc::clone(count)).is_none();
                gone.extend(is_new.then(|| name.clone()));
            }
        }
        let allowed_on_failure = former.map(|former| Arc::clone(&former.allowed_on_failure));
        let routes = {
            let in_force = backends.iter().map(|backend| (backend.name.as_str(), Some(&**backend)));
            let in_force = in_force.chain([("", None)]).collect::<BTreeMap<_, _>>();
            let places = counts.keys().enumerate();
            let places = places.filter_map(|(place, name)| {
                let (name, backend) = in_force.get_key_value(name.as_str())?;
                Some((*name, (place, *backend)))
            });
            RouteCounters::new(&snapshot.routes, &places.collect(), former.map(|former| &former.routes))
        };
        Self {
            routes,
            gone,
            policies: counts.keys().map(|name| policies.get(name.as_str()).cloned()).collect(),
            backends: counts.into_iter().collect(),
            allowed_on_failure: allowed_on_failure.unwrap_or_default(),
        }
    }

    /// The places of a route to a backend among the counters.
    pub(crate) fn route(&self, route: RouteNumber, backend: &Backend) -> Route {
        let found = self.backends.binary_search_by(|(name, _)| name.cmp(&backend.name));
        found.map_or(Route::NONE, |backend| Route { backend, row: self.routes.row(route, backend) })
    }

    /// The places of a route that is a redirect.
    pub(crate) fn redirect(&self, route: RouteNumber) -> Route {
        Route { row: self.routes.row(route, NO_BACKEND), ..Route::NONE }
    }

    /// What the route is called by which a request is counted.
    pub(crate) fn route_name(&self, route: Route) -> Option<&str> {
        self.routes.name(route.row?)
    }

    /// Counts how a request ended.
    pub(crate) fn count(&self, ending: Ending, route: Route) {
        let count = self.counts(route).and_then(|counts| counts.endings.get(ending.place()));
        if let Some(count) = count {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(row) = route.row {
            self.routes.count(row, ending);
        }
    }

    /// Counts what the policy of a request's backend did with it.
    pub(crate) fn screened(&self, route: Route, screened: &Screened) {
        if let Some(Some(policy)) = self.policies.get(route.backend) {
            policy.count(screened);
        }
    }

    /// The counters of rules that ever matched.
    pub(super) fn rule_matches(&self) -> Vec<RuleMatch<'_>> {
        let mut told: Vec<&Arc<PolicyCounts>> = Vec::new();
        for policy in self.policies.iter().flatten() {
            // The services that one URL mask leads to have one policy.
            if !told.iter().any(|other| Arc::ptr_eq(other, policy)) {
                told.push(policy);
            }
        }
        told.into_iter().flat_map(|policy| policy.written()).collect()
    }

    /// A request's answer has begun, so long after the request; the service was asked after `overhead`.
    pub(crate) fn answered(&self, route: Route, latency: Duration, overhead: Option<Duration>) {
        if let Some(counts) = self.counts(route) {
            counts.traffic.answered(latency, overhead);
        }
    }

    /// A request is over, and so many bytes of bodies went through.
    pub(crate) fn ended(&self, route: Route, request_bytes: u64, response_bytes: u64, is_cut: bool) {
        if let Some(counts) = self.counts(route) {
            counts.traffic.ended(request_bytes, response_bytes, is_cut);
        }
    }

    fn counts(&self, route: Route) -> Option<&Counts> {
        self.backends.get(route.backend).map(|(_, counts)| &**counts)
    }

    /// Counts a request that is let through although the user's status could not be had.
    pub(crate) fn count_allowed_on_failure(&self) {
        self.allowed_on_failure.fetch_add(1, Ordering::Relaxed);
    }

    /// What passed, by backend.
    pub(super) fn traffic(&self) -> Vec<(&str, TrafficFigures)> {
        self.backends.iter().map(|(backend, counts)| (backend.as_str(), counts.traffic.figures())).collect()
    }

    pub(super) fn allowed_on_failure(&self) -> u64 {
        self.allowed_on_failure.load(Ordering::Relaxed)
    }

    /// The counters of routes that ever counted anything.
    pub(super) fn route_counts(&self) -> impl Iterator<Item = RouteCount<'_>> {
        self.routes.written()
    }

    /// The counters that are to be written.
    pub(super) fn written(&self) -> impl Iterator<Item = DecisionCount<'_>> {
        self.backends.iter().flat_map(|(backend, counts)| {
            Ending::all().zip(&counts.endings).filter_map(move |(ending, count)| {
                let count = count.load(Ordering::Relaxed);
                let (outcome, code) = ending.labels();
                let is_written = count > 0 || ending.is_always_written();
                is_written.then_some(DecisionCount { outcome, code, backend, count })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use firegate_core::route::NamedRoute;
    use firegate_files::configuration;

    use super::*;

    fn compile(rest: &str) -> Snapshot {
        let text = format!("project: demo-project\nallow: [allUsers]\n{rest}");
        Snapshot::compile(&configuration::parse("firegate.yaml", &text).expect("a configuration"))
    }

    fn snapshot() -> Snapshot {
        compile(
            "backends: { video: 'https://video.example', api: 'https://api.example' }\n\
             routes: [{ path: '/video/*', backend: video }, { path: '/*', backend: api }]\n",
        )
    }

    /// A route to this backend of the snapshot.
    fn route(decisions: &Decisions, snapshot: &Snapshot, name: &str) -> Route {
        let backend = snapshot.backends.iter().find(|backend| backend.name == name).expect("a backend");
        let leads_there = |route: &&NamedRoute| route.backends().any(|other| Arc::ptr_eq(other, backend));
        decisions.route(snapshot.routes.named().find(leads_there).expect("a route").number, backend)
    }

    fn only_video() -> Snapshot {
        compile(
            "backends: { video: 'https://video.example' }\nroutes: [{ path: '/video/*', backend: video }]\n",
        )
    }

    #[test]
    fn every_ending_has_a_place_of_its_own() {
        for (place, ending) in Ending::all().enumerate() {
            assert_eq!(ending.place(), place, "{ending:?}");
        }
        assert_eq!(Ending::all().count(), ENDINGS);
    }

    #[test]
    fn each_ending_of_each_backend_is_counted_apart() {
        let snapshot = snapshot();
        let decisions = Decisions::new(&snapshot, None);
        let routes = ["api", "video"].map(|name| route(&decisions, &snapshot, name));
        let routes = routes.into_iter().chain([Route::NONE]).collect::<Vec<_>>();
        let (mut times, mut expected) = (0_u64, 0);
        for route in &routes {
            for ending in Ending::all() {
                times += 1;
                expected += times;
                (0..times).for_each(|_| decisions.count(ending, *route));
            }
        }
        let written = decisions.written().collect::<Vec<_>>();
        assert_eq!(written.len(), ENDINGS * routes.len());
        assert_eq!(written.iter().map(|count| count.count).sum::<u64>(), expected);
        let labels = |count: &DecisionCount<'_>| (count.outcome, count.code, count.backend.to_owned());
        let apart = written.iter().map(labels).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(apart.len(), written.len());
        let numbers = written.iter().map(|count| count.count).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(numbers.len(), written.len());
    }

    #[test]
    fn a_backend_that_is_not_known_counts_as_none() {
        let snapshot = snapshot();
        let decisions = Decisions::new(&only_video(), None);
        assert_ne!(route(&decisions, &snapshot, "video"), Route::NONE);
        assert_eq!(route(&decisions, &snapshot, "api"), Route::NONE);
    }

    #[test]
    fn counters_go_on_under_another_configuration_and_never_go_back() {
        let (snapshot, only_video) = (snapshot(), only_video());
        let former = Decisions::new(&snapshot, None);
        let [api, video] = ["api", "video"].map(|name| route(&former, &snapshot, name));
        former.count(Ending::Permit, api);
        former.count(Ending::Permit, video);
        former.count_allowed_on_failure();
        let next = Decisions::new(&only_video, Some(&former));
        next.count(Ending::Permit, route(&next, &only_video, "video"));
        next.count(Ending::Permit, Route::NONE);
        // A request that began before is counted after.
        former.count(Ending::Permit, video);
        let permits = next.written().filter(|count| count.outcome == "permit");
        let permits = permits.map(|count| (count.backend, count.count)).collect::<Vec<_>>();
        assert_eq!(permits, [("", 1), ("api", 1), ("video", 3)]);
        assert_eq!(next.allowed_on_failure(), 1);
    }

    #[test]
    fn a_backend_that_is_gone_is_told_of_until_the_next_reload_and_counts_on_if_it_is_back() {
        let (both, only_video) = (snapshot(), only_video());
        let first = Decisions::new(&both, None);
        first.count(Ending::Permit, route(&first, &both, "api"));
        let permits = |decisions: &Decisions| {
            let permits =
                decisions.written().filter(|count| count.outcome == "permit" && count.backend == "api");
            permits.map(|count| count.count).collect::<Vec<_>>()
        };
        let second = Decisions::new(&only_video, Some(&first));
        assert_eq!(permits(&second), [1]);
        assert_eq!(permits(&Decisions::new(&both, Some(&second))), [1]);
        let third = Decisions::new(&only_video, Some(&second));
        assert!(permits(&third).is_empty());
        assert_eq!(permits(&Decisions::new(&both, Some(&third))), [0]);
    }

    /// Whoever makes a name for each release reloads often.
    #[test]
    fn reloads_with_ever_new_names_do_not_add_up() {
        let mut decisions = Decisions::new(&only_video(), None);
        for number in 0..100 {
            let name = format!("backends: {{ release-{number}: 'https://video.example' }}\n");
            decisions = Decisions::new(&compile(&name), Some(&decisions));
        }
        let names = decisions.traffic().into_iter().map(|(name, _)| name.to_owned());
        assert_eq!(names.collect::<Vec<_>>(), ["", "release-98", "release-99"]);
    }

    #[test]
    fn faults_are_written_before_the_first_one_and_denials_after() {
        let decisions = Decisions::new(&snapshot(), None);
        let has = |code: Code| decisions.written().any(|count| count.code == code.entry().name);
        assert!(has(Code::KeysUnavailable));
        assert!(!has(Code::TokenExpired));
        decisions.count(Ending::Refused(Code::TokenExpired), Route::NONE);
        assert!(has(Code::TokenExpired));
    }
}
