//! What an engine counts: operations, bytes and latencies per core, merged when somebody reads them.
//!
//! Every core counts for itself, without locks or atomics. A latency is taken of every sixteenth request: two looks at
//! the clock cost more than a cache hit should, and a sixteenth of a stream is as good a picture of it.

use crate::cache::Shard;
use crate::error::Result;
use crate::image::request::Op;
use hdrhistogram::Histogram;
use ringbd_reactor::{Instant, now};
use std::cell::{Cell, RefCell};
use std::time::Duration;

/// One request in so many has its latency taken.
pub const LATENCY_SAMPLE: u64 = 16;

/// The longest latency that is told apart: an hour; what is longer counts as an hour.
const LATENCY_MAX_NS: u64 = 3_600_000_000_000;

/// Latencies in nanoseconds, two significant digits.
pub type Latencies = Histogram<u64>;

fn latencies() -> Latencies {
    Histogram::new_with_bounds(1, LATENCY_MAX_NS, 2).expect("the bounds are valid constants")
}

/// The count of one operation.
#[derive(Debug, Clone)]
pub struct OpStats {
    /// Requests that ended, well or not.
    pub requests: u64,
    /// Requests that failed.
    pub errors: u64,
    /// Bytes of the requests that ended well.
    pub bytes: u64,
    /// From start to end, of one request in [`LATENCY_SAMPLE`], in nanoseconds.
    pub latency: Latencies,
}

impl Default for OpStats {
    fn default() -> Self {
        Self { requests: 0, errors: 0, bytes: 0, latency: latencies() }
    }
}

impl OpStats {
    fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.bytes += other.bytes;
        self.latency.add(&other.latency).expect("all histograms have the same bounds");
    }
}

/// What the cache of an image, or of all images, holds and did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Reads that were served without the store.
    pub read_hits: u64,
    /// Reads that needed the store.
    pub read_misses: u64,
    /// Bytes in the cache.
    pub cached_bytes: u64,
    /// Bytes that are not written back, or are just being written back.
    pub dirty_bytes: u64,
    /// Bytes that the cache uses to find its blocks.
    pub metadata_bytes: u64,
    /// Writebacks that went down; each is one operation on one object, of one or more runs.
    pub writebacks: u64,
    /// Runs of those writebacks.
    pub writeback_runs: u64,
    /// Bytes of those writebacks.
    pub writeback_bytes: u64,
    /// Times that a writer was held at the dirty limit.
    pub held_writes: u64,
}

impl CacheStats {
    /// The counters of one core's cache.
    pub(crate) fn of(shard: &Shard) -> Self {
        let counted = shard.stats();
        Self {
            read_hits: counted.read_hits,
            read_misses: counted.read_misses,
            cached_bytes: shard.cached_bytes(),
            dirty_bytes: shard.dirty_bytes(),
            metadata_bytes: shard.metadata_bytes() as u64,
            writebacks: counted.writebacks,
            writeback_runs: counted.writeback_runs,
            writeback_bytes: counted.writeback_bytes,
            held_writes: counted.held,
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.read_hits += other.read_hits;
        self.read_misses += other.read_misses;
        self.cached_bytes += other.cached_bytes;
        self.dirty_bytes += other.dirty_bytes;
        self.metadata_bytes += other.metadata_bytes;
        self.writebacks += other.writebacks;
        self.writeback_runs += other.writeback_runs;
        self.writeback_bytes += other.writeback_bytes;
        self.held_writes += other.held_writes;
    }
}

/// A reading of an engine's counters.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    ops: [OpStats; Op::ALL.len()],
    /// The caches of all open images.
    pub cache: CacheStats,
    /// Reads and writes that went straight to the store's disk: one operation each, and nothing to wait for before.
    pub straight: u64,
    /// How long the store took for each read, write and flush below the cache, in nanoseconds.
    pub store: StoreLatencies,
    /// CPU time of the engine's cores, user and system.
    pub cpu: Duration,
    /// How many cores were read.
    pub cores: usize,
}

/// The stage below the cache.
#[derive(Debug, Clone)]
pub struct StoreLatencies {
    /// Reads.
    pub read: Latencies,
    /// Writes, of one or more runs.
    pub write: Latencies,
    /// Flushes.
    pub flush: Latencies,
}

