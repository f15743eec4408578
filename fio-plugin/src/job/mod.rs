//! One running fio job: its units and files on one side, the engine on the other.

mod clocks;
mod flow;
mod planned;

use std::collections::VecDeque;

use ringbd::Region;

use crate::abi::detect;
use crate::abi::layout::{Release, UNIT_LAYOUTS, UnitLayout};
use crate::abi::symbols::{Status, Symbols};
use crate::abi::view::{FioFile, Thread, Unit};
use crate::engine_link::{ImageIndex, Link};
use crate::log::say;
use crate::options::JobOptions;
use crate::target::Target;
use clocks::Clocks;
use flow::Trim;
pub(crate) use planned::PlannedFiles;

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

fn group(td: Thread) -> u32 {
    detect::group(td).unwrap_or_default()
}

fn target(td: Thread, options: &JobOptions, file: FioFile) -> Result<Target, Failure> {
    let file_given = td.string(c"filename").is_some() || td.string(c"read_iolog").is_some();
    Target::new(options, file.name(), file_given).map_err(|message| Failure { message, errno: libc::EINVAL })
}

/// What stands behind a file of the job.
#[derive(Clone, Copy)]
enum FileState {
    Image(ImageIndex),
    /// It could not be opened, and its user was told. Its I/O fails with this errno, because that is the only way in
    /// which fio takes notice of a failure this late.
    Failed(i32),
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
    /// Units committed since the engine was last given a turn.
    unpolled: usize,
    told_failure: bool,
    /// Trims in flight.
    trims: Vec<Trim>,
    /// Completed units. The first `taken` are fio's.
    done: VecDeque<Unit>,
    taken: usize,
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
            link: Link::new(options.wait_mode(), group(td)),
            files: Vec::new(),
            units: Vec::with_capacity(depth),
            depth,
            queued: Vec::with_capacity(depth),
            in_flight: 0,
            unpolled: 0,
            told_failure: false,
            trims: Vec::with_capacity(depth),
            done: VecDeque::with_capacity(depth),
            taken: 0,
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
                message: format!(
                    "{name} is read-only, and the job writes (use rw=read or rw=randread, or clone it)"
                ),
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
            say(format_args!(
                "{} lays out its I/O units in a way the plugin does not know",
                self.symbols.version
            ));
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

    /// A file is about to be used. The thread joins the engine at the first, the last moment before I/O: if that makes it
    /// a core it has to come back often from then on, because other jobs may wait for what it owns.
    ///
    /// A failure is kept for the first I/O: fio takes a job whose files do not open for one without work to do.
    pub(crate) fn open_file(&mut self, td: Thread, options: &JobOptions, file: FioFile) {
        if self.files.get(file.index()).is_none_or(Option::is_none) {
            self.add_file(td, options, file);
        }
        if let Err(failure) = self.link.join() {
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

    fn control(&mut self, file: FioFile, act: fn(&mut Link, ImageIndex) -> Result<(), Failure>) -> Status {
        match self.file(file) {
            FileState::Image(image) => act(&mut self.link, image).map_or_else(Failure::say, |()| 0),
            FileState::Failed(errno) => errno,
        }
    }

    /// Ends the job on the engine, before fio frees units and buffers: waits until none is in use, gives the core back,
    /// and closes the images that nobody else uses. Again is nothing.
    pub(crate) fn retire(&mut self) {
        // fio has reaped all units, except where it gave a job up. What has ended already ends no wait.
        self.reap();
        while self.in_flight > 0 {
            self.link.wait(None);
            self.reap();
        }
        if let Err(failure) = self.link.close() {
            failure.say();
        }
    }
}
