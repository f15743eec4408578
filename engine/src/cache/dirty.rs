//! The objects with dirty blocks, and the dirty blocks of each object, both in order of age.
//!
//! A record of 16 bytes stands for an object with dirty blocks. Its blocks hang on it through the links in
//! their own records, the one that became dirty first at the head, and the head's key names the object. The
//! record hangs on the list of the epoch of its head (see `epochs`), so the oldest object is found at once and
//! a record changes its place in constant time. An index finds the record of an object.
//!
//! A dirty block that is also being written back is *blocked*: it waits for that writeback to land. A record
//! knows how many of its blocks are blocked, so that writeback passes over objects that have nothing to offer.

use super::block::{Blocks, NIL, Place};
use super::epochs::{Epochs, Ticket};
use super::index::Index;

pub(super) struct Record {
    /// The oldest dirty block. Its `prev` is the newest one.
    head: u32,
    prev: u32,
    next: u32,
    blocks: u16,
    blocked: u16,
}

const _: () = assert!(size_of::<Record>() == 16);

pub(super) struct DirtyObjects {
    records: Vec<Record>,
    /// Free records, linked through `next`.
    free: u32,
    index: Index,
    pub(super) epochs: Epochs,
    /// The bits of a block's key below the object number.
    block_bits: u32,
}

impl DirtyObjects {
    pub(super) fn new(blocks_max: u32, block_bits: u32, seed: u64, max_dirty_age_ns: u64) -> Self {
        Self {
            records: Vec::with_capacity(blocks_max as usize),
            free: NIL,
            index: Index::new(blocks_max, seed),
            epochs: Epochs::new(max_dirty_age_ns),
            block_bits,
        }
    }

    /// How many objects have dirty blocks.
    pub(super) fn len(&self) -> u32 {
        self.index.len() as u32
    }

    pub(super) fn contains(&self, blocks: &Blocks, object: u64) -> bool {
        self.find(blocks, object).is_some()
    }

    /// A block becomes dirty now.
    pub(super) fn add(&mut self, blocks: &mut Blocks, id: u32, now_ns: u64) {
        let epoch = self.epochs.join(now_ns);
        self.link(blocks, id, epoch);
    }

    /// A block is dirty again because its writeback, which stands in `epoch`, failed.
    pub(super) fn restore(&mut self, blocks: &mut Blocks, id: u32, epoch: u32) {
        self.epochs.rejoin(epoch);
        self.link(blocks, id, epoch);
    }

    /// A block is dirty no more; it is then pinned.
    pub(super) fn remove(&mut self, blocks: &mut Blocks, id: u32) {
        assert_eq!(blocks[id].place, Place::Dirty);
        let rec = self.record_of(blocks, id);
        let was_head = self.records[rec as usize].head == id;
        if was_head {
            self.unlist(blocks, rec);
        }
        let record = &mut self.records[rec as usize];
        record.blocks -= 1;
        record.blocked -= u16::from(blocks[id].writing != 0);
        unlink(record, blocks, id);
        if record.blocks == 0 {
            self.give_free(blocks[id].key, rec);
        } else if was_head {
            self.list(blocks, rec);
        }
        blocks[id].place = Place::Pinned;
        self.epochs.leave(blocks[id].epoch);
    }

    /// A dirty block's writeback has landed; its `writing` is still set.
    pub(super) fn unblock(&mut self, blocks: &Blocks, id: u32) {
        assert!(blocks[id].place == Place::Dirty && blocks[id].writing != 0);
        let rec = self.record_of(blocks, id);
        self.records[rec as usize].blocked -= 1;
    }

    /// The oldest dirty block of the oldest object that has blocks to write back, and when its epoch started.
    /// With a ticket, of the objects that hold it up.
    pub(super) fn oldest(&self, until: Option<Ticket>) -> Option<(u32, u64)> {
        self.epochs.with_objects(until).find_map(|(mut rec, started_ns)| {
            while rec != NIL {
                let record = &self.records[rec as usize];
                if record.blocks > record.blocked {
                    return Some((record.head, started_ns));
                }
                rec = record.next;
            }
            None
        })
    }

