//! Which endpoint a request goes to: the one with the fewest requests under way among those that do well.

use tokio::time::Instant;

use super::endpoint::Endpoint;
use crate::limits::UPSTREAM_AVAILABLE_PERCENT_MIN;

/// The endpoints that a request was sent to already: one bit for each.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tried(u64);

impl Tried {
    pub(super) fn insert(&mut self, index: usize) {
        self.0 |= bit(index);
    }

    fn contains(self, index: usize) -> bool {
        self.0 & bit(index) != 0
    }
}

fn bit(index: usize) -> u64 {
    u32::try_from(index).ok().and_then(|index| 1_u64.checked_shl(index)).unwrap_or(0)
}

/// What an endpoint is chosen by.
pub(super) trait Candidate {
    /// Whether requests should go there if there is a choice.
    fn is_available(&self) -> bool;

    /// How many requests are under way.
    fn load(&self) -> usize;
}

impl Candidate for &Endpoint {
    fn is_available(&self) -> bool {
        Endpoint::is_available(self, Instant::now)
    }

    fn load(&self) -> usize {
        self.requests.count()
    }
}

/// The number of the endpoint with the fewest requests under way; `turn` decides between equals. Those that were tried
/// come last. When too few are available, that counts for nothing: the others are probably not worse, and the few would
/// not bear the load of all.
pub(super) fn choose<C: Candidate>(
    candidates: impl Iterator<Item = C> + Clone,
    turn: usize,
    tried: Tried,
) -> usize {
    let all = candidates.clone().count();
    if all <= 1 {
        return 0;
    }
    let available = candidates.clone().filter(Candidate::is_available).count();
    let is_panic = available * 100 < all * UPSTREAM_AVAILABLE_PERCENT_MIN;
    let key = |(index, candidate): &(usize, C)| {
        let is_unavailable = !is_panic && !candidate.is_available();
        (tried.contains(*index), is_unavailable, candidate.load(), (*index + all - turn % all) % all)
    };
    candidates.enumerate().min_by_key(key).map_or(0, |(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Candidate for &(bool, usize) {
        fn is_available(&self) -> bool {
            self.0
        }

        fn load(&self) -> usize {
            self.1
        }
    }

    fn chosen(candidates: &[(bool, usize)], turn: usize, tried: &[usize]) -> usize {
        let mut set = Tried::default();
        tried.iter().for_each(|index| set.insert(*index));
        choose(candidates.iter(), turn, set)
    }

    #[test]
    fn the_least_loaded_of_those_that_do_well() {
        assert_eq!(chosen(&[(true, 3), (true, 1), (true, 2)], 0, &[]), 1);
        assert_eq!(chosen(&[(true, 3), (false, 1), (true, 2)], 0, &[]), 2);
        assert_eq!(chosen(&[(true, 3), (true, 1), (true, 2)], 0, &[1]), 2);
        assert_eq!(chosen(&[(true, 3), (false, 1)], 0, &[0]), 1, "another one, even if it did not do well");
        assert_eq!(chosen(&[(true, 3)], 7, &[0]), 0, "there is no other");
    }

    #[test]
    fn equals_take_turns() {
        let equals = [(true, 0), (true, 0), (true, 0)];
        let turns = (0..6).map(|turn| chosen(&equals, turn, &[])).collect::<Vec<_>>();
        assert_eq!(turns, [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn never_are_all_left_alone() {
        assert_eq!(chosen(&[(false, 3), (false, 1)], 0, &[]), 1);
        let mut many = vec![(false, 0); 20];
        many[7] = (true, 5);
        assert_ne!(chosen(&many, 0, &[]), 7, "one of twenty would not bear the load");
        let fifth = [(false, 0), (false, 0), (true, 5), (false, 0), (false, 0)];
        assert_eq!(chosen(&fifth, 0, &[]), 2, "as many as there have to be");
        let few = [(false, 0), (true, 5), (false, 0)];
        assert_eq!(chosen(&few, 0, &[]), 1, "one of three has to");
    }
}
