//! What the endpoints and backends say of themselves when the metrics are read.

use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::Upstreams;
use crate::metrics::{BackendFigures, EndpointFigures};

impl Upstreams {
    /// One for each endpoint that is in use.
    pub(crate) fn endpoint_figures(&self) -> Vec<EndpointFigures> {
        let figures = |endpoint: &std::sync::Arc<super::endpoint::Endpoint>| EndpointFigures {
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
        self.endpoints().iter().map(figures).collect()
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
