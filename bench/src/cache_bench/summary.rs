//! From runs to figures: medians with their intervals, ratios within rounds, acknowledging against draining.

use super::fio::Histogram;
use super::job::Job;
use super::mode::{Lane, Mode};
use super::results::{CellResult, Drain, Measured, Percentiles, Summary, Versus};
use crate::stats::Estimate;

/// Sums up every cell; `latencies` holds each cell's merged histogram.
pub(crate) fn summarize(cells: &mut [CellResult], latencies: &[Histogram]) {
    assert_eq!(cells.len(), latencies.len(), "one histogram for each cell");
    for index in 0..cells.len() {
        let cell = &cells[index];
        let reference = |lane: Lane| {
            cells.iter().find(|other| {
                other.job.name == cell.job.name && other.lane == lane && other.lane != cell.lane
            })
        };
        let summary =
            summarize_cell(cell, &latencies[index], reference(Lane::IoUring), reference(Lane::Null));
        cells[index].summary = summary;
    }
}

fn summarize_cell(
    cell: &CellResult,
    latency: &Histogram,
    io_uring: Option<&CellResult>,
    null: Option<&CellResult>,
) -> Option<Summary> {
    let estimate = |value: fn(&Measured) -> f64| {
        Estimate::of(&cell.measured().map(|(_, measured)| value(measured)).collect::<Vec<_>>())
    };
    let percentile = |value: fn(&Percentiles<Option<f64>>) -> Option<f64>| {
        let sample: Option<Vec<f64>> =
            cell.measured().map(|(_, measured)| value(&measured.latency_us)).collect();
        sample.and_then(|sample| Estimate::of(&sample))
    };
    Some(Summary {
        iops: estimate(|m| m.iops)?,
        bytes_per_second: estimate(|m| m.bytes_per_second)?,
        cpu_us_per_io: estimate(|m| m.cpu_us_per_io)?,
        latency_us: Percentiles {
            p50: percentile(|p| p.p50),
            p90: percentile(|p| p.p90),
            p99: percentile(|p| p.p99),
            p99_9: percentile(|p| p.p99_9),
            p99_99: percentile(|p| p.p99_99),
        },
        latency_curve: latency.curve(),
        drain: if cell.job.is_burst() { drain(&cell.job, cell) } else { None },
        flush_us: cell.job.flush_every.and_then(|_| estimate(|m| m.flush_mean_us)),
        versus_io_uring: io_uring.and_then(|reference| versus(cell, reference)),
        versus_null: null.and_then(|reference| versus(cell, reference)),
    })
}

/// Ratios of the runs of the same rounds. `None` when no round has both.
pub(crate) fn versus(cell: &CellResult, reference: &CellResult) -> Option<Versus> {
    let pairs: Vec<(&Measured, &Measured)> = cell
        .measured()
        .filter_map(|(round, measured)| {
            reference
                .measured()
                .find(|&(other, _)| other == round)
                .map(|(_, reference)| (measured, reference))
        })
        .collect();
    let of = |value: &dyn Fn(&Measured, &Measured) -> f64| {
        Estimate::of(
            &pairs.iter().map(|&(measured, reference)| value(measured, reference)).collect::<Vec<_>>(),
        )
    };
    let p99: Option<Vec<f64>> = pairs
        .iter()
        .map(|(measured, reference)| Some(measured.latency_us.p99? / reference.latency_us.p99?))
        .collect();
    Some(Versus {
        iops_ratio: of(&|measured, reference| measured.iops / reference.iops)?,
        cpu_ratio: of(&|measured, reference| measured.cpu_us_per_io / reference.cpu_us_per_io),
        cpu_difference_us: of(&|measured, reference| measured.cpu_us_per_io - reference.cpu_us_per_io)?,
        p99_ratio: p99.and_then(|sample| Estimate::of(&sample)),
    })
}

