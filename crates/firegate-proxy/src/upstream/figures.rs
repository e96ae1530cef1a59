//! What the endpoints and backends say of themselves when the metrics are read.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::endpoint::Endpoint;
use super::{Upstream, Upstreams};

/// An endpoint of a backend.
#[derive(Clone, Debug, Default)]
pub(crate) struct EndpointFigures {
    /// The backend's name.
    pub(crate) backend: String,
    /// Its origin.
    pub(crate) endpoint: String,
    /// How many requests are under way.
    pub(crate) requests: usize,
    /// How many connections are open and carry no request.
    pub(crate) idle_connections: usize,
    /// Whether its active health checks succeed, or it has none.
    pub(crate) is_healthy: bool,
    /// Whether it is left alone because it failed several times in a row.
    pub(crate) is_ejected: bool,
    /// How often that happened.
    pub(crate) ejections: u64,
    /// How many connections were made.
    pub(crate) connects: u64,
    /// How many could not be made.
    pub(crate) failed_connects: u64,
    /// How many requests got no answer, or 502, 503 or 504.
    pub(crate) failures: u64,
}

/// What is under way to a backend.
#[derive(Clone, Debug, Default)]
pub(crate) struct BackendFigures {
    /// The backend's name.
    pub(crate) backend: String,
    /// How many requests were refused because too many were under way.
    pub(crate) refused: u64,
    /// How many were sent once more.
    pub(crate) repeats: u64,
    /// How many might have been, and were not for want of budget.
    pub(crate) unaffordable_repeats: u64,
}

impl Upstreams {
    /// One for each endpoint that is in use. After a reload that changed the settings of one, what began before still uses the
    /// former: then it is the one in force that is told of, by which requests go there now, and what is under way or open
    /// counts of both. Nobody could read two series of the same labels.
    pub(crate) fn endpoint_figures(&self, in_force: &[&Upstream]) -> Vec<EndpointFigures> {
        let figures = |endpoint: &Arc<Endpoint>| EndpointFigures {
            backend: endpoint.settings.backend.clone(),
            endpoint: endpoint.settings.url.origin().ascii_serialization(),
            requests: endpoint.requests.count(),
            idle_connections: endpoint.idle_connections(),
            is_healthy: endpoint.is_healthy(),
            is_ejected: endpoint.outliers.is_ejected(Instant::now),
            ejections: endpoint.outliers.ejections(),
            connects: endpoint.counters.connects.load(Ordering::Relaxed),
            failed_connects: endpoint.counters.failed_connects.load(Ordering::Relaxed),
            failures: endpoint.counters.failures.load(Ordering::Relaxed),
        };
        let is_in_force = |endpoint: &Arc<Endpoint>| in_force.iter().any(|upstream| upstream.has(endpoint));
        let (current, former) = self.endpoints().into_iter().partition::<Vec<_>, _>(is_in_force);
        let mut told: Vec<EndpointFigures> = Vec::new();
        for figures in current.iter().chain(former.iter().rev()).map(figures) {
            let is_same = |told: &&mut EndpointFigures| {
                told.backend == figures.backend && told.endpoint == figures.endpoint
            };
            match told.iter_mut().find(is_same) {
                Some(told) => {
                    told.requests += figures.requests;
                    told.idle_connections += figures.idle_connections;
                }
                None => told.push(figures),
            }
        }
        told
    }

    /// One for each backend.
    pub(crate) fn backend_figures(&self) -> Vec<BackendFigures> {
        let loads = self.loads().into_iter();
        let figures = loads.map(|(backend, load)| BackendFigures {
            backend,
            refused: load.refused(),
            repeats: load.repeats(),
            unaffordable_repeats: load.unaffordable(),
        });
        figures.collect()
    }
}
