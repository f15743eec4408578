//! The open store as its users hold it: pools, images and figures. All calls here block and are for any thread but a busy core.

use std::path::Path;
use std::sync::Arc;

use redb::{ReadableTable, ReadableTableMetadata};
use ringbd_reactor::World;

use super::catalog::{
    self, IMAGE_META_BYTES_MAX, ImageName, NAME_BYTES_MAX, POOL_NAME_BYTES_MAX, check_name,
};
use super::create::{self, CreateStore};
use super::error::{Result, StoreError};
use super::images::{self, CreateImage, Progress};
use super::metadata::{Fault, IMAGE_META, IMAGES, NAMES, OBJECTS, POOLS, refuse};
use super::objects::{self, SlotTable};
use super::open::{self, OpenMode};
use super::record::{self, ImageId, ImageRecord, SnapId};
use super::shared::Opened;
use super::space::SpaceUsage;
use super::superblock::Superblock;

/// An open store. Clones share it; it closes when the last clone and the last [`SlotTable`] are gone.
#[derive(Clone)]
pub struct Store {
    pub(super) shared: Arc<Opened>,
}

/// How full a store is and what it has done since it was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StoreUsage {
    /// Bytes in slots, used and free.
    pub space: SpaceUsage,
    /// The data file's length, holes included, or the device's size.
    pub data_len: u64,
    /// True if the space has a limit, so that `space.capacity_bytes` means something.
    pub limited: bool,
    /// Metadata transactions of the data path.
    pub commits: u64,
    /// Slots given and taken in them.
    pub changes: u64,
    /// Syncs of the data that flushes shared.
    pub syncs: u64,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("dir", &self.shared.dir).finish_non_exhaustive()
    }
}

impl Store {
    /// Makes a store in `dir` and opens it.
    pub fn create(world: &World, dir: &Path, options: &CreateStore) -> Result<Self> {
        create::create(world, dir, options)?;
        Self::open(world, dir, OpenMode::ReadWrite)
    }

