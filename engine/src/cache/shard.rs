//! A shard: the cached blocks of one image on one core. What every operation on it shares.
//!
//! The operations are in `read`, `fill`, `write`, `writeback`, `discard` and `relocate`.

use super::arena::Arena;
use super::block::{Block, Blocks, Place};
use super::dirty::DirtyObjects;
use super::discard::Discard;
use super::epochs::Ticket;
use super::extent::{BLOCK_BYTES, Extent, OBJECT_BYTES_MAX, SECTOR_BYTES};
use super::fill::Fill;
use super::flight::Flights;
use super::index::Index;
use super::s3fifo::S3Fifo;
use super::stats::Stats;
use super::writeback::Flight;

/// A shard smaller than this could not hold one write and one read at a time.
const BLOCKS_MIN: u32 = 16;
/// Block ids and their plus-one fit 32 bits with room to spare: 4 TiB of cache in one shard.
const BLOCKS_MAX: u64 = 1 << 30;

/// How a shard is made.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// Cached bytes at most (rounded down to blocks).
    pub size_bytes: u64,
    /// Dirty bytes at most, those being written back included; more is held. Zero: no limit, the driver writes
    /// every write through.
    pub max_dirty_bytes: u64,
    /// Background writeback starts above this.
    pub target_dirty_bytes: u64,
    /// Background writeback starts with what is dirty for this long.
    pub max_dirty_age_ns: u64,
    /// Objects with dirty data at most. Zero: no limit.
    pub max_dirty_objects: u32,
    /// Hold a write above the limit before it enters the cache. Otherwise it enters at once and its
    /// acknowledgement waits ([`WriteOutcome::Deferred`](super::WriteOutcome::Deferred)).
    pub block_writes_upfront: bool,
    /// The image's object size: a power of two, 4 KiB to 32 MiB.
    pub object_bytes: u32,
    /// Keep blocks when they are clean, and what was read. Otherwise (writearound) blocks leave when they are
    /// clean.
    pub keep_clean: bool,
    /// Random, so that a guest cannot choose blocks that collide in the index.
    pub hash_seed: u64,
}

/// The cached blocks of one image on one core.
pub struct Shard {
    pub(super) config: ShardConfig,
    pub(super) arena: Arena,
    pub(super) blocks: Blocks,
    pub(super) index: Index,
    pub(super) clean: S3Fifo,
    pub(super) dirty: DirtyObjects,
    pub(super) fills: Flights<Fill>,
    pub(super) flights: Flights<Flight>,
    pub(super) discards: Vec<Discard>,
    pub(super) discards_begun: u64,
    /// Sectors dirty or being written back, each once.
    pub(super) unsafe_sectors: u64,
    /// Sectors dirty, whether or not an older state of theirs is being written back.
    pub(super) dirty_sectors: u64,
    pub(super) block_bits: u32,
    pub(super) stats: Stats,
    /// Block ids by number inside an object; scratch of one call.
    pub(super) found: Vec<u32>,
}

impl Shard {
    /// An empty shard. Its data memory is allocated as it fills.
    ///
    /// # Panics
    /// If the object size is not a power of two from 4 KiB to 32 MiB.
    pub fn new(config: ShardConfig) -> Self {
        let object_bytes = config.object_bytes;
        assert!(
            object_bytes.is_power_of_two() && (BLOCK_BYTES..=OBJECT_BYTES_MAX).contains(&object_bytes),
            "object size {object_bytes} is no power of two from 4 KiB to 32 MiB"
        );
        let blocks =
            (config.size_bytes / u64::from(BLOCK_BYTES)).clamp(u64::from(BLOCKS_MIN), BLOCKS_MAX) as u32;
        let block_bits = (object_bytes / BLOCK_BYTES).trailing_zeros();
        Self {
            arena: Arena::new(blocks),
            blocks: Blocks::new(blocks),
            index: Index::new(blocks, config.hash_seed),
            clean: S3Fifo::new(blocks),
            dirty: DirtyObjects::new(blocks, block_bits, config.hash_seed, config.max_dirty_age_ns),
            fills: Flights::new(),
            flights: Flights::new(),
            discards: Vec::new(),
            discards_begun: 0,
            unsafe_sectors: 0,
            dirty_sectors: 0,
            block_bits,
            stats: Stats::default(),
            found: Vec::with_capacity((object_bytes / BLOCK_BYTES) as usize),
            config,
        }
    }

    /// Changes the dirty limits, for instance when the first flush turns writethrough into writeback.
    pub fn set_dirty_limits(&mut self, max_dirty_bytes: u64, target_dirty_bytes: u64) {
        self.config.max_dirty_bytes = max_dirty_bytes;
        self.config.target_dirty_bytes = target_dirty_bytes;
    }

    /// Bytes acknowledged and not known to be in the store: dirty ones and those being written back.
    pub fn dirty_bytes(&self) -> u64 {
        self.unsafe_sectors * u64::from(SECTOR_BYTES)
    }

