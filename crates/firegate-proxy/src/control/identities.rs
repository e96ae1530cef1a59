//! The Google identities by which backends are called: one for each credential that the configuration names, with the
//! tokens kept of it.

use std::collections::HashMap;
use std::sync::Arc;

use firegate_core::facts::RequestFacts;
use firegate_core::permit::Permit;
use firegate_core::snapshot::Backend;
use firegate_core::time::UnixTime;
use firegate_core::token_source::presented_token;
use firegate_files::configuration::{self as files, GoogleEndpoints, join};
use firegate_google::credentials::{
    self as google, Credential, CredentialSource, Endpoints, Environment, IAM_CREDENTIALS_URL, METADATA_URL,
    OAUTH2_TOKEN_URL, STS_URL,
};
use firegate_google::fault::{CredentialFault, FaultSource};
use firegate_google::federation::{FederatedUser, FederationCache, FederationFault, FederationTarget};
use firegate_google::http::HttpClient;
use firegate_google::id_tokens::IdTokenCache;
use http::HeaderValue;
use url::Url;

use super::ControlOptions;
use crate::start::StartError;

/// The identities, by backend.
#[derive(Debug)]
pub(super) struct Identities {
    by_backend: HashMap<String, Identity>,
    caches: Vec<Arc<IdTokenCache>>,
    federated: Arc<FederationCache>,
}

#[derive(Debug)]
enum Identity {
    None,
    Own(Arc<IdTokenCache>),
    FederatedUser,
}

/// Why there is no Google ID token for a request.
#[derive(Debug, thiserror::Error)]
pub(super) enum IdentityFault {
    /// Firegate's own identity has none.
    #[error("{0}")]
    Own(CredentialFault),
    /// There is no identity for this request, and without one the service is not called.
    #[error("no identity is known for this backend and user")]
    Missing,
    /// The user's own token was to be exchanged.
    #[error("{0}")]
    User(FederationFault),
}

impl Identities {
    /// Reads the credentials that the configuration's backends need; files are read now, nothing is called.
    pub(super) fn new(options: &ControlOptions<'_>, http: &HttpClient) -> Result<Self, StartError> {
        let ControlOptions { configuration, clock, .. } = options;
        let endpoints = endpoints(&configuration.google);
        // One for each identity: backends that are called as the same one share its tokens.
        let mut caches = Vec::<(files::Credential, Arc<IdTokenCache>)>::new();
        let mut by_backend = HashMap::new();
        for (name, backend) in &configuration.backends {
            let identity = match &backend.credential {
                files::Credential::None => Identity::None,
                files::Credential::FederateUser { .. } => Identity::FederatedUser,
                files::Credential::Default
                | files::Credential::Metadata
                | files::Credential::Impersonate { .. } => {
                    let known = caches.iter().find(|(credential, _)| *credential == backend.credential);
                    let cache = match known {
                        Some((_, cache)) => Arc::clone(cache),
                        None => {
                            let credential = credential(&backend.credential, options, &endpoints, http)?;
                            let cache = IdTokenCache::new(credential);
                            caches.push((backend.credential.clone(), Arc::clone(&cache)));
                            cache
                        }
                    };
                    Identity::Own(cache)
                }
            };
            by_backend.insert(name.to_string(), identity);
        }
        Ok(Self {
            by_backend,
            caches: caches.into_iter().map(|(_, cache)| cache).collect(),
            federated: FederationCache::new(endpoints, http.clone(), Arc::clone(clock)),
        })
    }

    /// The caches whose tokens are renewed ahead of need.
    pub(super) fn caches(&self) -> impl Iterator<Item = &Arc<IdTokenCache>> {
        self.caches.iter()
    }

    /// When the token that is kept for a backend expires, if it may be sent; `None` for a backend that is not called as
    /// Firegate itself.
    pub(super) fn own_token_expiry(&self, backend: &Backend) -> Option<Option<UnixTime>> {
        let Some(Identity::Own(cache)) = self.by_backend.get(&backend.name) else { return None };
        Some(cache.peek(&backend.endpoint().audience).map(|token| token.expires_at()))
    }

