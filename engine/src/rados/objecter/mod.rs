//! The objecter: every operation that is at home on this core, from the moment it is asked for until it is answered.
//!
//! The rules:
//!
//! * An operation has one tid for its life, whatever OSDs and connections it sees, so that an OSD applies it once.
//! * An operation is with one session at a time. Which one, the newest map says; when a map moves it, it is withdrawn from
//!   the one and given to the other, and so are all operations on the same object, in the order of their tids.
//! * What no map lets go (no OSD that leads, a pause, a full pool) waits here; nothing is reported to the caller that a
//!   newer map can mend.
//! * Whoever drops the future of an operation withdraws it. It may have been applied, or not.

mod op;
mod op_id;
mod rescan;
mod target;
mod throttle;

pub(super) use op::ATTEMPTS_MAX;
pub(super) use op_id::{OPS_MAX, OpId};
pub(super) use target::{Place, Placements};

use super::core::Core;
use super::error::OpError;
use super::message::Answer;
use super::pieces::Pieces;
use op::{Op, OpState};
use ringbd_proto::codec::Encoder;
use ringbd_proto::msgr2::Features;
use ringbd_proto::osd::{
    Access, MOsdOp, OSD_OP, ObjectLocator, OpEntry, OpRequest, OsdFlags, OsdOpFront, Redirect, Sending,
    SnapContext,
};
use ringbd_proto::types::OsdId;
use ringbd_reactor::{Buf, Instant, SharedBuf};
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use target::{Change, Fate};
use throttle::Throttle;

/// Vectors kept for the fronts of the next operations.
const SPARE_FRONTS_MAX: usize = 1024;

/// What is asked of one object.
pub(super) struct Request<'a> {
    pub(super) locator: &'a ObjectLocator,
    pub(super) name: &'a [u8],
    /// The hash that places the object.
    pub(super) hash: u32,
    pub(super) access: Access<&'a SnapContext>,
    pub(super) ops: &'a [OpEntry<'a, SharedBuf>],
    /// Flags of the message beside those that follow from the rest.
    pub(super) flags: OsdFlags,
    /// Where the output is to go.
    pub(super) landing: Option<Buf>,
}

#[derive(Default)]
pub(super) struct Objecter {
    ops: RefCell<Slab<Op>>,
    placements: RefCell<Placements>,
    /// Operations ever asked for here.
    asked: Cell<u64>,
    throttle: Rc<Throttle>,
    /// The memory of fronts that are not needed any more.
    spare: RefCell<Vec<Vec<u8>>>,
    /// Operations that a map moved.
    resends: Cell<u64>,
    /// Since when there have been operations that wait for a map.
    homeless_since: Cell<Option<Instant>>,
    /// How long they may wait before that is warned about.
    complain_at: Cell<Duration>,
}

impl Objecter {
    /// `ops_max` and `bytes_max` are this core's share of what the client may have in flight.
    pub(super) fn limit(&self, ops_max: usize, bytes_max: usize) {
        self.throttle.limit(ops_max.min(OPS_MAX), bytes_max);
    }

    /// Operations in flight, and the bytes of their data.
    pub(super) fn in_flight(&self) -> (usize, usize) {
        self.throttle.in_flight()
    }

    /// Operations asked for so far, and those of them that a map moved.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.asked.get(), self.resends.get())
    }

    fn recycle(&self, front: OsdOpFront) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE_FRONTS_MAX {
            spare.push(front.into_bytes());
        }
    }

    fn blank(&self) -> Vec<u8> {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    fn next_id(&self, slot: usize, core: &Core) -> OpId {
        self.asked.set(self.asked.get() + 1);
        OpId::new(self.asked.get(), slot, core.no())
    }
}

/// An operation whose future lives. Dropped before the answer is taken, it withdraws the operation.
struct Asked<'a> {
    core: &'a Rc<Core>,
    slot: usize,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let op = self.core.objecter.ops.borrow_mut().remove(self.slot);
        if let Some(front) = op.front {
            self.core.objecter.recycle(front);
        }
        if let OpState::WithOsd(osd) = op.state
            && let Some(submission) = self.core.withdraw(osd, op.id)
        {
            self.core.objecter.recycle(submission.front);
        }
    }
}

