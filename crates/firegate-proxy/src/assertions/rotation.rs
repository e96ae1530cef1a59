//! When a generated key is published, signs, retires and goes. Pure: the keys and the time go in, the keys of the next
//! moment come out.
//!
//! Services keep a copy of the JWK set, so a key is published long before it signs, and stays published long after. What
//! a key is, is written down and not computed from the time: whatever the clock does, one key signs. The clock only says
//! when the next step is due, and a step that must not come too early waits, beside the clock, for a whole interval
//! between two checks of this process ([`HeldKeys`]), which no clock that steps can shorten.

use std::time::Duration;

use firegate_core::jose::{EcdsaP256Signer, SignError};
use firegate_core::time::UnixTime;

use crate::limits::{ASSERTION_KEY_KEPT_AFTER, ASSERTION_KEY_PERIOD, ASSERTION_KEY_PUBLISHED_AHEAD};

/// What a key is for. A key only moves down this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum KeyUse {
    /// It is in the JWK set, and signs nothing yet.
    Published,
    /// It signs.
    Signing,
    /// It signs no more, and is in the JWK set for the tokens that it signed.
    Retired,
}

/// A key and where it stands.
#[derive(Clone, Debug)]
pub(super) struct RotatingKey {
    pub(super) signer: EcdsaP256Signer,
    pub(super) created_at: UnixTime,
    pub(super) key_use: KeyUse,
    /// Since when it is for that.
    pub(super) since: UnixTime,
}

/// All live keys, the oldest first. Exactly one signs.
#[derive(Clone, Debug)]
pub(super) struct KeyChain {
    keys: Vec<RotatingKey>,
}

/// What a process holds between two checks: the keys that it publishes, and the one that it signs with.
#[derive(Clone, Debug)]
pub(super) struct HeldKeys {
    chain: KeyChain,
    signer: EcdsaP256Signer,
}

impl RotatingKey {
    fn new(signer: EcdsaP256Signer, key_use: KeyUse, now: UnixTime) -> Self {
        Self { signer, created_at: now, key_use, since: now }
    }

    pub(super) fn id(&self) -> &str {
        self.signer.key_id()
    }

    fn turn(&mut self, key_use: KeyUse, now: UnixTime) {
        (self.key_use, self.since) = (key_use, now);
    }

    /// What two processes know of one key, put together: the later use, because no step is ever taken back.
    fn merged(self, other: &Self) -> Self {
        let (key_use, since) = match self.key_use.cmp(&other.key_use) {
            std::cmp::Ordering::Less => (other.key_use, other.since),
            std::cmp::Ordering::Greater => (self.key_use, self.since),
            // Of a retired key the later date counts: until then it signed somewhere.
            std::cmp::Ordering::Equal if self.key_use == KeyUse::Retired => {
                (self.key_use, self.since.max(other.since))
            }
            std::cmp::Ordering::Equal => (self.key_use, self.since.min(other.since)),
        };
        Self { created_at: self.created_at.min(other.created_at), key_use, since, ..self }
    }
}

impl PartialEq for RotatingKey {
    fn eq(&self, other: &Self) -> bool {
        // The id is a digest of the public key, so it stands for the key.
        (self.id(), self.created_at, self.key_use, self.since)
            == (other.id(), other.created_at, other.key_use, other.since)
    }
}

impl PartialEq for KeyChain {
    fn eq(&self, other: &Self) -> bool {
        self.keys == other.keys
    }
}

impl KeyChain {
    /// The keys, if they can be all live keys: exactly one signs, and none is there twice.
    pub(super) fn of(mut keys: Vec<RotatingKey>) -> Option<Self> {
        sort(&mut keys);
        let signing = keys.iter().filter(|key| key.key_use == KeyUse::Signing).count();
        let mut ids = keys.iter().map(RotatingKey::id).collect::<Vec<_>>();
        ids.sort_unstable();
        let is_repeated = ids.windows(2).any(|pair| pair.first() == pair.last());
        (signing == 1 && !is_repeated).then_some(Self { keys })
    }

    /// The first key, which signs at once: nobody has a copy of the JWK set yet.
    pub(super) fn first(signer: EcdsaP256Signer, now: UnixTime) -> Self {
        Self { keys: vec![RotatingKey::new(signer, KeyUse::Signing, now)] }
    }

    /// The live keys, the oldest first.
    pub(super) fn keys(&self) -> &[RotatingKey] {
        &self.keys
    }

    fn find(&self, id: &str) -> Option<&RotatingKey> {
        self.keys.iter().find(|key| key.id() == id)
    }

    fn signing(&self) -> Option<&RotatingKey> {
        self.keys.iter().find(|key| key.key_use == KeyUse::Signing)
    }