    /// Firegate's own identity, for what is not a call of a backend. It is never the account that one backend is called as:
    /// that has no rights but to call, and which backend's it were would depend on their names.
    pub(super) fn own_or_metadata(&self, options: &ControlOptions<'_>, http: &HttpClient) -> Arc<Credential> {
        let is_own = |backend: &files::Backend| {
            matches!(backend.credential, files::Credential::Default | files::Credential::Metadata)
        };
        let kept = options.configuration.backends.iter().filter(|(_, backend)| is_own(backend));
        let mut kept = kept.filter_map(|(name, _)| match self.by_backend.get(name.as_str()) {
            Some(Identity::Own(cache)) => Some(cache),
            _ => None,
        });
        if let Some(cache) = kept.next() {
            return Arc::clone(cache.credential());
        }
        // A file that cannot be read was reported where a backend needs it.
        let source = google::discover(&environment(options)).unwrap_or(CredentialSource::Metadata);
        let endpoints = endpoints(&options.configuration.google);
        Credential::new(source, endpoints, http.clone(), Arc::clone(&options.clock))
    }

    /// The Google ID token for the permit's backend, as `Bearer …`. The user's token is `subject_token`, or stands in the
    /// request.
    pub(super) async fn google_token(
        &self,
        permit: &Permit,
        facts: &RequestFacts<'_>,
        subject_token: Option<&str>,
    ) -> Result<Option<HeaderValue>, IdentityFault> {
        let backend = permit.backend();
        let audience = &backend.endpoint().audience;
        let token = match self.by_backend.get(&backend.name) {
            Some(Identity::None) => return Ok(None),
            None => return Err(IdentityFault::Missing),
            Some(Identity::Own(cache)) => match cache.peek(audience) {
                Some(token) => Ok(token),
                None => cache.get(audience).await.map_err(IdentityFault::Own),
            },
            Some(Identity::FederatedUser) => {
                let token = match subject_token {
                    Some(token) => Some(token),
                    None => {
                        presented_token(facts, backend.token_sources()).ok().flatten().map(|token| token.text)
                    }
                };
                let (Some(user), Some(token)) = (permit.user(), token) else {
                    return Err(IdentityFault::Missing);
                };
                let files::Credential::FederateUser { service_account, provider } = backend.credential()
                else {
                    return Err(IdentityFault::Missing);
                };
                let user =
                    FederatedUser { token, kind: user.kind, uid: &user.uid, expires_at: user.expires_at };
                let target = FederationTarget {
                    workload_identity_provider: provider.as_str(),
                    service_account: service_account.as_str(),
                    audience,
                };
                self.federated.get(user, target).await.map_err(IdentityFault::User)
            }
        }?;
        Ok(Some(token.bearer().clone()))
    }
}

/// The identity that a backend's `credential` names.
fn credential(
    credential: &files::Credential,
    options: &ControlOptions<'_>,
    endpoints: &Endpoints,
    http: &HttpClient,
) -> Result<Arc<Credential>, StartError> {
    let of = |source| Credential::new(source, endpoints.clone(), http.clone(), Arc::clone(&options.clock));
    Ok(match credential {
        files::Credential::Metadata => of(CredentialSource::Metadata),
        files::Credential::Impersonate { service_account } => {
            of(google::discover(&environment(options))?).impersonate(service_account.as_str())
        }
        files::Credential::Default | files::Credential::FederateUser { .. } | files::Credential::None => {
            match google::discover(&environment(options))? {
                // Every request would fail, and only the first one's log would say why.
                CredentialSource::AuthorizedUser(_) => {
                    return Err(StartError::UserCredentials(FaultSource::UserCredentials));
                }
                source => of(source),
            }
        }
    })
}

/// Where a credential may be found.
fn environment(options: &ControlOptions<'_>) -> Environment {
    Environment {
        google_application_credentials: options.application_credentials.clone(),
        home: options.home.clone(),
        app_data: None,
    }
}

/// Where the token endpoints are. An address that is Google's own is no override: a credential file may name another.
fn endpoints(google: &GoogleEndpoints) -> Endpoints {
    let unless_default = |url: Url, default: &str| {
        let is_default = Url::parse(default).is_ok_and(|default| default == url);
        (!is_default).then_some(url)
    };
    Endpoints {
        metadata: unless_default(google.metadata.clone(), METADATA_URL),
        oauth2_token: unless_default(google.oauth2_token.clone(), OAUTH2_TOKEN_URL),
        sts: unless_default(join(&google.sts, "v1/token"), STS_URL),
        iam_credentials: unless_default(google.iam_credentials.clone(), IAM_CREDENTIALS_URL),
    }
}
