//! What the operations of [`super::LocalObjects`] share: finding the entry, passing the gate, allocating.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use ringbd_reactor::{Buf, File, WaitQueue, spawn_detached};

use super::gate::Access;
use super::table::{Entry, SHARDS, SlotTable, shard_of};
use crate::store::error::{Result, StoreError};
use crate::store::layout::{Order, Slot};
use crate::store::record::{ImageId, ImageRecord, ObjectNo};
use crate::store::shared::Opened;

pub(super) struct Inner {
    pub(super) shared: Arc<Opened>,
    pub(super) file: File,
    pub(super) image: ImageId,
    pub(super) order: Order,
    pub(super) thick: bool,
    /// What offsets and lengths of direct I/O are multiples of.
    pub(super) align: u64,
    memory_align: usize,
    tables: RefCell<[Option<SlotTable>; SHARDS]>,
    /// Who waits at a gate. Most objects have nobody.
    queues: RefCell<HashMap<ObjectNo, Rc<WaitQueue>>>,
    allocations: RefCell<HashMap<ObjectNo, Rc<Allocation>>>,
}

/// An object that is getting its slot. Every writer of the object waits for the same one.
pub(super) struct Allocation {
    /// The slot, where it was known at once: data may go there while the commit runs.
    pub(super) early: Option<Slot>,
    outcome: RefCell<Option<Result<Slot>>>,
    done: WaitQueue,
}

impl Allocation {
    /// The slot, once it is durably the object's.
    pub(super) async fn committed(&self) -> Result<Slot> {
        loop {
            if let Some(outcome) = &*self.outcome.borrow() {
                return outcome.clone();
            }
            self.done.wait().await;
        }
    }
}

/// A place inside a gate, left when dropped.
pub(super) struct Hold<'a> {
    inner: &'a Inner,
    pub(super) object: ObjectNo,
    access: Access,
    /// True while the kernel may be changing the slot for us. Dropped like that, the write is abandoned.
    writing: Cell<bool>,
}

impl Hold<'_> {
    /// Runs something that changes the slot.
    pub(super) async fn write<T>(&self, change: impl Future<Output = T>) -> T {
        self.writing.set(true);
        let output = change.await;
        self.writing.set(false);
        output
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        if self.writing.get() {
            self.inner.with(self.object, |entry| entry.gate.abandon());
        }
        self.inner.leave(self.object, self.access);
    }
}

impl Inner {
    pub(super) fn new(shared: &Arc<Opened>, image: &ImageRecord) -> Self {
        let file = shared.data.file.clone();
        let direct = file.direct_io();
        Self {
            shared: Arc::clone(shared),
            file,
            image: image.id,
            order: image.order,
            thick: image.thick,
            align: u64::from(direct.offset_align.max(1)),
            memory_align: direct.memory_align.max(1) as usize,
            tables: RefCell::new([const { None }; SHARDS]),
            queues: RefCell::default(),
            allocations: RefCell::default(),
        }
    }

    pub(super) fn adopt(&self, table: SlotTable) {
        assert_eq!((table.image, table.order), (self.image, self.order), "a table goes to its own image");
        let place = &mut self.tables.borrow_mut()[table.shard];
        assert!(place.is_none(), "a shard has one table");
        *place = Some(table);
    }

    pub(super) fn release(&self, shard: usize) -> Option<SlotTable> {
        let place = &mut self.tables.borrow_mut()[shard];
        if place.as_ref().is_some_and(SlotTable::is_idle) { place.take() } else { None }
    }

    pub(super) fn has(&self, object: ObjectNo) -> bool {
        self.tables.borrow()[shard_of(self.image, object)].is_some()
    }

    /// Every object here that has a slot.
    pub(super) fn allocated(&self) -> Vec<ObjectNo> {
        self.tables
            .borrow()
            .iter()
            .flatten()
            .flat_map(|table| table.allocated().collect::<Vec<_>>())
            .collect()
    }

    pub(super) fn with<T>(&self, object: ObjectNo, change: impl FnOnce(&mut Entry) -> T) -> T {
        let mut tables = self.tables.borrow_mut();
        let table = tables[shard_of(self.image, object)].as_mut();
        change(table.expect("operations go to the core that has the shard").entry_mut(object))
    }

    pub(super) fn slot(&self, object: ObjectNo) -> Option<Slot> {
        let tables = self.tables.borrow();
        let table = tables[shard_of(self.image, object)].as_ref();
        table.expect("operations go to the core that has the shard").entry(object).slot(self.order)
    }

    /// True if the buffer can go to the disk as it is.
    pub(super) fn fits_direct(&self, address: u64, buf: &Buf) -> bool {
        self.fits_blocks(address, buf.len() as u64) && buf.as_ptr().addr().is_multiple_of(self.memory_align)
    }

