//! Files for blocking reads and writes, on threads that may block (databases, configuration).

use crate::sim::SimSyncFile;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

/// An open file whose operations block.
#[derive(Debug)]
pub struct SyncFile {
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Real(std::fs::File),
    Sim(SimSyncFile),
}

impl SyncFile {
    pub(super) fn real(file: std::fs::File) -> SyncFile {
        SyncFile { inner: Inner::Real(file) }
    }

    pub(crate) fn simulated(file: SimSyncFile) -> SyncFile {
        SyncFile { inner: Inner::Sim(file) }
    }

    /// Reads once; may be short.
    pub fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        match &self.inner {
            Inner::Real(file) => file.read_at(buf, offset),
            Inner::Sim(file) => file.read_at(buf, offset),
        }
    }

    /// Fills `buf`, or fails with `UnexpectedEof`.
    pub fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        match &self.inner {
            Inner::Real(file) => file.read_exact_at(buf, offset),
            Inner::Sim(file) => file.read_exact_at(buf, offset),
        }
    }

    /// Writes all of `buf`.
    pub fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        match &self.inner {
            Inner::Real(file) => file.write_all_at(buf, offset),
            Inner::Sim(file) => file.write_all_at(buf, offset),
        }
    }

    /// Length in bytes.
    pub fn len(&self) -> io::Result<u64> {
        match &self.inner {
            Inner::Real(file) => Ok(file.metadata()?.len()),
            Inner::Sim(file) => file.len(),
        }
    }

    /// True when the length is 0.
    pub fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|len| len == 0)
    }

    /// Cuts or grows the file.
    pub fn set_len(&self, len: u64) -> io::Result<()> {
        match &self.inner {
            Inner::Real(file) => file.set_len(len),
            Inner::Sim(file) => file.set_len(len),
        }
    }

    /// Makes the data durable, with the metadata needed to read it.
    pub fn sync_data(&self) -> io::Result<()> {
        match &self.inner {
            Inner::Real(file) => file.sync_data(),
            Inner::Sim(file) => file.sync_data(),
        }
    }

    /// Makes data and all metadata durable.
    pub fn sync_all(&self) -> io::Result<()> {
        match &self.inner {
            Inner::Real(file) => file.sync_all(),
            Inner::Sim(file) => file.sync_all(),
        }
    }

    /// Frees the range; it reads as zeroes. The length stays.
    pub fn punch_hole(&self, offset: u64, len: u64) -> io::Result<()> {
        match &self.inner {
            Inner::Real(file) => {
                fallocate(file, libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE, offset, len)
            }
            Inner::Sim(file) => file.punch_hole(offset, len),
        }
    }

    /// Makes the range read as zeroes and keeps it allocated. The length stays.
    pub fn zero_range(&self, offset: u64, len: u64) -> io::Result<()> {
        match &self.inner {
            Inner::Real(file) => {
                fallocate(file, libc::FALLOC_FL_ZERO_RANGE | libc::FALLOC_FL_KEEP_SIZE, offset, len)
            }
            Inner::Sim(file) => file.zero_range(offset, len),
        }
    }

    /// Allocates the range, so that writes into it need no space later.
    pub fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        match &self.inner {
            Inner::Real(file) => fallocate(file, 0, offset, len),
            Inner::Sim(file) => file.allocate(offset, len),
        }
    }

    /// Takes the exclusive lock of the open file, until this is dropped; false when somebody else has it.
    pub fn try_lock(&self) -> io::Result<bool> {
        match &self.inner {
            Inner::Real(file) => try_lock(file),
            Inner::Sim(file) => file.try_lock(),
        }
    }
}

impl Drop for SyncFile {
    /// A process that is just being started has all our descriptors until it runs its program, and a lock ends with the
    /// last of them, unless it is given up.
    fn drop(&mut self) {
        if let Inner::Real(file) = &self.inner {
            unlock(file);
        }
    }
}

/// fallocate, over interruptions. An empty range is done at once.
fn fallocate(file: &std::fs::File, mode: i32, offset: u64, len: u64) -> io::Result<()> {
    let range = i64::try_from(offset).ok().zip(i64::try_from(len).ok());
    let Some((offset, len)) = range else { return Err(io::ErrorKind::InvalidInput.into()) };
    if len == 0 {
        return Ok(());
    }
    loop {
        // SAFETY: fallocate takes no pointers.
        if unsafe { libc::fallocate(file.as_raw_fd(), mode, offset, len) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// flock, exclusive, without waiting.
pub(super) fn try_lock(file: &std::fs::File) -> io::Result<bool> {
    // SAFETY: flock takes no pointers.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    if error.kind() == io::ErrorKind::WouldBlock { Ok(false) } else { Err(error) }
}

/// Gives the lock up.
pub(super) fn unlock(file: &std::fs::File) {
    // SAFETY: flock takes no pointers. It fails only on a descriptor that is no file.
    unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_UN) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OpenOptions, World};

    #[test]
    fn a_lock_ends_with_the_file_although_another_process_still_has_the_descriptor() {
        let dir = tempfile::tempdir().unwrap();
        let options = OpenOptions::new().read(true).write(true).create(true);
        let open = || World::real().open_sync(&dir.path().join("lock"), &options).unwrap();
        let (first, second) = (open(), open());
        assert!(first.try_lock().unwrap());
        assert!(!second.try_lock().unwrap());
        let Inner::Real(file) = &first.inner else { panic!("the world is real") };
        let others = file.try_clone().unwrap();
        drop(first);
        assert!(second.try_lock().unwrap());
        drop(others);
    }
}
