//! The loop of a core, one turn at a time.

use super::waker::{ROOT, TaskRef};
use super::{Core, Cqe, Driver, Noted, OpKey};
use crate::clock::Instant;
use crate::ring::Wait;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

/// CQEs copied out of the ring at a time, so that no borrow of the ring is held while they are handled.
const REAP_BATCH: usize = 64;
/// Rounds of ready tasks in one turn. A chain of wakes (receiver, request, sender) gets to its end before the
/// kernel is entered, so one enter carries more; and tasks that are always ready do not keep I/O waiting for
/// long.
const ROUNDS_MAX: usize = 4;

impl Core {
    /// Takes foreign wakes, fires due timers and runs the tasks that are ready now (not those they wake: I/O
    /// gets its turn in between). True if anything ran.
    pub(crate) fn run_ready(&self) -> bool {
        self.enter(|| {
            let mut busy = self.take_foreign_wakes();
            busy |= self.fire_timers();
            busy | self.run_tasks()
        })
    }

    /// A task is ready, a foreign wake waits or a timer is due at `now`. For the simulation's scheduler.
    pub(crate) fn is_runnable(&self, now: Instant) -> bool {
        self.has_ready()
            || !self.inbox.is_empty()
            || self.next_deadline().is_some_and(|deadline| deadline <= now)
    }

