//! fio's IOPS log: the rate in each tenth of a second, from which one sees whether a run was steady.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::super::job_file::{LOG_INTERVAL_MS, LOG_PREFIX};

/// The rate in each interval, summed over fio's threads and both directions. Empty when fio wrote no log to
/// `folder`.
pub(crate) fn read_rates(folder: &Path) -> Vec<f64> {
    let mut intervals: BTreeMap<u64, f64> = BTreeMap::new();
    for thread in 1.. {
        let path = folder.join(format!("{LOG_PREFIX}_iops.{thread}.log"));
        let Ok(text) = fs::read_to_string(path) else { break };
        add_log(&text, &mut intervals);
    }
    trim(intervals)
}

/// Adds the lines `ms, rate, direction, …` of one thread.
fn add_log(text: &str, intervals: &mut BTreeMap<u64, f64>) {
    for line in text.lines() {
        let mut fields = line.split(',').map(str::trim);
        let (Some(time), Some(rate)) = (fields.next(), fields.next()) else { continue };
        if let (Ok(time_ms), Ok(rate)) = (time.parse::<u64>(), rate.parse::<f64>()) {
            // fio's clock for the log drifts by a millisecond now and then; half an interval keeps neighbours
            // apart.
            *intervals.entry((time_ms + LOG_INTERVAL_MS / 2) / LOG_INTERVAL_MS).or_default() += rate;
        }
    }
}

/// The rates without the last interval, in which threads end at different moments.
fn trim(intervals: BTreeMap<u64, f64>) -> Vec<f64> {
    let mut rates: Vec<f64> = intervals.into_values().collect();
    rates.pop();
    rates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_and_threads_add_up() {
        let mut intervals = BTreeMap::new();
        add_log("100, 50, 0, 0, 0\n100, 20, 1, 0, 0\n201, 60, 0, 0, 0\n300, 1, 0, 0, 0\n", &mut intervals);
        add_log("99, 5, 0, 0, 0\n199, 6, 0, 0, 0\nnonsense\n", &mut intervals);
        assert_eq!(trim(intervals), [75.0, 66.0]);
    }

    #[test]
    fn no_log_is_no_rates() {
        assert!(read_rates(Path::new("/nonexistent")).is_empty());
    }
}
