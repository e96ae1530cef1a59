//! What names a request, in the log and in its answer. It has to be another one each time and no secret, so the system's
//! randomness is asked once and not with every request.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

/// The names of this process's requests.
#[derive(Debug)]
pub(crate) struct RequestIds {
    /// Random, so that the ids of several replicas never meet.
    process: u64,
    /// Where the counting begins: nobody reads from an id how many requests there were.
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        let mut bytes = [0; 16];
        // Without randomness ids may meet, which harms no one but the reader of the log.
        let _ = SystemRandom::new().fill(&mut bytes);
        let random = u128::from_ne_bytes(bytes);
        Self { process: (random >> 64) as u64, next: AtomicU64::new(random as u64) }
    }

    /// Another one: 32 hexadecimal digits.
    pub(crate) fn next(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let id =
            u128::from(self.process) << 64 | u128::from(scrambled(self.next.fetch_add(1, Ordering::Relaxed)));
        let digit = |place: u32| char::from(DIGITS[(id >> (124 - 4 * place)) as usize & 0xf]);
        (0..32).map(digit).collect()
    }
}

/// The finaliser of SplitMix64: each number has its own image, and neighbours have nothing in common.
fn scrambled(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_are_the_same_and_all_have_one_form() {
        let (ours, theirs) = (RequestIds::new(), RequestIds::new());
        let ids = (0..1000).flat_map(|_| [ours.next(), theirs.next()]).collect::<HashSet<_>>();
        assert_eq!(ids.len(), 2000);
        assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())));
    }
}
