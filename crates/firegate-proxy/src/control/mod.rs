//! The control runtime: one thread that owns everything that is not a request's own. Key sets, Google tokens and user
//! status are fetched there, ahead of need; workers read what is kept without a lock, and wait, bounded in number and
//! time, only for what is not there yet.

mod figures;
mod identities;
mod keys;
mod verified;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use firegate_core::decision::Answer;
use firegate_core::facts::RequestFacts;
use firegate_core::identity::{KnownAccounts, NoKnownAccounts, TokenKind, User, VerifiedSignatures};
use firegate_core::permit::Permit;
use firegate_core::reason::{Code, Reason, Stage};
use firegate_core::time::SharedClock;
use firegate_files::configuration::{Configuration, Revocation, Trust};
use firegate_google::accounts::AccountsClient;
use firegate_google::app_check::{AppCheckClient, ConsumeFault, Consumed};
use firegate_google::caller::Caller;
use firegate_google::fault::FaultKind;
use firegate_google::federation::FederationFault;
use firegate_google::http::{HttpClient, Roots};
use firegate_google::key_sets::{KeySetCache, RefreshOutcome, RefreshReason};
use firegate_google::user_status::{RevocationWatch, UserStatusCache, UserStatusFault, UserStatusOptions};
use http::HeaderValue;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

pub(crate) use self::figures::ControlFigures;
use self::identities::{Identities, IdentityFault};
use self::keys::KeySets;
pub(crate) use self::keys::Keys;
use self::verified::VerifiedTokens;
use crate::assertions::SharedAssertions;
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
    pub(crate) assertions: SharedAssertions,
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
    key_sets: KeySets,
    /// An emulator's unsigned tokens need no keys.
    needs_keys: bool,
    verified: Arc<VerifiedTokens>,
    identities: Identities,
    /// What is known of users, if they are looked up.
    user_status: Option<Arc<UserStatusCache>>,
    app_check: AppCheckClient,
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
        if let Some(user_status) = &handle.inner.user_status {
            runtime.spawn(Arc::clone(user_status).run(stop.clone()));
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
        let own = Arc::clone(&options.assertions);
        let identities = Identities::new(options, http)?;
        let caller = match options.lookup_bearer {
            Some(word) => Caller::Fixed(word),
            None => Caller::Own(identities.own_or_metadata(options, http)),
        };
        let google = &configuration.google;
        let project = configuration.project.to_string();
        let app_check = Some(google.app_check.clone());
        Ok(Self {
            clock: Arc::clone(clock),
            key_sets: KeySets::new(configuration, http, clock, data_dir.as_ref(), own),
            needs_keys: configuration.trust() == Trust::Google,
            verified: Arc::new(VerifiedTokens::new(configuration.verified_tokens_bytes)),
            identities,
            user_status: user_status(configuration, http, clock, &caller),
            app_check: AppCheckClient::new(http.clone(), app_check, project, caller),
        })
    }

    fn key_sets(&self) -> impl Iterator<Item = &Arc<KeySetCache>> {
        self.key_sets.iter()
    }
}

/// Looks users up, if the configuration asks for it or an emulator's unsigned tokens are worth nothing without.
fn user_status(
    configuration: &Configuration,
    http: &HttpClient,
    clock: &SharedClock,
    caller: &Caller,
) -> Option<Arc<UserStatusCache>> {
    let max_staleness = match (configuration.users.revocation, configuration.trust()) {
        (Revocation::Required { max_staleness, .. }, _) => max_staleness,
        (Revocation::Off, Trust::Emulator) => Duration::ZERO,
        (Revocation::Off, Trust::Google) => return None,
    };
    let accounts = AccountsClient::new(http.clone(), Some(configuration.google.identity_toolkit.clone()));
    let accepted = TokenKind::ALL
        .into_iter()
        .filter(|kind| kind.accepted_by().is_some_and(|word| configuration.users.accept.contains(&word)));
    Some(UserStatusCache::new(UserStatusOptions::new(
        configuration.project.to_string(),
        accounts,
        caller.clone(),
        max_staleness,
        accepted.map(TokenKind::lifetime_max).max().unwrap_or_default(),
        Arc::clone(clock),
    )))
}

