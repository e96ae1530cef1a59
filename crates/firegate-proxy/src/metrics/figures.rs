//! What is read from its owners when somebody asks, and never counted twice.

use firegate_core::limiter::LimiterFigures;
use firegate_core::time::UnixTime;
use firegate_google::key_sets::KeySnapshot;
use firegate_google::tokens::MintCounts;

use crate::control::Mints;
use crate::limits_store::LimitsStoreFigures;
use crate::listen::EntranceFigures;
use crate::stream::CutFigures;

/// The owners' figures of one moment.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    /// Whether requests may come.
    pub(crate) is_ready: bool,
    /// The process as a whole.
    pub(crate) process: ProcessFigures,
    /// One for each issuer whose keys are needed.
    pub(crate) key_sets: Vec<KeySetFigures>,
    /// What is known of users' accounts, where they are looked up.
    pub(crate) user_status: Option<UserStatusFigures>,
    /// The cache of verified signatures.
    pub(crate) verified_tokens: VerifiedTokenFigures,
    /// How often Google was asked for ID tokens.
    pub(crate) id_token_mints: IdTokenMintFigures,
    /// One for each backend that is called with Firegate's own Google ID token.
    pub(crate) google_id_tokens: Vec<GoogleIdTokenFigures>,
    /// One for each endpoint of a backend.
    pub(crate) endpoints: Vec<EndpointFigures>,
    /// One for each backend.
    pub(crate) backends: Vec<BackendFigures>,
    /// The windows of rate limits.
    pub(crate) limiter: LimiterFigures,
    /// The store in which they are shared, if they are.
    pub(crate) limits_store: Option<LimitsStoreFigures>,
}

/// An endpoint of a backend.
#[derive(Clone, Debug, Default)]
pub(crate) struct EndpointFigures {
    /// The backend's name.
    pub(crate) backend: String,
    /// Its origin.
    pub(crate) endpoint: String,
    /// How many requests are under way.
    pub(crate) requests: usize,
    /// How many connections are open and carry no request.
    pub(crate) idle_connections: usize,
    /// Whether its active health checks succeed, or it has none.
    pub(crate) is_healthy: bool,
    /// Whether it is left alone because it failed several times in a row.
    pub(crate) is_ejected: bool,
    /// How often that happened.
    pub(crate) ejections: u64,
    /// How many connections were made.
    pub(crate) connects: u64,
    /// How many could not be made.
    pub(crate) failed_connects: u64,
    /// How many requests got no answer, or 502, 503 or 504.
    pub(crate) failures: u64,
}

/// What is under way to a backend.
#[derive(Clone, Debug, Default)]
pub(crate) struct BackendFigures {
    /// The backend's name.
    pub(crate) backend: String,
    /// How many requests were refused because too many were under way.
    pub(crate) refused: u64,
    /// How many were sent once more.
    pub(crate) repeats: u64,
    /// How many might have been, and were not for want of budget.
    pub(crate) unaffordable_repeats: u64,
}

/// The process as a whole.
#[derive(Clone, Debug)]
pub(crate) struct ProcessFigures {
    /// What became of the configurations that were read.
    pub(crate) configuration: ConfigurationFigures,
    /// Who came in.
    pub(crate) entrance: EntranceFigures,
    /// How many panics were caught.
    pub(crate) panics: u64,
    /// How many requests are under way.
    pub(crate) requests_in_flight: usize,
    /// How many connections were cut.
    pub(crate) cut_connections: CutFigures,
    /// How many lines of the log were dropped.
    pub(crate) log_lines_dropped: u64,
    /// How many requests were not mirrored for want of a place.
    pub(crate) mirrors_dropped: u64,
}

/// What became of the configurations that were read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConfigurationFigures {
    /// How many were put in force after the first one.
    pub(crate) successes: u64,
    /// How many could not be used.
    pub(crate) failures: u64,
    /// Whether the last one could not.
    pub(crate) is_failed: bool,
    /// Since when the one in force is.
    pub(crate) in_force_since: UnixTime,
}

/// An issuer's keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeySetFigures {
    /// The name of the set: `id_token`, `session_cookie` and so on.
    pub(crate) issuer: &'static str,
    /// Whether the keys may be used.
    pub(crate) is_usable: bool,
    /// How many there are.
    pub(crate) keys: usize,
    /// How long ago they were fetched, in seconds; `None` if no set is held.
    pub(crate) age_seconds: Option<u64>,
    /// When they were fetched.
    pub(crate) fetched_at: Option<UnixTime>,
    /// How many attempts to fetch them succeeded.
    pub(crate) successes: u64,
    /// How many attempts failed.
    pub(crate) failures: u64,
}

/// What is known of users' accounts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UserStatusFigures {
    /// How many users are known.
    pub(crate) entries: usize,
    /// How many were refused, and are not forgotten before their tokens expire.
    pub(crate) refusals_kept: usize,
    /// Whether more were refused than could be kept.
    pub(crate) has_forgotten_refusals: bool,
    /// The age of the oldest record that requests are judged by, in seconds.
    pub(crate) staleness_max_seconds: u64,
    /// How many look-ups were answered.
    pub(crate) successes: u64,
    /// How many were not.
    pub(crate) failures: u64,
}

/// The cache of verified signatures.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct VerifiedTokenFigures {
    /// Look-ups that found a signature.
    pub(crate) hits: u64,
    /// Look-ups that did not.
    pub(crate) misses: u64,
    /// Signatures that are remembered.
    pub(crate) entries: usize,
}

/// How often Google was asked for ID tokens: by how they are got, those that were and those that were not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdTokenMintFigures(pub(crate) [(&'static str, u64, u64); 2]);

impl IdTokenMintFigures {
    /// What the counts say.
    pub(crate) fn of(mints: &Mints) -> Self {
        let of = |name, counts: &MintCounts| (name, counts.successes(), counts.failures());
        Self([of("own", &mints.own), of("federate_user", &mints.federated)])
    }
}

/// The Google ID token that is kept for a backend.
#[derive(Clone, Debug)]
pub(crate) struct GoogleIdTokenFigures {
    /// The backend's name.
    pub(crate) backend: String,
    /// When the token expires; `None` if none is kept that may be sent.
    pub(crate) expires_at: Option<UnixTime>,
}

impl KeySetFigures {
    /// What a snapshot says at `now`.
    pub(crate) fn of(issuer: &'static str, snapshot: &KeySnapshot, now: UnixTime) -> Self {
        let held = snapshot.held.as_ref();
        Self {
            issuer,
            is_usable: snapshot.usable(now).is_some(),
            keys: held.map_or(0, |held| held.keys.key_ids().count()),
            age_seconds: held.map(|held| now.since(held.fetched_at).as_secs()),
            fetched_at: held.map(|held| held.fetched_at),
            successes: snapshot.attempts.saturating_sub(snapshot.failures),
            failures: snapshot.failures,
        }
    }
}
