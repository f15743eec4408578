//! A naive model of everything around two shards: what the guest must read, what the store has, and every
//! operation in flight, whose answers come in any order.

use crate::cache::{
    BLOCK_BYTES, DiscardId, Extent, Fetch, FillId, Held, ReadPlan, Run, SECTOR_BYTES, Shard, ShardConfig,
    Ticket, Urgency, WriteOutcome, Writeback, WritebackId, WritebackLimit,
};

pub(super) const OBJECTS: u64 = 4;
pub(super) const OBJECT_BYTES: u32 = 8 * BLOCK_BYTES;
pub(super) const AGE_NS: u64 = 1_000_000;
const IMAGE_BYTES: usize = OBJECTS as usize * OBJECT_BYTES as usize;
const SECTORS: usize = IMAGE_BYTES / SECTOR_BYTES as usize;
const SECTORS_PER_BLOCK: usize = (BLOCK_BYTES / SECTOR_BYTES) as usize;
const ROUNDS_MAX: u32 = 10_000;

pub(super) struct World {
    shards: [Shard; 2],
    /// Which shard has which object.
    home: [usize; OBJECTS as usize],
    /// The object on its way between the shards: nobody uses it meanwhile.
    moving: Option<u64>,
    now_ns: u64,
    stamp: u8,
    guest: Vec<u8>,
    store: Vec<u8>,
    sectors: Vec<Sector>,
    fetches: Vec<FetchInFlight>,
    reads: Vec<Read>,
    writes: Vec<Write>,
    writebacks: Vec<WritebackInFlight>,
    discards: Vec<DiscardInFlight>,
    tickets: Vec<TicketTaken>,
    /// No error, discard or move so far: then a flush waits for exactly what it covers.
    is_exact: bool,
    next_task: u64,
}

#[derive(Clone, Default)]
struct Sector {
    dirty: bool,
    writing: bool,
    dirty_since_ns: u64,
    /// Counts the changes the guest made; the state that the store has, and that it has acknowledged.
    version: u64,
    stored: u64,
    landed: u64,
}

struct FetchInFlight {
    task: u64,
    shard: usize,
    fetch: Fetch,
    /// What the store read, once it has.
    data: Option<Vec<u8>>,
}

struct Read {
    task: u64,
    plan: ReadPlan,
    shard: usize,
    dst: Vec<u8>,
    before: Vec<u8>,
    /// What became of the image since: where, and what.
    changes: Vec<(usize, Vec<u8>)>,
}

struct Write {
    task: u64,
    extent: Extent,
    data: Vec<u8>,
    plan: ReadPlan,
    shard: usize,
}

struct WritebackInFlight {
    id: WritebackId,
    shard: usize,
    object: u64,
    runs: Vec<(Run, Vec<u8>)>,
    versions: Vec<(usize, u64)>,
    applied: bool,
}

struct DiscardInFlight {
    id: DiscardId,
    shard: usize,
    extent: Extent,
    waits: Vec<WritebackId>,
}

struct TicketTaken {
    ticket: Ticket,
    shard: usize,
    /// Sectors of the shard's objects, and the version the guest had.
    covers: Vec<(usize, u64)>,
}

fn at(extent: Extent) -> usize {
    extent.object as usize * OBJECT_BYTES as usize + extent.offset as usize
}

fn range(extent: Extent) -> std::ops::Range<usize> {
    at(extent)..at(extent) + extent.len as usize
}

fn touched(extent: Extent) -> std::ops::Range<usize> {
    let sector = SECTOR_BYTES as usize;
    at(extent) / sector..(at(extent) + extent.len as usize).div_ceil(sector)
}

pub(super) fn config(keep_clean: bool) -> ShardConfig {
    ShardConfig {
        size_bytes: 16 * u64::from(BLOCK_BYTES),
        max_dirty_bytes: 12 * u64::from(BLOCK_BYTES),
        target_dirty_bytes: 8 * u64::from(BLOCK_BYTES),
        max_dirty_age_ns: AGE_NS,
        max_dirty_objects: 0,
        block_writes_upfront: true,
        object_bytes: OBJECT_BYTES,
        keep_clean,
        hash_seed: 7,
    }
}

