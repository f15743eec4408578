//! The jobs: what fio is asked to do, in a form that knows no engine.

use serde::{Deserialize, Serialize};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// The direction and order of a job's I/O.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pattern {
    /// Random reads.
    RandRead,
    /// Random writes.
    RandWrite,
    /// Seven random reads to three random writes.
    RandRw,
    /// Sequential reads.
    Read,
    /// Sequential writes.
    Write,
}

impl Pattern {
    /// fio's `rw=`.
    pub(crate) const fn fio_rw(self) -> &'static str {
        match self {
            Pattern::RandRead => "randread",
            Pattern::RandWrite => "randwrite",
            Pattern::RandRw => "randrw",
            Pattern::Read => "read",
            Pattern::Write => "write",
        }
    }

    /// Whether any of the I/O writes.
    pub(crate) const fn writes(self) -> bool {
        matches!(self, Pattern::RandWrite | Pattern::RandRw | Pattern::Write)
    }

    const fn is_random(self) -> bool {
        matches!(self, Pattern::RandRead | Pattern::RandWrite | Pattern::RandRw)
    }
}

/// What the cache holds when the clock starts. A fio run is a process, so its cache always begins empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CacheState {
    /// The clock starts with the first I/O, on an empty cache, and each block is touched once.
    Cold,
    /// The job itself runs for the ramp time before the clock starts.
    Warm,
}

/// One job of the matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    /// What `--jobs` selects by.
    pub(crate) name: String,
    /// What the job is for, in one sentence.
    pub(crate) purpose: String,
    /// Direction and order.
    pub(crate) pattern: Pattern,
    /// Bytes per I/O.
    pub(crate) block_bytes: u64,
    /// I/Os in flight, per thread.
    pub(crate) queue_depth: u32,
    /// fio threads, all on the same image.
    pub(crate) threads: u32,
    /// The job stays within this many bytes from the start of the image; `None`: all of it.
    pub(crate) working_set_bytes: Option<u64>,
    /// The cache when the clock starts.
    pub(crate) cache_state: CacheState,
    /// A flush after so many writes.
    pub(crate) flush_every: Option<u32>,
    /// Part of the short matrix.
    pub(crate) quick: bool,
}

impl Job {
    /// A random 4 KiB job on the whole image at depth 32; the others are said as differences from it.
    fn new(name: &str, pattern: Pattern, purpose: &str) -> Job {
        Job {
            name: name.to_owned(),
            purpose: purpose.to_owned(),
            pattern,
            block_bytes: 4 * KIB,
            queue_depth: 32,
            threads: 1,
            working_set_bytes: None,
            cache_state: CacheState::Warm,
            flush_every: None,
            quick: false,
        }
    }

    fn depth(mut self, queue_depth: u32) -> Job {
        self.queue_depth = queue_depth;
        self
    }

    fn block(mut self, block_bytes: u64) -> Job {
        self.block_bytes = block_bytes;
        self
    }

    fn threads(mut self, threads: u32) -> Job {
        self.threads = threads;
        self
    }

    fn within(mut self, bytes: u64) -> Job {
        self.working_set_bytes = Some(bytes);
        self
    }

    fn cold(mut self) -> Job {
        self.cache_state = CacheState::Cold;
        self
    }

    fn flush_every(mut self, writes: u32) -> Job {
        self.flush_every = Some(writes);
        self
    }

    fn quick(mut self) -> Job {
        self.quick = true;
        self
    }

    /// Whether every read is answered from a cache of `cache_bytes` once it is warm.
    pub(crate) fn fits(&self, cache_bytes: u64) -> bool {
        self.cache_state == CacheState::Warm && self.working_set_bytes.is_some_and(|set| set <= cache_bytes)
    }

    /// Whether the job is bursts of writes with a flush after each: then acknowledging and draining can be
    /// told apart.
    pub(crate) fn is_burst(&self) -> bool {
        self.flush_every.is_some_and(|writes| writes > 1)
    }

    /// Bytes between two flushes.
    pub(crate) fn burst_bytes(&self) -> u64 {
        u64::from(self.flush_every.unwrap_or(0)) * self.block_bytes
    }

    /// One line for a table: `randread 4 KiB QD 32, 2 threads, 16 MiB warm`.
    pub(crate) fn shape(&self) -> String {
        let block = if self.block_bytes >= MIB {
            format!("{} MiB", self.block_bytes / MIB)
        } else {
            format!("{} KiB", self.block_bytes / KIB)
        };
        let mut shape = format!("{} {block}, QD {}", self.pattern.fio_rw(), self.queue_depth);
        if self.threads > 1 {
            shape += &format!(" × {} threads", self.threads);
        }
        match self.flush_every {
            Some(1) => shape += ", a flush after each write",
            Some(writes) => shape += &format!(", a flush after {writes} writes"),
            None => {}
        }
        match self.working_set_bytes {
            Some(bytes) => shape += &format!(", {} MiB of the image", bytes / MIB),
            None => shape += ", the whole image",
        }
        shape + if self.cache_state == CacheState::Cold { ", cache cold" } else { ", cache warm" }
    }

