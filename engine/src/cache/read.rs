//! Reads: hits at once, misses by a plan.
//!
//! ```text
//! if shard.try_read(extent, dst) { done }
//! let mut plan = ReadPlan::new(extent);              // reusable
//! while shard.plan_read(&mut plan, dst) {
//!     for each of plan.fetches():                    // all at once
//!         read it from the store; complete_fill or fail_fill; plan.deliver(fetch, data, dst)
//!     for each of plan.waits(): wait until that fill has ended
//!     if plan.waits_for_discard(): wait until the next discard has ended
//! }
//! ```
//!
//! Each round copies what is valid by then and never looks at those bytes again: data that was acknowledged
//! when the read began cannot be lost to an eviction while the rest is fetched, and no older answer of the
//! store is laid over it.

use super::extent::{BLOCK_BYTES, Extent, Piece};
use super::fill::{Fetch, FillId};
use super::shard::Shard;

/// A read under way: what is still missing, and what to do about it.
#[derive(Debug)]
pub struct ReadPlan {
    extent: Extent,
    /// Byte ranges of the object that this round's fetches deliver, ascending.
    missing: Vec<(u32, u32)>,
    /// Those that wait for a later round. A fetch may cover them (it reads whole blocks) and yet not know them.
    later: Vec<(u32, u32)>,
    scratch: Vec<(u32, u32)>,
    fetches: Vec<Fetch>,
    waits: Vec<FillId>,
    discarding: bool,
    rounds: u32,
}

impl ReadPlan {
    /// A read of `extent`, none of which the reader has.
    pub fn new(extent: Extent) -> Self {
        let missing = vec![(extent.offset, extent.end())];
        Self {
            extent,
            missing,
            later: Vec::new(),
            scratch: Vec::new(),
            fetches: Vec::new(),
            waits: Vec::new(),
            discarding: false,
            rounds: 0,
        }
    }

    /// Starts over with another extent, keeping the memory.
    pub fn restart(&mut self, extent: Extent) {
        self.extent = extent;
        self.missing.clear();
        self.missing.push((extent.offset, extent.end()));
        self.later.clear();
        self.fetches.clear();
        self.waits.clear();
        self.discarding = false;
        self.rounds = 0;
    }

    /// What is read.
    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// What this round reads from the store. Every fill in it must be completed or failed.
    pub fn fetches(&self) -> &[Fetch] {
        &self.fetches
    }

    /// The fills of others that this round waits for.
    pub fn waits(&self) -> &[FillId] {
        &self.waits
    }

    /// Does this round wait for a discard under way? Until it has ended the store may have data that is older
    /// than what the discard dropped from the cache.
    pub fn waits_for_discard(&self) -> bool {
        self.discarding
    }

    /// Has the reader everything?
    pub fn is_done(&self) -> bool {
        self.missing.is_empty() && self.later.is_empty()
    }

    /// The one fetch that may be read straight into the reader's buffer, because it is exactly what is read and
    /// nothing of it was cached.
    pub fn direct(&self) -> Option<&Fetch> {
        let [fetch] = self.fetches.as_slice() else { return None };
        let whole = (self.extent.offset, self.extent.end());
        (fetch.extent == self.extent && self.missing == [whole]).then_some(fetch)
    }

    /// A fetch was read straight into the reader's buffer (see [`direct`](Self::direct)).
    pub fn delivered(&mut self, fetch: &Fetch) {
        assert_eq!(fetch.extent, self.extent, "only the whole can be read straight into the reader's buffer");
        self.missing.clear();
    }

    /// Hands the reader what it lacks of a fetch. `dst` is the buffer of the whole extent.
    pub fn deliver(&mut self, fetch: &Fetch, data: &[u8], dst: &mut [u8]) {
        assert_eq!(data.len(), fetch.extent.len as usize);
        assert_eq!(dst.len(), self.extent.len as usize);
        let (from, to) = (fetch.extent.offset, fetch.extent.end());
        self.scratch.clear();
        for &(start, end) in &self.missing {
            let (a, b) = (start.max(from), end.min(to));
            if a >= b {
                self.scratch.push((start, end));
                continue;
            }
            let at = (a - self.extent.offset) as usize;
            dst[at..at + (b - a) as usize].copy_from_slice(&data[(a - from) as usize..(b - from) as usize]);
            self.scratch.extend([(start, a), (b, end)].iter().filter(|(start, end)| start < end));
        }
        std::mem::swap(&mut self.missing, &mut self.scratch);
    }

    fn begin_round(&mut self) -> Vec<(u32, u32)> {
        self.fetches.clear();
        self.waits.clear();
        self.discarding = false;
        self.rounds += 1;
        self.missing.append(&mut self.later);
        self.missing.sort_unstable();
        self.scratch.clear();
        std::mem::replace(&mut self.missing, std::mem::take(&mut self.scratch))
    }

    /// Notes the sectors of a piece that the reader lacks; `later` when this round does not fetch them.
    fn lacks(&mut self, piece: Piece, sectors: u8, later: bool) {
        let ranges = if later { &mut self.later } else { &mut self.missing };
        for part in piece.select(sectors) {
            let (start, end) = (part.offset(), part.offset() + part.len);
            match ranges.last_mut() {
                Some(last) if last.1 == start => last.1 = end,
                Some(_) | None => ranges.push((start, end)),
            }
        }
    }

