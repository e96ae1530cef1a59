//! How long a stream may last: until its user's token expires or, where the configuration says so, until the user is found to
//! be disabled, deleted or revoked.

use std::pin::Pin;
use std::sync::Arc;

use firegate_core::time::{Clock, UnixTime};
use tokio::time::Instant;

use crate::control::Watch;
use crate::moment;

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
    /// When a token that expires at `expiry` does so, on the clock that time-outs run by. Not in whole seconds, for a stream
    /// must not outlive its user by a part of one.
    pub(crate) fn end_of(expiry: UnixTime, clock: &dyn Clock) -> Instant {
        moment::now() + expiry.since_epoch().saturating_sub(clock.since_epoch())
    }

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A clock that stands still, in the middle of a second.
    #[derive(Debug)]
    struct Stopped(Duration);

    impl Clock for Stopped {
        fn now(&self) -> UnixTime {
            UnixTime::from_seconds(i64::try_from(self.0.as_secs()).expect("seconds"))
        }

        fn steady(&self) -> Duration {
            self.0
        }

        fn since_epoch(&self) -> Duration {
            self.0
        }
    }

    /// By whole seconds it would be a part of a second longer than the token.
    #[tokio::test(start_paused = true)]
    async fn a_lease_ends_with_its_token_and_no_part_of_a_second_later() {
        let check = |now_ms: u64, expiry: i64, expected_ms: u64| {
            let end = Lease::end_of(UnixTime::from_seconds(expiry), &Stopped(Duration::from_millis(now_ms)));
            assert_eq!(end - Instant::now(), Duration::from_millis(expected_ms), "{expiry} at {now_ms}");
        };
        check(100_000, 103, 3000);
        check(100_001, 103, 2999);
        check(100_999, 101, 1);
        // What has expired, or never was alive, is over at once.
        check(101_000, 101, 0);
        check(101_500, 101, 0);
        check(100_500, -1, 0);
    }
}
