//! The Google endpoints that mint and publish tokens: the metadata server, OAuth's token endpoint, the Security Token
//! Service, the IAM Service Account Credentials API, App Check, and the public keys of Google's ID tokens.
//!
//! Each endpoint answers at its own path, and below its Google host as first path segment
//! (`/sts.googleapis.com/v1/token`), so that one address can stand in for all of them.

mod access_token;
mod api_call;
mod app_check;
mod error;
mod form;
mod iam_credentials;
mod id_token;
mod index;
mod keys;
mod metadata;
mod oauth;
mod options;
mod service_account;
mod sts;
mod workload_identity;

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use firegate_core::jose::KeySet;
use tokio::net::TcpListener;

use self::access_token::AccessTokens;
use self::app_check::AppCheckState;
pub use self::app_check::DEBUG_TOKEN as APP_CHECK_DEBUG_TOKEN;
pub use self::keys::{GoogleKeys, KeyUnavailable};
pub use self::options::{AuthorizedUser, GoogleOptions, Impersonation, ImpersonationRole, OptionsError};
use self::service_account::Accounts;
pub use self::service_account::ServiceAccount;
pub use self::workload_identity::{
    AttributeCondition, AttributeMapping, ClaimLiteral, ClaimPath, ClaimPathError, WorkloadIdentityProvider,
};
use crate::limits::BODY_BYTES_MAX;
use crate::loopback;
use crate::published_keys::PublishedKeys;

/// Google's token endpoints on this machine. Clones share keys and configuration.
#[derive(Clone, Debug)]
pub struct GoogleParts {
    state: Arc<State>,
}

/// What the endpoints share.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) options: GoogleOptions,
    pub(crate) keys: GoogleKeys,
    pub(crate) accounts: Accounts,
    pub(crate) access_tokens: AccessTokens,
    pub(crate) app_check: AppCheckState,
    /// The published keys of each provider in `options`, in the same order.
    pub(crate) provider_keys: Vec<PublishedKeys>,
}

impl GoogleParts {
    /// Takes the configuration. No key is made and nothing is contacted yet.
    ///
    /// # Errors
    /// If the configuration contradicts itself, or the system has no randomness.
    pub fn new(options: GoogleOptions) -> Result<Self, OptionsError> {
        options.check()?;
        let provider_keys = options
            .workload_identity_providers
            .iter()
            .map(|provider| PublishedKeys::new(provider.jwks_url.clone(), KeySet::parse_rs256))
            .collect();
        let state = State {
            keys: GoogleKeys::new(Arc::clone(&options.clock)),
            app_check: AppCheckState::new(&options.clock),
            accounts: Accounts::new(&options.service_accounts, &options.clock),
            access_tokens: AccessTokens::new(Arc::clone(&options.clock))
                .map_err(|_| OptionsError::Randomness)?,
            provider_keys,
            options,
        };
        Ok(Self { state: Arc::new(state) })
    }

    /// The keys of Google's ID tokens, for a Cloud Run front in the same process.
    pub fn keys(&self) -> GoogleKeys {
        self.state.keys.clone()
    }

    /// Serves until `shutdown` completes. The key of the ID tokens is made in the background meanwhile; a request
    /// that needs it earlier waits for it.
    ///
    /// # Errors
    /// If the listener fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        self.state.keys.warm_up();
        crate::serve::serve(listener, self.router(), shutdown).await
    }

    fn router(self) -> Router {
        Router::new()
            .merge(metadata::router())
            .merge(oauth::router())
            .merge(sts::router())
            .merge(iam_credentials::router())
            .merge(app_check::router())
            .merge(keys::router())
            .merge(service_account::router())
            .nest("/oauth2.googleapis.com", oauth::router())
            .nest("/sts.googleapis.com", sts::router())
            .nest("/iamcredentials.googleapis.com", iam_credentials::router())
            .nest("/firebaseappcheck.googleapis.com", app_check::router())
            // Where the JavaScript SDK calls.
            .nest("/content-firebaseappcheck.googleapis.com", app_check::router())
            .nest("/www.googleapis.com", keys::router())
            .fallback(|| async {
                error::ApiError::not_found("this endpoint is not among the local Google endpoints")
            })
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .layer(axum::middleware::from_fn(loopback::guard))
            .with_state(self.state)
    }
}