    /// Opens the store in `dir`.
    pub fn open(world: &World, dir: &Path, mode: OpenMode) -> Result<Self> {
        open::open(world, dir, mode).map(|shared| Self { shared })
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// Its identity, format features and data location.
    pub fn superblock(&self) -> &Superblock {
        &self.shared.superblock
    }

    /// True if it was opened for writing.
    pub fn is_writable(&self) -> bool {
        self.shared.writable
    }

    /// The names of the pools.
    pub fn pools(&self) -> Result<Vec<String>> {
        let pools = self.shared.metadata.read(|txn| catalog::pools(&txn.open_table(POOLS)?))?;
        Ok(pools.into_iter().map(|(_, pool)| pool.name).collect())
    }

    /// Makes a pool. Creating an image in a pool that is not there makes it too.
    pub fn create_pool(&self, name: &str) -> Result<()> {
        self.shared.check_writable()?;
        check_name("pool name", name, POOL_NAME_BYTES_MAX)?;
        let now = self.shared.now_ns();
        self.shared.metadata.write(|txn| {
            if catalog::pool_named(&txn.open_table(POOLS)?, name)?.is_some() {
                return refuse(StoreError::Exists { kind: "pool", name: name.into() });
            }
            catalog::ensure_pool(txn, name, now).map(drop)
        })
    }

    /// Removes a pool that has no images.
    pub fn remove_pool(&self, name: &str) -> Result<()> {
        self.shared.check_writable()?;
        self.shared.metadata.write(|txn| {
            let mut pools = txn.open_table(POOLS)?;
            let id = catalog::existing_pool(&pools, name)?;
            if catalog::pool_in_use(&txn.open_table(IMAGES)?, id)? {
                let reason = "it has images (remove them first)".into();
                return refuse(StoreError::Busy { kind: "pool", name: name.into(), reason });
            }
            pools.remove(id.0)?;
            Ok(())
        })
    }

    /// Makes an image. With preallocation this takes as long as the disk takes; `progress` is told.
    pub fn create_image(
        &self,
        name: ImageName<'_>,
        options: &CreateImage,
        progress: Progress<'_>,
    ) -> Result<ImageRecord> {
        images::create(&self.shared, name, options, progress)
    }

    /// Looks an image up.
    pub fn image(&self, name: ImageName<'_>) -> Result<ImageRecord> {
        self.shared.metadata.read(|txn| catalog::find_in(txn, name))
    }

    /// Looks an image up by its number.
    pub fn image_by_id(&self, id: ImageId) -> Result<Option<ImageRecord>> {
        self.shared.metadata.read(|txn| catalog::image(&txn.open_table(IMAGES)?, id))
    }

    /// The images of a pool and namespace, by name.
    pub fn images(&self, pool: &str, namespace: &str) -> Result<Vec<ImageRecord>> {
        if !namespace.is_empty() {
            check_name("namespace", namespace, NAME_BYTES_MAX)?;
        }
        self.shared.metadata.read(|txn| {
            let pool = catalog::existing_pool(&txn.open_table(POOLS)?, pool)?;
            catalog::list(txn, pool, namespace)
        })
    }

    /// Every image of the store.
    pub fn all_images(&self) -> Result<Vec<ImageRecord>> {
        self.shared.metadata.read(|txn| catalog::images(&txn.open_table(IMAGES)?))
    }

    /// The bytes an image has slots for.
    pub fn allocated_bytes(&self, image: &ImageRecord) -> Result<u64> {
        let objects = self.shared.metadata.read(|txn| {
            let table = txn.open_table(OBJECTS)?;
            let range = (image.id.0, SnapId::HEAD.0, 0)..=(image.id.0, SnapId::HEAD.0, u64::MAX);
            let mut objects = 0u64;
            for entry in ReadableTable::range(&table, range)? {
                entry?;
                objects += 1;
            }
            Ok(objects)
        })?;
        Ok(objects << image.order.bits())
    }

    /// Gives an image another name, namespace or both, in the same pool. It may be open.
    pub fn rename(&self, from: ImageName<'_>, to: ImageName<'_>) -> Result<()> {
        self.shared.check_writable()?;
        to.check()?;
        if from.pool != to.pool {
            let reason = format!("image {from} cannot move to pool {} (copy it, then remove it)", to.pool);
            return Err(StoreError::Invalid { what: "new name", reason });
        }
        let now = self.shared.now_ns();
        self.shared.metadata.write(|txn| {
            let mut image = catalog::find_for_change(txn, from)?;
            let mut names = txn.open_table(NAMES)?;
            let key = catalog::name_key(image.pool, to.namespace, to.image);
            if names.get(key.as_slice())?.is_some() {
                return refuse(StoreError::Exists { kind: "image", name: to.to_string() });
            }
            names.remove(catalog::name_key(image.pool, &image.namespace, &image.name).as_slice())?;
            names.insert(key.as_slice(), image.id.0)?;
            drop(names);
            (image.namespace, image.name) = (to.namespace.into(), to.image.into());
            image.modified_ns = now;
            catalog::put_image(txn, &image)
        })
    }

    /// Changes an image's size. If it is open, its owner must have discarded what lies behind a smaller end.
    pub fn resize(&self, name: ImageName<'_>, size: u64, progress: Progress<'_>) -> Result<ImageRecord> {
        images::resize(&self.shared, name, size, progress)
    }

    /// Records the size of an open image, whose owner has discarded what lies behind a smaller end. By number, because an
    /// open image may have been renamed.
    pub fn record_size(&self, id: ImageId, size: u64) -> Result<()> {
        images::record_size(&self.shared, id, size)
    }

    /// Removes an image that is not open.
    pub fn remove(&self, name: ImageName<'_>, progress: Progress<'_>) -> Result<()> {
        images::remove(&self.shared, name, progress)
    }

    /// Sets a metadata key of an image (`rbd image-meta set`).
    pub fn set_image_meta(&self, name: ImageName<'_>, key: &str, value: &[u8]) -> Result<()> {
        self.shared.check_writable()?;
        check_name("image metadata key", key, NAME_BYTES_MAX)?;
        if value.len() > IMAGE_META_BYTES_MAX {
            let reason = format!("it has {} bytes; {IMAGE_META_BYTES_MAX} are allowed", value.len());
            return Err(StoreError::Invalid { what: "image metadata value", reason });
        }
        self.shared.metadata.write(|txn| {
            let image = catalog::find_for_change(txn, name)?;
            txn.open_table(IMAGE_META)?.insert((image.id.0, key.as_bytes()), value)?;
            Ok(())
        })
    }

    /// Removes a metadata key of an image.
    pub fn remove_image_meta(&self, name: ImageName<'_>, key: &str) -> Result<()> {
        self.shared.check_writable()?;
        self.shared.metadata.write(|txn| {
            let image = catalog::find_for_change(txn, name)?;
            let found = txn.open_table(IMAGE_META)?.remove((image.id.0, key.as_bytes()))?.is_some();
            if found {
                Ok(())
            } else {
                refuse(StoreError::NotFound { kind: "image metadata", name: key.into() })
            }
        })
    }

    /// Every metadata key of an image with its value, by key.
    pub fn image_meta(&self, name: ImageName<'_>) -> Result<Vec<(String, Vec<u8>)>> {
        self.shared.metadata.read(|txn| {
            let image = catalog::find_in(txn, name)?;
            let table = txn.open_table(IMAGE_META)?;
            let mut found = Vec::new();
            for entry in
                ReadableTable::range(&table, (image.id.0, &[] as &[u8])..(image.id.0 + 1, &[] as &[u8]))?
            {
                let (key, value) = entry?;
                found.push((String::from_utf8_lossy(key.value().1).into_owned(), value.value().to_vec()));
            }
            Ok(found)
        })
    }

    /// How full it is and what it has done.
    pub fn usage(&self) -> StoreUsage {
        let (commits, changes) = self.shared.commit_counts();
        StoreUsage {
            space: self.shared.space().usage(),
            data_len: self.shared.data.len(),
            limited: self.shared.data.is_device() || self.shared.superblock.data_bytes_max.is_some(),
            commits,
            changes,
            syncs: self.shared.flushes.count(),
        }
    }

    /// The slot tables of an image, one for each of the 64 shards, in shard order. An image has one set: while any of its
    /// tables is out, a second call fails.
    pub fn slot_tables(&self, image: &ImageRecord) -> Result<Vec<SlotTable>> {
        let lease = objects::Lease::take(&self.shared, image)?;
        let geometry = self.shared.space().geometry();
        let mut tables = SlotTable::all(&lease, image);
        self.shared.metadata.read(|txn| {
            let table = txn.open_table(OBJECTS)?;
            let range = (image.id.0, SnapId::HEAD.0, 0)..=(image.id.0, SnapId::HEAD.0, u64::MAX);
            for entry in ReadableTable::range(&table, range)? {
                let (key, value) = entry?;
                let found = images::slot_of(image.id, key.value().2, value.value(), geometry)?;
                if let Some((object, slot)) = found.filter(|(_, slot)| slot.order == image.order) {
                    let object = record::ObjectNo(object);
                    tables[objects::shard_of(image.id, object)].load(object, slot);
                }
            }
            Ok::<(), Fault>(())
        })?;
        debug_assert_eq!(tables.len(), objects::SHARDS);
        Ok(tables)
    }

    /// How many values the metadata holds, for `info`.
    pub fn object_count(&self) -> Result<u64> {
        self.shared.metadata.read(|txn| Ok(txn.open_table(OBJECTS)?.len()?))
    }
}
