//! What the numbers say, in sentences: the same in the terminal and in the report.

use super::mode::{Lane, Mode};
use super::results::{CellResult, Results, Summary};
use super::summary::versus;
use crate::figures::{byte_rate, count, micros, ratio, ratio_with_interval};

/// The sentences, most important first. Each rests on ratios within rounds wherever there is something to
/// compare with.
pub(crate) fn findings(results: &Results) -> Vec<String> {
    [
        uncached_against_the_disk(results, "randread-qd32", "reads 4 KiB at random, 32 in flight,"),
        uncached_against_the_disk(results, "randwrite-qd32", "writes 4 KiB at random, 32 in flight,"),
        uncached_against_the_disk(results, "randread-qd1", "reads 4 KiB at random, one at a time,"),
        cache_hits(results),
        two_threads(results, "hit-2jobs", "hit-qd32", "cache hits"),
        two_threads(results, "randread-2jobs", "randread-qd32", "random reads"),
        writeback_against_none(results, "randwrite-qd32", "random writes (flushed at the end)"),
        writeback_against_none(results, "fsync-qd1", "writes that are each followed by a flush"),
        bursts(results),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn summary(cell: &CellResult) -> Option<&Summary> {
    cell.summary.as_ref()
}

/// The first lane that reads through a cache and was measured.
fn cached_lane(results: &Results, job: &str) -> Option<Lane> {
    Mode::ALL
        .into_iter()
        .filter(|mode| mode.caches_reads())
        .map(Lane::Image)
        .find(|&lane| results.cell(job, lane).is_some_and(|cell| cell.summary.is_some()))
}

fn uncached_against_the_disk(results: &Results, job: &str, what: &str) -> Option<String> {
    let cell = summary(results.cell(job, Lane::Image(Mode::None))?)?;
    let versus = cell.versus_io_uring.as_ref()?;
    let mut sentence = format!(
        "Without a cache the image {what} at {} the IOPS of fio's own io_uring engine on a file of the same disk",
        ratio_with_interval(&versus.iops_ratio)
    );
    if let Some(cpu) = &versus.cpu_ratio {
        sentence += &format!(", for {} its CPU per I/O", ratio_with_interval(cpu));
    }
    if let Some(p99) = &versus.p99_ratio {
        sentence += &format!(" and at {} its p99 latency", ratio_with_interval(p99));
    }
    Some(sentence + ".")
}

fn cache_hits(results: &Results) -> Option<String> {
    let job = "hit-qd32";
    let lane = cached_lane(results, job)?;
    let cell = summary(results.cell(job, lane)?)?;
    let versus = cell.versus_null.as_ref()?;
    Some(format!(
        "A cache hit ({lane}) costs {} of CPU more than fio's null engine, which does nothing; that is {} IOPS, \
         {} of null's.",
        micros(versus.cpu_difference_us.median),
        count(cell.iops.median),
        ratio_with_interval(&versus.iops_ratio),
    ))
}

fn two_threads(results: &Results, two: &str, one: &str, what: &str) -> Option<String> {
    let lane = if what == "cache hits" { cached_lane(results, two)? } else { Lane::Image(Mode::None) };
    let gain = versus(results.cell(two, lane)?, results.cell(one, lane)?)?;
    Some(format!(
        "Two threads on one image ({lane}) give {} the {what} of one.",
        ratio_with_interval(&gain.iops_ratio)
    ))
}

fn writeback_against_none(results: &Results, job: &str, what: &str) -> Option<String> {
    let writeback = results.cell(job, Lane::Image(Mode::Writeback))?;
    let none = results.cell(job, Lane::Image(Mode::None))?;
    let gain = versus(writeback, none)?;
    let mut sentence =
        format!("For {what}, writeback gives {} the IOPS of none", ratio_with_interval(&gain.iops_ratio));
    let through =
        results.cell(job, Lane::Image(Mode::Writethrough)).and_then(|through| versus(through, none));
    if let Some(gain) = through {
        sentence += &format!(" and writethrough {}", ratio_with_interval(&gain.iops_ratio));
    }
    Some(sentence + ".")
}

fn bursts(results: &Results) -> Option<String> {
    let drain = summary(results.cell("burst", Lane::Image(Mode::Writeback))?)?.drain.as_ref()?;
    let mut sentence = format!(
        "Writeback acknowledges a burst of {} at {} IOPS ({})",
        crate::size::human(drain.burst_bytes),
        count(drain.acknowledged_iops.median),
        byte_rate(drain.acknowledged_bytes_per_second.median),
    );
    if let (Some(rate), Some(clean)) = (&drain.drain_bytes_per_second, &drain.time_to_clean_us) {
        sentence += &format!(
            ", then drains it at {}: {} until everything is durable",
            byte_rate(rate.median),
            micros(clean.median)
        );
    }
    let none =
        results.cell("burst", Lane::Image(Mode::None)).and_then(summary).and_then(|cell| cell.drain.as_ref());
    if let Some(none) = none {
        let gain = drain.durable_iops.median / none.durable_iops.median;
        sentence += &format!(
            ". From the first write to the end of the flush that is {} the rate of none",
            ratio(gain)
        );
    }
    Some(sentence + ".")
}