    /// Every record in its epoch's list, oldest first: epoch, head, blocks, blocked; for `check`.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, u32, u16, u16)> {
        self.epochs.iter().flat_map(move |(epoch, _, _, oldest)| {
            let mut rec = oldest;
            std::iter::from_fn(move || {
                let record = self.records.get(rec as usize)?;
                rec = record.next;
                Some((epoch, record.head, record.blocks, record.blocked))
            })
        })
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.records.capacity() * size_of::<Record>() + self.index.memory_bytes() + self.epochs.memory_bytes()
    }

    fn find(&self, blocks: &Blocks, object: u64) -> Option<u32> {
        let names = |rec: u32| blocks[self.records[rec as usize].head].key >> self.block_bits == object;
        self.index.find(self.index.tag(object), names)
    }

    fn record_of(&self, blocks: &Blocks, id: u32) -> u32 {
        self.find(blocks, blocks[id].key >> self.block_bits)
            .expect("an object with dirty blocks has a record")
    }

    /// Puts a pinned block into its object's list, which is sorted by epoch.
    fn link(&mut self, blocks: &mut Blocks, id: u32, epoch: u32) {
        assert_eq!(blocks[id].place, Place::Pinned, "only a block of no list can be linked");
        blocks[id].place = Place::Dirty;
        blocks[id].epoch = epoch;
        let blocked = u16::from(blocks[id].writing != 0);
        let object = blocks[id].key >> self.block_bits;
        let Some(rec) = self.find(blocks, object) else {
            (blocks[id].prev, blocks[id].next) = (id, NIL);
            let rec = self.take_free(Record { head: id, prev: NIL, next: NIL, blocks: 1, blocked });
            self.index.insert(self.index.tag(object), rec);
            self.list(blocks, rec);
            return;
        };
        let head = self.records[rec as usize].head;
        let record = &mut self.records[rec as usize];
        record.blocks += 1;
        record.blocked += blocked;
        if !self.epochs.is_older(epoch, blocks[blocks[head].prev].epoch) {
            append(blocks, head, id);
        } else if self.epochs.is_older(epoch, blocks[head].epoch) {
            self.unlist(blocks, rec);
            let newest = blocks[head].prev;
            (blocks[id].prev, blocks[id].next) = (newest, head);
            blocks[head].prev = id;
            self.records[rec as usize].head = id;
            self.list(blocks, rec);
        } else {
            let mut before = head;
            while !self.epochs.is_older(epoch, blocks[blocks[before].next].epoch) {
                before = blocks[before].next;
            }
            let after = blocks[before].next;
            (blocks[id].prev, blocks[id].next) = (before, after);
            blocks[before].next = id;
            blocks[after].prev = id;
        }
    }

    /// Adds a record to the list of its head's epoch.
    fn list(&mut self, blocks: &Blocks, rec: u32) {
        let epoch = self.epochs.at_mut(blocks[self.records[rec as usize].head].epoch);
        let newest = epoch.newest;
        epoch.newest = rec;
        if newest == NIL {
            epoch.oldest = rec;
        } else {
            self.records[newest as usize].next = rec;
        }
        let record = &mut self.records[rec as usize];
        (record.prev, record.next) = (newest, NIL);
    }

    /// Takes a record out of the list of its head's epoch.
    fn unlist(&mut self, blocks: &Blocks, rec: u32) {
        let Record { head, prev, next, .. } = self.records[rec as usize];
        let epoch = self.epochs.at_mut(blocks[head].epoch);
        if prev == NIL {
            epoch.oldest = next;
        } else {
            self.records[prev as usize].next = next;
        }
        if next == NIL {
            epoch.newest = prev;
        } else {
            self.records[next as usize].prev = prev;
        }
    }

    fn take_free(&mut self, record: Record) -> u32 {
        let rec = self.free;
        if rec == NIL {
            assert!(self.records.len() < self.records.capacity(), "no more dirty objects than blocks");
            self.records.push(record);
            return self.records.len() as u32 - 1;
        }
        self.free = self.records[rec as usize].next;
        self.records[rec as usize] = record;
        rec
    }

    fn give_free(&mut self, key: u64, rec: u32) {
        let tag = self.index.tag(key >> self.block_bits);
        self.index.remove(tag, rec);
        self.records[rec as usize].next = self.free;
        self.free = rec;
    }
}

/// Adds a block behind the newest of the list that starts at `head`.
fn append(blocks: &mut Blocks, head: u32, id: u32) {
    let newest = blocks[head].prev;
    (blocks[id].prev, blocks[id].next) = (newest, NIL);
    blocks[newest].next = id;
    blocks[head].prev = id;
}

/// Takes a block out of its object's list.
fn unlink(record: &mut Record, blocks: &mut Blocks, id: u32) {
    let (prev, next) = (blocks[id].prev, blocks[id].next);
    if next != NIL {
        blocks[next].prev = prev;
    } else if record.head != id {
        blocks[record.head].prev = prev;
    }
    if record.head == id {
        record.head = next;
    } else {
        blocks[prev].next = next;
    }
}
