//! Requests that go straight to the disk: one SQE from the start of the request, and from its CQE straight to its end,
//! without a task, a wake or an allocation.
//!
//! That is for what is one operation of the disk: a read or a write of one extent of an object of this core, past the
//! cache, where nothing has to be waited for before (`store/objects/start.rs`). Everything else is run by a task, as is
//! what comes back short or interrupted. Both count as work on the shard, so both are waited for before it leaves.

use super::message::ObjectOp;
use super::request_end::Finish;
use super::state::CoreState;
use crate::cache::Extent;
use crate::image::core_image::Working;
use crate::image::request::Op;
use crate::store::Transfer;
use ringbd_reactor::{Buf, CompletionHandler, spawn_detached};
use slab::Slab;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;

/// A request whose operation the disk has.
struct Straight {
    working: Working,
    transfer: Transfer,
    extent: Extent,
    finish: Finish,
}

/// The requests of a core whose operation the disk has, by the token of the operation.
#[derive(Default)]
pub(crate) struct StraightRequests(RefCell<Slab<Straight>>);

impl CoreState {
    /// Runs a read or write of one extent of an object that is here, work on which was begun.
    pub(crate) fn start_here(
        self: &Rc<Self>,
        working: Working,
        extent: Extent,
        op: ObjectOp,
        buf: Buf,
        finish: Finish,
    ) {
        let buf = match self.start_straight(&working, &op, extent, buf) {
            Ok((token, transfer)) => {
                self.stats.count_straight();
                let straight = Straight { working, transfer, extent, finish };
                let place = self.straight.0.borrow_mut().insert(straight);
                assert_eq!(place, token, "nothing begins or ends while an operation is handed to the disk");
                return;
            }
            Err(buf) => buf,
        };
        self.run_here(working, extent, op, buf, finish);
    }

    /// The transfer goes into the next free place of the table, whose number the operation has as its token.
    #[inline]
    fn start_straight(
        self: &Rc<Self>,
        working: &Working,
        op: &ObjectOp,
        extent: Extent,
        buf: Buf,
    ) -> Result<(usize, Transfer), Buf> {
        let image = working.image();
        if !image.passes_through(op, &buf) {
            return Err(buf);
        }
        let token = self.straight.0.borrow().vacant_key();
        let transfer = image.below().start(op, extent, buf, self.clone(), token as u64)?;
        Ok((token, transfer))
    }

    fn run_here(self: &Rc<Self>, working: Working, extent: Extent, op: ObjectOp, buf: Buf, finish: Finish) {
        let (state, image) = (self.clone(), working.image().clone());
        spawn_detached(async move {
            let (result, buf) = image.object(working, extent, op, buf).await;
            state.finish(finish, result, buf);
        });
    }
}

impl CompletionHandler for CoreState {
    fn completed(self: Rc<Self>, token: u64, moved: io::Result<usize>, buf: Buf) {
        let Straight { working, transfer, extent, finish } =
            self.straight.0.borrow_mut().remove(token as usize);
        let (op, started) = (finish.op, finish.started);
        match working.image().below().end(transfer, op, started, moved, buf.len()) {
            Some(result) => {
                drop(working);
                self.finish(finish, result.map(|()| u64::from(extent.len)), buf);
            }
            None => {
                let op = if op == Op::Read { ObjectOp::Read } else { ObjectOp::Write };
                self.run_here(working, extent, op, buf, finish);
            }
        }
    }
}