impl World {
    pub(super) fn new(config: &ShardConfig) -> Self {
        let store: Vec<u8> = (0..IMAGE_BYTES).map(|at| pattern(at, 0)).collect();
        Self {
            shards: [Shard::new(config.clone()), Shard::new(config.clone())],
            home: [0, 1, 0, 1],
            moving: None,
            now_ns: 1,
            stamp: 0,
            guest: store.clone(),
            store,
            sectors: vec![Sector::default(); SECTORS],
            fetches: Vec::new(),
            reads: Vec::new(),
            writes: Vec::new(),
            writebacks: Vec::new(),
            discards: Vec::new(),
            tickets: Vec::new(),
            is_exact: true,
            next_task: 0,
        }
    }

    pub(super) fn advance(&mut self, ns: u64) {
        self.now_ns += ns;
    }

    pub(super) fn read(&mut self, extent: Extent) {
        let shard = self.home[extent.object as usize];
        let mut dst = vec![0xee; extent.len as usize];
        if self.shards[shard].try_read(extent, &mut dst) {
            assert_eq!(dst, self.guest[range(extent)], "a hit on {extent:?}");
            return;
        }
        assert!(dst.iter().all(|&byte| byte == 0xee), "a miss touches nothing");
        let before = self.guest[range(extent)].to_vec();
        let task = self.task();
        let read = Read { task, plan: ReadPlan::new(extent), shard, dst, before, changes: Vec::new() };
        self.reads.push(read);
        self.run_tasks();
    }

    pub(super) fn readahead(&mut self, extent: Extent) {
        let shard = self.home[extent.object as usize];
        let mut plan = ReadPlan::new(extent);
        self.shards[shard].plan_readahead(extent, &mut plan);
        let task = self.task();
        assert!(plan.waits().is_empty() && plan.fetches().iter().all(|fetch| fetch.fill.is_some()));
        self.issue(task, shard, plan.fetches());
    }

    pub(super) fn write(&mut self, extent: Extent) {
        self.stamp = self.stamp.wrapping_add(1);
        let data = range(extent).map(|at| pattern(at, self.stamp)).collect();
        let task = self.task();
        let shard = self.home[extent.object as usize];
        self.writes.push(Write { task, extent, data, plan: ReadPlan::new(extent), shard });
        self.run_tasks();
    }

    pub(super) fn begin_discard(&mut self, extent: Extent) {
        if self.discards.iter().any(|discard| discard.extent.overlaps(extent)) {
            return;
        }
        let shard = self.home[extent.object as usize];
        let mut waits = Vec::new();
        let id = self.shards[shard].begin_discard(extent, &mut waits);
        self.is_exact = false;
        for sector in touched(extent) {
            self.sectors[sector].dirty = false;
        }
        self.discards.push(DiscardInFlight { id, shard, extent, waits });
    }

    /// The store discards, or fails, once the writebacks that the shard named have landed.
    pub(super) fn finish_discard(&mut self, pick: usize, ok: bool) {
        if self.discards.is_empty() {
            return;
        }
        let pick = pick % self.discards.len();
        let DiscardInFlight { id, shard, extent, ref waits } = self.discards[pick];
        if waits.iter().any(|&id| self.shards[shard].is_in_flight(id)) {
            return;
        }
        let crossed = self.writebacks.iter().any(|writeback| {
            writeback.runs.iter().any(|(run, _)| extent_of(writeback.object, *run).overlaps(extent))
        });
        assert!(!crossed, "no writeback crosses a discard");
        self.discards.swap_remove(pick);
        if ok {
            self.store[range(extent)].fill(0);
        }
        for sector in touched(extent) {
            let sector = &mut self.sectors[sector];
            sector.version += 1;
            (sector.stored, sector.landed) = (sector.version, sector.version);
        }
        let now = self.store[range(extent)].to_vec();
        self.change(extent, &now);
        self.shards[shard].finish_discard(id);
        self.run_tasks();
    }

