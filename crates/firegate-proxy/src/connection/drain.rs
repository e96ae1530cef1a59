//! How connections are asked to end when the process stops: those that are in use at once, each by its protocol's own
//! word, and those that are idle a little later. HTTP/1 has no word for an idle connection, and a client that was about to
//! send a request on it would see it fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// The end of a worker's connections.
#[derive(Clone, Debug)]
pub(crate) struct Drain {
    begun: CancellationToken,
    idle_over: CancellationToken,
    /// Whether that is so, for whoever asks between two requests: to ask the token takes its lock.
    is_idle_over: Arc<AtomicBool>,
}

impl Drain {
    /// An end that begins with `stop`.
    pub(crate) fn new(stop: &CancellationToken) -> Self {
        // A token of the worker's own: its connections look at it often, and wait for no other worker to do so.
        let (begun, idle_over) = (stop.child_token(), CancellationToken::new());
        Self { begun, idle_over, is_idle_over: Arc::default() }
    }

    /// Whether clients are told to use no connection again.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// When that begins.
    pub(crate) fn begun(&self) -> &CancellationToken {
        &self.begun
    }

    /// When whatever is idle is closed.
    pub(crate) fn idle_over(&self) -> &CancellationToken {
        &self.idle_over
    }

    /// Whether whatever is idle is closed. Whoever has asked the token before is woken when it comes to that.
    pub(crate) fn is_idle_over(&self) -> bool {
        self.is_idle_over.load(Ordering::Acquire)
    }

    /// Closes idle connections once `grace` is over. Never ends by itself.
    pub(crate) async fn close_idle_after(&self, grace: Duration) {
        tokio::time::sleep(grace).await;
        self.is_idle_over.store(true, Ordering::Release);
        self.idle_over.cancel();
        std::future::pending().await
    }
}
