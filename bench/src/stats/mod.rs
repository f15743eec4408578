//! Statistics of repeated measurements that assume nothing about their distribution.
//!
//! Benchmarks of storage are skewed, have outliers and come in handfuls. So: medians, intervals from order
//! statistics, shifts from ranks. Each interval carries the coverage that its sample size really gives; with
//! three repeats that is 75 %, and is said.

mod estimate;
mod shift;

pub(crate) use estimate::Estimate;
pub(crate) use shift::{Shift, ratio_shift};

/// The coverage that intervals aim for.
pub(crate) const COVERAGE_WANTED: f64 = 0.95;
