//! Issuers' public keys, fetched ahead of their age and kept while the issuer is out of reach.
//!
//! One [`KeySetCache`] holds the keys of one issuer. Readers take an immutable snapshot and never wait; one fetch at a
//! time replaces it. A set that was held stays held through failures and garbage, for a stated bound; a successful fetch
//! replaces it as a whole, so that a withdrawn key is gone at once.

mod cache;
mod disk;
mod freshness;
mod missing;

use std::sync::Arc;
use std::time::Duration;

use firegate_core::jose::{KeySet, KeySetError};
use firegate_core::time::UnixTime;
use url::Url;

pub use cache::KeySetCache;

use crate::http::FetchError;
use crate::limits::{CLOCK_STEP_MAX, KEY_STALE_MAX};

/// Whose keys, and where they are published.
#[derive(Clone, Debug)]
pub struct KeySetSource {
    /// The issuer in logs, metrics and the file's name, `keys-NAME.json`: `id_token`, `session_cookie`,
    /// `google_id_token` or `app_check`.
    pub name: &'static str,
    /// The document: a JWK set or Google's map of X.509 certificates.
    pub url: Url,
}

/// What is known of an issuer's keys at one moment.
#[derive(Clone, Debug, Default)]
pub struct KeySnapshot {
    /// The last good set, however old.
    pub held: Option<HeldKeys>,
    /// Why the last attempt failed; none if it succeeded.
    pub last_error: Option<KeySetFault>,
    /// How many attempts were made.
    pub attempts: u64,
    /// How many of them failed.
    pub failures: u64,
}

/// A set of keys with its age.
#[derive(Clone, Debug)]
pub struct HeldKeys {
    /// The keys.
    pub keys: Arc<KeySet>,
    /// Grows by one whenever the keys change: verdicts on signatures are valid for one generation.
    pub generation: u64,
    /// When they were fetched: the time at which the fetch began.
    pub fetched_at: UnixTime,
    /// How long the issuer says that they are fresh.
    pub fresh_until: UnixTime,
}

/// Why a fetch brought no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetFault {
    /// No document came.
    #[error("{0}")]
    Fetch(#[from] FetchError),
    /// What came holds no usable keys.
    #[error("{0}")]
    Document(#[from] KeySetError),
}

/// Why a caller needs keys now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefreshReason {
    /// There is no set that may be used.
    Missing,
    /// The held set is no longer fresh.
    Expired,
    /// A token names a key that is not in the held set.
    UnknownKeyId,
}

/// What came of asking for keys. Whatever it is, [`KeySetCache::current`] has what can be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// There are keys newer than those that the caller saw, or the same keys were confirmed by a fetch just now.
    Refreshed,
    /// An unknown key id has caused a fetch a short while ago, and it succeeded: the key does not exist, unless it was
    /// published since [`KeySnapshot::fetched_at`].
    CoolingDown,
    /// The keys could not be fetched within the time that a caller waits.
    Unavailable,
}

impl KeySnapshot {
    /// When the last fetch that succeeded began: a key that is not held was not published then. A token that was issued
    /// later may be signed with a key that was published since.
    pub fn fetched_at(&self) -> Option<UnixTime> {
        self.held.as_ref().map(|held| held.fetched_at)
    }

    /// The keys, if they may be used at `now`: fetched no longer ago than [`KEY_STALE_MAX`].
    pub fn usable(&self, now: UnixTime) -> Option<&Arc<KeySet>> {
        self.held.as_ref().filter(|held| held.is_usable(now)).map(|held| &held.keys)
    }

    /// Whether the keys are as fresh as their issuer wants them.
    pub fn is_fresh(&self, now: UnixTime) -> bool {
        self.held.as_ref().is_some_and(|held| held.is_fresh(now))
    }

    /// The generation of the held keys, 0 if there are none.
    pub fn generation(&self) -> u64 {
        self.held.as_ref().map_or(0, |held| held.generation)
    }
}

impl HeldKeys {
    fn is_usable(&self, now: UnixTime) -> bool {
        // Both ways: a clock that was wrong when the keys were fetched and then stepped back must not keep them for ever.
        apart(self.fetched_at, now) <= KEY_STALE_MAX
    }

    fn is_fresh(&self, now: UnixTime) -> bool {
        now < self.fresh_until && self.fetched_at.since(now) <= CLOCK_STEP_MAX
    }
}

/// How far two instants are apart, whichever is later.
pub(crate) fn apart(one: UnixTime, other: UnixTime) -> Duration {
    one.since(other).max(other.since(one))
}
