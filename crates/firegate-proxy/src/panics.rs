//! Panics, which are faults of Firegate's own: each ends what it happened in, is counted, and nothing else.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt;

use crate::limits::TASK_RESTART_PAUSE;

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
        AssertUnwindSafe(work).catch_unwind().map(|caught| caught.map_err(|payload| self.caught(&*payload)))
    }

    /// Does `work` now, and counts a panic in it. The same holds for what it shares with others.
    pub(crate) fn catch_now<T>(&self, work: impl FnOnce() -> T) -> Result<T, Panicked> {
        std::panic::catch_unwind(AssertUnwindSafe(work)).map_err(|payload| self.caught(&*payload))
    }

    /// Does the `work` of a task of its own: a panic in it is counted and logged as what is over with it.
    pub(crate) fn contain<W: Future<Output = ()>>(
        self: &Arc<Self>,
        what: &'static str,
        work: W,
    ) -> impl Future<Output = ()> + use<W> {
        let panics = Arc::clone(self);
        AssertUnwindSafe(work).catch_unwind().map(move |caught| {
            if let Err(payload) = caught {
                let panicked = panics.caught(&*payload);
                tracing::error!(%panicked, "{what}");
            }
        })
    }

    /// Does the work of a task that others go on needing: after a panic, which is logged as `what`, it is begun anew.
    pub(crate) fn keep<W: Future<Output = ()>, F: Fn() -> W>(
        self: &Arc<Self>,
        what: &'static str,
        work: F,
    ) -> impl Future<Output = ()> + use<W, F> {
        let panics = Arc::clone(self);
        async move {
            while let Err(panicked) = panics.catch(work()).await {
                tracing::error!(%panicked, "{what}");
                tokio::time::sleep(TASK_RESTART_PAUSE).await;
            }
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn caught(&self, payload: &(dyn Any + Send)) -> Panicked {
        self.0.fetch_add(1, Ordering::Relaxed);
        Panicked(message(payload).to_owned())
    }
}

/// What `panic!` was called with.
fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("of no text")
}
