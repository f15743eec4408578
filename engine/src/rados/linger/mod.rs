//! What stays: watches on objects, and notifications that wait for their watchers.
//!
//! An OSD forgets who watches when the connection ends. So the rule: whatever lingers is said again when the session with its
//! OSD is a new one, or when a map gives its placement group another primary.

mod notify;
mod watch;

pub(super) use notify::notify;
pub use notify::{NotifyOutcome, NotifyReply};
pub use watch::{Notification, Watch, WatchNews};

use super::core::Core;
use super::error::OpError;
use super::message::{CoreNo, Message};
use super::shared::Shared;
use ringbd_proto::osd::{MWatchNotify, WatchEvent};
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
    /// A cookie that nothing else of this client has.
    fn cookie(&self, core: CoreNo) -> u64 {
        self.last.set(self.last.get() + 1);
        self.last.get() << CORE_BITS | u64::from(core.0)
    }
}

/// The OSD where something lingers: as long as it does, the connection there is needed.
struct Whereabouts {
    shared: Arc<Shared>,
    osd: Cell<Option<OsdId>>,
}

impl Whereabouts {
    fn new(core: &Core, osd: Option<OsdId>) -> Whereabouts {
        let at = Whereabouts { shared: core.shared().clone(), osd: Cell::new(None) };
        at.set(osd);
        at
    }

    fn get(&self) -> Option<OsdId> {
        self.osd.get()
    }

    fn set(&self, osd: Option<OsdId>) {
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
        self.set(None);
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
        self.look_at_lingers(|at| at == Some(osd));
    }

    /// The map changed: whose primary is another one now is said again.
    pub(super) fn rewatch_moved(self: &Rc<Core>) {
        let watches: Vec<_> = self.lingers.watches.borrow().values().cloned().collect();
        for watching in watches {
            let primary = self.primary_of(watching.place());
            if primary.is_some() && primary != watching.osd() {
                watching.say_again(self, primary);
            }
        }
        let notifies: Vec<_> = self.lingers.notifies.borrow().values().cloned().collect();
        for notifying in notifies {
            let primary = self.primary_of(notifying.place());
            if primary.is_some() && primary != notifying.osd() {
                notifying.say_again(primary);
            }
        }
    }

    /// Asks the OSDs whether they have the watches of this core still.
    pub(super) fn ping_watches(&self) {
        let watches: Vec<_> = self.lingers.watches.borrow().values().cloned().collect();
        watches.iter().for_each(|watching| watching.ping());
    }

    /// The client is over: nobody tells it anything any more.
    pub(super) fn lose_watches(&self, error: &OpError) {
        let watches: Vec<_> = self.lingers.watches.borrow().values().cloned().collect();
        watches.iter().for_each(|watching| watching.lose(error.clone()));
    }

    fn look_at_lingers(self: &Rc<Core>, concerned: impl Fn(Option<OsdId>) -> bool) {
        let watches: Vec<_> = self.lingers.watches.borrow().values().cloned().collect();
        for watching in watches.into_iter().filter(|watching| concerned(watching.osd())) {
            let osd = watching.osd();
            watching.say_again(self, osd);
        }
        let notifies: Vec<_> = self.lingers.notifies.borrow().values().cloned().collect();
        for notifying in notifies.into_iter().filter(|notifying| concerned(notifying.osd())) {
            let osd = notifying.osd();
            notifying.say_again(osd);
        }
    }
}
