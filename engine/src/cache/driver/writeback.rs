//! Writeback: the background task, the flush, and the one way down that both use.

use super::{Below, Driver, now_ns};
use crate::cache::{Urgency, Writeback, WritebackId, WritebackLimit};
use crate::error::{Error, Result};
use ringbd_reactor::{Buf, spawn_detached, timeout};
use std::rc::Rc;
use std::time::Duration;

/// Writebacks in flight per image and core: enough to keep a disk busy, few enough that a flush finds its turn soon.
const IN_FLIGHT_MAX: usize = 32;

/// What one writeback takes at most: large enough that its costs hardly count, small enough to stage.
const LIMIT: WritebackLimit = WritebackLimit { bytes: 1 << 20, runs: 64 };

/// How long the background task leaves a store alone that failed. A flush tries at once.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl<B: Below> Driver<B> {
    /// Tells the background task that there may be something for it. Cheap when there is not.
    #[inline]
    pub(super) fn more_is_dirty(&self) {
        if self.idle.get() || self.held.get() > 0 || self.shard.borrow().next_deadline() == Some(0) {
            self.work.wake_all();
        }
    }

    /// The background task: writes back what is above the target, too old, or in the way of a writer.
    pub(super) async fn write_back_in_background(self: Rc<Self>) {
        let mut begun = 0;
        while !self.stopped.get() {
            if self.failed_since(begun).is_err() {
                begun = self.begun.get();
                // Ends early only when the driver is stopped, or somebody has more work: then the store is tried again.
                let _ = timeout(RETRY_AFTER, self.stop_asked()).await;
                continue;
            }
            let pressed = self.held.get() > 0;
            let why = if pressed { Urgency::All } else { Urgency::Background(now_ns()) };
            if self.in_flight() < IN_FLIGHT_MAX && self.begin_writeback(why) {
                continue;
            }
            let deadline = self.shard.borrow().next_deadline();
            self.idle.set(deadline.is_none());
            match deadline.map(|at| at.saturating_sub(now_ns())) {
                // Woken or not, the task looks again.
                Some(left) if left > 0 => drop(timeout(Duration::from_nanos(left), self.work.wait()).await),
                // What is due is on its way already, or waits for a fill: the end of either wakes the task.
                Some(_) | None => self.work.wait().await,
            }
            self.idle.set(false);
        }
    }

    async fn stop_asked(&self) {
        while !self.stopped.get() {
            self.work.wait().await;
        }
    }

    fn in_flight(&self) -> usize {
        self.shard.borrow().writebacks_in_flight()
    }

    /// Waits until everything that was dirty when this was called has landed below, or a writeback
    /// that began since then failed. What failed before is tried again.
    pub(crate) async fn flush(self: &Rc<Self>) -> Result<()> {
        let ticket = self.shard.borrow_mut().flush_ticket();
        let begun = self.begun.get();
        loop {
            while self.in_flight() < IN_FLIGHT_MAX && self.begin_writeback(Urgency::Flush(ticket)) {}
            if self.shard.borrow().is_flushed(ticket) {
                return Ok(());
            }
            self.failed_since(begun)?;
            self.changed.wait().await;
        }
    }

    /// Begins one writeback, if there is cause. Its bytes are copied here and now, so that the blocks can be written
    /// again while it is on its way.
    pub(super) fn begin_writeback(self: &Rc<Self>, why: Urgency) -> bool {
        let mut writeback = Writeback::default();
        let mut shard = self.shard.borrow_mut();
        if !shard.next_writeback(why, LIMIT, &mut writeback) {
            return false;
        }
        let mut staging = Buf::alloc(writeback.bytes() as usize);
        let mut runs = Vec::with_capacity(writeback.runs().len());
        for &run in writeback.runs() {
            let mut bytes = staging.split_to(run.len as usize);
            shard.copy_run(&writeback, run, &mut bytes);
            runs.push((run.offset, bytes));
        }
        drop(shard);
        let number = self.begun.get() + 1;
        self.begun.set(number);
        let (driver, id, object) = (self.clone(), writeback.id(), writeback.object());
        spawn_detached(async move {
            let result = driver.below.write(object, runs).await;
            driver.end_writeback(id, number, result);
        });
        true
    }

    fn end_writeback(&self, id: WritebackId, number: u64, result: Result<()>) {
        match result {
            Ok(()) => self.shard.borrow_mut().complete_writeback(id),
            Err(error) => {
                self.note_failure(number, error);
                self.shard.borrow_mut().fail_writeback(id);
            }
        }
        self.something_ended();
    }

    fn note_failure(&self, number: u64, error: Error) {
        tracing::warn!(%error, "a writeback failed; its bytes stay dirty and are tried again");
        let mut failure = self.failure.borrow_mut();
        if failure.as_ref().is_none_or(|&(last, _)| number > last) {
            *failure = Some((number, error));
        }
    }
}
