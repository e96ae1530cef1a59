use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use firegate_core::jose::KeySet;
use firegate_core::time::{SharedClock, UnixTime};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::disk::{KeySetFile, StoredDocument, Unwritten};
use super::freshness::lifetime;
use super::missing::MissingKeyIds;
use super::{HeldKeys, KeySetFault, KeySetSource, KeySnapshot, RefreshOutcome, RefreshReason, apart};
use crate::backoff;
use crate::http::{ExchangeBounds, HttpClient};
use crate::limits::{
    FILE_WRITE_WAIT_MAX, KEY_FETCH_TIMEOUT, KEY_REFRESH_WAIT_MAX, KEY_REFRESH_WAITERS_MAX, KEY_RETRY_MAX,
    KEY_RETRY_MIN, KEY_RETRY_MISSING_MAX, KEY_SET_BODY_BYTES_MAX, UNKNOWN_KEY_ID_COOL_DOWN,
    WAKE_INTERVAL_MAX,
};
use crate::outage::Outage;
use crate::single_flight::{NoSeat, Seat, SingleFlight};

/// The keys of one issuer.
#[derive(Debug)]
pub struct KeySetCache {
    source: KeySetSource,
    http: HttpClient,
    clock: SharedClock,
    file: Option<KeySetFile>,
    unwritten: Arc<Unwritten>,
    snapshot: ArcSwap<KeySnapshot>,
    attempts: watch::Sender<u64>,
    flight: Arc<SingleFlight<(), bool>>,
    pacing: Mutex<Pacing>,
}

/// When to fetch next. The lock is held for a few assignments and never while waiting.
#[derive(Debug, Default)]
struct Pacing {
    /// The wall-clock time at which a good set is due for renewal.
    renew_at: Option<UnixTime>,
    /// When the last attempt ended, and the pause after it if it failed.
    last_end: Option<Instant>,
    pause: Duration,
    failures_in_row: u32,
    outage: Outage,
    /// When an unknown key id last caused a fetch, by the wall clock: a frozen process has cooled down.
    unknown_key_id_attempt: Option<UnixTime>,
    /// Whether that very fetch is under way.
    looks_for_key_id: bool,
    /// The digest of the held document.
    digest: Option<[u8; 32]>,
    write: Option<JoinHandle<()>>,
    missing: MissingKeyIds,
}

impl Pacing {
    /// Whether no fetch is made for an unknown key id. Measured from the attempt, whatever came of it: a stranger chooses key
    /// ids, and must not thereby choose how often the issuer is asked.
    fn cools_down(&self, now: UnixTime) -> bool {
        self.unknown_key_id_attempt.is_some_and(|attempt| apart(attempt, now) < UNKNOWN_KEY_ID_COOL_DOWN)
    }
}

/// What is logged of a fetch that failed.
const FETCH_FAILED: &str = "the key set could not be fetched; retrying, and users get 503 while there is none that is usable; hint: \
    let this process reach the URL, and see what answers there";

/// What is logged of a set that cannot be kept for the next start.
const NOT_WRITTEN: &str = "the key set could not be written to the data directory, and is fetched anew after a start; hint: let this \
    process write to `data_dir`, and make room there";

const BOUNDS: ExchangeBounds =
    ExchangeBounds { timeout: KEY_FETCH_TIMEOUT, body_bytes_max: KEY_SET_BODY_BYTES_MAX };

impl KeySetCache {
    /// A cache that starts with what lies in `data_dir`, if that is from the same address and young enough. Nothing is
    /// fetched before [`run`](Self::run) or [`refresh`](Self::refresh).
    pub fn new(
        source: KeySetSource,
        http: HttpClient,
        clock: SharedClock,
        data_dir: Option<PathBuf>,
    ) -> Arc<Self> {
        let cache = Self {
            file: data_dir.map(|data_dir| KeySetFile::new(data_dir, &source)),
            unwritten: Arc::default(),
            source,
            http,
            clock,
            snapshot: ArcSwap::default(),
            attempts: watch::Sender::new(0),
            flight: Arc::new(SingleFlight::new(1, KEY_REFRESH_WAITERS_MAX)),
            pacing: Mutex::default(),
        };
        cache.load();
        Arc::new(cache)
    }

