//! The control runtime: one thread that owns everything that is not a request's own. Key sets, Google tokens and user
//! status are fetched there, ahead of need; workers read what is kept without a lock, and wait, bounded in number and
//! time, only for what is not there yet.

mod app_check;
pub(crate) mod figures;
mod identities;
mod keys;
mod read_tokens;
pub(crate) mod sweep;
mod tended;
mod users;
mod verified;

use std::sync::Arc;
use std::thread::JoinHandle;

use firegate_core::decision::{Answer, Need};
use firegate_core::facts::RequestFacts;
use firegate_core::identity::{
    KnownAccounts, NoKnownAccounts, ReadTokens, TokenKind, User, VerifiedSignatures,
};
use firegate_core::limiter::{Counters, StoreQuestion};
use firegate_core::permit::Permit;
use firegate_core::reason::{Code, Reason, Stage};
use firegate_core::snapshot::Backend;
use firegate_core::time::{SharedClock, UnixTime};
use firegate_files::configuration::{Configuration, Trust};
use firegate_google::caller::Caller;
use firegate_google::fault::CredentialFault;
use firegate_google::federation::FederationFault;
use firegate_google::http::{HttpClient, Roots};
use firegate_google::key_sets::{KeySetCache, RefreshOutcome, RefreshReason};
use firegate_google::tokens::{IdToken, MintCounts};
use firegate_google::user_status::UserStatusFault;
use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use self::app_check::AppCheck;
pub(crate) use self::identities::credential_source;
use self::identities::{Identities, IdentityFault};
use self::keys::KeySets;
pub(crate) use self::keys::Keys;
use self::read_tokens::RecentTokens;
pub(crate) use self::tended::Tended;
use self::users::UserStatus;
pub(crate) use self::users::Watch;
use self::verified::VerifiedTokens;
use crate::assertions::SharedAssertions;
use crate::generation::ProcessOptions;
use crate::limits::{RUNTIME_SHUTDOWN_TIMEOUT, TASK_RESTART_PAUSE};
use crate::limits_store::RateLimits;
use crate::panics::Panics;
use crate::refused::{Refused, denial, fault};
use crate::start::StartError;
use crate::threads;

/// The control runtime's thread.
#[derive(Debug)]
pub(crate) struct Control {
    thread: JoinHandle<()>,
    runtime: ControlRuntime,
}

/// Where the work is put.
#[derive(Clone, Debug)]
pub(crate) struct ControlRuntime {
    handle: Handle,
    http: HttpClient,
    roots: Roots,
    stop: CancellationToken,
    panics: Arc<Panics>,
    mints: Mints,
}

/// The counts of Google ID tokens, which outlive every configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mints {
    /// Those of Firegate's own identities.
    pub(crate) own: Arc<MintCounts>,
    /// Those got with users' tokens.
    pub(crate) federated: Arc<MintCounts>,
}

/// What workers ask the control runtime by, under one configuration.
#[derive(Clone, Debug)]
pub(crate) struct ControlHandle {
    inner: Arc<Inner>,
}

/// What a handle is made of.
#[derive(Debug)]
pub(crate) struct ControlOptions<'a> {
    pub(crate) configuration: &'a Configuration,
    pub(crate) process: &'a ProcessOptions,
    pub(crate) assertions: SharedAssertions,
    /// The handle before it: what has not changed is taken over from there, with all that it knows.
    pub(crate) former: Option<&'a ControlHandle>,
}

#[derive(Debug)]
struct Inner {
    clock: SharedClock,
    key_sets: Arc<KeySets>,
    /// An emulator's unsigned tokens need no keys.
    needs_keys: bool,
    verified: Arc<Tended<VerifiedTokens>>,
    read: Arc<Tended<RecentTokens>>,
    identities: Identities,
    /// What is known of users, if they are or were looked up.
    user_status: Option<UserStatus>,
    app_check: AppCheck,
    rate_limits: RateLimits,
}

impl Control {
    /// Starts the thread.
    pub(crate) fn start(roots: Roots) -> Result<Self, StartError> {
        let runtime = threads::runtime().map_err(StartError::Thread)?;
        let handle = runtime.handle().clone();
        let http = HttpClient::new(handle.clone(), roots.clone())?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let run = move || {
            runtime.block_on(stopped.cancelled());
            // A name look-up that hangs must not hold the process.
            runtime.shutdown_timeout(RUNTIME_SHUTDOWN_TIMEOUT);
        };
        let thread = std::thread::Builder::new().name("firegate-control".to_owned()).spawn(run);
        let thread = thread.map_err(StartError::Thread)?;
        let (panics, mints) = (Arc::default(), Mints::default());
        Ok(Self { thread, runtime: ControlRuntime { handle, http, roots, stop, panics, mints } })
    }

    pub(crate) fn runtime(&self) -> &ControlRuntime {
        &self.runtime
    }

