//! What Firegate signs: the assertion about the user, and the tokens that it exchanges. Here are the keys, the published
//! JWK set, and the assertions that are kept so that signing is not paid for with every request.
//!
//! A key is either mounted, and then somebody else rotates it, or generated; those are rotated here: [`rotation`] says when,
//! [`key_file`] keeps them, [`generated`] does both, and [`signing_keys`] is what signing and publishing read.

mod generated;
mod key_file;
mod mounted;
mod rotation;
mod signing_keys;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::rand::SystemRandom;
use firegate_core::assertion::AssertionForm;
use firegate_core::identity::Principal;
use firegate_core::jose::{EcdsaP256Signer, KeySet, KeySetError, SignError};
use firegate_core::limits::ASSERTION_LIFETIME_MAX;
use firegate_core::time::{SharedClock, UnixTime};
use http::HeaderValue;
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};
use serde_json::Value;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use self::generated::{Checked, GeneratedKeys};
pub(crate) use self::key_file::check_data_dir;
pub(crate) use self::mounted::{read_key, read_public_key};
use self::rotation::HeldKeys;
pub(crate) use self::signing_keys::SigningKeys;
use crate::control::sweep::sweep;
use crate::limits::{ASSERTION_CACHE_BYTES_MAX, ASSERTION_KEY_CHECK_INTERVAL, ASSERTION_REMAINING_MIN};

/// The size of a kept assertion that is typical, for the cache's first allocation.
const ASSERTION_BYTES_TYPICAL: usize = 1024;

/// Why there is no assertion key.
#[derive(Debug, thiserror::Error)]
pub enum AssertionKeyError {
    /// A file that the configuration names cannot be read.
    #[error(
        "the assertion key {path} cannot be read: {source}\nhint: name a PEM file that firegate may read; a relative name counts \
         from the directory that it is started in"
    )]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file of the generated keys cannot be read or written.
    #[error(
        "the generated assertion keys {path} cannot be read or written: {source}\nhint: set `data_dir` to a directory that \
         firegate may write, or start it in one; or make a key yourself, and set `assertion: {{ key: assertion.pem }}`"
    )]
    Kept {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file holds no P-256 key.
    #[error(
        "{path} is no P-256 private key in PKCS #8 form\nhint: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out assertion.pem"
    )]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// The file holds a key in the form that `openssl ecparam` writes.
    #[error(
        "{path} is a private key in SEC 1 form (`EC PRIVATE KEY`), and PKCS #8 is needed\nhint: openssl pkcs8 -topk8 -nocrypt -in {path} \
         -out assertion.pem"
    )]
    Sec1 {
        /// The file.
        path: PathBuf,
    },
    /// The file of the generated keys is there and cannot be used.
    #[error(
        "the generated assertion keys in {path} cannot be used: {why}\nhint: put back a copy of the file, or remove it; then a \
         new key is made, and services refuse its assertions until they have fetched the JWK set again"
    )]
    KeptKeys {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A key could not be made.
    #[error("an assertion key could not be made: {0}")]
    Generate(SignError),
    /// The published keys are no usable JWK set.
    #[error("the assertion's keys cannot be published: {0}\nhint: drop some of assertion.previous_keys")]
    KeySet(KeySetError),
    /// The file changes all the time.
    #[error(
        "the assertion keys in the data directory change while they are read\nhint: see who else writes there"
    )]
    Unsettled,
}

/// Where the key comes from.
#[derive(Debug)]
pub(crate) enum KeySource<'a> {
    /// None: nothing is signed.
    None,
    /// A file that somebody else made and changes.
    Mounted(EcdsaP256Signer),
    /// Firegate's own, kept in this directory, or in memory alone.
    Generated(Option<&'a Path>),
}

/// What a kept assertion depends on: every input is here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct AssertionKey {
    token_digest: [u8; 32],
    audience: Box<str>,
    form_is_iap: bool,
}

/// The same, borrowed from a request: nothing is copied to look an assertion up.
#[derive(Hash)]
struct AssertionQuestion<'a> {
    token_digest: &'a [u8; 32],
    audience: &'a str,
    form_is_iap: bool,
}

impl Equivalent<AssertionKey> for AssertionQuestion<'_> {
    fn equivalent(&self, key: &AssertionKey) -> bool {
        *self.token_digest == key.token_digest
            && *self.audience == *key.audience
            && self.form_is_iap == key.form_is_iap
    }
}

/// An assertion that is signed.
#[derive(Debug)]
pub(crate) struct SignedAssertion {
    value: HeaderValue,
    expires_at: UnixTime,
}

