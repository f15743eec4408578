//! One core's part of an open image: the shards that are here, what is cached of them, and the way to the store.
//!
//! The rule: an object is worked on only while its shard is *here*. A shard that leaves is first closed (new
//! operations go to its next owner), then waited for (`under_way` counts what still works on it), then taken out.

use super::extent::{cut_at_sectors, discardable};
use super::objects::Objects;
use super::shard_load::ShardLoad;
use super::shared::ImageShared;
use crate::cache::driver::{Below, Driver};
use crate::cache::{Extent, Parcel, Policy, Readahead, ReadaheadConfig, Shard, ShardConfig, Window};
use crate::config::CacheSettings;
use crate::engine::message::{ObjectOp, ShardsOp};
use crate::engine::topology::{ShardNo, ShardSet};
use crate::error::{ErrorKind, Result};
use crate::stats::{CacheStats, StoreLatencies};
use crate::store::SHARDS;
use ringbd_reactor::{Buf, WaitQueue, random_u64, sleep};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How often a closing image looks whether the last I/O of its objects has ended.
const CLOSE_POLL: Duration = Duration::from_micros(200);

pub(crate) struct CoreImage {
    pub(crate) shared: Arc<ImageShared>,
    /// A shard came or went.
    pub(crate) moved: WaitQueue,
    below: Rc<Objects>,
    cache: Option<Rc<Driver<Objects>>>,
    here: Cell<ShardSet>,
    /// Shards that are closed and not gone yet.
    leaving: Cell<ShardSet>,
    under_way: [Cell<u32>; SHARDS],
    /// Where a sequence of reads is noticed, while readahead is on.
    readahead: RefCell<Option<Readahead>>,
}

impl CoreImage {
    /// `cores` share the image's cache evenly.
    pub(crate) fn new(shared: Arc<ImageShared>, cores: usize) -> Rc<Self> {
        let below = Rc::new(Objects::new(shared.clone()));
        let cache = (shared.cache.mode != Policy::None)
            .then(|| Driver::start(Shard::new(shard_config(&shared, cores)), below.clone()));
        let readahead =
            shared.cache.readahead.is_enabled().then(|| Readahead::new(readahead_config(&shared)));
        Rc::new(Self {
            shared,
            moved: WaitQueue::new(),
            below,
            cache,
            here: Cell::new(ShardSet::EMPTY),
            leaving: Cell::new(ShardSet::EMPTY),
            under_way: [const { Cell::new(0) }; SHARDS],
            readahead: RefCell::new(readahead),
        })
    }

    #[inline]
    pub(crate) fn has(&self, shard: ShardNo) -> bool {
        self.here.get().contains(shard)
    }

    pub(crate) fn here(&self) -> ShardSet {
        self.here.get()
    }

    /// Whether any shard is here still, open or closed.
    pub(crate) fn holds_any(&self) -> bool {
        !self.here.get().union(self.leaving.get()).is_empty()
    }

    /// Does an operation that the cache can end at once.
    #[inline]
    pub(crate) fn try_now(&self, op: &ObjectOp, extent: Extent, buf: &mut Buf) -> bool {
        match (&self.cache, op) {
            (Some(cache), ObjectOp::Read) => cache.try_read(extent, buf),
            (Some(cache), ObjectOp::Write) => cache.try_write(extent, buf),
            (_, _) => false,
        }
    }

    /// What is below the cache.
    #[inline]
    pub(crate) fn below(&self) -> &Objects {
        &self.below
    }

    /// Whether an operation goes to the store as it is: past the cache, from or to the caller's own memory.
    #[inline]
    pub(crate) fn passes_through(&self, op: &ObjectOp, buf: &Buf) -> bool {
        match op {
            ObjectOp::Read => self.cache.is_none(),
            ObjectOp::Write => self.cache.is_none() && self.may_write_from(buf),
            ObjectOp::Discard | ObjectOp::WriteZeroes | ObjectOp::CompareAndWrite(_) => false,
        }
    }

    /// Begins work on a shard that is here; it stays here until the work is dropped.
    pub(crate) fn begin(self: &Rc<Self>, shard: ShardNo) -> Working {
        assert!(self.has(shard), "an object is worked on where its shard is");
        let count = &self.under_way[shard.index()];
        count.set(count.get() + 1);
        Working { image: self.clone(), shard }
    }

    /// Does an operation on an object, having begun work on its shard.
    pub(crate) async fn object(
        &self,
        working: Working,
        extent: Extent,
        op: ObjectOp,
        buf: Buf,
    ) -> (Result<u64>, Buf) {
        // Without a cache, reads and writes are what counts: their task stays small, the others' rest is boxed.
        let (result, buf) = match (op, &self.cache) {
            (ObjectOp::Read, None) => self.below.read(extent, buf).await,
            (ObjectOp::Write, None) if self.may_write_from(&buf) => self.below.write_one(extent, buf).await,
            (op, _) => Box::pin(self.object_at_leisure(extent, op, buf)).await,
        };
        drop(working);
        (result.map(|()| u64::from(extent.len)), buf)
    }

