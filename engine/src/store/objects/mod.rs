//! The objects of one image on one core: reads, writes, discards and flushes of the embedded store.
//!
//! ```text
//! read / write ── gate of the object ── slot? ──yes── one SQE at slot + offset
//!                                        └─no── read: zeros; write: allocate (commit.rs) while the data goes down
//! ```
//! Where one SQE is all there is to do, `start.rs` does it without a task.
//!
//! [`LocalObjects`] is what a core uses; it works on the slot tables that were moved to this core. Rules:
//!
//! * An object's slot is freed only while nobody is inside its gate, so no I/O ever reaches a slot that is another's by then.
//! * A write into a hole is acknowledged when its data is written *and* the allocation is durable.
//! * Writes that are acknowledged are durable after the next [`LocalObjects::flush`]; allocations and discards of
//!   whole objects are durable when they return.
//! * A future that writes must be run to its end. One that is dropped midway leaves the object marked: what needs it
//!   alone then fails with an error instead of risking another object's data.

mod discard;
mod gate;
mod inner;
mod join;
mod start;
mod table;
mod write;

use std::rc::Rc;

use ringbd_reactor::{Buf, File};

use self::gate::Access;
use self::inner::Inner;
pub use self::start::{Ended, Transfer};
pub(super) use self::table::Lease;
pub use self::table::{SHARDS, SlotTable, shard_of};
pub use self::write::Run;
use super::error::{Result, StoreError};
use super::handle::Store;
use super::record::{ImageId, ImageRecord, ObjectNo};

/// The objects of one image that are at home on this core.
#[derive(Clone)]
pub struct LocalObjects {
    inner: Rc<Inner>,
}

/// What a read found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadFill {
    /// The object has a slot; the buffer has what is there.
    Data,
    /// The object has none; the buffer was zeroed without I/O.
    Hole,
}

/// Where a compare-and-write found its first difference, counted from the start of the compared bytes.
pub type Mismatch = usize;

impl LocalObjects {
    /// An image's objects on the running core; without tables at first, see [`LocalObjects::adopt`].
    pub fn new(store: &Store, image: &ImageRecord) -> Self {
        Self { inner: Rc::new(Inner::new(&store.shared, image)) }
    }

    /// Takes in a shard that is at home here from now on.
    ///
    /// # Panics
    /// If the table is another image's, or the shard is here already.
    pub fn adopt(&self, table: SlotTable) {
        self.inner.adopt(table);
    }

    /// Gives a shard away, to go to another core. `None` if it is not here or an operation on it is under way.
    pub fn release(&self, shard: usize) -> Option<SlotTable> {
        self.inner.release(shard)
    }

    /// True if the object's shard is here.
    pub fn has(&self, object: ObjectNo) -> bool {
        self.inner.has(object)
    }

    /// True if the object has a slot.
    pub fn is_allocated(&self, object: ObjectNo) -> bool {
        self.inner.slot(object).is_some()
    }

    /// Every object here that has a slot.
    pub fn allocated(&self) -> Vec<ObjectNo> {
        self.inner.allocated()
    }

    /// Reads a part of an object. A hole is zeros, without I/O.
    pub async fn read(&self, object: ObjectNo, offset: u64, mut buf: Buf) -> (Result<ReadFill>, Buf) {
        let inner = &*self.inner;
        if let Err(error) = inner.check_range(offset, buf.len() as u64) {
            return (Err(error), buf);
        }
        let _hold = inner.enter(object, Access::Shared).await;
        let Some(slot) = inner.slot(object) else {
            buf.fill(0);
            return (Ok(ReadFill::Hole), buf);
        };
        let address = slot.address() + offset;
        let (result, buf) = if inner.fits_direct(address, &buf) {
            inner.read_whole(buf, address).await
        } else {
            Box::pin(inner.read_bounced(buf, address)).await
        };
        (result.map(|()| ReadFill::Data), buf)
    }

    /// Makes durable everything that was acknowledged before, by any image and core of the store. After one failure it fails until the
    /// store is opened anew: what the failed sync lost cannot be told.
    pub async fn flush(&self) -> Result<()> {
        let shared = &self.inner.shared;
        shared.flushes.flush(&shared.data).await
    }

    /// The data file or device, for registering and for hints.
    pub fn file(&self) -> &File {
        &self.inner.file
    }

    /// The image.
    pub fn image(&self) -> ImageId {
        self.inner.image
    }
}

impl Inner {
    /// Refuses what reaches over the object's end: a caller's bug, but one that must not reach another object's data.
    pub(super) fn check_range(&self, offset: u64, len: u64) -> Result<()> {
        if offset.checked_add(len).is_some_and(|end| end <= self.order.bytes()) {
            return Ok(());
        }
        let reason =
            format!("{len} bytes at {offset} do not fit in an object of {} bytes", self.order.bytes());
        Err(StoreError::Invalid { what: "object extent", reason })
    }

    /// Reads and zeroes what lies behind the end of the file.
    pub(super) async fn read_whole(&self, buf: Buf, address: u64) -> (Result<()>, Buf) {
        let (result, mut buf) = self.file.read_at(buf, address).await;
        match result {
            Ok(read) => {
                buf[read..].fill(0);
                (Ok(()), buf)
            }
            Err(error) => (Err(self.shared.data.io("read", error)), buf),
        }
    }

    /// Reads through an aligned buffer around what the caller wants.
    async fn read_bounced(&self, mut buf: Buf, address: u64) -> (Result<()>, Buf) {
        let start = address & !(self.align - 1);
        let end = (address + buf.len() as u64).next_multiple_of(self.align);
        let (result, bounce) = self.read_whole(Buf::alloc((end - start) as usize), start).await;
        let within = (address - start) as usize;
        let len = buf.len();
        buf.copy_from_slice(&bounce[within..within + len]);
        (result, buf)
    }
}
