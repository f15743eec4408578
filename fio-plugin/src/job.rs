//! One running fio job: its units and files on one side, the engine on the other.
//!
//! An I/O goes `queue` → `commit` → engine → `take_events` → `event`. Nothing on this way allocates, locks or reads a
//! clock that fio does not ask for: the lists have fio's queue depth as capacity, and the token of a request is the
//! address of its unit.

use std::time::{Duration, Instant};

use ringbd::Region;

use crate::abi::layout::{Release, UNIT_LAYOUTS, UnitLayout, ddir};
use crate::abi::symbols::{Status, Symbols};
use crate::abi::view::{FioFile, Thread, Timespec, Unit};
use crate::engine_link::{self, ImageIndex, Link, Op};
use crate::log::say;
use crate::options::JobOptions;
use crate::target::Target;

/// The files whose size fio asked for before the job started, perhaps in the parent of its process.
///
/// Only names: no descriptor, thread or ring is kept, so a fork copies nothing that matters.
#[derive(Default)]
pub(crate) struct PlannedFiles(Vec<(usize, Target)>);

impl PlannedFiles {
    /// Tells fio the size of a file, and remembers what to open later.
    pub(crate) fn add(&mut self, td: Thread, options: &JobOptions, file: FioFile) -> Status {
        let size = target(td, options, file).and_then(|target| {
            let size = engine_link::image_size(&target)?;
            self.0.push((file.index(), target));
            Ok(size)
        });
        match size {
            Ok(size) => {
                file.set_size(size);
                0
            }
            Err(failure) => failure.say(),
        }
    }
}

/// Why a job cannot go on, for its user and for fio.
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) errno: i32,
}

impl Failure {
    fn say(self) -> Status {
        say(&self.message);
        self.errno
    }
}

fn target(td: Thread, options: &JobOptions, file: FioFile) -> Result<Target, Failure> {
    let file_given = td.string(c"filename").is_some() || td.string(c"read_iolog").is_some();
    Target::new(options, file.name(), file_given)
        .map_err(|message| Failure { message, errno: libc::EINVAL })
}

/// What stands behind a file of the job.
#[derive(Clone, Copy)]
enum FileState {
    Image(ImageIndex),
    /// It could not be opened, and its user was told. Its I/O fails with this errno, because that is the only way in
    /// which fio takes notice of a failure this late.
    Failed(i32),
}

/// Which requests get an issue time here, and whether fio needs a submission latency of them.
#[derive(Clone, Copy)]
struct Clocks {
    /// The job's statistics need `issue_time`, or its submission latency, set by the engine.
    stamp: bool,
}

impl Clocks {
    /// Decides for a job. Where the engine can set issue times, one clock read serves a whole batch. A replayed log is
    /// the exception: its pace hangs on a time that only fio can note, so there the job is taken back to fio's way.
    fn of_job(td: Thread, release: &Release) -> Clocks {
        let off = |name| td.is_set(name);
        let replays = td.string(c"read_iolog").is_some();
        let by_engine = release.sets_issue_time != 0 && !replays;
        if replays {
            td.clear_engine_flag(release, release.sets_issue_time);
        }
        let wanted = !(off(c"disable_clat") && off(c"disable_slat") && off(c"disable_bw_measurement"));
        Clocks { stamp: if by_engine { wanted } else { !off(c"disable_slat") } }
    }
}

/// A job, from `init` to `cleanup`.
pub(crate) struct Job {
    symbols: &'static Symbols,
    layout: UnitLayout,
    clocks: Clocks,
    link: Link,
    files: Vec<Option<FileState>>,
    units: Vec<Unit>,
    depth: usize,
    queued: Vec<(Unit, ImageIndex)>,
    in_flight: usize,
    told_failure: bool,
    /// Completed units. Those before `next` were handed to fio, the last batch of them from `batch` on.
    done: Vec<Unit>,
    batch: usize,
    next: usize,
}

impl Job {
    /// Opens what the job needs. The error is an errno that fio shows, after a message of ours.
    pub(crate) fn start(
        td: Thread,
        options: &JobOptions,
        planned: PlannedFiles,
        release: &Release,
        symbols: &'static Symbols,
    ) -> Result<Job, i32> {
        let depth = td.number(c"iodepth").unwrap_or(1).max(1) as usize;
        let mut job = Job {
            symbols,
            layout: UNIT_LAYOUTS[0],
            clocks: Clocks::of_job(td, release),
            link: Link::new(options.wait_mode()),
            files: Vec::new(),
            units: Vec::with_capacity(depth),
            depth,
            queued: Vec::with_capacity(depth),
            in_flight: 0,
            told_failure: false,
            done: Vec::with_capacity(depth),
            batch: 0,
            next: 0,
        };
        for (index, target) in planned.0 {
            if let Err(failure) = job.open_image(td, index, &target) {
                return Err(failure.say());
            }
        }
        Ok(job)
    }

