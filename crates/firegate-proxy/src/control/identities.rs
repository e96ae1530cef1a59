//! The Google identities by which backends are called: one for each credential that the configuration names, with the
//! tokens kept of it.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use firegate_core::facts::RequestFacts;
use firegate_core::permit::Permit;
use firegate_core::snapshot::Backend;
use firegate_core::time::UnixTime;
use firegate_core::token_source::presented_token;
use firegate_files::configuration::{self as files, GoogleEndpoints, ServiceAccountEmail, join};
use firegate_google::credentials::{
    self as google, Credential, CredentialError, CredentialSource, Endpoints, Environment,
    IAM_CREDENTIALS_URL, METADATA_URL, OAUTH2_TOKEN_URL, STS_URL,
};
use firegate_google::fault::CredentialFault;
use firegate_google::federation::{FederatedUser, FederationCache, FederationFault, FederationTarget};
use firegate_google::id_tokens::{IdTokenCache, Remint};
use firegate_google::tokens::IdToken;
use url::Url;

use super::{ControlOptions, ControlRuntime, Mints, Tended};
use crate::files::while_reading;
use crate::generation::ProcessOptions;
use crate::start::StartError;

/// The identities, by backend.
#[derive(Debug)]
pub(super) struct Identities {
    by_backend: BTreeMap<String, Identity>,
    own: (IdentityKey, Arc<Credential>),
    caches: Vec<(IdentityKey, Arc<Tended<IdTokenCache>>)>,
    endpoints: Endpoints,
    federated: Arc<FederationCache>,
    mints: Mints,
}

/// Elsewhere than on Google's machines there is no metadata server, and only the first request would say so.
const METADATA_ADVICE: &str = "no credential file was found, and the metadata server, which is asked for tokens then, gives none; \
    Google's own machines alone have one; hint: elsewhere impersonate a service account: gcloud auth \
    application-default login --impersonate-service-account=SERVICE_ACCOUNT; gcloud iam service-accounts add-iam-policy-binding \
    SERVICE_ACCOUNT --member=user:YOU --role=roles/iam.serviceAccountTokenCreator";

/// Everything that the tokens of an identity depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct IdentityKey {
    source: CredentialSource,
    impersonates: Option<ServiceAccountEmail>,
    endpoints: Endpoints,
}

#[derive(Debug)]
enum Identity {
    None,
    Own(Arc<Tended<IdTokenCache>>),
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
    /// Reads the credentials that the configuration's backends need; files are read now, nothing is waited for. An identity
    /// that `former` has too keeps its tokens.
    pub(super) fn new(
        control: &ControlRuntime,
        options: &ControlOptions<'_>,
        former: Option<&Self>,
    ) -> Result<Self, StartError> {
        let mut search = Search::new(control, options, former);
        let mut by_backend = BTreeMap::new();
        for (name, backend) in &options.configuration.backends {
            let identity = match &backend.credential {
                files::Credential::None => Identity::None,
                files::Credential::FederateUser { .. } => Identity::FederatedUser,
                credential => Identity::Own(search.tokens(credential)?),
            };
            by_backend.insert(name.to_string(), identity);
        }
        // As far as the backends needed it: below it is looked for anyway.
        let is_metadata_found = search.discovered.get() == Some(&CredentialSource::Metadata);
        let (own, federated) = (search.own(), search.federated());
        let process = options.process;
        if former.is_none() && is_metadata_found && !process.on_cloud_run && !process.is_local {
            let credential = Arc::clone(&own.1);
            control.spawn(async move {
                if let Err(error) = credential.access_token().await {
                    tracing::warn!(%error, "{METADATA_ADVICE}");
                }
            });
        }
        let mints = control.mints.clone();
        Ok(Self { by_backend, own, caches: search.caches, endpoints: search.endpoints, federated, mints })
    }

    /// Firegate's own identity, for what is not a call of a backend.
    pub(super) fn own(&self) -> &Arc<Credential> {
        &self.own.1
    }

    /// How often Google was asked for tokens.
    pub(super) fn mints(&self) -> &Mints {
        &self.mints
    }

