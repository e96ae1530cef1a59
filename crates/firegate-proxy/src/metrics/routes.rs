//! Requests by the route of the configuration that they took. There may be many thousand routes, and what is counted of each
//! costs memory here and series wherever the metrics are kept: beyond a bound, those of a backend share one row.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use firegate_core::reason::Code;
use firegate_core::route::{RouteNumber, Routes};
use firegate_core::snapshot::Backend;

use super::decisions::{ENDINGS_WITHOUT_CODE, Ending};
use crate::limits::ROUTE_COUNTERS_MAX;

/// What the routes are called that have no row of their own. No route has this name: those of the short form begin with `/`,
/// and those of a URL map have two words, or are its default.
const OTHER: &str = "other";

/// How many ways there are for a request to end whose backend is not only observed.
const ENFORCED_ENDINGS: usize = ENDINGS_WITHOUT_CODE + Code::ALL.len();

/// The counters of routes. Another configuration counts on in the rows of the former one; a route that is gone keeps its row
/// until the configuration after that if anything was counted there.
#[derive(Debug, Default)]
pub(super) struct RouteCounters {
    rows: Vec<Row>,
    /// The rows of routes that have one of their own, with the places of the backends, sorted.
    own: Vec<(RouteNumber, usize, usize)>,
    /// The rows of all other routes, by the places of the backends.
    others: BTreeMap<usize, usize>,
}

/// The counters of one route to one backend.
#[derive(Clone, Debug)]
struct Row {
    backend: String,
    route: String,
    enforced: Arc<[AtomicU64; ENFORCED_ENDINGS]>,
    /// What requests would have been refused for: only where the backend is observed, or was. Half of the memory would be for
    /// endings that do not happen otherwise.
    observed: Option<Arc<[AtomicU64; Code::ALL.len()]>>,
}

/// One counter with its labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RouteCount<'a> {
    pub(super) backend: &'a str,
    pub(super) route: &'a str,
    pub(super) outcome: &'static str,
    pub(super) code: &'static str,
    pub(super) count: u64,
}

impl<'a> RouteCount<'a> {
    /// The values of the labels, in the order of the metric's description.
    pub(super) fn labels(&self) -> [&'a str; 4] {
        [self.backend, self.route, self.outcome, self.code]
    }
}

impl Row {
    fn new(backend: &str, route: &str) -> Self {
        Self {
            backend: backend.to_owned(),
            route: route.to_owned(),
            enforced: Arc::new(std::array::from_fn(|_| AtomicU64::new(0))),
            observed: None,
        }
    }

    fn counter(&self, ending: Ending) -> Option<&AtomicU64> {
        let place = ending.place();
        let of_observed = || self.observed.as_ref()?.get(place.checked_sub(ENFORCED_ENDINGS)?);
        self.enforced.get(place).or_else(of_observed)
    }

    fn counts(&self) -> impl Iterator<Item = RouteCount<'_>> {
        Ending::all().filter_map(|ending| {
            let count = self.counter(ending)?.load(Ordering::Relaxed);
            let (outcome, code) = ending.labels();
            let Self { backend, route, .. } = self;
            (count > 0).then_some(RouteCount { backend, route, outcome, code, count })
        })
    }
}

impl RouteCounters {
    /// Counters for these routes to backends, whose places are given by their names; the empty name is that of none, to which
    /// redirects lead. They count on from where `former` is.
    pub(super) fn new(
        routes: &Routes,
        backends: &BTreeMap<&str, (usize, Option<&Backend>)>,
        former: Option<&Self>,
    ) -> Self {
        let mut table = former.map(Table::after).unwrap_or_default();
        let (mut own, mut has_others) = (Vec::new(), false);
        for route in routes.named() {
            // Without this a thousand services behind one mask would be looked for by each of many thousand rules.
            if table.is_full() && !table.knows(&route.name) {
                has_others = true;
                continue;
            }
            let leads_to = route.backends().map(|backend| backend.name.as_str());
            let mut leads_to = leads_to.chain(route.is_redirect().then_some("")).collect::<Vec<_>>();
            leads_to.sort_unstable();
            leads_to.dedup();
            for name in leads_to {
                let Some((place, backend)) = backends.get(name) else { continue };
                match table.row(&route.name, name, *backend) {
                    Some(row) => own.push((route.number, *place, row)),
                    None => has_others = true,
                }
            }
        }
        own.sort_unstable();
        let others = backends.iter().filter(|_| has_others);
        let others = others
            .filter_map(|(name, (place, backend))| Some((*place, table.row(OTHER, name, *backend)?)))
            .collect();
        Self { rows: table.rows, own, others }
    }

