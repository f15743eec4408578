//! The result file: everything that was measured and where, as one versioned JSON document.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::job::Job;
use super::mode::Lane;
use crate::environment::Environment;
use crate::stats::Estimate;

/// The document's type and version. A change that a reader of version 1 would misread takes the next number.
pub(crate) const SCHEMA: &str = "ringbd-bench-cache/1";

/// The document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Results {
    /// Always [`SCHEMA`].
    pub(crate) schema: String,
    pub(crate) settings: Settings,
    pub(crate) environment: Environment,
    pub(crate) cells: Vec<CellResult>,
    /// Reasons not to believe the numbers, of the whole run; those of one cell stand with it.
    pub(crate) warnings: Vec<String>,
}

/// How it was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// The order of the runs follows from it.
    pub(crate) seed: u64,
    pub(crate) repeats: usize,
    pub(crate) runtime_seconds: f64,
    pub(crate) ramp_seconds: f64,
    pub(crate) image: String,
    pub(crate) image_bytes: u64,
    pub(crate) cache_bytes: u64,
    pub(crate) store: String,
    pub(crate) plugin: String,
    pub(crate) peer_file: String,
    /// The cache that really ran in each mode, and who decided it.
    pub(crate) caches: Vec<LaneCache>,
    pub(crate) elapsed_seconds: f64,
}

/// The cache of a lane, as the configuration resolved it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LaneCache {
    pub(crate) lane: Lane,
    /// For people: mode, deciding option, sizes.
    pub(crate) cache: String,
}

/// One job on one lane, all repeats.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CellResult {
    pub(crate) job: Job,
    pub(crate) lane: Lane,
    pub(crate) runs: Vec<Run>,
    /// `None` when every run failed.
    pub(crate) summary: Option<Summary>,
    pub(crate) warnings: Vec<String>,
}

/// One run of fio.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) round: usize,
    /// The place in the order of all runs.
    pub(crate) position: usize,
    /// Why it failed; then there is no measurement.
    pub(crate) error: Option<String>,
    pub(crate) measured: Option<Measured>,
}

/// What one run gave.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) ios: u64,
    pub(crate) writes: u64,
    pub(crate) seconds: f64,
    pub(crate) iops: f64,
    pub(crate) bytes_per_second: f64,
    /// User and system time of the whole fio process over the measured time, per I/O.
    pub(crate) cpu_us_per_io: f64,
    /// The same over the life of the process, in seconds: start-up, ramp, measured time and end.
    pub(crate) cpu_process_seconds: f64,
    /// The same over the measured time.
    pub(crate) cpu_measured_seconds: f64,
    /// fio's own figure for its job threads over the measured time, to compare.
    pub(crate) cpu_job_threads_seconds: f64,
    pub(crate) latency_us: Percentiles<Option<f64>>,
    pub(crate) flushes: u64,
    pub(crate) flush_mean_us: f64,
    /// IOPS in each tenth of a second.
    pub(crate) rates: Vec<f64>,
    /// CPU that other programs and other machines of the host took meanwhile, in cores.
    pub(crate) others_cores: Option<f64>,
    pub(crate) stolen_cores: Option<f64>,
}

/// The percentiles that are shown. One is `None` where too few I/Os lie beyond it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Percentiles<T> {
    pub(crate) p50: T,
    pub(crate) p90: T,
    pub(crate) p99: T,
    pub(crate) p99_9: T,
    pub(crate) p99_99: T,
}

impl<T> Percentiles<T> {
    /// One value from each quantile.
    pub(crate) fn from_fn(mut value: impl FnMut(f64) -> T) -> Percentiles<T> {
        Percentiles {
            p50: value(0.5),
            p90: value(0.9),
            p99: value(0.99),
            p99_9: value(0.999),
            p99_99: value(0.9999),
        }
    }
}

/// The repeats of a cell, summed up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) iops: Estimate,
    pub(crate) bytes_per_second: Estimate,
    pub(crate) cpu_us_per_io: Estimate,
    pub(crate) latency_us: Percentiles<Option<Estimate>>,
    /// Total latency of all repeats together, as (quantile, µs).
    pub(crate) latency_curve: Vec<(f64, f64)>,
    /// For bursts of writes with a flush after each.
    pub(crate) drain: Option<Drain>,
    /// Mean latency of the flushes that the job asked for.
    pub(crate) flush_us: Option<Estimate>,
    /// Against fio's own `io_uring` engine, in the same rounds.
    pub(crate) versus_io_uring: Option<Versus>,
    /// Against fio's `null` engine, in the same rounds.
    pub(crate) versus_null: Option<Versus>,
}

