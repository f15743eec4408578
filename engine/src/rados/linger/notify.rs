//! A notification: telling an object's watchers something, and waiting until each has answered or the time is over.

use super::{LingerEvent, Whereabouts};
use crate::rados::error::OpError;
use crate::rados::ioctx::IoCtx;
use crate::rados::objecter::Place;
use ringbd_proto::osd::{NotifyResponses, OsdOp, Watcher};
use ringbd_proto::types::OsdId;
use ringbd_reactor::{Buf, SharedBuf, WaitQueue};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// What the watchers said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotifyOutcome {
    /// Who answered, and what.
    pub replies: Vec<NotifyReply>,
    /// Who did not answer in time.
    pub timeouts: Vec<Watcher>,
}

/// A watcher's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyReply {
    /// Who answered.
    pub watcher: Watcher,
    /// What.
    pub payload: Vec<u8>,
}

/// The core's part of a notification.
pub(super) struct Notifying {
    place: Place,
    osd: Whereabouts,
    state: RefCell<State>,
    something: WaitQueue,
}

enum State {
    /// The OSD waits for the watchers.
    Waiting,
    /// The OSD may have forgotten it.
    Again,
    Complete(LingerEvent),
}

/// Takes a notification out of the core's table when it is over, or given up.
struct Entry<'a> {
    io: &'a IoCtx,
    cookie: u64,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.io.core().lingers.notifies.borrow_mut().remove(&self.cookie);
    }
}

/// Notifies the watchers of `object`. The OSD waits for their answers for up to `limit`, in whole seconds.
pub(in crate::rados) async fn notify(
    io: &IoCtx,
    object: &[u8],
    payload: &[u8],
    limit: Duration,
) -> Result<NotifyOutcome, OpError> {
    let core = io.core();
    let cookie = core.lingers.cookie(core.no());
    let place = io.place_of(object);
    let notifying = Rc::new(Notifying {
        place,
        osd: Whereabouts::new(core, core.primary_of(place)),
        state: RefCell::new(State::Waiting),
        something: WaitQueue::new(),
    });
    core.lingers.notifies.borrow_mut().insert(cookie, notifying.clone());
    let _entry = Entry { io, cookie };
    let timeout_s = u32::try_from(limit.as_secs().max(1)).unwrap_or(u32::MAX);
    let payload = SharedBuf::from(Buf::from_slice(payload));
    loop {
        io.read_op(object, OsdOp::Notify { cookie, timeout_s, payload: payload.clone() }).await?;
        if let Some(event) = notifying.end().await {
            return outcome(&event);
        }
    }
}

fn outcome(event: &LingerEvent) -> Result<NotifyOutcome, OpError> {
    let NotifyResponses { acks, timeouts } = NotifyResponses::decode(&event.responses)?;
    let reply = |(watcher, payload): (Watcher, &[u8])| NotifyReply { watcher, payload: payload.to_vec() };
    // That some did not answer is said by the list of them, not by an error.
    Ok(NotifyOutcome { replies: acks.into_iter().map(reply).collect(), timeouts })
}

impl Notifying {
    pub(super) fn place(&self) -> Place {
        self.place
    }

    pub(super) fn osd(&self) -> Option<OsdId> {
        self.osd.get()
    }

    pub(super) fn complete(&self, event: LingerEvent) {
        *self.state.borrow_mut() = State::Complete(event);
        self.something.wake_one();
    }

    pub(super) fn say_again(&self, osd: Option<OsdId>) {
        self.osd.set(osd);
        let mut state = self.state.borrow_mut();
        if matches!(*state, State::Waiting) {
            *state = State::Again;
            self.something.wake_one();
        }
    }

    /// How it ended; none when it has to be said again.
    async fn end(&self) -> Option<LingerEvent> {
        loop {
            let state = std::mem::replace(&mut *self.state.borrow_mut(), State::Waiting);
            match state {
                State::Waiting => self.something.wait().await,
                State::Again => return None,
                State::Complete(event) => return Some(event),
            }
        }
    }
}