impl Default for StoreLatencies {
    fn default() -> Self {
        Self { read: latencies(), write: latencies(), flush: latencies() }
    }
}

impl StoreLatencies {
    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in
            [(&mut self.read, &other.read), (&mut self.write, &other.write), (&mut self.flush, &other.flush)]
        {
            mine.add(theirs).expect("all histograms have the same bounds");
        }
    }
}

impl Stats {
    /// The counters of one operation.
    #[must_use]
    pub fn op(&self, op: Op) -> &OpStats {
        &self.ops[op as usize]
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.ops.iter_mut().zip(&other.ops) {
            mine.merge(theirs);
        }
        self.cache.merge(&other.cache);
        self.straight += other.straight;
        self.store.merge(&other.store);
        self.cpu += other.cpu;
        self.cores += other.cores;
    }
}

/// The counters of one core.
#[derive(Default)]
pub(crate) struct CoreStats {
    counts: [OpCount; Op::ALL.len()],
    latency: RefCell<Option<Box<[Latencies; Op::ALL.len()]>>>,
    begun: Cell<u64>,
    straight: Cell<u64>,
}

#[derive(Default)]
struct OpCount {
    requests: Cell<u64>,
    errors: Cell<u64>,
    bytes: Cell<u64>,
}

impl CoreStats {
    /// A request begins: the time, if it is one whose latency is taken.
    #[inline]
    pub(crate) fn begin(&self) -> Option<Instant> {
        let begun = self.begun.get();
        self.begun.set(begun.wrapping_add(1));
        begun.is_multiple_of(LATENCY_SAMPLE).then(now)
    }

    #[inline]
    pub(crate) fn count_straight(&self) {
        self.straight.set(self.straight.get() + 1);
    }

    #[inline]
    pub(crate) fn end(&self, op: Op, started: Option<Instant>, result: &Result<u64>) {
        let count = &self.counts[op as usize];
        count.requests.set(count.requests.get() + 1);
        match result {
            Ok(bytes) => count.bytes.set(count.bytes.get() + bytes),
            Err(_) => count.errors.set(count.errors.get() + 1),
        }
        if let Some(started) = started {
            self.record(op, started);
        }
    }

    #[cold]
    fn record(&self, op: Op, started: Instant) {
        let mut place = self.latency.borrow_mut();
        let all = place.get_or_insert_with(|| Box::new(std::array::from_fn(|_| latencies())));
        all[op as usize].saturating_record(elapsed_ns(started));
    }

    pub(crate) fn read(&self) -> Stats {
        let mut stats = Stats { cores: 1, straight: self.straight.get(), ..Stats::default() };
        let latency = self.latency.borrow();
        for op in Op::ALL {
            let (count, place) = (&self.counts[op as usize], &mut stats.ops[op as usize]);
            place.requests = count.requests.get();
            place.errors = count.errors.get();
            place.bytes = count.bytes.get();
            if let Some(all) = &*latency {
                place.latency = all[op as usize].clone();
            }
        }
        stats
    }
}

/// The time since `started`, at least one nanosecond, as a histogram takes it.
pub(crate) fn elapsed_ns(started: Instant) -> u64 {
    now().duration_since(started).as_nanos().clamp(1, u128::from(LATENCY_MAX_NS)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_cores_add_up() {
        let core = CoreStats::default();
        core.end(Op::Read, None, &Ok(4096));
        core.end(Op::Write, None, &Ok(512));
        core.end(
            Op::Write,
            None,
            &Err(crate::error::Error::new(crate::error::ErrorKind::Io, "write", "data/foo", "broken")),
        );
        let mut sum = Stats::default();
        sum.merge(&core.read());
        sum.merge(&core.read());
        assert_eq!((sum.op(Op::Read).requests, sum.op(Op::Read).bytes), (2, 8192));
        assert_eq!(
            (sum.op(Op::Write).requests, sum.op(Op::Write).errors, sum.op(Op::Write).bytes),
            (4, 2, 1024)
        );
        assert_eq!(sum.cores, 2);
    }
}