    /// Ends the thread and waits for it.
    pub(crate) fn stop(self) {
        self.runtime.stop.cancel();
        // A panic there has been reported by the thread itself.
        let _ = self.thread.join();
    }
}

impl ControlRuntime {
    /// What workers ask by under a configuration. Files are read now; keys and tokens are fetched ahead of need from now on.
    ///
    /// # Errors
    /// If a credential that the configuration needs cannot be used.
    pub(crate) fn handle(&self, options: &ControlOptions<'_>) -> Result<ControlHandle, StartError> {
        Ok(ControlHandle { inner: Arc::new(Inner::new(self, options)?) })
    }

    /// What its tasks run on.
    pub(crate) fn executor(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs a task. If it panics, that is logged and counted, and the task is over.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(self.panics.contain("a task of the control runtime is over", task));
    }

    /// Runs what keeps `value` up to date for as long as anybody holds it. If it panics, it is run again.
    pub(crate) fn tend<T, F>(
        &self,
        value: Arc<T>,
        run: impl Fn(Arc<T>, CancellationToken) -> F + Send + 'static,
    ) -> Arc<Tended<T>>
    where
        T: Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = self.stop.child_token();
        let tended = Tended::by(Arc::clone(&value), stop.clone().drop_guard());
        let panics = Arc::clone(&self.panics);
        self.handle.spawn(async move {
            while let Err(panicked) = panics.catch(run(Arc::clone(&value), stop.clone())).await {
                tracing::error!(%panicked, "a task of the control runtime is run again");
                if stop.run_until_cancelled(tokio::time::sleep(TASK_RESTART_PAUSE)).await.is_none() {
                    return;
                }
            }
        });
        tended
    }

    /// Whom TLS towards others trusts.
    pub(crate) fn roots(&self) -> &Roots {
        &self.roots
    }

    /// The panics of this process.
    pub(crate) fn panics(&self) -> &Arc<Panics> {
        &self.panics
    }

    /// What is cancelled when it stops.
    pub(crate) fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }
}

impl Inner {
    fn new(control: &ControlRuntime, options: &ControlOptions<'_>) -> Result<Self, StartError> {
        let ControlOptions { configuration, process, assertions, former } = options;
        let former = former.map(|former| &*former.inner);
        let identities = Identities::new(control, options, former.map(|former| &former.identities))?;
        let caller = match process.lookup_bearer {
            Some(word) => Caller::Fixed(word),
            None => Caller::Own(Arc::clone(identities.own())),
        };
        let bytes_max = configuration.verified_tokens_bytes;
        let verified = match former.map(|former| &former.verified) {
            Some(verified) if verified.bytes_max() == bytes_max => Arc::clone(verified),
            former => {
                let cache = VerifiedTokens::new(bytes_max, former.map(|former| &****former));
                let clock = Arc::clone(&process.clock);
                control.tend(Arc::new(cache), move |cache, stop| cache.run(Arc::clone(&clock), stop))
            }
        };
        let key_sets =
            KeySets::new(control, options, Arc::clone(assertions), former.map(|former| &*former.key_sets));
        let key_sets = Arc::new(key_sets);
        let (keys, clock) = (Arc::clone(&key_sets), Arc::clone(&process.clock));
        let read = control.tend(Arc::new(RecentTokens::new()), move |read, stop| {
            read.run(Arc::clone(&keys), Arc::clone(&clock), stop)
        });
        Ok(Self {
            clock: Arc::clone(&process.clock),
            rate_limits: RateLimits::new(
                control,
                &configuration.limits_store,
                configuration.project.as_ref(),
                &process.counters,
                former.map(|former| &former.rate_limits),
            )?,
            key_sets,
            needs_keys: configuration.trust() == Trust::Google,
            verified,
            read,
            user_status: UserStatus::new(
                control,
                options,
                &caller,
                former.and_then(|former| former.user_status.as_ref()),
            ),
            app_check: AppCheck::new(control, configuration, caller, former.map(|former| &former.app_check)),
            identities,
        })
    }

    fn key_sets(&self) -> impl Iterator<Item = &Arc<KeySetCache>> {
        self.key_sets.iter()
    }
}

impl ControlHandle {
    /// Its configuration is in force from now on.
    pub(crate) fn take_effect(&self) {
        if let Some(user_status) = &self.inner.user_status {
            user_status.take_effect();
        }
    }

    /// The keys that may be used at this moment. Takes no lock.
    pub(crate) fn key_ring(&self, now: UnixTime) -> Keys {
        let mut keys = self.inner.key_sets.ring(now);
        keys.ring.verified = Some(Arc::clone(&**self.inner.verified) as Arc<dyn VerifiedSignatures>);
        keys.ring.read = Some(Arc::clone(&**self.inner.read) as Arc<dyn ReadTokens>);
        keys
    }