    /// The store reads for a fetch; its answer comes later.
    pub(super) fn store_reads(&mut self, pick: usize) {
        if let Some(pick) = pick.checked_rem(self.fetches.len()) {
            let extent = self.fetches[pick].fetch.extent;
            self.fetches[pick].data.get_or_insert_with(|| self.store[range(extent)].to_vec());
        }
    }

    /// A fetch's answer arrives. A failed one is as if the reader had gone and come back.
    pub(super) fn end_fetch(&mut self, pick: usize, ok: bool) {
        if self.fetches.is_empty() {
            return;
        }
        let pick = pick % self.fetches.len();
        self.store_reads(pick);
        let FetchInFlight { task, shard, fetch, data } = self.fetches.swap_remove(pick);
        let data = data.expect("the store has read");
        if let Some(fill) = fetch.fill {
            if ok {
                self.shards[shard].complete_fill(fill, &data);
            } else {
                self.shards[shard].fail_fill(fill);
            }
        }
        if let Some(read) = self.reads.iter_mut().find(|read| read.task == task)
            && ok
        {
            if read.plan.direct() == Some(&fetch) {
                read.dst.copy_from_slice(&data);
                read.plan.delivered(&fetch);
            } else {
                read.plan.deliver(&fetch, &data, &mut read.dst);
            }
        }
        self.run_tasks();
    }

    /// Says whether one began.
    pub(super) fn begin_writeback(&mut self, shard: usize, why: Urgency, limit: WritebackLimit) -> bool {
        let mut writeback = Writeback::default();
        if !self.shards[shard].next_writeback(why, limit, &mut writeback) {
            self.assert_no_cause(shard, why);
            return false;
        }
        let mut runs = Vec::new();
        let mut versions = Vec::new();
        let mut end = None;
        for &run in writeback.runs() {
            assert!(end.is_none_or(|end| end < run.offset), "runs are ascending and coalesced");
            end = Some(run.offset + run.len);
            let extent = extent_of(writeback.object(), run);
            assert!(extent.is_sector_aligned());
            let mut data = vec![0; run.len as usize];
            self.shards[shard].copy_run(&writeback, run, &mut data);
            assert_eq!(data, self.guest[range(extent)], "what is written back is what the guest wrote");
            for number in touched(extent) {
                let sector = &mut self.sectors[number];
                assert!(sector.dirty && !sector.writing, "a sector is written back when dirty, and once");
                (sector.dirty, sector.writing) = (false, true);
                versions.push((number, sector.version));
            }
            runs.push((run, data));
        }
        let bytes: u32 = runs.iter().map(|(run, _)| run.len).sum();
        assert!(!runs.is_empty() && bytes == writeback.bytes());
        assert!(
            bytes < limit.bytes.max(1).saturating_add(BLOCK_BYTES) && runs.len() <= limit.runs as usize + 4
        );
        let (id, object) = (writeback.id(), writeback.object());
        self.writebacks.push(WritebackInFlight { id, shard, object, runs, versions, applied: false });
        true
    }

    /// The store writes; its answer comes later.
    pub(super) fn store_writes(&mut self, pick: usize) {
        if let Some(pick) = pick.checked_rem(self.writebacks.len()) {
            self.apply(pick, usize::MAX);
        }
    }

