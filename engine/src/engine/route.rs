//! The tasks of requests: cut into objects, each at its home core, and barriers over every core.

use super::message::{Answer, CallId, Item, Message, ObjectOp, ShardsOp};
use super::state::CoreState;
use super::topology::{ShardNo, ShardSet};
use crate::cache::{Extent, Policy, Window};
use crate::error::{Error, ErrorKind, Result};
use crate::image::core_image::CoreImage;
use crate::image::request::{Op, Request};
use crate::image::shared::ImageShared;
use ringbd_reactor::{Buf, Durability, JoinHandle, spawn, yield_now};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

/// Objects of one request that are worked on at once: enough to keep any disk busy with the largest request, few
/// enough that discarding a petabyte does not make a task for each object at once.
const OBJECTS_AT_ONCE_MAX: usize = 64;

impl CoreState {
    /// Runs a request that `start` could not end at once.
    pub(crate) async fn run(
        self: &Rc<Self>,
        shared: &Arc<ImageShared>,
        request: Request,
    ) -> (Result<u64>, Buf) {
        let Request { op, offset, len, buf, compare } = request;
        let make_op: fn() -> ObjectOp = match op {
            Op::Read => || ObjectOp::Read,
            Op::Write => || ObjectOp::Write,
            Op::Discard => || ObjectOp::Discard,
            Op::WriteZeroes => || ObjectOp::WriteZeroes,
            Op::Flush => return (self.flush(shared).await.map(|()| 0), buf),
            Op::CompareAndWrite => {
                let compare = compare.expect("admitted with a buffer to compare with");
                let extent = shared.layout.first(offset, len);
                let image = self.core_image(shared);
                let (result, buf) =
                    self.object(&image, extent, ObjectOp::CompareAndWrite(compare), buf).await;
                return (result, buf);
            }
        };
        let (result, buf) = self.run_pieces(shared, offset, len, make_op, buf).await;
        if result.is_ok()
            && shared.durability == Durability::Durable
            && matches!(op, Op::Discard | Op::WriteZeroes)
        {
            return (self.flush(shared).await.and(result), buf);
        }
        (result, buf)
    }

    /// The same operation on every object of an image extent, many at once; buffers are cut and put together again.
    async fn run_pieces(
        self: &Rc<Self>,
        shared: &Arc<ImageShared>,
        offset: u64,
        len: u64,
        make_op: fn() -> ObjectOp,
        mut buf: Buf,
    ) -> (Result<u64>, Buf) {
        let image = self.core_image(shared);
        let has_bytes = !buf.is_empty();
        let mut whole = Pieces { under_way: VecDeque::new(), result: Ok(0), buf: Buf::empty() };
        for extent in shared.layout.extents(offset, len) {
            let piece = if has_bytes { buf.split_to(extent.len as usize) } else { Buf::empty() };
            if whole.under_way.len() == OBJECTS_AT_ONCE_MAX {
                whole.wait_for_first().await;
            }
            let (state, image) = (self.clone(), image.clone());
            whole
                .under_way
                .push_back(spawn(async move { state.object(&image, extent, make_op(), piece).await }));
        }
        while !whole.under_way.is_empty() {
            whole.wait_for_first().await;
        }
        // What a clipped request did not use is the caller's too.
        whole.give_back(buf);
        (whole.result, whole.buf)
    }

    /// One object's part of a request, wherever the object lives.
    pub(crate) async fn object(
        self: &Rc<Self>,
        image: &Rc<CoreImage>,
        extent: Extent,
        op: ObjectOp,
        buf: Buf,
    ) -> (Result<u64>, Buf) {
        let shard = ShardNo::of(image.shared.id, extent.object);
        loop {
            if image.has(shard) {
                let working = image.begin(shard);
                return image.object(working, extent, op, buf).await;
            }
            match self.roster().topology.owner(shard) {
                Some(owner) if owner != self.no => {
                    let call = self.calls.begin();
                    let from = CallId { core: self.no, call };
                    self.post(owner, Item::Object { image: image.shared.no, extent, op, buf, from });
                    let Answer { result, buf, .. } = self.calls.wait(call).await;
                    return (result, buf);
                }
                None if self.leaving.get() => {
                    let error =
                        image.shared.error(ErrorKind::Closed, "reach an object of", "the engine has no core");
                    return (Err(error), buf);
                }
                _ => image.moved.wait().await,
            }
        }
    }