    /// Whether fio must visit each block once, in random order.
    pub(crate) fn visits_each_block_once(&self) -> bool {
        self.cache_state == CacheState::Cold && self.pattern.is_random()
    }
}

/// Every job, in the order of the tables.
pub(crate) fn all_jobs() -> Vec<Job> {
    use Pattern::{RandRead, RandRw, RandWrite, Read, Write};
    // Half of the default cache of 32 MiB: it fits with room to spare, and four objects spread over the
    // cores.
    let hits = 16 * MIB;
    vec![
        Job::new("randread-qd1", RandRead, "Latency of a random read; the image is larger than the cache")
            .depth(1),
        Job::new("randread-qd32", RandRead, "Throughput of random reads; the image is larger than the cache")
            .quick(),
        Job::new("randread-cold-qd32", RandRead, "Random reads into an empty cache, each block once").cold(),
        Job::new("randread-2jobs", RandRead, "Two threads on one image").threads(2),
        Job::new("hit-qd1", RandRead, "Cost of a cache hit, one at a time").depth(1).within(hits),
        Job::new("hit-qd32", RandRead, "Cost of a cache hit, in batches").within(hits).quick(),
        Job::new("hit-2jobs", RandRead, "Cache hits of two threads").within(hits).threads(2),
        Job::new("randwrite-qd1", RandWrite, "Latency of a random write").depth(1),
        Job::new("randwrite-qd32", RandWrite, "Throughput of random writes that are flushed at the end")
            .quick(),
        Job::new("fsync-qd1", RandWrite, "A database's log: each write is followed by a flush")
            .depth(1)
            .flush_every(1)
            .quick(),
        Job::new(
            "burst",
            RandWrite,
            "12 MiB of writes, then a flush: how fast are they acknowledged, how fast do they drain",
        )
        .depth(1)
        .flush_every(3072)
        .quick(),
        Job::new("randrw-qd1", RandRw, "Seven reads to three writes, one at a time").depth(1),
        Job::new("randrw-qd32", RandRw, "Seven reads to three writes"),
        Job::new("randread-64k", RandRead, "Medium reads").block(64 * KIB).depth(8),
        Job::new("randwrite-64k", RandWrite, "Medium writes").block(64 * KIB).depth(8),
        Job::new("read-1m", Read, "Sequential reads").block(MIB).depth(4),
        Job::new("write-1m", Write, "Sequential writes").block(MIB).depth(4),
    ]
}

/// The jobs that `patterns` select; a `*` stands for any characters. An unknown name is an error that lists
/// the known ones.
pub(crate) fn select_jobs(patterns: &[String]) -> Result<Vec<Job>, String> {
    let all = all_jobs();
    for pattern in patterns {
        if !all.iter().any(|job| matches(pattern, &job.name)) {
            let names: Vec<_> = all.iter().map(|job| job.name.as_str()).collect();
            return Err(format!("no job is called `{pattern}` (known: {})", names.join(", ")));
        }
    }
    Ok(all.into_iter().filter(|job| patterns.iter().any(|pattern| matches(pattern, &job.name))).collect())
}

/// Whether `name` matches `pattern`, in which `*` stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => name.strip_prefix(head).is_some_and(|tail| {
            (0..=tail.len()).any(|skip| tail.is_char_boundary(skip) && matches(rest, &tail[skip..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_safe_in_paths() {
        let jobs = all_jobs();
        for (index, job) in jobs.iter().enumerate() {
            assert!(job.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
            assert!(jobs[..index].iter().all(|other| other.name != job.name));
        }
    }

    #[test]
    fn selection_by_star() {
        let names = |patterns: &[&str]| -> Vec<String> {
            let patterns: Vec<_> = patterns.iter().map(|&p| p.to_owned()).collect();
            select_jobs(&patterns).unwrap().into_iter().map(|job| job.name).collect()
        };
        assert_eq!(names(&["hit-*"]), ["hit-qd1", "hit-qd32", "hit-2jobs"]);
        assert_eq!(names(&["write-1m", "burst"]), ["burst", "write-1m"]);
        assert_eq!(names(&["*"]).len(), all_jobs().len());
        assert!(select_jobs(&["warp".to_owned()]).unwrap_err().contains("hit-qd1"));
    }

    #[test]
    fn the_shape_says_it_all() {
        let jobs = all_jobs();
        let shape = |name: &str| jobs.iter().find(|job| job.name == name).unwrap().shape();
        assert_eq!(shape("hit-2jobs"), "randread 4 KiB, QD 32 × 2 threads, 16 MiB of the image, cache warm");
        assert_eq!(
            shape("fsync-qd1"),
            "randwrite 4 KiB, QD 1, a flush after each write, the whole image, cache warm"
        );
    }
}
