//! The data file or block device as the control path uses it: label, growth, zeroing, sync.
//!
//! The data path reads and writes through [`DataFile::file`]; what is done here runs on helper threads and in commands. A failed sync
//! poisons the data for good: Linux reports it once and then forgets which pages were lost, so a later sync that succeeds proves nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ringbd_reactor::{File, OpenOptions, SyncFile, World};

use super::error::{Result, StoreError};
use super::layout::{DATA_START, Geometry};
use super::superblock::{BLOCK_BYTES, BlockError, Label, StoreUuid};

/// A data file grows (sparsely) by this much, so that its length changes once in a while and not with every zone.
const GROW_STEP: u64 = 1 << 30;

/// Zeros are written in pieces of this size where the file system cannot punch.
const ZERO_PIECE: usize = 1 << 20;

/// The open data.
pub(super) struct DataFile {
    /// Where it is, for messages.
    pub(super) path: PathBuf,
    /// The handle of the data path.
    pub(super) file: File,
    sync_file: SyncFile,
    is_device: bool,
    len: Mutex<u64>,
    poison: OnceLock<StoreError>,
}

impl DataFile {
    /// Opens the data for direct I/O and takes its lock; `create` makes the file.
    pub(super) fn open(world: &World, path: &Path, create: bool) -> Result<Self> {
        let io = |operation| move |e| StoreError::io(operation, path, e);
        let options = OpenOptions::new().read(true).write(true);
        let sync_file = world.open_sync(path, &options.clone().create(create)).map_err(io("open"))?;
        if !sync_file.try_lock().map_err(io("lock"))? {
            let reason = "another store has this data open (two store directories must not share it)".into();
            return Err(StoreError::Busy { kind: "data", name: path.display().to_string(), reason });
        }
        let file = world.open(path, &options.direct(true)).map_err(io("open"))?;
        let len = file.len().map_err(io("stat"))?;
        let is_device = file.is_block_device();
        Ok(Self {
            path: path.to_owned(),
            file,
            sync_file,
            is_device,
            len: Mutex::new(len),
            poison: OnceLock::new(),
        })
    }

    /// True for a block device: its size is fixed and its contents are not zeros to begin with.
    pub(super) fn is_device(&self) -> bool {
        self.is_device
    }

