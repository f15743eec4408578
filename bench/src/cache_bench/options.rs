//! The command line of `ringbd bench cache`, checked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use super::job::{Job, all_jobs, select_jobs};
use super::job_file::Clock;
use super::mode::{Lane, Mode};

/// Compare the cache modes of an image with each other, with the disk and with fio itself.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CacheArgs {
    /// The image to measure on; it is created when it does not exist, and then removed at the end
    #[arg(value_name = "POOL/IMAGE", default_value = "bench/ringbd-bench")]
    pub(crate) image: String,
    /// Measure on an image that exists: its contents are overwritten
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// The short matrix with short runs: about three minutes
    #[arg(long)]
    pub(crate) quick: bool,
    /// The cache modes [default: all; with --quick: none,writethrough,writeback]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "MODE,…")]
    pub(crate) modes: Vec<Mode>,
    /// The jobs, by name; `*` stands for any characters (see --dry-run) [default: all]
    #[arg(long, value_delimiter = ',', value_name = "JOB,…")]
    pub(crate) jobs: Vec<String>,
    /// How long each run is measured [default: 3s; with --quick: 1.5s]
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    pub(crate) runtime: Option<Duration>,
    /// How long a warm job runs before that [default: 1s; with --quick: 0.5s]
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    pub(crate) ramp: Option<Duration>,
    /// How often each cell runs; six give intervals of 95 % [default: 6; with --quick: 3]
    #[arg(long, value_name = "N")]
    pub(crate) repeats: Option<usize>,
    /// Shuffles the order of the runs; a printed seed gives the same order again [default: random]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// The size of the image and of the file beside it
    #[arg(long, short, value_parser = crate::size::parse, default_value = "1G", value_name = "SIZE")]
    pub(crate) size: u64,
    /// The size of the cache
    #[arg(long, value_parser = crate::size::parse, default_value = "32M", value_name = "SIZE")]
    pub(crate) cache_size: u64,
    /// Where the results go [default: ringbd-bench-DATE]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Where the folder with the default name goes.
    #[arg(skip)]
    pub(crate) out_parent: Option<PathBuf>,
    /// The fio to run
    #[arg(long, default_value = "fio", value_name = "PATH")]
    pub(crate) fio: PathBuf,
    /// The plugin [default: libfio_ringbd.so beside this program]
    #[arg(long, value_name = "PATH")]
    pub(crate) plugin: Option<PathBuf>,
    /// Show what would run, in which order and for how long, and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What the arguments ask for.
#[derive(Debug, Clone)]
pub(crate) struct Matrix {
    pub(crate) jobs: Vec<Job>,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) clock: Clock,
    pub(crate) repeats: usize,
    pub(crate) seed: u64,
}

/// The most repeats: intervals need no more, and a slip of the finger must not take a week.
const REPEATS_MAX: usize = 1000;

impl CacheArgs {
    /// The same arguments with a seed, so that every plan made of them is the same.
    pub(crate) fn seeded(&self) -> CacheArgs {
        // Six digits are easy to type again.
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
        CacheArgs { seed: Some(seed), ..self.clone() }
    }

    /// Fills in the defaults and checks the rest.
    pub(crate) fn matrix(&self) -> Result<Matrix> {
        let jobs = if self.jobs.is_empty() {
            all_jobs().into_iter().filter(|job| job.quick || !self.quick).collect()
        } else {
            select_jobs(&self.jobs).map_err(|reason| anyhow!(reason))?
        };
        let modes = match (self.modes.is_empty(), self.quick) {
            (false, _) => self.modes.clone(),
            (true, true) => vec![Mode::None, Mode::Writethrough, Mode::Writeback],
            (true, false) => Mode::ALL.to_vec(),
        };
        let lanes = modes.into_iter().map(Lane::Image).chain([Lane::IoUring, Lane::Null]).collect();
        let or_default = |value: Option<Duration>, quick: u64, full: u64| {
            value.unwrap_or(Duration::from_millis(if self.quick { quick } else { full }))
        };
        let clock =
            Clock { runtime: or_default(self.runtime, 1500, 3000), ramp: or_default(self.ramp, 500, 1000) };
        let repeats = self.repeats.unwrap_or(if self.quick { 3 } else { 6 });
        ensure!((1..=REPEATS_MAX).contains(&repeats), "--repeats must be between 1 and {REPEATS_MAX}");
        ensure!(!clock.runtime.is_zero(), "--runtime must not be zero");
        self.check_size(self.size)?;
        ensure!(self.cache_size >= 1 << 20, "--cache-size must be 1M or more");
        let seed = self.seed.context("arguments need a seed before a plan is made of them")?;
        Ok(Matrix { jobs, lanes, clock, repeats, seed })
    }