    /// When the token that is kept for a backend expires, if it may be sent; `None` for a backend that is not called as
    /// Firegate itself.
    pub(super) fn own_token_expiry(&self, backend: &Backend) -> Option<Option<UnixTime>> {
        let Some(Identity::Own(cache)) = self.by_backend.get(&backend.name) else { return None };
        // Of several endpoints' tokens the one that ends first, and a missing one is told as missing.
        let expiry = |audience| cache.peek(audience).map(|token| token.expires_at());
        Some(backend.audiences().map(expiry).min().flatten())
    }

    /// Takes note that the front of a backend's service refused this token. Whether another one is worth a try: one that was
    /// minted a short while ago was refused for another reason.
    pub(super) fn doubt(&self, backend: &Backend, audience: &str, doubted: &IdToken) -> bool {
        let Some(Identity::Own(cache)) = self.by_backend.get(&backend.name) else { return false };
        match cache.peek(audience) {
            Some(token) if token.bearer() == doubted.bearer() => {
                cache.invalidate(audience, &token) != Remint::CoolingDown
            }
            // Another request has seen to it.
            _ => true,
        }
    }

    /// The Google ID token for the permit's backend and this audience. The user's token is `subject_token`, or stands in the
    /// request.
    pub(super) async fn google_token(
        &self,
        permit: &Permit,
        audience: &str,
        facts: &RequestFacts<'_>,
        subject_token: Option<&str>,
    ) -> Result<Option<Arc<IdToken>>, IdentityFault> {
        let backend = permit.backend();
        match self.by_backend.get(&backend.name) {
            Some(Identity::None) => Ok(None),
            None => Err(IdentityFault::Missing),
            Some(Identity::Own(cache)) => match cache.peek(audience) {
                Some(token) => Ok(Some(token)),
                // Whoever finds one that is kept carries no room for asking.
                None => Box::pin(cache.get(audience)).await.map(Some).map_err(IdentityFault::Own),
            },
            Some(Identity::FederatedUser) => {
                let token = subject_token.or_else(|| {
                    let token = presented_token(facts, backend.token_sources()).ok().flatten();
                    token.map(|token| token.text)
                });
                let (user, target) = federation(permit, token, audience).ok_or(IdentityFault::Missing)?;
                Box::pin(self.federated.get(user, target)).await.map(Some).map_err(IdentityFault::User)
            }
        }
    }
}

/// Whose own token is exchanged, and for what; none if either is missing.
fn federation<'a>(
    permit: &'a Permit,
    token: Option<&'a str>,
    audience: &'a str,
) -> Option<(FederatedUser<'a>, FederationTarget<'a>)> {
    let (user, token) = (permit.user()?, token?);
    let files::Credential::FederateUser { service_account, provider } = permit.backend().credential() else {
        return None;
    };
    let target = FederationTarget {
        workload_identity_provider: provider.as_str(),
        service_account: service_account.as_str(),
        audience,
    };
    Some((FederatedUser { token, kind: user.kind, uid: &user.uid, expires_at: user.expires_at }, target))
}

/// What is looked for while the identities of a configuration are put together.
struct Search<'a> {
    control: &'a ControlRuntime,
    process: &'a ProcessOptions,
    former: Option<&'a Identities>,
    endpoints: Endpoints,
    environment: Environment,
    /// Application default credentials, read once: a file that changes meanwhile must not make two identities of one.
    discovered: OnceCell<CredentialSource>,
    /// One for each identity: backends that are called as the same one share its tokens.
    caches: Vec<(IdentityKey, Arc<Tended<IdTokenCache>>)>,
}

impl<'a> Search<'a> {
    fn new(
        control: &'a ControlRuntime,
        options: &ControlOptions<'a>,
        former: Option<&'a Identities>,
    ) -> Self {
        let process = options.process;
        Self {
            control,
            process,
            former,
            endpoints: endpoints(&options.configuration.google),
            environment: Environment {
                google_application_credentials: process.application_credentials.clone(),
                home: process.home.clone(),
                app_data: None,
            },
            discovered: OnceCell::new(),
            caches: Vec::new(),
        }
    }

