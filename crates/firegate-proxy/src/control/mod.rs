//! The control runtime: one thread that owns everything that is not a request's own. Key sets, Google tokens and user
//! status are fetched there, ahead of need; workers read what is kept without a lock, and wait, bounded in number and
//! time, only for what is not there yet.

mod figures;
mod identities;
mod verified;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use firegate_core::decision::Answer;
use firegate_core::facts::RequestFacts;
use firegate_core::identity::{AccountStatus, KeyRing, KeyState, TokenKind};
use firegate_core::permit::Permit;
use firegate_core::reason::{Code, Reason, Stage};
use firegate_core::time::SharedClock;
use firegate_files::configuration::{AcceptedToken, Configuration, Trust};
use firegate_google::accounts::AccountsClient;
use firegate_google::credentials::Credential;
use firegate_google::fault::FaultKind;
use firegate_google::federation::FederationFault;
use firegate_google::http::{HttpClient, Roots};
use firegate_google::key_sets::{KeySetCache, KeySetSource, KeySnapshot, RefreshOutcome, RefreshReason};
use http::HeaderValue;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

pub(crate) use self::figures::ControlFigures;
use self::identities::{Identities, IdentityFault};
use self::verified::VerifiedTokens;
use crate::door::{Refused, denial, fault};
use crate::limits::RUNTIME_SHUTDOWN_TIMEOUT;
use crate::start::StartError;

/// What the control runtime is started with.
#[derive(Debug)]
pub(crate) struct ControlOptions<'a> {
    pub(crate) configuration: &'a Configuration,
    pub(crate) application_credentials: Option<PathBuf>,
    pub(crate) home: Option<PathBuf>,
    pub(crate) lookup_bearer: Option<&'static str>,
    pub(crate) keeps_data: bool,
    pub(crate) roots: Roots,
    pub(crate) clock: SharedClock,
}

/// The control runtime's thread.
#[derive(Debug)]
pub(crate) struct Control {
    thread: JoinHandle<()>,
    runtime: Handle,
    handle: ControlHandle,
    stop: CancellationToken,
}

/// What workers ask the control runtime by.
#[derive(Clone, Debug)]
pub(crate) struct ControlHandle {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    clock: SharedClock,
    id_token_keys: Arc<KeySetCache>,
    session_cookie_keys: Option<Arc<KeySetCache>>,
    /// An emulator's unsigned tokens need no keys.
    needs_keys: bool,
    verified: Arc<VerifiedTokens>,
    identities: Identities,
    accounts: AccountsClient,
    lookup_bearer: LookupBearer,
    project: String,
}

#[derive(Debug)]
enum LookupBearer {
    Fixed(&'static str),
    Own(Arc<Credential>),
    /// Nothing is looked up: no unsigned token is accepted.
    None,
}

impl Control {
    /// Starts the thread, and on it the fetching ahead of need.
    pub(crate) fn start(options: ControlOptions<'_>) -> Result<Self, StartError> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
        let runtime_handle = runtime.handle().clone();
        let http = HttpClient::new(runtime_handle.clone(), options.roots.clone())?;
        let handle = ControlHandle { inner: Arc::new(Inner::new(&options, &http)?) };
        let stop = CancellationToken::new();
        for task in handle.inner.key_sets().filter(|_| handle.inner.needs_keys) {
            runtime.spawn(Arc::clone(task).run(stop.clone()));
        }
        for tokens in handle.inner.identities.caches() {
            runtime.spawn(Arc::clone(tokens).run(stop.clone()));
        }
        let stopped = stop.clone();
        let run = move || {
            runtime.block_on(stopped.cancelled());
            // A name look-up that hangs must not hold the process.
            runtime.shutdown_timeout(RUNTIME_SHUTDOWN_TIMEOUT);
        };
        let thread = std::thread::Builder::new().name("firegate-control".to_owned()).spawn(run);
        Ok(Self { thread: thread.map_err(StartError::Thread)?, runtime: runtime_handle, handle, stop })
    }

    pub(crate) fn handle(&self) -> ControlHandle {
        self.handle.clone()
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }

    /// What is cancelled when it stops.
    pub(crate) fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Ends the thread and waits for it.
    pub(crate) fn stop(self) {
        self.stop.cancel();
        // A panic there has been reported by the thread itself.
        let _ = self.thread.join();
    }
}

impl Inner {
    fn new(options: &ControlOptions<'_>, http: &HttpClient) -> Result<Self, StartError> {
        let ControlOptions { configuration, clock, .. } = options;
        let data_dir = options.keeps_data.then(|| configuration.data_dir.clone());
        let key_set = |name, url: &url::Url| {
            let source = KeySetSource { name, url: url.clone() };
            KeySetCache::new(source, http.clone(), Arc::clone(clock), data_dir.clone())
        };
        let accepts_cookies = configuration.users.accept.contains(&AcceptedToken::SessionCookie);
        let identities = Identities::new(options, http)?;
        let lookup_bearer = match (options.lookup_bearer, configuration.trust()) {
            (Some(bearer), _) => LookupBearer::Fixed(bearer),
            (None, Trust::Emulator) => LookupBearer::Own(identities.own_or_metadata(options, http)),
            (None, Trust::Google) => LookupBearer::None,
        };
        Ok(Self {
            clock: Arc::clone(clock),
            id_token_keys: key_set("id_token", &configuration.google.id_token_keys),
            session_cookie_keys: accepts_cookies
                .then(|| key_set("session_cookie", &configuration.google.session_cookie_keys)),
            needs_keys: configuration.trust() == Trust::Google,
            verified: Arc::new(VerifiedTokens::new(configuration.verified_tokens_bytes)),
            identities,
            accounts: AccountsClient::new(http.clone(), Some(configuration.google.identity_toolkit.clone())),
            lookup_bearer,
            project: configuration.project.to_string(),
        })
    }

