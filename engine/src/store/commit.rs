//! Group commit: slots given to objects and taken from them, many in one durable transaction.
//!
//! Any core queues a change; the first to find the queue idle starts one helper thread, which takes what has gathered,
//! commits it in one transaction and answers everybody, until the queue is empty. While one commit syncs, the next batch gathers.
//!
//! An allocation is told its slot at once if a clean one is in stock, so that its data goes down while the commit runs. That is safe without
//! the commit: what is free at the next opening counts as dirty, whatever was written there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oneshot::{AsyncReceiver, Sender};
use ringbd_reactor::{blocking, spawn_detached};

use super::error::{Result, StoreError};
use super::images::give_back_punched;
use super::layout::{Order, Slot};
use super::metadata::{Fault, OBJECTS};
use super::record::{self, ImageId, ObjectNo, ObjectRecord, ObjectState, SnapId};
use super::shared::{BackgroundJob, Shared};

/// The most changes in one transaction: bounds its memory and how long the first of them waits.
const BATCH_MAX: usize = 1024;

/// After a batch, this many clean slots are kept ready, if they can be had.
const SPARE_SLOTS: u64 = 16;

/// Changes that wait for the next transaction.
#[derive(Default)]
pub(super) struct CommitQueue {
    state: Mutex<QueueState>,
}

#[derive(Default)]
struct QueueState {
    waiting: Vec<Request>,
    running: bool,
    commits: u64,
    changes: u64,
}

struct Request {
    image: ImageId,
    object: ObjectNo,
    order: Order,
    change: Change,
    answer: Sender<Result<Slot>>,
}

#[derive(Clone, Copy)]
enum Change {
    /// Give the object this slot, or any.
    Allocate(Option<Slot>),
    /// Take its slot away.
    Free(Slot),
}

/// A change under way.
pub(super) struct Pending {
    /// The slot, where it is known before the commit.
    pub(super) slot: Option<Slot>,
    answer: AsyncReceiver<Result<Slot>>,
    dir: std::path::PathBuf,
}

impl Pending {
    /// The slot, once the change is durable.
    pub(super) async fn committed(self) -> Result<Slot> {
        self.answer.await.unwrap_or_else(|_| {
            let reason = "the core that was committing the change ended (try again)".into();
            Err(StoreError::Busy { kind: "store", name: self.dir.display().to_string(), reason })
        })
    }
}

impl Shared {
    /// Starts giving `object` a slot. If it fails, the caller gives an early slot back with [`Shared::give_back`],
    /// once its writes into it have ended.
    pub(super) fn allocate(self: &Arc<Self>, image: ImageId, object: ObjectNo, order: Order) -> Pending {
        let slot = self.space().take_clean(order);
        self.enqueue(image, object, order, Change::Allocate(slot), slot)
    }

    /// Starts taking `object`'s slot away. Nobody uses the slot any more, nor will before the answer.
    pub(super) fn free(self: &Arc<Self>, image: ImageId, object: ObjectNo, slot: Slot) -> Pending {
        self.enqueue(image, object, slot.order, Change::Free(slot), None)
    }

    /// Takes back a slot whose allocation failed.
    pub(super) fn give_back(&self, slot: Slot) {
        self.space().release_dirty(slot);
    }

    /// Transactions committed and the changes in them.
    pub(super) fn commit_counts(&self) -> (u64, u64) {
        let state = self.commits.lock();
        (state.commits, state.changes)
    }

    fn enqueue(
        self: &Arc<Self>,
        image: ImageId,
        object: ObjectNo,
        order: Order,
        change: Change,
        slot: Option<Slot>,
    ) -> Pending {
        let (sender, answer) = oneshot::async_channel();
        let mut state = self.commits.lock();
        state.waiting.push(Request { image, object, order, change, answer: sender });
        let start = !std::mem::replace(&mut state.running, true);
        drop(state);
        if start {
            let run = Run { shared: Arc::clone(self), finished: false, _background: self.background.enter() };
            spawn_detached(blocking(move || run.run()));
        }
        Pending { slot, answer, dir: self.dir.clone() }
    }

    /// One transaction.
    fn commit_batch(&self, batch: Vec<Request>) {
        let (mut batch, slots) = self.settle_slots(batch);
        if batch.is_empty() {
            return;
        }
        let outcome = self.metadata.write(|txn| {
            let mut objects = txn.open_table(OBJECTS)?;
            for (request, slot) in batch.iter().zip(&slots) {
                apply(&mut objects, request, *slot)?;
            }
            Ok(())
        });
        // When space runs out in the middle of a commit, the database can only say what happened after it was opened again.
        let outcome = match outcome {
            Err(e) if e.is_out_of_space() && self.is_applied(&batch[0], slots[0]) => Ok(()),
            other => other,
        };
        if outcome.is_ok() {
            let mut state = self.commits.lock();
            state.commits += 1;
            state.changes += batch.len() as u64;
        }
        let mut freed = Vec::new();
        for (request, slot) in batch.drain(..).zip(slots) {
            match (&outcome, request.change) {
                (Ok(()), Change::Free(slot)) => freed.push(slot),
                // The caller never heard of this slot, so nothing was written there.
                (Err(_), Change::Allocate(None)) => self.space().release_clean(slot),
                (Ok(()), Change::Allocate(_)) | (Err(_), Change::Allocate(Some(_)) | Change::Free(_)) => {}
            }
            // A caller that is gone needs no answer.
            let _ = request.answer.send(outcome.clone().map(|()| slot));
        }
        // They stay dirty until a punch of theirs is synced.
        give_back_punched(self, freed);
    }

