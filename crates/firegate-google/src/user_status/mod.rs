//! What Identity Platform says of users, kept so that a request does not wait for it: whether an account still exists, is
//! disabled, and since when its sessions count.
//!
//! A user's first request waits for one look-up; whoever was here lately is looked up again ahead of the bound on
//! staleness, many in one call. What is known of a user who was refused is pinned until their tokens expire: neither an
//! outage nor a flood of other users turns a refusal into an admission. Only a look-up that succeeds changes a record, and
//! nothing but the documented answer is one.

mod age;
mod entries;
mod entry;
mod lines;
mod refresh;
mod refused_questions;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use firegate_core::identity::{AccountStatus, KnownAccount, KnownAccounts};
use firegate_core::time::{SharedClock, UnixTime};
use quick_cache::sync::Cache;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use watch::RevocationWatch;

use self::age::AgeClock;
use self::entries::Entries;
use self::entry::{Began, Change, Entry, Record, UserKey, UserName};
use self::lines::{Answer, Batch, Lines, Place, Refresh, Tenant};
use self::refresh::Schedule;
use self::refused_questions::RefusedQuestion;
use self::watch::Watcher;
use crate::accounts::{AccountsClient, AccountsFault};
use crate::caller::Caller;
use crate::fault::{CredentialFault, FaultKind};
use crate::limits::{
    STALENESS_MEASURE_INTERVAL, USER_STATUS_CALLS_MAX, USER_STATUS_REFUSALS_MAX,
    USER_STATUS_REFUSED_QUESTIONS_MAX, USER_STATUS_TICK_MIN, USER_STATUS_USERS_MAX, USER_STATUS_WAIT_MAX,
    USER_STATUS_WAITERS_MAX, WAKE_INTERVAL_MAX,
};
use crate::outage::Outage;
use crate::single_flight::{NoResult, NoSeat, SingleFlight};

/// How users are looked up, which may change while what is known of them stays known.
#[derive(Clone, Debug)]
pub struct UserStatusSettings {
    /// Where they are looked up; the work runs on its runtime.
    pub accounts: AccountsClient,
    /// As whom.
    pub caller: Caller,
    /// How old a record may become before it is looked up again.
    pub max_staleness: Duration,
    /// How long a record is pinned that refuses its user, whichever token they send: the longest life of the tokens that
    /// are accepted.
    pub token_lifetime_max: Duration,
}

/// What a [`UserStatusCache`] is made of.
#[derive(Clone, Debug)]
pub struct UserStatusOptions {
    /// The project whose users they are.
    pub project: String,
    /// How they are looked up at first.
    pub settings: UserStatusSettings,
    /// The wall clock.
    pub clock: SharedClock,
    /// How many users are known at most, beside those who are pinned or hold streams. [`USER_STATUS_USERS_MAX`].
    pub users_max: usize,
    /// How many users are pinned at most. [`USER_STATUS_REFUSALS_MAX`].
    pub refusals_max: usize,
}

impl UserStatusOptions {
    /// The options with the named bounds.
    pub fn new(project: String, settings: UserStatusSettings, clock: SharedClock) -> Self {
        let (users_max, refusals_max) = (USER_STATUS_USERS_MAX, USER_STATUS_REFUSALS_MAX);
        Self { project, settings, clock, users_max, refusals_max }
    }
}

/// Why it is not known what Identity Platform says of a user. None of these says anything about the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserStatusFault {
    /// The look-up failed.
    #[error("{0}")]
    Lookup(#[from] AccountsFault),
    /// There is no credential for the look-up.
    #[error("accounts:lookup: {0}")]
    Credential(#[from] CredentialFault),
    /// As many requests as are allowed wait already.
    #[error("too many requests wait for look-ups of users")]
    Overloaded,
    /// The look-up takes longer than a request waits; it goes on.
    #[error("the look-up of the user takes longer than a request waits")]
    TimedOut,
    /// The runtime that does the work is stopping.
    #[error("the process is stopping")]
    Stopping,
    /// The work panicked.
    #[error("a mistake in Firegate, of which the log says more")]
    Internal,
}

impl UserStatusFault {
    /// Whether the mistake is Firegate's own, and of nobody whom it asked.
    pub fn is_internal(&self) -> bool {
        match self {
            Self::Lookup(AccountsFault::Call(source)) => source.is_internal(),
            Self::Credential(fault) => fault.source.is_internal(),
            Self::Internal => true,
            Self::Lookup(AccountsFault::Question) | Self::Overloaded | Self::TimedOut | Self::Stopping => {
                false
            }
        }
    }

    /// Whether trying again helps.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Lookup(fault) => fault.kind(),
            Self::Credential(fault) => fault.kind(),
            Self::Overloaded | Self::TimedOut | Self::Stopping | Self::Internal => FaultKind::Unavailable,
        }
    }
}

