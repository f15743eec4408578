//! A median with a distribution-free confidence interval.

use serde::{Deserialize, Serialize};

use super::COVERAGE_WANTED;

/// The median of some repeats, with an interval that holds the true median with probability `coverage`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Estimate {
    /// The sample's median.
    pub(crate) median: f64,
    /// The interval's lower end: an order statistic of the sample.
    pub(crate) low: f64,
    /// The interval's upper end.
    pub(crate) high: f64,
    /// The interval's true coverage. Below 0.95 where the repeats are too few; then the interval is the whole
    /// range.
    pub(crate) coverage: f64,
    /// How many repeats.
    pub(crate) repeats: usize,
}

impl Estimate {
    /// The estimate from `sample`; `None` when it is empty or holds something that is not a finite number.
    pub(crate) fn of(sample: &[f64]) -> Option<Estimate> {
        if sample.is_empty() || sample.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let mut sorted = sample.to_vec();
        sorted.sort_by(f64::total_cmp);
        let repeats = sorted.len();
        let (rank, coverage) = interval_rank(repeats);
        Some(Estimate {
            median: median_of_sorted(&sorted),
            low: sorted[rank],
            high: sorted[repeats - 1 - rank],
            coverage,
            repeats,
        })
    }

    /// The interval's half width relative to the median: 0.05 reads "± 5 %".
    pub(crate) fn relative_half_width(&self) -> f64 {
        if self.median == 0.0 { 0.0 } else { (self.high - self.low) / 2.0 / self.median.abs() }
    }
}

/// The zero-based rank of the lower end of the narrowest symmetric interval that reaches the wanted coverage,
/// and its coverage.
fn interval_rank(repeats: usize) -> (usize, f64) {
    // P(Binomial(n, ½) ≤ k), summed up as k grows.
    let mut probability = 0.5_f64.powi(i32::try_from(repeats).unwrap_or(i32::MAX));
    let mut below = probability;
    let mut best = (0, (1.0 - 2.0 * below).max(0.0));
    for rank in 1..repeats / 2 {
        probability *= (repeats - rank + 1) as f64 / rank as f64;
        below += probability;
        let coverage = 1.0 - 2.0 * below;
        if coverage < COVERAGE_WANTED {
            break;
        }
        best = (rank, coverage);
    }
    best
}

/// The middle of a sorted sample that is not empty.
pub(super) fn median_of_sorted(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_coverages() {
        // Textbook values: the range of five covers 93.75 %, of six 96.9 %; of nine, the second to the eighth
        // cover 96.1 %.
        assert_eq!(interval_rank(1), (0, 0.0));
        assert_eq!(interval_rank(3), (0, 0.75));
        assert_eq!(interval_rank(5), (0, 0.9375));
        assert_eq!(interval_rank(6), (0, 0.96875));
        let (rank, coverage) = interval_rank(9);
        assert_eq!(rank, 1);
        assert!((coverage - 0.9609).abs() < 1e-4);
        let (rank, coverage) = interval_rank(20);
        assert_eq!(rank, 5);
        assert!((coverage - 0.9586).abs() < 1e-4);
    }

    #[test]
    fn median_and_ends() {
        let estimate = Estimate::of(&[3.0, 1.0, 2.0, 100.0]).unwrap();
        assert_eq!((estimate.median, estimate.low, estimate.high), (2.5, 1.0, 100.0));
        assert!(Estimate::of(&[]).is_none());
        assert!(Estimate::of(&[1.0, f64::NAN]).is_none());
    }

    #[test]
    fn the_interval_covers_as_often_as_it_says() {
        // Exponential data: skewed, true median ln 2.
        let mut random = fastrand::Rng::with_seed(7);
        let (rounds, repeats) = (4000, 9);
        let mut covered = 0;
        for _ in 0..rounds {
            let sample: Vec<f64> = (0..repeats).map(|_| -(1.0 - random.f64()).ln()).collect();
            let estimate = Estimate::of(&sample).unwrap();
            covered += usize::from(estimate.low <= 2f64.ln() && 2f64.ln() <= estimate.high);
        }
        let share = covered as f64 / rounds as f64;
        assert!((share - 0.9609).abs() < 0.015, "covered {share}");
    }
}