    fn key_sets(&self) -> impl Iterator<Item = &Arc<KeySetCache>> {
        std::iter::once(&self.id_token_keys).chain(&self.session_cookie_keys)
    }

    fn key_set(&self, kind: TokenKind) -> Option<&Arc<KeySetCache>> {
        match kind {
            TokenKind::IdToken => Some(&self.id_token_keys),
            TokenKind::SessionCookie => self.session_cookie_keys.as_ref(),
        }
    }
}

impl ControlHandle {
    /// The keys that may be used now. Takes no lock.
    pub(crate) fn key_ring(&self) -> Keys {
        let now = self.inner.clock.now();
        let state = |snapshot: &KeySnapshot| match snapshot.usable(now) {
            Some(keys) => KeyState::Usable(Arc::clone(keys)),
            None => KeyState::Missing,
        };
        let id_token = self.inner.id_token_keys.current();
        let session_cookie = self.inner.session_cookie_keys.as_ref().map(|cache| cache.current());
        Keys {
            ring: KeyRing {
                id_token: state(&id_token),
                session_cookie: session_cookie.as_ref().map_or(KeyState::Missing, |snapshot| state(snapshot)),
                verified: Some(self.inner.verified.clone()),
            },
            generations: [id_token.generation(), session_cookie.map_or(0, |snapshot| snapshot.generation())],
        }
    }

    /// Gets newer keys than those that the caller saw, waiting at most two seconds.
    pub(crate) async fn refresh_keys(&self, kind: TokenKind, key_id_is_unknown: bool, seen: &Keys) -> Answer {
        let Some(cache) = self.inner.key_set(kind) else { return Answer::Unavailable };
        let why = if key_id_is_unknown { RefreshReason::UnknownKeyId } else { RefreshReason::Missing };
        match cache.refresh(why, seen.generation(kind)).await {
            RefreshOutcome::Refreshed | RefreshOutcome::CoolingDown => Answer::Keys,
            RefreshOutcome::Unavailable => Answer::Unavailable,
        }
    }

    /// What Identity Platform says of an account.
    pub(crate) async fn account_status(
        &self,
        tenant: Option<String>,
        uid: String,
    ) -> Result<Option<AccountStatus>, String> {
        let access_token;
        let bearer = match &self.inner.lookup_bearer {
            LookupBearer::Fixed(bearer) => bearer,
            LookupBearer::Own(credential) => {
                access_token = credential.access_token().await.map_err(|fault| fault.to_string())?;
                access_token.text()
            }
            LookupBearer::None => return Err("no credential for the look-up is configured".to_owned()),
        };
        let lookup =
            self.inner.accounts.lookup(&self.inner.project, tenant.as_deref(), &[&uid], bearer).await;
        let accounts = lookup.map_err(|fault| fault.to_string())?;
        let account = accounts.into_iter().find(|account| account.local_id == uid);
        Ok(account
            .map(|account| AccountStatus { disabled: account.disabled, valid_since: account.valid_since }))
    }

    /// The Google ID token for the permit's backend, as `Bearer …`; `None` if the backend gets none.
    ///
    /// # Errors
    /// If there is none that is alive: the service is never called without.
    pub(crate) async fn google_token(
        &self,
        permit: &Permit,
        facts: &RequestFacts<'_>,
    ) -> Result<Option<HeaderValue>, Refused> {
        let token = self.inner.identities.google_token(permit, facts).await;
        token.map_err(|error| match error {
            IdentityFault::Own(error) => fault(Code::CredentialUnavailable, Stage::Credential, error),
            IdentityFault::Missing => fault(Code::Internal, Stage::Credential, error),
            IdentityFault::User(error) => self.refused_federation(&error, permit),
        })
    }

    /// What a failed exchange of the user's own token means: a refusal of Google's is an answer about the user, an outage
    /// is none.
    fn refused_federation(&self, error: &FederationFault, permit: &Permit) -> Refused {
        let reason = match error {
            FederationFault::SessionCookie => Reason::TokenIsSessionCookie,
            FederationFault::Expired => {
                let now = self.inner.clock.now();
                Reason::TokenExpired { expired_at: permit.user().map_or(now, |user| user.expires_at), now }
            }
            FederationFault::SubjectTooLong => Reason::FederationRefused { answer: error.to_string() },
            FederationFault::Credential(refusal) if refusal.kind() == FaultKind::Refused => {
                Reason::FederationRefused { answer: error.to_string() }
            }
            FederationFault::Credential(outage) => {
                return fault(Code::CredentialUnavailable, Stage::Credential, outage);
            }
        };
        denial(reason, Stage::Credential)
    }

    /// Whether users can be identified: there are keys for every kind of token that is accepted.
    pub(crate) fn is_ready(&self) -> bool {
        let now = self.inner.clock.now();
        !self.inner.needs_keys || self.inner.key_sets().all(|cache| cache.current().usable(now).is_some())
    }

    /// Waits until users can be identified.
    pub(crate) async fn ready(&self) {
        let mut attempts = self.inner.key_sets().map(|cache| cache.attempts()).collect::<Vec<_>>();
        while !self.is_ready() {
            let changes = attempts.iter_mut().map(|attempts| Box::pin(attempts.changed()));
            let _ = futures_util::future::select_all(changes).await;
        }
    }
}

/// The keys of one moment, and which ones they are.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) ring: KeyRing,
    generations: [u64; 2],
}

impl Keys {
    fn generation(&self, kind: TokenKind) -> u64 {
        let [id_token, session_cookie] = self.generations;
        match kind {
            TokenKind::IdToken => id_token,
            TokenKind::SessionCookie => session_cookie,
        }
    }
}