impl Core {
    /// Does a list of operations on an object. The answer is the OSD's, which may be an error; an error of this function
    /// means that there is none.
    pub(super) async fn operate(self: &Rc<Core>, request: Request<'_>) -> Result<Answer, OpError> {
        let data = payloads(request.ops);
        let landing_bytes = request.landing.as_ref().map_or(0, Buf::len);
        let _share = self.objecter.throttle.acquire(data.len().max(landing_bytes)).await;
        let asked = self.ask(request, data)?;
        poll_fn(|context| {
            let mut ops = self.objecter.ops.borrow_mut();
            let op = &mut ops[asked.slot];
            match std::mem::replace(&mut op.state, OpState::Here) {
                OpState::Answered(outcome) => Poll::Ready(outcome),
                state @ (OpState::Here | OpState::WithOsd(_)) => {
                    op.state = state;
                    match &mut op.waker {
                        Some(waker) => waker.clone_from(context.waker()),
                        none => *none = Some(context.waker().clone()),
                    }
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Takes an operation in and sends it, if the map lets it.
    fn ask(self: &Rc<Core>, request: Request<'_>, data: Pieces) -> Result<Asked<'_>, OpError> {
        self.check_alive()?;
        let Request { locator, name, hash, access, ops, flags, landing } = request;
        let writes = matches!(access, Access::Write { .. });
        let wire = OpRequest { locator, name, hash, access, ops, features: Features::PACIFIC.0 };
        let front = OsdOpFront::new(&wire, &Sending::NONE, self.objecter.blank());
        let slot = {
            let mut all = self.objecter.ops.borrow_mut();
            let entry = all.vacant_entry();
            let slot = entry.key();
            let place = Place { pool: locator.pool, hash };
            let mut op = Op::new(self.objecter.next_id(slot, self), place, writes, flags, front);
            op.data_crc = (data.len() > 0).then(|| data.crc());
            op.data = data;
            op.landing = landing;
            entry.insert(op);
            slot
        };
        let asked = Asked { core: self, slot };
        self.aim(slot);
        Ok(asked)
    }

    /// Finds out where an operation that is here has to go, and sends it there.
    fn aim(self: &Rc<Core>, slot: usize) {
        match self.look(slot).0 {
            Fate::Go { osd, spg } => {
                let epoch = self.with_map(|map| map.map_or_else(Default::default, |map| map.epoch()));
                let memory = (!self.is_home_of(osd)).then(|| self.objecter.blank());
                let submission = {
                    let mut ops = self.objecter.ops.borrow_mut();
                    let op = &mut ops[slot];
                    op.state = OpState::WithOsd(osd);
                    op.submission(spg, epoch, memory)
                };
                self.submit(osd, submission);
            }
            Fate::Wait => self.want_newer_map(),
            Fate::NoPool => self.ask_whether_pool_is_gone(slot),
            Fate::Fail(error) => self.finish(slot, Err(error)),
        }
    }

    /// Looks at an operation with the newest map.
    fn look(&self, slot: usize) -> (Fate, Change) {
        self.with_map(|map| {
            let Some(map) = map else { return (Fate::Wait, Change::None) };
            let mut ops = self.objecter.ops.borrow_mut();
            let op = &mut ops[slot];
            let mut placements = self.objecter.placements.borrow_mut();
            op.target.look(map, &mut placements, op.place, op.writes, op.flags)
        })
    }

    /// The OSD that leads the placement group of an object, by the newest map.
    pub(super) fn primary_of(&self, place: Place) -> Option<OsdId> {
        self.with_map(|map| {
            let mut placements = self.objecter.placements.borrow_mut();
            let (_, interval) = placements.of(map?, place).ok()?;
            interval.mapping.acting_primary
        })
    }

    /// An OSD did not do an operation and says that it has to be asked anew: with another tid, and perhaps elsewhere.
    fn ask_anew(self: &Rc<Core>, id: OpId, answer: Answer) {
        let slot = id.slot();
        {
            let mut ops = self.objecter.ops.borrow_mut();
            let op = &mut ops[slot];
            op.state = OpState::Here;
            op.id = self.objecter.next_id(slot, self);
            op.landing = Some(answer.data);
            op.flags = op.flags.without(OsdFlags::BALANCE_READS).without(OsdFlags::LOCALIZE_READS);
        }
        match answer.redirect.as_deref().map(|redirect| self.follow(slot, redirect)) {
            Some(Err(error)) => self.finish(slot, Err(error)),
            Some(Ok(())) | None => self.aim(slot),
        }
    }

    /// Addresses an operation to where a redirect points.
    fn follow(&self, slot: usize, redirect: &Redirect) -> Result<(), OpError> {
        let mut ops = self.objecter.ops.borrow_mut();
        let op = &mut ops[slot];
        let front = op.front.take().expect("an operation that is here has its front");
        let data = op.data.with_slices(|slices| slices.concat());
        let asked = MOsdOp::decode(OSD_OP.front_version(), front.bytes(), &data)?;
        let mut wire = asked.request();
        wire.locator = &redirect.locator;
        if !redirect.name.is_empty() {
            wire.name = &redirect.name;
        }
        wire.hash = wire.locator.hash_of(wire.name);
        op.place = Place { pool: wire.locator.pool, hash: wire.hash };
        op.flags = op.flags | OsdFlags::REDIRECTED | OsdFlags::IGNORE_CACHE | OsdFlags::IGNORE_OVERLAY;
        op.front = Some(OsdOpFront::new(&wire, &Sending::NONE, self.objecter.blank()));
        Ok(())
    }
}

/// The payloads of a list, one behind the other: what is small of each, then its bulk data.
fn payloads(ops: &[OpEntry<'_, SharedBuf>]) -> Pieces {
    let mut data = Pieces::None;
    for OpEntry { op, .. } in ops {
        let prefix_bytes = op.prefix_len();
        if prefix_bytes > 0 {
            let mut prefix = Vec::with_capacity(prefix_bytes);
            op.encode_prefix(&mut Encoder::new(&mut prefix));
            data.push(Buf::from_slice(&prefix).into());
        }
        if let Some(bulk) = op.data() {
            data.push(bulk.clone());
        }
    }
    data
}
