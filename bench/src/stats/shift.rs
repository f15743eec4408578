//! How much two samples differ: the Hodges–Lehmann shift with its exact rank interval.
//!
//! The ratio of two small samples is estimated as the median of all pairwise ratios; the interval is the one
//! that the Mann–Whitney test gives, with exact counts. No assumption but that both samples have the same
//! shape.

use serde::{Deserialize, Serialize};

use super::{COVERAGE_WANTED, estimate::median_of_sorted};

/// The ratio of a second sample to a first.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shift {
    /// The median of all pairwise ratios: 1.1 means that the second is 10 % larger.
    pub(crate) ratio: f64,
    /// The interval's lower end.
    pub(crate) low: f64,
    /// The interval's upper end.
    pub(crate) high: f64,
    /// The interval's true coverage; below 0.95 where the samples are too small for more.
    pub(crate) coverage: f64,
}

impl Shift {
    /// Whether the interval leaves out "no difference".
    pub(crate) fn beyond_noise(&self) -> bool {
        self.coverage > 0.0 && (self.low > 1.0 || self.high < 1.0)
    }
}

/// The ratio `after / before`; `None` when a sample is empty or not all positive.
pub(crate) fn ratio_shift(before: &[f64], after: &[f64]) -> Option<Shift> {
    let positive = |sample: &[f64]| !sample.is_empty() && sample.iter().all(|v| v.is_finite() && *v > 0.0);
    if !positive(before) || !positive(after) {
        return None;
    }
    let mut ratios: Vec<f64> = before.iter().flat_map(|b| after.iter().map(move |a| a / b)).collect();
    ratios.sort_by(f64::total_cmp);
    let (rank, coverage) = interval_rank(before.len(), after.len());
    Some(Shift {
        ratio: median_of_sorted(&ratios),
        low: ratios[rank],
        high: ratios[ratios.len() - 1 - rank],
        coverage,
    })
}

/// The zero-based rank of the interval's lower end among the sorted pairwise ratios, and the coverage.
fn interval_rank(n: usize, m: usize) -> (usize, f64) {
    let counts = mann_whitney_counts(n, m);
    let total: f64 = counts.iter().sum();
    let mut below = 0.0;
    let mut best = (0, (1.0 - 2.0 * counts[0] / total).max(0.0));
    for (rank, count) in counts.iter().enumerate().take((n * m).div_ceil(2)) {
        below += count;
        let coverage = 1.0 - 2.0 * below / total;
        if coverage < COVERAGE_WANTED {
            break;
        }
        best = (rank, coverage);
    }
    best
}

/// How many of the orderings of `n` and `m` values have U = 0, 1, … n·m: the coefficients of the Gaussian
/// binomial.
fn mann_whitney_counts(n: usize, m: usize) -> Vec<f64> {
    let length = n * m + 1;
    let mut counts = vec![0.0; length];
    counts[0] = 1.0;
    for i in 1..=m {
        // Times (1 − q^(n+i)), then divided by (1 − q^i).
        for u in (n + i..length).rev() {
            counts[u] -= counts[u - (n + i)];
        }
        for u in i..length {
            counts[u] += counts[u - i];
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_match_the_tables() {
        assert_eq!(mann_whitney_counts(2, 2), [1.0, 1.0, 2.0, 1.0, 1.0]);
        assert_eq!(mann_whitney_counts(3, 3).iter().sum::<f64>(), 20.0);
        assert_eq!(mann_whitney_counts(5, 5).iter().sum::<f64>(), 252.0);
        // n = m = 5: P(U ≤ 2) = 4/252, the table's two-sided 5 % critical value is 2.
        assert_eq!(mann_whitney_counts(5, 5)[..3].iter().sum::<f64>(), 4.0);
        let (rank, coverage) = interval_rank(5, 5);
        assert_eq!(rank, 2);
        assert!((coverage - (1.0 - 8.0 / 252.0)).abs() < 1e-12);
        // Three against three cannot do better than 90 %.
        assert_eq!(interval_rank(3, 3), (0, 0.9));
        assert_eq!(interval_rank(1, 1), (0, 0.0));
    }

    #[test]
    fn a_plain_doubling() {
        let shift =
            ratio_shift(&[100.0, 101.0, 99.0, 100.0, 100.5], &[200.0, 202.0, 198.0, 200.0, 201.0]).unwrap();
        assert!((shift.ratio - 2.0).abs() < 0.02 && shift.beyond_noise());
        assert!(ratio_shift(&[1.0], &[0.0]).is_none());
    }

    #[test]
    fn equal_samples_are_noise_as_often_as_promised() {
        let mut random = fastrand::Rng::with_seed(11);
        let rounds = 3000;
        let mut alarms = 0;
        for _ in 0..rounds {
            let mut sample = || -> Vec<f64> { (0..5).map(|_| 1.0 + random.f64() * random.f64()).collect() };
            alarms += usize::from(ratio_shift(&sample(), &sample()).unwrap().beyond_noise());
        }
        let share = alarms as f64 / rounds as f64;
        assert!((share - 8.0 / 252.0).abs() < 0.012, "false alarms {share}");
    }
}
