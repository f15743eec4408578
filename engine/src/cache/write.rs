//! Writes into the cache: all of a write is accepted, or none of it.

use super::block::{Block, NIL, Place};
use super::extent::{BLOCK_BYTES, Extent, Piece, SECTOR_BYTES};
use super::shard::Shard;

/// What became of a write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum WriteOutcome {
    /// It is in the cache.
    Accepted,
    /// It is in the cache, above the dirty limit: acknowledge it when [`Shard::is_over_limit`] says so no more.
    Deferred,
    /// Nothing changed. Try again when what it waits for has happened.
    Held(Held),
    /// Nothing changed. The extent (one or two sectors that the write covers in part) must be in the cache
    /// first: see [`Shard::plan_edge`]. Try again in the step that completes its fills.
    NeedsFill(Extent),
}

/// What a held write waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Held {
    /// Dirty data would exceed its limit: write some back ([`Urgency::All`](super::Urgency::All)).
    DirtyLimit,
    /// Too many objects would be dirty: write some back.
    DirtyObjects,
    /// Every block is dirty, being written back or being filled: write some back, or wait for a fill.
    NoBlock,
    /// A discard of these bytes is under way.
    Discard,
}

/// What accepting a write would take.
#[derive(Default)]
struct Demand {
    /// Sectors that become dirty.
    sectors: u32,
    /// Blocks that are not in the cache.
    blocks: u32,
    /// Blocks of the write that are in a clean queue, so that they cannot be evicted for its other blocks.
    own_clean: u32,
    /// The first sector that is covered in part and not valid.
    edge: Option<Extent>,
}

impl Shard {
    /// Writes into the cache. Cut longer writes at [`write_bytes_max`](Self::write_bytes_max), or they may be
    /// held for ever.
    ///
    /// # Panics
    /// If the extent is not inside an object, or `src` not of its length.
    #[inline]
    pub fn write(&mut self, extent: Extent, src: &[u8], now_ns: u64) -> WriteOutcome {
        self.assert_inside(extent);
        assert_eq!(src.len(), extent.len as usize);
        if extent.is_in_one_block() && self.rewrite(extent, src) {
            return WriteOutcome::Accepted;
        }
        self.write_blocks(extent, src, now_ns)
    }

    /// The longest extent that a shard with nothing else in it accepts.
    pub fn write_bytes_max(&self) -> u32 {
        let ends = 2 * u64::from(SECTOR_BYTES);
        let by_size = self.size_bytes() / 2;
        let by_limit = match self.config.max_dirty_bytes {
            0 => u64::MAX,
            max => max.saturating_sub(ends),
        };
        let bytes = by_size.min(by_limit).min(u64::from(self.config.object_bytes));
        (bytes as u32 & !(SECTOR_BYTES - 1)).max(SECTOR_BYTES)
    }

    /// Are more bytes dirty than the limit allows?
    pub fn is_over_limit(&self) -> bool {
        self.config.max_dirty_bytes > 0 && self.dirty_bytes() > self.config.max_dirty_bytes
    }

    /// The write of one block whose touched sectors are all dirty already: nothing but the data changes.
    #[inline]
    fn rewrite(&mut self, extent: Extent, src: &[u8]) -> bool {
        let piece = extent.first_piece();
        let Some(id) = self.find(extent.object, piece.block) else { return false };
        if piece.touched() & !self.blocks[id].dirty != 0 || self.is_discarding(extent) {
            return false;
        }
        self.arena.block_mut(id)[piece.bytes()].copy_from_slice(src);
        self.stats.writes += 1;
        self.stats.rewrites += 1;
        self.stats.write_bytes += u64::from(extent.len);
        true
    }

