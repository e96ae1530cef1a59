//! How long a stream may last: until its user's token expires or, where the configuration says so, until the user is found to
//! be disabled, deleted or revoked.

use std::pin::Pin;
use std::sync::Arc;

use tokio::time::Instant;

use crate::control::Watch;

/// The lease of one exchange. Its clones share one watch over the user, which ends with the last of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lease {
    /// When the token expires, on the clock that time-outs run by.
    pub(crate) until: Option<Instant>,
    /// The watch over the user.
    pub(crate) watch: Option<Arc<Watch>>,
}

/// Why a lease is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaseEnd {
    Expired,
    Revoked,
}

/// Ready when the lease is over.
pub(crate) type LeaseOver = Pin<Box<dyn Future<Output = LeaseEnd> + Send>>;

impl LeaseEnd {
    /// What happened to the user.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "the user's token expired",
            Self::Revoked => "the user was disabled, deleted or revoked",
        }
    }
}

impl Lease {
    /// Whether anything ends it.
    pub(crate) fn has_end(&self) -> bool {
        self.until.is_some() || self.watch.is_some()
    }

    /// Whether it is over by now.
    pub(crate) fn ended(&self, now: Instant) -> Option<LeaseEnd> {
        if self.until.is_some_and(|until| until <= now) {
            return Some(LeaseEnd::Expired);
        }
        self.watch.as_ref().filter(|watch| watch.is_revoked()).map(|_| LeaseEnd::Revoked)
    }

    /// Waits until it is over; `None` if it never is.
    pub(crate) fn over(&self) -> Option<LeaseOver> {
        let watch = self.watch.clone();
        match (self.until, watch) {
            (None, None) => None,
            (Some(until), None) => Some(Box::pin(async move {
                tokio::time::sleep_until(until).await;
                LeaseEnd::Expired
            })),
            (until, Some(watch)) => Some(Box::pin(async move {
                let expiry = async {
                    match until {
                        Some(until) => tokio::time::sleep_until(until).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = expiry => LeaseEnd::Expired,
                    () = watch.revoked() => LeaseEnd::Revoked,
                }
            })),
        }
    }
}
