//! The cache at work: a shard's bookkeeping, and the tasks that read and write below it.
//!
//! The rule: bookkeeping happens between two awaits, so a [`Shard`] is never seen half-changed; whatever has to wait
//! (a fill of somebody else, room under the dirty limit, a writeback) waits for `changed` and looks again. Dirty data
//! goes down from one place, `writeback.rs`, also where a write is acknowledged only when it landed.

mod compare;
mod read;
mod write;
mod writeback;

use super::{Extent, Parcel, Shard, WritebackId};
use crate::error::{Error, Result};
use ringbd_reactor::{Buf, WaitQueue, now, spawn_detached};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// What a cache sits on: the objects of one image.
pub(crate) trait Below: 'static {
    /// Fills the buffer, which is as long as the extent.
    fn read(&self, extent: Extent, buf: Buf) -> impl Future<Output = (Result<()>, Buf)>;

    /// Writes runs of one object, each an offset in it and its bytes, as one operation.
    fn write(&self, object: u64, runs: Vec<(u32, Buf)>) -> impl Future<Output = Result<()>>;

    /// Whether a write is acknowledged only when it landed.
    fn writes_through(&self) -> bool;
}

/// The cache of one image on one core.
pub(crate) struct Driver<B> {
    shard: RefCell<Shard>,
    below: Rc<B>,
    /// A fill, a writeback or a discard ended.
    changed: WaitQueue,
    /// There is something for the background task.
    work: WaitQueue,
    /// The background task waits for `work` without a deadline.
    idle: Cell<bool>,
    /// Writers that are held at a limit.
    held: Cell<usize>,
    /// Writebacks begun.
    begun: Cell<u64>,
    /// Of the writebacks that failed the one that began last: which it was, and why it failed.
    failure: RefCell<Option<(u64, Error)>>,
    stopped: Cell<bool>,
}

/// Time as the shard counts it.
fn now_ns() -> u64 {
    now().as_nanos()
}

impl<B: Below> Driver<B> {
    /// A cache over `below`; its background task runs on the current core until `stop`.
    pub(crate) fn start(shard: Shard, below: Rc<B>) -> Rc<Self> {
        let driver = Rc::new(Self {
            shard: RefCell::new(shard),
            below,
            changed: WaitQueue::new(),
            work: WaitQueue::new(),
            idle: Cell::new(false),
            held: Cell::new(0),
            begun: Cell::new(0),
            failure: RefCell::new(None),
            stopped: Cell::new(false),
        });
        spawn_detached(driver.clone().write_back_in_background());
        driver
    }

    /// Ends the background task. What is dirty stays in memory until the driver is dropped.
    pub(crate) fn stop(&self) {
        self.stopped.set(true);
        self.work.wake_all();
        self.changed.wake_all();
    }

    /// A fill, a writeback or a discard ended: whoever waits looks again.
    fn something_ended(&self) {
        self.changed.wake_all();
        self.work.wake_all();
    }

    /// Reads the shard's counters and sizes.
    pub(crate) fn with_shard<T>(&self, look: impl FnOnce(&Shard) -> T) -> T {
        look(&self.shard.borrow())
    }

    /// Drops the cached bytes of an extent of whole sectors, and holds writes to it until `finish_discard`.
    pub(crate) async fn begin_discard(&self, extent: Extent) -> super::DiscardId {
        let mut landing = Vec::new();
        let id = self.shard.borrow_mut().begin_discard(extent, &mut landing);
        self.landed(&landing).await;
        id
    }

    /// The discard below has ended, well or not.
    pub(crate) fn finish_discard(&self, id: super::DiscardId) {
        self.shard.borrow_mut().finish_discard(id);
        self.something_ended();
    }

    /// Drops what is clean.
    pub(crate) fn invalidate(&self) -> std::result::Result<(), super::DirtyLeft> {
        self.shard.borrow_mut().invalidate()
    }

    /// Takes out the blocks of the objects that `moves` names. The caller let nothing new begin on them.
    pub(crate) async fn extract(&self, moves: impl Fn(u64) -> bool) -> Parcel {
        loop {
            let extracted = self.shard.borrow_mut().extract(&moves);
            match extracted {
                Ok(parcel) => return parcel,
                Err(super::Busy) => self.changed.wait().await,
            }
        }
    }

    /// Takes in what another core extracted. What finds no room goes in as room appears.
    pub(crate) fn insert(self: &Rc<Self>, parcel: Parcel) {
        let left = self.shard.borrow_mut().insert(parcel, now_ns());
        self.more_is_dirty();
        if let Err(mut left) = left {
            let driver = self.clone();
            spawn_detached(async move {
                driver.held.set(driver.held.get() + 1);
                loop {
                    driver.more_is_dirty();
                    driver.changed.wait().await;
                    let again = driver.shard.borrow_mut().insert(left, now_ns());
                    match again {
                        Ok(()) => break,
                        Err(rest) => left = rest,
                    }
                }
                driver.held.set(driver.held.get() - 1);
            });
        }
    }

    /// Waits until none of the writebacks is in flight.
    async fn landed(&self, ids: &[WritebackId]) {
        for &id in ids {
            while self.shard.borrow().is_in_flight(id) {
                self.changed.wait().await;
            }
        }
    }
}
