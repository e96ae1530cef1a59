//! Key ids that were looked for and not found.

use std::collections::HashMap;

use firegate_core::time::UnixTime;

use super::apart;
use crate::limits::{MISSING_KEY_IDS_MAX, UNKNOWN_KEY_ID_COOL_DOWN};

/// The digests of key ids that a fetch did not bring, with the time of the look. They are known to be missing in one
/// generation of keys alone, and for the cool-down: an issuer may publish a key a moment after it signs with it.
#[derive(Debug, Default)]
pub(super) struct MissingKeyIds {
    generation: u64,
    looked_at: HashMap<[u8; 32], UnixTime>,
}

impl MissingKeyIds {
    pub(super) fn contains(&self, key_id: &[u8; 32], generation: u64, now: UnixTime) -> bool {
        self.generation == generation && self.looked_at.get(key_id).is_some_and(|at| is_young(*at, now))
    }

    /// Takes note of a key id; when it is full of young ones, of none: the cool-down alone answers then.
    pub(super) fn insert(&mut self, key_id: [u8; 32], generation: u64, now: UnixTime) {
        if self.generation != generation {
            *self = Self { generation, looked_at: HashMap::new() };
        }
        if self.looked_at.len() >= MISSING_KEY_IDS_MAX {
            self.looked_at.retain(|_, at| is_young(*at, now));
        }
        if self.looked_at.len() < MISSING_KEY_IDS_MAX {
            self.looked_at.insert(key_id, now);
        }
    }
}

fn is_young(looked_at: UnixTime, now: UnixTime) -> bool {
    apart(looked_at, now) < UNKNOWN_KEY_ID_COOL_DOWN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_key_ids_are_remembered_for_a_while_in_one_generation_up_to_a_bound() {
        let at = UnixTime::from_seconds;
        let id = |number: usize| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&number.to_be_bytes());
            id
        };
        let mut missing = MissingKeyIds::default();
        missing.insert(id(0), 1, at(1000));
        assert!(missing.contains(&id(0), 1, at(1029)));
        assert!(!missing.contains(&id(0), 1, at(1030)));
        assert!(!missing.contains(&id(0), 1, at(500)), "the clock stepped back");
        assert!(!missing.contains(&id(0), 2, at(1001)), "other keys");
        assert!(!missing.contains(&id(1), 1, at(1001)));
        for number in 0..2 * MISSING_KEY_IDS_MAX {
            missing.insert(id(number), 2, at(1000));
        }
        assert_eq!(missing.looked_at.len(), MISSING_KEY_IDS_MAX);
        missing.insert(id(9_999_999), 2, at(1030));
        assert_eq!(missing.looked_at.len(), 1, "old ones make room");
    }
}
