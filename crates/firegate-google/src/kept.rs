//! One token that is kept: served from memory, renewed ahead of its expiry, never handed out past it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use firegate_core::time::{SharedClock, UnixTime};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::backoff;
use crate::fault::{CredentialFault, FaultSource, Step};
use crate::http::FetchError;
use crate::key_sets::apart;
use crate::limits::{
    TOKEN_FAILURE_MEMORY, TOKEN_REMAINING_MIN, TOKEN_REMINT_COOL_DOWN, TOKEN_RENEWAL_INTERVAL_MIN,
    TOKEN_RENEWAL_JITTER, TOKEN_RENEWAL_LEAD, TOKEN_RETRY_MAX, TOKEN_RETRY_MIN, TOKEN_WAITERS_MAX,
};
use crate::single_flight::{NoResult, NoSeat, Seat, SingleFlight};
use crate::tokens::Expiring;

type Minted<T> = Result<Arc<T>, CredentialFault>;

/// A kept token and the one call that renews it.
pub(crate) struct Kept<T> {
    token: ArcSwapOption<T>,
    /// The service refused the kept token: another is wanted, but this one serves if there is no other.
    doubted: AtomicBool,
    pacing: Mutex<Pacing>,
    flight: Arc<SingleFlight<(), Minted<T>>>,
    clock: SharedClock,
    runtime: Handle,
}

#[derive(Debug, Default)]
struct Pacing {
    renew_at: Option<UnixTime>,
    failure: Option<(Instant, CredentialFault)>,
    failures_in_row: u32,
    reminted_at: Option<UnixTime>,
}

/// What becomes of a token that its service refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remint {
    /// Ask for the token again: it is minted anew.
    Wanted,
    /// Ask for the token again: there is another one already.
    Replaced,
    /// Another one was minted a short while ago and did not help; the refusal has another cause.
    CoolingDown,
}

