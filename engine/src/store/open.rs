//! Opening a store: every check that stands between a directory and the first read.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ringbd_reactor::{OpenOptions, World};

use super::commit::CommitQueue;
use super::data::DataFile;
use super::error::{Result, StoreError};
use super::flush::DataSync;
use super::lock::StoreLock;
use super::metadata::{self, Metadata, STORE};
use super::shared::{BackgroundJobs, Opened, Shared};
use super::superblock::{BLOCK_BYTES, DataLocation, Features, Superblock};
use super::survey::{Problem, Survey};

pub(super) const SUPERBLOCK_FILE: &str = "superblock";
pub(super) const METADATA_FILE: &str = "metadata.redb";
pub(super) const DATA_FILE: &str = "data";

/// What the opener will do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenMode {
    /// Read and write.
    ReadWrite,
    /// Change nothing that a reader could see. The lock is taken all the same: the database has one opener.
    ReadOnly,
}

/// Opens a store that must be in order.
pub(super) fn open(world: &World, dir: &Path, mode: OpenMode) -> Result<Arc<Opened>> {
    let (shared, survey) = open_any(world, dir, mode)?;
    // What an interrupted command left is no damage: opening finishes it.
    let unfinished = |problem: &&Problem| matches!(problem, Problem::Unfinished(_) | Problem::BeyondEnd(_));
    let wrong = survey.problems.iter().find(|problem| !unfinished(problem));
    if let Some(problem) = wrong {
        return Err(StoreError::Corrupt {
            path: shared.metadata.path().to_owned(),
            what: format!("{problem} ({} problems in all)", survey.problem_count),
            hint: "run `ringbd fsck --repair` on the store",
        });
    }
    let unfinished = !survey.problems.is_empty();
    *shared.space() = survey.space;
    let shared = Opened::new(shared);
    if unfinished && shared.writable {
        super::images::finish_interrupted(&shared)?;
    }
    Ok(shared)
}

/// Opens a store whose blocks and pages are sound, whatever its records say. For fsck; the space is still empty.
pub(super) fn open_any(world: &World, dir: &Path, mode: OpenMode) -> Result<(Shared, Survey)> {
    // Without this look a mistyped path would get a lock file.
    if !exists(world, &dir.join(SUPERBLOCK_FILE))? {
        let reason = if exists(world, dir)? { "it has no file `superblock`" } else { "it does not exist" };
        return Err(StoreError::NotAStore { dir: dir.to_owned(), reason: reason.into() });
    }
    let lock = StoreLock::take(world, dir)?;
    let superblock = read_superblock(world, dir)?;
    check_features(dir, superblock.features, mode)?;
    let data_path = match &superblock.data {
        DataLocation::File => dir.join(DATA_FILE),
        DataLocation::Path(path) => path.clone(),
    };
    let data = DataFile::open(world, &data_path, false)?;
    data.check_label(superblock.uuid)?;

    let path = dir.join(METADATA_FILE);
    let options = OpenOptions::new().read(true).write(true);
    let file = world.open_sync(&path, &options).map_err(|e| StoreError::io("open", &path, e))?;
    let metadata = Metadata::open(file, &path)?;
    check_owner(&metadata, &superblock)?;
    let geometry = data.geometry(superblock.data_bytes_max);
    let survey = metadata.read(|txn| Survey::walk(txn, geometry, data.len()))?;
    let shared = Shared {
        world: world.clone(),
        dir: dir.to_owned(),
        writable: mode == OpenMode::ReadWrite,
        superblock,
        metadata,
        data,
        flushes: DataSync::default(),
        commits: CommitQueue::default(),
        supply: Mutex::new(()),
        space: Mutex::new(super::space::Space::new(geometry)),
        background: Arc::new(BackgroundJobs::default()),
        leased: Mutex::new(HashSet::new()),
        _lock: lock,
    };
    Ok((shared, survey))
}

fn read_superblock(world: &World, dir: &Path) -> Result<Superblock> {
    let path: PathBuf = dir.join(SUPERBLOCK_FILE);
    let io = |operation| {
        let path = path.clone();
        move |e| StoreError::io(operation, path, e)
    };
    let file = world.open_sync(&path, &OpenOptions::new().read(true)).map_err(io("open"))?;
    // One byte more than a block, so that a file that is too long is noticed and a huge one is not read.
    let mut block = vec![0; BLOCK_BYTES + 1];
    let mut read = 0;
    while read < block.len() {
        match file.read_at(&mut block[read..], read as u64).map_err(io("read"))? {
            0 => break,
            n => read += n,
        }
    }
    Superblock::decode(&block[..read]).map_err(|source| StoreError::Block { path, source })
}

fn check_features(dir: &Path, features: Features, mode: OpenMode) -> Result<()> {
    let refuse = |kind, bits| Err(StoreError::Features { dir: dir.to_owned(), kind, bits });
    match (features.incompat & !Features::KNOWN_INCOMPAT, features.ro_compat & !Features::KNOWN_RO_COMPAT) {
        (0, 0) => Ok(()),
        (0, bits) if mode == OpenMode::ReadWrite => refuse("write", bits),
        (0, _) => Ok(()),
        (bits, _) => refuse("incompatible", bits),
    }
}

/// The metadata names its store too, so that files of two stores cannot be mixed.
fn check_owner(metadata: &Metadata, superblock: &Superblock) -> Result<()> {
    let record = metadata.read(|txn| metadata::store_record(&txn.open_table(STORE)?))?;
    if record.uuid == superblock.uuid {
        return Ok(());
    }
    Err(StoreError::Corrupt {
        path: metadata.path().to_owned(),
        what: format!("it belongs to store {}, not to {}", record.uuid, superblock.uuid),
        hint: "put back the metadata.redb that belongs to this superblock",
    })
}

/// Whether there is something at `path`.
pub(super) fn exists(world: &World, path: &Path) -> Result<bool> {
    world.exists(path).map_err(|e| StoreError::io("look for", path, e))
}

/// True if `dir` has a store, open or not.
pub fn is_store(world: &World, dir: &Path) -> bool {
    world.exists(&dir.join(SUPERBLOCK_FILE)).unwrap_or(false)
}
