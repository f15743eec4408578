//! What happens to operations in flight when the map changes, and when the client ends.

use super::op::{Op, OpState};
use super::target::{Change, Fate};
use crate::rados::core::Core;
use crate::rados::error::OpError;
use crate::rados::message::{Answer, MapStep};
use crate::rados::monitor::MonRequest;
use crate::rados::objecter::OpId;
use ringbd_proto::osd::OsdOpFront;
use ringbd_proto::types::{Epoch, Errno, OsdId};
use ringbd_reactor::{now, spawn_detached};
use std::rc::Rc;
use std::time::Duration;

impl Core {
    /// Looks at every operation with a new map, oldest first, so that those on one object stay in order.
    pub(in crate::rados) fn rescan(self: &Rc<Core>, step: MapStep) {
        let mut all: Vec<(OpId, usize)> = {
            let ops = self.objecter.ops.borrow();
            ops.iter().map(|(slot, op)| (op.id, slot)).collect()
        };
        all.sort_unstable();
        let before = self.objecter.resends.get();
        for (id, slot) in all {
            self.look_again(id, slot, step);
        }
        let moved = self.objecter.resends.get() - before;
        if moved > 0 {
            tracing::info!(core = %self.no(), operations = moved, ?step, "the map sends operations again");
        }
    }

    fn look_again(self: &Rc<Core>, id: OpId, slot: usize, step: MapStep) {
        let with = {
            let ops = self.objecter.ops.borrow();
            match ops.get(slot).filter(|op| op.id == id).map(|op| &op.state) {
                Some(OpState::WithOsd(osd)) => Some(*osd),
                Some(OpState::Here) => None,
                Some(OpState::Answered(_)) | None => return,
            }
        };
        let Some(osd) = with else { return self.aim(slot) };
        let (fate, change) = self.look(slot);
        let again = change == Change::Again || step == MapStep::Jump;
        match fate {
            Fate::Go { osd: new, .. } if new == osd && !again => {}
            // Paused while an OSD has it: it may still be answered, and is sent again when the pause is over.
            Fate::Wait if self.is_paused(slot) => {}
            Fate::Go { .. } | Fate::Wait | Fate::NoPool | Fate::Fail(_) => {
                tracing::debug!(tid = id.tid().0, was = osd.0, to = ?fate, ?change, ?step, "an operation moves");
                self.objecter.resends.set(self.objecter.resends.get() + 1);
                self.take_back(slot, osd);
                self.aim(slot);
            }
        }
    }

    fn is_paused(&self, slot: usize) -> bool {
        self.objecter.ops.borrow().get(slot).is_some_and(|op| op.target.is_paused())
    }

    /// Takes an operation back from the session that has it.
    fn take_back(self: &Rc<Core>, slot: usize, osd: OsdId) {
        let id = self.objecter.ops.borrow()[slot].id;
        let submission = self.withdraw(osd, id);
        let mut ops = self.objecter.ops.borrow_mut();
        let op = &mut ops[slot];
        op.state = OpState::Here;
        if let Some(submission) = submission {
            op.take_back(submission);
        }
    }

    /// Takes the end of an operation that a session answered.
    pub(in crate::rados) fn take_answer(self: &Rc<Core>, id: OpId, answer: Answer, front: OsdOpFront) {
        {
            let mut ops = self.objecter.ops.borrow_mut();
            // Who dropped its future, or was moved by a map since, does not want it.
            let wants = |op: &&mut Op| op.id == id && matches!(op.state, OpState::WithOsd(_));
            let op = ops.get_mut(id.slot()).filter(wants);
            match op {
                Some(op) if op.front.is_none() => op.front = Some(front),
                Some(_) => self.objecter.recycle(front),
                None => return self.objecter.recycle(front),
            }
        }
        if answer.result == -Errno::EBLOCKLISTED.number() {
            self.fenced();
        }
        if answer.result == -Errno::EAGAIN.number() || answer.redirect.is_some() {
            tracing::debug!(tid = id.tid().0, redirect = ?answer.redirect, "an operation has to be asked for anew");
            self.ask_anew(id, answer);
        } else {
            self.finish(id.slot(), Ok(answer));
        }
    }

    pub(super) fn finish(&self, slot: usize, outcome: Result<Answer, OpError>) {
        let waker = {
            let mut ops = self.objecter.ops.borrow_mut();
            let Some(op) = ops.get_mut(slot) else { return };
            op.state = OpState::Answered(outcome);
            op.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Ends everything, for good.
    pub(in crate::rados) fn fail_everything(self: &Rc<Core>, error: &OpError) {
        let all: Vec<(usize, Option<OsdId>)> = {
            let ops = self.objecter.ops.borrow();
            let alive = ops.iter().filter_map(|(slot, op)| match op.state {
                OpState::Here => Some((slot, None)),
                OpState::WithOsd(osd) => Some((slot, Some(osd))),
                OpState::Answered(_) => None,
            });
            alive.collect()
        };
        for (slot, osd) in all {
            if let Some(osd) = osd {
                self.take_back(slot, osd);
            }
            self.finish(slot, Err(error.clone()));
        }
        self.lose_watches(error);
    }

    /// Whether an operation waits here for a map.
    pub(in crate::rados) fn has_homeless(&self) -> bool {
        self.objecter.ops.borrow().iter().any(|(_, op)| matches!(op.state, OpState::Here))
    }

    /// Warns when operations have waited here for long, and again each time that the wait has doubled.
    pub(in crate::rados) fn complain_of_homeless(&self, homeless: bool, limit: Duration) {
        let Some(since) = self.objecter.homeless_since.get().filter(|_| homeless) else {
            self.objecter.complain_at.set(limit);
            return self.objecter.homeless_since.set(homeless.then(now));
        };
        let waited = since.elapsed();
        if waited >= self.objecter.complain_at.get() {
            self.objecter.complain_at.set(waited * 2);
            tracing::warn!(
                core = %self.no(),
                ?waited,
                "slow operations: the map lets them go nowhere (it is paused or full, or no OSD leads their placement group)"
            );
        }
    }

    /// The newest map here does not have the pool of an operation. It fails if that is so in the newest map of all.
    pub(super) fn ask_whether_pool_is_gone(self: &Rc<Core>, slot: usize) {
        let id = self.objecter.ops.borrow()[slot].id;
        let core = self.clone();
        spawn_detached(async move {
            let (reply, newest) = oneshot::async_channel();
            core.shared().ask_monitor(MonRequest::Version { what: "osdmap", reply });
            let Ok(Ok(newest)) = newest.await else { return };
            let newest = Epoch(u32::try_from(newest).unwrap_or(u32::MAX));
            if !core.wait_for_map(newest).await {
                return;
            }
            let still_here = {
                let ops = core.objecter.ops.borrow();
                ops.get(slot).is_some_and(|op| op.id == id && matches!(op.state, OpState::Here))
            };
            if still_here && core.look(slot).0 == Fate::NoPool {
                core.finish(slot, Err(OpError::NoPool));
            }
        });
    }
}