    async fn object_at_leisure(&self, extent: Extent, op: ObjectOp, buf: Buf) -> (Result<()>, Buf) {
        match op {
            ObjectOp::Read => self.read(extent, buf).await,
            ObjectOp::Write => self.write(extent, buf).await,
            ObjectOp::Discard => (self.discard(extent).await, buf),
            ObjectOp::WriteZeroes => (self.write_zeroes(extent).await, buf),
            ObjectOp::CompareAndWrite(compare) => self.compare_and_write(extent, compare, buf).await,
        }
    }

    /// Whether the disk may read the buffer itself: nobody changes it meanwhile.
    fn may_write_from(&self, buf: &Buf) -> bool {
        !buf.is_lent() || self.shared.stable_buffers
    }

    async fn read(&self, extent: Extent, buf: Buf) -> (Result<()>, Buf) {
        match &self.cache {
            Some(cache) => cache.read(extent, buf).await,
            None => self.below.read(extent, buf).await,
        }
    }

    async fn write(&self, extent: Extent, buf: Buf) -> (Result<()>, Buf) {
        match &self.cache {
            Some(cache) => (cache.write(extent, &buf).await, buf),
            None if !self.may_write_from(&buf) => {
                let mut copy = Buf::alloc(buf.len());
                copy.copy_from_slice(&buf);
                (self.below.write_one(extent, copy).await.0, buf)
            }
            None => self.below.write_one(extent, buf).await,
        }
    }

    /// Gives back what of the extent is whole units of the discard granularity; the rest stays as it is.
    async fn discard(&self, extent: Extent) -> Result<()> {
        let object_bytes = self.shared.layout.object_bytes();
        match discardable(extent, self.shared.discard_granularity, object_bytes) {
            Some(extent) => self.drop_and(extent, self.below.discard(extent)).await,
            None => Ok(()),
        }
    }

    async fn write_zeroes(&self, extent: Extent) -> Result<()> {
        let Some(cache) = &self.cache else { return self.below.write_zeroes(extent).await };
        let (head, body, tail) = cut_at_sectors(extent);
        for ragged in [head, tail].into_iter().flatten() {
            cache.write(ragged, &vec![0; ragged.len as usize]).await?;
        }
        match body {
            Some(body) => self.drop_and(body, self.below.write_zeroes(body)).await,
            None => Ok(()),
        }
    }

    /// Drops an extent from the cache, then does `below` to it, while writes to it are held.
    async fn drop_and(&self, extent: Extent, below: impl Future<Output = Result<()>>) -> Result<()> {
        let Some(cache) = &self.cache else { return below.await };
        let discard = cache.begin_discard(extent).await;
        let result = below.await;
        cache.finish_discard(discard);
        result
    }

    async fn compare_and_write(&self, extent: Extent, compare: Buf, data: Buf) -> (Result<()>, Buf) {
        let Some(cache) = &self.cache else {
            return self.below.compare_and_write(extent, &compare, data).await;
        };
        let result = match cache.compare_and_write(extent, &compare, &data).await {
            Ok(None) => Ok(()),
            Ok(Some(at)) => {
                let reason = format!("the image differs at byte {at} of {} compared", extent.len);
                Err(self.shared.error(ErrorKind::Mismatch, "compare_and_write", reason))
            }
            Err(error) => Err(error),
        };
        (result, data)
    }

    /// Makes everything that the store acknowledged durable.
    pub(crate) async fn sync(&self) -> Result<()> {
        self.below.sync().await
    }

    /// Does an operation to every object of shards that are here.
    pub(crate) async fn shards(self: &Rc<Self>, shards: ShardSet, op: ShardsOp) -> Result<()> {
        let working: Vec<_> = shards.iter().map(|shard| self.begin(shard)).collect();
        let result = match op {
            ShardsOp::Flush => self.write_back().await,
            ShardsOp::Invalidate => self.invalidate(),
            ShardsOp::Trim { from } => self.trim(shards, from).await,
        };
        drop(working);
        result
    }

    /// Writes back everything that is dirty on this core.
    pub(crate) async fn write_back(&self) -> Result<()> {
        match &self.cache {
            Some(cache) => cache.flush().await,
            None => Ok(()),
        }
    }

    fn invalidate(&self) -> Result<()> {
        let Some(cache) = &self.cache else { return Ok(()) };
        cache.invalidate().map_err(|error| self.shared.error(ErrorKind::Busy, "invalidate cache of", error))
    }

    async fn trim(&self, shards: ShardSet, from: u64) -> Result<()> {
        // What is dirty may be of objects that take no space yet; written back, all of them do.
        self.write_back().await?;
        let object_bytes = self.shared.layout.object_bytes();
        let (first, inside) = (from / object_bytes, (from % object_bytes) as u32);
        for object in self.below.allocated_from(shards, first) {
            let offset = if object == first { inside } else { 0 };
            let extent = Extent::new(object, offset, object_bytes as u32 - offset);
            if offset == 0 {
                self.drop_and(extent, self.below.discard(extent)).await?;
            } else {
                self.write_zeroes(extent).await?;
                self.write_back().await?;
            }
        }
        Ok(())
    }

