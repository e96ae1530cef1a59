//! Pauses that grow and scatter, so that many front doors do not come back to one endpoint at the same instant.

use std::time::Duration;

/// A pause after `failures` failures in a row: doubling from `first` to `longest`, the last quarter of it random.
pub(crate) fn pause(failures: u32, first: Duration, longest: Duration) -> Duration {
    let doubled = first.saturating_mul(1_u32 << failures.saturating_sub(1).min(16));
    let whole = doubled.min(longest);
    whole - random_up_to(whole / 4)
}

/// A random duration between zero and `longest`; without randomness it is zero, which only costs the scattering.
pub(crate) fn random_up_to(longest: Duration) -> Duration {
    let mut bytes = [0_u8; 4];
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        return Duration::ZERO;
    }
    longest.mul_f64(f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(failures: u32, longest_seconds: u64) {
        let longest = Duration::from_secs(longest_seconds);
        for _ in 0..100 {
            let pause = pause(failures, Duration::from_secs(1), Duration::from_secs(30));
            assert!(pause <= longest && pause >= longest * 3 / 4, "{failures}: {pause:?}");
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_scatter_by_a_quarter() {
        check(0, 1);
        check(1, 1);
        check(2, 2);
        check(5, 16);
        check(6, 30);
        check(u32::MAX, 30);
    }
}
