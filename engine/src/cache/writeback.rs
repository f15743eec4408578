//! Writeback: dirty extents going down, all that one object has to offer in one operation.
//!
//! A writeback takes the dirty sectors of its blocks: they are *writing* until it lands, and a block is part of
//! one writeback at a time. A block that is written meanwhile becomes dirty again and waits for the landing, so
//! two states of a sector are never on their way together and the store sees them in order.

use super::block::{NIL, Place};
use super::epochs::Ticket;
use super::extent::{BLOCK_BYTES, Extent, SECTOR_BYTES, sector_runs};
use super::shard::Shard;

/// A writeback in flight.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct WritebackId {
    slot: u32,
    generation: u32,
}

/// Why something should be written back now; with it, what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Urgency {
    /// At this time (ns), what is dirty too long, and the oldest of what exceeds the target.
    Background(u64),
    /// What holds this flush up.
    Flush(Ticket),
    /// The blocks of this extent.
    Extent(Extent),
    /// Anything dirty, the oldest first: a writer is held, or the image is being closed.
    All,
}

/// What one writeback takes at most. It always takes at least one run, or a part of one block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WritebackLimit {
    /// Bytes, give or take one block.
    pub bytes: u32,
    /// Runs, give or take those of one block.
    pub runs: u32,
}

/// A run of dirty bytes inside an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// First byte inside the object.
    pub offset: u32,
    /// Length in bytes.
    pub len: u32,
}

/// A writeback to perform. Reusable.
#[derive(Debug, Default)]
pub struct Writeback {
    id: Option<WritebackId>,
    object: u64,
    runs: Vec<Run>,
    bytes: u32,
    /// The blocks chosen: their numbers inside the object with their ids.
    chosen: Vec<(u32, u32)>,
}

impl Writeback {
    /// What to complete it with.
    ///
    /// # Panics
    /// If it was never filled by [`Shard::next_writeback`].
    pub fn id(&self) -> WritebackId {
        self.id.expect("a writeback is read after next_writeback said there is one")
    }

    /// The object to write to.
    pub fn object(&self) -> u64 {
        self.object
    }

    /// What to write: ascending, apart, as long as they get. [`Shard::copy_run`] has the data.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The bytes of all runs.
    pub fn bytes(&self) -> u32 {
        self.bytes
    }
}

/// The shard's side of a writeback in flight.
pub(super) struct Flight {
    pub(super) object: u64,
    /// Its blocks, linked through `flight_next`, ascending.
    pub(super) first: u32,
    /// The epoch of its oldest block.
    pub(super) epoch: u32,
}

impl Shard {
    /// Begins a writeback, if there is cause: fills `writeback` and says `true`. Copy its runs before anything
    /// else happens to the shard.
    pub fn next_writeback(&mut self, why: Urgency, limit: WritebackLimit, writeback: &mut Writeback) -> bool {
        writeback.chosen.clear();
        match why {
            Urgency::Extent(extent) => self.choose_extent(extent, limit, &mut writeback.chosen),
            Urgency::Background(now_ns) => {
                if let Some((oldest, started_ns)) = self.dirty.oldest(None)
                    && (self.is_over_target() || self.expires(started_ns) <= now_ns)
                {
                    self.choose_object(oldest, limit, &mut writeback.chosen);
                }
            }
            Urgency::Flush(ticket) => {
                if let Some((oldest, _)) = self.dirty.oldest(Some(ticket)) {
                    self.choose_object(oldest, limit, &mut writeback.chosen);
                }
            }
            Urgency::All => {
                if let Some((oldest, _)) = self.dirty.oldest(None) {
                    self.choose_object(oldest, limit, &mut writeback.chosen);
                }
            }
        }
        if writeback.chosen.is_empty() {
            return false;
        }
        self.begin_writeback(limit, writeback);
        true
    }

    /// Copies a run's data. In the same step as [`next_writeback`](Self::next_writeback).
    pub fn copy_run(&self, writeback: &Writeback, run: Run, dst: &mut [u8]) {
        assert_eq!(dst.len(), run.len as usize);
        for piece in Extent::new(writeback.object, run.offset, run.len).pieces() {
            let id = self.find(writeback.object, piece.block).expect("a block being written back is pinned");
            dst[piece.buffer()].copy_from_slice(&self.arena.block(id)[piece.bytes()]);
        }
    }

    /// The store has written it.
    ///
    /// # Panics
    /// If the writeback has ended already.
    pub fn complete_writeback(&mut self, id: WritebackId) {
        self.end_writeback(id, true);
    }