    /// Takes in a shard that another core gave away.
    pub(crate) fn adopt(&self, shard: ShardNo, load: ShardLoad) {
        assert!(!self.has(shard), "a shard has one owner");
        self.below.adopt(load.table);
        if let Some(cache) = &self.cache {
            cache.insert(load.parcel);
        }
        let mut here = self.here.get();
        here.insert(shard);
        self.here.set(here);
        self.moved.wake_all();
    }

    /// From now on nothing new begins on the shard here.
    pub(crate) fn close_shard(&self, shard: ShardNo) {
        let (mut here, mut leaving) = (self.here.get(), self.leaving.get());
        here.remove(shard);
        leaving.insert(shard);
        self.here.set(here);
        self.leaving.set(leaving);
    }

    /// Takes a closed shard out, when nothing works on it any more.
    pub(crate) async fn surrender(&self, shard: ShardNo) -> ShardLoad {
        while self.under_way[shard.index()].get() > 0 {
            self.moved.wait().await;
        }
        let parcel = match &self.cache {
            Some(cache) => {
                // A flush that began on this core before counts on what is dirty here. What cannot be written back
                // moves dirty; whoever flushes next is told.
                if let Err(error) = cache.flush().await {
                    tracing::warn!(image = self.shared.name, %error, "dirty data moves to another core");
                }
                let id = self.shared.id;
                cache.extract(move |object| ShardNo::of(id, object) == shard).await
            }
            None => Parcel::default(),
        };
        let load = ShardLoad { table: self.below.release(shard), parcel };
        let mut leaving = self.leaving.get();
        leaving.remove(shard);
        self.leaving.set(leaving);
        load
    }

    /// The image was closed: lets go of everything of it, when what still works on it (readahead, or the writebacks of
    /// an image that was dropped without being closed) has ended.
    pub(crate) async fn close(&self) {
        if let Some(cache) = &self.cache {
            cache.stop();
        }
        let shards = self.here.replace(ShardSet::EMPTY);
        self.moved.wake_all();
        for shard in shards.iter() {
            while self.below.try_release(shard).is_none() {
                sleep(CLOSE_POLL).await;
            }
        }
    }

    pub(crate) fn cache_stats(&self) -> CacheStats {
        self.cache.as_ref().map_or_else(CacheStats::default, |cache| cache.with_shard(CacheStats::of))
    }

    pub(crate) fn store_latencies(&self) -> StoreLatencies {
        self.below.latencies()
    }

    /// Notes that a read of the image began on this core; says what to read ahead.
    #[inline]
    pub(crate) fn sequence(&self, offset: u64, len: u64) -> Option<Window> {
        let mut detector = self.readahead.borrow_mut();
        let window = detector.as_mut()?.read(offset, len, self.shared.size());
        if window.is_none() && detector.as_ref().is_some_and(Readahead::is_over) {
            *detector = None;
        }
        window
    }

    /// Brings an extent into the cache in the background.
    pub(crate) fn read_ahead(&self, extent: Extent) {
        if let Some(cache) = &self.cache {
            cache.read_ahead(extent);
        }
    }
}

/// One core's share of an image's cache.
fn shard_config(shared: &ImageShared, cores: usize) -> ShardConfig {
    let share = |bytes: u64| bytes / cores as u64;
    let CacheSettings { mode, size_bytes, max_dirty_bytes, target_dirty_bytes, .. } = shared.cache;
    ShardConfig {
        size_bytes: share(size_bytes),
        // A limit of zero means none to the shard; a share is never so small.
        max_dirty_bytes: share(max_dirty_bytes).max(u64::from(max_dirty_bytes > 0)),
        target_dirty_bytes: if mode == Policy::Writearound { 0 } else { share(target_dirty_bytes) },
        max_dirty_age_ns: shared.cache.max_dirty_age.as_nanos() as u64,
        max_dirty_objects: shared.cache.max_dirty_object.min(u64::from(u32::MAX)) as u32,
        block_writes_upfront: shared.cache.block_writes_upfront,
        object_bytes: shared.layout.object_bytes() as u32,
        keep_clean: mode.keeps_clean(),
        hash_seed: random_u64(),
    }
}

fn readahead_config(shared: &ImageShared) -> ReadaheadConfig {
    let crate::config::Readahead { trigger_requests, max_bytes, disable_after_bytes } =
        shared.cache.readahead;
    ReadaheadConfig {
        trigger_requests: u32::try_from(trigger_requests).unwrap_or(u32::MAX),
        max_bytes,
        disable_after_bytes,
        alignments: vec![shared.layout.object_bytes()],
    }
}

/// Something works on a shard.
pub(crate) struct Working {
    image: Rc<CoreImage>,
    shard: ShardNo,
}

impl Working {
    pub(crate) fn image(&self) -> &Rc<CoreImage> {
        &self.image
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        let count = &self.image.under_way[self.shard.index()];
        count.set(count.get() - 1);
        if count.get() == 0 && self.image.leaving.get().contains(self.shard) {
            self.image.moved.wake_all();
        }
    }
}
