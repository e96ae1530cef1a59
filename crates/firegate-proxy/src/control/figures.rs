//! What the control runtime's parts say of themselves when the metrics are read.

use std::sync::Arc;

use firegate_core::limiter::LimiterFigures;
use firegate_core::snapshot::Backend;
use firegate_core::time::UnixTime;
use firegate_google::key_sets::KeySnapshot;
use firegate_google::tokens::MintCounts;
use firegate_google::user_status::UserStatusStatistics;

use super::users::UserStatus;
use super::{ControlHandle, Mints};
use crate::limits_store::LimitsStoreFigures;

/// The figures of one moment.
#[derive(Clone, Debug)]
pub(crate) struct ControlFigures {
    /// Whether there is all that requests need.
    pub(crate) is_ready: bool,
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
    /// The windows of rate limits.
    pub(crate) limiter: LimiterFigures,
    /// The store in which they are shared, if they are.
    pub(crate) limits_store: Option<LimitsStoreFigures>,
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

impl ControlHandle {
    /// The figures of this moment, with the tokens that are kept for these backends.
    pub(crate) fn figures(&self, backends: &[Arc<Backend>]) -> ControlFigures {
        let inner = &self.inner;
        let now = inner.clock.now();
        let key_sets = inner.key_sets().filter(|_| inner.needs_keys);
        let token = |backend: &Arc<Backend>| {
            let expires_at = inner.identities.own_token_expiry(backend)?;
            Some(GoogleIdTokenFigures { backend: backend.name.clone(), expires_at })
        };
        ControlFigures {
            is_ready: self.is_ready(),
            key_sets: key_sets
                .map(|keys| KeySetFigures::of(keys.source().name, &keys.current(), now))
                .collect(),
            user_status: inner
                .user_status
                .as_ref()
                .and_then(UserStatus::in_force)
                .map(|users| user_status(&users.statistics())),
            verified_tokens: inner.verified.figures(),
            id_token_mints: IdTokenMintFigures::of(inner.identities.mints()),
            google_id_tokens: backends.iter().filter_map(token).collect(),
            limiter: inner.rate_limits.limiter(),
            limits_store: inner.rate_limits.store(),
        }
    }
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

fn user_status(statistics: &UserStatusStatistics) -> UserStatusFigures {
    UserStatusFigures {
        entries: statistics.users,
        refusals_kept: statistics.pinned,
        has_forgotten_refusals: statistics.has_forgotten_refusals,
        staleness_max_seconds: statistics.oldest_staleness.map_or(0, |oldest| oldest.as_secs()),
        successes: statistics.calls.saturating_sub(statistics.failed_calls),
        failures: statistics.failed_calls,
    }
}
