//! The cache of verified signatures, shared by all workers.

use firegate_core::identity::VerifiedSignatures;
use quick_cache::sync::Cache;

/// What one entry takes: its digest twice over, in the table and in the order of eviction.
const ENTRY_BYTES: u64 = 128;

/// Digests of tokens whose signature is good, up to a bound in bytes; beyond it the least useful ones go.
#[derive(Debug)]
pub(super) struct VerifiedTokens(Cache<[u8; 32], ()>);

impl VerifiedTokens {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self(Cache::new(usize::try_from(bytes_max / ENTRY_BYTES).unwrap_or(usize::MAX).max(1)))
    }
}

impl VerifiedSignatures for VerifiedTokens {
    fn contains(&self, digest: &[u8; 32]) -> bool {
        self.0.get(digest).is_some()
    }

    fn insert(&self, digest: [u8; 32]) {
        self.0.insert(digest, ());
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
        assert!(verified.0.len() <= 1000, "{}", verified.0.len());
        let newest = [7; 32];
        verified.insert(newest);
        assert!(verified.contains(&newest));
    }
}