    /// Whose keys these are.
    pub fn source(&self) -> &KeySetSource {
        &self.source
    }

    /// What is known now. Takes no lock and never waits.
    pub fn current(&self) -> Arc<KeySnapshot> {
        self.snapshot.load_full()
    }

    /// The number of attempts that have ended, to wait for the next one's end.
    pub fn attempts(&self) -> watch::Receiver<u64> {
        self.attempts.subscribe()
    }

    /// Keeps the keys fresh until `shutdown`: fetches ahead of their age, and after a failure again and again, with
    /// growing pauses. Ends when the file that is being written is written.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        loop {
            let due = self.due();
            let pause = tokio::time::sleep(due.min(WAKE_INTERVAL_MAX));
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                () = pause, if !due.is_zero() => {}
                () = self.fetch_in_background(), if due.is_zero() => {}
            }
        }
        let write = self.pacing().write.take();
        if let Some(write) = write {
            // Longer than this only a broken disk takes; the file is a help, not a need.
            let _ = tokio::time::timeout(FILE_WRITE_WAIT_MAX, write).await;
        }
    }

    /// Gets newer keys than those of `generation`, which the caller saw: joins the fetch under way or begins one, and
    /// waits for it at most [`KEY_REFRESH_WAIT_MAX`]. The fetch goes on when the caller stops waiting.
    pub async fn refresh(self: &Arc<Self>, why: RefreshReason, generation: u64) -> RefreshOutcome {
        if why == RefreshReason::UnknownKeyId
            && let Some(outcome) = self.answer_without_a_fetch(generation)
        {
            return outcome;
        }
        let joined = self.join(|| self.may_begin(why, generation));
        let seat = match joined {
            Ok(seat) => seat,
            Err(NoSeat::Declined(outcome)) => return outcome,
            Err(NoSeat::Full) => return RefreshOutcome::Unavailable,
        };
        match self.flight.wait(seat, KEY_REFRESH_WAIT_MAX).await {
            Ok(true) => RefreshOutcome::Refreshed,
            Ok(false) | Err(_) => RefreshOutcome::Unavailable,
        }
    }

    /// The same for a token that names a key which is not in the keys of `generation`. A key id that was looked for a short
    /// while ago and not found is answered at once, also while fetches fail.
    pub async fn refresh_for_key_id(self: &Arc<Self>, key_id: &str, generation: u64) -> RefreshOutcome {
        let name = sha256(key_id.as_bytes());
        let snapshot = self.snapshot.load();
        let now = self.clock.now();
        if snapshot.usable(now).is_some()
            && snapshot.generation() == generation
            && self.pacing().missing.contains(&name, generation, now)
        {
            return RefreshOutcome::CoolingDown;
        }
        drop(snapshot);
        let outcome = self.refresh(RefreshReason::UnknownKeyId, generation).await;
        let snapshot = self.snapshot.load();
        let is_missing = snapshot.held.as_ref().is_some_and(|held| held.keys.find(key_id).is_none());
        if outcome == RefreshOutcome::Refreshed && is_missing {
            self.pacing().missing.insert(name, snapshot.generation(), self.clock.now());
        }
        outcome
    }

    fn join<R>(
        self: &Arc<Self>,
        begin: impl FnOnce() -> Result<Duration, R>,
    ) -> Result<Seat<bool>, NoSeat<R>> {
        self.flight.join(self.http.runtime(), (), || {
            let pause = begin()?;
            let cache = Arc::clone(self);
            Ok(async move {
                tokio::time::sleep(pause).await;
                cache.fetch().await
            })
        })
    }

    /// What is known of an unknown key id without a fetch: whether there are newer keys, or why none are fetched during the
    /// cool-down. `None` if a fetch for a key id is under way, or one may begin. A fetch that was begun for another reason is
    /// not waited for: a stranger chooses key ids, and must not thereby choose how many requests wait for a slow issuer.
    fn answer_without_a_fetch(&self, generation: u64) -> Option<RefreshOutcome> {
        let now = self.clock.now();
        let snapshot = self.snapshot.load();
        snapshot.usable(now)?;
        if snapshot.generation() > generation {
            return Some(RefreshOutcome::Refreshed);
        }
        let pacing = self.pacing();
        (pacing.cools_down(now) && !pacing.looks_for_key_id).then(|| during_cool_down(&snapshot))
    }

    /// Whether a request may cause a fetch, and after which pause.
    fn may_begin(&self, why: RefreshReason, generation: u64) -> Result<Duration, RefreshOutcome> {
        let now = self.clock.now();
        let snapshot = self.snapshot.load();
        if snapshot.generation() > generation && snapshot.usable(now).is_some() {
            return Err(RefreshOutcome::Refreshed);
        }
        let mut pacing = self.pacing();
        if why == RefreshReason::UnknownKeyId && snapshot.usable(now).is_some() {
            // Somebody else's fetch may have begun and ended since the first look.
            if pacing.cools_down(now) {
                return Err(during_cool_down(&snapshot));
            }
            pacing.unknown_key_id_attempt = Some(now);
            pacing.looks_for_key_id = true;
            return Ok(Duration::ZERO);
        }
        if why == RefreshReason::Expired && snapshot.is_fresh(now) {
            return Err(RefreshOutcome::Refreshed);
        }
        // Requests wait together for the next attempt instead of failing between two.
        Ok(pacing.last_end.map_or(Duration::ZERO, |end| KEY_RETRY_MIN.saturating_sub(end.elapsed())))
    }

    /// How long it is until the next fetch is due; zero means now.
    fn due(&self) -> Duration {
        let now = self.clock.now();
        let pacing = self.pacing();
        let since_last = pacing.last_end.map(|end| end.elapsed());
        let pause = since_last.map_or(Duration::ZERO, |since_last| pacing.pause.saturating_sub(since_last));
        let stepped_back = !self.snapshot.load().held.as_ref().is_some_and(|held| held.is_fresh(now));
        match pacing.renew_at {
            Some(renew_at) if pacing.failures_in_row == 0 && !stepped_back => pause.max(renew_at.since(now)),
            _ => pause,
        }
    }

    async fn fetch_in_background(self: &Arc<Self>) {
        let waited = match self.join(|| Ok::<_, RefreshOutcome>(Duration::ZERO)) {
            Ok(seat) => self.flight.wait_uncounted(seat, KEY_FETCH_TIMEOUT + KEY_RETRY_MIN).await.is_ok(),
            Err(_) => false,
        };
        if !waited {
            // No attempt has ended, so nothing else paces the next one.
            tokio::time::sleep(KEY_RETRY_MIN).await;
        }
    }

    /// One attempt. Only one runs at a time, so only it writes the snapshot.
    async fn fetch(&self) -> bool {
        let began = self.clock.now();
        let fetched = self.fetch_document().await;
        let succeeded = fetched.is_ok();
        match fetched {
            Ok((document, keys, lifetime)) => self.accept(began, &document, keys, lifetime),
            Err(fault) => self.note_failure(fault),
        }
        self.attempts.send_modify(|attempts| *attempts += 1);
        succeeded
    }

    async fn fetch_document(&self) -> Result<(Bytes, KeySet, Duration), KeySetFault> {
        let response = self.http.get(&self.source.url, BOUNDS).await?;
        let keys = KeySet::parse_rs256(response.body())?;
        let lifetime = lifetime(response.headers());
        Ok((response.into_body(), keys, lifetime))
    }

    fn accept(&self, fetched_at: UnixTime, document: &Bytes, keys: KeySet, lifetime: Duration) {
        let before = self.snapshot.load();
        let digest = sha256(document);
        let fresh_until = fetched_at.plus(lifetime);
        let mut pacing = self.pacing();
        let held = match &before.held {
            Some(held) if pacing.digest == Some(digest) => {
                HeldKeys { fetched_at, fresh_until, ..held.clone() }
            }
            _ => {
                for refused in keys.refused() {
                    let (key_id, why) = (&refused.key_id, refused.why);
                    tracing::warn!(keys = self.source.name, ?key_id, why, "a published key is refused");
                }
                let generation = before.generation() + 1;
                HeldKeys { keys: Arc::new(keys), generation, fetched_at, fresh_until }
            }
        };
        let failures = pacing.outage.worked();
        if failures.is_some() || before.held.is_none() {
            tracing::info!(
                keys = self.source.name,
                generation = held.generation,
                failures,
                "key set fetched"
            );
        }
        self.snapshot.store(Arc::new(KeySnapshot {
            held: Some(held),
            last_error: None,
            attempts: before.attempts + 1,
            failures: before.failures,
        }));
        // Ahead of its age by an eighth to a quarter of it.
        let renew_at = fetched_at.plus(lifetime * 3 / 4 + backoff::random_up_to(lifetime / 8));
        pacing.digest = Some(digest);
        pacing.renew_at = Some(renew_at);
        pacing.failures_in_row = 0;
        pacing.looks_for_key_id = false;
        pacing.pause = KEY_RETRY_MIN;
        pacing.last_end = Some(Instant::now());
        self.write(&mut pacing, fetched_at, fresh_until, document);
    }

    fn note_failure(&self, fault: KeySetFault) {
        let before = self.snapshot.load();
        let usable = before.usable(self.clock.now()).is_some();
        let mut pacing = self.pacing();
        if let Some(failures) = pacing.outage.failed(Instant::now()) {
            let (keys, url) = (self.source.name, &self.source.url);
            tracing::warn!(keys, %url, %fault, usable, failures, "{FETCH_FAILED}");
        }
        let failed = KeySnapshot {
            last_error: Some(fault),
            attempts: before.attempts + 1,
            failures: before.failures + 1,
            ..KeySnapshot::clone(&before)
        };
        self.snapshot.store(Arc::new(failed));
        let longest = if usable { KEY_RETRY_MAX } else { KEY_RETRY_MISSING_MAX };
        pacing.failures_in_row = pacing.failures_in_row.saturating_add(1);
        pacing.looks_for_key_id = false;
        pacing.pause = backoff::pause(pacing.failures_in_row, KEY_RETRY_MIN, longest);
        pacing.last_end = Some(Instant::now());
    }

    /// Writes the file on a blocking thread of its own, so that a slow disk delays no keys; what comes while a write is
    /// under way is written after it.
    fn write(&self, pacing: &mut Pacing, fetched_at: UnixTime, fresh_until: UnixTime, document: &Bytes) {
        let Some(file) = self.file.clone() else { return };
        let Ok(document) = std::str::from_utf8(document).map(str::to_owned) else { return };
        let stored = StoredDocument {
            url: self.source.url.to_string(),
            fetched_at: fetched_at.as_seconds(),
            fresh_until: fresh_until.as_seconds(),
            document,
        };
        let is_first = self.unwritten.put(stored);
        // A task that ended without saying so has panicked.
        if !is_first && pacing.write.as_ref().is_some_and(|write| !write.is_finished()) {
            return;
        }
        let (name, unwritten) = (self.source.name, Arc::clone(&self.unwritten));
        pacing.write = Some(self.http.runtime().spawn_blocking(move || {
            while let Some(stored) = unwritten.take() {
                if let Err(error) = file.store(&stored) {
                    tracing::warn!(keys = name, %error, "{NOT_WRITTEN}");
                }
            }
        }));
    }

    fn load(&self) {
        let Some(file) = &self.file else { return };
        let stored = match file.load(&self.source, self.clock.now()) {
            Ok(Some(stored)) => stored,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(keys = self.source.name, %error, "the kept key set could not be read; it is fetched anew");
                return;
            }
        };
        let Ok(keys) = KeySet::parse_rs256(stored.document.as_bytes()) else { return };
        let held = HeldKeys {
            keys: Arc::new(keys),
            generation: 1,
            fetched_at: stored.fetched_at(),
            fresh_until: stored.fresh_until(),
        };
        if !held.is_usable(self.clock.now()) {
            return;
        }
        self.pacing().digest = Some(sha256(stored.document.as_bytes()));
        self.snapshot.store(Arc::new(KeySnapshot { held: Some(held), ..KeySnapshot::default() }));
    }

    fn pacing(&self) -> MutexGuard<'_, Pacing> {
        self.pacing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer to an unknown key id while none is looked for: the last fetch did not have it, or there was none that worked.
fn during_cool_down(snapshot: &KeySnapshot) -> RefreshOutcome {
    match snapshot.last_error {
        Some(_) => RefreshOutcome::Unavailable,
        None => RefreshOutcome::CoolingDown,
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut array = [0; 32];
    array.copy_from_slice(digest(&SHA256, bytes).as_ref());
    array
}
