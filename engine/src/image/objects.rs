//! The objects of an image below its cache, on one core: today the embedded store's.
//!
//! The cache knows only the trait that this implements; a cluster will be a second kind behind the same calls.

use super::shared::ImageShared;
use crate::cache::Extent;
use crate::cache::driver::Below;
use crate::engine::message::ObjectOp;
use crate::engine::topology::{ShardNo, ShardSet};
use crate::error::{Error, ErrorKind, Result};
use crate::image::request::Op;
use crate::stats::{LATENCY_SAMPLE, Latencies, StoreLatencies, elapsed_ns};
use crate::store::{Ended, LocalObjects, ObjectNo, Run, SlotTable, StoreError, Transfer};
use ringbd_reactor::{Buf, CompletionHandler, Durability, Instant, now};
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;

pub(crate) struct Objects {
    shared: Arc<ImageShared>,
    local: LocalObjects,
    latencies: RefCell<StoreLatencies>,
    operations: Cell<u64>,
}

impl Objects {
    pub(crate) fn new(shared: Arc<ImageShared>) -> Self {
        let local = LocalObjects::new(&shared.store, &shared.record);
        Self { shared, local, latencies: RefCell::default(), operations: Cell::new(0) }
    }

    pub(crate) fn latencies(&self) -> StoreLatencies {
        self.latencies.borrow().clone()
    }

    /// The time, for one operation in so many.
    #[inline]
    fn sample(&self) -> Option<Instant> {
        let count = self.operations.get();
        self.operations.set(count.wrapping_add(1));
        count.is_multiple_of(LATENCY_SAMPLE).then(now)
    }

    #[inline]
    fn record(&self, started: Option<Instant>, of: fn(&mut StoreLatencies) -> &mut Latencies) {
        if let Some(started) = started {
            of(&mut self.latencies.borrow_mut()).saturating_record(elapsed_ns(started));
        }
    }

    fn error(&self, operation: &'static str, error: &StoreError) -> Error {
        Error::from_store(operation, &self.shared.name, error)
    }

    pub(crate) fn adopt(&self, table: SlotTable) {
        self.local.adopt(table);
    }

    /// Gives the slot table of a shard away on which nothing works any more.
    pub(crate) fn release(&self, shard: ShardNo) -> SlotTable {
        self.try_release(shard).expect("a shard is released when the last operation on it has ended")
    }

    /// The same, or `None` while something works on the shard.
    pub(crate) fn try_release(&self, shard: ShardNo) -> Option<SlotTable> {
        self.local.release(shard.index())
    }

    /// The objects of these shards that take space, from object `first` on.
    pub(crate) fn allocated_from(&self, shards: ShardSet, first: u64) -> Vec<u64> {
        let wanted = |&object: &u64| object >= first && shards.contains(ShardNo::of(self.shared.id, object));
        self.local.allocated().into_iter().map(|object| object.0).filter(wanted).collect()
    }

    pub(crate) async fn discard(&self, extent: Extent) -> Result<()> {
        let done = self.local.discard(ObjectNo(extent.object), extent.offset.into(), extent.len.into()).await;
        done.map_err(|error| self.error("discard", &error))
    }

    pub(crate) async fn write_zeroes(&self, extent: Extent) -> Result<()> {
        let done =
            self.local.write_zeroes(ObjectNo(extent.object), extent.offset.into(), extent.len.into()).await;
        done.map_err(|error| self.error("write_zeroes", &error))
    }

    /// Writes `data` where `compare` stands. EILSEQ says where the first difference is.
    pub(crate) async fn compare_and_write(
        &self,
        extent: Extent,
        compare: &[u8],
        data: Buf,
    ) -> (Result<()>, Buf) {
        let (object, offset) = (ObjectNo(extent.object), extent.offset.into());
        let (result, data) =
            self.local.compare_and_write(object, offset, compare, data, self.shared.durability).await;
        let result = match result {
            Ok(None) => Ok(()),
            Ok(Some(at)) => {
                let reason = format!("the image differs at byte {at} of {} compared", extent.len);
                Err(self.shared.error(ErrorKind::Mismatch, "compare_and_write", reason))
            }
            Err(error) => Err(self.error("compare_and_write", &error)),
        };
        (result, data)
    }

    /// Makes everything that the store acknowledged durable.
    pub(crate) async fn sync(&self) -> Result<()> {
        let started = now();
        let done = self.local.flush().await;
        self.latencies.borrow_mut().flush.saturating_record(elapsed_ns(started));
        done.map_err(|error| self.error("flush", &error))
    }

    /// Begins to read or write an extent in one operation of the disk, without a task; the handler hands the end to
    /// [`Objects::end`]. The buffer comes back where that cannot be.
    #[inline]
    pub(crate) fn start(
        &self,
        op: &ObjectOp,
        extent: Extent,
        buf: Buf,
        handler: Rc<dyn CompletionHandler>,
        token: u64,
    ) -> std::result::Result<Transfer, Buf> {
        let (object, offset) = (ObjectNo(extent.object), extent.offset.into());
        match op {
            ObjectOp::Read => self.local.start_read(object, offset, buf, handler, token),
            ObjectOp::Write => {
                self.local.start_write(object, offset, buf, self.shared.durability, handler, token)
            }
            ObjectOp::Discard | ObjectOp::WriteZeroes | ObjectOp::CompareAndWrite(_) => Err(buf),
        }
    }

    /// Takes in the end of what [`Objects::start`] began. `None`: it has to be done again, by a task.
    #[inline]
    pub(crate) fn end(
        &self,
        transfer: Transfer,
        op: Op,
        started: Option<Instant>,
        moved: io::Result<usize>,
        len: usize,
    ) -> Option<Result<()>> {
        let result = match transfer.end(moved, len) {
            Ended::Whole => Ok(()),
            Ended::Again => return None,
            Ended::Failed(error) => Err(self.error(op.name(), &error)),
        };
        if op.is_write() {
            self.record(started, |latencies| &mut latencies.write);
        } else {
            self.record(started, |latencies| &mut latencies.read);
        }
        Some(result)
    }

    /// Writes one extent from the caller's own buffer, which comes back.
    pub(crate) async fn write_one(&self, extent: Extent, buf: Buf) -> (Result<()>, Buf) {
        let started = self.sample();
        let (done, buf) = self
            .local
            .write(ObjectNo(extent.object), extent.offset.into(), buf, self.shared.durability)
            .await;
        self.record(started, |latencies| &mut latencies.write);
        (done.map_err(|error| self.error("write", &error)), buf)
    }
}

impl Below for Objects {
    async fn read(&self, extent: Extent, buf: Buf) -> (Result<()>, Buf) {
        let started = self.sample();
        let (done, buf) = self.local.read(ObjectNo(extent.object), extent.offset.into(), buf).await;
        self.record(started, |latencies| &mut latencies.read);
        (done.map(drop).map_err(|error| self.error("read", &error)), buf)
    }

    async fn write(&self, object: u64, runs: Vec<(u32, Buf)>) -> Result<()> {
        let started = self.sample();
        // Only what is acknowledged when it lands has to be durable then.
        let durability =
            if self.shared.writes_through() { self.shared.durability } else { Durability::Volatile };
        let run = |(offset, buf): (u32, Buf)| Run { offset: offset.into(), buf };
        let runs = runs.into_iter().map(run).collect();
        let (done, _) = self.local.write_runs(ObjectNo(object), runs, durability).await;
        self.record(started, |latencies| &mut latencies.write);
        done.map_err(|error| self.error("write back", &error))
    }

    fn writes_through(&self) -> bool {
        self.shared.writes_through()
    }
}