    /// A writeback's answer arrives. A failed one may have written some of its sectors.
    pub(super) fn end_writeback(&mut self, pick: usize, ok: bool) {
        if self.writebacks.is_empty() {
            return;
        }
        let pick = pick % self.writebacks.len();
        self.apply(pick, if ok { usize::MAX } else { pick });
        let writeback = self.writebacks.swap_remove(pick);
        for &(number, version) in &writeback.versions {
            let extent = Extent::new(
                writeback.object,
                (number * SECTOR_BYTES as usize % OBJECT_BYTES as usize) as u32,
                SECTOR_BYTES,
            );
            let discarding = self.discards.iter().any(|discard| discard.extent.overlaps(extent));
            let sector = &mut self.sectors[number];
            sector.writing = false;
            if ok {
                sector.landed = version;
            } else {
                self.is_exact = false;
                sector.dirty |= !discarding;
            }
        }
        if ok {
            self.shards[writeback.shard].complete_writeback(writeback.id);
        } else {
            self.shards[writeback.shard].fail_writeback(writeback.id);
        }
        self.run_tasks();
    }

    pub(super) fn take_ticket(&mut self, shard: usize) -> Ticket {
        let ticket = self.shards[shard].flush_ticket();
        let covers = (0..SECTORS)
            .filter(|&number| self.home_of(number) == shard)
            .map(|number| (number, self.sectors[number].version))
            .collect();
        self.tickets.push(TicketTaken { ticket, shard, covers });
        ticket
    }

    pub(super) fn some_ticket(&self, pick: usize) -> Option<(usize, Ticket)> {
        let taken = &self.tickets[pick.checked_rem(self.tickets.len())?];
        Some((taken.shard, taken.ticket))
    }

    pub(super) fn invalidate(&mut self, shard: usize) {
        let is_dirty = self.shards[shard].dirty_bytes() > 0;
        assert_eq!(self.shards[shard].invalidate().is_err(), is_dirty);
    }

    /// Moves an object to the other shard, unless it is busy.
    pub(super) fn relocate(&mut self, object: u64) {
        let (from, to) = (self.home[object as usize], 1 - self.home[object as usize]);
        let Ok(mut parcel) = self.shards[from].extract(|moving| moving == object) else { return };
        self.home[object as usize] = to;
        self.moving = Some(object);
        self.is_exact = false;
        self.tickets.clear();
        let first = object as usize * (SECTORS / OBJECTS as usize);
        for sector in &mut self.sectors[first..first + SECTORS / OBJECTS as usize] {
            sector.dirty_since_ns = self.now_ns;
        }
        for _ in 0..ROUNDS_MAX {
            match self.shards[to].insert(parcel, self.now_ns) {
                Ok(()) => {
                    self.moving = None;
                    self.run_tasks();
                    return;
                }
                Err(left) => parcel = left,
            }
            let limit = WritebackLimit { bytes: u32::MAX, runs: u32::MAX };
            if !self.begin_writeback(to, Urgency::All, limit) && self.writebacks.is_empty() {
                self.end_fetch(0, true);
            }
            self.end_writeback(0, true);
        }
        panic!("a parcel finds room in the end");
    }

    /// Every invariant of the shards and of the model.
    pub(super) fn check(&mut self) {
        for shard in 0..2 {
            self.shards[shard].check();
            let counted = self.sectors.iter().enumerate();
            let counted = counted.filter(|(number, _)| self.home_of(*number) == shard);
            let dirty = counted.filter(|(_, sector)| sector.dirty || sector.writing).count();
            assert_eq!(self.shards[shard].dirty_bytes(), dirty as u64 * u64::from(SECTOR_BYTES));
            assert!(self.shards[shard].cached_bytes() <= self.shards[shard].size_bytes());
        }
        for object in 0..OBJECTS {
            self.check_object(object);
        }
        self.tickets.retain(|TicketTaken { ticket, shard, covers }| {
            let is_flushed = self.shards[*shard].is_flushed(*ticket);
            let is_stored = covers.iter().all(|&(number, version)| self.sectors[number].stored >= version);
            let is_landed = covers.iter().all(|&(number, version)| self.sectors[number].landed >= version);
            assert!(!is_flushed || is_stored, "a flush is over when the store has what it covers");
            assert!(is_flushed || !is_landed || !self.is_exact, "a flush waits for nothing else");
            !is_flushed
        });
    }

