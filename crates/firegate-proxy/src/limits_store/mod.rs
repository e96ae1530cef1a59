//! The store in which several processes count their requests together: a Redis or Valkey server.
//!
//! It is asked in one round trip, and never waited for longer than a moment. When it is slow or gone, each process counts by
//! itself until it answers again; who asks then does not wait at all. The connection is tended on the control runtime.

mod connection;
mod script;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use aws_lc_rs::digest::{Context, SHA256};
use firegate_core::decision::Answer;
use firegate_core::limiter::{Counters, LimiterFigures, MemoryCounters, SharedCounters, StoreQuestion};
use firegate_files::configuration::{LimitsStore as StoreSetting, Password, RedisServer};
use firegate_google::http::Roots;
use firegate_google::limits::OUTAGE_LINE_INTERVAL;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::connection::{Address, Connection};
use crate::control::{ControlRuntime, Tended};
use crate::files::read_bounded;
use crate::limits::{
    LIMITS_STORE_ANSWER_TIMEOUT, LIMITS_STORE_CONNECT_TIMEOUT, LIMITS_STORE_FILE_BYTES_MAX,
    LIMITS_STORE_PROBE_INTERVAL, LIMITS_STORE_RETRY_PAUSE, LIMITS_STORE_WAITERS_MAX,
};

/// What requests are counted by, under one configuration.
#[derive(Debug)]
pub(crate) struct RateLimits {
    memory: Arc<MemoryCounters>,
    counters: Arc<dyn Counters>,
    store: Option<Arc<Tended<LimitsStore>>>,
}

/// The shared store.
pub(crate) struct LimitsStore {
    address: Address,
    secret: [u8; 32],
    answer_timeout: Duration,
    /// None while it is away.
    connection: ArcSwapOption<Connection>,
    /// Whether there is a connection, for whoever waits for a change.
    is_there: watch::Sender<bool>,
    waiters: Semaphore,
    questions: [AtomicU64; Question::ALL.len()],
    losses: AtomicU64,
    /// The log has said that it is away, and not yet that it is there again.
    is_told_away: AtomicBool,
    told_away_at: Mutex<Option<Instant>>,
}

/// What became of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// It was answered.
    Answered,
    /// It was not, or not in time.
    Failed,
    /// It was not put, because the store was away.
    Away,
    /// It was not put, because too many were waiting.
    Overloaded,
}

/// What there is to know of the store.
#[derive(Clone, Debug)]
pub(crate) struct LimitsStoreFigures {
    /// Whether it can be asked.
    pub(crate) is_there: bool,
    /// How often it went away.
    pub(crate) losses: u64,
    /// What became of the questions.
    pub(crate) questions: [(Question, u64); Question::ALL.len()],
}

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LimitsStoreError {
    /// A file that the configuration names cannot be read.
    #[error("{0}")]
    File(String),
}

impl Question {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Answered, Self::Failed, Self::Away, Self::Overloaded];

    /// The word of the metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::Away => "away",
            Self::Overloaded => "overloaded",
        }
    }
}

impl RateLimits {
    /// Counts as the configuration says. A store that is the same as before goes on.
    ///
    /// # Errors
    /// If a file that it needs cannot be read.
    pub(crate) fn new(
        control: &ControlRuntime,
        setting: &StoreSetting,
        project: &str,
        memory: &Arc<MemoryCounters>,
        former: Option<&Self>,
    ) -> Result<Self, LimitsStoreError> {
        let StoreSetting::Redis(server) = setting else {
            let memory = Arc::clone(memory);
            return Ok(Self { counters: Arc::clone(&memory) as _, memory, store: None });
        };
        let store =
            LimitsStore::new((**server).clone(), project, control.roots(), LIMITS_STORE_ANSWER_TIMEOUT)?;
        let counters = Arc::new(SharedCounters::new(Arc::clone(memory), store.secret));
        let former = former.and_then(|former| former.store.as_ref());
        let store = match former.filter(|former| former.is_same(&store)) {
            Some(former) => Arc::clone(former),
            None => control.tend(Arc::new(store), LimitsStore::run),
        };
        Ok(Self { memory: Arc::clone(memory), counters, store: Some(store) })
    }

    pub(crate) fn counters(&self) -> &dyn Counters {
        &*self.counters
    }

    /// Counts a request in the store.
    pub(crate) async fn ask(&self, question: &StoreQuestion) -> Answer {
        match &self.store {
            Some(store) => store.ask(question).await,
            None => Answer::Unavailable,
        }
    }

    /// What there is to know of the windows of this process.
    pub(crate) fn limiter(&self) -> LimiterFigures {
        self.memory.figures()
    }

