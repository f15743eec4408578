//! The end of a core: drop its tasks, cancel what is in flight, reap for a bounded time, leak the rest.

use super::{Core, Driver};
use crate::ring::Wait;
use std::time::Duration;

/// How long a core waits for its last operations. A disk that answers later than this is broken, and the
/// memory of its operations is better leaked than waited for.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

impl Core {
    /// Drops every task and handler, then waits for the operations that were in flight, then leaks what is left. After
    /// this the core holds nothing that the kernel may still write to.
    pub(crate) fn shut_down(&self) {
        self.enter(|| {
            self.drop_tasks();
            let handlers = self.ops.borrow_mut().dismiss_handlers();
            drop(handlers);
            if let Driver::Ring(ring) = &self.driver {
                self.drain_operations();
                ring.close(self.leak_operations());
            }
        });
    }

    /// Dropping a task may spawn another one, which is dropped too.
    fn drop_tasks(&self) {
        loop {
            let tasks = self.tasks.borrow_mut().take_all();
            if tasks.is_empty() {
                return;
            }
            drop(tasks);
        }
    }

    fn drain_operations(&self) {
        let ring = self.ring();
        ring.push_cancel_all();
        let end = self.now() + DRAIN_LIMIT;
        loop {
            ring.enter(Wait::No);
            self.reap();
            if self.ops.borrow().in_flight() == 0 {
                return;
            }
            let left = end.duration_since(self.now());
            if left.is_zero() {
                return;
            }
            ring.enter(Wait::For(Some(left.min(Duration::from_millis(100)))));
        }
    }

    fn leak_operations(&self) -> usize {
        let leaked = self.ops.borrow_mut().leak();
        if leaked > 0 {
            tracing::warn!(
                core = self.name(),
                operations = leaked,
                "operations did not complete in {DRAIN_LIMIT:?}; their memory is leaked"
            );
        }
        leaked
    }
}
