//! A simulated disk with its file system: files, names, space, faults, and what a power cut leaves of them.
//!
//! An operation begins and completes; in between it is in flight, and a power cut may find it anywhere.
//! It changes what readers see when it completes. The disk knows no time and no tasks: the world around it
//! decides when an operation completes, and tells.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::Path;

use fastrand::Rng;

use super::fate::{CutStyle, Fate, Fates};
use super::faults::{DiskConfig, DiskOp, Faults};
use super::image::{BLOCK, Change, Image, blocks};
use super::inode::{FileState, InFlight};
use super::names::{Directory, Entry, Inode, absolute};
use super::trace::{TraceKind, hash_bytes};

/// The largest length of a file, as on Linux.
pub(super) const FILE_LEN_MAX: u64 = i64::MAX as u64;

/// Names an operation that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OpId(u64);

/// What is asked of a file.
#[derive(Debug)]
pub(super) enum Request {
    Read {
        offset: u64,
        len: u64,
    },
    /// A change of content, and whether it is durable when it completes.
    Change {
        change: Change,
        durable: bool,
    },
    Sync,
}

impl Request {
    /// What kind of operation this is.
    pub(super) fn kind(&self) -> DiskOp {
        match self {
            Request::Read { .. } => DiskOp::Read,
            Request::Sync => DiskOp::Sync,
            Request::Change { change, .. } => match change {
                Change::Write { .. } => DiskOp::Write,
                Change::Zero { .. } => DiskOp::Zero,
                Change::Punch { .. } => DiskOp::Punch,
                Change::Allocate { .. } => DiskOp::Allocate,
                Change::Grow { .. } | Change::Resize { .. } => DiskOp::SetLen,
            },
        }
    }
}

/// An operation in flight.
#[derive(Debug)]
struct Running {
    inode: Inode,
    /// The count of completed changes when it began: what a sync covers.
    began: u64,
    request: Request,
    fails: Option<i32>,
}

/// One disk.
#[derive(Debug)]
pub(super) struct Disk {
    config: DiskConfig,
    faults: Faults,
    rng: Rng,
    names: Directory,
    files: BTreeMap<Inode, FileState>,
    running: BTreeMap<OpId, Running>,
    /// Counts files, operations, handles and completed changes: one sequence for all of them.
    seq: u64,
    used_blocks: u64,
    ops: u64,
    cut_at: Option<u64>,
}

impl Disk {
    /// An empty disk.
    pub(super) fn new(config: DiskConfig, rng: Rng) -> Disk {
        Disk {
            config,
            faults: Faults::default(),
            rng,
            names: Directory::new(),
            files: BTreeMap::new(),
            running: BTreeMap::new(),
            seq: 0,
            used_blocks: 0,
            ops: 0,
            cut_at: None,
        }
    }

    /// How the disk misbehaves.
    pub(super) fn config_mut(&mut self) -> &mut DiskConfig {
        &mut self.config
    }

    /// Makes the `nth` operation of a kind from now on fail.
    pub(super) fn fail_nth(&mut self, op: DiskOp, nth: u64, errno: i32) {
        self.faults.fail_nth(op, nth, errno);
    }

    /// Number of operations so far that a power cut can tell apart: all but reads.
    pub(super) fn ops(&self) -> u64 {
        self.ops
    }

    /// Arranges for the power to fail during the `nth` operation from now on, 1 being the next.
    pub(super) fn cut_after(&mut self, nth: u64) {
        assert!(nth >= 1, "operations are counted from 1");
        self.cut_at = Some(self.ops + nth);
    }

    /// Whether the power is to fail now.
    pub(super) fn cut_is_due(&self) -> bool {
        self.cut_at.is_some_and(|at| self.ops >= at)
    }

    /// How long the operation that just began takes.
    pub(super) fn latency_ns(&mut self) -> u64 {
        self.config.latency_ns(&mut self.rng)
    }

    /// How many of the `len` bytes of a transfer one operation moves.
    pub(super) fn transfer_len(&mut self, len: usize) -> usize {
        self.config.transfer_len(len, &mut self.rng)
    }

    /// Bytes of space in use by files that have a name.
    pub(super) fn used_bytes(&self) -> u64 {
        self.used_blocks * BLOCK
    }

    /// Begins an operation on a file.
    pub(super) fn begin(&mut self, inode: Inode, request: Request) -> OpId {
        let kind = request.kind();
        if kind != DiskOp::Read {
            self.ops += 1;
        }
        let fails = self.faults.next(kind, &self.config, &mut self.rng);
        let began = self.next_seq();
        self.running.insert(OpId(began), Running { inode, began, request, fails });
        OpId(began)
    }

