//! The tasks that a core runs for others: whoever asked waits for their answer, so a core ends only after they did.

use super::state::CoreState;
use ringbd_reactor::{WaitQueue, spawn_detached};
use std::cell::Cell;
use std::rc::Rc;

/// How many tasks for others run on a core.
#[derive(Default)]
pub(crate) struct Guests {
    count: Cell<usize>,
    ended: WaitQueue,
}

impl Guests {
    pub(crate) fn is_empty(&self) -> bool {
        self.count.get() == 0
    }

    /// Waits until none runs.
    pub(crate) async fn end(&self) {
        while !self.is_empty() {
            self.ended.wait().await;
        }
    }
}

/// Counts one task, also when it is dropped.
struct Guest(Rc<CoreState>);

impl Drop for Guest {
    fn drop(&mut self) {
        let guests = &self.0.guests;
        guests.count.set(guests.count.get() - 1);
        if guests.is_empty() {
            guests.ended.wake_all();
        }
    }
}

impl CoreState {
    /// Runs a task for somebody elsewhere.
    pub(crate) fn host(self: &Rc<Self>, task: impl Future<Output = ()> + 'static) {
        self.guests.count.set(self.guests.count.get() + 1);
        let guest = Guest(self.clone());
        spawn_detached(async move {
            task.await;
            drop(guest);
        });
    }
}