/// Numbers for metrics. The counters only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserStatusStatistics {
    /// How many users are known, beside those who are only pinned or watched.
    pub users: usize,
    /// How many are pinned because they were refused.
    pub pinned: usize,
    /// How many hold streams.
    pub watched: usize,
    /// Whether more were refused than could be pinned.
    pub has_forgotten_refusals: bool,
    /// The age of the oldest record among users who were here within the bound on staleness; none if nobody was. Measured
    /// every [`STALENESS_MEASURE_INTERVAL`].
    pub oldest_staleness: Option<Duration>,
    /// How many calls were made.
    pub calls: u64,
    /// How many of them brought no answer.
    pub failed_calls: u64,
    /// How many users they asked for, in all.
    pub users_asked_for: u64,
}

/// What is known of the users of one project.
#[derive(Debug)]
pub struct UserStatusCache {
    project: String,
    settings: ArcSwap<UserStatusSettings>,
    runtime: Handle,
    ages: AgeClock,
    entries: Entries,
    flights: Arc<SingleFlight<UserKey, Answer>>,
    lines: Lines,
    schedule: Schedule,
    refused_questions: Cache<UserKey, RefusedQuestion>,
    /// What the log says of them.
    refusals_told: Outage,
    calls: Semaphore,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    /// The number of the next call; see [`Began`].
    calls_begun: AtomicU64,
    calls: AtomicU64,
    failed_calls: AtomicU64,
    users_asked_for: AtomicU64,
    watches: AtomicU64,
    /// In seconds and one more; zero if nobody was here.
    oldest_staleness: AtomicU64,
}

impl UserStatusCache {
    /// An empty cache. Nothing is refreshed before [`run`](Self::run).
    pub fn new(options: UserStatusOptions) -> Arc<Self> {
        Arc::new(Self {
            project: options.project,
            runtime: options.settings.accounts.runtime().clone(),
            ages: AgeClock::new(options.clock),
            entries: Entries::new(options.users_max, options.refusals_max),
            flights: Arc::new(SingleFlight::new(USER_STATUS_WAITERS_MAX, USER_STATUS_WAITERS_MAX)),
            lines: Lines::default(),
            schedule: Schedule::new(options.settings.max_staleness),
            settings: ArcSwap::from_pointee(options.settings),
            refused_questions: Cache::new(USER_STATUS_REFUSED_QUESTIONS_MAX),
            refusals_told: Outage::default(),
            calls: Semaphore::new(USER_STATUS_CALLS_MAX),
            counters: Counters::default(),
        })
    }

    /// Looks users up by other settings from now on, and forgets nobody: a configuration that is reloaded in an outage must
    /// not let in whom Identity Platform has refused.
    pub fn go_by(&self, settings: UserStatusSettings) {
        let longer = settings.token_lifetime_max.saturating_sub(self.settings.load().token_lifetime_max);
        if !longer.is_zero() {
            // They may hold tokens of a kind that was not accepted when they were refused.
            self.entries.pin_for_longer(longer);
        }
        self.schedule.set_max_staleness(settings.max_staleness);
        self.settings.store(Arc::new(settings));
    }

    /// What the last successful look-up said of a user, however long ago; `as_of` says when. Takes note that the user was
    /// here. Never waits.
    pub fn known(&self, tenant: Option<&str>, uid: &str) -> Option<KnownAccount> {
        let entry = self.entries.find(UserName { tenant, uid })?;
        let now = self.ages.now();
        entry.mark_seen(now);
        self.schedule.add(&entry, now);
        entry.known(&self.ages)
    }

    /// Looks a user up, unless a record younger than the bound on staleness has come meanwhile. Requests of one user share
    /// one look-up, those of many users go into one call. The work goes on when the caller goes away.
    ///
    /// # Errors
    /// If there is no answer within [`USER_STATUS_WAIT_MAX`], too many wait, or the call fails. A failure says nothing of
    /// the user.
    pub async fn look_up(self: &Arc<Self>, tenant: Option<&str>, uid: &str) -> Answer {
        let (name, began) = (UserName { tenant, uid }, Instant::now());
        match self.answer(name).await {
            // Identity Platform has answered others of the tenant meanwhile. That it is not asked about all of them in time is
            // this process' own limit, and whoever fills the line must not pass for an outage.
            Err(UserStatusFault::TimedOut) if self.lines.was_answered_since(&name.to_key().tenant, began) => {
                Err(UserStatusFault::Overloaded)
            }
            answer => answer,
        }
    }

