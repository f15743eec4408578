//! What stays: watches on objects, and notifications that wait for their watchers.
//!
//! An OSD forgets who watches when the connection ends, and when an interval of the placement group's life does: also when
//! it leads the next one too. So the rule: whatever lingers is said again when the session with its OSD is a new one, and
//! when a map begins another interval. When its pool is gone it is said once more, to learn just that.

mod notify;
mod watch;

pub(super) use notify::notify;
pub use notify::{NotifyOutcome, NotifyReply};
pub use watch::{Notification, Watch, WatchNews};

use super::core::Core;
use super::error::OpError;
use super::message::{CoreNo, MapStep, Message};
use super::objecter::Place;
use super::shared::Shared;
use ringbd_proto::osd::{MWatchNotify, WatchEvent};
use ringbd_proto::osdmap::Interval;
use ringbd_proto::types::{GlobalId, OsdId};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// Bits of a cookie that say which core the lingering thing is at home on.
const CORE_BITS: u32 = 8;

/// What lingers on this core, by cookie.
#[derive(Default)]
pub(super) struct Lingers {
    last: Cell<u64>,
    watches: RefCell<BTreeMap<u64, Rc<watch::Watching>>>,
    notifies: RefCell<BTreeMap<u64, Rc<notify::Notifying>>>,
}

impl Lingers {
    /// Whether anything lingers here.
    pub(super) fn any(&self) -> bool {
        !self.watches.borrow().is_empty() || !self.notifies.borrow().is_empty()
    }

    /// A cookie that nothing else of this client has.
    fn cookie(&self, core: CoreNo) -> u64 {
        self.last.set(self.last.get() + 1);
        self.last.get() << CORE_BITS | u64::from(core.0)
    }
}

/// Where something lingers: the OSD, whose connection is needed as long, and the interval in which that OSD remembers it.
struct Whereabouts {
    shared: Arc<Shared>,
    place: Place,
    osd: Cell<Option<OsdId>>,
    /// None while the map does not place it.
    interval: RefCell<Option<Rc<Interval>>>,
}

impl Whereabouts {
    fn new(core: &Core, place: Place) -> Whereabouts {
        let interval = RefCell::default();
        let at = Whereabouts { shared: core.shared().clone(), place, osd: Cell::new(None), interval };
        at.go(core.interval_of(place));
        at
    }

    fn osd(&self) -> Option<OsdId> {
        self.osd.get()
    }

    /// Takes the interval of the newest map, and returns the one before.
    fn go(&self, interval: Option<Rc<Interval>>) -> Option<Rc<Interval>> {
        self.set_osd(interval.as_ref().and_then(|interval| interval.mapping.acting_primary));
        self.interval.replace(interval)
    }

    /// Looks at a new map. True when what lingers has to be said again.
    fn look(&self, core: &Core, step: MapStep) -> bool {
        let next = core.interval_of(self.place);
        let before = self.go(next.clone());
        match (before, next) {
            // Nobody can be told. The next interval with a primary is another one.
            (_, Some(next)) if next.mapping.acting_primary.is_none() => false,
            (Some(before), Some(next)) => {
                step == MapStep::Jump || (!Rc::ptr_eq(&before, &next) && before.ends(&next, self.place.hash))
            }
            // Saying it again tells whether the pool is gone for good.
            (None, Some(_)) | (Some(_), None) => true,
            (None, None) => false,
        }
    }

    fn set_osd(&self, osd: Option<OsdId>) {
        let before = self.osd.replace(osd);
        if before == osd {
            return;
        }
        if let Some(osd) = osd {
            self.shared.linger_at(osd);
        }
        if let Some(osd) = before {
            self.shared.leave(osd);
        }
    }
}

impl Drop for Whereabouts {
    fn drop(&mut self) {
        self.set_osd(None);
    }
}

/// What an OSD says of something that lingers, on its way to the core where that is at home.
#[derive(Debug)]
pub(super) struct LingerEvent {
    pub(super) event: WatchEvent,
    pub(super) cookie: u64,
    pub(super) notify_id: u64,
    pub(super) notifier: GlobalId,
    pub(super) payload: Vec<u8>,
    /// The watchers' answers, encoded.
    pub(super) responses: Vec<u8>,
}

impl LingerEvent {
    fn core(&self) -> CoreNo {
        CoreNo((self.cookie & ((1 << CORE_BITS) - 1)) as u8)
    }
}

impl Core {
    /// Brings what an OSD says to the core that it concerns.
    pub(super) fn route_watch_event(&self, event: &MWatchNotify<'_>, data: &[u8]) {
        // How a notification ended is said by who answered it.
        let MWatchNotify { event, cookie, notify_id, payload, return_code: _, notifier, .. } = event;
        let event = LingerEvent {
            event: *event,
            cookie: *cookie,
            notify_id: *notify_id,
            notifier: *notifier,
            payload: payload.to_vec(),
            responses: data.to_vec(),
        };
        let core = event.core();
        if core == self.no() {
            self.take_watch_event(event);
        } else if usize::from(core.0) < self.shared().cores() {
            self.shared().send(core, Message::Watch(event));
        }
    }

    /// Something lingers here, or did: its end may have crossed with this.
    pub(super) fn take_watch_event(&self, event: LingerEvent) {
        match event.event {
            WatchEvent::Notify | WatchEvent::Disconnect => {
                let watching = self.lingers.watches.borrow().get(&event.cookie).cloned();
                if let Some(watching) = watching {
                    watching.take(event);
                }
            }
            WatchEvent::NotifyComplete => {
                let notifying = self.lingers.notifies.borrow().get(&event.cookie).cloned();
                if let Some(notifying) = notifying {
                    notifying.complete(event);
                }
            }
        }
    }

    /// The session with an OSD is a new one.
    pub(super) fn rewatch(self: &Rc<Core>, osd: OsdId) {
        self.say_again(|at| at.osd() == Some(osd));
    }

    /// The map changed.
    pub(super) fn rewatch_moved(self: &Rc<Core>, step: MapStep) {
        self.say_again(|at| at.look(self, step));
    }

    /// Asks the OSDs whether they have the watches of this core still.
    pub(super) fn ping_watches(&self) {
        let watches: Vec<_> = self.lingers.watches.borrow().values().cloned().collect();
        watches.iter().for_each(|watching| watching.ping());
    }

    /// The client is over: nobody tells it anything any more.
    pub(super) fn lose_lingers(&self, error: &OpError) {
        let watches: Vec<_> = self.lingers.watches.borrow().values().cloned().collect();
        watches.iter().for_each(|watching| watching.lose(error.clone()));
        let notifies: Vec<_> = self.lingers.notifies.borrow().values().cloned().collect();
        notifies.iter().for_each(|notifying| notifying.fail(error.clone()));
    }

    fn say_again(self: &Rc<Core>, forgotten: impl Fn(&Whereabouts) -> bool) {
        let watches: Vec<_> = self.lingers.watches.borrow().values().cloned().collect();
        for watching in watches.into_iter().filter(|watching| forgotten(watching.at())) {
            watching.say_again();
        }
        let notifies: Vec<_> = self.lingers.notifies.borrow().values().cloned().collect();
        for notifying in notifies.into_iter().filter(|notifying| forgotten(notifying.at())) {
            notifying.say_again();
        }
    }
}