    /// Finds a slot for each allocation that has none; those that get none are answered here.
    fn settle_slots(&self, batch: Vec<Request>) -> (Vec<Request>, Vec<Slot>) {
        let mut short = [0; Order::COUNT];
        for request in &batch {
            if let Change::Allocate(None) = request.change {
                short[request.order.index()] += 1;
            }
        }
        let mut failures: [Option<StoreError>; Order::COUNT] = Default::default();
        for order in Order::all().filter(|order| short[order.index()] > 0) {
            failures[order.index()] = self.supply(order, short[order.index()], SPARE_SLOTS).err();
        }
        let (mut ready, mut slots) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        for request in batch {
            let slot = match request.change {
                Change::Allocate(Some(slot)) | Change::Free(slot) => Some(slot),
                Change::Allocate(None) => self.space().take_clean(request.order),
            };
            if let Some(slot) = slot {
                ready.push(request);
                slots.push(slot);
            } else {
                let failure = failures[request.order.index()].clone().unwrap_or_else(|| self.full());
                let _ = request.answer.send(Err(failure));
            }
        }
        (ready, slots)
    }

    fn is_applied(&self, request: &Request, slot: Slot) -> bool {
        let key = (request.image.0, SnapId::HEAD.0, request.object.0);
        let found = self.metadata.read(|txn| {
            let table = txn.open_table(OBJECTS)?;
            let value = redb::ReadableTable::get(&table, key)?;
            let key = record::object_key(request.image, SnapId::HEAD, request.object);
            Ok(value.and_then(|value| record::decode::<ObjectRecord>(value.value(), &key).ok()))
        });
        match (found, request.change) {
            (Ok(found), Change::Allocate(_)) => {
                found.is_some_and(|record| record.state == ObjectState::Slot(slot.address()))
            }
            (Ok(found), Change::Free(_)) => found.is_none(),
            (Err(_), _) => false,
        }
    }

    /// Keeps some clean slots ready for whoever comes next. Failing is no news: the next request will hear of it.
    fn restock(&self, orders: [bool; Order::COUNT]) {
        for order in Order::all().filter(|order| orders[order.index()]) {
            if self.space().clean_count(order) < SPARE_SLOTS / 2 {
                let _ = self.supply(order, 0, SPARE_SLOTS);
            }
        }
    }
}

/// Writes one change. Object and slot belong to the caller alone, so a surprise in the table is a bug.
fn apply(
    objects: &mut redb::Table<'_, (u64, u64, u64), &'static [u8]>,
    request: &Request,
    slot: Slot,
) -> Result<(), Fault> {
    let key = (request.image.0, SnapId::HEAD.0, request.object.0);
    match request.change {
        Change::Allocate(_) => {
            let record =
                ObjectRecord { state: ObjectState::Slot(slot.address()), order: slot.order, born: 0 };
            let value =
                record::encode(&record, &record::object_key(request.image, SnapId::HEAD, request.object));
            let old = objects.insert(key, value.as_slice())?;
            assert!(old.is_none(), "object {} of image {} got two slots", request.object, request.image.0);
        }
        Change::Free(_) => {
            let old = objects.remove(key)?;
            assert!(old.is_some(), "object {} of image {} was freed twice", request.object, request.image.0);
        }
    }
    Ok(())
}

impl CommitQueue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next batch, or the end of the run.
    fn take_batch(&self) -> Option<Vec<Request>> {
        let mut state = self.lock();
        if state.waiting.is_empty() {
            state.running = false;
            return None;
        }
        let n = state.waiting.len().min(BATCH_MAX);
        Some(state.waiting.drain(..n).collect())
    }
}

/// The helper thread's work. If it is dropped before it ran (its core ended) or panics, nobody is left waiting.
struct Run {
    shared: Arc<Shared>,
    finished: bool,
    /// Last, so that the store is let go before whoever closes it hears of that.
    _background: BackgroundJob,
}

impl Run {
    fn run(mut self) {
        while let Some(batch) = self.shared.commits.take_batch() {
            let mut orders = [false; Order::COUNT];
            for request in &batch {
                orders[request.order.index()] |= matches!(request.change, Change::Allocate(_));
            }
            self.shared.commit_batch(batch);
            self.shared.restock(orders);
        }
        self.finished = true;
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if !self.finished {
            let mut state = self.shared.commits.lock();
            state.running = false;
            // Dropping the senders answers their callers.
            state.waiting.clear();
        }
    }
}