    /// What this process holds and what another one has written, put together. Nothing that either publishes is lost; of two
    /// keys that sign, the one that has signed for longer goes on.
    pub(super) fn merged(self, held: Option<&HeldKeys>, now: UnixTime) -> Self {
        let Some(held) = held else { return self };
        let theirs = self.signing().map(|key| (key.id().to_owned(), key.since));
        let mut keys = self.keys;
        for ours in &held.chain.keys {
            match keys.iter().position(|key| key.id() == ours.id()) {
                Some(place) => {
                    let theirs = keys.remove(place);
                    keys.push(theirs.merged(ours));
                }
                None => keys.push(ours.clone()),
            }
        }
        sort(&mut keys);
        let longest = keys
            .iter()
            .filter(|key| key.key_use == KeyUse::Signing)
            .min_by(|one, other| (one.since, one.id()).cmp(&(other.since, other.id())))
            .map(|key| key.id().to_owned());
        for key in &mut keys {
            if key.key_use == KeyUse::Signing && longest.as_deref() != Some(key.id()) {
                key.turn(KeyUse::Retired, now);
            }
        }
        // Each may have retired the other's signing key, when they have promoted different ones. What is written counts, so
        // that they agree; the key is published by both.
        if let (None, Some((id, since))) = (longest, theirs)
            && let Some(key) = keys.iter_mut().find(|key| key.id() == id)
        {
            key.turn(KeyUse::Signing, since);
        }
        Self { keys }
    }

    /// The keys after what is due at `now` was done. `held` is what this process has held since its last check, `None` if
    /// it has just started; `make` makes a key.
    ///
    /// # Errors
    /// If a key is due and cannot be made.
    pub(super) fn stepped(
        mut self,
        held: Option<&HeldKeys>,
        now: UnixTime,
        make: impl FnOnce() -> Result<EcdsaP256Signer, SignError>,
    ) -> Result<Self, SignError> {
        for key in &mut self.keys {
            // A date in the future was written by a clock that has stepped back since: what is counted from then would
            // perhaps never be due.
            key.created_at = key.created_at.min(now);
            key.since = key.since.min(now);
        }
        self.keys.retain(|key| {
            let is_over = key.key_use == KeyUse::Retired && now.since(key.since) >= ASSERTION_KEY_KEPT_AFTER;
            !(is_over && held.is_some_and(|held| held.has_rested(key.id())))
        });
        let signed_for = self.signing().map_or(Duration::MAX, |signing| now.since(signing.since));
        let next = self.keys.iter().find(|key| key.key_use == KeyUse::Published);
        match next.map(|key| (key.id().to_owned(), key.since)) {
            Some((id, since)) => {
                let was_seen = now.since(since) >= ASSERTION_KEY_PUBLISHED_AHEAD
                    && held.is_some_and(|held| held.publishes(&id));
                if was_seen && signed_for >= ASSERTION_KEY_PERIOD {
                    self.promote(&id, now);
                }
            }
            None if signed_for >= ASSERTION_KEY_PERIOD.saturating_sub(ASSERTION_KEY_PUBLISHED_AHEAD) => {
                self.keys.push(RotatingKey::new(make()?, KeyUse::Published, now));
            }
            None => {}
        }
        sort(&mut self.keys);
        Ok(self)
    }

    fn promote(&mut self, id: &str, now: UnixTime) {
        for key in &mut self.keys {
            if key.id() == id {
                key.turn(KeyUse::Signing, now);
            } else if key.key_use == KeyUse::Signing {
                key.turn(KeyUse::Retired, now);
            }
        }
    }
}

impl HeldKeys {
    /// Takes over `chain` after `held`. Another process may have made a key the signing one that this process has not
    /// published so far; then this one goes on with its own until its next check.
    pub(super) fn after(held: Option<&Self>, chain: KeyChain) -> Option<Self> {
        let theirs = chain.signing()?;
        let goes_on = held
            .filter(|held| !held.publishes(theirs.id()))
            .and_then(|held| chain.find(held.signer.key_id()));
        let signer = goes_on.unwrap_or(theirs).signer.clone();
        Some(Self { chain, signer })
    }

    pub(super) fn chain(&self) -> &KeyChain {
        &self.chain
    }

    pub(super) fn signer(&self) -> &EcdsaP256Signer {
        &self.signer
    }

    /// Whether the same keys are published and the same one signs.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.chain == other.chain && self.signer.key_id() == other.signer.key_id()
    }

    fn publishes(&self, id: &str) -> bool {
        self.chain.find(id).is_some()
    }

    /// Whether this process has signed nothing with this key since its last check.
    fn has_rested(&self, id: &str) -> bool {
        self.signer.key_id() != id && self.chain.find(id).is_none_or(|key| key.key_use == KeyUse::Retired)
    }
}

/// The oldest first; every process finds the same order.
fn sort(keys: &mut [RotatingKey]) {
    keys.sort_by(|one, other| (one.created_at, one.id()).cmp(&(other.created_at, other.id())));
}
