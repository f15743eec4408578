//! fio's structures as the plugin sees them: a pointer, and the few members that are read or written.
//!
//! Each view is made only from a pointer that fio passed to a hook, and is used only until that hook returns or, for a
//! [`Unit`] and a [`FioFile`], while fio keeps it alive: units from `io_u_init` until `cleanup`, files for the whole
//! job. A hook of a job runs on that job's thread, so no member is read here while another thread writes it.

use std::ffi::{CStr, c_char, c_int, c_uint};
use std::time::Duration;

use super::layout::{Release, UNIT_LAYOUTS, UnitLayout, fio_file, io_u, thread_data};
use super::symbols::Symbols;

/// `struct timespec`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct Timespec {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: i64,
}

impl Timespec {
    pub(crate) fn duration(&self) -> Duration {
        let seconds = u64::try_from(self.seconds).unwrap_or(0);
        Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(self.nanoseconds).unwrap_or(0))
    }
}

/// `struct thread_data`: a job.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(crate) struct Thread(pub(super) *mut u8);

/// `struct io_u`: an I/O of a job.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Unit(*mut u8);

/// `struct fio_file`: a file of a job, for us an image.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct FioFile(*mut u8);

impl Thread {
    /// The word at `offset`.
    ///
    /// # Safety
    /// `offset` is a multiple of eight and less than the size of `struct thread_data` (190 KB in every release).
    pub(super) unsafe fn word(self, offset: usize) -> usize {
        // SAFETY: the caller keeps the offset inside the structure, and `self` is a live job.
        unsafe { self.0.add(offset).cast::<usize>().read() }
    }

    /// Where fio keeps a job option of its own, for the options that are plain members.
    fn option<T>(self, name: &CStr, slot: usize) -> Option<*const T> {
        let symbols = Symbols::of_process()?;
        // SAFETY: `name` is a C string; fio answers with an entry of its static table or null.
        let option = unsafe { (symbols.option_find)(name.as_ptr()).as_ref() }?;
        let offset = option.offsets[slot] as usize;
        // SAFETY: the table's offsets count from `td->o` and stay inside it.
        (offset != 0).then(|| unsafe { self.0.add(thread_data::OPTIONS + offset).cast::<T>().cast_const() })
    }

    /// An integer or boolean option. Nothing if this fio does not have it.
    pub(crate) fn number(self, name: &CStr) -> Option<c_uint> {
        // SAFETY: integer and boolean options are stored as `unsigned int`.
        self.option::<c_uint>(name, 0).map(|at| unsafe { at.read() })
    }

    /// Whether a boolean option is on.
    pub(crate) fn is_set(self, name: &CStr) -> bool {
        self.number(name).is_some_and(|value| value != 0)
    }

    /// A string option that was given.
    pub(crate) fn string(self, name: &CStr) -> Option<&CStr> {
        // SAFETY: string options are stored as `char *`, null or owned by the job for its whole life.
        unsafe {
            let value = self.option::<*const c_char>(name, 0)?.read();
            (!value.is_null()).then(|| CStr::from_ptr(value))
        }
    }

    /// The largest block of the job in any direction, from `blocksize_range`, whose even slots are maxima.
    pub(crate) fn block_bytes_max(self) -> Option<u64> {
        [1, 3, 5]
            .into_iter()
            // SAFETY: the six slots of this option are `unsigned long long` members.
            .filter_map(|slot| self.option::<u64>(c"blocksize_range", slot).map(|at| unsafe { at.read() }))
            .max()
    }

    /// Whether the job writes or trims, from the bits of `readwrite`.
    pub(crate) fn writes(self) -> bool {
        const WRITE_OR_TRIM: c_uint = 1 << 1 | 1 << 3;
        self.number(c"readwrite").is_none_or(|bits| bits & WRITE_OR_TRIM != 0)
    }

    /// Takes an engine flag away from this job alone.
    pub(crate) fn clear_engine_flag(self, release: &Release, flag: u32) {
        // SAFETY: `flags` is an `unsigned long long` at a place that never moved, and this job's thread owns it.
        unsafe {
            let flags = self.0.add(thread_data::FLAGS).cast::<u64>();
            flags.write(flags.read() & !(u64::from(flag) << release.engine_flag_shift));
        }
    }
}

impl Unit {
    /// A unit that fio has just initialised: `verify_list` then points to itself, and only there.
    pub(crate) fn layout(self) -> Option<UnitLayout> {
        UNIT_LAYOUTS.into_iter().find(|layout| {
            // SAFETY: all three candidate places lie inside `struct io_u`, which is 360 bytes or more.
            let (list, next, previous) = unsafe {
                let list = self.0.add(layout.verify_list).cast::<usize>();
                (list as usize, list.read(), list.add(1).read())
            };
            next == list && previous == list
        })
    }

    pub(crate) fn token(self) -> u64 {
        self.0 as u64
    }

    /// The unit of a token.
    ///
    /// # Safety
    /// The token came from [`Unit::token`] of a unit that fio still keeps.
    pub(crate) unsafe fn from_token(token: u64) -> Unit {
        Unit(token as usize as *mut u8)
    }