    fn write_blocks(&mut self, extent: Extent, src: &[u8], now_ns: u64) -> WriteOutcome {
        let demand = self.demand(extent);
        if let Some(held) = self.holds(extent, &demand) {
            self.stats.held += 1;
            return WriteOutcome::Held(held);
        }
        if let Some(edge) = demand.edge {
            return WriteOutcome::NeedsFill(edge);
        }
        // The blocks that are there leave the clean queues before room is made for the others.
        let mut found = std::mem::take(&mut self.found);
        for (piece, &id) in extent.pieces().zip(&found) {
            if id != NIL {
                self.write_block(id, piece, &src[piece.buffer()], now_ns);
            }
        }
        for (piece, id) in extent.pieces().zip(found.iter_mut()) {
            if *id == NIL {
                *id = self.obtain(extent.object, piece.block).expect("the demand was checked");
                self.write_block(*id, piece, &src[piece.buffer()], now_ns);
            }
        }
        self.found = found;
        self.stats.writes += 1;
        self.stats.write_bytes += u64::from(extent.len);
        self.stats.rewrites += u64::from(demand.sectors == 0);
        if self.is_over_limit() && demand.sectors > 0 && !self.config.block_writes_upfront {
            return WriteOutcome::Deferred;
        }
        WriteOutcome::Accepted
    }

    /// Looks at every block of a write; leaves their ids in `found`.
    fn demand(&mut self, extent: Extent) -> Demand {
        let mut demand = Demand::default();
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        for piece in extent.pieces() {
            let id = self.find(extent.object, piece.block);
            found.push(id.unwrap_or(NIL));
            let (valid, safe) = match id.map(|id| &self.blocks[id]) {
                Some(block) => {
                    demand.own_clean += u32::from(matches!(block.place, Place::Small | Place::Main));
                    (block.valid, !block.unsafe_sectors())
                }
                None => {
                    demand.blocks += 1;
                    (0, u8::MAX)
                }
            };
            demand.sectors += (piece.touched() & safe).count_ones();
            let edges = piece.touched() & !piece.covered() & !valid;
            if edges != 0 && demand.edge.is_none() {
                demand.edge = Some(sectors_extent(extent.object, piece, edges));
            }
        }
        self.found = found;
        demand
    }

    fn holds(&self, extent: Extent, demand: &Demand) -> Option<Held> {
        let max_dirty = self.config.max_dirty_bytes;
        let fresh_bytes = u64::from(demand.sectors) * u64::from(SECTOR_BYTES);
        let max_objects = self.config.max_dirty_objects;
        if self.is_discarding(extent) || demand.edge.is_some_and(|edge| self.is_discarding(whole_block(edge)))
        {
            Some(Held::Discard)
        } else if self.config.block_writes_upfront
            && max_dirty > 0
            && fresh_bytes > 0
            && self.unsafe_sectors > 0
            && self.dirty_bytes() + fresh_bytes > max_dirty
        {
            Some(Held::DirtyLimit)
        } else if demand.blocks > 0 && demand.blocks + demand.own_clean > self.obtainable_blocks() {
            Some(Held::NoBlock)
        } else if max_objects > 0
            && self.dirty.len() >= max_objects
            && !self.dirty.contains(&self.blocks, extent.object)
        {
            Some(Held::DirtyObjects)
        } else {
            None
        }
    }

    fn write_block(&mut self, id: u32, piece: Piece, src: &[u8], now_ns: u64) {
        self.pin(id);
        self.arena.block_mut(id)[piece.bytes()].copy_from_slice(src);
        let touched = piece.touched();
        let block: &mut Block = &mut self.blocks[id];
        assert_eq!(
            touched & !piece.covered() & !block.valid,
            0,
            "a sector is written in part only if it is valid"
        );
        self.unsafe_sectors += u64::from((touched & !block.unsafe_sectors()).count_ones());
        self.dirty_sectors += u64::from((touched & !block.dirty).count_ones());
        block.valid |= touched;
        block.dirty |= touched;
        block.filling &= !touched;
        if block.place == Place::Pinned {
            self.dirty.add(&mut self.blocks, id, now_ns);
        }
    }
}

/// The block that an extent lies in: while a part of it is discarded, fills do not reach it.
fn whole_block(extent: Extent) -> Extent {
    let start = extent.offset - extent.offset % BLOCK_BYTES;
    Extent::new(extent.object, start, BLOCK_BYTES)
}

/// The sectors of `mask` in a piece's block, from the first to the last.
fn sectors_extent(object: u64, piece: Piece, mask: u8) -> Extent {
    let block = piece.block * BLOCK_BYTES;
    let first = mask.trailing_zeros();
    let end = u8::BITS - mask.leading_zeros();
    Extent::new(object, block + first * SECTOR_BYTES, (end - first) * SECTOR_BYTES)
}