    /// Lets everything end well, and compares what is left.
    pub(super) fn drain(&mut self) {
        let limit = WritebackLimit { bytes: u32::MAX, runs: u32::MAX };
        let tickets = [self.take_ticket(0), self.take_ticket(1)];
        for _ in 0..ROUNDS_MAX {
            self.end_fetch(0, true);
            self.begin_writeback(0, Urgency::All, limit);
            self.begin_writeback(1, Urgency::All, limit);
            self.end_writeback(0, true);
            self.finish_discard(0, true);
            self.run_tasks();
            self.check();
            let in_flight = self.fetches.len() + self.reads.len() + self.writes.len() + self.discards.len();
            let dirty: u64 = self.shards.iter().map(Shard::dirty_bytes).sum();
            if in_flight as u64 + dirty == 0 {
                assert!((0..2).all(|shard| self.shards[shard].is_flushed(tickets[shard])));
                assert_eq!(self.store, self.guest);
                return;
            }
        }
        panic!("everything ends");
    }

    fn task(&mut self) -> u64 {
        self.next_task += 1;
        self.next_task
    }

    fn home_of(&self, sector: usize) -> usize {
        self.home[sector * SECTOR_BYTES as usize / OBJECT_BYTES as usize]
    }

    fn issue(&mut self, task: u64, shard: usize, fetches: &[Fetch]) {
        self.fetches.extend(fetches.iter().map(|&fetch| FetchInFlight { task, shard, fetch, data: None }));
    }

    /// The cache laid over the store is what the guest must read, except where a discard is under way.
    fn check_object(&self, object: u64) {
        let whole = Extent::new(object, 0, OBJECT_BYTES);
        let mut seen = self.store[range(whole)].to_vec();
        self.shards[self.home[object as usize]].overlay(whole, &mut seen);
        let mut wanted = self.guest[range(whole)].to_vec();
        for discard in self.discards.iter().filter(|discard| discard.extent.object == object) {
            let bytes = discard.extent.offset as usize..discard.extent.end() as usize;
            seen[bytes.clone()].fill(0);
            wanted[bytes].fill(0);
        }
        assert!(seen == wanted, "object {object} reads as the guest wrote it");
    }

    /// Nothing was chosen: there must be nothing that should have been.
    fn assert_no_cause(&self, shard: usize, why: Urgency) {
        let free = |number: &usize| {
            let first = number / SECTORS_PER_BLOCK * SECTORS_PER_BLOCK;
            self.home_of(*number) == shard
                && self.moving.is_none()
                && self.sectors[*number].dirty
                && !self.sectors[first..first + SECTORS_PER_BLOCK].iter().any(|sector| sector.writing)
        };
        let mut free = (0..SECTORS).filter(free);
        match why {
            Urgency::All => assert_eq!(free.next(), None),
            Urgency::Extent(extent) => assert!(!free.any(|number| touched(extent).contains(&number))),
            Urgency::Flush(_) => {}
            Urgency::Background(now_ns) => {
                assert!(free.all(|number| now_ns < self.sectors[number].dirty_since_ns + AGE_NS));
                assert!(self.shards[shard].next_deadline().is_none_or(|deadline| deadline > now_ns));
            }
        }
    }

    fn apply(&mut self, pick: usize, sectors_max: usize) {
        let writeback = &mut self.writebacks[pick];
        if writeback.applied {
            return;
        }
        writeback.applied = sectors_max == usize::MAX;
        let mut left = sectors_max;
        for (run, data) in &writeback.runs {
            let extent = extent_of(writeback.object, *run);
            let bytes = data.len().min(left.saturating_mul(SECTOR_BYTES as usize));
            self.store[range(extent)][..bytes].copy_from_slice(&data[..bytes]);
            left = left.saturating_sub(data.len() / SECTOR_BYTES as usize);
        }
        for &(number, version) in writeback.versions.iter().take(sectors_max) {
            assert!(self.sectors[number].stored <= version, "states of a sector reach the store in order");
            self.sectors[number].stored = version;
        }
    }

