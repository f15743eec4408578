//! The measuring itself: fill the targets, then run the plan slot by slot.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ringbd::config::Sources;
use ringbd::config::{ImageSpec, Settings};

use super::fio::{self, Finished, Fio, Histogram};
use super::job_file::{Clock, Targets, conf_file, fill_file, job_file};
use super::machine::MachineCpu;
use super::mode::{Lane, Mode};
use super::plan::{Cell, Plan};
use super::results::{CellResult, LaneCache, Measured, Percentiles, Run};
use crate::environment;
use crate::progress::Progress;
use crate::size;

/// Everything a run needs, and where its files go.
#[derive(Debug)]
pub(crate) struct Campaign {
    pub(crate) fio: Fio,
    pub(crate) targets: Targets,
    pub(crate) clock: Clock,
    pub(crate) plan: Plan,
    /// Job files and configurations, kept for those who want to repeat a cell by hand.
    pub(crate) jobs_dir: PathBuf,
    /// fio's output of the run at hand.
    pub(crate) work_dir: PathBuf,
    pub(crate) show_progress: bool,
}

/// The slowest disk that filling still waits for, in bytes per second.
const FILL_RATE_MIN: u64 = 4 << 20;

impl Campaign {
    /// Writes the job files and configurations.
    pub(crate) fn write_job_files(&self) -> Result<()> {
        for mode in Mode::ALL {
            write(&self.conf_path(mode), &conf_file(mode, self.targets.cache_bytes))?;
        }
        for cell in &self.plan.cells {
            let conf = self.cell_conf(cell.lane);
            let text = job_file(&cell.job, cell.lane, &self.targets, self.clock, &conf);
            write(&self.job_path(cell), &text)?;
        }
        Ok(())
    }

    /// What the configuration makes of each mode: the cache that really runs.
    pub(crate) fn describe_caches(&self, sources: &Sources) -> Result<Vec<LaneCache>> {
        let mut modes: Vec<Mode> = self.plan.cells.iter().filter_map(|cell| cell.lane.mode()).collect();
        modes.sort_unstable();
        modes.dedup();
        let describe = |mode: Mode| {
            let spec = ImageSpec::new(&self.targets.pool, &self.targets.image);
            let mut sources = sources.clone().with_cache(mode.name().parse()?);
            sources.conf = Some(self.conf_path(mode));
            let settings = Settings::load(&spec, &sources)?;
            let cache = settings.cache();
            let sizes = if cache.size_bytes == 0 {
                String::new()
            } else {
                format!(
                    "; {} of cache, at most {} dirty",
                    size::human(cache.size_bytes),
                    size::human(cache.max_dirty_bytes)
                )
            };
            Ok(LaneCache { lane: Lane::Image(mode), cache: format!("{cache}{sizes}") })
        };
        modes.into_iter().map(describe).collect()
    }

    /// Writes every byte of the image and of the file beside it, so that no cell measures allocation or
    /// holes.
    pub(crate) fn fill(&self) -> Result<()> {
        let planned = Duration::from_secs(10 + self.targets.image_bytes / FILL_RATE_MIN);
        for (lane, what) in [(Lane::IoUring, "the file"), (Lane::Image(Mode::None), "the image")] {
            if !self
                .plan
                .cells
                .iter()
                .any(|cell| cell.lane == lane || cell.lane.mode().is_some() && lane.mode().is_some())
            {
                continue;
            }
            let job = self.jobs_dir.join(format!("fill.{lane}.fio"));
            write(&job, &fill_file(lane, &self.targets, &self.cell_conf(lane)))?;
            let bar = Progress::time(self.show_progress, &format!("Filling {what}"), planned / 10);
            fio::run(&self.fio, &job, &self.work_dir, planned, &mut |passed| bar.set_time(passed))
                .with_context(|| format!("cannot fill {what}"))?;
            bar.finish();
        }
        Ok(())
    }