impl ControlHandle {
    /// The keys that may be used now. Takes no lock.
    pub(crate) fn key_ring(&self) -> Keys {
        let verified = Arc::clone(&self.inner.verified) as Arc<dyn VerifiedSignatures>;
        self.inner.key_sets.ring(self.inner.clock.now(), verified)
    }

    /// What is known of users.
    pub(crate) fn accounts(&self) -> &dyn KnownAccounts {
        match &self.inner.user_status {
            Some(user_status) => &**user_status,
            None => &NoKnownAccounts,
        }
    }

    /// Gets newer keys than those that the caller saw, waiting at most two seconds.
    pub(crate) async fn refresh_keys(
        &self,
        kind: TokenKind,
        unknown_key_id: Option<&str>,
        seen: &Keys,
    ) -> Answer {
        if kind == TokenKind::ExchangedToken {
            // They are Firegate's own: nobody knows newer ones.
            return Answer::Keys;
        }
        let Some(cache) = self.inner.key_sets.of(kind) else { return Answer::Unavailable };
        let generation = seen.generation(kind);
        let outcome = match unknown_key_id {
            Some(key_id) => cache.refresh_for_key_id(key_id, generation).await,
            None => cache.refresh(RefreshReason::Missing, generation).await,
        };
        match outcome {
            RefreshOutcome::Refreshed | RefreshOutcome::CoolingDown => Answer::Keys,
            RefreshOutcome::Unavailable => Answer::Unavailable,
        }
    }

    /// What Identity Platform says of an account.
    pub(crate) async fn account_status(&self, tenant: Option<&str>, uid: &str) -> Answer {
        let Some(user_status) = &self.inner.user_status else { return Answer::Unavailable };
        match user_status.look_up(tenant, uid).await {
            Ok(known) => Answer::Account(known.account),
            // Firegate's own limits say nothing of Identity Platform: whoever fills them must not be let in by it.
            Err(UserStatusFault::Overloaded | UserStatusFault::Stopping) => Answer::Overloaded,
            Err(fault) => {
                tracing::warn!(%fault, "an account could not be looked up");
                Answer::Unavailable
            }
        }
    }

    /// Marks an App Check token as used.
    pub(crate) async fn consume(&self, app_check_token: &str) -> Answer {
        match self.inner.app_check.consume(app_check_token).await {
            Ok(consumed) => Answer::AppCheckConsumed { already: consumed == Consumed::Before },
            Err(ConsumeFault::Overloaded) => Answer::Overloaded,
            Err(fault) if fault.is_about_token() => {
                tracing::info!(%fault, "an App Check token could not be consumed");
                Answer::AppCheckRefused
            }
            Err(fault) => {
                tracing::warn!(%fault, "an App Check token could not be consumed");
                Answer::Unavailable
            }
        }
    }

    /// Watches over a user for as long as a stream of theirs is open.
    pub(crate) fn watch(&self, user: &User) -> Option<RevocationWatch> {
        let user_status = self.inner.user_status.as_ref()?;
        Some(user_status.watch(user.tenant.as_deref(), &user.uid, user.auth_time))
    }

    /// The Google ID token for the permit's backend, as `Bearer …`; `None` if the backend gets none.
    ///
    /// # Errors
    /// If there is none that is alive: the service is never called without.
    pub(crate) async fn google_token(
        &self,
        permit: &Permit,
        facts: &RequestFacts<'_>,
        subject_token: Option<&str>,
    ) -> Result<Option<HeaderValue>, Refused> {
        let token = self.inner.identities.google_token(permit, facts, subject_token).await;
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
