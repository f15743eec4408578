//! `ringbd bench compare A B`: what changed from one result to another, beyond the noise.
//!
//! Absolute figures of two runs mean little on a shared machine, so each image cell is first divided, round
//! by round, by the reference that ran beside it: fio's io_uring engine, or fio's null engine for cache hits,
//! which never see the disk. A cell has changed when the interval of the ratio leaves out 1 *and* the change
//! is larger than the threshold.

use serde::Serialize;

use super::mode::Lane;
use super::results::{CellResult, Measured, Results};
use super::table::new_table;
use crate::figures::{ratio, three_digits};
use crate::stats::{Shift, ratio_shift};

/// A figure that is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    /// More is better.
    Iops,
    /// User and system time per I/O; less is better.
    CpuPerIo,
    /// Less is better.
    P99,
}

impl Metric {
    const ALL: [Metric; 3] = [Metric::Iops, Metric::CpuPerIo, Metric::P99];

    const fn name(self) -> &'static str {
        match self {
            Metric::Iops => "IOPS",
            Metric::CpuPerIo => "CPU/IO",
            Metric::P99 => "p99",
        }
    }

    fn of(self, measured: &Measured) -> Option<f64> {
        match self {
            Metric::Iops => Some(measured.iops),
            Metric::CpuPerIo => Some(measured.cpu_us_per_io),
            Metric::P99 => measured.latency_us.p99,
        }
    }

    const fn more_is_better(self) -> bool {
        matches!(self, Metric::Iops)
    }
}

/// What became of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Worse beyond the noise.
    Regression,
    /// Better beyond the noise.
    Improvement,
    /// Within the noise, or too small to matter.
    Same,
}

/// One figure of one cell.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Change {
    pub(crate) job: String,
    pub(crate) lane: Lane,
    pub(crate) metric: Metric,
    /// The lane that both sides were divided by; `None` for a reference lane itself and where the reference
    /// is missing.
    pub(crate) relative_to: Option<Lane>,
    /// After over before.
    pub(crate) shift: Shift,
    pub(crate) verdict: Verdict,
}

/// The outcome.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Comparison {
    pub(crate) threshold: f64,
    pub(crate) changes: Vec<Change>,
    /// What makes the two hard to compare.
    pub(crate) differences: Vec<String>,
}

impl Comparison {
    /// Compares what both results hold; changes below `threshold` (0.05: 5 %) do not count.
    pub(crate) fn of(before: &Results, after: &Results, threshold: f64) -> Comparison {
        let mut changes = Vec::new();
        for new in &after.cells {
            let Some(old) = before.cell(&new.job.name, new.lane) else { continue };
            let reference =
                reference_lane(new, after).filter(|&lane| before.cell(&new.job.name, lane).is_some());
            for metric in Metric::ALL {
                let samples = (sample(before, old, metric, reference), sample(after, new, metric, reference));
                let Some(shift) = ratio_shift(&samples.0, &samples.1) else { continue };
                let verdict = if matches!(new.lane, Lane::Image(_)) {
                    judge(metric, &shift, threshold)
                } else {
                    Verdict::Same
                };
                let job = new.job.name.clone();
                changes.push(Change { job, lane: new.lane, metric, relative_to: reference, shift, verdict });
            }
        }
        Comparison { threshold, changes, differences: differences(before, after) }
    }

    /// How many figures became worse.
    pub(crate) fn regressions(&self) -> usize {
        self.changes.iter().filter(|change| change.verdict == Verdict::Regression).count()
    }

    /// For the terminal.
    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        for difference in &self.differences {
            text += &format!("! {difference}\n");
        }
        let mut table = new_table(&["job", "lane", "figure", "B : A", "interval", "beside", "verdict"], 3);
        for change in &self.changes {
            table.add_row([
                change.job.clone(),
                change.lane.to_string(),
                change.metric.name().to_owned(),
                ratio(change.shift.ratio),
                format!("{}–{}", three_digits(change.shift.low), three_digits(change.shift.high)),
                change.relative_to.map_or("absolute".to_owned(), |lane| lane.to_string()),
                self.verdict_text(change),
            ]);
        }
        let improvements =
            self.changes.iter().filter(|change| change.verdict == Verdict::Improvement).count();
        let judged = self.changes.iter().filter(|change| matches!(change.lane, Lane::Image(_))).count();
        let chance: f64 = self
            .changes
            .iter()
            .filter(|change| matches!(change.lane, Lane::Image(_)))
            .map(|change| 1.0 - change.shift.coverage)
            .sum();
        text + &format!(
            "{table}\n{} regressions and {improvements} improvements of more than {:.0} % among {judged} figures; \
             without the threshold, chance alone would raise about {chance:.0} of them\n",
            self.regressions(),
            self.threshold * 100.0
        )
    }

    fn verdict_text(&self, change: &Change) -> String {
        match change.verdict {
            Verdict::Regression => "REGRESSION".to_owned(),
            Verdict::Improvement => "improvement".to_owned(),
            Verdict::Same if !matches!(change.lane, Lane::Image(_)) => "the machine".to_owned(),
            Verdict::Same if change.shift.beyond_noise() => format!("below {:.0} %", self.threshold * 100.0),
            Verdict::Same => "noise".to_owned(),
        }
    }
}

