//! The metadata database's way to its file, in the real world and in the simulated one.
//!
//! It also remembers what failed: a failed sync means that committed pages may be lost (the kernel drops its dirty pages
//! after reporting the error once), while a full disk in the middle of a write leaves the last commit intact.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::StorageBackend;
use ringbd_reactor::SyncFile;

/// The file `metadata.redb`.
#[derive(Clone)]
pub(super) struct MetadataFile {
    file: Arc<SyncFile>,
    sync_failed: Arc<AtomicBool>,
}

impl MetadataFile {
    pub(super) fn new(file: SyncFile) -> Self {
        Self { file: Arc::new(file), sync_failed: Arc::default() }
    }

    /// True once a sync has failed: the file's contents can no longer be promised.
    pub(super) fn sync_failed(&self) -> bool {
        self.sync_failed.load(Ordering::Acquire)
    }
}

impl std::fmt::Debug for MetadataFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MetadataFile")
    }
}

impl StorageBackend for MetadataFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        let synced = self.file.sync_data();
        if synced.is_err() {
            self.sync_failed.store(true, Ordering::Release);
        }
        synced
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }
}
