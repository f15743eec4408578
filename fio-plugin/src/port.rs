//! How a job's thread is joined to an engine: as a core of it, or by a queue of requests that the engine's own cores do.
//!
//! As a core nothing is handed over, and whatever else the thread does holds up the objects at home there. With a queue
//! two messages go with each request, and the thread may sleep as it likes.

use std::time::{Duration, Instant};

use ringbd::{Completion, CompletionQueue, Core, Engine, Error, Image, Region, Request};

use crate::target::WaitMode;

/// A job's thread at its engine.
pub(crate) enum Port {
    Core(Box<Core>),
    Queue(CompletionQueue),
}

impl Port {
    /// Makes this thread a core, which knows `buffers`.
    pub(crate) fn lend(engine: &Engine, buffers: Option<Region>) -> Result<Port, Error> {
        let mut core = engine.lend()?;
        if let Some(region) = buffers {
            core.register_buffers(&[region]);
        }
        Ok(Port::Core(Box::new(core)))
    }

    #[inline]
    pub(crate) fn submit(&mut self, image: &Image, request: Request, token: u64) {
        match self {
            Port::Core(core) => core.submit(image, request, token),
            Port::Queue(queue) => queue.submit(image, request, token),
        }
    }

    #[inline]
    pub(crate) fn next_completion(&mut self) -> Option<Completion> {
        match self {
            Port::Core(core) => core.next_completion(),
            Port::Queue(queue) => queue.next_completion(),
        }
    }

    /// Does what can be done without waiting. True if anything happened.
    #[inline]
    pub(crate) fn poll(&mut self) -> bool {
        match self {
            Port::Core(core) => core.poll(),
            Port::Queue(queue) => !queue.is_empty(),
        }
    }

    /// Waits until something happened, in the way of `mode`, or until `limit` is over.
    pub(crate) fn wait(&mut self, mode: WaitMode, spin: Duration, limit: Option<Duration>) {
        match mode {
            WaitMode::Park => self.sleep(limit),
            WaitMode::Poll => {
                if !self.poll() {
                    std::hint::spin_loop();
                }
            }
            // Other cores answer soon; a disk does not, and sleeping costs it nothing.
            WaitMode::Adaptive if !self.waits_for_cores() => self.sleep(limit),
            WaitMode::Adaptive => {
                let start = Instant::now();
                let spin = limit.map_or(spin, |limit| limit.min(spin));
                while !self.poll() {
                    if start.elapsed() >= spin {
                        return self.sleep(limit.map(|limit| limit.saturating_sub(spin)));
                    }
                    std::hint::spin_loop();
                }
            }
        }
    }

    fn waits_for_cores(&self) -> bool {
        match self {
            Port::Core(core) => core.waits_for_cores(),
            Port::Queue(_) => true,
        }
    }

    fn sleep(&mut self, limit: Option<Duration>) {
        match self {
            Port::Core(core) => core.wait(limit),
            Port::Queue(queue) => queue.wait(limit),
        }
    }

    /// Runs a future of the engine to its end.
    pub(crate) fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        match self {
            Port::Core(core) => core.block_on(future),
            Port::Queue(_) => ringbd::block_on(future),
        }
    }
}
