//! Which fio is this? Asked of the running program, because headers, package versions and version numbers all lie.
//!
//! `FIO_IOOPS_VERSION` is read from a built-in engine's operations; the place of the engine's options in a job is
//! found by the stamp that the options carry. Called once when fio loads the plugin, and once per process when the
//! first job arrives.

use std::io::Read;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::layout::{Release, ops, thread_data};
use super::symbols::Symbols;
use super::view::Thread;

/// Finds the release of the running fio.
pub(crate) fn release() -> Result<Release, String> {
    let symbols = Symbols::of_process()
        .ok_or("this program is not fio, or it was linked without exporting its symbols (-rdynamic)")?;
    let version = ioops_version(symbols).ok_or_else(|| {
        format!("{} has no built-in engine to read FIO_IOOPS_VERSION from", symbols.version)
    })?;
    Release::new(version, symbols.version).ok_or_else(|| {
        format!(
            "{} has FIO_IOOPS_VERSION {version}, which this plugin does not know \
             (fio 3.28 to 3.42 will do; or look for a newer ringbd)",
            symbols.version
        )
    })
}

/// `FIO_IOOPS_VERSION` of the running fio: puts an entry on fio's engine list, looks at a neighbour, takes it off.
fn ioops_version(symbols: &Symbols) -> Option<i32> {
    let mut probe = Box::new([0_usize; ops::SIZE_MAX / 8]);
    probe[ops::NAME / 8] = c"ringbd-probe".as_ptr() as usize;
    let entry = probe.as_mut_ptr().cast::<u8>();
    // SAFETY: `entry` is a zeroed `struct ioengine_ops` that is on the list only inside this block. fio loads engines
    // on one thread. The list is circular with a head in fio's data, new entries go to its end: so our `next` is the
    // head, and the head's `next` is the first engine, which is ours only if there is no other.
    unsafe {
        (symbols.register_ioengine)(entry);
        let head = entry.cast::<*mut u8>().read();
        let first = head.cast::<*mut u8>().read();
        let version = (first != entry).then(|| first.add(ops::VERSION).cast::<i32>().read());
        (symbols.unregister_ioengine)(entry);
        version
    }
}

/// Two words behind the first of the engine's options that no other memory holds by chance.
pub(crate) const STAMP: [u32; 2] = [0x5bd0_f10e, !0x5bd0_f10e];

/// Finds the engine's options of a job, which carry [`STAMP`] in bytes 8 to 16.
#[inline]
pub(crate) fn engine_options(job: Thread) -> Option<*mut u8> {
    let offset = options_offset(job)?;
    // SAFETY: the offset was found by `search`, inside `struct thread_data`.
    let options = unsafe { job.word(offset) } as *mut u8;
    (!options.is_null()).then_some(options)
}

/// The number of the job's group. Jobs of one group run at the same time.
pub(crate) fn group(job: Thread) -> Option<u32> {
    let offset = options_offset(job)? + thread_data::GROUP_BEHIND_ENGINE_OPTIONS;
    // SAFETY: the place is inside `struct thread_data`, a few words behind the engine's options.
    Some(unsafe { job.word(offset) } as u32)
}

/// Where jobs keep the engine's options. The same for all jobs of a process, so it is looked for once.
#[inline]
fn options_offset(job: Thread) -> Option<usize> {
    static OFFSET: AtomicUsize = AtomicUsize::new(0);
    let offset = OFFSET.load(Ordering::Relaxed);
    if offset != 0 {
        return Some(offset);
    }
    let offset = search(job)?;
    OFFSET.store(offset, Ordering::Relaxed);
    Some(offset)
}

#[cold]
fn search(job: Thread) -> Option<usize> {
    let mut pipe = Pipe::new()?;
    thread_data::ENGINE_OPTIONS_SEEN
        .into_iter()
        .chain(thread_data::ENGINE_OPTIONS_RANGE.step_by(8))
        // SAFETY: both ranges are multiples of eight below 8192, far inside `struct thread_data`.
        .find(|&offset| pipe.carries_stamp(unsafe { job.word(offset) }))
}

/// Reads memory that may not be there: the kernel copies it into a pipe, and says EFAULT instead of a signal.
struct Pipe {
    reader: std::io::PipeReader,
    writer: std::io::PipeWriter,
}

impl Pipe {
    fn new() -> Option<Pipe> {
        let (reader, writer) = std::io::pipe().ok()?;
        Some(Pipe { reader, writer })
    }

    fn carries_stamp(&mut self, address: usize) -> bool {
        // What malloc gives is 16-aligned, and 16 aligned bytes lie in one page: they are all there or none is.
        if address < 4096 || !address.is_multiple_of(16) {
            return false;
        }
        // SAFETY: only the kernel looks at these 16 bytes, in write(2), which fails with EFAULT where no memory is.
        let written = unsafe { libc::write(self.writer.as_raw_fd(), address as *const libc::c_void, 16) };
        if written != 16 {
            return false;
        }
        let mut copy = [0_u8; 16];
        if self.reader.read_exact(&mut copy).is_err() {
            return false;
        }
        copy[8..12] == STAMP[0].to_ne_bytes() && copy[12..16] == STAMP[1].to_ne_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_found_by_their_stamp_in_any_place() {
        let options = [u128::from(STAMP[0]) << 64 | u128::from(STAMP[1]) << 96];
        for place in [4216, 3584, 2048, 8184] {
            let mut job = vec![0_u64; 1024];
            // Words that are no pointers, and pointers to nothing, must do no harm.
            job[2048 / 8 + 1] = 7;
            job[2048 / 8 + 2] = 0x10_0000_0000;
            job[place / 8] = options.as_ptr() as u64;
            assert_eq!(search(Thread(job.as_mut_ptr().cast())), Some(place));
        }
        assert_eq!(search(Thread(vec![0_u64; 1024].as_mut_ptr().cast())), None);
    }

    #[test]
    fn a_program_that_is_not_fio_is_told_so() {
        assert!(release().is_err_and(|message| message.contains("not fio")));
    }
}
