//! A core on the caller's own thread: submit, poll, collect. fio's job threads and SPDK-like hosts work this way.
//!
//! The rule: whoever lends a thread polls it. While the thread does something else, the objects whose home it is wait.

use super::Engine;
use super::message::Message;
use super::request_end::End;
use super::state::CoreState;
use super::topology::CoreNo;
use crate::error::{Error, ErrorKind};
use crate::image::Image;
use crate::image::request::{Completion, Request};
use ringbd_reactor::{JoinHandle, LentCore, Receiver, Region, spawn, spawn_detached};
use std::rc::Rc;
use std::time::Duration;

/// Rounds of ready tasks before a wait; a task that is always ready must not keep what others asked for from going out.
const ROUNDS_MAX: usize = 4;

/// The calling thread as a core of an [`Engine`].
///
/// Requests end as [`Completion`]s with the caller's token; a request that the cache can serve ends before `submit`
/// returns. Dropping the core gives its objects to the engine's other cores; if it was the last, everything dirty is
/// written back first.
pub struct Core {
    lent: LentCore,
    state: Rc<CoreState>,
    serving: Option<JoinHandle<Receiver<Message>>>,
    engine: Engine,
}

impl Core {
    pub(super) fn new(engine: Engine, mut lent: LentCore) -> Self {
        let (no, mailbox) = engine.shared().join();
        let state = CoreState::new(no, engine.shared().clone());
        let serving = lent.enter(|| {
            spawn_detached(state.clone().flush_outbox());
            spawn_detached(state.clone().work_lanes());
            spawn(state.clone().serve(mailbox))
        });
        Self { lent, state, serving: Some(serving), engine }
    }

    /// The core's number in its engine.
    #[must_use]
    pub fn number(&self) -> CoreNo {
        self.state.no
    }

    /// The engine that this thread is a core of.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Begins a request on `image`; its completion carries `token`.
    #[inline]
    pub fn submit(&mut self, image: &Image, request: Request, token: u64) {
        let state = &self.state;
        self.lent.enter(|| {
            if image.belongs_to(state) {
                state.start(image.shared(), request, End::Token(token));
            } else {
                let result = Err(Error::new(
                    ErrorKind::InvalidInput,
                    request.op().name(),
                    image.name(),
                    "the image belongs to another engine",
                ));
                state.completions.push(token, result, request.buf);
            }
        });
    }

    /// Does what can be done without waiting. True if anything happened.
    #[inline]
    pub fn poll(&mut self) -> bool {
        let state = &self.state;
        let worked = self.lent.enter(|| state.work_lanes_now());
        self.lent.poll() | worked
    }

    /// Waits until something happens, or until `limit` is over. While completions wait to be collected it is a [`poll`](Core::poll):
    /// nothing more has to happen for whoever waits for them.
    pub fn wait(&mut self, limit: Option<Duration>) {
        if self.completions() > 0 {
            self.poll();
            return;
        }
        // What the tasks that are ready ask for goes out in the system call that waits, unless one of them ended a request.
        for _ in 0..ROUNDS_MAX {
            if !self.lent.run() {
                break;
            }
            if self.completions() > 0 {
                return;
            }
        }
        self.lent.park(limit);
    }

    /// The next request that ended.
    #[inline]
    pub fn next_completion(&mut self) -> Option<Completion> {
        self.state.completions.pop()
    }

    /// How many completions wait to be collected.
    #[inline]
    #[must_use]
    pub fn completions(&self) -> usize {
        self.state.completions.len()
    }

    /// How many requests this core began that have not ended.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.state.under_way.total()
    }

    /// Whether other cores owe this one answers. A wait for those is short and a wake costs more than it lasts, so spinning
    /// pays; a wait for a disk is better slept through.
    #[inline]
    #[must_use]
    pub fn waits_for_cores(&self) -> bool {
        !self.state.calls.is_empty()
    }

    /// Runs a future on this core, and the core with it, to the future's end.
    pub fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        self.lent.block_on(future)
    }

    /// Registers memory with the kernel, so that requests on it cost less. Returns how many of the regions were
    /// taken; the others work too, only slower.
    pub fn register_buffers(&mut self, regions: &[Region]) -> usize {
        self.lent.register_buffers(regions)
    }

    /// Leaves the engine: see the type's documentation.
    fn leave(&mut self) {
        let (state, engine) = (self.state.clone(), self.engine.shared().clone());
        let last = engine.roster().topology.cores() == [state.no];
        let mut serving = self.serving.take();
        self.lent.block_on(async move {
            state.under_way.quiesce().await;
            if last {
                state.write_everything_back().await;
            }
            engine.leave(state.no);
            state.leaving.set(true);
            state.look_again();
            while let Some(task) = serving.take() {
                state.give_all_away().await;
                state.guests.end().await;
                state.bequeath_inherited().await;
                state.send(state.no, Message::Stop);
                let mailbox = task.await;
                if state.is_empty() {
                    state.outbox.flush(&state.roster(), state.no);
                    engine.bequeath(state.no, mailbox, state.lanes.hand_on());
                } else {
                    // What came before the stop began something more.
                    serving = Some(spawn(state.clone().serve(mailbox)));
                }
            }
        });
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.leave();
    }
}