    /// True if a range begins and ends where the disk's blocks do.
    pub(super) fn fits_blocks(&self, offset: u64, len: u64) -> bool {
        (offset | len) & (self.align - 1) == 0
    }

    /// Passes an object's gate, waiting if need be.
    pub(super) async fn enter(&self, object: ObjectNo, access: Access) -> Hold<'_> {
        if !self.with(object, |entry| entry.gate.try_enter(access, false)) {
            Box::pin(self.wait_at(object, access)).await;
        }
        Hold { inner: self, object, access, writing: Cell::new(false) }
    }

    /// As [`Inner::enter`] exclusively; fails if a dropped write may still be under way.
    pub(super) async fn enter_alone(&self, object: ObjectNo) -> Result<Hold<'_>> {
        let hold = self.enter(object, Access::Exclusive).await;
        if !self.with(object, |entry| entry.gate.is_abandoned()) {
            return Ok(hold);
        }
        let reason =
            "a write to it was abandoned and may still be under way (close and open the image)".into();
        Err(StoreError::Busy { kind: "object", name: object.to_string(), reason })
    }

    #[cold]
    fn queue(&self, object: ObjectNo) -> Rc<WaitQueue> {
        self.with(object, |entry| entry.gate.set_waited_for(true));
        Rc::clone(self.queues.borrow_mut().entry(object).or_default())
    }

    async fn wait_at(&self, object: ObjectNo, access: Access) {
        loop {
            let queue = self.queue(object);
            queue.wait().await;
            if self.with(object, |entry| entry.gate.try_enter(access, true)) {
                self.tidy_queue(object);
                return;
            }
        }
    }

    /// Drops an object's queue once nobody is in it. It may be another one than the caller waited in.
    fn tidy_queue(&self, object: ObjectNo) {
        let mut queues = self.queues.borrow_mut();
        if queues.get(&object).is_some_and(|queue| queue.waiters() == 0) {
            queues.remove(&object);
            self.with(object, |entry| entry.gate.set_waited_for(false));
        }
    }

    pub(super) fn leave(&self, object: ObjectNo, access: Access) {
        let wake = self.with(object, |entry| entry.gate.leave(access));
        if wake {
            let queue = self.queues.borrow().get(&object).cloned();
            // All of them: sharers go in together, and who comes too late queues up again.
            if let Some(queue) = queue {
                queue.wake_all();
            }
        }
    }

    /// The object's allocation under way, started if there is none. The caller is inside the gate.
    pub(super) fn allocation(self: &Rc<Self>, object: ObjectNo) -> Rc<Allocation> {
        if let Some(allocation) = self.allocations.borrow().get(&object) {
            return Rc::clone(allocation);
        }
        let pending = self.shared.allocate(self.image, object, self.order);
        let allocation =
            Rc::new(Allocation { early: pending.slot, outcome: RefCell::new(None), done: WaitQueue::new() });
        self.allocations.borrow_mut().insert(object, Rc::clone(&allocation));
        // The task is inside too, so that nobody frees the object before its slot is entered, even if the writer is gone.
        self.with(object, |entry| entry.gate.join());
        let (inner, task) = (Rc::clone(self), Rc::clone(&allocation));
        spawn_detached(async move {
            let outcome = pending.committed().await;
            if let Ok(slot) = outcome {
                inner.with(object, |entry| entry.set_slot(Some(slot)));
            }
            inner.allocations.borrow_mut().remove(&object);
            *task.outcome.borrow_mut() = Some(outcome);
            task.done.wake_all();
            drop(task);
            inner.leave(object, Access::Shared);
        });
        allocation
    }

    /// Runs `write` at the object's address; an object without a slot gets one, and the write waits for that to be durable. Without an
    /// address (there is no slot to be had) `write` only hands back what it owns.
    pub(super) async fn write_at_slot<T>(
        self: &Rc<Self>,
        hold: &Hold<'_>,
        write: impl AsyncFnOnce(Option<u64>) -> (Result<()>, T),
    ) -> (Result<()>, T) {
        if let Some(slot) = self.slot(hold.object) {
            return hold.write(write(Some(slot.address()))).await;
        }
        let allocation = self.allocation(hold.object);
        let Some(early) = allocation.early else {
            return match allocation.committed().await {
                Ok(slot) => hold.write(write(Some(slot.address()))).await,
                Err(error) => (Err(error), write(None).await.1),
            };
        };
        let (written, output) = hold.write(write(Some(early.address()))).await;
        let committed = allocation.committed().await;
        if committed.is_err() && Rc::strong_count(&allocation) == 1 {
            // The last of the writers: nothing is being written there any more.
            self.shared.give_back(early);
        }
        (committed.and(written), output)
    }
}
