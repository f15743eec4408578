//! What a core has to say to other cores, collected until the end of its turn: one message for each of them, however
//! many operations and answers it carries.
//!
//! A message costs a queue's two cache lines and perhaps a wake; a batch shares that among up to [`BATCH_MAX`] items.
//! Nothing waits for longer than the turn in which it was posted: the first item makes the flusher task ready, and that
//! task comes after those that are ready already.

use super::message::{Item, Message};
use super::roster::Roster;
use super::topology::CoreNo;
use ringbd_reactor::WaitQueue;
use std::cell::{Cell, RefCell};

/// A batch of so many goes out at once: enough to make the message's own cost small, few enough that the other core
/// begins early.
const BATCH_MAX: usize = 32;

/// Empty batches kept for the next messages.
const SPARE_MAX: usize = 64;

#[derive(Default)]
pub(crate) struct Outbox {
    /// By core number.
    batches: RefCell<Vec<Vec<Item>>>,
    /// The memory of batches that came back answered. Whoever answers a batch sends it back, because freeing what another
    /// thread allocated makes both fight for the allocator's lock.
    spare: RefCell<Vec<Vec<Item>>>,
    /// Whether the flusher was told that there is something.
    told: Cell<bool>,
    something: WaitQueue,
}

impl Outbox {
    /// Puts an item into the next message for a core.
    pub(crate) fn post(&self, roster: &Roster, from: CoreNo, to: CoreNo, item: Item) {
        let mut batches = self.batches.borrow_mut();
        let place = to.0 as usize;
        if batches.len() <= place {
            batches.resize_with(place + 1, Vec::new);
        }
        let batch = &mut batches[place];
        if batch.capacity() == 0 {
            *batch = self.spare.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(BATCH_MAX));
        }
        batch.push(item);
        if batch.len() == BATCH_MAX {
            roster.send(to, Message::Batch { from, items: std::mem::take(batch) });
        } else if !self.told.replace(true) {
            self.something.wake_all();
        }
    }

    /// Keeps the memory of a batch that came back.
    pub(crate) fn recycle(&self, batch: Vec<Item>) {
        debug_assert!(batch.is_empty());
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE_MAX {
            spare.push(batch);
        }
    }

    /// Sends what is there.
    pub(crate) fn flush(&self, roster: &Roster, from: CoreNo) {
        self.told.set(false);
        for (place, batch) in self.batches.borrow_mut().iter_mut().enumerate() {
            if !batch.is_empty() {
                roster.send(CoreNo(place as u32), Message::Batch { from, items: std::mem::take(batch) });
            }
        }
    }

    /// Waits until an item was posted.
    pub(crate) async fn something(&self) {
        while !self.told.get() {
            self.something.wait().await;
        }
    }
}
