//! Figures of several rounds, and what can be said of two of them.

use std::fmt;

/// The figures of one thing, a figure for each round.
#[derive(Clone, Debug, Default)]
pub(super) struct Rounds(Vec<f64>);

impl Rounds {
    pub(super) fn push(&mut self, figure: f64) {
        self.0.push(figure);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }

    pub(super) fn least(&self) -> f64 {
        self.0.iter().copied().fold(f64::MAX, f64::min)
    }

    pub(super) fn greatest(&self) -> f64 {
        self.0.iter().copied().fold(f64::MIN, f64::max)
    }

    /// Whether the two cannot be told apart: some round of one lies among those of the other.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.least() <= other.greatest() && other.least() <= self.greatest()
    }

    /// What this is of another, round by round: two that ran next to each other shared what else the machine did.
    pub(super) fn per(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(ours, theirs)| ours / theirs).collect())
    }
}

/// The median, with the least and the greatest.
impl fmt::Display for Rounds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return formatter.write_str("–");
        }
        let digits = formatter.precision().unwrap_or(1);
        let (median, least, greatest) = (self.median(), self.least(), self.greatest());
        write!(formatter, "{median:.digits$} ({least:.digits$}–{greatest:.digits$})")
    }
}

/// The value below which this share of the values lies. Sorts them.
pub(super) fn percentile(values: &mut [u64], share: f64) -> f64 {
    values.sort_unstable();
    let place = (values.len() as f64 * share) as usize;
    values.get(place.min(values.len().saturating_sub(1))).map_or(f64::NAN, |value| *value as f64)
}

/// How fast `values` grow: the slope of the line that fits them best (least squares), by their places `at`.
pub(super) fn slope(at: &[f64], values: &[f64]) -> f64 {
    let count = at.len().min(values.len()) as f64;
    let mean = |of: &[f64]| of.iter().sum::<f64>() / count;
    let (at_mean, value_mean) = (mean(at), mean(values));
    let covariance: f64 =
        at.iter().zip(values).map(|(at, value)| (at - at_mean) * (value - value_mean)).sum();
    let variance: f64 = at.iter().map(|at| (at - at_mean).powi(2)).sum();
    covariance / variance
}

/// A goal of a ratio: first to be reached, then to be aimed at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goal {
    pub(super) landing: f64,
    pub(super) aim: f64,
}

impl Goal {
    pub(super) fn verdict(self, figure: f64) -> &'static str {
        match figure {
            figure if figure <= self.aim => "met",
            figure if figure <= self.landing => "met to land",
            _ => "MISSED",
        }
    }
}

/// `≤ 1.25 / ≤ 1`.
impl fmt::Display for Goal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.landing == self.aim {
            return write!(formatter, "≤ {}", self.landing);
        }
        write!(formatter, "≤ {} / ≤ {}", self.landing, self.aim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_are_no_difference() {
        let rounds = |figures: &[f64]| Rounds(figures.to_vec());
        for (ours, theirs, expected) in [
            (&[1.0, 2.0][..], &[2.0, 3.0][..], true),
            (&[1.0, 4.0], &[2.0, 3.0], true),
            (&[1.0, 1.5], &[2.0, 3.0], false),
            (&[4.0, 5.0], &[2.0, 3.0], false),
        ] {
            assert_eq!(rounds(ours).overlaps(&rounds(theirs)), expected, "{ours:?} {theirs:?}");
        }
        assert_eq!(format!("{:.1}", rounds(&[3.0, 1.0, 2.0])), "2.0 (1.0–3.0)");
        assert_eq!(rounds(&[2.0, 9.0]).per(&rounds(&[1.0, 3.0])).greatest(), 3.0);
    }

    #[test]
    fn a_line_has_its_slope_and_values_their_percentiles() {
        assert!((slope(&[0.0, 1.0, 2.0], &[5.0, 7.0, 9.0]) - 2.0).abs() < 1e-9);
        let mut values = (0..100).rev().collect::<Vec<_>>();
        assert_eq!(percentile(&mut values, 0.5), 50.0);
        assert_eq!(percentile(&mut values, 0.99), 99.0);
        assert!(percentile(&mut [], 0.5).is_nan());
    }
}