    /// What the trace tells of an operation in flight: its kind, its file, its range, and a hash of its bytes.
    pub(super) fn describe(&self, op: OpId) -> (TraceKind, u64, Range<u64>, u64) {
        let running = self.running.get(&op).expect("the operation is in flight");
        let (kind, range, data) = match &running.request {
            Request::Read { offset, len } => (TraceKind::Read, *offset..offset.saturating_add(*len), 0),
            Request::Sync => (TraceKind::Sync, 0..0, 0),
            Request::Change { change, .. } => match change {
                Change::Write { data, .. } => (TraceKind::Write, change.range(), hash_bytes(data)),
                Change::Zero { .. } => (TraceKind::Zero, change.range(), 0),
                Change::Punch { .. } => (TraceKind::Punch, change.range(), 0),
                Change::Allocate { .. } => (TraceKind::Allocate, change.range(), 0),
                Change::Grow { len } | Change::Resize { len } => (TraceKind::SetLen, 0..*len, 0),
            },
        };
        (kind, running.inode.0, range, data)
    }

    /// Completes an operation: from now on it is visible. The bytes of a read are taken with [`Disk::read`].
    pub(super) fn complete(&mut self, op: OpId) -> io::Result<()> {
        let Running { inode, began, request, fails } =
            self.running.remove(&op).expect("an operation completes once, and only if the node is alive");
        match request {
            Request::Read { .. } => fails.map_or(Ok(()), |errno| Err(errno_error(errno))),
            Request::Sync => self.complete_sync(inode, began, fails),
            Request::Change { change, durable } => self.complete_change(inode, change, durable, fails),
        }
    }

    /// Fills `buf` with what readers see; returns how many bytes there were.
    pub(super) fn read(&self, inode: Inode, offset: u64, buf: &mut [u8]) -> usize {
        self.file(inode).visible().read(offset, buf)
    }

    /// Length of a file as readers see it.
    pub(super) fn len(&self, inode: Inode) -> u64 {
        self.file(inode).visible().len()
    }

    fn complete_sync(&mut self, inode: Inode, upto: u64, fails: Option<i32>) -> io::Result<()> {
        let Some(errno) = fails else {
            self.file_mut(inode).sync(upto);
            return Ok(());
        };
        let style = CutStyle::Independent { keep: self.rng.f64(), tear: 0.0 };
        let give_up_cache = self.rng.bool();
        let file = self.files.get_mut(&inode).expect("a file with an operation in flight exists");
        file.sync_failed(upto, &mut Fates::new(style, &mut self.rng), give_up_cache);
        self.recount();
        Err(errno_error(errno))
    }

    fn complete_change(
        &mut self,
        inode: Inode,
        change: Change,
        durable: bool,
        fails: Option<i32>,
    ) -> io::Result<()> {
        if self.file(inode).device && (change.is_size() || matches!(change, Change::Allocate { .. })) {
            return Err(errno_error(libc::EOPNOTSUPP));
        }
        if let Change::Resize { len } | Change::Grow { len } = change {
            assert!(len <= FILE_LEN_MAX, "the handle has checked the length");
            return match fails {
                Some(errno) => Err(errno_error(errno)),
                None => {
                    self.store(inode, change, durable);
                    Ok(())
                }
            };
        }
        let range = change.range();
        assert!(range.end <= FILE_LEN_MAX, "the handle has checked the range");
        let grows = self.grows(inode, &change, durable);
        if let Some(errno) = fails {
            // A failed operation leaves some sectors new and some old.
            let mut fates = Fates::new(CutStyle::DropAll, &mut self.rng);
            for part in fates.sectors(&range) {
                let end = part.end;
                self.store(inode, part_of(&change, part), false);
                if grows {
                    self.store(inode, Change::Grow { len: end }, false);
                }
            }
            return Err(errno_error(errno));
        }
        let fitting = self.fitting(inode, &change);
        if fitting < range.end {
            // What fits is stored, as a kernel does before it reports a full disk.
            if fitting > range.start && matches!(change, Change::Write { .. }) {
                self.store(inode, part_of(&change, range.start..fitting), false);
                if grows {
                    self.store(inode, Change::Grow { len: fitting }, false);
                }
            }
            return Err(errno_error(libc::ENOSPC));
        }
        self.store(inode, change, durable);
        if grows {
            self.store(inode, Change::Grow { len: range.end }, durable);
        }
        Ok(())
    }

    /// Whether a change of content also has to move the end of the file.
    fn grows(&self, inode: Inode, change: &Change, durable: bool) -> bool {
        match change {
            Change::Write { .. } | Change::Allocate { .. } => {
                let (end, file) = (change.range().end, self.file(inode));
                if file.device {
                    return false;
                }
                // A durable write must be found again, so the length it needs becomes durable with it.
                end > file.visible().len() || (durable && end > file.shortest_len())
            }
            Change::Zero { .. } | Change::Punch { .. } | Change::Grow { .. } | Change::Resize { .. } => false,
        }
    }