    /// When the next timer is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.borrow().next_deadline()
    }

    /// Number of tasks, for messages.
    pub(crate) fn live_tasks(&self) -> usize {
        self.tasks.borrow().live()
    }

    fn has_ready(&self) -> bool {
        self.root_ready.get() || self.has_ready_tasks()
    }

    fn has_ready_tasks(&self) -> bool {
        self.tasks.borrow().ready_len() > 0
    }

    fn take_foreign_wakes(&self) -> bool {
        let mut any = false;
        while let Some(task) = self.inbox.pop() {
            if task.is_of(self.core_ref) {
                self.wake_local(task);
                any = true;
            }
        }
        any
    }

    fn fire_timers(&self) -> bool {
        if self.next_deadline().is_none() {
            return false;
        }
        let now = self.now();
        let mut any = false;
        loop {
            let due = self.timers.borrow_mut().pop_due(now);
            match due {
                Some(waker) => waker.wake(),
                None => return any,
            }
            any = true;
        }
    }

    fn run_tasks(&self) -> bool {
        let budget = self.tasks.borrow().ready_len();
        for _ in 0..budget {
            let Some((index, generation, mut task)) = self.tasks.borrow_mut().take_ready() else { break };
            let waker = TaskRef::new(self.core_ref, generation, index).waker();
            let slot = RunningSlot { core: self, index };
            match task.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Pending => {
                    std::mem::forget(slot);
                    self.tasks.borrow_mut().put_back(index, task);
                }
                Poll::Ready(()) => {
                    drop(task);
                    drop(slot);
                }
            }
        }
        budget > 0
    }

    /// One turn: run what is ready, submit, reap. True if a task ran or an operation completed.
    pub(crate) fn turn(&self, block: Block) -> bool {
        let mut ran = self.run_ready();
        let Driver::Ring(ring) = &self.driver else { return ran };
        for _ in 1..ROUNDS_MAX {
            if !self.has_ready_tasks() {
                break;
            }
            ran |= self.run_ready();
        }
        ring.release_closed_files();
        let wait = match block {
            Block::Never => Wait::No,
            Block::IfIdle(_) if ran => Wait::No,
            Block::IfIdle(limit) | Block::For(limit) => self.may_sleep(limit),
        };
        ring.enter(wait);
        if !matches!(wait, Wait::No) {
            self.inbox.awake();
        }
        let reaped = self.enter(|| self.reap());
        ran || reaped
    }

    /// How long the core may block: not at all while there is work, else it spins first, then announces
    /// sleep.
    fn may_sleep(&self, limit: Option<Duration>) -> Wait {
        let ring = self.ring();
        if self.has_ready() || ring.has_completions() {
            return Wait::No;
        }
        let limit = match (self.next_deadline(), limit) {
            (None, limit) => limit,
            (Some(deadline), limit) => {
                let left = deadline.duration_since(self.now());
                Some(limit.map_or(left, |limit| limit.min(left)))
            }
        };
        if limit.is_some_and(|limit| limit.is_zero()) {
            return Wait::No;
        }
        if !self.spin.is_zero() && self.spin_for(limit) {
            return Wait::No;
        }
        ring.arm_wake();
        if !self.inbox.prepare_sleep() {
            return Wait::No;
        }
        if ring.files_were_closed() {
            self.inbox.awake();
            return Wait::No;
        }
        Wait::For(limit)
    }

    /// Looks for work for the time the core is set to spin. True when there is some.
    fn spin_for(&self, limit: Option<Duration>) -> bool {
        let ring = self.ring();
        // What the tasks asked for has to be on its way before it can complete.
        if ring.has_submissions() {
            ring.enter(Wait::No);
        }
        let spin = limit.map_or(self.spin, |limit| limit.min(self.spin));
        let end = self.now() + spin;
        loop {
            for _ in 0..32 {
                if !self.inbox.is_empty() || ring.has_completions() {
                    return true;
                }
                std::hint::spin_loop();
            }
            if self.now() >= end {
                return false;
            }
        }
    }

    /// Takes every CQE there is. True if there was one.
    pub(super) fn reap(&self) -> bool {
        let ring = self.ring();
        let mut space = [const { MaybeUninit::uninit() }; REAP_BATCH];
        let mut any = false;
        loop {
            let batch = ring.take_completions(&mut space);
            if batch.is_empty() {
                return any;
            }
            any = true;
            for entry in batch {
                if let Some((key, cqe, more)) = ring.translate(entry) {
                    self.complete(key, cqe, more);
                }
            }
        }
    }

    fn complete(&self, key: OpKey, cqe: Cqe, more: bool) {
        let noted = self.ops.borrow_mut().complete(key, cqe, more);
        match noted {
            Noted::Nothing => {}
            Noted::Wake(waker) => waker.wake(),
            Noted::Tell { handler, token, buf, keep } => {
                handler.completed(token, bytes_moved(cqe), buf);
                drop(keep);
            }
            Noted::Release { payload, keep, ring, cqe } => {
                if let Some(ring) = ring {
                    ring.give_back_unread(cqe);
                }
                payload.discard(cqe);
                drop(keep);
            }
        }
    }

    /// Runs the core until `future` is ready.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        self.begin_root();
        loop {
            if let Poll::Ready(output) = self.poll_root(future.as_mut()) {
                return output;
            }
            self.turn(Block::For(None));
        }
    }

    /// The next [`Core::poll_root`] polls its future for the first time.
    pub(crate) fn begin_root(&self) {
        self.root_alive.set(true);
        self.root_ready.set(true);
    }

    /// Polls a future that is no task, if it was woken since the last time. There is one such future at a
    /// time.
    pub(crate) fn poll_root<F: Future>(&self, future: Pin<&mut F>) -> Poll<F::Output> {
        if !self.root_ready.replace(false) {
            return Poll::Pending;
        }
        let waker = TaskRef::new(self.core_ref, 0, ROOT).waker();
        let polled = self.enter(|| future.poll(&mut Context::from_waker(&waker)));
        if polled.is_ready() {
            // Its wakers may be about still; they must not keep the core from sleeping.
            self.root_alive.set(false);
            self.root_ready.set(false);
        }
        polled
    }
}

fn bytes_moved(cqe: Cqe) -> io::Result<usize> {
    match usize::try_from(cqe.result) {
        Ok(bytes) => Ok(bytes),
        Err(_) => Err(io::Error::from_raw_os_error(-cqe.result)),
    }
}

/// Whether a turn may block.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Block {
    /// Never.
    Never,
    /// When no task ran in this turn: its caller may wait for what one of them did.
    IfIdle(Option<Duration>),
    /// When no task is ready.
    For(Option<Duration>),
}

/// Frees the slot of a running task when it ends or panics.
struct RunningSlot<'a> {
    core: &'a Core,
    index: u32,
}

impl Drop for RunningSlot<'_> {
    fn drop(&mut self) {
        self.core.tasks.borrow_mut().finish(self.index);
    }
}
