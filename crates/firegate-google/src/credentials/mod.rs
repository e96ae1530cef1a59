//! Where Firegate's own Google identity comes from: the metadata server, a service account's key, workload identity
//! federation, a user's refresh token, and impersonation by any of them.

mod discover;
mod endpoints;
pub(crate) mod exchange;
mod file;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use firegate_core::time::SharedClock;

pub use discover::{CredentialError, Environment, discover};
pub use endpoints::{
    Endpoints, IAM_CREDENTIALS_URL, IDENTITY_TOOLKIT_URL, METADATA_URL, OAUTH2_TOKEN_URL, STS_URL,
};
pub use file::{
    AuthorizedUser, CredentialSource, ExternalAccount, ImpersonatedServiceAccount, ServiceAccountKey,
    SubjectFormat, SubjectSource,
};

use crate::fault::{CredentialFault, FaultSource, Step};
use crate::http::HttpClient;
use crate::kept::Kept;
use crate::limits::{TOKEN_CHAIN_WAIT_MAX, TOKEN_WAIT_MAX};
use crate::tokens::{AccessToken, IdToken};
use exchange::{Exchange, Impersonation};

/// The scope of Firegate's access tokens: IAM decides what they may do.
pub(crate) const CLOUD_PLATFORM_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// A Google identity that can give tokens. Access tokens are kept; ID tokens are kept by
/// [`IdTokenCache`](crate::id_tokens::IdTokenCache).
pub struct Credential {
    flow: Flow,
    exchange: Exchange,
    access_token: Arc<Kept<AccessToken>>,
}

enum Flow {
    Metadata,
    ServiceAccountKey(ServiceAccountKey),
    AuthorizedUser(AuthorizedUser),
    ExternalAccount(Box<ExternalAccount>),
    Impersonation { base: Arc<Credential>, impersonation: Impersonation },
}

impl Credential {
    /// The identity of `source`.
    pub fn new(
        source: CredentialSource,
        endpoints: Endpoints,
        http: HttpClient,
        clock: SharedClock,
    ) -> Arc<Self> {
        Self::from_source(source, Exchange { endpoints, http, clock })
    }

    fn from_source(source: CredentialSource, exchange: Exchange) -> Arc<Self> {
        let flow = match source {
            CredentialSource::Metadata => Flow::Metadata,
            CredentialSource::ServiceAccountKey(key) => Flow::ServiceAccountKey(key),
            CredentialSource::AuthorizedUser(user) => Flow::AuthorizedUser(user),
            CredentialSource::ExternalAccount(mut account) => match account.impersonation.take() {
                None => Flow::ExternalAccount(account),
                Some(impersonation) => Flow::Impersonation {
                    base: Self::from_source(CredentialSource::ExternalAccount(account), exchange.clone()),
                    impersonation,
                },
            },
            CredentialSource::ImpersonatedServiceAccount(account) => Flow::Impersonation {
                base: Self::from_source(*account.source, exchange.clone()),
                impersonation: account.impersonation,
            },
        };
        Self::with_flow(flow, exchange)
    }

    fn with_flow(flow: Flow, exchange: Exchange) -> Arc<Self> {
        let access_token = Arc::new(Kept::new(Arc::clone(&exchange.clock), exchange.http.runtime().clone()));
        Arc::new(Self { flow, exchange, access_token })
    }

    /// The identity of `service_account`, by this one's permission to impersonate it.
    pub fn impersonate(self: &Arc<Self>, service_account: &str) -> Arc<Self> {
        let impersonation = Impersonation {
            service_account: service_account.to_owned(),
            delegates: Vec::new(),
            base_url: None,
        };
        Self::with_flow(Flow::Impersonation { base: Arc::clone(self), impersonation }, self.exchange.clone())
    }

    /// What kind of identity this is, for the log.
    pub fn kind(&self) -> &'static str {
        match &self.flow {
            Flow::Metadata => "metadata server",
            Flow::ServiceAccountKey(_) => "service account key",
            Flow::AuthorizedUser(_) => "user credentials",
            Flow::ExternalAccount(_) => "workload identity federation",
            Flow::Impersonation { .. } => "impersonated service account",
        }
    }

    /// An access token for Google's APIs, kept and renewed ahead of its expiry.
    ///
    /// # Errors
    /// If there is none that is alive and none can be got in time.
    pub async fn access_token(self: &Arc<Self>) -> Result<Arc<AccessToken>, CredentialFault> {
        self.access_token_within(TOKEN_WAIT_MAX).await
    }

    async fn access_token_within(
        self: &Arc<Self>,
        patience: Duration,
    ) -> Result<Arc<AccessToken>, CredentialFault> {
        let mint = || {
            let credential = Arc::clone(self);
            async move { credential.mint_access_token().await }
        };
        self.access_token.get(patience, mint).await
    }

    /// A new ID token for `audience`. Nothing is kept.
    ///
    /// # Errors
    /// If the token is refused, or cannot be got now, or this identity has no ID tokens for services.
    pub async fn mint_id_token(self: &Arc<Self>, audience: &str) -> Result<IdToken, CredentialFault> {
        let exchange = &self.exchange;
        match &self.flow {
            Flow::Metadata => exchange.metadata_id_token(audience).await,
            Flow::ServiceAccountKey(key) => exchange.service_account_id_token(key, audience).await,
            Flow::AuthorizedUser(_) => {
                Err(CredentialFault { step: Step::GenerateIdToken, source: FaultSource::UserCredentials })
            }
            Flow::ExternalAccount(_) => Err(CredentialFault {
                step: Step::GenerateIdToken,
                source: FaultSource::FederatedCredentials,
            }),
            Flow::Impersonation { base, impersonation } => {
                let caller = base.access_token_within(TOKEN_CHAIN_WAIT_MAX).await?;
                exchange.generate_id_token(impersonation, audience, &caller).await
            }
        }
    }

    /// Boxed, because the identity that impersonates may itself be impersonated.
    fn mint_access_token(
        self: &Arc<Self>,
    ) -> Pin<Box<dyn Future<Output = Result<AccessToken, CredentialFault>> + Send + '_>> {
        Box::pin(async move {
            let exchange = &self.exchange;
            match &self.flow {
                Flow::Metadata => exchange.metadata_access_token().await,
                Flow::ServiceAccountKey(key) => exchange.service_account_access_token(key).await,
                Flow::AuthorizedUser(user) => exchange.refresh(user).await,
                Flow::ExternalAccount(account) => exchange.federate_workload(account).await,
                Flow::Impersonation { base, impersonation } => {
                    let caller = base.access_token_within(TOKEN_CHAIN_WAIT_MAX).await?;
                    exchange.generate_access_token(impersonation, &caller).await
                }
            }
        })
    }

    pub(crate) fn exchange(&self) -> &Exchange {
        &self.exchange
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credential").field("kind", &self.kind()).finish_non_exhaustive()
    }
}
