//! Google ID tokens for services, kept by audience.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use firegate_core::time::SharedClock;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::credentials::Credential;
use crate::fault::{CredentialFault, FaultSource, Step};
use crate::kept::Kept;
use crate::limits::{AUDIENCE_BYTES_MAX, AUDIENCES_MAX, TOKEN_WAIT_MAX, WAKE_INTERVAL_MAX};
use crate::outage::Outage;
use crate::tokens::{IdToken, MintCounts};

pub use crate::kept::Remint;

type Audiences = HashMap<Box<str>, Audience>;

/// What there is for one audience.
#[derive(Clone, Debug)]
struct Audience {
    kept: Arc<Kept<IdToken>>,
    outage: Arc<Outage>,
}

/// What is logged while there is none.
const NO_TOKEN: &str =
    "no ID token for the service; asking again, and requests get 503 while none is kept that is alive";

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
        self.audiences.load().get(audience)?.kept.peek()
    }

    /// The token for `audience`: the kept one, or a new one for which all callers wait together, at most
    /// [`TOKEN_WAIT_MAX`].
    ///
    /// # Errors
    /// If none may be sent and none can be got in time; for a second after a failure at once.
    pub async fn get(&self, audience: &str) -> Result<Arc<IdToken>, CredentialFault> {
        let of_audience = match self.audiences.load().get(audience) {
            Some(known) => known.clone(),
            None => self.add(audience)?,
        };
        of_audience.kept.get(TOKEN_WAIT_MAX, self.mint(audience, &of_audience.outage)).await
    }

    /// Takes note that the service refused `token`: the next [`get`](Self::get) mints another one, at most once for each
    /// audience in half a minute. The refused one serves again if there is no other.
    pub fn invalidate(&self, audience: &str, token: &Arc<IdToken>) -> Remint {
        self.audiences.load().get(audience).map_or(Remint::Replaced, |known| known.kept.doubt(token))
    }

    /// Renews the kept tokens ahead of their expiry until `shutdown`.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(WAKE_INTERVAL_MAX) => {}
            }
            for (audience, known) in self.audiences.load().iter().filter(|(_, known)| known.kept.is_due()) {
                known.kept.renew(self.mint(audience, &known.outage));
            }
        }
    }

    fn mint(
        &self,
        audience: &str,
        outage: &Arc<Outage>,
    ) -> impl FnOnce() -> std::pin::Pin<Box<dyn Future<Output = Result<IdToken, CredentialFault>> + Send>>
    {
        let (credential, mints) = (Arc::clone(&self.credential), Arc::clone(&self.mints));
        let outage = Arc::clone(outage);
        let audience = audience.to_owned();
        move || {
            Box::pin(async move {
                let minted = credential.mint_id_token(&audience).await;
                mints.count(&minted);
                tell(&audience, &minted, &outage);
                minted
            })
        }
    }

    fn add(&self, audience: &str) -> Result<Audience, CredentialFault> {
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let audiences = self.audiences.load();
        if let Some(known) = audiences.get(audience) {
            return Ok(known.clone());
        }
        if audience.is_empty() || audience.len() > AUDIENCE_BYTES_MAX || audiences.len() >= AUDIENCES_MAX {
            return Err(CredentialFault { step: Step::GenerateIdToken, source: FaultSource::Audience });
        }
        let exchange = self.credential.exchange();
        let clock: SharedClock = Arc::clone(&exchange.clock);
        let kept = Arc::new(Kept::new(clock, exchange.http.runtime().clone()));
        let mut grown = Audiences::clone(&audiences);
        let added = Audience { kept, outage: Arc::default() };
        grown.insert(audience.into(), added.clone());
        self.audiences.store(Arc::new(grown));
        Ok(added)
    }
}

/// Logs that tokens for a service are not to be had, and that they are again.
fn tell(audience: &str, minted: &Result<IdToken, CredentialFault>, outage: &Outage) {
    match minted {
        Ok(_) => {
            if let Some(failures) = outage.worked() {
                tracing::info!(audience, failures, "there are ID tokens for the service again");
            }
        }
        Err(fault) => {
            if let Some(failures) = outage.failed(Instant::now()) {
                tracing::warn!(audience, fault = %fault.what(), failures, "{NO_TOKEN}; hint: {}", fault.advice());
            }
        }
    }
}
