//! Opening an image of the store on an engine.

use super::extent::Layout;
use super::handle::{Image, ImageInner};
use super::shard_load::ShardLoad;
use super::shared::{Access, ImageShared};
use crate::cache::{Parcel, Policy};
use crate::config::{CacheSettings, ImageSpec, Settings};
use crate::engine::Engine;
use crate::engine::topology::ShardNo;
use crate::error::{Error, ErrorKind, Result};
use crate::store::{ImageName, ImageRecord};
use ringbd_reactor::Durability;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Weak};

/// How to open an image.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenOptions {
    /// The cache.
    pub cache: CacheSettings,
    /// Whether writes are taken.
    pub access: Access,
    /// The promise that lent memory (see [`Buf`](crate::Buf)) does not change while a write of it is under way.
    /// Without it such writes are copied first: a guest may change a page that is being written, and whoever checks
    /// what is written (a cluster, a file system with checksums) would call that corruption.
    pub stable_buffers: bool,
    /// Every write is durable when it is acknowledged, also in mode none.
    pub durable_writes: bool,
    /// What is smaller than this, or not aligned to it, is not discarded; 0: every sector is.
    pub discard_granularity: u32,
}

impl OpenOptions {
    /// What the settings say: for reading and writing, without the promise of stable buffers.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let granularity = settings.discard().granularity_bytes;
        Self {
            cache: settings.cache().clone(),
            access: Access::ReadWrite,
            stable_buffers: false,
            durable_writes: settings.store_dsync(),
            discard_granularity: u32::try_from(granularity).unwrap_or(u32::MAX >> 1),
        }
    }

    /// Writes fail with EROFS.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.access = Access::ReadOnly;
        self
    }

    /// Makes the promise of stable buffers.
    #[must_use]
    pub fn with_stable_buffers(mut self) -> Self {
        self.stable_buffers = true;
        self
    }

    /// A write that is acknowledged when the store has it has to be as durable as the mode promises.
    fn durability(&self) -> Durability {
        let through = self.cache.mode == Policy::Writethrough;
        if through || self.cache.flush_after_write || self.durable_writes {
            Durability::Durable
        } else {
            Durability::Volatile
        }
    }
}

impl Engine {
    /// Opens an image of the engine's store. Blocks while the image's objects are looked up.
    ///
    /// Opening an image again gives another handle of the same open image, on the same cache; it must be opened in
    /// the same way.
    ///
    /// # Errors
    ///
    /// ENOENT when there is no such image, EBUSY when it is open in another way, EUCLEAN when its metadata is damaged.
    pub fn open(&self, spec: &ImageSpec, options: &OpenOptions) -> Result<Image> {
        if let Some(snap) = &spec.snap {
            return Err(Error::new(
                ErrorKind::NotFound,
                "open image",
                spec.short(),
                format!("no snapshot {snap}"),
            )
            .hint("images of the embedded store have no snapshots yet"));
        }
        let namespace = spec.namespace.as_deref().unwrap_or_default();
        let name = ImageName { pool: &spec.pool, namespace, image: &spec.image };
        let record = self
            .store()
            .image(name)
            .map_err(|error| Error::from_store("open image", spec.short(), &error))?;
        let mut open = self.open_images();
        if let Some(inner) = open.get(&record.id.0).and_then(Weak::upgrade) {
            return join_open(inner, options);
        }
        let inner = self.open_first(spec, &record, options)?;
        open.insert(record.id.0, Arc::downgrade(&inner));
        Ok(Image(inner))
    }

    fn open_first(
        &self,
        spec: &ImageSpec,
        record: &ImageRecord,
        options: &OpenOptions,
    ) -> Result<Arc<ImageInner>> {
        let tables = self
            .store()
            .slot_tables(record)
            .map_err(|error| Error::from_store("open image", spec.short(), &error))?;
        let shared = Arc::new(ImageShared {
            no: self.shared().next_image_no(),
            id: record.id.0,
            name: spec.short(),
            layout: Layout::new(record.order.bits())?,
            access: options.access,
            durability: options.durability(),
            stable_buffers: options.stable_buffers,
            waits_for_flush: AtomicBool::new(options.cache.writethrough_until_flush),
            discard_granularity: options.discard_granularity,
            cache: options.cache.clone(),
            options: options.clone(),
            store: self.store().clone(),
            record: record.clone(),
            size: AtomicU64::new(record.size),
            closed: AtomicBool::new(false),
            resizing: AtomicBool::new(false),
        });
        let loads = ShardNo::all()
            .zip(tables)
            .map(|(shard, table)| (shard, ShardLoad { table, parcel: Parcel::default() }));
        self.shared().attach(shared.clone(), loads);
        tracing::info!(image = shared.name, cache = %shared.cache, "opened");
        Ok(Arc::new(ImageInner { shared, engine: self.clone() }))
    }
}

/// Another handle of an image that is open already.
fn join_open(inner: Arc<ImageInner>, options: &OpenOptions) -> Result<Image> {
    let shared = &inner.shared;
    if shared.options == *options {
        return Ok(Image(inner));
    }
    let reason = format!("it is open already, with cache {}", shared.cache);
    Err(shared
        .error(ErrorKind::Busy, "open image", reason)
        .hint("open it in the same way, or close it first"))
}