    async fn answer(self: &Arc<Self>, name: UserName<'_>) -> Answer {
        let joined = self.flights.join(&self.runtime, name.to_key(), || self.begin(name));
        match joined {
            Ok(seat) => {
                let waited = self.flights.wait(seat, USER_STATUS_WAIT_MAX).await;
                waited.unwrap_or_else(|none| {
                    Err(match none {
                        NoResult::Full => UserStatusFault::Overloaded,
                        NoResult::TimedOut => UserStatusFault::TimedOut,
                        NoResult::Panicked => UserStatusFault::Internal,
                        NoResult::Stopping => UserStatusFault::Stopping,
                    })
                })
            }
            Err(NoSeat::Declined(answer)) => answer,
            Err(NoSeat::Full) => Err(UserStatusFault::Overloaded),
        }
    }

    /// Takes note that a user was refused by what is known of them. It is not forgotten before `until`, when the token they
    /// sent expires, nor before any other that they may hold: who is refused with a token of five minutes may have a
    /// session cookie of two weeks. A newer look-up replaces what is known, and nothing else does.
    pub fn refused(&self, tenant: Option<&str>, uid: &str, until: UnixTime) {
        let now = self.ages.wall();
        let until = until.max(now.plus(self.settings.load().token_lifetime_max));
        self.entries.pin(UserName { tenant, uid }, until, now);
    }

    /// Whether somebody's refusal could not be remembered whose token may still be alive. Then nobody may be let in
    /// without a record: it may be them.
    pub fn has_forgotten_refusals(&self) -> bool {
        self.entries.has_forgotten(self.ages.wall())
    }

    /// Watches over a user who signed in at `auth_time`, for a stream. The number of watches is that of the streams, which
    /// whoever opens them bounds.
    pub fn watch(self: &Arc<Self>, tenant: Option<&str>, uid: &str, auth_time: UnixTime) -> RevocationWatch {
        let id = self.counters.watches.fetch_add(1, Ordering::Relaxed);
        let ended = CancellationToken::new();
        let watcher = Watcher { id, auth_time, ended: ended.clone() };
        let now = self.ages.now();
        let entry = self.entries.watch(&UserName { tenant, uid }.to_key(), watcher, now);
        self.schedule.add(&entry, now);
        RevocationWatch { cache: Arc::clone(self), entry, id, ended }
    }

    fn unwatch(&self, watch: &RevocationWatch) {
        self.entries.unwatch(&watch.entry, watch.id);
    }

    /// Numbers for metrics.
    pub fn statistics(&self) -> UserStatusStatistics {
        let (users, pinned, watched) = self.entries.counts();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        UserStatusStatistics {
            users,
            pinned,
            watched,
            has_forgotten_refusals: self.has_forgotten_refusals(),
            oldest_staleness: count(&self.counters.oldest_staleness).checked_sub(1).map(Duration::from_secs),
            calls: count(&self.counters.calls),
            failed_calls: count(&self.counters.failed_calls),
            users_asked_for: count(&self.counters.users_asked_for),
        }
    }

