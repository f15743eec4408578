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

    /// Runs the tasks that are ready, and neither submits nor reaps: what they asked for goes out with the next turn. True if
    /// a task ran.
    pub fn run(&mut self) -> bool {
        self.core.run_ready()
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
    pub fn register_buffers(&mut self, regions: &[Region]) -> usize {
        let ring = self.core.ring();
        // SAFETY: whoever made the region promised that it outlives the core; the ring is closed with the
        // core.
        regions.iter().filter(|region| unsafe { ring.register_buffer(region.start, region.len) }).count()
    }
}

/// Memory of the caller's that stays where it is while a core uses it.
#[derive(Debug, Clone, Copy)]
pub struct Region {
    start: *mut u8,
    len: usize,
}

impl Region {
    /// The `len` bytes from `start` on.
    ///
    /// # Safety
    /// The memory stays mapped until every core that it is registered with is dropped.
    #[must_use]
    pub unsafe fn new(start: *mut u8, len: usize) -> Region {
        Region { start, len }
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
