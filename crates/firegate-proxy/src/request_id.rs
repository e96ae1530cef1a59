//! What names a request, in the log and in its answer. It has to be another one each time, so the system's randomness is
//! asked once and not with every request. Whoever gets an id must not read from it how many other requests there were, so
//! the number is hidden by a hash with a secret key (SipHash), which nobody turns back.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

/// The name of one request. Most are Firegate's own, for which nothing is allocated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RequestId {
    /// Hexadecimal digits.
    Own([u8; 32]),
    /// A hop that is trusted has named it.
    Given(String),
}

impl RequestId {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Own(digits) => std::str::from_utf8(digits).unwrap_or_default(),
            Self::Given(name) => name,
        }
    }
}

/// The names of this process's requests.
#[derive(Debug)]
pub(crate) struct RequestIds {
    /// Random, so that the ids of several replicas never meet.
    process: u64,
    hidden: RandomState,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        let mut bytes = [0; 8];
        // Without randomness ids may meet, which harms no one but the reader of the log.
        let _ = SystemRandom::new().fill(&mut bytes);
        Self { process: u64::from_ne_bytes(bytes), hidden: RandomState::new(), next: AtomicU64::new(0) }
    }

    /// Another one.
    pub(crate) fn next(&self) -> RequestId {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = u128::from(self.process) << 64 | u128::from(self.hidden.hash_one(number));
        let mut text = [0; 32];
        for (digits, octet) in text.as_chunks_mut::<2>().0.iter_mut().zip(id.to_be_bytes()) {
            *digits = [DIGITS[usize::from(octet >> 4)], DIGITS[usize::from(octet & 0xf)]];
        }
        RequestId::Own(text)
    }

    /// A number that no client can foresee, for what chance decides about a request.
    pub(crate) fn random(&self) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.hidden.hash_one((number, self.process))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_are_the_same_and_all_have_one_form() {
        let (ours, theirs) = (RequestIds::new(), RequestIds::new());
        let ids = (0..1000).flat_map(|_| [ours.next(), theirs.next()]);
        let ids = ids.map(|id| id.as_str().to_owned()).collect::<HashSet<_>>();
        assert_eq!(ids.len(), 2000);
        assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())));
    }
}