    fn wait_for(&mut self, fill: FillId) {
        if !self.waits.contains(&fill) {
            self.waits.push(fill);
        }
    }
}

impl Shard {
    /// Reads if every sector is valid; else leaves `dst` as it was.
    ///
    /// # Panics
    /// If the extent is not inside an object, or `dst` not of its length.
    #[inline]
    pub fn try_read(&mut self, extent: Extent, dst: &mut [u8]) -> bool {
        self.assert_inside(extent);
        assert_eq!(dst.len(), extent.len as usize);
        if !extent.is_in_one_block() {
            return self.try_read_blocks(extent, dst);
        }
        let piece = extent.first_piece();
        let Some(id) = self.find(extent.object, piece.block) else { return false };
        let block = &mut self.blocks[id];
        if piece.touched() & !block.valid != 0 {
            return false;
        }
        block.touch();
        dst.copy_from_slice(&self.arena.block(id)[piece.bytes()]);
        self.stats.read_hits += 1;
        self.stats.read_hit_bytes += u64::from(extent.len);
        true
    }

    /// One round of a read: copies what is valid to `dst` and plans how to get the rest. `false` when the read
    /// is done.
    pub fn plan_read(&mut self, plan: &mut ReadPlan, dst: &mut [u8]) -> bool {
        let extent = plan.extent;
        self.assert_inside(extent);
        assert_eq!(dst.len(), extent.len as usize);
        let before = plan.begin_round();
        if plan.rounds == 1 {
            self.stats.read_misses += 1;
        }
        for &(start, end) in &before {
            for mut piece in Extent::new(extent.object, start, end - start).pieces() {
                piece.at += (start - extent.offset) as usize;
                self.plan_piece(plan, piece, Some(&mut *dst), self.config.keep_clean);
            }
        }
        plan.scratch = before;
        !plan.is_done()
    }

    /// Plans to bring an extent into the cache and hands nothing to a reader: for the edges of a write
    /// ([`WriteOutcome::NeedsFill`](super::WriteOutcome::NeedsFill)). The fetches need no `deliver`.
    pub fn plan_edge(&mut self, extent: Extent, plan: &mut ReadPlan) {
        self.plan_without_reader(extent, plan, true);
        plan.missing.clear();
        plan.later.clear();
    }

    /// Plans readahead: fetches the blocks of the extent that nobody has or fetches, and waits for nothing.
    pub fn plan_readahead(&mut self, extent: Extent, plan: &mut ReadPlan) {
        self.plan_without_reader(extent, plan, self.config.keep_clean);
        plan.fetches.retain(|fetch| fetch.fill.is_some());
        plan.missing.clear();
        plan.later.clear();
        plan.waits.clear();
    }

    /// Copies what is valid of an extent over `dst`.
    pub fn overlay(&self, extent: Extent, dst: &mut [u8]) {
        self.assert_inside(extent);
        assert_eq!(dst.len(), extent.len as usize);
        for piece in extent.pieces() {
            if let Some(id) = self.find(extent.object, piece.block) {
                self.copy_valid(id, piece, dst);
            }
        }
    }

    fn try_read_blocks(&mut self, extent: Extent, dst: &mut [u8]) -> bool {
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        let whole = extent.pieces().all(|piece| {
            let id = self.find(extent.object, piece.block);
            found.extend(id);
            id.is_some_and(|id| piece.touched() & !self.blocks[id].valid == 0)
        });
        if whole {
            for (piece, &id) in extent.pieces().zip(&found) {
                self.blocks[id].touch();
                dst[piece.buffer()].copy_from_slice(&self.arena.block(id)[piece.bytes()]);
            }
            self.stats.read_hits += 1;
            self.stats.read_hit_bytes += u64::from(extent.len);
        }
        self.found = found;
        whole
    }

    fn plan_without_reader(&mut self, extent: Extent, plan: &mut ReadPlan, keep: bool) {
        self.assert_inside(extent);
        plan.restart(extent);
        plan.begin_round();
        for piece in extent.pieces() {
            self.plan_piece(plan, piece, None, keep);
        }
    }

    fn plan_piece(&mut self, plan: &mut ReadPlan, piece: Piece, dst: Option<&mut [u8]>, keep: bool) {
        let object = plan.extent.object;
        let id = self.find(object, piece.block);
        let mut lacks = piece.touched();
        if let Some(id) = id {
            lacks &= !self.blocks[id].valid;
            if let Some(dst) = dst {
                self.copy_valid(id, piece, dst);
            }
            self.blocks[id].touch();
        }
        if lacks == 0 {
            return;
        }
        let fill = id.and_then(|id| self.fill_of(id));
        let discarding = self.is_discarding(Extent::new(object, piece.offset(), piece.len));
        plan.lacks(piece, lacks, fill.is_some() || discarding);
        plan.discarding |= discarding;
        if let Some(fill) = fill {
            plan.wait_for(fill);
        } else if !discarding {
            let whole = Extent::new(object, piece.block * BLOCK_BYTES, BLOCK_BYTES);
            let keep = keep && self.can_begin_fill() && !self.is_discarding(whole);
            self.fetch_block(&mut plan.fetches, object, piece.block, id, keep);
        }
    }

    fn copy_valid(&self, id: u32, piece: Piece, dst: &mut [u8]) {
        let cached = self.arena.block(id);
        for part in piece.select(self.blocks[id].valid) {
            dst[part.buffer()].copy_from_slice(&cached[part.bytes()]);
        }
    }
}