    // SAFETY of what follows: `self` is a unit of a running job and `layout` is what `Unit::layout` found on the first
    // unit of that job, so each member has this place and this type.

    pub(crate) fn ddir(self) -> i32 {
        // SAFETY: as above; the place never moved.
        unsafe { self.0.add(io_u::DDIR).cast::<c_int>().read() }
    }

    pub(crate) fn file(self) -> FioFile {
        // SAFETY: as above; the place never moved.
        FioFile(unsafe { self.0.add(io_u::FILE).cast::<*mut u8>().read() })
    }

    pub(crate) fn offset(self, layout: &UnitLayout) -> u64 {
        // SAFETY: as above.
        unsafe { self.0.add(layout.offset).cast::<u64>().read() }
    }

    pub(crate) fn len(self, layout: &UnitLayout) -> u64 {
        // SAFETY: as above.
        unsafe { self.0.add(layout.xfer_buflen).cast::<u64>().read() }
    }

    /// Where the data of this transfer is.
    pub(crate) fn transfer_buffer(self, layout: &UnitLayout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { self.0.add(layout.xfer_buf).cast::<*mut u8>().read() }
    }

    /// The buffer that the unit got for its life, null in a job that moves no data.
    pub(crate) fn buffer(self, layout: &UnitLayout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { self.0.add(layout.buf).cast::<*mut u8>().read() }
    }

    /// Reports a failure: a positive errno, and nothing transferred.
    pub(crate) fn fail(self, layout: &UnitLayout, errno: i32) {
        let len = self.len(layout);
        // SAFETY: as above; `error` is an `unsigned int`, `resid` an `unsigned long long`.
        unsafe {
            self.0.add(layout.error).cast::<c_int>().write(errno);
            self.0.add(layout.resid).cast::<u64>().write(len);
        }
    }

    /// Reports a transfer that ended early.
    pub(crate) fn set_residue(self, layout: &UnitLayout, bytes: u64) {
        // SAFETY: as above.
        unsafe { self.0.add(layout.resid).cast::<u64>().write(bytes) }
    }

    pub(crate) fn set_issue_time(self, time: Timespec) {
        // SAFETY: as above; the place never moved.
        unsafe { self.0.add(io_u::ISSUE_TIME).cast::<Timespec>().write(time) }
    }
}

impl FioFile {
    // SAFETY of what follows: `self` is a file of a live job, and these members never moved.

    /// Index of the file in its job.
    pub(crate) fn index(self) -> usize {
        // SAFETY: as above; fio numbers files from 0.
        unsafe { self.0.add(fio_file::FILENO).cast::<c_uint>().read() as usize }
    }

    pub(crate) fn name(&self) -> &CStr {
        // SAFETY: as above; fio keeps the name as long as the file.
        unsafe { CStr::from_ptr(self.0.add(fio_file::FILE_NAME).cast::<*const c_char>().read()) }
    }

    pub(crate) fn set_size(self, bytes: u64) {
        // SAFETY: as above.
        unsafe { self.0.add(fio_file::REAL_FILE_SIZE).cast::<u64>().write(bytes) }
    }

    /// One past the last byte that the job uses, if fio knows it already.
    pub(crate) fn end(self) -> Option<u64> {
        // SAFETY: as above.
        let (offset, len) = unsafe {
            (
                self.0.add(fio_file::FILE_OFFSET).cast::<u64>().read(),
                self.0.add(fio_file::IO_SIZE).cast::<u64>().read(),
            )
        };
        (offset != u64::MAX && len != u64::MAX).then(|| offset.saturating_add(len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A structure of fio's size, zeroed and aligned.
    fn memory() -> Box<[u64; 64]> {
        Box::new([0; 64])
    }

    #[test]
    fn the_list_that_points_to_itself_tells_the_layout() {
        for layout in UNIT_LAYOUTS {
            let mut memory = memory();
            let base = memory.as_mut_ptr().cast::<u8>();
            let list = base as usize + layout.verify_list;
            memory[layout.verify_list / 8] = list as u64;
            memory[layout.verify_list / 8 + 1] = list as u64;
            assert_eq!(Unit(base).layout(), Some(layout));
        }
        assert_eq!(Unit(memory().as_mut_ptr().cast()).layout(), None);
    }

    #[test]
    fn a_failure_leaves_errno_and_the_whole_length() {
        let layout = UNIT_LAYOUTS[0];
        let mut memory = memory();
        let unit = Unit(memory.as_mut_ptr().cast());
        memory[layout.xfer_buflen / 8] = 4096;
        unit.fail(&layout, libc::EIO);
        assert_eq!(memory[layout.error / 8] as i32, libc::EIO);
        assert_eq!(memory[layout.resid / 8], 4096);
    }

    #[test]
    fn a_file_knows_its_end_once_fio_does() {
        let mut memory = memory();
        let file = FioFile(memory.as_mut_ptr().cast());
        memory[fio_file::FILE_OFFSET / 8] = u64::MAX;
        assert_eq!(file.end(), None);
        memory[fio_file::FILE_OFFSET / 8] = 1 << 20;
        memory[fio_file::IO_SIZE / 8] = 2 << 20;
        assert_eq!(file.end(), Some(3 << 20));
    }
}
