//! What a shard counted since it was made.

/// Counters of one shard. Operations unless the name says otherwise.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Stats {
    /// Reads served whole from the cache at the first try.
    pub read_hits: u64,
    /// Bytes of those.
    pub read_hit_bytes: u64,
    /// Reads that needed the store or a fill in flight.
    pub read_misses: u64,
    /// Writes accepted.
    pub writes: u64,
    /// Bytes of those.
    pub write_bytes: u64,
    /// Writes that only changed sectors that were dirty already: the store is spared these.
    pub rewrites: u64,
    /// Times that a write was held.
    pub held: u64,
    /// Fills begun, readahead included.
    pub fills: u64,
    /// Bytes that fills brought into the cache.
    pub fill_bytes: u64,
    /// Clean blocks evicted to make room.
    pub evictions: u64,
    /// Writebacks begun.
    pub writebacks: u64,
    /// Bytes of those.
    pub writeback_bytes: u64,
    /// Runs of those.
    pub writeback_runs: u64,
    /// Writebacks that failed.
    pub writeback_errors: u64,
}

impl Stats {
    /// Adds another shard's counters.
    pub fn add(&mut self, other: &Self) {
        self.read_hits += other.read_hits;
        self.read_hit_bytes += other.read_hit_bytes;
        self.read_misses += other.read_misses;
        self.writes += other.writes;
        self.write_bytes += other.write_bytes;
        self.rewrites += other.rewrites;
        self.held += other.held;
        self.fills += other.fills;
        self.fill_bytes += other.fill_bytes;
        self.evictions += other.evictions;
        self.writebacks += other.writebacks;
        self.writeback_bytes += other.writeback_bytes;
        self.writeback_runs += other.writeback_runs;
        self.writeback_errors += other.writeback_errors;
    }
}