    /// Runs the plan; each cell's runs and its latencies, all repeats together.
    pub(crate) fn run(&self) -> Result<(Vec<CellResult>, Vec<Histogram>)> {
        let mut cells: Vec<CellResult> = self
            .plan
            .cells
            .iter()
            .map(|cell| CellResult {
                job: cell.job.clone(),
                lane: cell.lane,
                runs: vec![],
                summary: None,
                warnings: vec![],
            })
            .collect();
        let mut latencies = vec![Histogram::default(); cells.len()];
        let total = self.plan.total_time(self.clock.runtime, self.clock.ramp);
        let bar = Progress::time(self.show_progress, "Measuring", total);
        let mut done = Duration::ZERO;
        for (position, slot) in self.plan.slots.iter().enumerate() {
            let cell = &self.plan.cells[slot.cell];
            bar.say(format!("round {}: {}", slot.round + 1, cell.name()));
            let planned = Plan::run_time(&cell.job, self.clock.runtime, self.clock.ramp);
            let outcome =
                self.run_cell(cell, planned, &mut |passed| bar.set_time(done + passed.min(planned)));
            done += planned;
            let (measured, error) = match outcome {
                Ok((measured, latency)) => {
                    latencies[slot.cell].add(&latency);
                    (Some(measured), None)
                }
                Err(error) => {
                    tracing::warn!("{} failed: {error:#}", cell.name());
                    (None, Some(format!("{error:#}")))
                }
            };
            cells[slot.cell].runs.push(Run { round: slot.round, position, error, measured });
        }
        bar.finish();
        Ok((cells, latencies))
    }

    fn run_cell(
        &self,
        cell: &Cell,
        planned: Duration,
        progress: &mut dyn FnMut(Duration),
    ) -> Result<(Measured, Histogram)> {
        remove_logs(&self.work_dir)?;
        let machine_before = MachineCpu::now();
        let started = Instant::now();
        let finished = fio::run(&self.fio, &self.job_path(cell), &self.work_dir, planned, progress)?;
        let wall_seconds = started.elapsed().as_secs_f64();
        let elsewhere = machine_before.zip(MachineCpu::now()).and_then(|(before, after)| {
            before.elsewhere(&after, finished.cpu.process_seconds, wall_seconds, environment::cores())
        });
        let mut measured = measured(&finished, fio::read_rates(&self.work_dir));
        measured.others_cores = elsewhere.map(|elsewhere| elsewhere.others_cores);
        measured.stolen_cores = elsewhere.map(|elsewhere| elsewhere.stolen_cores);
        Ok((measured, finished.totals.latency))
    }

    fn job_path(&self, cell: &Cell) -> PathBuf {
        self.jobs_dir.join(format!("{}.fio", cell.name()))
    }

    fn conf_path(&self, mode: Mode) -> PathBuf {
        self.jobs_dir.join(format!("{}.conf", mode.name()))
    }

    fn cell_conf(&self, lane: Lane) -> PathBuf {
        match lane {
            Lane::Image(mode) => self.conf_path(mode),
            Lane::IoUring | Lane::Null => PathBuf::new(),
        }
    }
}

fn measured(finished: &Finished, rates: Vec<f64>) -> Measured {
    let totals = &finished.totals;
    Measured {
        ios: totals.ios,
        writes: totals.writes,
        seconds: totals.seconds,
        iops: totals.iops(),
        bytes_per_second: totals.bytes as f64 / totals.seconds,
        cpu_us_per_io: finished.cpu.measured_seconds * 1e6 / totals.ios as f64,
        cpu_process_seconds: finished.cpu.process_seconds,
        cpu_measured_seconds: finished.cpu.measured_seconds,
        cpu_job_threads_seconds: totals.job_threads_cpu_seconds,
        latency_us: Percentiles::from_fn(|quantile| totals.latency.quantile_us(quantile)),
        flushes: totals.flushes,
        flush_mean_us: totals.flush_mean_us,
        rates,
        others_cores: None,
        stolen_cores: None,
    }
}

/// Removes the logs of the run before, so that they cannot be taken for this one's.
fn remove_logs(work_dir: &Path) -> Result<()> {
    let listing = fs::read_dir(work_dir).with_context(|| format!("cannot list `{}`", work_dir.display()))?;
    for entry in listing.flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "log") {
            fs::remove_file(entry.path())
                .with_context(|| format!("cannot remove `{}`", entry.path().display()))?;
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))
}
