//! What every handle of one open store shares.

use std::collections::HashSet;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use ringbd_reactor::World;

use super::commit::CommitQueue;
use super::data::DataFile;
use super::error::{Result, StoreError};
use super::flush::DataSync;
use super::lock::StoreLock;
use super::metadata::Metadata;
use super::record::ImageId;
use super::space::Space;
use super::superblock::Superblock;

/// An open store. Locks are held for table look-ups only, never across I/O, except `supply`, which is taken by helper threads and commands.
pub(super) struct Shared {
    pub(super) world: World,
    pub(super) dir: PathBuf,
    pub(super) writable: bool,
    pub(super) superblock: Superblock,
    pub(super) metadata: Metadata,
    pub(super) data: DataFile,
    pub(super) flushes: DataSync,
    pub(super) commits: CommitQueue,
    /// Held while clean slots are made, so that zones are added one after the other.
    pub(super) supply: Mutex<()>,
    pub(super) space: Mutex<Space>,
    pub(super) background: Arc<BackgroundJobs>,
    /// Images whose slot tables are with cores, or that a command is changing.
    pub(super) leased: Mutex<HashSet<ImageId>>,
    /// Last, so that the lock is let go after everything else is closed.
    pub(super) _lock: StoreLock,
}

impl Shared {
    pub(super) fn space(&self) -> MutexGuard<'_, Space> {
        self.space.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn leased(&self) -> MutexGuard<'_, HashSet<ImageId>> {
        self.leased.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now_ns(&self) -> u64 {
        u64::try_from(self.world.unix_time().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Refuses changes when the store was opened for reading.
    pub(super) fn check_writable(&self) -> Result<()> {
        if self.writable { Ok(()) } else { Err(StoreError::ReadOnly { dir: self.dir.clone() }) }
    }
}

/// A user's hold on an open store. When the last one goes, the store closes before that returns: helper threads are waited for,
/// so that the directory can be opened again at once.
pub(super) struct Opened {
    /// `None` only while dropping.
    shared: Option<Arc<Shared>>,
}

/// Jobs on other threads that work for a store. Lives longer than the store, so that its end can be told.
#[derive(Default)]
pub(super) struct BackgroundJobs {
    running: Mutex<usize>,
    left: Condvar,
}

/// A helper's place, left when dropped.
pub(super) struct BackgroundJob(Arc<BackgroundJobs>);

impl Opened {
    pub(super) fn new(shared: Shared) -> Arc<Self> {
        Arc::new(Self { shared: Some(Arc::new(shared)) })
    }
}

impl Deref for Opened {
    type Target = Arc<Shared>;

    fn deref(&self) -> &Arc<Shared> {
        self.shared.as_ref().expect("it is only taken by drop")
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // In a simulated world these run on this very thread; there is nobody to wait for.
        if let Some(shared) = self.shared.take().filter(|shared| !shared.world.is_simulated()) {
            shared.background.wait();
        }
    }
}

impl BackgroundJobs {
    pub(super) fn enter(self: &Arc<Self>) -> BackgroundJob {
        *self.lock() += 1;
        BackgroundJob(Arc::clone(self))
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self) {
        let mut running = self.lock();
        while *running > 0 {
            running = self.left.wait(running).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for BackgroundJob {
    fn drop(&mut self) {
        *self.0.lock() -= 1;
        self.0.left.notify_all();
    }
}
