//! Made-up results, for the tests of whatever reads results.

use super::fio::Histogram;
use super::job::all_jobs;
use super::mode::{Lane, Mode};
use super::results::{CellResult, LaneCache, Measured, Percentiles, Results, Run, SCHEMA, Settings};
use super::{summary, warnings};
use crate::environment::Environment;

/// A measurement of two seconds, one of them spent in ten flushes.
fn measured(iops: f64, cpu_us_per_io: f64) -> Measured {
    Measured {
        ios: (iops * 2.0) as u64,
        writes: (iops * 2.0) as u64,
        seconds: 2.0,
        iops,
        bytes_per_second: iops * 4096.0,
        cpu_us_per_io,
        cpu_process_seconds: 1.0,
        cpu_measured_seconds: 1.0,
        cpu_job_threads_seconds: 1.0,
        latency_us: Percentiles { p50: Some(10.0), p99: Some(1e6 / iops), ..Percentiles::default() },
        flushes: 10,
        flush_mean_us: 100_000.0,
        rates: vec![],
        others_cores: None,
        stolen_cores: None,
    }
}

/// A cell with a run for each rate; `None` is a run that failed.
pub(crate) fn cell(job: &str, lane: Lane, iops: &[Option<f64>]) -> CellResult {
    let job = all_jobs().into_iter().find(|candidate| candidate.name == job).unwrap();
    let run = |(round, iops): (usize, &Option<f64>)| Run {
        round,
        position: round,
        error: iops.is_none().then(|| "failed".to_owned()),
        measured: iops.map(|iops| measured(iops, 2.0)),
    };
    let runs = iops.iter().enumerate().map(run).collect();
    CellResult { job, lane, runs, summary: None, warnings: vec![] }
}

/// Five rounds of two jobs on three lanes; the image runs at `share` of what the file gives.
pub(crate) fn results(share: f64) -> Results {
    let none = Lane::Image(Mode::None);
    let rates = [990.0, 1000.0, 1010.0, 1005.0, 995.0];
    let mut cells = Vec::new();
    for job in ["randread-qd32", "burst"] {
        cells.push(cell(job, none, &rates.map(|rate| Some(rate * 100.0 * share))));
        cells.push(cell(job, Lane::IoUring, &rates.map(|rate| Some(rate * 100.0))));
    }
    cells.push(cell("randread-qd32", Lane::Null, &rates.map(|rate| Some(rate * 3000.0))));
    let mut latency = Histogram::default();
    latency.merge(&(1..2000).map(|us| (us * 1000, 100)).collect());
    summary::summarize(&mut cells, &vec![latency; 5]);
    let settings = Settings {
        seed: 7,
        repeats: 5,
        runtime_seconds: 2.0,
        ramp_seconds: 0.0,
        image: "data/foo".to_owned(),
        image_bytes: 1 << 30,
        cache_bytes: 32 << 20,
        store: "/srv/ring".to_owned(),
        plugin: "/lib/libfio_ringbd.so".to_owned(),
        peer_file: "/srv/ring/bench-peer.raw".to_owned(),
        caches: vec![LaneCache { lane: none, cache: "none (rbd_cache from cache=none)".to_owned() }],
        elapsed_seconds: 60.0,
    };
    let environment = Environment::capture("fio-3.33", std::path::Path::new("/"));
    let mut results = Results { schema: SCHEMA.to_owned(), settings, environment, cells, warnings: vec![] };
    warnings::doubt(&mut results);
    results
}
