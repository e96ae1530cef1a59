//! The cache of verified signatures, shared by all workers.

use std::sync::atomic::{AtomicU64, Ordering};

use firegate_core::identity::VerifiedSignatures;
use quick_cache::sync::Cache;

use crate::metrics::VerifiedTokenFigures;

/// What one entry takes: its digest twice over, in the table and in the order of eviction.
const ENTRY_BYTES: u64 = 128;

/// Digests of tokens whose signature is good, up to a bound in bytes; beyond it the least useful ones go.
#[derive(Debug)]
pub(super) struct VerifiedTokens {
    digests: Cache<[u8; 32], ()>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl VerifiedTokens {
    pub(super) fn new(bytes_max: u64) -> Self {
        let entries_max = usize::try_from(bytes_max / ENTRY_BYTES).unwrap_or(usize::MAX).max(1);
        Self { digests: Cache::new(entries_max), hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    pub(super) fn figures(&self) -> VerifiedTokenFigures {
        VerifiedTokenFigures {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            entries: self.digests.len(),
        }
    }
}

impl VerifiedSignatures for VerifiedTokens {
    fn contains(&self, digest: &[u8; 32]) -> bool {
        let is_known = self.digests.get(digest).is_some();
        let count = if is_known { &self.hits } else { &self.misses };
        count.fetch_add(1, Ordering::Relaxed);
        is_known
    }

    fn insert(&self, digest: [u8; 32]) {
        self.digests.insert(digest, ());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded() {
        let verified = VerifiedTokens::new(1000 * ENTRY_BYTES);
        for number in 0..100_000_u32 {
            let mut digest = [0; 32];
            digest[..4].copy_from_slice(&number.to_be_bytes());
            verified.insert(digest);
        }
        assert!(verified.digests.len() <= 1000, "{}", verified.digests.len());
        let newest = [7; 32];
        verified.insert(newest);
        assert!(verified.contains(&newest));
    }

    #[test]
    fn hits_and_misses_are_counted() {
        let verified = VerifiedTokens::new(1000 * ENTRY_BYTES);
        assert!(!verified.contains(&[7; 32]));
        verified.insert([7; 32]);
        assert!(verified.contains(&[7; 32]) && verified.contains(&[7; 32]));
        let VerifiedTokenFigures { hits, misses, entries } = verified.figures();
        assert_eq!((hits, misses, entries), (2, 1, 1));
    }
}
