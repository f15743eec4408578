//! The hooks that fio calls, and the table of them that `get_ioengine` hands out.
//!
//! A hook finds the job of the thread that called it and leaves the work to [`Job`]. What fio promises about them, and
//! the hooks' safety rests on: `thread_data`, units and files are live; all hooks of a job that run after `init` run
//! on the job's own thread, one at a time; `init` comes before them and `cleanup` after, also where `init` failed.
//! Only `get_file_size` may come before `init`, perhaps in another process, the parent of a job that is forked.

use std::ffi::{c_int, c_uint, c_void};
use std::sync::OnceLock;

use crate::abi::detect;
use crate::abi::layout::{Release, flag, ops, queue_status};
use crate::abi::symbols::{Status, Symbols};
use crate::abi::view::{FioFile, Thread, Timespec, Unit};
use crate::job::{Job, PlannedFiles};
use crate::log::say;
use crate::options::{self, JobOptions};

/// The name in fio's reports.
const NAME: &std::ffi::CStr = c"ringbd";

static RELEASE: OnceLock<Release> = OnceLock::new();

/// The operations of this fio. Made once; fio asks again for each job.
pub(crate) fn table() -> *mut u8 {
    static TABLE: OnceLock<usize> = OnceLock::new();
    *TABLE.get_or_init(|| build() as usize) as *mut u8
}

fn build() -> *mut u8 {
    crate::log::listen();
    let release = *RELEASE.get_or_init(|| {
        detect::release().unwrap_or_else(|reason| {
            say(format_args!("this fio cannot use the plugin: {reason}"));
            Release::refused()
        })
    });
    let flags = flag::RAWIO
        | flag::DISKLESSIO
        | flag::NOEXTEND
        | flag::NODISKUTIL
        | release.no_offload
        | release.sets_issue_time;
    let table = Box::leak(Box::new([0_u64; ops::SIZE_MAX / 8]));
    let mut put = |offset: usize, value: usize| table[offset / 8] = value as u64;
    put(ops::NAME, NAME.as_ptr() as usize);
    put(ops::INIT, init as *const c_void as usize);
    put(ops::POST_INIT, post_init as *const c_void as usize);
    put(ops::QUEUE, queue as *const c_void as usize);
    put(ops::COMMIT, commit as *const c_void as usize);
    put(ops::GETEVENTS, getevents as *const c_void as usize);
    put(ops::EVENT, event as *const c_void as usize);
    put(release.cleanup(), cleanup as *const c_void as usize);
    put(release.open_file(), open_file as *const c_void as usize);
    put(release.close_file(), close_file as *const c_void as usize);
    put(release.invalidate(), invalidate as *const c_void as usize);
    put(release.unlink_file(), unlink_file as *const c_void as usize);
    put(release.file_size(), file_size as *const c_void as usize);
    put(release.io_u_init(), io_u_init as *const c_void as usize);
    put(release.io_u_free(), io_u_free as *const c_void as usize);
    put(release.option_struct_size, size_of::<JobOptions>());
    put(release.options, options::table().as_mut_ptr() as usize);
    // `version` and `flags` are two 32-bit members of one word.
    const {
        assert!(ops::VERSION.is_multiple_of(8) && ops::FLAGS == ops::VERSION + 4);
        assert!(cfg!(target_endian = "little"));
    }
    put(ops::VERSION, release.ioops_version as u32 as usize | (flags as usize) << 32);
    table.as_mut_ptr().cast()
}

fn options_of(td: Thread) -> Option<*mut JobOptions> {
    detect::engine_options(td).map(<*mut u8>::cast)
}

/// The options of a job, or a message why there are none.
fn options_or_say(td: Thread) -> Option<*mut JobOptions> {
    let options = options_of(td);
    if options.is_none() {
        let version = Symbols::of_process().map_or("this fio", |symbols| symbols.version);
        say(format_args!("{version} keeps an engine's options in a place the plugin cannot find"));
    }
    options
}

/// The job of a thread that is past `init`.
///
/// # Safety
/// `td` is what fio passed to a hook that comes after a successful `init`, and no other reference to the job lives.
#[inline]
unsafe fn job<'a>(td: Thread) -> &'a mut Job {
    let options = options_of(td).expect("init found the options of this job");
    // SAFETY: `init` has put a job there that only `cleanup` takes away; hooks of a job run one at a time.
    unsafe { &mut *(*options).job }
}