    /// What there is to know of the store, if there is one.
    pub(crate) fn store(&self) -> Option<LimitsStoreFigures> {
        self.store.as_ref().map(|store| store.figures())
    }
}

impl LimitsStore {
    fn new(
        server: RedisServer,
        project: &str,
        roots: &Roots,
        answer_timeout: Duration,
    ) -> Result<Self, LimitsStoreError> {
        let password = match &server.password_file {
            Some(path) => Some(read_password(path)?),
            None => server.password.clone(),
        };
        let certificates = server.ca_certificates.as_deref().map(read_file).transpose()?;
        Ok(Self {
            secret: secret(project, password.as_ref()),
            address: Address::new(server, password, certificates, roots),
            answer_timeout,
            connection: ArcSwapOption::empty(),
            is_there: watch::Sender::new(false),
            waiters: Semaphore::new(LIMITS_STORE_WAITERS_MAX),
            questions: Default::default(),
            losses: AtomicU64::new(0),
            is_told_away: AtomicBool::new(false),
            told_away_at: Mutex::default(),
        })
    }

    fn is_same(&self, other: &Self) -> bool {
        self.secret == other.secret && self.address.is_same(&other.address)
    }

    /// Puts a question, and waits for a moment.
    async fn ask(&self, question: &StoreQuestion) -> Answer {
        let Some(connection) = self.connection.load_full() else {
            return self.unanswered(Question::Away);
        };
        // Never closed: what fails is that there is no place.
        let Ok(_place) = self.waiters.try_acquire() else {
            self.tally(Question::Overloaded);
            return Answer::Overloaded;
        };
        match tokio::time::timeout(self.answer_timeout, connection.count(question)).await {
            Ok(Ok(count)) => {
                self.tally(Question::Answered);
                Answer::SharedCount(count)
            }
            Ok(Err(error)) => {
                self.lose(&connection, &error);
                self.unanswered(Question::Failed)
            }
            Err(_) => {
                self.lose(&connection, &"it did not answer in time");
                self.unanswered(Question::Failed)
            }
        }
    }

    fn unanswered(&self, question: Question) -> Answer {
        self.tally(question);
        Answer::Unavailable
    }