    /// Keeps what is known of users fresh until `shutdown`: of those who were here within the bound on staleness, or hold
    /// streams. The others age out.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let interval = || (self.schedule.max_staleness() / 8).clamp(USER_STATUS_TICK_MIN, WAKE_INTERVAL_MAX);
        let mut measured = None::<Instant>;
        while shutdown.run_until_cancelled(tokio::time::sleep(interval())).await.is_some() {
            self.ages.notice_steps();
            self.entries.release(Instant::now());
            self.lines.tidy();
            self.refresh_due();
            if measured.is_none_or(|measured| measured.elapsed() >= STALENESS_MEASURE_INTERVAL) {
                measured = Some(Instant::now());
                let oldest = self.entries.oldest(self.ages.now(), self.schedule.max_staleness());
                let seconds = oldest.map_or(0, |oldest| oldest.as_secs() + 1);
                self.counters.oldest_staleness.store(seconds, Ordering::Relaxed);
            }
        }
    }

    fn refresh_due(self: &Arc<Self>) {
        let now = self.ages.now();
        for entry in self.schedule.take_due(now) {
            match self.lines.refresh(&entry) {
                Refresh::Paused(pause) => self.schedule.push(now + pause, entry),
                Refresh::Queued { needs_worker: false } => {}
                Refresh::Queued { needs_worker: true } => self.hire(entry.key.tenant.clone()),
            }
        }
    }

    /// Puts a user into the line, unless there is an answer already.
    fn begin(self: &Arc<Self>, name: UserName<'_>) -> Result<impl Future<Output = Answer> + use<>, Answer> {
        // By the same rule as whoever asks reads the record's age: seconds of the wall clock.
        let max_staleness = self.schedule.max_staleness();
        let is_young = |known: &KnownAccount| self.ages.wall().since(known.as_of) < max_staleness;
        if let Some(known) = self.known(name.tenant, name.uid).filter(is_young) {
            return Err(Ok(known));
        }
        let key = name.to_key();
        if let Some(fault) = self.recently_refused(&key) {
            return Err(Err(fault));
        }
        let UserKey { tenant, uid } = key;
        if let Some(fault) = self.lines.recent_failure(&tenant) {
            return Err(Err(fault));
        }
        let (answer, needs_worker) = self.lines.ask(&tenant, uid);
        if needs_worker {
            self.hire(tenant);
        }
        // Were the runtime stopping, this would be over too: the task that was asked has panicked.
        Ok(async move { answer.await.unwrap_or(Err(UserStatusFault::Internal)) })
    }

    /// Begins a task that makes calls until the tenant's line is empty.
    fn hire(self: &Arc<Self>, tenant: Tenant) {
        let cache = Arc::clone(self);
        self.runtime.spawn(async move {
            let mut place = Place::new(&cache.lines, &tenant);
            loop {
                let Ok(_permit) = cache.calls.acquire().await else { return };
                let Some(batch) = place.take() else { return };
                let handed_over = cache.schedule.hand_over(&batch.stale);
                cache.ask(&tenant, batch).await;
                handed_over.are_back();
            }
        });
    }

    /// Notes the beginning of a call, before anything of it is under way.
    fn begin_call(&self) -> Began {
        let call = self.counters.calls_begun.fetch_add(1, Ordering::SeqCst);
        Began { call, moment: self.ages.now(), wall: self.ages.wall() }
    }

    async fn call(
        &self,
        tenant: &Tenant,
        batch: &Batch,
    ) -> Result<Vec<(String, AccountStatus)>, UserStatusFault> {
        let count = |counter: &AtomicU64, more: usize| counter.fetch_add(more as u64, Ordering::Relaxed);
        count(&self.counters.calls, 1);
        count(&self.counters.users_asked_for, batch.uids.len());
        let uids: Vec<&str> = batch.uids.iter().map(|uid| &**uid).collect();
        let settings = self.settings.load_full();
        let bearer = settings.caller.bearer().await?;
        let found = settings.accounts.lookup(&self.project, tenant.as_deref(), &uids, &bearer).await?;
        let status = |found: crate::accounts::AccountStatus| {
            let status = AccountStatus { disabled: found.disabled, valid_since: found.valid_since };
            (found.local_id, status)
        };
        Ok(found.into_iter().map(status).collect())
    }

    fn settle(&self, tenant: &Tenant, batch: Batch, began: Began, accounts: &[(String, AccountStatus)]) {
        let record = |uid: &str| {
            let found = accounts.iter().find(|(found, _)| found == uid);
            Record { account: found.map(|(_, account)| *account), began }
        };
        self.lines.note_success(tenant);
        let now = self.ages.now();
        for entry in batch.stale {
            self.accept(&entry, record(&entry.key.uid));
            self.schedule.put_back(entry, now);
        }
        for asked in batch.asked {
            let key = UserKey { tenant: tenant.clone(), uid: Arc::clone(&asked.uid) };
            let entry = self.entries.obtain(&key, now);
            self.accept(&entry, record(&asked.uid));
            self.schedule.add(&entry, now);
            let known = entry.known(&self.ages).ok_or(UserStatusFault::Internal);
            // Nobody may wait any more.
            let _ = asked.answer.send(known);
        }
    }

    fn accept(&self, entry: &Arc<Entry>, record: Record) {
        if entry.accept(record) == Change::Refusing {
            // Whoever comes next may be refused by it, also if that is after a flood and during an outage.
            let now = self.ages.wall();
            self.entries.pin_entry(entry, now.plus(self.settings.load().token_lifetime_max), now);
        }
    }

    fn count_failed_call(&self) {
        self.counters.failed_calls.fetch_add(1, Ordering::Relaxed);
    }

    fn give_up(&self, tenant: &Tenant, batch: Batch, fault: &UserStatusFault) {
        let (pause, waiting) = self.lines.note_failure(tenant, fault);
        let retry_at = self.ages.now() + pause;
        for entry in batch.stale.into_iter().chain(waiting) {
            self.schedule.push(retry_at, entry);
        }
        for asked in batch.asked {
            let _ = asked.answer.send(Err(fault.clone()));
        }
    }
}

impl KnownAccounts for UserStatusCache {
    fn known(&self, tenant: Option<&str>, uid: &str) -> Option<KnownAccount> {
        Self::known(self, tenant, uid)
    }

    fn refused(&self, tenant: Option<&str>, uid: &str, until: UnixTime) {
        Self::refused(self, tenant, uid, until);
    }

    fn has_forgotten_refusals(&self) -> bool {
        Self::has_forgotten_refusals(self)
    }
}