unsafe extern "C" fn file_size(td: Thread, file: FioFile) -> Status {
    let Some(options) = options_or_say(td) else { return 1 };
    // SAFETY: the options were found by their stamp; before `init` the thread that reads the jobs owns them, after
    // that the job's thread does.
    let options = unsafe { &mut *options };
    // SAFETY: the job is null or what `init` put there.
    match unsafe { options.job.as_mut() } {
        Some(job) => job.add_file(td, options, file),
        None => {
            if options.planned.is_null() {
                options.planned = Box::into_raw(Box::default());
            }
            // SAFETY: just made or made by an earlier call, and freed by `init` only.
            let planned = unsafe { &mut *options.planned };
            planned.add(td, options, file)
        }
    }
}

unsafe extern "C" fn init(td: Thread) -> Status {
    let Some(options) = options_or_say(td) else { return 1 };
    // SAFETY: as in `file_size`.
    let options = unsafe { &mut *options };
    options.job = std::ptr::null_mut();
    let planned = std::mem::replace(&mut options.planned, std::ptr::null_mut());
    let planned = if planned.is_null() {
        PlannedFiles::default()
    } else {
        // SAFETY: `file_size` made it with `Box::into_raw`, and nobody else takes it.
        *unsafe { Box::from_raw(planned) }
    };
    let release = RELEASE.get().expect("fio has loaded the operations");
    let symbols =
        Symbols::of_process().expect("the operations are refused where fio's functions are missing");
    match Job::start(td, options, planned, release, symbols) {
        Ok(job) => {
            options.job = Box::into_raw(Box::new(job));
            0
        }
        Err(errno) => errno,
    }
}

unsafe extern "C" fn io_u_init(td: Thread, unit: Unit) -> Status {
    // SAFETY: after a successful `init`.
    Status::from(!unsafe { job(td) }.add_unit(unit))
}

unsafe extern "C" fn io_u_free(td: Thread, _unit: Unit) {
    let Some(options) = options_of(td) else { return };
    // SAFETY: fio frees units after the job's loop and before `cleanup`; without a successful `init` there is no job.
    if let Some(job) = unsafe { (*options).job.as_mut() } {
        job.retire();
    }
}

unsafe extern "C" fn post_init(td: Thread) -> Status {
    // SAFETY: after a successful `init`.
    unsafe { job(td) }.find_buffers(td);
    0
}

unsafe extern "C" fn open_file(td: Thread, file: FioFile) -> Status {
    let Some(options) = options_or_say(td) else { return 1 };
    // SAFETY: fio opens the files of an engine without a disk in the job itself, after `init`. The job lies in memory
    // of its own, so that it and the options are disjoint.
    let (job, options) = unsafe { (job(td), &*options) };
    job.open_file(td, options, file);
    0
}

unsafe extern "C" fn close_file(td: Thread, file: FioFile) -> Status {
    // SAFETY: only an open file is closed.
    unsafe { job(td) }.close_file(td, file)
}

unsafe extern "C" fn invalidate(td: Thread, file: FioFile) -> Status {
    // SAFETY: fio invalidates open files only.
    -unsafe { job(td) }.invalidate(file)
}

/// An image is not removed by a benchmark. Without this hook fio would remove a local file of the image's name.
unsafe extern "C" fn unlink_file(_td: Thread, _file: FioFile) -> Status {
    0
}

unsafe extern "C" fn queue(td: Thread, unit: Unit) -> c_int {
    // SAFETY: after a successful `init`.
    let job = unsafe { job(td) };
    if job.is_full() {
        return queue_status::BUSY;
    }
    if job.queue(unit) { queue_status::QUEUED } else { queue_status::COMPLETED }
}

unsafe extern "C" fn commit(td: Thread) -> Status {
    // SAFETY: after a successful `init`.
    unsafe { job(td) }.commit(td);
    0
}

unsafe extern "C" fn getevents(td: Thread, min: c_uint, max: c_uint, timeout: *const Timespec) -> c_int {
    // SAFETY: fio passes null or a timespec of its own.
    let timeout = unsafe { timeout.as_ref() }.map(Timespec::duration);
    // SAFETY: after a successful `init`.
    let taken = unsafe { job(td) }.take_events(min as usize, max as usize, timeout);
    c_int::try_from(taken).expect("no more than fio's queue depth")
}

unsafe extern "C" fn event(td: Thread, index: c_int) -> Unit {
    // SAFETY: after a successful `init`.
    unsafe { job(td) }.event(index as usize)
}

unsafe extern "C" fn cleanup(td: Thread) {
    let Some(options) = options_of(td) else { return };
    // SAFETY: the options were found by their stamp and belong to this thread.
    let job = std::mem::replace(unsafe { &mut (*options).job }, std::ptr::null_mut());
    if !job.is_null() {
        // SAFETY: `init` made it with `Box::into_raw`, and it was just taken away from where the hooks find it.
        unsafe { Box::from_raw(job) }.retire();
    }
}
