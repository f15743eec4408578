//! fio's latency histogram, as its `json+` output lists it: a count for each bin, bins named by their
//! nanoseconds.

use std::collections::BTreeMap;

/// Latencies by bin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Histogram {
    bins: BTreeMap<u64, u64>,
    count: u64,
}

/// A percentile is believed when at least so many I/Os lie beyond it.
const BEYOND_MIN: f64 = 10.0;

impl Histogram {
    /// Adds the bins of another.
    pub(crate) fn merge(&mut self, bins: &BTreeMap<u64, u64>) {
        for (&latency_ns, &count) in bins {
            *self.bins.entry(latency_ns).or_default() += count;
            self.count += count;
        }
    }

    /// Adds another.
    pub(crate) fn add(&mut self, other: &Histogram) {
        self.merge(&other.bins);
    }

    /// How many I/Os it holds.
    #[cfg(test)]
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The latency in µs that a share `quantile` of the I/Os stays within; `None` when too few lie beyond to
    /// tell.
    pub(crate) fn quantile_us(&self, quantile: f64) -> Option<f64> {
        if self.count as f64 * (1.0 - quantile) < BEYOND_MIN {
            return None;
        }
        let wanted = (quantile * self.count as f64).ceil() as u64;
        let mut seen = 0;
        for (&latency_ns, &count) in &self.bins {
            seen += count;
            if seen >= wanted {
                return Some(latency_ns as f64 / 1000.0);
            }
        }
        None
    }

    /// The whole distribution as (quantile, µs), denser towards the tail, as far as the count carries it.
    pub(crate) fn curve(&self) -> Vec<(f64, f64)> {
        // Quantile 1 − 10^−x for x from 0.05 in steps of 0.05: 0.9 at x = 1, 0.99 at 2, 0.9999 at 4.
        (1..=80)
            .map(|step| 1.0 - 10f64.powf(-f64::from(step) * 0.05))
            .map_while(|quantile| self.quantile_us(quantile).map(|latency| (quantile, latency)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uniform(count: u64) -> Histogram {
        let mut histogram = Histogram::default();
        histogram.merge(&(1..=count).map(|us| (us * 1000, 1)).collect());
        histogram
    }

    #[test]
    fn quantiles_of_a_uniform_distribution() {
        let histogram = uniform(10_000);
        assert_eq!(histogram.quantile_us(0.5), Some(5000.0));
        assert_eq!(histogram.quantile_us(0.99), Some(9900.0));
        assert_eq!(histogram.quantile_us(0.999), Some(9990.0));
    }

    #[test]
    fn a_tail_that_too_few_reached_is_not_told() {
        assert_eq!(uniform(10_000).quantile_us(0.9999), None);
        assert_eq!(uniform(100).quantile_us(0.99), None);
        assert_eq!(Histogram::default().quantile_us(0.5), None);
        assert!(uniform(10_000).curve().last().is_some_and(|&(quantile, _)| quantile < 0.9991));
    }

    #[test]
    fn merging_adds_up() {
        let mut sum = uniform(100);
        sum.add(&uniform(50));
        assert_eq!(sum.count(), 150);
        assert_eq!(sum.quantile_us(0.5), Some(38.0));
    }
}