    /// The store has not written it, or only a part. The data is dirty as before, and still the oldest: let
    /// some time pass before the next try.
    ///
    /// # Panics
    /// If the writeback has ended already.
    pub fn fail_writeback(&mut self, id: WritebackId) {
        self.stats.writeback_errors += 1;
        self.end_writeback(id, false);
    }

    /// Is nothing of the extent dirty? Parts of it may still be on their way down.
    pub fn is_clean(&self, extent: Extent) -> bool {
        self.sectors_of(extent).all(|(touched, id)| touched & self.blocks[id].dirty == 0)
    }

    /// Is a part of the extent on its way down?
    pub fn is_writing(&self, extent: Extent) -> bool {
        self.sectors_of(extent).any(|(touched, id)| touched & self.blocks[id].writing != 0)
    }

    /// The writebacks in flight that touch blocks of the extent.
    ///
    /// To write an extent through: take it with [`Urgency::Extent`] until there is no more, then wait for
    /// these; do both once more, because blocks that were on their way down at first had to wait. Everything
    /// that was dirty at the beginning has then landed, however often others write it again.
    pub fn writebacks_over(&self, extent: Extent, ids: &mut Vec<WritebackId>) {
        ids.clear();
        if !self.sectors_of(extent).any(|(_, id)| self.blocks[id].writing != 0) {
            return;
        }
        let (first, last) = (extent.offset / BLOCK_BYTES, (extent.end() - 1) / BLOCK_BYTES);
        for (slot, generation, flight) in self.flights.iter().filter(|(_, _, f)| f.object == extent.object) {
            let mut id = flight.first;
            while id != NIL {
                if (first..=last).contains(&self.number_of(id)) {
                    ids.push(WritebackId { slot, generation });
                    break;
                }
                id = self.blocks[id].flight_next;
            }
        }
    }

    /// Is the writeback still in flight?
    pub fn is_in_flight(&self, id: WritebackId) -> bool {
        self.flights.is_live(id.slot, id.generation)
    }

    /// How many writebacks are in flight.
    pub fn writebacks_in_flight(&self) -> usize {
        self.flights.len()
    }

    /// When [`Urgency::Background`] next has cause, if nothing else happens: zero for at once.
    pub fn next_deadline(&self) -> Option<u64> {
        let (_, started_ns) = self.dirty.oldest(None)?;
        Some(if self.is_over_target() { 0 } else { self.expires(started_ns) })
    }

    fn is_over_target(&self) -> bool {
        self.dirty_sectors * u64::from(SECTOR_BYTES) > self.config.target_dirty_bytes
    }

    fn expires(&self, started_ns: u64) -> u64 {
        started_ns.saturating_add(self.config.max_dirty_age_ns)
    }

    /// The epoch in which a writeback in flight stands.
    pub(super) fn epoch_of(&self, id: WritebackId) -> u32 {
        self.flights.at(id.slot).0.epoch
    }

    /// The extent's blocks that are in the cache: the sectors it touches, and their ids.
    pub(super) fn sectors_of(&self, extent: Extent) -> impl Iterator<Item = (u8, u32)> {
        self.assert_inside(extent);
        extent
            .pieces()
            .filter_map(move |piece| Some((piece.touched(), self.find(extent.object, piece.block)?)))
    }

    /// Chooses blocks of the extent that are dirty and not blocked.
    fn choose_extent(&self, extent: Extent, limit: WritebackLimit, chosen: &mut Vec<(u32, u32)>) {
        let mut bytes = 0;
        for (touched, id) in self.sectors_of(extent) {
            let block = &self.blocks[id];
            if block.dirty & touched != 0 && block.writing == 0 && (chosen.is_empty() || bytes < limit.bytes)
            {
                bytes += block.dirty.count_ones() * SECTOR_BYTES;
                chosen.push((self.number_of(id), id));
            }
        }
    }

    /// Chooses blocks of an object that are dirty and not blocked, the oldest first.
    fn choose_object(&self, oldest: u32, limit: WritebackLimit, chosen: &mut Vec<(u32, u32)>) {
        let mut bytes = 0;
        let mut id = oldest;
        while id != NIL && (chosen.is_empty() || bytes < limit.bytes) {
            let block = &self.blocks[id];
            if block.writing == 0 {
                bytes += block.dirty.count_ones() * SECTOR_BYTES;
                chosen.push((self.number_of(id), id));
            }
            id = block.next;
        }
    }