impl SignedAssertion {
    /// As it is sent; marked sensitive.
    pub(crate) fn value(&self) -> &HeaderValue {
        &self.value
    }
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<AssertionKey, Arc<SignedAssertion>> for ByBytes {
    fn weight(&self, key: &AssertionKey, kept: &Arc<SignedAssertion>) -> u64 {
        (key.audience.len() + kept.value.len() + 128) as u64
    }
}

/// Signs assertions and keeps them.
pub(crate) struct Assertions {
    keys: ArcSwap<SigningKeys>,
    /// What is rotated here; the lock is taken by the check alone, never by who signs.
    rotating: Option<Mutex<Rotating>>,
    previous: Vec<Value>,
    issuer: String,
    kept: Cache<AssertionKey, Arc<SignedAssertion>, ByBytes>,
    random: SystemRandom,
}

struct Rotating {
    keys: GeneratedKeys,
    held: HeldKeys,
    failed_before: bool,
}

impl Assertions {
    /// Signs as `issuer` with the key of `source` and publishes its public key, and those of `previous`, which backends may
    /// still have assertions of. Without a key no assertion is sent.
    ///
    /// # Errors
    /// If the kept keys cannot be read, none can be made, or they cannot be published.
    pub(crate) fn new(
        source: KeySource<'_>,
        previous: Vec<Value>,
        issuer: String,
        now: UnixTime,
    ) -> Result<Self, AssertionKeyError> {
        let (keys, rotating) = match source {
            KeySource::None => (SigningKeys::mounted(None, &previous)?, None),
            KeySource::Mounted(signer) => (SigningKeys::mounted(Some(signer), &previous)?, None),
            KeySource::Generated(data_dir) => {
                let generated = GeneratedKeys::new(data_dir);
                let Checked { held, failure } = generated.check(None, now)?;
                let keys = SigningKeys::generated(&held, &previous)?;
                let mut rotating = Rotating { keys: generated, held, failed_before: false };
                rotating.report(failure.as_ref());
                (keys, Some(Mutex::new(rotating)))
            }
        };
        let items =
            usize::try_from(ASSERTION_CACHE_BYTES_MAX).unwrap_or(usize::MAX) / ASSERTION_BYTES_TYPICAL;
        let kept = Cache::with_weighter(items, ASSERTION_CACHE_BYTES_MAX, ByBytes);
        let keys = ArcSwap::from_pointee(keys);
        Ok(Self { keys, rotating, previous, issuer, kept, random: SystemRandom::new() })
    }

    /// Whether [`new`](Self::new) would make the same of these.
    pub(crate) fn is_made_of(&self, source: &KeySource<'_>, previous: &[Value], issuer: &str) -> bool {
        let keys = self.keys.load();
        let key_id = keys.signer().map(EcdsaP256Signer::key_id);
        let has_source = match source {
            KeySource::None => key_id.is_none(),
            KeySource::Mounted(signer) => self.rotating.is_none() && key_id == Some(signer.key_id()),
            KeySource::Generated(_) => self.rotating.is_some(),
        };
        has_source && self.previous == previous && self.issuer == issuer
    }

    /// The keys of this moment. Takes no lock.
    pub(crate) fn keys(&self) -> Arc<SigningKeys> {
        self.keys.load_full()
    }

    /// The published keys, by which a token of Firegate's own is verified; they are others after a rotation.
    pub(crate) fn verifying_keys(&self) -> Arc<KeySet> {
        Arc::clone(self.keys.load().verifying())
    }

    /// Signs `claims` as a JWS whose header's `typ` is `type_name`; `None` if there is no key to sign with. A token must not
    /// live longer than [`ASSERTION_LIFETIME_MAX`]: its key is published for that long.
    ///
    /// # Errors
    /// If the cryptographic library fails.
    pub(crate) fn sign(&self, type_name: &str, claims: &Value) -> Result<Option<String>, SignError> {
        let keys = self.keys.load();
        keys.signer().map(|signer| signer.sign(type_name, claims, &self.random)).transpose()
    }

