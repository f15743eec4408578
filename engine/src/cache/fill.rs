//! Fills: reads from the store in flight that bring data into the cache.
//!
//! A fill reserves its blocks when it begins, so no other read fetches them again. In each block it may fill
//! the sectors that were not valid then; a write or a discard of a sector takes that permission away, which is
//! all it takes to keep old data out of the cache however late the store answers.

use super::extent::{BLOCK_BYTES, Extent};
use super::shard::Shard;

/// More fills are not in flight at once: a block names its fill in 16 bits. Further reads go past the cache.
const FILLS_MAX: usize = u16::MAX as usize - 1;

/// A fill in flight.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct FillId {
    slot: u32,
    generation: u32,
}

/// Something to read from the store: whole blocks of one object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fetch {
    /// What to read.
    pub extent: Extent,
    /// The fill to complete with what was read, or to fail; `None` when the cache will not keep it.
    pub fill: Option<FillId>,
}

/// The blocks of a fill: adjacent ones of one object.
pub(super) struct Fill {
    pub(super) object: u64,
    pub(super) first_block: u32,
    pub(super) blocks: u32,
}

impl Shard {
    /// The store has answered: takes what is still wanted of the whole run in `data`.
    ///
    /// # Panics
    /// If the fill has ended already, or `data` is not the length of its run.
    pub fn complete_fill(&mut self, id: FillId, data: &[u8]) {
        self.end_fill(id, Some(data));
    }

    /// The store did not answer, or nobody waits for it any more.
    ///
    /// # Panics
    /// If the fill has ended already.
    pub fn fail_fill(&mut self, id: FillId) {
        self.end_fill(id, None);
    }

    /// Is the fill still in flight?
    pub fn is_filling(&self, id: FillId) -> bool {
        self.fills.is_live(id.slot, id.generation)
    }

    /// Adds a block to the run of fetches: as part of a fill if `keep` and there is room, else past the cache.
    /// `id` is the block if it is in the cache; no fill may be in flight on it.
    pub(super) fn fetch_block(
        &mut self,
        fetches: &mut Vec<Fetch>,
        object: u64,
        block: u32,
        id: Option<u32>,
        keep: bool,
    ) {
        let reserved = if keep { id.or_else(|| self.obtain(object, block)) } else { None };
        let offset = block * BLOCK_BYTES;
        let joins = fetches.last().is_some_and(|last| {
            last.extent.object == object
                && last.extent.end() == offset
                && last.fill.is_some() == reserved.is_some()
        });
        if !joins {
            let fill = reserved.map(|_| self.begin_fill(object, block));
            fetches.push(Fetch { extent: Extent::new(object, offset, 0), fill });
        }
        let fetch = fetches.last_mut().expect("a fetch was just found or added");
        fetch.extent.len += BLOCK_BYTES;
        if let (Some(id), Some(fill)) = (reserved, fetch.fill) {
            self.pin(id);
            self.fills.at_mut(fill.slot).blocks += 1;
            let block = &mut self.blocks[id];
            block.fill = fill.slot as u16 + 1;
            block.filling = !block.valid;
        }
    }

    /// May another run of blocks be filled?
    pub(super) fn can_begin_fill(&self) -> bool {
        self.fills.len() < FILLS_MAX
    }

    /// The fill in flight on a block, if there is one.
    pub(super) fn fill_of(&self, id: u32) -> Option<FillId> {
        let slot = u32::from(self.blocks[id].fill.checked_sub(1)?);
        let (_, generation) = self.fills.at(slot);
        Some(FillId { slot, generation })
    }

    fn begin_fill(&mut self, object: u64, first_block: u32) -> FillId {
        self.stats.fills += 1;
        let (slot, generation) = self.fills.begin(Fill { object, first_block, blocks: 0 });
        FillId { slot, generation }
    }

    fn end_fill(&mut self, id: FillId, data: Option<&[u8]>) {
        let Fill { object, first_block, blocks } = self.fills.end(id.slot, id.generation);
        if let Some(data) = data {
            assert_eq!(data.len(), (blocks * BLOCK_BYTES) as usize, "a fill is completed with its whole run");
        }
        for number in 0..blocks {
            let id = self.find(object, first_block + number).expect("a block being filled is pinned");
            if let Some(data) = data {
                let at = (number * BLOCK_BYTES) as usize;
                self.fill_block(id, &data[at..at + BLOCK_BYTES as usize]);
            }
            let block = &mut self.blocks[id];
            block.filling = 0;
            block.fill = 0;
            if block.dirty == 0 {
                self.settle(id, true);
            }
        }
    }

    /// Copies the sectors in that the fill may still fill.
    fn fill_block(&mut self, id: u32, data: &[u8]) {
        let block = &mut self.blocks[id];
        let wanted = block.filling;
        assert_eq!(wanted & block.valid, 0, "a fill never overwrites valid data");
        block.valid |= wanted;
        let cached = self.arena.block_mut(id);
        for (first, end) in super::extent::sector_runs(wanted) {
            let bytes = super::extent::sector_bytes(first, end);
            cached[bytes.clone()].copy_from_slice(&data[bytes]);
        }
        self.stats.fill_bytes += u64::from(wanted.count_ones() * super::extent::SECTOR_BYTES);
    }
}