    /// Tells fio the size of a file in a job that is already set up (`create_serialize=0`, or a replayed log).
    pub(crate) fn add_file(&mut self, td: Thread, options: &JobOptions, file: FioFile) -> Status {
        /// Any size that lets fio go on to the first I/O, which then fails.
        const FAILED_FILE_BYTES: u64 = 1 << 40;
        let size = target(td, options, file).and_then(|target| self.open_image(td, file.index(), &target));
        match size {
            Ok(size) => file.set_size(size),
            Err(failure) => {
                let errno = failure.say();
                self.set_file(file.index(), FileState::Failed(errno));
                file.set_size(FAILED_FILE_BYTES);
            }
        }
        0
    }

    fn open_image(&mut self, td: Thread, file: usize, target: &Target) -> Result<u64, Failure> {
        let image = self.link.open(target)?;
        if td.writes() && self.link.is_read_only(image) {
            let name = self.link.name(image);
            return Err(Failure {
                message: format!("{name} is read-only, and the job writes (use rw=read or rw=randread, or clone it)"),
                errno: libc::EROFS,
            });
        }
        self.set_file(file, FileState::Image(image));
        Ok(self.link.size(image))
    }

    fn set_file(&mut self, index: usize, state: FileState) {
        if self.files.len() <= index {
            self.files.resize(index + 1, None);
        }
        self.files[index] = Some(state);
    }

    fn file(&self, file: FioFile) -> FileState {
        self.files.get(file.index()).copied().flatten().unwrap_or(FileState::Failed(libc::EBADF))
    }

    /// Takes note of a unit. False where its layout is not known.
    pub(crate) fn add_unit(&mut self, unit: Unit) -> bool {
        let Some(layout) = unit.layout() else {
            say(format_args!("{} lays out its I/O units in a way the plugin does not know", self.symbols.version));
            return false;
        };
        self.layout = layout;
        self.units.push(unit);
        true
    }

    /// Finds the memory of the units, for the engine to register. All buffers lie in one piece, evenly spaced.
    pub(crate) fn find_buffers(&mut self, td: Thread) {
        // A replay in chunks moves the buffers when blocks get larger; ranges of a trim are no data.
        if td.is_set(c"read_iolog_chunked") || td.number(c"num_range").is_some_and(|ranges| ranges > 1) {
            return;
        }
        let addresses = || self.units.iter().map(|unit| unit.buffer(&self.layout) as usize);
        let (Some(first), Some(last)) = (addresses().min(), addresses().max()) else { return };
        let Some(block) = td.block_bytes_max().and_then(|bytes| usize::try_from(bytes).ok()) else { return };
        let even = (last - first) == block * (self.units.len() - 1);
        if first != 0 && even {
            // SAFETY: fio frees this memory after the units, and `retire` has dropped the core before the first unit
            // goes.
            self.link.set_buffers(unsafe { Region::new(first as *mut u8, last - first + block) });
        }
    }

    /// A file is about to be used. The thread becomes a core at the first, the last moment before I/O: from then on
    /// it has to come back often, because other jobs may wait for what it owns.
    ///
    /// A failure is kept for the first I/O: fio takes a job whose files do not open for one without work to do.
    pub(crate) fn open_file(&mut self, td: Thread, options: &JobOptions, file: FioFile) {
        if self.files.get(file.index()).is_none_or(Option::is_none) {
            self.add_file(td, options, file);
        }
        if let Err(failure) = self.link.lend() {
            self.set_file(file.index(), FileState::Failed(failure.say()));
        }
        let FileState::Image(image) = self.file(file) else { return };
        let size = self.link.size(image);
        if let Some(end) = file.end().filter(|end| *end > size) {
            let name = self.link.name(image);
            say(format_args!(
                "{name} has {size} bytes, and the job uses bytes up to {end} \
                 (lower size= or offset=, or grow the image with `ringbd resize`)"
            ));
            self.set_file(file.index(), FileState::Failed(libc::EINVAL));
        } else if td.is_set(c"invalidate") {
            // It has told the user if it failed, and fio goes on with a warm cache then too.
            self.invalidate(file);
        }
    }

    /// `fsync_on_close=1` means what it says.
    pub(crate) fn close_file(&mut self, td: Thread, file: FioFile) -> Status {
        if !td.is_set(c"fsync_on_close") {
            return 0;
        }
        self.control(file, Link::flush)
    }

    /// Drops what the cache holds of a file's image. The answer is an errno or 0.
    pub(crate) fn invalidate(&mut self, file: FioFile) -> Status {
        self.control(file, Link::invalidate)
    }

    fn control(
        &mut self,
        file: FioFile,
        act: fn(&mut Link, ImageIndex) -> Result<(), Failure>,
    ) -> Status {
        match self.file(file) {
            FileState::Image(image) => act(&mut self.link, image).map_or_else(Failure::say, |()| 0),
            FileState::Failed(errno) => errno,
        }
    }

