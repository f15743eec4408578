//! Which clean block goes when room is needed: S3-FIFO.
//!
//! A new block enters the small queue, a tenth of the clean blocks. Read again before it reaches the end, it
//! moves to the main queue; if not, it is evicted and the ghost remembers it. The main queue gives a block one
//! more round for each remembered read. A hit therefore moves nothing: it only counts. Only clean, idle blocks
//! are in the queues, so everything in them can be evicted; the shard takes a block out when it becomes dirty
//! or a fill starts, and puts it back when it is clean.

use super::block::{Blocks, List, PROVEN, Place};
use super::ghost::Ghost;

/// The small queue's share of the clean blocks.
const SMALL_SHARE: u32 = 10;
/// One eviction looks at no more than this many blocks that deserve to stay; then the next one goes regardless.
const CHANCES_MAX: u32 = 64;

pub(super) struct S3Fifo {
    small: List,
    main: List,
    ghost: Ghost,
}

impl S3Fifo {
    pub(super) fn new(blocks_max: u32) -> Self {
        Self { small: List::new(), main: List::new(), ghost: Ghost::new(blocks_max) }
    }

    /// Decides at birth: a block that was evicted too early is proven.
    pub(super) fn admit(&mut self, blocks: &mut Blocks, id: u32, tag: u32) {
        blocks[id].reuse = if self.ghost.take(tag) { PROVEN } else { 0 };
    }

    pub(super) fn insert(&mut self, blocks: &mut Blocks, id: u32) {
        assert_eq!(blocks[id].place, Place::Pinned, "only a block of no list can be queued");
        if blocks[id].reuse & PROVEN != 0 {
            blocks[id].place = Place::Main;
            self.main.push_back(blocks, id);
        } else {
            blocks[id].place = Place::Small;
            self.small.push_back(blocks, id);
        }
    }

    /// Takes a block out; it is then pinned.
    pub(super) fn remove(&mut self, blocks: &mut Blocks, id: u32) {
        match blocks[id].place {
            Place::Small => self.small.remove(blocks, id),
            Place::Main => self.main.remove(blocks, id),
            Place::Free | Place::Dirty | Place::Pinned => panic!("the block is in no clean queue"),
        }
        blocks[id].place = Place::Pinned;
    }

    /// Chooses a block to evict and takes it out; it is then pinned. `tag_of` tells the tag of a key.
    pub(super) fn victim(&mut self, blocks: &mut Blocks, tag_of: impl Fn(u64) -> u32) -> Option<u32> {
        for chance in 0.. {
            let from_small = self.main.len == 0 || self.small.len * SMALL_SHARE > self.len();
            let queue = if from_small { &mut self.small } else { &mut self.main };
            let id = queue.pop_front(blocks)?;
            let reuse = blocks[id].reuse & !PROVEN;
            if reuse == 0 || chance == CHANCES_MAX {
                blocks[id].place = Place::Pinned;
                if from_small {
                    self.ghost.insert(tag_of(blocks[id].key));
                }
                return Some(id);
            }
            blocks[id].reuse = PROVEN | if from_small { 0 } else { reuse - 1 };
            blocks[id].place = Place::Main;
            self.main.push_back(blocks, id);
        }
        unreachable!("the loop ends after CHANCES_MAX")
    }

    /// How many blocks could be evicted.
    pub(super) fn len(&self) -> u32 {
        self.small.len + self.main.len
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.ghost.memory_bytes()
    }

    /// The two queues, for `check`.
    pub(super) fn queues(&self) -> [(Place, List); 2] {
        [(Place::Small, self.small), (Place::Main, self.main)]
    }
}
