//! `federate_user`: the user's own Firebase token is exchanged by workload identity federation, and IAM decides whether
//! that user (`principal://…/subject/UID`) may act as the service account that calls the service.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use firegate_core::identity::TokenKind;
use firegate_core::limits::FEDERATED_SUBJECT_BYTES_MAX;
use firegate_core::time::{SharedClock, UnixTime};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::time::Instant;

use crate::credentials::Endpoints;
use crate::credentials::exchange::{Exchange, Impersonation, JWT_TYPE, Subject};
use crate::fault::{CredentialFault, FaultKind};
use crate::http::HttpClient;
use crate::kept::waiting;
use crate::limits::{
    FEDERATED_TOKENS_BYTES_MAX, FEDERATED_TOKENS_MAX, FEDERATION_FAILURES_MAX, FEDERATION_REFUSAL_MEMORY,
    FEDERATIONS_UNDER_WAY_MAX, TOKEN_FAILURE_MEMORY, TOKEN_REMAINING_MIN, TOKEN_WAIT_MAX, TOKEN_WAITERS_MAX,
};
use crate::outage::Outage;
use crate::single_flight::{NoResult, NoSeat, SingleFlight};
use crate::tokens::{IdToken, MintCounts};

/// A verified user, with the token that proves it.
#[derive(Clone, Copy)]
pub struct FederatedUser<'a> {
    /// The whole token.
    pub token: &'a str,
    /// What kind of token it is; only ID tokens can be federated.
    pub kind: TokenKind,
    /// The user's id, `google.subject` of the pool.
    pub uid: &'a str,
    /// The token's `exp`.
    pub expires_at: UnixTime,
}

/// What the user's token is exchanged for.
#[derive(Clone, Copy, Debug)]
pub struct FederationTarget<'a> {
    /// `//iam.googleapis.com/projects/N/locations/global/workloadIdentityPools/P/providers/F`.
    pub workload_identity_provider: &'a str,
    /// The service account that IAM may let the user act as.
    pub service_account: &'a str,
    /// The service's audience.
    pub audience: &'a str,
}

/// Why there is no token for a user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FederationFault {
    /// A session cookie has another issuer than the provider trusts.
    #[error("session cookies cannot be federated; send an ID token")]
    SessionCookie,
    /// `google.subject` holds at most 127 bytes, one less than a user id may have.
    #[error("the user's id is longer than the {FEDERATED_SUBJECT_BYTES_MAX} bytes that can be federated")]
    SubjectTooLong,
    /// The user's token has less life left than a call needs.
    #[error("the user's token has expired or is about to")]
    Expired,
    /// Google refused the exchange, or could not be asked.
    #[error("{0}")]
    Credential(#[from] CredentialFault),
}

/// The tokens of federated users: kept for exactly this token, provider, service account and audience, and never beyond
/// the user's own `exp`.
pub struct FederationCache {
    exchange: Exchange,
    mints: Arc<MintCounts>,
    tokens: Cache<Key, Arc<FederatedToken>, TokenWeight>,
    failures: Cache<Key, Arc<Failure>>,
    outage: Outage,
    flights: Arc<SingleFlight<Key, Result<Arc<IdToken>, CredentialFault>>>,
}

type Key = [u8; 32];

/// What is logged while nobody's token is exchanged.
const NOT_EXCHANGED: &str = "users' tokens could not be exchanged, and their requests get 503";

struct FederatedToken {
    token: Arc<IdToken>,
    serve_until: UnixTime,
}

struct Failure {
    at: Instant,
    fault: CredentialFault,
}

#[derive(Clone, Copy)]
struct TokenWeight;

impl Weighter<Key, Arc<FederatedToken>> for TokenWeight {
    fn weight(&self, _: &Key, kept: &Arc<FederatedToken>) -> u64 {
        // The text and the header made of it. The floor makes the bound in bytes a bound in entries too.
        let bytes = 2 * kept.token.text().len() + size_of::<FederatedToken>() + size_of::<IdToken>();
        (bytes as u64).max(FEDERATED_TOKENS_BYTES_MAX / FEDERATED_TOKENS_MAX as u64)
    }
}