    /// Whether fio has to reap before it queues more.
    pub(crate) fn is_full(&self) -> bool {
        self.queued.len() + self.in_flight >= self.depth
    }

    /// Takes a unit for the next commit. False where it has failed already.
    pub(crate) fn queue(&mut self, unit: Unit) -> bool {
        match self.file(unit.file()) {
            FileState::Image(image) => {
                self.queued.push((unit, image));
                true
            }
            FileState::Failed(errno) => {
                unit.fail(&self.layout, errno);
                false
            }
        }
    }

    /// Hands all queued units to the engine.
    pub(crate) fn commit(&mut self, td: Thread) {
        if self.queued.is_empty() {
            return;
        }
        if self.clocks.stamp {
            let mut now = Timespec::default();
            // SAFETY: fio fills in the timespec, and takes null for its second argument.
            unsafe { (self.symbols.gettime)(&raw mut now, std::ptr::null_mut()) };
            for (unit, _) in &self.queued {
                unit.set_issue_time(now);
                // SAFETY: the job and the unit are fio's own, and the unit is in flight from here on.
                unsafe { (self.symbols.io_u_queued)(td, *unit) };
            }
        }
        let batch = u32::try_from(self.queued.len()).expect("no more than fio's queue depth");
        // SAFETY: the job is fio's own.
        unsafe { (self.symbols.io_u_mark_submit)(td, batch) };
        self.in_flight += self.queued.len();
        for (unit, image) in self.queued.drain(..) {
            let layout = &self.layout;
            let op = match unit.ddir() {
                ddir::READ => Op::Read,
                ddir::WRITE => Op::Write,
                ddir::TRIM => Op::Discard,
                ddir::SYNC | ddir::DATASYNC | ddir::SYNC_FILE_RANGE | ddir::SYNCFS => Op::Flush,
                _ => {
                    unit.fail(layout, libc::ENOTSUP);
                    self.in_flight -= 1;
                    self.done.push(unit);
                    continue;
                }
            };
            // SAFETY: the transfer buffer belongs to the unit, which fio leaves alone until its completion was taken;
            // `retire` waits for it before fio frees the memory.
            unsafe {
                self.link.submit(image, op, unit.offset(layout), unit.transfer_buffer(layout), unit.len(layout), unit.token());
            }
        }
    }

    /// Waits for `min` completions, but no longer than `timeout`, and hands out up to `max`. With `min` 0 it never
    /// blocks. The answer is their number; [`Job::event`] gives them.
    pub(crate) fn take_events(&mut self, min: usize, max: usize, timeout: Option<Duration>) -> usize {
        if self.next == self.done.len() {
            self.done.clear();
        } else {
            self.done.drain(..self.next);
        }
        (self.batch, self.next) = (0, 0);
        self.turn();
        if self.done.len() < min {
            self.wait(min, timeout);
        }
        self.next = self.done.len().min(max);
        self.next
    }

    #[inline]
    fn turn(&mut self) {
        self.link.poll();
        self.reap();
    }

    #[inline]
    fn reap(&mut self) {
        while let Some((token, result)) = self.link.next_completion() {
            // SAFETY: the token was made from a unit in `commit`, and fio keeps units until `cleanup`.
            let unit = unsafe { Unit::from_token(token) };
            match result {
                Ok(bytes) => {
                    let len = unit.len(&self.layout);
                    if unit.ddir() == ddir::READ && bytes < len {
                        unit.set_residue(&self.layout, len - bytes);
                    }
                }
                Err(error) => {
                    unit.fail(&self.layout, error.errno());
                    self.say_once(&error);
                }
            }
            self.in_flight -= 1;
            self.done.push(unit);
        }
    }

    /// fio shows an errno; the first failure of a job is told in full.
    #[cold]
    fn say_once(&mut self, error: &dyn std::fmt::Display) {
        if !std::mem::replace(&mut self.told_failure, true) {
            say(error);
        }
    }

    #[cold]
    fn wait(&mut self, min: usize, timeout: Option<Duration>) {
        let end = timeout.map(|timeout| Instant::now() + timeout);
        while self.done.len() < min && self.in_flight > 0 {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return;
            }
            self.link.wait(left);
            self.reap();
        }
    }

    /// A unit of the last batch.
    pub(crate) fn event(&self, index: usize) -> Unit {
        self.done[self.batch + index]
    }

    /// Ends the job on the engine, before fio frees units and buffers: waits until none is in use, gives the core back,
    /// and closes the images that nobody else uses. Again is nothing.
    pub(crate) fn retire(&mut self) {
        // fio has reaped all units, except where it gave a job up.
        while self.in_flight > 0 {
            self.link.wait(None);
            self.reap();
        }
        if let Err(failure) = self.link.close() {
            failure.say();
        }
    }
}
