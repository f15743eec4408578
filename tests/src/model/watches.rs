//! An OSD's part in watch and notify.
//!
//! Who watches an object is part of the truth, as it is in Ceph; over which connection, when it was last heard, and which
//! notifications are under way, only the OSD knows. It forgets that when it dies, and of a placement group whenever its
//! interval ends, also if it goes on to lead it. A watcher that is silent for too long is forgotten altogether.

use super::census::Seen;
use super::operations::Asked;
use super::osd::{Osd, OsdLink};
use super::state::State;
use super::truth::Outcome;
use super::watchers::Registered;
use ringbd_proto::codec::Encoder;
use ringbd_proto::osd::{MWatchNotify, NotifyResponses, WatchAction, WatchEvent, Watcher};
use ringbd_proto::types::{Epoch, Errno, GlobalId, PoolId, Tid};
use ringbd_reactor::{Buf, Instant, SharedBuf, now, sleep, spawn_detached};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// How long a notification waits if its notifier does not say.
const NOTIFY_TIMEOUT_S: u32 = 10;

/// How long a watcher may be silent if it does not say.
const WATCH_TIMEOUT_S: u32 = 30;

/// How often an OSD looks for watchers that are silent.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Watches {
    /// Watchers of objects that this OSD leads.
    live: RefCell<BTreeMap<(Vec<u8>, Watcher), Live>>,
    notifications: RefCell<BTreeMap<u64, Notification>>,
    last_id: Cell<u64>,
}

/// What this OSD knows of a watcher.
struct Live {
    /// Over which connection it is told.
    link: Option<OsdLink>,
    heard: Instant,
}

/// A notification that waits for watchers.
struct Notification {
    object: Vec<u8>,
    /// Where the object is, and what places it.
    place: (PoolId, u32),
    notifier: OsdLink,
    cookie: u64,
    payload: Vec<u8>,
    waits_for: BTreeSet<Watcher>,
    acks: Vec<(Watcher, Vec<u8>)>,
}

impl Notification {
    fn tell(&self, id: u64, watcher: Watcher, link: &OsdLink) {
        let notifier = self.notifier.global_id;
        event(link, WatchEvent::Notify, watcher.cookie, id, notifier, &self.payload, SharedBuf::empty());
    }
}

fn event(
    link: &OsdLink,
    event: WatchEvent,
    cookie: u64,
    notify_id: u64,
    notifier: GlobalId,
    payload: &[u8],
    data: SharedBuf,
) {
    let message =
        MWatchNotify { event, cookie, object_version: 0, notify_id, payload, return_code: 0, notifier };
    link.post(Tid(0), &message, data);
}

impl Watches {
    /// A connection is gone.
    pub(super) fn disconnect(&self, link: &OsdLink) {
        for live in self.live.borrow_mut().values_mut() {
            live.link.take_if(|other| Rc::ptr_eq(other, link));
        }
        self.notifications.borrow_mut().retain(|_, notification| !Rc::ptr_eq(&notification.notifier, link));
    }

    fn connect(&self, object: &[u8], watcher: Watcher, link: &OsdLink) {
        let live = Live { link: Some(link.clone()), heard: now() };
        self.live.borrow_mut().insert((object.to_vec(), watcher), live);
        for (id, notification) in &*self.notifications.borrow() {
            if notification.object == object && notification.waits_for.contains(&watcher) {
                notification.tell(*id, watcher, link);
            }
        }
    }

    /// Whether a watcher is connected; it was heard now.
    fn ping(&self, object: &[u8], watcher: Watcher) -> bool {
        let mut all = self.live.borrow_mut();
        let live = all.get_mut(&(object.to_vec(), watcher)).filter(|live| live.link.is_some());
        live.map(|live| live.heard = now()).is_some()
    }

    /// A watcher watches no more: nobody waits for it.
    fn remove(&self, object: &[u8], watcher: Watcher, tell: bool) {
        let live = self.live.borrow_mut().remove(&(object.to_vec(), watcher));
        if let Some(link) = live.and_then(|live| live.link).filter(|_| tell) {
            event(&link, WatchEvent::Disconnect, watcher.cookie, 0, GlobalId(0), b"", SharedBuf::empty());
        }
        let mut complete = Vec::new();
        for (id, notification) in &mut *self.notifications.borrow_mut() {
            if notification.object == object && notification.waits_for.remove(&watcher) {
                complete.extend(notification.waits_for.is_empty().then_some(*id));
            }
        }
        complete.into_iter().for_each(|id| {
            self.complete(id);
        });
    }

