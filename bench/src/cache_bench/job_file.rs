//! The fio job file and the Ceph configuration of one cell.
//!
//! Both are kept beside the results, so that any cell can be run again by hand with plain fio. The cache mode
//! goes through the plugin's `cache` option; the configuration file holds only sizes, because a `rbd_cache`
//! there would win over it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::job::{CacheState, Job};
use super::mode::{Lane, Mode};

/// Where the lanes find what they measure.
#[derive(Debug, Clone)]
pub(crate) struct Targets {
    /// `libfio_ringbd.so`.
    pub(crate) plugin: PathBuf,
    /// The embedded store.
    pub(crate) store: PathBuf,
    pub(crate) pool: String,
    pub(crate) image: String,
    /// How much of the image the jobs use: all of it.
    pub(crate) image_bytes: u64,
    /// `rbd_cache_size`; the dirty limits keep their default proportions to it.
    pub(crate) cache_bytes: u64,
    /// The prefilled file for fio's own engine.
    pub(crate) peer_file: PathBuf,
}

/// How long each run takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    /// How long a run is measured.
    pub(crate) runtime: Duration,
    /// How long a warm job runs before that.
    pub(crate) ramp: Duration,
}

/// How often fio notes the rate.
pub(crate) const LOG_INTERVAL_MS: u64 = 100;

/// The start of the names of fio's logs, in the folder that it runs in.
pub(crate) const LOG_PREFIX: &str = "rate";

/// The job file of `job` on `lane`.
pub(crate) fn job_file(job: &Job, lane: Lane, targets: &Targets, clock: Clock, conf: &Path) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: &dyn std::fmt::Display| {
        writeln!(text, "{key}={value}").expect("writing to a String cannot fail");
    };
    line("[measured]\nioengine", &engine(lane, targets));
    for (key, value) in engine_options(lane, targets, conf) {
        line(key, &value);
    }
    line("rw", &job.pattern.fio_rw());
    if job.pattern.fio_rw() == "randrw" {
        line("rwmixread", &70);
    }
    line("bs", &job.block_bytes);
    line("iodepth", &job.queue_depth);
    line("size", &job.working_set_bytes.unwrap_or(targets.image_bytes).min(targets.image_bytes));
    // Threads, never processes: one process to account for, and the plugin can share one engine among them.
    line("thread", &1);
    line("numjobs", &job.threads);
    line("group_reporting", &1);
    if !job.visits_each_block_once() {
        // Without fio's map of visited blocks, which costs CPU on every lane.
        line("norandommap", &1);
    }
    if let Some(writes) = job.flush_every {
        line("fsync", &writes);
    }
    if job.pattern.writes() && lane != Lane::Null {
        // The clock stops when everything is durable, so that no lane gains by leaving work undone.
        line("end_fsync", &1);
    }
    line("time_based", &1);
    line("runtime", &format!("{}ms", clock.runtime.as_millis()));
    if job.cache_state == CacheState::Warm && !clock.ramp.is_zero() {
        line("ramp_time", &format!("{}ms", clock.ramp.as_millis()));
    }
    // Total latency: an engine that answers within the submission must not look faster than it is.
    line("lat_percentiles", &1);
    line("clat_percentiles", &0);
    line("write_iops_log", &LOG_PREFIX);
    line("log_avg_msec", &LOG_INTERVAL_MS);
    text
}

fn engine(lane: Lane, targets: &Targets) -> String {
    match lane {
        Lane::Image(_) => format!("external:{}", targets.plugin.display()),
        Lane::IoUring => "io_uring".to_owned(),
        Lane::Null => "null".to_owned(),
    }
}

fn engine_options(lane: Lane, targets: &Targets, conf: &Path) -> Vec<(&'static str, String)> {
    match lane {
        Lane::Image(mode) => vec![
            ("pool", targets.pool.clone()),
            ("rbdname", targets.image.clone()),
            ("store", targets.store.display().to_string()),
            ("cache", mode.name().to_owned()),
            ("conf", conf.display().to_string()),
        ],
        Lane::IoUring => vec![
            ("filename", escape_filename(&targets.peer_file.display().to_string())),
            ("direct", "1".to_owned()),
            ("registerfiles", "1".to_owned()),
            ("fixedbufs", "1".to_owned()),
        ],
        Lane::Null => vec![],
    }
}

