//! Tests of the whole store on real files; the pure parts are tested beside their code.

mod damage;
mod images;
mod model;
mod objects;
mod repair;
mod shared_use;
mod simulated;

use std::path::{Path, PathBuf};

use ringbd_reactor::{Buf, CoreConfig, World};

use super::*;

/// A store in a directory that goes with it.
struct Place {
    dir: tempfile::TempDir,
}

const IMAGE: ImageName<'static> = ImageName { pool: "data", namespace: "", image: "disk" };

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// A place with an empty, closed store.
    fn with_store() -> Self {
        let place = Self::new();
        drop(place.create(&CreateStore::default()).unwrap());
        place
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn create(&self, options: &CreateStore) -> Result<Store> {
        Store::create(&World::real(), self.path(), options)
    }

    fn open(&self) -> Result<Store> {
        Store::open(&World::real(), self.path(), OpenMode::ReadWrite)
    }

    fn fsck(&self, repair: bool) -> Result<FsckReport> {
        fsck(&World::real(), self.path(), repair, &mut |_, _, _| {})
    }
}

fn create_image(store: &Store, name: ImageName<'_>, options: &CreateImage) -> Result<ImageRecord> {
    store.create_image(name, options, &mut |_, _| {})
}

/// Runs a future on a core lent by this thread.
fn on_core<T>(future: impl Future<Output = T>) -> T {
    World::real().lend_core(CoreConfig::default()).unwrap().block_on(future)
}

/// The image's objects, all shards on this core.
fn open_objects(store: &Store, image: &ImageRecord) -> LocalObjects {
    let objects = LocalObjects::new(store, image);
    store.slot_tables(image).unwrap().into_iter().for_each(|table| objects.adopt(table));
    objects
}

fn filled(byte: u8, len: usize) -> Buf {
    let mut buf = Buf::zeroed(len);
    buf.fill(byte);
    buf
}

/// What a part of an object reads as.
async fn read(objects: &LocalObjects, object: u64, offset: u64, len: usize) -> Vec<u8> {
    let (result, buf) = objects.read(ObjectNo(object), offset, filled(0xee, len)).await;
    result.unwrap();
    buf.to_vec()
}

async fn write(objects: &LocalObjects, object: u64, offset: u64, byte: u8, len: usize) {
    let durability = ringbd_reactor::Durability::Volatile;
    objects.write(ObjectNo(object), offset, filled(byte, len), durability).await.0.unwrap();
}
