//! How much passes and how long it takes: what is counted of every request beside how it ended.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::histogram::{Histogram, HistogramFigures};

/// The bounds of the time to an answer's head, in seconds.
const HEAD_SECONDS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// The bounds of Firegate's own share of it, which is mostly far below a millisecond, in seconds.
const OVERHEAD_SECONDS: [f64; 12] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0];

/// The figures of the requests that are routed to one backend, or to none.
#[derive(Debug)]
pub(super) struct Traffic {
    head: Histogram<{ HEAD_SECONDS.len() }>,
    overhead: Histogram<{ OVERHEAD_SECONDS.len() }>,
    request_bytes: AtomicU64,
    response_bytes: AtomicU64,
    cut: AtomicU64,
}

/// Traffic of one moment.
#[derive(Debug)]
pub(super) struct TrafficFigures {
    pub(super) head: HistogramFigures,
    pub(super) overhead: HistogramFigures,
    pub(super) request_bytes: u64,
    pub(super) response_bytes: u64,
    pub(super) cut: u64,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            head: Histogram::new(&HEAD_SECONDS),
            overhead: Histogram::new(&OVERHEAD_SECONDS),
            request_bytes: AtomicU64::new(0),
            response_bytes: AtomicU64::new(0),
            cut: AtomicU64::new(0),
        }
    }
}

impl Traffic {
    /// An answer has begun, so long after its request; the service was asked after `overhead`.
    pub(super) fn answered(&self, latency: Duration, overhead: Option<Duration>) {
        self.head.observe(latency);
        if let Some(overhead) = overhead {
            self.overhead.observe(overhead);
        }
    }

    /// A request is over.
    pub(super) fn ended(&self, request_bytes: u64, response_bytes: u64, is_cut: bool) {
        for (count, amount) in [
            (&self.request_bytes, request_bytes),
            (&self.response_bytes, response_bytes),
            (&self.cut, is_cut.into()),
        ] {
            if amount > 0 {
                count.fetch_add(amount, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn figures(&self) -> TrafficFigures {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        TrafficFigures {
            head: self.head.figures(),
            overhead: self.overhead.figures(),
            request_bytes: load(&self.request_bytes),
            response_bytes: load(&self.response_bytes),
            cut: load(&self.cut),
        }
    }
}
