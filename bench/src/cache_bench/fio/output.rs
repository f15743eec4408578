//! fio's `--output-format=json+`, as far as it is needed here.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::histogram::Histogram;

/// The document.
#[derive(Debug, Deserialize)]
pub(crate) struct Output {
    /// When fio took stock, in Unix milliseconds: the end of the measured time, give or take fio's own 10 ms
    /// of polling.
    pub(crate) timestamp_ms: u64,
    jobs: Vec<Job>,
}

#[derive(Debug, Deserialize)]
struct Job {
    error: i32,
    read: Direction,
    write: Direction,
    #[serde(default)]
    sync: Sync,
    #[serde(default)]
    usr_cpu: f64,
    #[serde(default)]
    sys_cpu: f64,
    #[serde(default)]
    job_runtime: u64,
}

#[derive(Debug, Deserialize)]
struct Direction {
    io_bytes: u64,
    total_ios: u64,
    runtime: u64,
    lat_ns: Latency,
}

#[derive(Debug, Default, Deserialize)]
struct Sync {
    #[serde(default)]
    lat_ns: Latency,
}

#[derive(Debug, Default, Deserialize)]
struct Latency {
    mean: f64,
    #[serde(rename = "N")]
    count: u64,
    #[serde(default)]
    bins: BTreeMap<u64, u64>,
}

/// A run, summed over directions and jobs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Totals {
    /// Reads and writes.
    pub(crate) ios: u64,
    pub(crate) writes: u64,
    pub(crate) bytes: u64,
    /// How long the clock ran, including the last flush.
    pub(crate) seconds: f64,
    /// Total latency of reads and writes.
    pub(crate) latency: Histogram,
    /// Flushes that the job asked for, without the one at the end.
    pub(crate) flushes: u64,
    pub(crate) flush_mean_us: f64,
    /// What fio says its job threads used; kernel workers and the engine's own threads are not in it.
    pub(crate) job_threads_cpu_seconds: f64,
}

impl Output {
    /// Reads the document. fio prints notes before it at times; they are skipped.
    pub(crate) fn parse(text: &str) -> Result<Output> {
        let start = if text.starts_with('{') { 0 } else { text.find("\n{").map_or(0, |at| at + 1) };
        serde_json::from_str(&text[start..]).context("fio's JSON output does not have the expected form")
    }

    /// Sums the run up; an error when fio reports one for a job.
    pub(crate) fn totals(&self) -> Result<Totals> {
        ensure!(!self.jobs.is_empty(), "fio reports no job");
        let mut totals = Totals {
            ios: 0,
            writes: 0,
            bytes: 0,
            seconds: 0.0,
            latency: Histogram::default(),
            flushes: 0,
            flush_mean_us: 0.0,
            job_threads_cpu_seconds: 0.0,
        };
        let mut flush_ns = 0.0;
        for job in &self.jobs {
            ensure!(job.error == 0, "fio's job failed: {}", std::io::Error::from_raw_os_error(job.error));
            for direction in [&job.read, &job.write] {
                totals.ios += direction.total_ios;
                totals.bytes += direction.io_bytes;
                totals.seconds = totals.seconds.max(direction.runtime as f64 / 1000.0);
                totals.latency.merge(&direction.lat_ns.bins);
            }
            totals.writes += job.write.total_ios;
            totals.flushes += job.sync.lat_ns.count;
            flush_ns += job.sync.lat_ns.mean * job.sync.lat_ns.count as f64;
            totals.job_threads_cpu_seconds +=
                (job.usr_cpu + job.sys_cpu) / 100.0 * job.job_runtime as f64 / 1000.0;
        }
        if totals.flushes > 0 {
            totals.flush_mean_us = flush_ns / totals.flushes as f64 / 1000.0;
        }
        ensure!(totals.ios > 0 && totals.seconds > 0.0, "fio finished without a single I/O");
        Ok(totals)
    }
}

impl Totals {
    /// I/Os per second.
    pub(crate) fn iops(&self) -> f64 {
        self.ios as f64 / self.seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_run_of_the_null_engine() {
        let output = Output::parse(include_str!("fixtures/null-randrw.json")).unwrap();
        let totals = output.totals().unwrap();
        // fio counts what was in flight when the ramp ended on one side only.
        assert!(totals.ios.abs_diff(totals.latency.count()) <= 32);
        assert!(totals.writes > 0 && totals.writes < totals.ios);
        assert!((totals.seconds - 1.0).abs() < 0.01);
        assert_eq!(totals.flushes, 0);
        assert!(totals.latency.quantile_us(0.5).is_some_and(|us| us < 1.0));
    }

    #[test]
    fn a_recorded_run_with_flushes_after_notes() {
        let text = format!("fio: a note\nanother\n{}", include_str!("fixtures/io_uring-fsync.json"));
        let totals = Output::parse(&text).unwrap().totals().unwrap();
        assert_eq!(totals.ios, totals.writes);
        assert!(totals.flushes > 0 && totals.flush_mean_us > 0.0);
        assert!(totals.job_threads_cpu_seconds > 0.0);
    }

    #[test]
    fn errors_are_told() {
        let text = include_str!("fixtures/io_uring-fsync.json").replace("\"error\" : 0", "\"error\" : 5");
        let error = Output::parse(&text).unwrap().totals().unwrap_err();
        assert!(error.to_string().contains("Input/output error"));
        assert!(Output::parse("fio: engine foo not loadable").is_err());
    }
}
