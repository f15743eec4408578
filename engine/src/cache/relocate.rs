//! Moving objects to the shard of another core.

use super::block::Place;
use super::extent::{BLOCK_BYTES, Extent};
use super::shard::Shard;

/// The blocks of some objects on their way to another shard of the same image.
#[derive(Debug, Default)]
pub struct Parcel {
    blocks: Vec<Moved>,
    /// The data of the blocks, one after the other.
    data: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Moved {
    object: u64,
    block: u32,
    valid: u8,
    dirty: u8,
}

impl Parcel {
    /// Blocks in it.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Is there nothing to move?
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }
}

/// The objects cannot move now: a fill, a writeback or a discard of theirs is in flight. Try again when it has
/// ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a fill, writeback or discard of the objects to move is in flight")]
pub struct Busy;

impl Shard {
    /// Takes out every block of the objects that `moves` names, dirty ones included. A flush ticket taken here
    /// before covers them no more: the driver lets flushes end, or takes a ticket of the other shard.
    ///
    /// # Errors
    /// If one of the objects is busy; then nothing changed.
    pub fn extract(&mut self, moves: impl Fn(u64) -> bool) -> Result<Parcel, Busy> {
        let is_moving = |id: u32| self.blocks[id].place != Place::Free && moves(self.object_of(id));
        let is_busy = |id: u32| self.blocks[id].writing != 0 || self.blocks[id].fill != 0;
        let moving: Vec<u32> = (0..self.blocks.len()).filter(|&id| is_moving(id)).collect();
        if moving.iter().any(|&id| is_busy(id)) || self.discards.iter().any(|d| moves(d.extent.object)) {
            return Err(Busy);
        }
        let mut parcel = Parcel::default();
        parcel.data.reserve_exact(moving.len() * BLOCK_BYTES as usize);
        for id in moving {
            let (object, block) = (self.object_of(id), self.number_of(id));
            let (valid, dirty) = (self.blocks[id].valid, self.blocks[id].dirty);
            parcel.blocks.push(Moved { object, block, valid, dirty });
            parcel.data.extend_from_slice(self.arena.block(id));
            if dirty == 0 {
                self.pin(id);
            } else {
                let sectors = u64::from(dirty.count_ones());
                self.unsafe_sectors -= sectors;
                self.dirty_sectors -= sectors;
                self.blocks[id].dirty = 0;
                self.dirty.remove(&mut self.blocks, id);
            }
            self.settle(id, false);
        }
        Ok(parcel)
    }

    /// Takes a parcel in. Dirty blocks count from now and come in whatever the dirty limits say; clean ones
    /// only while there is room.
    ///
    /// # Errors
    /// The dirty blocks for which there was no room: write some back and insert them again.
    pub fn insert(&mut self, parcel: Parcel, now_ns: u64) -> Result<(), Parcel> {
        let Parcel { blocks, data } = parcel;
        let mut left = Parcel::default();
        for dirty_ones in [true, false] {
            for (moved, data) in blocks.iter().zip(data.chunks_exact(BLOCK_BYTES as usize)) {
                if (moved.dirty != 0) == dirty_ones && !self.insert_block(*moved, data, now_ns) && dirty_ones
                {
                    left.blocks.push(*moved);
                    left.data.extend_from_slice(data);
                }
            }
        }
        if left.is_empty() { Ok(()) } else { Err(left) }
    }

    fn insert_block(&mut self, moved: Moved, data: &[u8], now_ns: u64) -> bool {
        let Moved { object, block, valid, dirty } = moved;
        let keep_clean = self.config.keep_clean;
        if dirty == 0 && (!keep_clean || self.obtainable_blocks() == self.clean.len()) {
            return false;
        }
        let extent = Extent::new(object, block * BLOCK_BYTES, BLOCK_BYTES);
        assert!(!self.is_discarding(extent), "objects move before they are used in their new shard");
        assert!(self.find(object, block).is_none(), "a block is in one shard at a time");
        let Some(id) = self.obtain(object, block) else { return false };
        self.arena.block_mut(id).copy_from_slice(data);
        self.blocks[id].valid = valid;
        self.blocks[id].dirty = dirty;
        if dirty == 0 {
            self.settle(id, true);
        } else {
            let sectors = u64::from(dirty.count_ones());
            self.unsafe_sectors += sectors;
            self.dirty_sectors += sectors;
            self.dirty.add(&mut self.blocks, id, now_ns);
        }
        true
    }
}
