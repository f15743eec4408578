//! Placement groups that are not ready, and the backoffs that keep clients quiet meanwhile.
//!
//! An OSD that begins to lead a placement group may be busy for a while. It then either keeps what comes, or drops it and asks
//! for quiet: a backoff, over the whole group or over one object. The rules are Ceph's: whatever comes in a backoff's range is
//! dropped until the client has acknowledged the backoff *and* it was lifted; what was dropped the client sends again when
//! it is lifted; and what it sends after its acknowledgement, and before that, is against the protocol.

use super::osd::{Asked, Held, Osd, OsdLink, chance, up_to};
use ringbd_proto::osd::{BackoffStep, Hobject, HobjectRange, MOsdBackoff};
use ringbd_proto::types::{Epoch, PgId, SpgId, Tid};
use ringbd_reactor::{SharedBuf, sleep, spawn_detached};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// How long an object is busy at most.
const OBJECT_BUSY_MAX: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(super) struct Peering {
    busy: RefCell<BTreeMap<PgId, Busy>>,
    backoffs: RefCell<Vec<Backoff>>,
    last_id: Cell<u64>,
}

/// A placement group that is not ready.
struct Busy {
    /// In the interval that began here.
    since: Epoch,
    manner: Manner,
}

/// What happens to operations meanwhile.
enum Manner {
    /// They wait here.
    Keep(Vec<Held>),
    /// They are dropped, and the client is asked for quiet.
    AskForQuiet,
}

struct Backoff {
    link: OsdLink,
    message: MOsdBackoff,
    acknowledged: bool,
    lifted: bool,
}

impl Backoff {
    fn is_over(&self) -> bool {
        self.acknowledged && self.lifted
    }
}

impl Peering {
    /// A connection is gone.
    pub(super) fn forget(&self, link: &OsdLink) {
        self.backoffs.borrow_mut().retain(|backoff| !Rc::ptr_eq(&backoff.link, link));
    }

    /// The client acknowledges a backoff. False if there is none to acknowledge.
    pub(super) fn acknowledge(&self, link: &OsdLink, message: &MOsdBackoff) -> bool {
        let mut all = self.backoffs.borrow_mut();
        let found = all.iter_mut().find(|backoff| {
            Rc::ptr_eq(&backoff.link, link) && backoff.message.ack() == *message && !backoff.acknowledged
        });
        let Some(found) = found else { return false };
        found.acknowledged = true;
        all.retain(|backoff| !backoff.is_over());
        true
    }

    fn block(&self, link: &OsdLink, spg: SpgId, epoch: Epoch, range: HobjectRange) -> u64 {
        let id = self.last_id.get() + 1;
        self.last_id.set(id);
        let message = MOsdBackoff { spg, epoch, step: BackoffStep::Block, id, range };
        link.post(Tid(0), &message, SharedBuf::empty());
        self.backoffs.borrow_mut().push(Backoff {
            link: link.clone(),
            message,
            acknowledged: false,
            lifted: false,
        });
        id
    }

    fn lift(&self, which: impl Fn(&MOsdBackoff) -> bool) {
        let mut all = self.backoffs.borrow_mut();
        for backoff in all.iter_mut().filter(|backoff| !backoff.lifted && which(&backoff.message)) {
            backoff.lifted = true;
            let message = MOsdBackoff { step: BackoffStep::Unblock, ..backoff.message.clone() };
            backoff.link.post(Tid(0), &message, SharedBuf::empty());
        }
        all.retain(|backoff| !backoff.is_over());
    }
}

impl Osd {
    /// Looks at which placement groups this OSD leads by a new map. Those that it began to lead after `before` may be busy.
    pub(super) fn begin_to_lead(
        self: &Rc<Self>,
        leads: &[(PgId, Epoch)],
        before: Epoch,
        (probability, limit): (f64, Duration),
    ) {
        let Peering { busy, .. } = &self.peering;
        let still = |pg: PgId, since: Epoch| leads.contains(&(pg, since));
        busy.borrow_mut().retain(|pg, busy| still(*pg, busy.since));
        self.peering.lift(|message| {
            // A group that is led anew begins without backoffs.
            !leads.iter().any(|(pg, since)| *pg == message.spg.pg && *since <= message.epoch)
        });
        for &(pg, since) in leads.iter().filter(|(_, since)| *since > before) {
            if !chance(probability) {
                continue;
            }
            let manner = if chance(0.5) { Manner::AskForQuiet } else { Manner::Keep(Vec::new()) };
            busy.borrow_mut().insert(pg, Busy { since, manner });
            let osd = self.clone();
            spawn_detached(async move {
                sleep(up_to(limit)).await;
                osd.ready(pg, since);
            });
        }
    }

    /// A placement group is ready, if the interval is still the same.
    fn ready(self: &Rc<Self>, pg: PgId, since: Epoch) {
        let held = {
            let mut all = self.peering.busy.borrow_mut();
            if all.get(&pg).is_none_or(|busy| busy.since != since) {
                return;
            }
            all.remove(&pg).expect("it was just found")
        };
        match held.manner {
            Manner::Keep(held) => held.iter().for_each(|held| self.again(held)),
            Manner::AskForQuiet => self.peering.lift(|message| message.spg.pg == pg),
        }
    }

    /// Whether an operation is to be dropped because the client was asked for quiet.
    pub(super) fn is_quiet_about(&self, asked: &Asked<'_>) -> bool {
        let object = asked.object();
        let all = self.peering.backoffs.borrow();
        let mut hits = all.iter().filter(|backoff| {
            Rc::ptr_eq(&backoff.link, asked.link)
                && backoff.message.spg == asked.op.sending.spg
                && backoff.message.range.contains(&object)
        });
        let Some(hit) = hits.next() else { return false };
        if hit.acknowledged {
            let (tid, object) = (asked.header.tid, String::from_utf8_lossy(asked.op.name));
            self.shared.violation(format!("tid {tid} on {object} was sent in spite of a backoff"));
        }
        true
    }

    /// Whether an operation cannot be done now; it is then kept, or dropped with a backoff.
    pub(super) fn is_not_ready(self: &Rc<Self>, asked: &Asked<'_>, hold: impl FnOnce() -> Held) -> bool {
        let spg = asked.op.sending.spg;
        let mut all = self.peering.busy.borrow_mut();
        let epoch = self.epoch();
        match all.get_mut(&spg.pg).map(|busy| &mut busy.manner) {
            Some(Manner::Keep(kept)) => {
                kept.push(hold());
                true
            }
            Some(Manner::AskForQuiet) => {
                let whole = HobjectRange { begin: Hobject::MIN, end: Hobject::Max };
                self.peering.block(asked.link, spg, epoch, whole);
                true
            }
            None if chance(self.shared.with(|state| state.busy_objects)) => {
                let object = asked.object();
                let range = HobjectRange { begin: object.clone(), end: object };
                let id = self.peering.block(asked.link, spg, epoch, range);
                let osd = self.clone();
                spawn_detached(async move {
                    sleep(up_to(OBJECT_BUSY_MAX)).await;
                    osd.peering.lift(|message| message.id == id);
                });
                true
            }
            None => false,
        }
    }
}
