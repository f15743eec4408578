//! Discards, and dropping everything.
//!
//! A discard drops what the cache has, dirty or not, before the store is told. Until the store has done it,
//! reads and writes of these bytes are held, and fills do not bring the rest of their blocks in: so nobody sees
//! data older than what was dropped, none is cached, and no newer data is discarded below. A flush that covers
//! dropped data waits for the discard.

use super::block::Place;
use super::extent::{Extent, Piece};
use super::shard::Shard;
use super::writeback::WritebackId;

/// A discard under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct DiscardId(u64);

pub(super) struct Discard {
    pub(super) id: DiscardId,
    pub(super) extent: Extent,
    /// The epoch in which the discard stands for dirty data that it dropped: a flush that covers the data waits
    /// until the store has discarded it.
    pub(super) epoch: Option<u32>,
}

/// The cache has dirty data that an invalidation would lose.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the cache still has {dirty_bytes} dirty bytes: flush it before it is invalidated")]
pub struct DirtyLeft {
    /// How many bytes.
    pub dirty_bytes: u64,
}

impl Shard {
    /// Drops the cached data of an extent of whole sectors (the ragged ends of a discard are writes of zeroes).
    /// The driver then waits for the writebacks left in `wait_for`, discards below, and calls
    /// [`finish_discard`](Self::finish_discard) whatever came of it.
    ///
    /// # Panics
    /// If the extent is not inside an object or its ends not multiples of the sector size.
    pub fn begin_discard(&mut self, extent: Extent, wait_for: &mut Vec<WritebackId>) -> DiscardId {
        self.assert_inside(extent);
        assert!(extent.is_sector_aligned(), "a discard of {extent:?} cuts sectors");
        self.writebacks_over(extent, wait_for);
        let epoch = self.oldest_epoch(extent, wait_for);
        if let Some(epoch) = epoch {
            self.dirty.epochs.begin_flight(epoch);
        }
        for piece in extent.pieces() {
            self.drop_sectors(extent.object, piece);
        }
        self.discards_begun += 1;
        let id = DiscardId(self.discards_begun);
        self.discards.push(Discard { id, extent, epoch });
        id
    }

    /// The store has done the discard, or failed.
    ///
    /// # Panics
    /// If the discard has ended already.
    pub fn finish_discard(&mut self, id: DiscardId) {
        let at = self.discards.iter().position(|discard| discard.id == id);
        let discard = self.discards.swap_remove(at.expect("the discard is under way"));
        if let Some(epoch) = discard.epoch {
            self.dirty.epochs.end_flight(epoch);
        }
    }

    /// Drops every block, if nothing is dirty or on its way down. Fills in flight bring nothing in.
    ///
    /// # Errors
    /// If something is dirty; then nothing changed.
    pub fn invalidate(&mut self) -> Result<(), DirtyLeft> {
        if self.unsafe_sectors > 0 {
            return Err(DirtyLeft { dirty_bytes: self.dirty_bytes() });
        }
        for id in 0..self.blocks.len() {
            self.blocks[id].filling = 0;
            match self.blocks[id].place {
                Place::Free => {}
                Place::Small | Place::Main => {
                    self.pin(id);
                    self.settle(id, false);
                }
                Place::Pinned => self.blocks[id].valid = 0,
                Place::Dirty => unreachable!("nothing is dirty"),
            }
        }
        Ok(())
    }

    /// Is a part of the extent being discarded?
    #[inline]
    pub(super) fn is_discarding(&self, extent: Extent) -> bool {
        !self.discards.is_empty() && self.discards.iter().any(|discard| discard.extent.overlaps(extent))
    }

    /// The oldest epoch of what is dirty in the extent, or on its way down in one of `writebacks`.
    fn oldest_epoch(&self, extent: Extent, writebacks: &[WritebackId]) -> Option<u32> {
        let dirty = self
            .sectors_of(extent)
            .filter(|&(touched, id)| self.blocks[id].dirty & touched != 0)
            .map(|(_, id)| self.blocks[id].epoch);
        let flights = writebacks.iter().map(|&id| self.epoch_of(id));
        dirty.chain(flights).reduce(|a, b| if self.dirty.epochs.is_older(a, b) { a } else { b })
    }

    fn drop_sectors(&mut self, object: u64, piece: Piece) {
        let Some(id) = self.find(object, piece.block) else { return };
        let gone = piece.touched();
        let block = &mut self.blocks[id];
        let lost = gone & block.dirty;
        self.dirty_sectors -= u64::from(lost.count_ones());
        self.unsafe_sectors -= u64::from((lost & !block.writing).count_ones());
        block.valid &= !gone;
        block.filling &= !gone;
        block.dirty &= !gone;
        let (valid, dirty) = (block.valid, block.dirty);
        match block.place {
            Place::Dirty if dirty == 0 => {
                self.dirty.remove(&mut self.blocks, id);
                self.settle(id, self.config.keep_clean);
            }
            Place::Small | Place::Main if valid == 0 => {
                self.pin(id);
                self.settle(id, false);
            }
            Place::Dirty | Place::Small | Place::Main | Place::Pinned => {}
            Place::Free => unreachable!("a free block is not in the index"),
        }
    }
}