impl FederationCache {
    /// An empty cache that exchanges at these endpoints, and counts its attempts in `mints`.
    pub fn new(
        endpoints: Endpoints,
        http: HttpClient,
        clock: SharedClock,
        mints: Arc<MintCounts>,
    ) -> Arc<Self> {
        Arc::new(Self {
            exchange: Exchange { endpoints, http, clock },
            mints,
            tokens: Cache::with_weighter(FEDERATED_TOKENS_MAX, FEDERATED_TOKENS_BYTES_MAX, TokenWeight),
            failures: Cache::new(FEDERATION_FAILURES_MAX),
            outage: Outage::default(),
            flights: Arc::new(SingleFlight::new(FEDERATIONS_UNDER_WAY_MAX, TOKEN_WAITERS_MAX)),
        })
    }

    /// How many tokens are kept.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// A Google ID token of the target's service account, for its audience, got with the user's own token: kept, or
    /// exchanged once for all who ask meanwhile.
    ///
    /// # Errors
    /// If the user's token cannot be federated, Google refuses it, or Google cannot be asked in time.
    pub async fn get(
        self: &Arc<Self>,
        user: FederatedUser<'_>,
        target: FederationTarget<'_>,
    ) -> Result<Arc<IdToken>, FederationFault> {
        if user.kind != TokenKind::IdToken {
            return Err(FederationFault::SessionCookie);
        }
        if user.uid.len() > FEDERATED_SUBJECT_BYTES_MAX {
            return Err(FederationFault::SubjectTooLong);
        }
        if user.expires_at <= self.exchange.clock.now() {
            return Err(FederationFault::Expired);
        }
        let key = key(user, target);
        if let Some(token) = self.kept(&key) {
            return Ok(token);
        }
        let joined = self.flights.join(self.exchange.http.runtime(), key, || {
            match (self.kept(&key), self.recent_failure(&key)) {
                (Some(token), _) => Err(Ok(token)),
                (None, Some(fault)) => Err(Err(fault)),
                (None, None) => Ok(Arc::clone(self).federate(key, Owned::new(user, target))),
            }
        });
        let federated = match joined {
            Ok(seat) => {
                self.flights.wait(seat, TOKEN_WAIT_MAX).await.unwrap_or_else(|none| Err(waiting(none)))
            }
            Err(NoSeat::Declined(decided)) => decided,
            Err(NoSeat::Full) => Err(waiting(NoResult::Full)),
        };
        Ok(federated?)
    }

    async fn federate(self: Arc<Self>, key: Key, owned: Owned) -> Result<Arc<IdToken>, CredentialFault> {
        let exchanged = self.exchange_user(&owned).await;
        self.mints.count(&exchanged);
        self.tell(&owned, &exchanged);
        match exchanged {
            Ok(token) => {
                let token = Arc::new(token);
                let serve_until = token.expires_at().minus(TOKEN_REMAINING_MIN).min(owned.user_expires_at);
                self.tokens.insert(key, Arc::new(FederatedToken { token: Arc::clone(&token), serve_until }));
                Ok(token)
            }
            Err(fault) => {
                self.failures.insert(key, Arc::new(Failure { at: Instant::now(), fault: fault.clone() }));
                Err(fault)
            }
        }
    }

    async fn exchange_user(&self, owned: &Owned) -> Result<IdToken, CredentialFault> {
        let subject = Subject { audience: &owned.provider, token: &owned.user_token, token_type: JWT_TYPE };
        let federated = self.exchange.security_token_service(subject, None).await?;
        self.exchange.generate_id_token(&owned.impersonation, &owned.audience, &federated).await
    }

    fn kept(&self, key: &Key) -> Option<Arc<IdToken>> {
        let kept = self.tokens.get(key)?;
        if self.exchange.clock.now() < kept.serve_until {
            return Some(Arc::clone(&kept.token));
        }
        self.tokens.remove(key);
        None
    }

    fn recent_failure(&self, key: &Key) -> Option<CredentialFault> {
        let failure = self.failures.get(key)?;
        let memory = match failure.fault.kind() {
            FaultKind::Refused => FEDERATION_REFUSAL_MEMORY,
            FaultKind::Unavailable => TOKEN_FAILURE_MEMORY,
        };
        if failure.at.elapsed() < memory {
            return Some(failure.fault.clone());
        }
        self.failures.remove(key);
        None
    }

