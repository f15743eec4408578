//! Files: opened on the control path, read and written through the ring of whichever core asks.

mod allocate;
mod direct;
mod open;
mod read;
mod sync;
mod sync_file;
mod write;

pub use direct::DirectIo;
pub use open::OpenOptions;
pub(crate) use open::{open, open_sync, sync_dir};
pub use sync_file::SyncFile;

use crate::buf::Buf;
use crate::core::CompletionHandler;
use crate::ring::Descriptor;
use crate::sim::SimFile;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// When a write is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When the device has it; a power cut may lose it until the next [`File::sync_data`].
    Volatile,
    /// When it is on stable storage.
    Durable,
}

/// An open file or block device for asynchronous reads and writes. Clones name the same open file.
#[derive(Clone, Debug)]
pub struct File {
    inner: Inner,
}

#[derive(Clone, Debug)]
enum Inner {
    Real(Arc<RealFile>),
    Sim(SimFile),
}

#[derive(Debug)]
pub(crate) struct RealFile {
    descriptor: Arc<Descriptor>,
    file: std::fs::File,
    direct: DirectIo,
    block_device: bool,
    locked: AtomicBool,
}

impl Drop for RealFile {
    fn drop(&mut self) {
        // Cores may hold the descriptor in their tables for a while longer; the lock must not wait for them.
        if self.locked.load(Ordering::Acquire) {
            sync_file::unlock(&self.file);
        }
    }
}

impl File {
    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Arc<RealFile> {
        match &self.inner {
            Inner::Real(file) => file,
            Inner::Sim(_) => panic!("a file of the real world"),
        }
    }

    pub(crate) fn simulated(file: SimFile) -> File {
        File { inner: Inner::Sim(file) }
    }

    /// Reads at `offset`. Short only at the end of the file.
    pub async fn read_at(&self, buf: Buf, offset: u64) -> (io::Result<usize>, Buf) {
        match &self.inner {
            Inner::Real(file) => read::read_at(&file.descriptor, file.direct, buf, offset).await,
            // Boxed, so that the simulation's needs do not swell the tasks of the real world.
            Inner::Sim(file) => Box::pin(file.read_at(buf, offset)).await,
        }
    }

    /// Writes all of `buf` at `offset`, or fails.
    pub async fn write_at(&self, buf: Buf, offset: u64, durability: Durability) -> (io::Result<usize>, Buf) {
        match &self.inner {
            Inner::Real(file) => write::write_at(&file.descriptor, buf, offset, durability).await,
            Inner::Sim(file) => Box::pin(file.write_at(buf, offset, durability)).await,
        }
    }

    /// Begins to read at `offset` in one operation; `handler` is told of its end with `token`. It may end
    /// short, or with EINTR or EAGAIN, for reasons that [`read_at`](File::read_at) knows how to go on from.
    pub fn start_read(&self, buf: Buf, offset: u64, handler: Rc<dyn CompletionHandler>, token: u64) {
        match &self.inner {
            Inner::Real(file) => read::start(&file.descriptor, buf, offset, handler, token),
            Inner::Sim(file) => file.start_read(buf, offset, handler, token),
        }
    }

    /// Begins to write `buf` at `offset` in one operation; `handler` is told of its end with `token`. It may
    /// end short, or with EINTR or EAGAIN, where [`write_at`](File::write_at) would go on.
    pub fn start_write(
        &self,
        buf: Buf,
        offset: u64,
        durability: Durability,
        handler: Rc<dyn CompletionHandler>,
        token: u64,
    ) {
        match &self.inner {
            Inner::Real(file) => write::start(&file.descriptor, buf, offset, durability, handler, token),
            Inner::Sim(file) => file.start_write(buf, offset, durability, handler, token),
        }
    }

    /// Makes every write that was done before durable, with the metadata needed to read it.
    pub async fn sync_data(&self) -> io::Result<()> {
        match &self.inner {
            Inner::Real(file) => sync::sync_data(&file.descriptor).await,
            Inner::Sim(file) => file.sync_data().await,
        }
    }

    /// Frees the range; it reads as zeroes. The length stays.
    pub async fn punch_hole(&self, offset: u64, len: u64) -> io::Result<()> {
        match &self.inner {
            Inner::Real(file) => allocate::punch_hole(&file.descriptor, offset, len).await,
            Inner::Sim(file) => file.punch_hole(offset, len).await,
        }
    }

    /// Makes the range read as zeroes and keeps it allocated. The length stays.
    pub async fn zero_range(&self, offset: u64, len: u64) -> io::Result<()> {
        match &self.inner {
            Inner::Real(file) => allocate::zero_range(&file.descriptor, offset, len).await,
            Inner::Sim(file) => file.zero_range(offset, len).await,
        }
    }

    /// Allocates the range, so that writes into it need no space later. The file grows to its end if it is
    /// shorter.
    pub async fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        match &self.inner {
            Inner::Real(file) => allocate::allocate(&file.descriptor, offset, len).await,
            Inner::Sim(file) => file.allocate(offset, len).await,
        }
    }

    /// Length in bytes, of a block device too. Blocks.
    pub fn len(&self) -> io::Result<u64> {
        match &self.inner {
            Inner::Real(file) => direct::length(&file.file, file.block_device),
            Inner::Sim(file) => file.len(),
        }
    }

    /// True when the length is 0. Blocks.
    pub fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|len| len == 0)
    }

    /// Cuts or grows the file. Blocks.
    pub fn set_len(&self, len: u64) -> io::Result<()> {
        match &self.inner {
            Inner::Real(file) => file.file.set_len(len),
            Inner::Sim(file) => file.set_len(len),
        }
    }

    /// What addresses and offsets have to be multiples of.
    pub fn direct_io(&self) -> DirectIo {
        match &self.inner {
            Inner::Real(file) => file.direct,
            Inner::Sim(file) => file.direct_io(),
        }
    }

    /// Takes the exclusive lock of the open file; false when somebody else has it. It ends with the last
    /// clone.
    pub fn try_lock(&self) -> io::Result<bool> {
        match &self.inner {
            Inner::Real(file) => {
                let locked = sync_file::try_lock(&file.file)?;
                file.locked.fetch_or(locked, Ordering::AcqRel);
                Ok(locked)
            }
            Inner::Sim(file) => file.try_lock(),
        }
    }

    /// True for a block device.
    pub fn is_block_device(&self) -> bool {
        match &self.inner {
            Inner::Real(file) => file.block_device,
            Inner::Sim(file) => file.is_block_device(),
        }
    }
}