impl<T: Expiring + Send + Sync + 'static> Kept<T> {
    pub(crate) fn new(clock: SharedClock, runtime: Handle) -> Self {
        Self {
            token: ArcSwapOption::empty(),
            doubted: AtomicBool::new(false),
            pacing: Mutex::default(),
            flight: Arc::new(SingleFlight::new(1, TOKEN_WAITERS_MAX)),
            clock,
            runtime,
        }
    }

    /// The token, if it has enough life left and its service has not refused it.
    pub(crate) fn peek(&self) -> Option<Arc<T>> {
        if self.doubted.load(Ordering::Acquire) { None } else { self.alive() }
    }

    fn alive(&self) -> Option<Arc<T>> {
        let token = self.token.load();
        let token = token.as_ref()?;
        (token.expires_at().since(self.clock.now()) >= TOKEN_REMAINING_MIN).then(|| Arc::clone(token))
    }

    /// Whether a renewal in the background should begin now: there was a token, it is due, and the pause after a failure
    /// is over.
    pub(crate) fn is_due(&self) -> bool {
        let pacing = self.pacing();
        let paused = pacing.failure.as_ref().is_some_and(|(at, _)| {
            at.elapsed() < backoff::pause(pacing.failures_in_row, TOKEN_RETRY_MIN, TOKEN_RETRY_MAX)
        });
        !paused && pacing.renew_at.is_some_and(|renew_at| renew_at <= self.clock.now())
    }

    /// Begins a renewal and does not wait for it.
    pub(crate) fn renew<F>(self: &Arc<Self>, mint: impl FnOnce() -> F)
    where
        F: Future<Output = Result<T, CredentialFault>> + Send + 'static,
    {
        // A renewal under way is as good; nobody needs the seat.
        let _ = self.join(|| Ok::<_, ()>(mint()));
    }

    /// The token, minted if there is none; whoever comes meanwhile waits for the same call, each as long as they have
    /// `patience`. While a kept token is alive, a failure to mint another one is not the caller's.
    pub(crate) async fn get<F>(self: &Arc<Self>, patience: Duration, mint: impl FnOnce() -> F) -> Minted<T>
    where
        F: Future<Output = Result<T, CredentialFault>> + Send + 'static,
    {
        if let Some(token) = self.peek() {
            if self.is_due() {
                self.renew(mint);
            }
            return Ok(token);
        }
        let joined = self.join(|| match (self.peek(), self.recent_failure()) {
            (Some(token), _) => Err(Ok(token)),
            (None, Some(fault)) => Err(Err(fault)),
            (None, None) => Ok(mint()),
        });
        let minted = match joined {
            Ok(seat) => self.flight.wait(seat, patience).await.unwrap_or_else(|none| Err(waiting(none))),
            Err(NoSeat::Declined(decided)) => decided,
            Err(NoSeat::Full) => Err(waiting(NoResult::Full)),
        };
        minted.or_else(|fault| self.alive().ok_or(fault))
    }

    /// Takes note that the service refused `token`.
    pub(crate) fn doubt(&self, token: &Arc<T>) -> Remint {
        if !self.token.load().as_ref().is_some_and(|kept| Arc::ptr_eq(kept, token)) {
            return Remint::Replaced;
        }
        let now = self.clock.now();
        let mut pacing = self.pacing();
        if self.doubted.load(Ordering::Acquire) {
            return Remint::Wanted;
        }
        if pacing.reminted_at.is_some_and(|reminted_at| apart(reminted_at, now) < TOKEN_REMINT_COOL_DOWN) {
            return Remint::CoolingDown;
        }
        pacing.reminted_at = Some(now);
        self.doubted.store(true, Ordering::Release);
        Remint::Wanted
    }

    fn join<F, R>(
        self: &Arc<Self>,
        begin: impl FnOnce() -> Result<F, R>,
    ) -> Result<Seat<Minted<T>>, NoSeat<R>>
    where
        F: Future<Output = Result<T, CredentialFault>> + Send + 'static,
    {
        self.flight.join(&self.runtime, (), || {
            let mint = begin()?;
            let kept = Arc::clone(self);
            Ok(async move { kept.keep(mint.await) })
        })
    }

    fn keep(&self, minted: Result<T, CredentialFault>) -> Minted<T> {
        let mut pacing = self.pacing();
        let kept = match minted {
            Ok(token) => {
                let now = self.clock.now();
                let lead = TOKEN_RENEWAL_LEAD + backoff::random_up_to(TOKEN_RENEWAL_JITTER);
                let soonest = now.plus(TOKEN_RENEWAL_INTERVAL_MIN);
                pacing.renew_at = Some(token.expires_at().minus(lead).max(soonest));
                pacing.failure = None;
                pacing.failures_in_row = 0;
                let token = Arc::new(token);
                self.token.store(Some(Arc::clone(&token)));
                Ok(token)
            }
            Err(fault) => {
                pacing.failures_in_row = pacing.failures_in_row.saturating_add(1);
                pacing.failure = Some((Instant::now(), fault.clone()));
                Err(fault)
            }
        };
        self.doubted.store(false, Ordering::Release);
        kept
    }

    fn recent_failure(&self) -> Option<CredentialFault> {
        let pacing = self.pacing();
        let recent = pacing.failure.as_ref().filter(|(at, _)| at.elapsed() < TOKEN_FAILURE_MEMORY);
        recent.map(|(_, fault)| fault.clone())
    }

    fn pacing(&self) -> MutexGuard<'_, Pacing> {
        self.pacing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn waiting(none: NoResult) -> CredentialFault {
    let source = match none {
        NoResult::Full => FaultSource::Overloaded,
        NoResult::TimedOut => FaultSource::TimedOut,
        NoResult::Panicked => FaultSource::Fetch(FetchError::Internal),
        NoResult::Stopping => FaultSource::Fetch(FetchError::Stopping),
    };
    CredentialFault { step: Step::Waiting, source }
}

impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Kept").field("doubted", &self.doubted).finish_non_exhaustive()
    }
}