    fn tally(&self, question: Question) {
        if let Some(counter) = self.questions.get(question as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Asks this connection nothing any more. Of all who notice it the first one says so.
    fn lose(&self, connection: &Arc<Connection>, why: &dyn fmt::Display) {
        let former = self.connection.compare_and_swap(&Some(Arc::clone(connection)), None);
        if former.as_ref().is_some_and(|former| Arc::ptr_eq(former, connection)) {
            self.losses.fetch_add(1, Ordering::Relaxed);
            self.tell_away(why);
            self.is_there.send_replace(false);
        }
    }

    /// Says so, unless it was said a short while ago. How it was lost may not be why it stays away.
    fn tell_away(&self, why: &dyn fmt::Display) {
        let server = self.address.server();
        if !self.note_away() {
            tracing::debug!(%server, %why, "the store of rate limits is still away");
            return;
        }
        tracing::warn!(
            %server, %why,
            "the store of rate limits is away: each process counts by itself, unless `on_failure` says otherwise; hint: check \
             that the server of `limits_store` runs, is near, takes the password, and lets scripts write (no replica, memory left, \
             `cluster: true` for one of a cluster)"
        );
    }

    /// Takes note that it is away, and says whether that is to be told.
    fn note_away(&self) -> bool {
        let is_new = !self.is_told_away.swap(true, Ordering::Relaxed);
        let mut told_at = self.told_away_at.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_due = is_new || told_at.is_none_or(|told_at| now >= told_at + OUTAGE_LINE_INTERVAL);
        if is_due {
            *told_at = Some(now);
        }
        is_due
    }

    fn tell_there(&self) {
        self.is_told_away.store(false, Ordering::Relaxed);
        tracing::info!(server = %self.address.server(), "the store of rate limits is there");
    }

    /// Keeps a connection open until `stop`.
    async fn run(self: Arc<Self>, stop: CancellationToken) {
        let keep = async {
            let mut is_there = self.is_there.subscribe();
            loop {
                let went_well = match self.connection.load_full() {
                    Some(connection) => self.watch(&connection, &mut is_there).await,
                    None => self.open().await,
                };
                if !went_well {
                    tokio::time::sleep(LIMITS_STORE_RETRY_PAUSE).await;
                }
            }
        };
        stop.run_until_cancelled(keep).await;
    }

    /// Waits until the connection is lost, or probes it. False if it was lost before it had lasted: whatever it fails by, it
    /// passes the probe, and without a pause each request would lose it.
    async fn watch(&self, connection: &Arc<Connection>, is_there: &mut watch::Receiver<bool>) -> bool {
        let has_lasted = !self.is_told_away.load(Ordering::Relaxed);
        let lost = is_there.wait_for(|is_there| !is_there);
        if tokio::time::timeout(LIMITS_STORE_PROBE_INTERVAL, lost).await.is_ok() {
            return has_lasted;
        }
        match self.probe(connection).await {
            Err(why) => self.lose(connection, &why),
            Ok(()) if !has_lasted => self.tell_there(),
            Ok(()) => {}
        }
        true
    }

    /// Makes a connection. False if it cannot.
    async fn open(&self) -> bool {
        match self.connect().await {
            Ok(connection) => {
                // One that was away is told to be there when it has lasted.
                if !self.is_told_away.load(Ordering::Relaxed) {
                    self.tell_there();
                }
                self.connection.store(Some(Arc::new(connection)));
                self.is_there.send_replace(true);
                true
            }
            Err(why) => {
                self.tell_away(&why);
                false
            }
        }
    }

    /// A connection over which the server has answered in time.
    async fn connect(&self) -> Result<Connection, String> {
        let connecting = self.address.connect(LIMITS_STORE_CONNECT_TIMEOUT, self.answer_timeout);
        let connection = tokio::time::timeout(LIMITS_STORE_CONNECT_TIMEOUT, connecting).await;
        let connection = match connection {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err("it cannot be connected to in time".to_owned()),
        };
        self.probe(&connection).await?;
        Ok(connection)
    }

    async fn probe(&self, connection: &Connection) -> Result<(), String> {
        match tokio::time::timeout(self.answer_timeout, connection.probe()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("it did not answer in time".to_owned()),
        }
    }

    fn figures(&self) -> LimitsStoreFigures {
        let count = |question: Question| {
            let counter = self.questions.get(question as usize);
            (question, counter.map_or(0, |counter| counter.load(Ordering::Relaxed)))
        };
        LimitsStoreFigures {
            is_there: self.connection.load().is_some(),
            losses: self.losses.load(Ordering::Relaxed),
            questions: Question::ALL.map(count),
        }
    }
}

/// What keys are hashed with: the same in all processes that share the store, and with a password nobody else's to know.
fn secret(project: &str, password: Option<&Password>) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(b"firegate limits_store\0");
    context.update(project.as_bytes());
    context.update(b"\0");
    context.update(password.map_or("", Password::reveal).as_bytes());
    let mut secret = [0; 32];
    secret.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    secret
}

/// Reads a password from a file; the line feed at its end is no part of it.
///
/// # Errors
/// If it cannot be read or is no text.
pub(crate) fn read_password(path: &std::path::Path) -> Result<Password, LimitsStoreError> {
    let (name, hint) = match path.is_absolute() {
        true => (format!("{} of `limits_store`", path.display()), MOUNT),
        // Where the file's name belongs, the password itself may stand.
        false => (
            "the `password_file` of `limits_store`".to_owned(),
            "name a file that holds the password; this is not the place of the password itself",
        ),
    };
    let text = String::from_utf8(read_called(path, &name, hint)?).map_err(|_| {
        LimitsStoreError::File(format!(
            "{name} is no text\nhint: `password_file` names a file with the password, as UTF-8"
        ))
    })?;
    Ok(Password::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Reads the certificates of the store's.
///
/// # Errors
/// If they cannot be read or are too large.
pub(crate) fn read_file(path: &std::path::Path) -> Result<Vec<u8>, LimitsStoreError> {
    read_called(path, &format!("{} of `limits_store`", path.display()), MOUNT)
}

/// What to do about a file that is not there.
const MOUNT: &str = "mount it, or correct its name";

fn read_called(path: &std::path::Path, name: &str, hint: &str) -> Result<Vec<u8>, LimitsStoreError> {
    read_bounded(path, LIMITS_STORE_FILE_BYTES_MAX).map_err(|error| match error.kind() {
        std::io::ErrorKind::FileTooLarge => LimitsStoreError::File(format!(
            "{name} is too large\nhint: name a file of {LIMITS_STORE_FILE_BYTES_MAX} bytes at most"
        )),
        _ => LimitsStoreError::File(format!("{name} cannot be read: {error}\nhint: {hint}")),
    })
}

impl fmt::Debug for LimitsStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LimitsStore").field("server", &self.address.server()).finish_non_exhaustive()
    }
}