    /// The present length.
    pub(super) fn len(&self) -> u64 {
        *self.len.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The space for slots: as far as the device, or as far as `limit`.
    pub(super) fn geometry(&self, limit: Option<u64>) -> Geometry {
        let device = self.is_device.then(|| self.len());
        Geometry::new(limit.into_iter().chain(device).min())
    }

    /// Refuses to make a store on data that somebody else may want: anything but zeros before [`DATA_START`].
    pub(super) fn check_unused(&self) -> Result<()> {
        let mut head = vec![0; self.len().min(DATA_START) as usize];
        self.sync_file.read_exact_at(&mut head, 0).map_err(|e| self.io("read", e))?;
        if head.iter().all(|&byte| byte == 0) {
            return Ok(());
        }
        let reason = match Label::decode(head.get(..BLOCK_BYTES).unwrap_or(&head)) {
            Ok(label) => format!(
                "it holds the data of ringbd store {} (overwrite it explicitly if that is no longer wanted)",
                label.uuid
            ),
            Err(_) => "it is not empty (a file system or partition table? overwrite it explicitly if not)"
                .to_owned(),
        };
        Err(StoreError::Occupied { path: self.path.clone(), reason })
    }

    /// Lays a new store's data out: a file is emptied, a device's head is cleared; then the label, durably.
    pub(super) fn format(&self, uuid: StoreUuid) -> Result<()> {
        if self.is_device {
            self.write_zeros(0, DATA_START.min(self.len())).map_err(|e| self.io("clear", e))?;
        } else {
            self.set_len(0)?;
            self.set_len(DATA_START)?;
        }
        self.sync_file.write_all_at(&Label { uuid }.encode(), 0).map_err(|e| self.io("write", e))?;
        self.sync()
    }

    /// Makes sure that this is the data of the store `uuid`.
    pub(super) fn check_label(&self, uuid: StoreUuid) -> Result<()> {
        let mut block = vec![0; self.len().min(BLOCK_BYTES as u64) as usize];
        self.sync_file.read_exact_at(&mut block, 0).map_err(|e| self.io("read", e))?;
        let block_error = |source: BlockError| StoreError::Block { path: self.path.clone(), source };
        let label = Label::decode(&block).map_err(block_error)?;
        if label.uuid == uuid {
            return Ok(());
        }
        let what = format!("it belongs to store {}, not to {uuid}", label.uuid);
        Err(self.corrupt(what, "check which device or file belongs to this store"))
    }

    /// Makes the file at least `end` long, durably; what is new reads as zeros.
    pub(super) fn grow(&self, end: u64, geometry: Geometry) -> Result<()> {
        if self.len() >= end {
            return Ok(());
        }
        assert!(!self.is_device, "a device's geometry ends where the device does");
        let step = DATA_START + (end - DATA_START).next_multiple_of(GROW_STEP);
        self.set_len(step.min(geometry.end()).max(end))?;
        self.sync()
    }

    /// Makes a range read as zeros and gives its space back where the file system can. Not durable before [`DataFile::sync`].
    pub(super) fn zero(&self, offset: u64, len: u64) -> Result<()> {
        // Unsupported: NFS, some FUSE file systems and some devices. Zeros do as well, slower.
        let punched = match self.sync_file.punch_hole(offset, len) {
            Err(e) if is_unsupported(&e) => self.sync_file.zero_range(offset, len),
            other => other,
        };
        let zeroed = match punched {
            Err(e) if is_unsupported(&e) => self.write_zeros(offset, len),
            other => other,
        };
        zeroed.map_err(|e| self.io("punch a hole in", e))
    }

    /// Takes disk space for a range whose slots are in use from now on; writes zeros there if `write` says so.
    pub(super) fn preallocate(&self, offset: u64, len: u64, write: bool) -> Result<()> {
        match self.sync_file.allocate(offset, len) {
            Err(e) if !is_unsupported(&e) => return Err(self.io("allocate", e)),
            _ => {}
        }
        if write { self.write_zeros(offset, len).map_err(|e| self.io("write", e)) } else { Ok(()) }
    }

    /// Copies a slot's bytes, for fsck.
    pub(super) fn copy(&self, from: u64, to: u64, len: u64) -> Result<()> {
        let mut piece = vec![0; ZERO_PIECE.min(len as usize)];
        let mut done = 0;
        while done < len {
            let n = piece.len().min((len - done) as usize);
            let read =
                self.sync_file.read_at(&mut piece[..n], from + done).map_err(|e| self.io("read", e))?;
            piece[read..n].fill(0);
            self.sync_file.write_all_at(&piece[..n], to + done).map_err(|e| self.io("write", e))?;
            done += n as u64;
        }
        Ok(())
    }

    /// Makes everything written so far durable. A failure poisons the data.
    pub(super) fn sync(&self) -> Result<()> {
        self.check_poison()?;
        self.sync_file.sync_data().map_err(|e| self.set_poison(e))
    }

    /// Fails if a sync has failed before.
    pub(super) fn check_poison(&self) -> Result<()> {
        self.poison.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Remembers a failed sync, and returns the error for those who waited for it.
    pub(super) fn set_poison(&self, source: io::Error) -> StoreError {
        let source = Arc::new(source);
        tracing::error!(path = %self.path.display(), error = %source, "a sync of the data failed; flushes fail from now on");
        let poisoned =
            StoreError::Poisoned { path: self.path.clone(), operation: "sync", source: Arc::clone(&source) };
        self.poison.get_or_init(|| poisoned);
        StoreError::Io { operation: "sync", path: self.path.clone(), source }
    }

    /// Wraps the system's answer to an operation on the data.
    pub(super) fn io(&self, operation: &'static str, source: io::Error) -> StoreError {
        StoreError::io(operation, &self.path, source)
    }

    /// Says that the data does not fit the metadata.
    pub(super) fn corrupt(&self, what: String, hint: &'static str) -> StoreError {
        StoreError::Corrupt { path: self.path.clone(), what, hint }
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.sync_file.set_len(len).map_err(|e| self.io("resize", e))?;
        *self.len.lock().unwrap_or_else(PoisonError::into_inner) = len;
        Ok(())
    }

    fn write_zeros(&self, offset: u64, len: u64) -> io::Result<()> {
        let zeros = vec![0; ZERO_PIECE.min(len as usize)];
        let mut done = 0;
        while done < len {
            let n = zeros.len().min((len - done) as usize);
            self.sync_file.write_all_at(&zeros[..n], offset + done)?;
            done += n as u64;
        }
        Ok(())
    }
}

/// True if the file system or device cannot do this at all, so that another way should be tried.
pub(super) fn is_unsupported(error: &io::Error) -> bool {
    const ENOSYS: i32 = 38;
    const EOPNOTSUPP: i32 = 95;
    matches!(error.raw_os_error(), Some(ENOSYS | EOPNOTSUPP)) || error.kind() == io::ErrorKind::Unsupported
}