    /// The image changed here.
    fn change(&mut self, extent: Extent, data: &[u8]) {
        self.guest[range(extent)].copy_from_slice(data);
        for read in &mut self.reads {
            read.changes.push((at(extent), data.to_vec()));
        }
    }

    /// Lets every read and write go on that waits for nothing more.
    fn run_tasks(&mut self) {
        let mut reads = std::mem::take(&mut self.reads);
        reads.retain_mut(|read| {
            self.is_waiting(read.task, read.shard, &read.plan) || !self.go_on_reading(read)
        });
        reads.append(&mut self.reads);
        self.reads = reads;
        let mut writes = std::mem::take(&mut self.writes);
        writes.retain_mut(|write| {
            self.is_waiting(write.task, write.shard, &write.plan) || !self.try_write(write)
        });
        writes.append(&mut self.writes);
        self.writes = writes;
    }

    fn is_waiting(&self, task: u64, shard: usize, plan: &ReadPlan) -> bool {
        let is_filling = |id: &FillId| self.shards[shard].is_filling(*id);
        self.moving == Some(plan.extent().object)
            || self.fetches.iter().any(|fetch| fetch.task == task)
            || plan.waits().iter().any(is_filling)
    }

    /// Says whether the read is done.
    fn go_on_reading(&mut self, read: &mut Read) -> bool {
        let extent = read.plan.extent();
        read.shard = self.home[extent.object as usize];
        if self.shards[read.shard].plan_read(&mut read.plan, &mut read.dst) {
            let waits = read.plan.waits_for_discard() || !read.plan.waits().is_empty();
            assert!(waits || !read.plan.fetches().is_empty(), "a round has something to do or to wait for");
            self.issue(read.task, read.shard, read.plan.fetches());
            return false;
        }
        for (offset, &byte) in read.dst.iter().enumerate() {
            let at = at(extent) + offset;
            let legal = read.before[offset] == byte
                || read.changes.iter().any(|(from, data)| {
                    at.checked_sub(*from).and_then(|offset| data.get(offset)) == Some(&byte)
                });
            assert!(legal, "byte {at} was read as {byte}, which it never was during the read");
        }
        true
    }

    /// Says whether the write is done.
    fn try_write(&mut self, write: &mut Write) -> bool {
        let extent = write.extent;
        write.shard = self.home[extent.object as usize];
        write.plan.restart(extent);
        let shard = &mut self.shards[write.shard];
        match shard.write(extent, &write.data, self.now_ns) {
            WriteOutcome::Accepted | WriteOutcome::Deferred => {}
            WriteOutcome::Held(why) => {
                let waits = match why {
                    Held::DirtyLimit | Held::DirtyObjects => shard.dirty_bytes() > 0,
                    Held::NoBlock => {
                        shard.dirty_bytes() > 0 || self.fetches.iter().any(|fetch| fetch.shard == write.shard)
                    }
                    Held::Discard => !self.discards.is_empty(),
                };
                assert!(waits, "a held write waits for something: {why:?}");
                return false;
            }
            WriteOutcome::NeedsFill(edge) => {
                shard.plan_edge(edge, &mut write.plan);
                assert!(!write.plan.fetches().is_empty() || !write.plan.waits().is_empty());
                self.issue(write.task, write.shard, write.plan.fetches());
                return false;
            }
        }
        for number in touched(extent) {
            let sector = &mut self.sectors[number];
            if !sector.dirty {
                sector.dirty_since_ns = self.now_ns;
            }
            sector.dirty = true;
            sector.version += 1;
        }
        self.change(extent, &write.data);
        true
    }
}

fn extent_of(object: u64, run: Run) -> Extent {
    Extent::new(object, run.offset, run.len)
}

/// Differs with the address, so that data in the wrong place is seen, and with the write.
fn pattern(at: usize, stamp: u8) -> u8 {
    (at as u8).wrapping_mul(31).wrapping_add((at >> 8) as u8).wrapping_mul(7).wrapping_add(stamp)
}
