//! The memory of the cached data: blocks of 4 KiB in large slabs that are allocated as the cache grows, up to
//! its size, and kept.

use super::extent::BLOCK_BYTES;

/// Blocks in a slab of 16 MiB. The kernel gives the memory of a slab as it is touched.
const SLAB_BLOCKS: u32 = 4096;
/// Blocks start on a page, so that a random hit meets one page and not two.
const ALIGN: usize = 4096;

pub(super) type Data = [u8; BLOCK_BYTES as usize];

pub(super) struct Arena {
    slabs: Vec<Slab>,
    blocks: u32,
    blocks_max: u32,
}

struct Slab {
    memory: Box<[u8]>,
    /// Where the first aligned block starts.
    base: usize,
}

impl Arena {
    pub(super) fn new(blocks_max: u32) -> Self {
        Self { slabs: Vec::with_capacity(blocks_max.div_ceil(SLAB_BLOCKS) as usize), blocks: 0, blocks_max }
    }

    /// The next block that was never used, if the cache may still grow.
    pub(super) fn grow(&mut self) -> Option<u32> {
        if self.blocks == self.blocks_max {
            return None;
        }
        let id = self.blocks;
        if id.is_multiple_of(SLAB_BLOCKS) {
            let blocks = SLAB_BLOCKS.min(self.blocks_max - id);
            let memory = vec![0; (blocks * BLOCK_BYTES) as usize + ALIGN].into_boxed_slice();
            let base = memory.as_ptr().align_offset(ALIGN);
            assert!(base < ALIGN, "a slab has room to be aligned");
            self.slabs.push(Slab { memory, base });
        }
        self.blocks += 1;
        Some(id)
    }

    /// How many blocks can still be had from [`grow`](Self::grow).
    pub(super) fn room(&self) -> u32 {
        self.blocks_max - self.blocks
    }

    #[inline]
    pub(super) fn block(&self, id: u32) -> &Data {
        let slab = &self.slabs[(id / SLAB_BLOCKS) as usize];
        let at = slab.base + (id % SLAB_BLOCKS * BLOCK_BYTES) as usize;
        slab.memory[at..].first_chunk().expect("a slab holds whole blocks")
    }

    #[inline]
    pub(super) fn block_mut(&mut self, id: u32) -> &mut Data {
        let slab = &mut self.slabs[(id / SLAB_BLOCKS) as usize];
        let at = slab.base + (id % SLAB_BLOCKS * BLOCK_BYTES) as usize;
        slab.memory[at..].first_chunk_mut().expect("a slab holds whole blocks")
    }

    /// What the slabs take beyond the blocks in them.
    pub(super) fn overhead_bytes(&self) -> usize {
        self.slabs.capacity() * (size_of::<Slab>() + ALIGN)
    }
}