    /// The rows of routes that there are.
    fn in_force(&self) -> impl Iterator<Item = &Row> {
        let places = self.own.iter().map(|(_, _, row)| *row).chain(self.others.values().copied());
        places.collect::<BTreeSet<_>>().into_iter().filter_map(|place| self.rows.get(place))
    }

    /// The row of a route to the backend at this place.
    pub(super) fn row(&self, route: RouteNumber, backend: usize) -> Option<usize> {
        let found =
            self.own.binary_search_by_key(&(route, backend), |(route, backend, _)| (*route, *backend));
        match found.ok().and_then(|at| self.own.get(at)) {
            Some((_, _, row)) => Some(*row),
            None => self.others.get(&backend).copied(),
        }
    }

    /// What the route of a row is called.
    pub(super) fn name(&self, row: usize) -> Option<&str> {
        self.rows.get(row).map(|row| row.route.as_str())
    }

    /// Counts how a request ended.
    pub(super) fn count(&self, row: usize, ending: Ending) {
        if let Some(count) = self.rows.get(row).and_then(|row| row.counter(ending)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The counters that ever counted anything.
    pub(super) fn written(&self) -> impl Iterator<Item = RouteCount<'_>> {
        self.rows.iter().flat_map(Row::counts)
    }
}

/// The rows, while they are put together.
#[derive(Default)]
struct Table<'a> {
    former: BTreeMap<(&'a str, &'a str), &'a Row>,
    rows: Vec<Row>,
    /// Where the row of a route to a backend is.
    places: BTreeMap<(&'a str, &'a str), usize>,
    /// How many routes have a row of their own.
    own: usize,
}

impl<'a> Table<'a> {
    /// Begins with those of the former rows where anything was counted, so that nothing goes back, and whose routes were still
    /// there. The others make room, unless their routes are.
    fn after(former: &'a RouteCounters) -> Self {
        let by_names = former.rows.iter().map(|row| ((row.route.as_str(), row.backend.as_str()), row));
        let mut table = Self { former: by_names.collect(), ..Self::default() };
        for row in former.in_force().filter(|row| row.counts().next().is_some()) {
            table.row(&row.route, &row.backend, None);
        }
        table
    }

    fn is_full(&self) -> bool {
        self.own >= ROUTE_COUNTERS_MAX
    }

    /// Whether a route of this name has a row to any backend.
    fn knows(&self, route: &str) -> bool {
        self.places.range((route, "")..).next().is_some_and(|((name, _), _)| *name == route)
    }

    /// The row of a route to a backend. Routes of one name have one; none if there is no room for it.
    fn row(&mut self, route: &'a str, name: &'a str, backend: Option<&Backend>) -> Option<usize> {
        let known = self.places.get(&(route, name)).copied();
        if known.is_none() && route != OTHER {
            if self.is_full() {
                return None;
            }
            self.own += 1;
        }
        let place = known.unwrap_or_else(|| {
            let former = self.former.get(&(route, name)).map(|row| (*row).clone());
            self.rows.push(former.unwrap_or_else(|| Row::new(name, route)));
            self.places.insert((route, name), self.rows.len() - 1);
            self.rows.len() - 1
        });
        if backend.is_some_and(Backend::observes) {
            let row = self.rows.get_mut(place)?;
            row.observed.get_or_insert_with(|| Arc::new(std::array::from_fn(|_| AtomicU64::new(0))));
        }
        Some(place)
    }
}

#[cfg(test)]
mod tests;
