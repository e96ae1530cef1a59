//! Which tokens were consumed. Each is remembered until it expires, because an expired one is refused anyway.

use std::collections::{BTreeSet, HashMap};

use aws_lc_rs::digest::{SHA256, digest};
use firegate_core::time::UnixTime;

use crate::limits::CONSUMED_TOKENS_MAX;

type Digest = [u8; 32];

/// The consumed tokens by their `jti`, which a caller may choose so that two tokens count as one.
#[derive(Debug, Default)]
pub(crate) struct ConsumedTokens {
    expiries: HashMap<Digest, UnixTime>,
    /// The same, the next to expire first.
    by_expiry: BTreeSet<(UnixTime, Digest)>,
}

/// No further token can be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl ConsumedTokens {
    /// Consumes a token, and says whether it was consumed before.
    pub(crate) fn consume(
        &mut self,
        token_id: &str,
        expires_at: UnixTime,
        now: UnixTime,
    ) -> Result<bool, Full> {
        self.forget_expired(now);
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, token_id.as_bytes()).as_ref());
        let before = self.expiries.get(&key).copied();
        if before.is_none() && self.expiries.len() >= CONSUMED_TOKENS_MAX {
            return Err(Full);
        }
        // Of two tokens with one id the later one decides how long the id is remembered.
        let expires_at = before.map_or(expires_at, |before| before.max(expires_at));
        if let Some(before) = before {
            self.by_expiry.remove(&(before, key));
        }
        self.expiries.insert(key, expires_at);
        self.by_expiry.insert((expires_at, key));
        Ok(before.is_some())
    }

    fn forget_expired(&mut self, now: UnixTime) {
        while let Some((expires_at, key)) = self.by_expiry.first().copied()
            && expires_at <= now
        {
            self.by_expiry.remove(&(expires_at, key));
            self.expiries.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64) -> UnixTime {
        UnixTime::from_seconds(seconds)
    }

    #[test]
    fn a_token_is_remembered_until_it_expires_and_no_longer() {
        let mut consumed = ConsumedTokens::default();
        assert_eq!(consumed.consume("a", at(100), at(0)), Ok(false));
        assert_eq!(consumed.consume("a", at(100), at(99)), Ok(true));
        assert_eq!(consumed.consume("b", at(200), at(99)), Ok(false));
        assert_eq!(consumed.consume("a", at(300), at(100)), Ok(false), "the first one has expired");
        assert_eq!(consumed.consume("c", at(400), at(300)), Ok(false));
        assert_eq!((consumed.expiries.len(), consumed.by_expiry.len()), (1, 1));
    }

    #[test]
    fn of_two_tokens_with_one_id_the_later_one_counts() {
        let mut consumed = ConsumedTokens::default();
        assert_eq!(consumed.consume("a", at(300), at(0)), Ok(false));
        assert_eq!(consumed.consume("a", at(100), at(0)), Ok(true));
        assert_eq!(consumed.consume("a", at(300), at(200)), Ok(true));
    }

    #[test]
    fn nothing_is_forgotten_to_make_room() {
        let mut consumed = ConsumedTokens::default();
        for number in 0..CONSUMED_TOKENS_MAX {
            assert_eq!(consumed.consume(&number.to_string(), at(100), at(0)), Ok(false));
        }
        assert_eq!(consumed.consume("one more", at(100), at(0)), Err(Full));
        assert_eq!(consumed.consume("0", at(100), at(0)), Ok(true));
        assert_eq!(consumed.consume("one more", at(200), at(100)), Ok(false));
    }
}