    /// Logs that users' tokens cannot be exchanged, and that they can be again. What is refused to one user is told by that
    /// request's own line.
    fn tell(&self, owned: &Owned, exchanged: &Result<IdToken, CredentialFault>) {
        match exchanged {
            Ok(_) => {
                if let Some(failures) = self.outage.worked() {
                    tracing::info!(failures, "users' tokens can be exchanged again");
                }
            }
            Err(fault) if fault.is_about_the_user() => {}
            Err(fault) => {
                if let Some(failures) = self.outage.failed(Instant::now()) {
                    let service_account = &*owned.impersonation.service_account;
                    tracing::warn!(
                        service_account, fault = %fault.what(), failures, "{NOT_EXCHANGED}; hint: {}", fault.advice()
                    );
                }
            }
        }
    }
}

impl FederationFault {
    /// Whether it says something of the user: that they, or the token that they sent, are refused.
    pub fn is_about_the_user(&self) -> bool {
        match self {
            Self::SessionCookie | Self::SubjectTooLong | Self::Expired => true,
            Self::Credential(fault) => fault.is_about_the_user(),
        }
    }

    /// Whether trying again helps.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::SessionCookie | Self::SubjectTooLong | Self::Expired => FaultKind::Refused,
            Self::Credential(fault) => fault.kind(),
        }
    }
}

/// What an exchange needs that may outlive the request.
struct Owned {
    user_token: String,
    user_expires_at: UnixTime,
    provider: String,
    impersonation: Impersonation,
    audience: String,
}

impl Owned {
    fn new(user: FederatedUser<'_>, target: FederationTarget<'_>) -> Self {
        Self {
            user_token: user.token.to_owned(),
            user_expires_at: user.expires_at,
            provider: target.workload_identity_provider.to_owned(),
            impersonation: Impersonation {
                service_account: target.service_account.to_owned(),
                delegates: Vec::new(),
                base_url: None,
            },
            audience: target.audience.to_owned(),
        }
    }
}

/// SHA-256 of all four parts, each after its length: no two different lists have the same bytes.
fn key(user: FederatedUser<'_>, target: FederationTarget<'_>) -> Key {
    let mut context = Context::new(&SHA256);
    for part in [user.token, target.workload_identity_provider, target.service_account, target.audience] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut key = [0; 32];
    key.copy_from_slice(context.finish().as_ref());
    key
}

impl fmt::Debug for FederatedUser<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FederatedUser").field("uid", &self.uid).finish_non_exhaustive()
    }
}

impl fmt::Debug for FederationCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FederationCache").field("tokens", &self.tokens.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use firegate_core::time::SystemClock;
    use tokio::runtime::Handle;

    use super::*;
    use crate::fault::{FaultSource, Step};
    use crate::http::Roots;

    #[tokio::test]
    async fn a_refusal_of_one_user_is_no_outage() {
        let http = HttpClient::new(Handle::current(), Roots::Given(Vec::new())).expect("a client");
        let cache = FederationCache::new(Endpoints::default(), http, Arc::new(SystemClock), Arc::default());
        let user = FederatedUser {
            token: "a.user.token",
            kind: TokenKind::IdToken,
            uid: "alice",
            expires_at: UnixTime::from_seconds(0),
        };
        let target = FederationTarget {
            workload_identity_provider: "//iam.googleapis.com/provider",
            service_account: "caller@my-project.iam.gserviceaccount.com",
            audience: "https://api.example.com",
        };
        let answered = |status, code: &str| {
            let source = FaultSource::Answered { status, code: code.to_owned(), description: String::new() };
            Err(CredentialFault { step: Step::SecurityTokenService, source })
        };
        let owned = Owned::new(user, target);
        cache.tell(&owned, &answered(400, "unauthorized_client"));
        assert_eq!(cache.outage.worked(), None);
        cache.tell(&owned, &answered(503, ""));
        assert_eq!(cache.outage.worked(), Some(0));
    }
}