/// A cell against a reference of the same job, pairwise in each round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Versus {
    pub(crate) iops_ratio: Estimate,
    pub(crate) cpu_ratio: Option<Estimate>,
    /// What an I/O costs more than in the reference.
    pub(crate) cpu_difference_us: Estimate,
    pub(crate) p99_ratio: Option<Estimate>,
}

/// Acknowledging and draining, told apart: a burst is written one I/O at a time, then flushed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Drain {
    pub(crate) burst_bytes: u64,
    /// Writes per second while only acknowledgements are waited for.
    pub(crate) acknowledged_iops: Estimate,
    /// The same as bytes per second.
    pub(crate) acknowledged_bytes_per_second: Estimate,
    /// Bytes of a burst over the time that its flush took. `None` where the store acknowledges, so that
    /// nothing is left to drain, and where a flush is ignored.
    pub(crate) drain_bytes_per_second: Option<Estimate>,
    /// From the last acknowledgement until everything is durable.
    pub(crate) time_to_clean_us: Option<Estimate>,
    /// Writes per second from the first write of a burst to the end of its flush.
    pub(crate) durable_iops: Estimate,
}

impl Results {
    /// The cell of `job` on `lane`.
    pub(crate) fn cell(&self, job: &str, lane: Lane) -> Option<&CellResult> {
        self.cells.iter().find(|cell| cell.job.name == job && cell.lane == lane)
    }

    /// The jobs in the order of the tables.
    pub(crate) fn jobs(&self) -> Vec<&Job> {
        let mut jobs: Vec<&Job> = Vec::new();
        for cell in &self.cells {
            if jobs.iter().all(|job| job.name != cell.job.name) {
                jobs.push(&cell.job);
            }
        }
        jobs
    }

    /// Writes the document.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("cannot encode the results")?;
        fs::write(path, text + "\n").with_context(|| format!("cannot write `{}`", path.display()))
    }

    /// Reads a document back; another schema is an error that says so.
    pub(crate) fn load(path: &Path) -> Result<Results> {
        let name = path.display();
        let text = fs::read_to_string(path).with_context(|| format!("cannot read `{name}`"))?;
        let value: serde_json::Value =
            serde_json::from_str(&text).with_context(|| format!("`{name}` is not a JSON document"))?;
        match value.get("schema").and_then(serde_json::Value::as_str) {
            Some(SCHEMA) => serde_json::from_value(value).with_context(|| format!("`{name}` is damaged")),
            Some(other) => bail!("`{name}` has the schema `{other}`; this ringbd reads `{SCHEMA}`"),
            None => bail!("`{name}` is not a result of `ringbd bench cache`: it names no schema"),
        }
    }
}

impl CellResult {
    /// The measurement of each round that succeeded.
    pub(crate) fn measured(&self) -> impl Iterator<Item = (usize, &Measured)> {
        self.runs.iter().filter_map(|run| run.measured.as_ref().map(|measured| (run.round, measured)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::mode::Mode;
    use super::super::sample;
    use super::*;

    #[test]
    fn a_document_reads_back() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let results = sample::results(0.9);
        results.save(file.path()).unwrap();
        let again = Results::load(file.path()).unwrap();
        assert_eq!(again.jobs(), results.jobs());
        let none = Lane::Image(Mode::None);
        let rate = |results: &Results| {
            results.cell("burst", none).and_then(|cell| cell.summary.as_ref()).map(|cell| cell.iops.median)
        };
        // Decimal digits cost the last bit at most.
        assert!((rate(&again).unwrap() - rate(&results).unwrap()).abs() < 1e-6);
    }

    #[test]
    fn foreign_documents_are_refused_by_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, reason) in [
            ("{\"schema\": \"ringbd-bench-cache/99\"}", "this ringbd reads"),
            ("{\"schema\": \"ringbd-bench-cache/1\"}", "is damaged"),
            ("{}", "names no schema"),
            ("fio", "not a JSON document"),
        ] {
            fs::write(file.path(), text).unwrap();
            let error = Results::load(file.path()).unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains(&*file.path().to_string_lossy()), "{error}");
        }
        assert!(Results::load(Path::new("/nope")).is_err());
    }
}
