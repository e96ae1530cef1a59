//! What chance decides: one random number for each request, from which every question takes an answer of its own. So the
//! decision stays a function of what is passed in, and asking again gives the same.

use firegate_files::url_map::Share;

/// What is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lot {
    Service = 1,
    Delay = 2,
    Abort = 3,
    Mirror = 4,
}

/// A number for one question, by SplitMix64's last steps (Steele, Lea and Flood, 2014): neighbouring inputs give numbers
/// that have nothing to do with each other.
fn number(random: u64, lot: Lot) -> u64 {
    let mut mixed = random.wrapping_add((lot as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// A number below `end`, which is not 0.
pub(super) fn below(end: u32, random: u64, lot: Lot) -> u32 {
    // The product's upper half: below `end`, and even to one in four thousand millions.
    let product = u128::from(number(random, lot)) * u128::from(end);
    u32::try_from(product >> 64).unwrap_or(0)
}

/// Whether a request belongs to a share of all.
pub(super) fn is_in(share: Share, random: u64, lot: Lot) -> bool {
    below(Share::ALL.millionths(), random, lot) < share.millionths()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_what_they_say_and_independent_of_each_other() {
        let share = |percent: f64| Share::of_percent(percent).expect("a share");
        let count =
            |share: Share, lot: Lot| (0..100_000_u64).filter(|random| is_in(share, *random, lot)).count();
        assert_eq!(count(share(0.0), Lot::Abort), 0);
        assert_eq!(count(share(100.0), Lot::Abort), 100_000);
        let quarter = count(share(25.0), Lot::Delay);
        assert!((24_000..26_000).contains(&quarter), "{quarter}");
        let both =
            |random: &u64| is_in(share(50.0), *random, Lot::Delay) && is_in(share(50.0), *random, Lot::Abort);
        let both = (0..100_000_u64).filter(both).count();
        assert!((24_000..26_000).contains(&both), "{both}");
        assert!((0..1000).all(|random| below(3, random, Lot::Service) < 3));
    }
}