    /// Ends a notification: tells the notifier who answered. Returns whether all did.
    fn complete(&self, id: u64) -> Option<bool> {
        let notification = self.notifications.borrow_mut().remove(&id)?;
        let Notification { notifier, cookie, waits_for, acks, .. } = notification;
        let acks = acks.iter().map(|(watcher, reply)| (*watcher, &reply[..])).collect();
        let all = waits_for.is_empty();
        let responses = NotifyResponses { acks, timeouts: waits_for.into_iter().collect() };
        let data = Encoder::to_vec(|e| responses.encode(e));
        let data = SharedBuf::from(Buf::from_slice(&data));
        event(&notifier, WatchEvent::NotifyComplete, cookie, id, notifier.global_id, b"", data);
        Some(all)
    }
}

/// The span that a number of seconds stands for.
fn seconds(said: u32, default: u32) -> Duration {
    Duration::from_secs(u64::from(if said == 0 { default } else { said }))
}

impl Osd {
    pub(super) fn watch(
        self: &Rc<Self>,
        asked: &Asked<'_>,
        cookie: u64,
        action: WatchAction,
        timeout_s: u32,
    ) {
        let name = asked.op.name;
        let watcher = Watcher { client: asked.link.global_id, cookie };
        let timeout = seconds(timeout_s, WATCH_TIMEOUT_S);
        let registered =
            Registered { pool: asked.op.locator.pool, hash: asked.op.hash, timeout, addr: asked.link.addr };
        let first = self.shared.with(|state| state.truth.first_outcome(asked.reqid()));
        if let Some(outcome) = first {
            // It was done, on another connection perhaps: it connects nobody to this one.
            return self.answer(asked, &outcome);
        }
        let refusal = self.shared.with(|state| self.refusal(state, asked, watcher, action));
        let outcome = self.shared.with(|state| {
            match action {
                _ if refusal.is_some() => {}
                WatchAction::Watch => state.watchers.register(name, watcher, registered),
                WatchAction::Unwatch => state.watchers.unregister(name, watcher),
                WatchAction::Reconnect => state.census.count(Seen::Rewatched),
                WatchAction::Ping => {}
            }
            let outcome = match refusal {
                Some(errno) => Outcome::refused(errno),
                None => state.truth.nothing_changed(name),
            };
            if action != WatchAction::Ping {
                state.truth.remember(asked.reqid(), outcome.clone());
            }
            outcome
        });
        self.answer(asked, &outcome);
        match action {
            _ if refusal.is_some() => {}
            WatchAction::Watch | WatchAction::Reconnect => self.watches.connect(name, watcher, asked.link),
            WatchAction::Unwatch => self.watches.remove(name, watcher, false),
            WatchAction::Ping => {}
        }
    }

    /// Why a watcher does not get what it asks for.
    fn refusal(
        &self,
        state: &mut State,
        asked: &Asked<'_>,
        watcher: Watcher,
        action: WatchAction,
    ) -> Option<Errno> {
        let name = asked.op.name;
        let is_known = state.watchers.has(name, watcher);
        match action {
            _ if !state.truth.is_there(name) => Some(Errno::ENOENT),
            WatchAction::Reconnect | WatchAction::Ping if !is_known => Some(Errno::ENOTCONN),
            WatchAction::Ping if !self.watches.ping(name, watcher) => {
                state.census.count(Seen::PingedInVain);
                Some(Errno::ETIMEDOUT)
            }
            WatchAction::Watch | WatchAction::Reconnect | WatchAction::Ping | WatchAction::Unwatch => None,
        }
    }

    pub(super) fn notify(self: &Rc<Self>, asked: &Asked<'_>, cookie: u64, timeout_s: u32, payload: &[u8]) {
        let name = asked.op.name;
        let (is_there, watchers) = self.shared.with(|state| {
            (state.truth.is_there(name), state.watchers.of(name).collect::<BTreeSet<Watcher>>())
        });
        if !is_there {
            return self.answer(asked, &Outcome::refused(Errno::ENOENT));
        }
        let id = u64::from(self.epoch().0) << 32 | (self.watches.last_id.get() + 1);
        self.watches.last_id.set(self.watches.last_id.get() + 1);
        let outcome = self.shared.with(|state| state.truth.nothing_changed(name));
        let opcode = asked.op.ops[0].op.opcode();
        self.answer(asked, &outcome.with_output(opcode, &id.to_le_bytes()));
        let notification = Notification {
            object: name.to_vec(),
            place: (asked.op.locator.pool, asked.op.hash),
            notifier: asked.link.clone(),
            cookie,
            payload: payload.to_vec(),
            waits_for: watchers,
            acks: Vec::new(),
        };
        for watcher in &notification.waits_for {
            let live = self.watches.live.borrow();
            if let Some(link) = live.get(&(name.to_vec(), *watcher)).and_then(|live| live.link.as_ref()) {
                notification.tell(id, *watcher, link);
            }
        }
        let nobody = notification.waits_for.is_empty();
        self.watches.notifications.borrow_mut().insert(id, notification);
        if nobody {
            self.watches.complete(id);
            return;
        }
        let osd = self.clone();
        spawn_detached(async move {
            sleep(seconds(timeout_s, NOTIFY_TIMEOUT_S)).await;
            if osd.watches.complete(id).is_some() {
                osd.shared.count(Seen::NotifiedInPart);
            }
        });
    }

