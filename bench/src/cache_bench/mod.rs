//! `ringbd bench cache`: writeback against writethrough against none, beside the disk and fio itself.
//!
//! Every cell is a real fio process. The image is reached through fio's plugin, the disk through fio's own
//! `io_uring` engine on a prefilled file of the same file system, and fio's `null` engine shows what fio
//! itself costs. All cells of a round run in random order; ratios are taken within rounds.

mod campaign;
pub(crate) mod compare;
mod findings;
mod fio;
mod image;
mod job;
mod job_file;
mod machine;
mod mode;
mod options;
mod plan;
mod results;
#[cfg(test)]
pub(crate) mod sample;
mod summary;
mod table;
mod warnings;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use ringbd::config::Sources;

pub(crate) use findings::findings;
pub(crate) use image::{ImageUnderTest, provide};
pub(crate) use job::Job;
pub(crate) use mode::{Lane, Mode};
pub(crate) use options::CacheArgs;
pub(crate) use results::{CellResult, Drain, Results, Versus};

use self::campaign::Campaign;
use self::fio::Fio;
use self::job_file::Targets;
use self::options::Matrix;
use self::plan::Plan;
use self::results::{LaneCache, Settings};
use crate::environment::Environment;
use crate::report;

/// Where the outcome was written.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) results: Results,
    pub(crate) json: PathBuf,
    pub(crate) html: PathBuf,
}

/// Says what would be run.
pub(crate) fn describe_plan(args: &CacheArgs) -> Result<String> {
    let matrix = args.matrix()?;
    let plan = Plan::new(&matrix.jobs, &matrix.lanes, matrix.repeats, matrix.seed);
    Ok(table::plan(&plan, &matrix))
}

/// Says in a line what would be run.
pub(crate) fn summarize_plan(args: &CacheArgs) -> Result<String> {
    let matrix = args.matrix()?;
    let plan = Plan::new(&matrix.jobs, &matrix.lanes, matrix.repeats, matrix.seed);
    Ok(table::plan_in_a_line(&plan, &matrix))
}

/// Measures, and writes the results to `args.out`.
pub(crate) fn run(
    args: &CacheArgs,
    image: &ImageUnderTest,
    sources: &Sources,
    show_progress: bool,
) -> Result<Written> {
    let matrix = args.matrix()?;
    let fio = Fio::probe(&args.fio)?;
    let plugin = args.plugin_path()?;
    let environment = Environment::capture(&fio.version, &image.store);
    let out = create_out_dir(&args.out_dir(&environment.date))?;
    let peer = PeerFile { path: image.store.join("bench-peer.raw") };
    let targets = Targets {
        plugin,
        store: image.store.clone(),
        pool: image.pool.clone(),
        image: image.image.clone(),
        image_bytes: image.bytes,
        cache_bytes: args.cache_size,
        peer_file: peer.path.clone(),
    };
    let campaign = Campaign {
        fio,
        targets,
        clock: matrix.clock,
        plan: Plan::new(&matrix.jobs, &matrix.lanes, matrix.repeats, matrix.seed),
        jobs_dir: out.join("jobs"),
        work_dir: out.join("work"),
        show_progress,
    };
    let started = Instant::now();
    campaign.write_job_files()?;
    let caches = campaign.describe_caches(sources)?;
    campaign.fill()?;
    let (mut cells, latencies) = campaign.run()?;
    drop(peer);
    summary::summarize(&mut cells, &latencies);
    let settings = settings(&campaign, &matrix, caches, started);
    let mut results =
        Results { schema: results::SCHEMA.to_owned(), settings, environment, cells, warnings: Vec::new() };
    warnings::doubt(&mut results);
    fs::remove_dir_all(&campaign.work_dir)
        .with_context(|| format!("cannot remove `{}`", campaign.work_dir.display()))?;
    save(results, &out)
}

/// The tables for the terminal.
pub(crate) fn tables(results: &Results) -> String {
    table::results(results)
}

/// Writes the report of a result file again.
pub(crate) fn rewrite_report(json: &Path, html: &Path) -> Result<()> {
    write_report(&Results::load(json)?, html)
}

fn settings(campaign: &Campaign, matrix: &Matrix, caches: Vec<LaneCache>, started: Instant) -> Settings {
    let targets = &campaign.targets;
    Settings {
        seed: matrix.seed,
        repeats: matrix.repeats,
        runtime_seconds: matrix.clock.runtime.as_secs_f64(),
        ramp_seconds: matrix.clock.ramp.as_secs_f64(),
        image: format!("{}/{}", targets.pool, targets.image),
        image_bytes: targets.image_bytes,
        cache_bytes: targets.cache_bytes,
        store: targets.store.display().to_string(),
        plugin: targets.plugin.display().to_string(),
        peer_file: targets.peer_file.display().to_string(),
        caches,
        elapsed_seconds: started.elapsed().as_secs_f64(),
    }
}

fn save(results: Results, out: &Path) -> Result<Written> {
    let (json, html) = (out.join("results.json"), out.join("report.html"));
    results.save(&json)?;
    write_report(&results, &html)?;
    Ok(Written { results, json, html })
}

fn write_report(results: &Results, html: &Path) -> Result<()> {
    fs::write(html, report::page(results)).with_context(|| format!("cannot write `{}`", html.display()))
}

/// Makes `out` with its folders. Results that are there already are never overwritten.
fn create_out_dir(out: &Path) -> Result<PathBuf> {
    let old = out.join("results.json");
    ensure!(!old.exists(), "`{}` exists: results are not overwritten (choose another --out)", old.display());
    for folder in ["jobs", "work"] {
        let path = out.join(folder);
        fs::create_dir_all(&path).with_context(|| format!("cannot create `{}`", path.display()))?;
    }
    out.canonicalize().with_context(|| format!("cannot find `{}`", out.display()))
}

/// The file for fio's own engine; it goes away when measuring ends, however it ends.
#[derive(Debug)]
struct PeerFile {
    path: PathBuf,
}

impl Drop for PeerFile {
    fn drop(&mut self) {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!("cannot remove `{}`: {error}", self.path.display());
            }
            _ => {}
        }
    }
}