    /// The tokens of the identity that a backend's `credential` names.
    fn tokens(&mut self, credential: &files::Credential) -> Result<Arc<Tended<IdTokenCache>>, StartError> {
        let key = self.key(credential)?;
        let of = |caches: &[(IdentityKey, Arc<Tended<IdTokenCache>>)]| {
            let known = caches.iter().find(|(known, _)| *known == key);
            known.map(|(_, cache)| Arc::clone(cache))
        };
        if let Some(cache) = of(&self.caches) {
            return Ok(cache);
        }
        let cache = self.former.and_then(|former| of(&former.caches)).unwrap_or_else(|| {
            let mints = Arc::clone(&self.control.mints.own);
            self.control.tend(IdTokenCache::new(self.credential(&key), mints), IdTokenCache::run)
        });
        self.caches.push((key, Arc::clone(&cache)));
        Ok(cache)
    }

    /// Firegate's own identity. It is never the account that one backend is called as: that has no rights but to call, and
    /// which backend's it were would depend on their names.
    fn own(&self) -> (IdentityKey, Arc<Credential>) {
        let mut own = self.caches.iter().filter(|(key, _)| key.impersonates.is_none());
        if let Some((key, cache)) = own.next() {
            return (key.clone(), Arc::clone(cache.credential()));
        }
        // A file that cannot be read was reported where a backend needs it.
        let source = self.discover().unwrap_or(CredentialSource::Metadata);
        let key = IdentityKey { source, impersonates: None, endpoints: self.endpoints.clone() };
        let credential = self.credential(&key);
        (key, credential)
    }

    fn federated(&self) -> Arc<FederationCache> {
        match self.former.filter(|former| former.endpoints == self.endpoints) {
            Some(former) => Arc::clone(&former.federated),
            None => {
                let (http, clock) = (self.control.http.clone(), Arc::clone(&self.process.clock));
                let mints = Arc::clone(&self.control.mints.federated);
                FederationCache::new(self.endpoints.clone(), http, clock, mints)
            }
        }
    }

    fn key(&self, credential: &files::Credential) -> Result<IdentityKey, StartError> {
        let source = credential_source(credential, || self.discover())?;
        let impersonates = match credential {
            files::Credential::Impersonate { service_account } => Some(service_account.clone()),
            _ => None,
        };
        Ok(IdentityKey { source, impersonates, endpoints: self.endpoints.clone() })
    }

    /// The credential of an identity: the one that is known already, if it is.
    fn credential(&self, key: &IdentityKey) -> Arc<Credential> {
        if let Some((_, credential)) = self.former.map(|former| &former.own).filter(|(own, _)| own == key) {
            return Arc::clone(credential);
        }
        let (http, clock) = (self.control.http.clone(), Arc::clone(&self.process.clock));
        let credential = Credential::new(key.source.clone(), key.endpoints.clone(), http, clock);
        match &key.impersonates {
            Some(service_account) => credential.impersonate(service_account.as_str()),
            None => credential,
        }
    }

    fn discover(&self) -> Result<CredentialSource, CredentialError> {
        if let Some(found) = self.discovered.get() {
            return Ok(found.clone());
        }
        let found = match self.environment.files().as_slice() {
            [file] => while_reading(file, || google::discover(&self.environment))?,
            _ => google::discover(&self.environment)?,
        };
        Ok(self.discovered.get_or_init(|| found).clone())
    }
}

/// By which identity a backend with this `credential` is called, or an account impersonated. `discover` finds that of this
/// machine.
///
/// # Errors
/// If there is none that can be used.
pub(crate) fn credential_source(
    credential: &files::Credential,
    discover: impl FnOnce() -> Result<CredentialSource, CredentialError>,
) -> Result<CredentialSource, StartError> {
    match credential {
        files::Credential::Metadata => Ok(CredentialSource::Metadata),
        files::Credential::Impersonate { .. } => Ok(discover()?),
        files::Credential::Default | files::Credential::FederateUser { .. } | files::Credential::None => {
            let source = discover()?;
            // Every request would fail, and only the first one's log would say why.
            match source.has_no_id_tokens() {
                Some(why) => Err(StartError::NoIdTokens(why)),
                None => Ok(source),
            }
        }
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