    pub(super) fn notify_ack(self: &Rc<Self>, asked: &Asked<'_>, id: u64, cookie: u64, reply: &[u8]) {
        let watcher = Watcher { client: asked.link.global_id, cookie };
        let outcome = self.shared.with(|state| state.truth.nothing_changed(asked.op.name));
        self.answer(asked, &outcome);
        let is_complete = {
            let mut all = self.watches.notifications.borrow_mut();
            let Some(notification) = all.get_mut(&id) else { return };
            if notification.waits_for.remove(&watcher) {
                notification.acks.push((watcher, reply.to_vec()));
            }
            notification.waits_for.is_empty()
        };
        if is_complete && self.watches.complete(id).is_some() {
            self.shared.count(Seen::NotifiedAll);
        }
    }

    /// Tells those who watched an object that is gone.
    pub(super) fn disconnect_watchers_of_removed(&self, name: &[u8]) {
        let watchers: Vec<Watcher> = {
            let live = self.watches.live.borrow();
            live.keys().filter(|(object, _)| object == name).map(|(_, watcher)| *watcher).collect()
        };
        if watchers.is_empty() || self.shared.with(|state| state.truth.is_there(name)) {
            return;
        }
        watchers.into_iter().for_each(|watcher| self.watches.remove(name, watcher, true));
    }

    /// A map has come. Of a placement group whose interval has ended since `before`, an OSD knows neither connections nor
    /// notifications any more.
    pub(super) fn forget_watches_of_ended_intervals(&self, before: Epoch) {
        let have = self.epoch();
        self.shared.with(|state| {
            let goes_on = |state: &State, (pool, hash): (PoolId, u32)| {
                let map = state.maps.map(have);
                let pg = map.pool(pool).map(|found| found.pg(pool, hash));
                let lead = pg.and_then(|pg| state.maps.lead(have, pg));
                lead.is_some_and(|lead| {
                    lead.osd.is_some_and(|(osd, _)| osd == self.id) && lead.interval <= before
                })
            };
            self.watches.live.borrow_mut().retain(|(object, watcher), _| {
                let registered = state.watchers.registered(object, *watcher);
                registered.is_some_and(|registered| goes_on(state, (registered.pool, registered.hash)))
            });
            let mut notifications = self.watches.notifications.borrow_mut();
            let was = notifications.len();
            notifications.retain(|_, notification| goes_on(state, notification.place));
            let forgotten = was - notifications.len();
            (0..forgotten).for_each(|_| state.census.count(Seen::NotificationForgotten));
        });
    }

    /// Forgets watchers that were silent for too long, or that are fenced.
    pub(super) async fn watch_over_watchers(self: Rc<Self>) {
        loop {
            sleep(LOOK_INTERVAL).await;
            for (object, watcher) in self.lapsed() {
                self.shared.with(|state| {
                    state.watchers.forget(&object, watcher);
                    state.census.count(Seen::WatcherForgotten);
                });
                self.watches.remove(&object, watcher, true);
            }
        }
    }

    /// The watchers of objects that this OSD leads, by its own map and the newest, whose time is over.
    fn lapsed(&self) -> Vec<(Vec<u8>, Watcher)> {
        self.shared.with(|state| {
            let (have, newest) = (self.epoch(), state.maps.newest());
            let map = state.maps.map(have);
            let leads = |registered: &Registered| {
                let lead = |epoch| state.maps.lead(epoch, registered.pg(map)?);
                lead(have) == lead(newest)
                    && lead(have).is_some_and(|lead| lead.osd.is_some_and(|(osd, _)| osd == self.id))
            };
            let mut live = self.watches.live.borrow_mut();
            let its = state.watchers.all().filter(|(_, _, registered)| leads(registered));
            let lapsed = its.filter(|(object, watcher, registered)| {
                // Of a watcher that it has not heard yet, it waits for a first sign.
                let fresh = || Live { link: None, heard: now() };
                let live = live.entry((object.to_vec(), *watcher)).or_insert_with(fresh);
                live.heard.elapsed() > registered.timeout || map.is_blocklisted(&registered.addr)
            });
            lapsed.map(|(object, watcher, _)| (object.to_vec(), watcher)).collect()
        })
    }
}
