//! Google ID tokens for services, kept by audience.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use firegate_core::time::SharedClock;
use tokio_util::sync::CancellationToken;

use crate::credentials::Credential;
use crate::fault::{CredentialFault, FaultSource, Step};
use crate::kept::Kept;
use crate::limits::{AUDIENCE_BYTES_MAX, AUDIENCES_MAX, WAKE_INTERVAL_MAX};
use crate::tokens::{IdToken, MintCounts};

pub use crate::kept::Remint;

type Audiences = HashMap<Box<str>, Arc<Kept<IdToken>>>;

/// The ID tokens of one identity, by audience: each judged by its own `exp`, renewed at least five minutes early, and
/// never handed out with less than half a minute of life.
#[derive(Debug)]
pub struct IdTokenCache {
    credential: Arc<Credential>,
    mints: Arc<MintCounts>,
    audiences: ArcSwap<Audiences>,
    adding: Mutex<()>,
}

impl IdTokenCache {
    /// An empty cache, whose attempts to fill it are counted in `mints`.
    pub fn new(credential: Arc<Credential>, mints: Arc<MintCounts>) -> Arc<Self> {
        Arc::new(Self { credential, mints, audiences: ArcSwap::default(), adding: Mutex::default() })
    }

    /// The identity whose tokens these are.
    pub fn credential(&self) -> &Arc<Credential> {
        &self.credential
    }

    /// The kept token for `audience`, if it may be sent. Takes no lock and never waits.
    pub fn peek(&self, audience: &str) -> Option<Arc<IdToken>> {
        self.audiences.load().get(audience)?.peek()
    }

    /// The token for `audience`: the kept one, or a new one for which all callers wait together, at most
    /// [`TOKEN_WAIT_MAX`](crate::limits::TOKEN_WAIT_MAX).
    ///
    /// # Errors
    /// If none may be sent and none can be got in time; for a second after a failure at once.
    pub async fn get(&self, audience: &str) -> Result<Arc<IdToken>, CredentialFault> {
        let kept = match self.audiences.load().get(audience) {
            Some(kept) => Arc::clone(kept),
            None => self.add(audience)?,
        };
        kept.get(self.mint(audience)).await
    }

    /// Takes note that the service refused `token`: the next [`get`](Self::get) mints another one, at most once for each
    /// audience in half a minute. The refused one serves again if there is no other.
    pub fn invalidate(&self, audience: &str, token: &Arc<IdToken>) -> Remint {
        self.audiences.load().get(audience).map_or(Remint::Replaced, |kept| kept.doubt(token))
    }

    /// Renews the kept tokens ahead of their expiry until `shutdown`.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(WAKE_INTERVAL_MAX) => {}
            }
            for (audience, kept) in self.audiences.load().iter().filter(|(_, kept)| kept.is_due()) {
                kept.renew(self.mint(audience));
            }
        }
    }

    fn mint(
        &self,
        audience: &str,
    ) -> impl FnOnce() -> std::pin::Pin<Box<dyn Future<Output = Result<IdToken, CredentialFault>> + Send>>
    {
        let (credential, mints) = (Arc::clone(&self.credential), Arc::clone(&self.mints));
        let audience = audience.to_owned();
        move || {
            Box::pin(async move {
                let minted = credential.mint_id_token(&audience).await;
                mints.count(&minted);
                if let Err(fault) = &minted {
                    tracing::warn!(audience, %fault, "no ID token for the service; retrying");
                }
                minted
            })
        }
    }

    fn add(&self, audience: &str) -> Result<Arc<Kept<IdToken>>, CredentialFault> {
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let audiences = self.audiences.load();
        if let Some(kept) = audiences.get(audience) {
            return Ok(Arc::clone(kept));
        }
        if audience.is_empty() || audience.len() > AUDIENCE_BYTES_MAX || audiences.len() >= AUDIENCES_MAX {
            return Err(CredentialFault { step: Step::GenerateIdToken, source: FaultSource::Audience });
        }
        let exchange = self.credential.exchange();
        let clock: SharedClock = Arc::clone(&exchange.clock);
        let kept = Arc::new(Kept::new(clock, exchange.http.runtime().clone()));
        let mut grown = Audiences::clone(&audiences);
        grown.insert(audience.into(), Arc::clone(&kept));
        self.audiences.store(Arc::new(grown));
        Ok(kept)
    }
}