    fn store(&mut self, inode: Inode, change: Change, durable: bool) {
        let seq = self.next_seq();
        let file = self.files.get_mut(&inode).expect("a file with an operation in flight exists");
        let before = file.visible().allocated().blocks();
        file.apply(seq, change, durable);
        if file.takes_space() {
            self.used_blocks = self.used_blocks - before + file.visible().allocated().blocks();
        }
    }

    /// The end of the part of a change for which there is space.
    fn fitting(&self, inode: Inode, change: &Change) -> u64 {
        let range = change.range();
        let file = self.file(inode);
        if file.device {
            return if range.end <= file.visible().len() { range.end } else { range.start };
        }
        let (Some(capacity), false) = (self.config.capacity, matches!(change, Change::Punch { .. })) else {
            return range.end;
        };
        let budget = (capacity / BLOCK).saturating_sub(self.used_blocks);
        let fitting = file.visible().allocated().fitting(&blocks(&range), budget);
        range.end.min(fitting.end.saturating_mul(BLOCK))
    }

    fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    fn file(&self, inode: Inode) -> &FileState {
        self.files.get(&inode).expect("a file that is open exists")
    }

    fn file_mut(&mut self, inode: Inode) -> &mut FileState {
        self.files.get_mut(&inode).expect("a file that is open exists")
    }

    fn recount(&mut self) {
        let linked = self.files.values().filter(|file| file.takes_space());
        self.used_blocks = linked.map(|file| file.visible().allocated().blocks()).sum();
    }
}

/// Names, handles and locks.
impl Disk {
    /// What `path` names.
    pub(super) fn entry(&self, path: &Path) -> Option<Entry> {
        self.names.entry(path)
    }

    /// The file at `path`.
    pub(super) fn lookup(&self, path: &Path) -> io::Result<Inode> {
        self.names.file(path)
    }

    /// Makes an empty file at `path`, where nothing is.
    pub(super) fn create(&mut self, path: &Path) -> io::Result<Inode> {
        self.names.check_parent(path)?;
        self.begin_naming()?;
        let inode = Inode(self.next_seq());
        let file = self.files.entry(inode).or_default();
        file.linked = true;
        let seq = self.next_seq();
        self.names.bind(seq, path, Entry::File(inode));
        Ok(inode)
    }

    /// Plugs a block device of zeroes in at `path`.
    pub(super) fn add_device(&mut self, path: &Path, len: u64) -> io::Result<()> {
        let path = absolute(path);
        if self.names.entry(&path).is_some() {
            return Err(errno_error(libc::EEXIST));
        }
        let inode = Inode(self.next_seq());
        let seq = self.next_seq();
        let file = self.files.entry(inode).or_default();
        file.apply(seq, Change::Resize { len }, true);
        (file.linked, file.device) = (true, true);
        for dir in path.ancestors().skip(1) {
            if self.names.entry(dir).is_none() {
                self.names.bind(seq, dir, Entry::Dir);
            }
        }
        self.names.bind(seq, &path, Entry::File(inode));
        path.ancestors().skip(1).try_for_each(|dir| self.names.sync(dir, u64::MAX))
    }

    /// Whether a file is a block device.
    pub(super) fn is_device(&self, inode: Inode) -> bool {
        self.file(inode).device
    }

    /// Makes a directory at `path`, where nothing is.
    pub(super) fn make_dir(&mut self, path: &Path) -> io::Result<()> {
        self.names.check_parent(path)?;
        self.begin_naming()?;
        let seq = self.next_seq();
        self.names.bind(seq, path, Entry::Dir);
        Ok(())
    }