/// What a cell is divided by: the disk, or fio itself where the disk plays no part.
fn reference_lane(cell: &CellResult, results: &Results) -> Option<Lane> {
    let Lane::Image(mode) = cell.lane else { return None };
    let hits =
        mode.caches_reads() && cell.job.fits(results.settings.cache_bytes) && !cell.job.pattern.writes();
    let lane = if hits { Lane::Null } else { Lane::IoUring };
    results.cell(&cell.job.name, lane).map(|_| lane)
}

/// The figure of each round, divided by that of the reference in the same round.
fn sample(results: &Results, cell: &CellResult, metric: Metric, reference: Option<Lane>) -> Vec<f64> {
    let reference = reference.and_then(|lane| results.cell(&cell.job.name, lane));
    cell.measured()
        .filter_map(|(round, measured)| {
            let value = metric.of(measured)?;
            match reference {
                None => Some(value),
                Some(reference) => {
                    let (_, beside) = reference.measured().find(|&(other, _)| other == round)?;
                    Some(value / metric.of(beside)?)
                }
            }
        })
        .collect()
}

fn judge(metric: Metric, shift: &Shift, threshold: f64) -> Verdict {
    // A loss of 5 % is a ratio of 0.95, or of 1/0.95 the other way round.
    let large = shift.ratio.max(1.0 / shift.ratio) >= 1.0 / (1.0 - threshold);
    match (shift.beyond_noise() && large, (shift.ratio > 1.0) == metric.more_is_better()) {
        (false, _) => Verdict::Same,
        (true, true) => Verdict::Improvement,
        (true, false) => Verdict::Regression,
    }
}

/// Circumstances that differ.
fn differences(before: &Results, after: &Results) -> Vec<String> {
    let (a, b) = (&before.environment, &after.environment);
    let (s, t) = (&before.settings, &after.settings);
    let facts = [
        ("kernel", a.kernel.clone(), b.kernel.clone()),
        ("CPU", a.cpu_model.clone(), b.cpu_model.clone()),
        ("number of cores", a.cores.to_string(), b.cores.to_string()),
        ("disk", a.disk.describe(), b.disk.describe()),
        ("file system", a.disk.filesystem.clone(), b.disk.filesystem.clone()),
        ("fio", a.fio_version.clone(), b.fio_version.clone()),
        ("image size", s.image_bytes.to_string(), t.image_bytes.to_string()),
        ("cache size", s.cache_bytes.to_string(), t.cache_bytes.to_string()),
        ("runtime", s.runtime_seconds.to_string(), t.runtime_seconds.to_string()),
    ];
    facts
        .into_iter()
        .filter(|(_, old, new)| old != new)
        .map(|(what, old, new)| format!("the {what} differs: {old} in A, {new} in B"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::mode::Mode;
    use super::super::sample::results;
    use super::*;

    fn shift(ratio: f64, low: f64, high: f64) -> Shift {
        Shift { ratio, low, high, coverage: 0.95 }
    }

    #[test]
    fn only_changes_beyond_noise_and_threshold_count() {
        assert_eq!(judge(Metric::Iops, &shift(0.8, 0.7, 0.9), 0.05), Verdict::Regression);
        assert_eq!(judge(Metric::CpuPerIo, &shift(0.8, 0.7, 0.9), 0.05), Verdict::Improvement);
        assert_eq!(judge(Metric::P99, &shift(1.3, 1.1, 1.4), 0.05), Verdict::Regression);
        assert_eq!(judge(Metric::Iops, &shift(0.8, 0.5, 1.1), 0.05), Verdict::Same);
        assert_eq!(judge(Metric::Iops, &shift(0.97, 0.96, 0.98), 0.05), Verdict::Same);
    }

    #[test]
    fn a_slower_image_is_a_regression_and_a_slower_machine_is_not() {
        let (before, after) = (results(0.9), results(0.6));
        let comparison = Comparison::of(&before, &after, 0.05);
        let iops = |job: &str, lane: Lane| {
            comparison
                .changes
                .iter()
                .find(|change| change.job == job && change.lane == lane && change.metric == Metric::Iops)
                .unwrap()
        };
        let none = iops("randread-qd32", Lane::Image(Mode::None));
        assert_eq!((none.verdict, none.relative_to), (Verdict::Regression, Some(Lane::IoUring)));
        assert_eq!(iops("randread-qd32", Lane::IoUring).verdict, Verdict::Same);
        assert!(comparison.regressions() >= 2 && comparison.table().contains("REGRESSION"));
        assert_eq!(Comparison::of(&after, &before, 0.05).regressions(), 0);
        assert_eq!(Comparison::of(&before, &before, 0.05).regressions(), 0);
    }

    #[test]
    fn other_circumstances_are_told() {
        let (before, mut after) = (results(1.0), results(1.0));
        after.environment.kernel = "9.9".to_owned();
        let comparison = Comparison::of(&before, &after, 0.05);
        assert!(comparison.differences.iter().any(|difference| difference.contains("kernel differs")));
    }
}