    /// Fetches what a decision needs.
    pub(crate) async fn fetch(&self, need: Need, seen: &Keys) -> Answer {
        match need {
            Need::KeyRefresh { kind, unknown_key_id } => {
                self.refresh_keys(kind, unknown_key_id.as_deref(), seen).await
            }
            Need::AccountStatus { tenant, uid } => self.account_status(tenant.as_deref(), &uid).await,
            Need::AppCheckConsume { token } => self.inner.app_check.consume(&token).await,
            Need::SharedCount(question) => self.shared_count(&question).await,
        }
    }

    /// What is known of users.
    pub(crate) fn accounts(&self) -> &dyn KnownAccounts {
        match self.inner.user_status.as_ref().and_then(UserStatus::in_force) {
            Some(known) => &**known,
            None => &NoKnownAccounts,
        }
    }

    /// Gets newer keys than those that the caller saw, waiting at most two seconds.
    async fn refresh_keys(&self, kind: TokenKind, unknown_key_id: Option<&str>, seen: &Keys) -> Answer {
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
    async fn account_status(&self, tenant: Option<&str>, uid: &str) -> Answer {
        let user_status = self.inner.user_status.as_ref().and_then(UserStatus::in_force);
        let Some(user_status) = user_status else { return Answer::Unavailable };
        match user_status.look_up(tenant, uid).await {
            Ok(known) => Answer::Account(known.account),
            // Firegate's own limits say nothing of Identity Platform: whoever fills them must not be let in by it.
            Err(UserStatusFault::Overloaded | UserStatusFault::Stopping) => Answer::Overloaded,
            Err(fault) => {
                // Why is told when an outage begins, and of each request by its own line.
                tracing::debug!(%fault, "an account could not be looked up");
                if fault.is_internal() { Answer::Failed } else { Answer::Unavailable }
            }
        }
    }

    /// What requests are counted by.
    pub(crate) fn counters(&self) -> &dyn Counters {
        self.inner.rate_limits.counters()
    }

    /// Counts a request where all processes count.
    async fn shared_count(&self, question: &StoreQuestion) -> Answer {
        self.inner.rate_limits.ask(question).await
    }

    /// Watches over a user for as long as a stream of theirs is open.
    pub(crate) fn watch(&self, user: &User) -> Option<Watch> {
        self.inner.user_status.as_ref()?.watch(user)
    }

    /// The Google ID token for an endpoint of the permit's backend; `None` if the backend gets none.
    ///
    /// # Errors
    /// If there is none that is alive: the service is never called without.
    pub(crate) async fn google_token(
        &self,
        permit: &Permit,
        audience: &str,
        facts: &RequestFacts<'_>,
        subject_token: Option<&str>,
    ) -> Result<Option<Arc<IdToken>>, Refused> {
        let token = self.inner.identities.google_token(permit, audience, facts, subject_token).await;
        token.map_err(|error| match error {
            IdentityFault::Own(error) => missing(&error),
            IdentityFault::Missing => fault(Code::Internal, Stage::Credential, error),
            IdentityFault::User(error) => self.refused_federation(&error, permit),
        })
    }

    /// Takes note that Cloud Run's front refused the token that a backend's endpoint was sent. Whether another one is worth a
    /// try.
    pub(crate) fn doubt_token(&self, backend: &Backend, audience: &str, token: &IdToken) -> bool {
        self.inner.identities.doubt(backend, audience, token)
    }

    /// What a failed exchange of the user's own token means: a refusal of Google's is an answer about the user; an outage is
    /// none, and neither is that Google knows nothing of what the configuration names.
    fn refused_federation(&self, error: &FederationFault, permit: &Permit) -> Refused {
        let reason = match error {
            FederationFault::SessionCookie => Reason::TokenIsSessionCookie,
            FederationFault::Expired => {
                let now = self.inner.clock.now();
                Reason::TokenExpired { expired_at: permit.user().map_or(now, |user| user.expires_at), now }
            }
            FederationFault::SubjectTooLong => Reason::FederationRefused { answer: error.to_string() },
            FederationFault::Credential(_) if error.is_about_the_user() => {
                Reason::FederationRefused { answer: error.to_string() }
            }
            FederationFault::Credential(ours) => return missing(ours),
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

    /// Waits until each key set that `former` does not have was fetched, or could not be within the time that a request would
    /// wait for it.
    pub(crate) async fn new_keys_arrive(&self, former: &Self) {
        let is_new =
            |cache: &&Arc<KeySetCache>| !former.inner.key_sets().any(|known| Arc::ptr_eq(known, cache));
        let new = self.inner.key_sets().filter(|_| self.inner.needs_keys).filter(is_new);
        join_all(new.map(|cache| cache.refresh(RefreshReason::Missing, 0))).await;
    }
}

/// What it is that a credential cannot be had: seldom a mistake of Firegate's own, and else of whoever was asked.
fn missing(error: &CredentialFault) -> Refused {
    let code = if error.source.is_internal() { Code::Internal } else { Code::CredentialUnavailable };
    fault(code, Stage::Credential, error)
}