    /// Removes the file at `path`; open handles keep its content.
    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.lookup(path)?;
        self.begin_naming()?;
        let seq = self.next_seq();
        let inode = self.names.unlink(seq, path)?;
        self.unlinked(inode);
        Ok(())
    }

    /// Renames a file, over another if there is one.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.lookup(from)?;
        self.begin_naming()?;
        let seq = self.next_seq();
        if let Some(replaced) = self.names.rename(seq, from, to)? {
            self.unlinked(replaced);
        }
        Ok(())
    }

    /// Makes the changes of names in a directory durable.
    pub(super) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        self.ops += 1;
        let seq = self.next_seq();
        if self.cut_is_due() {
            return Ok(());
        }
        match self.faults.next(DiskOp::SyncDir, &self.config, &mut self.rng) {
            Some(errno) => Err(errno_error(errno)),
            None => self.names.sync(path, seq),
        }
    }

    /// A handle to a file; returns its number.
    pub(super) fn open_handle(&mut self, inode: Inode) -> u64 {
        self.file_mut(inode).handles += 1;
        self.next_seq()
    }

    /// A handle is gone, and its lock with it.
    pub(super) fn close_handle(&mut self, inode: Inode, handle: u64) {
        let file = self.file_mut(inode);
        file.handles -= 1;
        if file.locked_by == Some(handle) {
            file.locked_by = None;
        }
    }

    /// Locks a file for a handle unless another one holds the lock.
    pub(super) fn try_lock(&mut self, inode: Inode, handle: u64) -> bool {
        *self.file_mut(inode).locked_by.get_or_insert(handle) == handle
    }

    fn begin_naming(&mut self) -> io::Result<()> {
        self.ops += 1;
        match self.faults.next(DiskOp::Name, &self.config, &mut self.rng) {
            Some(errno) => Err(errno_error(errno)),
            None => Ok(()),
        }
    }

    fn unlinked(&mut self, inode: Inode) {
        let file = self.file_mut(inode);
        let blocks = if file.takes_space() { file.visible().allocated().blocks() } else { 0 };
        file.linked = false;
        self.used_blocks -= blocks;
    }
}

/// Death.
impl Disk {
    /// The power fails. Calls `told` with the fate of each change that was at stake.
    pub(super) fn power_cut(&mut self, mut told: impl FnMut(Inode, &Change, Fate)) {
        let mut in_flight: BTreeMap<Inode, Vec<InFlight>> = BTreeMap::new();
        let mut at_stake: Vec<u64> = self.names.unsynced().collect();
        for (_, running) in std::mem::take(&mut self.running) {
            if let Request::Change { change, .. } = running.request {
                if change.is_size() && self.file(running.inode).device {
                    continue;
                }
                let end = change.range().end;
                let grow = self.grows(running.inode, &change, false).then_some(Change::Grow { len: end });
                let changes = std::iter::once(change).chain(grow).collect();
                at_stake.push(running.began);
                in_flight.entry(running.inode).or_default().push(InFlight { began: running.began, changes });
            }
        }
        at_stake.extend(self.files.values().flat_map(FileState::unsynced));
        let style = self.config.cut_style.unwrap_or_else(|| CutStyle::draw(&mut self.rng));
        let mut fates = Fates::new(style, &mut self.rng).over(at_stake.into_iter());
        for (&inode, file) in &mut self.files {
            let in_flight = in_flight.remove(&inode).unwrap_or_default();
            file.power_cut(in_flight, &mut fates, |change, fate| told(inode, change, fate));
        }
        self.names.power_cut(&mut fates);
        self.reborn();
        self.files.retain(|_, file| file.linked);
    }

    /// The process dies: what it has asked for happens or not, what has completed stays.
    pub(super) fn kill(&mut self) {
        let running: Vec<OpId> = self.running.keys().copied().collect();
        for op in running {
            if self.rng.bool() {
                // Nobody is left to hear of an error.
                drop(self.complete(op));
            }
        }
        self.running.clear();
        self.reborn();
    }

    /// What the file at `path` holds, for tests to look at from outside.
    pub(super) fn content(&self, path: &Path) -> io::Result<Vec<u8>> {
        let image: &Image = self.file(self.lookup(path)?).visible();
        let len = usize::try_from(image.len()).expect("a test looks at files that fit in memory");
        let mut bytes = vec![0; len];
        image.read(0, &mut bytes);
        Ok(bytes)
    }

    /// No handle, lock, operation or arranged cut outlives the machine's life; files without a name are gone.
    fn reborn(&mut self) {
        self.cut_at = None;
        for file in self.files.values_mut() {
            (file.handles, file.locked_by, file.linked) = (0, None, false);
        }
        for (_, inode) in self.names.files() {
            self.files.get_mut(&inode).expect("a name names a file").linked = true;
        }
        self.recount();
    }
}

/// The part of a change of content that lies in `part`.
fn part_of(change: &Change, part: Range<u64>) -> Change {
    let (offset, len) = (part.start, part.end - part.start);
    match change {
        Change::Write { offset: start, data } => {
            let data = &data[(part.start - start) as usize..(part.end - start) as usize];
            Change::Write { offset, data: data.into() }
        }
        Change::Zero { .. } => Change::Zero { offset, len },
        Change::Punch { .. } => Change::Punch { offset, len },
        Change::Allocate { .. } => Change::Allocate { offset, len },
        Change::Grow { .. } | Change::Resize { .. } => unreachable!("a change of size has no parts"),
    }
}

fn errno_error(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}
