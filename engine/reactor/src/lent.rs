//! A lent core: the caller's own thread runs it, by polling.

use crate::core::{Block, Core, CoreConfig};
use crate::ring::SetupError;
use std::rc::Rc;
use std::time::Duration;

/// The calling thread as a core. Dropping it drops its tasks and waits for the operations in flight.
pub struct LentCore {
    core: Rc<Core>,
}

impl LentCore {
    pub(crate) fn new(config: CoreConfig) -> Result<LentCore, SetupError> {
        Core::with_ring(config).map(|core| LentCore { core })
    }

    /// Runs `f` inside the core: `spawn` and all other operations work there. Costs a few nanoseconds, and
    /// nests.
    pub fn enter<R>(&mut self, f: impl FnOnce() -> R) -> R {
        self.core.enter(f)
    }

    /// One turn that never blocks: runs the tasks that are ready, submits, reaps. True if a task ran or an
    /// operation completed. Makes no system call when there is nothing to submit and nothing has completed.
    pub fn poll(&mut self) -> bool {
        self.core.turn(Block::Never)
    }

    /// One turn that blocks when no task is ready: until an operation completes, a timer fires, another
    /// thread wakes a task, or `limit` passes.
    pub fn park(&mut self, limit: Option<Duration>) {
        self.core.turn(Block::IfIdle(limit));
    }

    /// Runs the core until `future` is ready.
    pub fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        self.core.block_on(future)
    }

    /// Registers memory that buffers will be lent from, so that operations on it skip the pinning of pages.
    /// Returns how many regions were registered whole; when RLIMIT_MEMLOCK is too small that is logged, and
    /// the rest works unregistered.
    ///
    /// # Safety
    /// The regions stay mapped until this core is dropped.
    pub unsafe fn register_buffers(&mut self, regions: &[(*mut u8, usize)]) -> usize {
        let ring = self.core.ring();
        // SAFETY: passed on to the caller; the ring is closed when the core is dropped.
        regions.iter().filter(|&&(start, len)| unsafe { ring.register_buffer(start, len) }).count()
    }
}

impl Drop for LentCore {
    fn drop(&mut self) {
        self.core.shut_down();
    }
}

impl std::fmt::Debug for LentCore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LentCore({})", self.core.name())
    }
}