    /// The assertion about a principal for an audience; `None` if there is no key to sign with. One that was signed with a
    /// former key is sent for as long as it lives: that key is still published.
    ///
    /// # Errors
    /// If the cryptographic library fails.
    pub(crate) fn assertion(
        &self,
        form: AssertionForm,
        principal: &Principal,
        audience: &str,
        now: UnixTime,
    ) -> Result<Option<Arc<SignedAssertion>>, SignError> {
        let token_digest = principal.token_digest();
        let form_is_iap = form == AssertionForm::IdentityAwareProxy;
        if let Some(kept) = self.kept.get(&AssertionQuestion { token_digest, audience, form_is_iap }) {
            let left = kept.expires_at.since(now);
            // One that ends with the user's token cannot be made any longer by signing again. One that seems to live for
            // longer than any does was signed before the clock stepped back, and its key may be gone by its end.
            if left <= ASSERTION_LIFETIME_MAX
                && (left >= ASSERTION_REMAINING_MIN
                    || (left > Duration::ZERO && kept.expires_at == principal.expires_at()))
            {
                return Ok(Some(kept));
            }
        }
        let claims = form.claims(principal, &self.issuer, audience, now);
        let expires_at = claims.get("exp").and_then(Value::as_i64).map(UnixTime::from_seconds);
        let Some(token) = self.sign(form.type_name(), &claims)? else { return Ok(None) };
        let mut value = HeaderValue::from_str(&token).map_err(|_| SignError::Operation)?;
        value.set_sensitive(true);
        let key = AssertionKey { token_digest: *token_digest, audience: audience.into(), form_is_iap };
        let signed = Arc::new(SignedAssertion { value, expires_at: expires_at.unwrap_or(now) });
        self.kept.insert(key, Arc::clone(&signed));
        Ok(Some(signed))
    }

    /// Lets go of those that are sent no more: they live for minutes, and their users go.
    fn forget_expired(&self, now: UnixTime) {
        let may_be_sent = |kept: &SignedAssertion| {
            let left = kept.expires_at.since(now);
            left > Duration::ZERO && left <= ASSERTION_LIFETIME_MAX
        };
        self.kept.retain(|_, kept| may_be_sent(kept));
    }

    /// How many are kept.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Rotates generated keys and lets go of what has expired until `shutdown`. What was due at the start has been done by
    /// [`new`](Self::new).
    pub(crate) async fn run(self: Arc<Self>, clock: SharedClock, shutdown: CancellationToken) {
        let swept = sweep(Arc::clone(&self), Self::forget_expired, Arc::clone(&clock), shutdown.clone());
        tokio::join!(self.rotate(clock, shutdown), swept);
    }

    async fn rotate(self: Arc<Self>, clock: SharedClock, shutdown: CancellationToken) {
        if self.rotating.is_none() {
            return;
        }
        let mut checks = tokio::time::interval(ASSERTION_KEY_CHECK_INTERVAL);
        // Between two checks lies a whole interval, always: the rotation counts on it.
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        checks.tick().await;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = checks.tick() => {}
            }
            let (assertions, clock) = (Arc::clone(&self), Arc::clone(&clock));
            // A disk may take its time, and the control runtime has one thread.
            let check = tokio::task::spawn_blocking(move || assertions.check(clock.now()));
            tokio::select! {
                () = shutdown.cancelled() => return,
                // A panic there has been reported by the thread itself; the keys go on as they are.
                _ = check => {}
            }
        }
    }

    /// Does what is due at `now`, and goes on with the keys that are there if it cannot be done.
    fn check(&self, now: UnixTime) {
        let Some(rotating) = &self.rotating else { return };
        let mut rotating = rotating.lock().unwrap_or_else(PoisonError::into_inner);
        let checked = rotating.keys.check(Some(&rotating.held), now).and_then(|Checked { held, failure }| {
            // Most checks change nothing.
            let is_other = !held.is_same(&rotating.held);
            let keys = is_other.then(|| SigningKeys::generated(&held, &self.previous)).transpose()?;
            Ok((keys, held, failure))
        });
        match checked {
            Ok((keys, held, failure)) => {
                let (before, after) = (rotating.held.signer().key_id(), held.signer().key_id());
                if before != after {
                    tracing::info!(key_id = after, former_key_id = before, "another assertion key signs");
                }
                if let Some(keys) = keys {
                    self.keys.store(Arc::new(keys));
                }
                rotating.held = held;
                rotating.report(failure.as_ref());
            }
            Err(error) => rotating.report(Some(&error)),
        }
    }
}

impl Rotating {
    /// Says once that something fails, and once that it works again.
    fn report(&mut self, failure: Option<&AssertionKeyError>) {
        match failure {
            Some(error) if !self.failed_before => {
                tracing::error!(%error, "the assertion keys cannot be rotated; those that are there go on");
            }
            None if self.failed_before => tracing::info!("the assertion keys can be rotated again"),
            _ => {}
        }
        self.failed_before = failure.is_some();
    }
}

impl std::fmt::Debug for Assertions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Assertions").field("keys", &self.keys.load()).finish_non_exhaustive()
    }
}

/// Shared between workers.
pub(crate) type SharedAssertions = Arc<Assertions>;
