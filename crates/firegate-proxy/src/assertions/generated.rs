//! The generated keys as one process has them: read, put together with what it holds, stepped, and written.

use std::path::Path;

use firegate_core::jose::EcdsaP256Signer;
use firegate_core::time::UnixTime;

use super::AssertionKeyError;
use super::key_file::{Found, KeyFile, Made};
use super::rotation::{HeldKeys, KeyChain};
use crate::limits::ASSERTION_KEY_READS_MAX;

/// Where the generated keys are: in the data directory, or in memory alone.
#[derive(Debug)]
pub(super) struct GeneratedKeys {
    file: Option<KeyFile>,
}

/// What a check brought.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) held: HeldKeys,
    /// Why what was due was not done; the keys that were there go on.
    pub(super) failure: Option<AssertionKeyError>,
}

impl GeneratedKeys {
    pub(super) fn new(data_dir: Option<&Path>) -> Self {
        Self { file: data_dir.map(KeyFile::new) }
    }

    /// Does what is due at `now`. `held` is what the last check brought; without it the process has just started.
    ///
    /// # Errors
    /// If the file cannot be read, or if there are no keys and none can be made and kept.
    pub(super) fn check(&self, held: Option<&HeldKeys>, now: UnixTime) -> Result<Checked, AssertionKeyError> {
        for _ in 0..ASSERTION_KEY_READS_MAX {
            let found = self.file.as_ref().map_or(Ok(Found::Nothing), KeyFile::read)?;
            let (chain, stored, is_new) = match (found, held) {
                (Found::Keys(stored), _) => (stored.clone(), Some(stored), false),
                (Found::FormerKey(key), _) => (KeyChain::first(key, now), None, false),
                // Somebody has removed the file: what is held is written again.
                (Found::Nothing, Some(held)) => (held.chain().clone(), None, false),
                (Found::Nothing, None) => {
                    let key = EcdsaP256Signer::generate().map_err(AssertionKeyError::Generate)?;
                    (KeyChain::first(key, now), None, true)
                }
            };
            let merged = chain.merged(held, now);
            let stepped = merged.clone().stepped(held, now, EcdsaP256Signer::generate);
            let after = |chain| HeldKeys::after(held, chain).ok_or(AssertionKeyError::Unsettled);
            let written = stepped.map_err(AssertionKeyError::Generate).and_then(|next| {
                // First of all: keys of which none signs are never written.
                let next = after(next)?;
                let made = self.write(stored.as_ref(), next.chain())?;
                Ok((made, next))
            });
            return match written {
                Ok((Made::AlreadyThere, _)) => continue,
                Ok((Made::Yes, held)) => {
                    let removed = self.file.as_ref().map_or(Ok(()), |file| file.remove_former(held.chain()));
                    Ok(Checked { held, failure: removed.err() })
                }
                // A key that is written nowhere would be lost with the process, while services still hold its tokens.
                Err(error) if is_new => Err(error),
                Err(error) => Ok(Checked { held: after(merged)?, failure: Some(error) }),
            };
        }
        Err(AssertionKeyError::Unsettled)
    }

    /// Writes before anything is published or signed with: what this process shows, a restart shows too.
    fn write(&self, stored: Option<&KeyChain>, next: &KeyChain) -> Result<Made, AssertionKeyError> {
        let Some(file) = &self.file else { return Ok(Made::Yes) };
        match stored {
            Some(stored) if stored == next => Ok(Made::Yes),
            Some(_) => file.replace(next).map(|()| Made::Yes),
            None => file.make(next),
        }
    }
}