    /// Refuses an image of `bytes` that has no room for the working set of the cache hits, or no whole blocks
    /// of the largest size.
    pub(crate) fn check_size(&self, bytes: u64) -> Result<()> {
        ensure!(bytes >= 64 << 20, "the image must have 64 MiB or more to be measured on");
        ensure!(bytes.is_multiple_of(1 << 20), "the size must be a multiple of 1M");
        Ok(())
    }

    /// The folder of the results of a run that began at `date`.
    pub(crate) fn out_dir(&self, date: &str) -> PathBuf {
        let name = format!("ringbd-bench-{}", date.replace([':', '-'], ""));
        self.out.clone().unwrap_or_else(|| self.out_parent.clone().unwrap_or_default().join(name))
    }

    /// The plugin's absolute path; an error says how to get one.
    pub(crate) fn plugin_path(&self) -> Result<PathBuf> {
        let path = match &self.plugin {
            Some(path) => path.clone(),
            None => std::env::current_exe()
                .context("cannot find this program's own path")?
                .with_file_name("libfio_ringbd.so"),
        };
        absolute(&path).with_context(|| {
            format!(
                "there is no fio plugin at `{}` (build it: cargo build --release -p fio-ringbd; or name it: \
                 --plugin PATH)",
                path.display()
            )
        })
    }
}

/// The canonical path of a file that exists.
fn absolute(path: &Path) -> Result<PathBuf> {
    Ok(path.canonicalize()?)
}

/// A time like `1.5s`, `200ms`, `2m`; a bare number counts seconds.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        _ => return Err(format!("`{text}` is not a time (write it like 1.5s, 200ms or 2m)")),
    };
    let seconds = number
        .parse::<f64>()
        .map_err(|_| format!("`{text}` is not a time (write it like 1.5s, 200ms or 2m)"))?;
    Duration::try_from_secs_f64(seconds * scale)
        .ok()
        .filter(|duration| *duration <= Duration::from_secs(86_400))
        .ok_or_else(|| format!("`{text}` is longer than a day"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: CacheArgs,
    }

    fn args(line: &str) -> CacheArgs {
        let words = std::iter::once("x").chain(line.split_whitespace());
        <Line as clap::Parser>::try_parse_from(words).unwrap().args
    }

    #[test]
    fn the_quick_matrix_takes_under_four_minutes() {
        let matrix = args("--quick").seeded().matrix().unwrap();
        assert_eq!(matrix.lanes.len(), 5);
        let plan = super::super::plan::Plan::new(&matrix.jobs, &matrix.lanes, matrix.repeats, 1);
        assert!(plan.total_time(matrix.clock.runtime, matrix.clock.ramp) < Duration::from_secs(200));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for bad in ["--repeats 0", "--size 1M", "--runtime 0", "--jobs warp", "--cache-size 1K"] {
            assert!(args(bad).matrix().is_err(), "{bad}");
        }
        assert_eq!(args("--modes writeback --seed 7").matrix().unwrap().seed, 7);
    }

    #[test]
    fn times() {
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(parse_duration("3"), Ok(Duration::from_secs(3)));
        for bad in ["", "s", "1h", "-1s", "99999999s", "1.2.3"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