    fn begin_writeback(&mut self, limit: WritebackLimit, writeback: &mut Writeback) {
        let Writeback { chosen, runs, .. } = &mut *writeback;
        let oldest = chosen[0];
        chosen.sort_unstable();
        keep_runs(chosen, oldest, limit.runs, |id| self.blocks[id].dirty);
        runs.clear();
        let mut epoch = self.blocks[chosen[0].1].epoch;
        let mut bytes = 0;
        for &(number, id) in chosen.iter() {
            let block = &self.blocks[id];
            if self.dirty.epochs.is_older(block.epoch, epoch) {
                epoch = block.epoch;
            }
            for (first, end) in sector_runs(block.dirty) {
                let (offset, len) =
                    (number * BLOCK_BYTES + first * SECTOR_BYTES, (end - first) * SECTOR_BYTES);
                bytes += len;
                match runs.last_mut() {
                    Some(last) if last.offset + last.len == offset => last.len += len,
                    Some(_) | None => runs.push(Run { offset, len }),
                }
            }
        }
        self.dirty.epochs.begin_flight(epoch);
        let mut next = NIL;
        for &(_, id) in chosen.iter().rev() {
            self.dirty.remove(&mut self.blocks, id);
            let block = &mut self.blocks[id];
            block.writing = block.dirty;
            block.dirty = 0;
            block.flight_next = next;
            self.dirty_sectors -= u64::from(block.writing.count_ones());
            next = id;
        }
        let object = self.object_of(next);
        let (slot, generation) = self.flights.begin(Flight { object, first: next, epoch });
        (writeback.id, writeback.object, writeback.bytes) =
            (Some(WritebackId { slot, generation }), object, bytes);
        self.stats.writebacks += 1;
        self.stats.writeback_bytes += u64::from(bytes);
        self.stats.writeback_runs += writeback.runs.len() as u64;
    }

    fn end_writeback(&mut self, id: WritebackId, ok: bool) {
        let Flight { first, epoch, .. } = self.flights.end(id.slot, id.generation);
        let mut next = first;
        while next != NIL {
            let id = next;
            next = self.blocks[id].flight_next;
            self.blocks[id].flight_next = NIL;
            self.land(id, epoch, ok);
        }
        self.dirty.epochs.end_flight(epoch);
    }

    /// A block's writeback has landed.
    fn land(&mut self, id: u32, epoch: u32, ok: bool) {
        if self.blocks[id].place == Place::Dirty {
            self.dirty.unblock(&self.blocks, id);
        }
        let block = &mut self.blocks[id];
        let writing = std::mem::take(&mut block.writing);
        assert_ne!(writing, 0, "a block of a writeback is being written");
        // What was discarded on its way down is not wanted back.
        let again = if ok { 0 } else { writing & block.valid };
        self.unsafe_sectors -= u64::from((writing & !block.dirty & !again).count_ones());
        if again == 0 {
            if block.dirty == 0 {
                self.settle(id, self.config.keep_clean);
            }
            return;
        }
        self.dirty_sectors += u64::from((again & !block.dirty).count_ones());
        if block.place == Place::Dirty {
            self.dirty.remove(&mut self.blocks, id);
        }
        self.blocks[id].dirty |= again;
        self.dirty.restore(&mut self.blocks, id, epoch);
    }
}

/// Shortens `chosen`, which is sorted, to about `runs_max` runs: those from the oldest block on, and if that
/// leaves room, those before it. So the oldest block always goes, and none waits for ever.
fn keep_runs(chosen: &mut Vec<(u32, u32)>, oldest: (u32, u32), runs_max: u32, dirty_of: impl Fn(u32) -> u8) {
    if chosen.len() * (u8::BITS as usize / 2) <= runs_max as usize {
        return;
    }
    let runs_of = |id| sector_runs(dirty_of(id)).count() as u32;
    let adjoins = |lower: (u32, u32), upper: (u32, u32)| {
        lower.0 + 1 == upper.0 && dirty_of(lower.1) >> 7 == 1 && dirty_of(upper.1) & 1 == 1
    };
    let mut start = chosen.binary_search(&oldest).expect("the oldest block is chosen");
    let mut end = start + 1;
    let mut runs = runs_of(oldest.1);
    while end < chosen.len() {
        let more = runs_of(chosen[end].1) - u32::from(adjoins(chosen[end - 1], chosen[end]));
        if runs + more > runs_max {
            break;
        }
        runs += more;
        end += 1;
    }
    while end == chosen.len() && start > 0 {
        let more = runs_of(chosen[start - 1].1) - u32::from(adjoins(chosen[start - 1], chosen[start]));
        if runs + more > runs_max {
            break;
        }
        runs += more;
        start -= 1;
    }
    chosen.truncate(end);
    chosen.drain(..start);
}