/// fio takes a `:` in a file name as a list's separator.
fn escape_filename(name: &str) -> String {
    name.replace(':', "\\:")
}

/// The Ceph configuration file of the cells of `mode`.
pub(crate) fn conf_file(mode: Mode, cache_bytes: u64) -> String {
    let mut text = format!("[client]\nrbd_cache_size = {cache_bytes}\n");
    if mode != Mode::Writethrough {
        // The proportions of librbd's defaults: 32, 24 and 16 MiB. Writethrough is a dirty limit of zero.
        text += &format!("rbd_cache_max_dirty = {}\n", cache_bytes / 4 * 3);
        text += &format!("rbd_cache_target_dirty = {}\n", cache_bytes / 2);
    }
    text + "# A job that never flushes would be measured as writethrough otherwise.\n\
            rbd_cache_writethrough_until_flush = false\n"
}

/// The job file that fills a target from its first byte to its last.
pub(crate) fn fill_file(lane: Lane, targets: &Targets, conf: &Path) -> String {
    let mut text = format!("[fill]\nioengine={}\n", engine(lane, targets));
    for (key, value) in engine_options(lane, targets, conf) {
        writeln!(text, "{key}={value}").expect("writing to a String cannot fail");
    }
    let bytes = targets.image_bytes;
    text + &format!("rw=write\nbs=1m\niodepth=8\nsize={bytes}\nthread=1\nrefill_buffers=1\nend_fsync=1\n")
}

#[cfg(test)]
mod tests {
    use super::super::job::all_jobs;
    use super::*;

    fn targets() -> Targets {
        Targets {
            plugin: "/lib/libfio_ringbd.so".into(),
            store: "/srv/ring".into(),
            pool: "data".into(),
            image: "foo".into(),
            image_bytes: 1 << 30,
            cache_bytes: 32 << 20,
            peer_file: "/srv/a:b".into(),
        }
    }

    fn text(job: &str, lane: Lane) -> String {
        let job = all_jobs().into_iter().find(|candidate| candidate.name == job).unwrap();
        let clock = Clock { runtime: Duration::from_secs(5), ramp: Duration::from_secs(1) };
        job_file(&job, lane, &targets(), clock, Path::new("/out/conf"))
    }

    #[test]
    fn an_image_cell() {
        let text = text("hit-2jobs", Lane::Image(Mode::Writearound));
        for line in [
            "ioengine=external:/lib/libfio_ringbd.so",
            "rbdname=foo",
            "cache=writearound",
            "numjobs=2",
            "size=16777216",
        ] {
            assert!(text.lines().any(|candidate| candidate == line), "{line} in\n{text}");
        }
        assert!(!text.contains("end_fsync"));
    }

    #[test]
    fn writes_end_with_a_flush_and_cold_cells_have_no_ramp() {
        assert!(text("randwrite-qd32", Lane::IoUring).contains("end_fsync=1"));
        assert!(text("randwrite-qd32", Lane::IoUring).contains("filename=/srv/a\\:b"));
        let cold = text("randread-cold-qd32", Lane::Image(Mode::None));
        assert!(!cold.contains("ramp_time") && !cold.contains("norandommap"));
    }

    #[test]
    fn the_configuration_leaves_the_mode_to_the_cache_option() {
        for mode in Mode::ALL {
            assert!(!conf_file(mode, 32 << 20).contains("rbd_cache ="));
        }
        assert!(conf_file(Mode::Writeback, 32 << 20).contains("rbd_cache_max_dirty = 25165824"));
        assert!(!conf_file(Mode::Writethrough, 32 << 20).contains("rbd_cache_max_dirty"));
    }
}
