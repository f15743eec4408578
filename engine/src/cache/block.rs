//! What the cache knows of a block, in half a cache line, and the lists that run through these records.
//!
//! Of every sector of a block four things can be said: *valid* (the cache has its data), *dirty* (newer than
//! the store and not on its way down), *writing* (part of a writeback in flight), *filling* (a read in flight
//! may still fill it). The masks decide where the block belongs, and there is one place at a time:
//!
//! | place    | masks                                   | links used for               |
//! |----------|-----------------------------------------|------------------------------|
//! | `Free`   | none                                    | the list of free blocks      |
//! | `Small`, `Main` | valid only                       | the queues of clean blocks   |
//! | `Dirty`  | dirty, with or without the others       | its object's dirty blocks    |
//! | `Pinned` | no dirty; writing, or a fill is in flight | nothing                    |

use std::ops::{Index, IndexMut};

/// No block, no record.
pub(super) const NIL: u32 = u32::MAX;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Place {
    Free,
    Small,
    Main,
    Dirty,
    Pinned,
}

#[repr(C, align(32))]
pub(super) struct Block {
    /// Object number and block number in one; see `Shard::key`.
    pub(super) key: u64,
    pub(super) prev: u32,
    pub(super) next: u32,
    /// The flush epoch of its oldest dirty sector; meaningful while dirty.
    pub(super) epoch: u32,
    /// The next block of the writeback that this one is part of; meaningful while writing.
    pub(super) flight_next: u32,
    /// The slot of the fill in flight, plus one; zero without.
    pub(super) fill: u16,
    pub(super) place: Place,
    /// Reads since it came, up to [`REUSE_MAX`], and [`PROVEN`].
    pub(super) reuse: u8,
    pub(super) valid: u8,
    pub(super) dirty: u8,
    pub(super) writing: u8,
    pub(super) filling: u8,
}

const _: () = assert!(size_of::<Block>() == 32, "a block's record never straddles a cache line");

/// More reads than this say nothing more.
pub(super) const REUSE_MAX: u8 = 3;
/// Set in `reuse` when the block earned its place in the main queue: it goes back there when it is clean again.
pub(super) const PROVEN: u8 = 0x80;

impl Block {
    /// Notes a hit. Leaves the cache line unwritten when there is nothing new to note.
    #[inline]
    pub(super) fn touch(&mut self) {
        if self.reuse & !PROVEN < REUSE_MAX {
            self.reuse += 1;
        }
    }

    /// Sectors whose acknowledged data the store may not have yet.
    #[inline]
    pub(super) fn unsafe_sectors(&self) -> u8 {
        self.dirty | self.writing
    }
}

/// All block records, by block id, and the list of the free ones.
pub(super) struct Blocks {
    blocks: Vec<Block>,
    free: List,
}

impl Blocks {
    /// Room for `max` records, touched as they come into use.
    pub(super) fn new(max: u32) -> Self {
        Self { blocks: Vec::with_capacity(max as usize), free: List::new() }
    }

    /// Adds the record of a block that the arena has just grown by.
    pub(super) fn add(&mut self, id: u32) {
        assert_eq!(id as usize, self.blocks.len(), "arena and records grow together");
        assert!(self.blocks.len() < self.blocks.capacity(), "records never move");
        self.blocks.push(Block {
            key: 0,
            prev: NIL,
            next: NIL,
            epoch: 0,
            flight_next: NIL,
            fill: 0,
            place: Place::Pinned,
            reuse: 0,
            valid: 0,
            dirty: 0,
            writing: 0,
            filling: 0,
        });
    }

    /// Takes a free block; it is then pinned.
    pub(super) fn take_free(&mut self) -> Option<u32> {
        let mut free = self.free;
        let id = free.pop_front(self)?;
        self.free = free;
        self[id].place = Place::Pinned;
        Some(id)
    }

    /// Gives a block back that is in no list and in no index.
    pub(super) fn give_free(&mut self, id: u32) {
        let block = &mut self[id];
        assert!(block.unsafe_sectors() == 0 && block.fill == 0, "a block in use was freed");
        block.valid = 0;
        block.reuse = 0;
        block.place = Place::Free;
        let mut free = self.free;
        free.push_front(self, id);
        self.free = free;
    }

    pub(super) fn free_len(&self) -> u32 {
        self.free.len
    }

    pub(super) fn len(&self) -> u32 {
        self.blocks.len() as u32
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.blocks.capacity() * size_of::<Block>()
    }
}

impl Index<u32> for Blocks {
    type Output = Block;
    #[inline]
    fn index(&self, id: u32) -> &Block {
        &self.blocks[id as usize]
    }
}

impl IndexMut<u32> for Blocks {
    #[inline]
    fn index_mut(&mut self, id: u32) -> &mut Block {
        &mut self.blocks[id as usize]
    }
}

/// A doubly linked list through the records.
#[derive(Clone, Copy)]
pub(super) struct List {
    pub(super) head: u32,
    pub(super) tail: u32,
    pub(super) len: u32,
}

impl List {
    pub(super) fn new() -> Self {
        Self { head: NIL, tail: NIL, len: 0 }
    }

    pub(super) fn push_back(&mut self, blocks: &mut Blocks, id: u32) {
        let tail = self.tail;
        blocks[id].prev = tail;
        blocks[id].next = NIL;
        if tail == NIL {
            self.head = id;
        } else {
            blocks[tail].next = id;
        }
        self.tail = id;
        self.len += 1;
    }

    pub(super) fn push_front(&mut self, blocks: &mut Blocks, id: u32) {
        let head = self.head;
        blocks[id].prev = NIL;
        blocks[id].next = head;
        if head == NIL {
            self.tail = id;
        } else {
            blocks[head].prev = id;
        }
        self.head = id;
        self.len += 1;
    }

    pub(super) fn remove(&mut self, blocks: &mut Blocks, id: u32) {
        let (prev, next) = (blocks[id].prev, blocks[id].next);
        if prev == NIL {
            self.head = next;
        } else {
            blocks[prev].next = next;
        }
        if next == NIL {
            self.tail = prev;
        } else {
            blocks[next].prev = prev;
        }
        self.len -= 1;
    }

    pub(super) fn pop_front(&mut self, blocks: &mut Blocks) -> Option<u32> {
        let id = self.head;
        if id == NIL {
            return None;
        }
        self.remove(blocks, id);
        Some(id)
    }
}
