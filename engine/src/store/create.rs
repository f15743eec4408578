//! Making a store, step by step so that an interrupted one is no store.
//!
//! ```text
//! directory → lock → data (label, synced) → metadata.redb → superblock.new → rename to superblock → directory synced
//! ```
//! There is a store exactly when there is a file `superblock`. What an interrupted creation left is recognised and replaced; anything
//! else in the way is refused, never overwritten.

use std::path::{Path, PathBuf};

use ringbd_reactor::{OpenOptions, World};

use super::data::DataFile;
use super::error::{Result, StoreError};
use super::layout::{DATA_START, ZONE_BYTES};
use super::lock::StoreLock;
use super::metadata::Metadata;
use super::open::{DATA_FILE, METADATA_FILE, SUPERBLOCK_FILE, exists};
use super::record::StoreRecord;
use super::superblock::{BLOCK_BYTES, DataLocation, Features, Label, PATH_MAX, StoreUuid, Superblock};

/// How to make a store.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CreateStore {
    /// A block device (or a file elsewhere) for the data; `None` keeps it in the directory.
    pub data: Option<PathBuf>,
    /// The most bytes the data may grow to.
    pub data_bytes_max: Option<u64>,
    /// Use a device that is not empty. What is on it is lost.
    pub overwrite: bool,
}

/// The smallest data space: room for the label and one zone of the smallest objects.
const DATA_BYTES_MIN: u64 = DATA_START + (1 << 20);

const NEW_SUPERBLOCK_FILE: &str = "superblock.new";

/// Makes a store in `dir`, which is created if need be. It is closed again when this returns.
pub(super) fn create(world: &World, dir: &Path, options: &CreateStore) -> Result<()> {
    check_options(options)?;
    let io = |operation| move |e| StoreError::io(operation, dir, e);
    create_directory(world, dir)?;
    let _lock = StoreLock::take(world, dir)?;
    if exists(world, &dir.join(SUPERBLOCK_FILE))? {
        let reason = "there is a store already (open it, or choose another directory)".into();
        return Err(StoreError::Occupied { path: dir.to_owned(), reason });
    }
    let uuid = new_uuid(world);
    let path = options.data.clone().unwrap_or_else(|| dir.join(DATA_FILE));
    clear_leftovers(world, dir)?;
    let data = DataFile::open(world, &path, options.data.is_none())?;
    if options.data.is_some() && !options.overwrite {
        data.check_unused()?;
    }
    check_room(&data, options)?;
    data.format(uuid)?;

    let metadata_path = dir.join(METADATA_FILE);
    let file = open_new(world, &metadata_path)?;
    Metadata::create(file, &metadata_path, &StoreRecord { uuid, next_pool: 1, next_image: 1 })?;

    let superblock = Superblock {
        uuid,
        created_ns: u64::try_from(world.unix_time().as_nanos()).unwrap_or(u64::MAX),
        features: Features::default(),
        data_bytes_max: options.data_bytes_max,
        data: options.data.clone().map_or(DataLocation::File, DataLocation::Path),
    };
    let (new, final_) = (dir.join(NEW_SUPERBLOCK_FILE), dir.join(SUPERBLOCK_FILE));
    let file = open_new(world, &new)?;
    file.write_all_at(&superblock.encode(), 0).map_err(|e| StoreError::io("write", &new, e))?;
    file.sync_all().map_err(|e| StoreError::io("sync", &new, e))?;
    // The directory is synced before the rename too: the superblock must not appear before what it stands for.
    world.sync_dir(dir).map_err(io("sync"))?;
    world.rename(&new, &final_).map_err(|e| StoreError::io("rename", &new, e))?;
    world.sync_dir(dir).map_err(io("sync"))
}

/// Makes the directory and those above it, durably: a store must not go with the name of its directory.
fn create_directory(world: &World, dir: &Path) -> Result<()> {
    let mut made = Vec::new();
    for level in dir.ancestors().filter(|level| !level.as_os_str().is_empty()) {
        if exists(world, level)? {
            break;
        }
        made.push(level);
    }
    world.create_dir_all(dir).map_err(|e| StoreError::io("create directory", dir, e))?;
    for level in made {
        let parent = level.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        world.sync_dir(parent).map_err(|e| StoreError::io("sync", parent, e))?;
    }
    Ok(())
}

fn check_options(options: &CreateStore) -> Result<()> {
    if let Some(bytes) = options.data_bytes_max.filter(|&bytes| bytes < DATA_BYTES_MIN) {
        let reason = format!("{bytes} bytes are too few; the least is {DATA_BYTES_MIN}");
        return Err(StoreError::Invalid { what: "store size limit", reason });
    }
    let Some(path) = &options.data else { return Ok(()) };
    let text = path.to_str().filter(|text| !text.is_empty() && text.len() <= PATH_MAX && path.is_absolute());
    if text.is_none() {
        let reason = format!("{} is not an absolute UTF-8 path of at most {PATH_MAX} bytes", path.display());
        return Err(StoreError::Invalid { what: "data path", reason });
    }
    Ok(())
}

fn check_room(data: &DataFile, options: &CreateStore) -> Result<()> {
    if !data.is_device() || data.len() >= DATA_START + ZONE_BYTES {
        return Ok(());
    }
    let path = options.data.as_deref().unwrap_or(Path::new(DATA_FILE));
    let reason = format!("it has {} bytes; the least is {}", data.len(), DATA_START + ZONE_BYTES);
    Err(StoreError::Occupied { path: path.to_owned(), reason })
}

fn new_uuid(world: &World) -> StoreUuid {
    let mut uuid = [0; 16];
    uuid[..8].copy_from_slice(&world.random_u64().to_le_bytes());
    uuid[8..].copy_from_slice(&world.random_u64().to_le_bytes());
    // Version 4, variant 1, as RFC 9562 has random identifiers.
    uuid[6] = uuid[6] & 0x0f | 0x40;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    StoreUuid(uuid)
}

fn open_new(world: &World, path: &Path) -> Result<ringbd_reactor::SyncFile> {
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(true);
    world.open_sync(path, &options).map_err(|e| StoreError::io("create", path, e))
}

/// Removes what an interrupted creation left, and refuses what something else did.
fn clear_leftovers(world: &World, dir: &Path) -> Result<()> {
    for name in [DATA_FILE, METADATA_FILE] {
        let path = dir.join(name);
        if !exists(world, &path)? {
            continue;
        }
        let file = world
            .open_sync(&path, &OpenOptions::new().read(true))
            .map_err(|e| StoreError::io("open", &path, e))?;
        let mut head = vec![0; BLOCK_BYTES];
        let read = file.read_at(&mut head, 0).map_err(|e| StoreError::io("read", &path, e))?;
        // All zeros: the length was written before a crash and the contents were not.
        if !looks_ours(&head[..read]) && head.iter().any(|&byte| byte != 0) {
            let reason = "it is not part of a store (move it away, or choose another directory)".into();
            return Err(StoreError::Occupied { path, reason });
        }
        drop(file);
        world.remove_file(&path).map_err(|e| StoreError::io("remove", &path, e))?;
    }
    Ok(())
}

/// True for the first block of a data file or of a metadata database.
fn looks_ours(head: &[u8]) -> bool {
    Label::decode(head).is_ok() || head.starts_with(b"redb\x1a\n\xa9\r\n")
}
