//! Reasons not to believe a number.
//!
//! A tool that measures should doubt itself: each rule here names what was seen, in figures, and what to do
//! about it.

use std::time::Duration;

use super::results::{CellResult, Measured, Results};

/// A half interval wider than this share of the median is noisy.
const NOISY: f64 = 0.10;
/// A rate that moves by more than this share from the first third of a run to the last is not steady.
const DRIFT: f64 = 0.10;
/// An interval with less than this share of the median rate is a stall.
const STALL: f64 = 0.10;
/// Runs shorter than this, or of fewer I/Os, say little.
const SHORT: Duration = Duration::from_secs(1);
const IOS_MIN: u64 = 1000;
/// Other programs that take more than this share of a core disturb.
const OTHERS_CORES: f64 = 0.15;
/// The same for other machines of the host.
const STOLEN_CORES: f64 = 0.05;

/// Fills in the warnings of each cell and of the whole.
pub(crate) fn doubt(results: &mut Results) {
    for cell in &mut results.cells {
        cell.warnings = doubt_cell(cell);
    }
    results.warnings = doubt_machine(results);
    if results.settings.repeats < 5 {
        results.warnings.push(format!(
            "few repeats ({}): intervals are the whole range and cover less than 95 % (take --repeats 6 or more)",
            results.settings.repeats
        ));
    }
}

fn doubt_cell(cell: &CellResult) -> Vec<String> {
    let mut warnings = Vec::new();
    for run in &cell.runs {
        if let Some(error) = &run.error {
            warnings.push(format!("failed: round {}: {error}", run.round + 1));
        }
    }
    if let Some(summary) = &cell.summary {
        let noise = summary.iops.relative_half_width();
        if noise > NOISY {
            warnings.push(format!(
                "noisy: IOPS vary by ± {:.0} % between repeats (take more, or longer)",
                noise * 100.0
            ));
        }
    }
    let runs: Vec<&Measured> = cell.measured().map(|(_, measured)| measured).collect();
    let count = |rule: &dyn Fn(&Measured) -> bool| runs.iter().filter(|run| rule(run)).count();
    let of_all = |bad: usize| {
        if bad == 1 { "one repeat".to_owned() } else { format!("{bad} of {} repeats", runs.len()) }
    };
    let short = count(&|run| run.seconds < SHORT.as_secs_f64() || run.ios < IOS_MIN);
    if short > 0 {
        warnings.push(format!(
            "too short: {} ran for less than {} s or {IOS_MIN} I/Os (take a longer --runtime)",
            of_all(short),
            SHORT.as_secs()
        ));
    }
    // A burst stops for its flush by design; its rate cannot be steady.
    if !cell.job.is_burst() {
        let drifting = count(&|run| drift(&run.rates).is_some_and(|drift| drift.abs() > DRIFT));
        if drifting * 2 > runs.len() {
            let worst = runs
                .iter()
                .filter_map(|run| drift(&run.rates))
                .fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
            warnings.push(format!(
                "not steady: in {} the rate moved between the first and the last third, by up to \
                 {:+.0} % (take a longer --ramp)",
                of_all(drifting),
                worst * 100.0
            ));
        }
        let stalled = count(&|run| has_stall(&run.rates));
        if stalled > 0 {
            warnings.push(format!(
                "stalls: in {} the rate fell below a tenth of its median for 0.1 s",
                of_all(stalled)
            ));
        }
    }
    warnings
}

/// What disturbed the machine, over all runs.
fn doubt_machine(results: &Results) -> Vec<String> {
    let mut warnings = Vec::new();
    let runs: Vec<&Measured> =
        results.cells.iter().flat_map(|cell| cell.measured().map(|(_, measured)| measured)).collect();
    let mut tell = |limit: f64, of: &dyn Fn(&Measured) -> Option<f64>, who: &str, advice: &str| {
        let values: Vec<f64> = runs.iter().filter_map(|run| of(run)).collect();
        let above = values.iter().filter(|&&cores| cores > limit).count();
        if above * 10 > values.len() {
            let most = values.iter().copied().fold(0.0, f64::max);
            warnings.push(format!(
                "{who} took more than {limit} cores in {above} of {} runs, up to {most:.2} ({advice})",
                values.len()
            ));
        }
    };
    tell(
        OTHERS_CORES,
        &|run| run.others_cores,
        "other programs and interrupts",
        "end them, and trust ratios more than absolute figures",
    );
    tell(
        STOLEN_CORES,
        &|run| run.stolen_cores,
        "other machines on this host",
        "trust ratios more than absolute figures",
    );
    warnings
}

/// How far the mean rate of the last third is from that of the first; `None` for a run too short to cut in
/// three.
fn drift(rates: &[f64]) -> Option<f64> {
    let third = rates.len() / 3;
    if third < 3 {
        return None;
    }
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (first, last) = (mean(&rates[..third]), mean(&rates[rates.len() - third..]));
    (first > 0.0).then(|| last / first - 1.0)
}

fn has_stall(rates: &[f64]) -> bool {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    rates.len() >= 5 && rates.iter().any(|&rate| rate < sorted[sorted.len() / 2] * STALL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_compares_thirds() {
        assert_eq!(drift(&[1.0; 8]), None);
        assert_eq!(drift(&[100.0; 9]), Some(0.0));
        let falling: Vec<f64> = (0..30).map(|step| 100.0 - f64::from(step)).collect();
        assert!(drift(&falling).unwrap() < -0.15);
        assert_eq!(drift(&[0.0; 30]), None);
    }

    #[test]
    fn a_stall_is_one_empty_interval() {
        let mut rates = vec![100.0; 20];
        assert!(!has_stall(&rates));
        rates[7] = 3.0;
        assert!(has_stall(&rates));
        assert!(!has_stall(&[1.0, 0.0]));
    }
}