    /// Asks the home cores of a window to bring it into their caches.
    #[cold]
    pub(crate) fn read_ahead(self: &Rc<Self>, shared: &Arc<ImageShared>, window: Window) {
        let image = self.core_image(shared);
        for extent in shared.layout.extents(window.offset, window.len) {
            let shard = ShardNo::of(shared.id, extent.object);
            if image.has(shard) {
                image.read_ahead(extent);
            } else if let Some(owner) = self.owner_elsewhere(shard) {
                self.send(owner, Message::ReadAhead { image: shared.no, extent });
            }
        }
    }

    /// Makes every write that was acknowledged before, on any core, durable.
    pub(crate) async fn flush(self: &Rc<Self>, shared: &Arc<ImageShared>) -> Result<()> {
        shared.flush_seen();
        if shared.cache.ignore_flush {
            return Ok(());
        }
        self.flush_always(shared).await
    }

    /// The same, also where the cache mode ignores flushes: at close.
    pub(crate) async fn flush_always(self: &Rc<Self>, shared: &Arc<ImageShared>) -> Result<()> {
        if shared.cache.mode != Policy::None {
            self.shards(shared, ShardsOp::Flush).await?;
        }
        self.core_image(shared).sync().await
    }

    /// Does `op` to every shard of an image, wherever the shards are; all are tried, the first error is returned.
    pub(crate) async fn shards(self: &Rc<Self>, shared: &Arc<ImageShared>, op: ShardsOp) -> Result<()> {
        let image = self.core_image(shared);
        let mut left = ShardSet::ALL;
        let mut first_error: Option<Error> = None;
        while !left.is_empty() {
            let roster = self.roster();
            let mut calls = Vec::new();
            for &core in roster.topology.cores().iter().filter(|&&core| core != self.no) {
                let shards = roster.topology.owned_by(core).intersection(left);
                if !shards.is_empty() {
                    let call = self.calls.begin();
                    let from = CallId { core: self.no, call };
                    self.send(core, Message::Shards { image: shared.no, shards, op, from });
                    calls.push(call);
                }
            }
            let (result, here) = self.shards_here(&image, left, op).await;
            first_error = first_error.or(result.err());
            let mut done = here;
            for call in calls {
                let answer = self.calls.wait(call).await;
                first_error = first_error.or(answer.result.err());
                done = done.union(answer.done);
            }
            if done.is_empty() {
                // Every shard that is left is between two cores.
                yield_now().await;
            }
            left = left.difference(done);
        }
        first_error.map_or(Ok(()), Err)
    }

    /// Does `op` to those of `shards` that are this core's; says which these were.
    pub(crate) async fn shards_here(
        self: &Rc<Self>,
        image: &Rc<CoreImage>,
        shards: ShardSet,
        op: ShardsOp,
    ) -> (Result<()>, ShardSet) {
        let here = loop {
            let here = image.here().intersection(shards);
            let mine = self.roster().topology.owned_by(self.no).intersection(shards);
            if mine.difference(here).is_empty() {
                break here;
            }
            // One of them is on its way to this core.
            image.moved.wait().await;
        };
        if here.is_empty() {
            return (Ok(()), here);
        }
        (image.shards(here, op).await, here)
    }
}

/// The pieces of a request under way, in the order of their buffers.
struct Pieces {
    under_way: VecDeque<JoinHandle<(Result<u64>, Buf)>>,
    result: Result<u64>,
    buf: Buf,
}

impl Pieces {
    async fn wait_for_first(&mut self) {
        let Some(first) = self.under_way.pop_front() else { return };
        let (result, buf) = first.await;
        self.give_back(buf);
        match (&mut self.result, result) {
            (Ok(sum), Ok(done)) => *sum += done,
            (sum @ Ok(_), Err(error)) => *sum = Err(error),
            (Err(_), _) => {}
        }
    }

    fn give_back(&mut self, buf: Buf) {
        if self.buf.is_empty() {
            self.buf = buf;
        } else if !buf.is_empty() {
            self.buf.unsplit(buf).expect("pieces come back in the order they were cut");
        }
    }
}
