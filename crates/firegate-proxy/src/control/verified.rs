//! The cache of verified signatures, shared by all workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use firegate_core::identity::VerifiedSignatures;
use firegate_core::time::{SharedClock, UnixTime};
use quick_cache::sync::Cache;
use tokio_util::sync::CancellationToken;

use super::figures::VerifiedTokenFigures;
use super::sweep::sweep;

/// What one entry takes: its digest twice over, in the table and in the order of eviction.
const ENTRY_BYTES: u64 = 128;

/// Digests of tokens whose signature is good, until the tokens expire and up to a bound in bytes; beyond it the least useful
/// ones go.
#[derive(Debug)]
pub(super) struct VerifiedTokens {
    /// When each token expires.
    digests: Cache<[u8; 32], UnixTime>,
    bytes_max: u64,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl VerifiedTokens {
    /// An empty cache, which counts on from where `former` is.
    pub(super) fn new(bytes_max: u64, former: Option<&Self>) -> Self {
        let entries_max = usize::try_from(bytes_max / ENTRY_BYTES).unwrap_or(usize::MAX).max(1);
        let counts = former.map(|former| Arc::clone(&former.counts)).unwrap_or_default();
        Self { digests: Cache::new(entries_max), bytes_max, counts }
    }

    pub(super) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Lets go of those whose token has expired, until `shutdown`.
    pub(super) async fn run(self: Arc<Self>, clock: SharedClock, shutdown: CancellationToken) {
        sweep(self, Self::forget_expired, clock, shutdown).await;
    }

    fn forget_expired(&self, now: UnixTime) {
        self.digests.retain(|_, expires_at| *expires_at > now);
    }

    pub(super) fn figures(&self) -> VerifiedTokenFigures {
        VerifiedTokenFigures {
            hits: self.counts.hits.load(Ordering::Relaxed),
            misses: self.counts.misses.load(Ordering::Relaxed),
            entries: self.digests.len(),
        }
    }
}

impl VerifiedSignatures for VerifiedTokens {
    fn contains(&self, digest: &[u8; 32]) -> bool {
        let is_known = self.digests.get(digest).is_some();
        let count = if is_known { &self.counts.hits } else { &self.counts.misses };
        count.fetch_add(1, Ordering::Relaxed);
        is_known
    }

    fn insert(&self, digest: [u8; 32], expires_at: UnixTime) {
        self.digests.insert(digest, expires_at);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const EXPIRY: UnixTime = UnixTime::from_seconds(1_800_003_600);

    #[test]
    fn it_is_bounded() {
        let verified = VerifiedTokens::new(1000 * ENTRY_BYTES, None);
        for number in 0..100_000_u32 {
            let mut digest = [0; 32];
            digest[..4].copy_from_slice(&number.to_be_bytes());
            verified.insert(digest, EXPIRY);
        }
        assert!(verified.digests.len() <= 1000, "{}", verified.digests.len());
        let newest = [7; 32];
        verified.insert(newest, EXPIRY);
        assert!(verified.contains(&newest));
    }

    #[test]
    fn hits_and_misses_are_counted() {
        let verified = VerifiedTokens::new(1000 * ENTRY_BYTES, None);
        assert!(!verified.contains(&[7; 32]));
        verified.insert([7; 32], EXPIRY);
        assert!(verified.contains(&[7; 32]) && verified.contains(&[7; 32]));
        let VerifiedTokenFigures { hits, misses, entries } = verified.figures();
        assert_eq!((hits, misses, entries), (2, 1, 1));
    }

    #[test]
    fn a_verdict_goes_when_its_token_expires() {
        let verified = VerifiedTokens::new(1000 * ENTRY_BYTES, None);
        let later = EXPIRY.plus(Duration::from_secs(1));
        verified.insert([7; 32], EXPIRY);
        verified.insert([8; 32], later);
        verified.forget_expired(EXPIRY.minus(Duration::from_secs(1)));
        assert_eq!(verified.figures().entries, 2);
        verified.forget_expired(EXPIRY);
        assert!(!verified.contains(&[7; 32]) && verified.contains(&[8; 32]));
        verified.forget_expired(later);
        assert_eq!(verified.figures().entries, 0);
    }

    #[test]
    fn a_cache_of_another_size_counts_on() {
        let small = VerifiedTokens::new(1000 * ENTRY_BYTES, None);
        assert!(!small.contains(&[7; 32]));
        let large = VerifiedTokens::new(2000 * ENTRY_BYTES, Some(&small));
        assert!(!large.contains(&[7; 32]));
        assert_eq!(large.figures().misses, 2);
    }

    /// The process's memory, in bytes (proc(5), `statm`: pages).
    #[cfg(target_os = "linux")]
    fn resident_bytes() -> u64 {
        let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
        let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("a number");
        pages * 4096
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn scenario_7_memory_plateaus_under_a_million_distinct_tokens() {
        const BYTES_MAX: u64 = 16 * 1024 * 1024;
        const ALONE: &str = "FIREGATE_TEST_IS_ALONE";
        if std::env::var_os(ALONE).is_none() {
            // In a process of its own, where no other test takes memory.
            let test = "control::verified::tests::scenario_7_memory_plateaus_under_a_million_distinct_tokens";
            let mut alone = std::process::Command::new(std::env::current_exe().expect("this program"));
            let output = alone.args(["--exact", "--nocapture", test]).env(ALONE, "yes").output();
            let output = output.expect("it runs");
            let [said, complained] =
                [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
            print!("{said}");
            assert!(output.status.success() && said.contains(" 1 passed"), "{complained}");
            return;
        }
        let before = resident_bytes();
        let verified = VerifiedTokens::new(BYTES_MAX, None);
        let flood = |numbers: std::ops::Range<u64>| {
            for number in numbers {
                // As evenly spread as real digests: SHA-256 of the number.
                let mut digest = [0; 32];
                let hashed = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &number.to_be_bytes());
                digest.copy_from_slice(hashed.as_ref());
                assert!(!verified.contains(&digest));
                verified.insert(digest, EXPIRY);
            }
            resident_bytes()
        };
        let (half, whole) = (flood(0..500_000), flood(500_000..1_000_000));
        let mebibytes = |bytes: u64| bytes / (1024 * 1024);
        println!(
            "scenario 7: a million distinct tokens: {} MiB before, {} MiB after half, {} MiB after all, {} entries",
            mebibytes(before),
            mebibytes(half),
            mebibytes(whole),
            verified.figures().entries
        );
        // A cache that grew with the tokens would take 50 MiB more.
        assert!(whole.saturating_sub(half) < 8 * 1024 * 1024, "{half} {whole}");
        assert!(verified.figures().entries as u64 <= BYTES_MAX / ENTRY_BYTES);
    }
}