/// Tells the time that was spent in flushes from the rest. At queue depth one nothing overlaps, so the two
/// add up to the run.
fn drain(job: &Job, cell: &CellResult) -> Option<Drain> {
    let burst_bytes = job.burst_bytes();
    let bursts: Vec<Burst> = cell.measured().filter_map(|(_, measured)| Burst::of(measured)).collect();
    let estimate =
        |value: &dyn Fn(&Burst) -> f64| Estimate::of(&bursts.iter().map(value).collect::<Vec<_>>());
    let mode = cell.lane.mode();
    let flushes = mode.is_none_or(Mode::honours_flush);
    let drains = flushes && mode.is_some_and(Mode::acknowledges_early);
    Some(Drain {
        burst_bytes,
        acknowledged_iops: estimate(&|burst| burst.acknowledged_iops)?,
        acknowledged_bytes_per_second: estimate(&|burst| burst.acknowledged_iops * job.block_bytes as f64)?,
        drain_bytes_per_second: estimate(&|burst| burst_bytes as f64 / burst.flush_seconds)
            .filter(|_| drains),
        time_to_clean_us: estimate(&|burst| burst.flush_seconds * 1e6).filter(|_| flushes),
        durable_iops: estimate(&|burst| burst.all_iops)?,
    })
}

/// A run of bursts, averaged.
struct Burst {
    acknowledged_iops: f64,
    flush_seconds: f64,
    all_iops: f64,
}

impl Burst {
    fn of(measured: &Measured) -> Option<Burst> {
        let flush_seconds = measured.flush_mean_us / 1e6;
        let writing_seconds = measured.seconds - flush_seconds * measured.flushes as f64;
        (measured.flushes > 0 && writing_seconds > 0.0 && flush_seconds > 0.0).then(|| Burst {
            acknowledged_iops: measured.writes as f64 / writing_seconds,
            flush_seconds,
            all_iops: measured.writes as f64 / measured.seconds,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::cell;
    use super::*;

    #[test]
    fn ratios_pair_the_rounds() {
        let none = Lane::Image(Mode::None);
        let mut cells = [
            cell("randread-qd32", none, &[Some(100.0), None, Some(400.0)]),
            cell("randread-qd32", Lane::IoUring, &[Some(200.0), Some(1.0), Some(800.0)]),
        ];
        summarize(&mut cells, &[Histogram::default(), Histogram::default()]);
        let summary = cells[0].summary.as_ref().unwrap();
        let versus = summary.versus_io_uring.as_ref().unwrap();
        assert_eq!((versus.iops_ratio.median, versus.iops_ratio.repeats), (0.5, 2));
        assert_eq!(versus.p99_ratio.unwrap().median, 2.0);
        assert_eq!(versus.cpu_difference_us.median, 0.0);
        assert!(summary.versus_null.is_none() && summary.drain.is_none());
        assert!(cells[1].summary.as_ref().unwrap().versus_io_uring.is_none());
    }

    #[test]
    fn draining_is_told_from_acknowledging() {
        let mut cells = [
            cell("burst", Lane::Image(Mode::Writeback), &[Some(15360.0)]),
            cell("burst", Lane::Image(Mode::Unsafe), &[Some(15360.0)]),
        ];
        summarize(&mut cells, &[Histogram::default(), Histogram::default()]);
        let drain = cells[0].summary.as_ref().unwrap().drain.clone().unwrap();
        // Two seconds, one of them in ten flushes: the other acknowledged 30720 writes.
        assert!((drain.acknowledged_iops.median - 30720.0).abs() < 1.0);
        assert!((drain.drain_bytes_per_second.unwrap().median - 12.0 * 1048576.0 / 0.1).abs() < 1.0);
        assert!((drain.time_to_clean_us.unwrap().median - 100_000.0).abs() < 1e-6);
        assert_eq!(drain.durable_iops.median, 15360.0);
        assert!(cells[1].summary.as_ref().unwrap().drain.as_ref().unwrap().drain_bytes_per_second.is_none());
    }

    #[test]
    fn a_cell_without_a_run_has_no_summary() {
        let mut cells = [cell("burst", Lane::IoUring, &[None])];
        summarize(&mut cells, &[Histogram::default()]);
        assert!(cells[0].summary.is_none());
    }
}
