//! Every invariant of a shard, checked by walking all of it. For tests, after each step.

use super::block::{Block, NIL, Place};
use super::shard::Shard;
use std::collections::HashMap;

impl Shard {
    /// Panics if an invariant does not hold. Slow.
    pub fn check(&self) {
        self.check_blocks();
        self.check_clean();
        self.check_dirty();
        self.check_flights();
        self.check_fills();
    }

    fn check_blocks(&self) {
        let (mut used, mut free, mut unsafe_sectors, mut dirty_sectors) = (0, 0, 0, 0);
        for id in 0..self.blocks.len() {
            let block = &self.blocks[id];
            check_masks(block);
            if block.place == Place::Free {
                free += 1;
                continue;
            }
            used += 1;
            unsafe_sectors += u64::from(block.unsafe_sectors().count_ones());
            dirty_sectors += u64::from(block.dirty.count_ones());
            assert_eq!(
                self.find(self.object_of(id), self.number_of(id)),
                Some(id),
                "every block in use is found"
            );
        }
        assert_eq!(self.index.len(), used);
        assert_eq!(self.blocks.free_len(), free);
        assert_eq!(self.unsafe_sectors, unsafe_sectors);
        assert_eq!(self.dirty_sectors, dirty_sectors);
    }

    fn check_clean(&self) {
        for (place, queue) in self.clean.queues() {
            let (mut len, mut prev, mut id) = (0, NIL, queue.head);
            while id != NIL {
                assert_eq!(self.blocks[id].place, place);
                assert_eq!(self.blocks[id].prev, prev);
                (len, prev, id) = (len + 1, id, self.blocks[id].next);
            }
            assert_eq!((queue.tail, queue.len), (prev, len));
            let placed = (0..self.blocks.len()).filter(|&id| self.blocks[id].place == place).count();
            assert_eq!(len as usize, placed, "every {place:?} block is queued");
        }
    }

    fn check_dirty(&self) {
        let mut of_epoch: HashMap<u32, u32> = HashMap::new();
        let (mut objects, mut dirty) = (0, 0);
        for (epoch, head, blocks, blocked) in self.dirty.iter() {
            objects += 1;
            let object = self.object_of(head);
            assert!(self.dirty.contains(&self.blocks, object));
            assert_eq!(self.blocks[head].epoch, epoch, "a record is listed where its oldest block is");
            let (mut count, mut waiting, mut prev, mut id) = (0, 0, NIL, head);
            while id != NIL {
                let block = &self.blocks[id];
                assert_eq!((block.place, self.object_of(id)), (Place::Dirty, object));
                if prev != NIL {
                    assert_eq!(block.prev, prev);
                    assert!(!self.dirty.epochs.is_older(block.epoch, self.blocks[prev].epoch));
                }
                *of_epoch.entry(block.epoch).or_default() += 1;
                count += 1;
                waiting += u16::from(block.writing != 0);
                (prev, id) = (id, block.next);
            }
            assert_eq!(self.blocks[head].prev, prev, "the head knows the newest");
            assert_eq!((blocks, blocked), (count, waiting));
            dirty += u32::from(count);
        }
        assert_eq!(objects, self.dirty.len());
        let placed = (0..self.blocks.len()).filter(|&id| self.blocks[id].place == Place::Dirty).count();
        assert_eq!(dirty as usize, placed, "every dirty block is in its object's list");
        for (epoch, blocks, _, _) in self.dirty.epochs.iter() {
            assert_eq!(blocks, of_epoch.get(&epoch).copied().unwrap_or(0), "blocks of epoch {epoch}");
        }
    }

    fn check_flights(&self) {
        let mut of_epoch: HashMap<u32, u32> = HashMap::new();
        let mut writing = 0;
        for (_, _, flight) in self.flights.iter() {
            *of_epoch.entry(flight.epoch).or_default() += 1;
            let mut id = flight.first;
            while id != NIL {
                assert_eq!(self.object_of(id), flight.object);
                assert_ne!(self.blocks[id].writing, 0);
                writing += 1;
                id = self.blocks[id].flight_next;
            }
        }
        for epoch in self.discards.iter().filter_map(|discard| discard.epoch) {
            *of_epoch.entry(epoch).or_default() += 1;
        }
        let marked = (0..self.blocks.len()).filter(|&id| self.blocks[id].writing != 0).count();
        assert_eq!(writing, marked, "every block being written back is in one writeback");
        for (epoch, _, flights, _) in self.dirty.epochs.iter() {
            assert_eq!(
                flights,
                of_epoch.get(&epoch).copied().unwrap_or(0),
                "writebacks and discards of epoch {epoch}"
            );
        }
    }

    fn check_fills(&self) {
        let mut filling = 0;
        for (slot, _, fill) in self.fills.iter() {
            for number in fill.first_block..fill.first_block + fill.blocks {
                let id = self.find(fill.object, number).expect("a block being filled is pinned");
                assert_eq!(u32::from(self.blocks[id].fill), slot + 1);
                filling += 1;
            }
        }
        let marked = (0..self.blocks.len()).filter(|&id| self.blocks[id].fill != 0).count();
        assert_eq!(filling, marked, "every block being filled is in one fill");
        for discard in &self.discards {
            for piece in discard.extent.pieces() {
                if let Some(id) = self.find(discard.extent.object, piece.block) {
                    let Block { valid, dirty, filling, .. } = self.blocks[id];
                    assert_eq!(
                        (valid | dirty | filling) & piece.touched(),
                        0,
                        "nothing is cached while discarded"
                    );
                }
            }
        }
    }
}

/// The table in `block`.
fn check_masks(block: &Block) {
    let Block { place, valid, dirty, writing, filling, fill, .. } = *block;
    assert_eq!(dirty & !valid, 0, "dirty data is valid");
    assert_eq!(filling & valid, 0, "valid data is not filled");
    assert!(fill != 0 || filling == 0);
    match place {
        Place::Free => assert_eq!((valid, dirty, writing, fill), (0, 0, 0, 0)),
        Place::Small | Place::Main => {
            assert_ne!(valid, 0);
            assert_eq!((dirty, writing, fill), (0, 0, 0));
        }
        Place::Dirty => assert_ne!(dirty, 0),
        Place::Pinned => {
            assert_eq!(dirty, 0);
            assert!(writing != 0 || fill != 0);
        }
    }
}
