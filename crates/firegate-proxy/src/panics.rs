//! Panics, which are faults of Firegate's own: each ends what it happened in, is counted, and nothing else.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt;

/// How many there were in this process.
#[derive(Debug, Default)]
pub(crate) struct Panics(AtomicU64);

/// That something panicked, and what it said.
#[derive(Debug, thiserror::Error)]
#[error("a panic: {0}")]
pub(crate) struct Panicked(String);

impl Panics {
    /// Does `work`, and counts a panic in it. What it shares with others has to bear that: it is atomic, or behind locks that
    /// are held for a few assignments and of which nobody minds the poison. This is no `async fn`, which would have room for
    /// `work` twice: as its argument, and where it is awaited.
    pub(crate) fn catch<W: Future>(
        &self,
        work: W,
    ) -> impl Future<Output = Result<W::Output, Panicked>> + use<'_, W> {
        AssertUnwindSafe(work).catch_unwind().map(|caught| {
            caught.map_err(|payload| {
                self.0.fetch_add(1, Ordering::Relaxed);
                Panicked(message(&*payload).to_owned())
            })
        })
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What `panic!` was called with.
fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("of no text")
}
