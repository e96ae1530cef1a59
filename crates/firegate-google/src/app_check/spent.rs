//! Which tokens have no use left, and which are losing it just now: neither is worth a call.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use quick_cache::sync::Cache;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The SHA-256 digest of a token.
pub(super) type TokenDigest = [u8; 32];

/// The tokens that are spent. To forget one only means that Google is asked about it again.
#[derive(Debug)]
pub(super) struct SpentTokens {
    spent: Cache<TokenDigest, ()>,
    /// Those whose call is under way: no more than there are places.
    under_way: Mutex<HashSet<TokenDigest>>,
    places: Semaphore,
}

/// What may become of a token.
#[derive(Debug)]
pub(super) enum Turn<'a> {
    /// It is for the caller to ask about.
    Own(Use<'a>),
    /// It is spent, or another request is spending it.
    Replay,
    /// As many calls as are allowed are under way.
    Full,
}

/// The one call about a token. When it is dropped the next request may ask, also if the caller went away.
#[derive(Debug)]
pub(super) struct Use<'a> {
    tokens: &'a SpentTokens,
    digest: TokenDigest,
    _place: SemaphorePermit<'a>,
}

impl SpentTokens {
    pub(super) fn new(spent_max: usize, under_way_max: usize) -> Self {
        Self {
            spent: Cache::new(spent_max),
            under_way: Mutex::default(),
            places: Semaphore::new(under_way_max),
        }
    }

    /// Whose turn it is. A replay takes no place, so that one token cannot take those of the others.
    pub(super) fn take(&self, digest: TokenDigest) -> Turn<'_> {
        // Under the lock, because a token is noted as spent before it ceases to be under way.
        let mut under_way = self.lock();
        if under_way.contains(&digest) || self.spent.get(&digest).is_some() {
            return Turn::Replay;
        }
        // Nobody queues for a place: a wait before a call of three seconds helps no request.
        let Ok(place) = self.places.try_acquire() else { return Turn::Full };
        under_way.insert(digest);
        Turn::Own(Use { tokens: self, digest, _place: place })
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<TokenDigest>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Use<'_> {
    /// Takes note that the token has no use left.
    pub(super) fn spent(self) {
        self.tokens.spent.insert(self.digest, ());
    }
}

impl Drop for Use<'_> {
    fn drop(&mut self) {
        self.tokens.lock().remove(&self.digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: u32) -> TokenDigest {
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&number.to_be_bytes());
        digest
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_newest_is_in_it() {
        let tokens = SpentTokens::new(1000, 1);
        for number in 0..100_000 {
            let Turn::Own(turn) = tokens.take(digest(number)) else { panic!("{number} is new") };
            turn.spent();
            assert!(matches!(tokens.take(digest(number)), Turn::Replay), "{number}");
        }
        assert!(tokens.spent.len() <= 1000, "{}", tokens.spent.len());
        assert!(tokens.lock().is_empty());
    }

    #[test]
    fn a_replay_takes_no_place_and_a_dropped_call_gives_its_own_back() {
        let tokens = SpentTokens::new(10, 2);
        let first = tokens.take(digest(1));
        let second = tokens.take(digest(2));
        assert!(matches!((&first, &second), (Turn::Own(_), Turn::Own(_))));
        assert!(matches!(tokens.take(digest(1)), Turn::Replay));
        assert!(matches!(tokens.take(digest(3)), Turn::Full));
        drop(first);
        assert!(matches!(tokens.take(digest(1)), Turn::Own(_)), "nothing was learnt of it");
    }
}