    /// Bytes of the blocks in use.
    pub fn cached_bytes(&self) -> u64 {
        u64::from(self.blocks.len() - self.blocks.free_len()) * u64::from(BLOCK_BYTES)
    }

    /// Bytes of the cached data at most.
    pub fn size_bytes(&self) -> u64 {
        u64::from(self.arena.room() + self.blocks.len()) * u64::from(BLOCK_BYTES)
    }

    /// Memory that is not cached data, reserved for the whole size.
    pub fn metadata_bytes(&self) -> usize {
        size_of::<Self>()
            + self.arena.overhead_bytes()
            + self.blocks.memory_bytes()
            + self.index.memory_bytes()
            + self.clean.memory_bytes()
            + self.dirty.memory_bytes()
            + self.fills.memory_bytes()
            + self.flights.memory_bytes()
            + self.discards.capacity() * size_of::<Discard>()
            + self.found.capacity() * size_of::<u32>()
    }

    /// What was counted since the shard was made.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Covers exactly what is dirty or being written back now.
    pub fn flush_ticket(&mut self) -> Ticket {
        self.dirty.epochs.ticket()
    }

    /// Is everything the ticket covers in the store (or discarded)?
    pub fn is_flushed(&self, ticket: Ticket) -> bool {
        self.dirty.epochs.is_flushed(ticket)
    }

    /// The key of a block: object and block number.
    #[inline]
    pub(super) fn key(&self, object: u64, block: u32) -> u64 {
        debug_assert!(object >> (u64::BITS - self.block_bits.max(1)) == 0, "object number out of range");
        object << self.block_bits | u64::from(block)
    }

    pub(super) fn object_of(&self, id: u32) -> u64 {
        self.blocks[id].key >> self.block_bits
    }

    /// The block's number inside its object.
    pub(super) fn number_of(&self, id: u32) -> u32 {
        (self.blocks[id].key & ((1 << self.block_bits) - 1)) as u32
    }

    /// Finds a block that is in the cache, whatever its masks.
    #[inline]
    pub(super) fn find(&self, object: u64, block: u32) -> Option<u32> {
        let key = self.key(object, block);
        self.index.find(self.index.tag(key), |id| self.blocks[id].key == key)
    }

    /// Panics if the extent is not inside an object: that is a bug of the caller, who cut it.
    #[inline]
    pub(super) fn assert_inside(&self, extent: Extent) {
        assert!(
            extent.len > 0
                && u64::from(extent.offset) + u64::from(extent.len) <= u64::from(self.config.object_bytes),
            "extent {extent:?} is not inside an object of {} bytes",
            self.config.object_bytes
        );
    }

    /// Blocks that a new key could get.
    pub(super) fn obtainable_blocks(&self) -> u32 {
        self.blocks.free_len() + self.arena.room() + self.clean.len()
    }

    /// A block for a key that is not in the cache, evicting a clean one if it must: indexed, pinned, nothing
    /// valid.
    pub(super) fn obtain(&mut self, object: u64, block: u32) -> Option<u32> {
        let id = self.blocks.take_free().or_else(|| self.grow()).or_else(|| self.evict())?;
        let key = self.key(object, block);
        let tag = self.index.tag(key);
        self.blocks[id].key = key;
        self.index.insert(tag, id);
        self.clean.admit(&mut self.blocks, id, tag);
        Some(id)
    }

    /// Puts a block that is pinned, and may be idle now, where its masks say.
    pub(super) fn settle(&mut self, id: u32, keep_clean: bool) {
        let Block { place, valid, dirty, writing, fill, .. } = self.blocks[id];
        assert!(place == Place::Pinned && dirty == 0);
        if writing != 0 || fill != 0 {
            return;
        }
        if valid != 0 && keep_clean {
            self.clean.insert(&mut self.blocks, id);
        } else {
            self.unindex(id);
            self.blocks.give_free(id);
        }
    }

    /// Takes a block out of the clean queues, if it is there.
    pub(super) fn pin(&mut self, id: u32) {
        match self.blocks[id].place {
            Place::Small | Place::Main => self.clean.remove(&mut self.blocks, id),
            Place::Dirty | Place::Pinned => {}
            Place::Free => panic!("a free block is not in the index"),
        }
    }

    fn grow(&mut self) -> Option<u32> {
        let id = self.arena.grow()?;
        self.blocks.add(id);
        Some(id)
    }

    fn evict(&mut self) -> Option<u32> {
        let index = &self.index;
        let id = self.clean.victim(&mut self.blocks, |key| index.tag(key))?;
        self.unindex(id);
        self.blocks[id].valid = 0;
        self.stats.evictions += 1;
        Some(id)
    }

    fn unindex(&mut self, id: u32) {
        let tag = self.index.tag(self.blocks[id].key);
        self.index.remove(tag, id);
    }
}
