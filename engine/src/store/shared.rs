//! What every handle of one open store shares.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
