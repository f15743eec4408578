//! An OSD's part in watch and notify.
//!
//! Who watches an object is part of the truth, as it is in Ceph; over which connection, and which notifications are under way,
//! only the OSD knows, and forgets when it dies.

use super::osd::{Asked, Osd, OsdLink};
use super::truth::Outcome;
use ringbd_proto::codec::Encoder;
use ringbd_proto::osd::{MWatchNotify, NotifyResponses, WatchAction, WatchEvent, Watcher};
use ringbd_proto::types::{Errno, GlobalId, Tid};
use ringbd_reactor::{Buf, SharedBuf, sleep, spawn_detached};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// How long a notification waits if its notifier does not say.
const NOTIFY_TIMEOUT_S: u32 = 10;

#[derive(Default)]
pub(super) struct Watches {
    /// Over which connection a watcher of an object is told.
    connected: RefCell<BTreeMap<(Vec<u8>, Watcher), OsdLink>>,
    notifications: RefCell<BTreeMap<u64, Notification>>,
    last_id: Cell<u64>,
}

/// A notification that waits for watchers.
struct Notification {
    object: Vec<u8>,
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
        self.connected.borrow_mut().retain(|_, other| !Rc::ptr_eq(other, link));
        self.notifications.borrow_mut().retain(|_, notification| !Rc::ptr_eq(&notification.notifier, link));
    }

    fn connect(&self, object: &[u8], watcher: Watcher, link: &OsdLink) {
        self.connected.borrow_mut().insert((object.to_vec(), watcher), link.clone());
        for (id, notification) in &*self.notifications.borrow() {
            if notification.object == object && notification.waits_for.contains(&watcher) {
                notification.tell(*id, watcher, link);
            }
        }
    }

    /// Ends a notification: tells the notifier who answered.
    fn complete(&self, id: u64) {
        let Some(notification) = self.notifications.borrow_mut().remove(&id) else { return };
        let Notification { notifier, cookie, waits_for, acks, .. } = notification;
        let acks = acks.iter().map(|(watcher, reply)| (*watcher, &reply[..])).collect();
        let responses = NotifyResponses { acks, timeouts: waits_for.into_iter().collect() };
        let data = Encoder::to_vec(|e| responses.encode(e));
        let data = SharedBuf::from(Buf::from_slice(&data));
        event(&notifier, WatchEvent::NotifyComplete, cookie, id, notifier.global_id, b"", data);
    }
}

impl Osd {
    pub(super) fn watch(self: &Rc<Self>, asked: &Asked<'_>, cookie: u64, action: WatchAction) {
        let name = asked.op.name;
        let watcher = Watcher { client: asked.link.global_id, cookie };
        let key = (name.to_vec(), watcher);
        let is_connected =
            self.watches.connected.borrow().get(&key).is_some_and(|link| Rc::ptr_eq(link, asked.link));
        let (outcome, is_new) = self.shared.with(|state| {
            if let Some(outcome) = state.truth.first_outcome(asked.reqid()) {
                return (outcome, false);
            }
            let is_there = state.truth.is_there(name);
            let watchers = state.watches.entry(name.to_vec()).or_default();
            let is_known = watchers.contains(&watcher);
            let refusal = match action {
                _ if !is_there => Some(Errno::ENOENT),
                WatchAction::Reconnect if !is_known => Some(Errno::ENOTCONN),
                WatchAction::Ping if !is_known => Some(Errno::ENOTCONN),
                WatchAction::Ping if !is_connected => Some(Errno::ETIMEDOUT),
                WatchAction::Watch | WatchAction::Reconnect | WatchAction::Ping | WatchAction::Unwatch => {
                    None
                }
            };
            let outcome = match refusal {
                Some(errno) => Outcome::refused(errno),
                None => state.truth.nothing_changed(name),
            };
            match action {
                _ if refusal.is_some() => {}
                WatchAction::Watch => drop(watchers.insert(watcher)),
                WatchAction::Unwatch => drop(watchers.remove(&watcher)),
                WatchAction::Reconnect | WatchAction::Ping => {}
            }
            state.truth.remember(asked.reqid(), outcome.clone());
            (outcome, true)
        });
        self.answer(asked, &outcome);
        if outcome.result < 0 || !is_new {
            return;
        }
        match action {
            WatchAction::Watch | WatchAction::Reconnect => self.watches.connect(name, watcher, asked.link),
            WatchAction::Unwatch => drop(self.watches.connected.borrow_mut().remove(&key)),
            WatchAction::Ping => {}
        }
    }

    pub(super) fn notify(self: &Rc<Self>, asked: &Asked<'_>, cookie: u64, timeout_s: u32, payload: &[u8]) {
        let name = asked.op.name;
        let (is_there, watchers) = self
            .shared
            .with(|state| (state.truth.is_there(name), state.watches.get(name).cloned().unwrap_or_default()));
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
            notifier: asked.link.clone(),
            cookie,
            payload: payload.to_vec(),
            waits_for: watchers,
            acks: Vec::new(),
        };
        for watcher in &notification.waits_for {
            if let Some(link) = self.watches.connected.borrow().get(&(name.to_vec(), *watcher)) {
                notification.tell(id, *watcher, link);
            }
        }
        let nobody = notification.waits_for.is_empty();
        self.watches.notifications.borrow_mut().insert(id, notification);
        if nobody {
            return self.watches.complete(id);
        }
        let limit = if timeout_s == 0 { NOTIFY_TIMEOUT_S } else { timeout_s };
        let osd = self.clone();
        spawn_detached(async move {
            sleep(Duration::from_secs(limit.into())).await;
            osd.watches.complete(id);
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
        if is_complete {
            self.watches.complete(id);
        }
    }

    /// Tells those who watched an object that is gone.
    pub(super) fn disconnect_watchers_of_removed(&self, name: &[u8]) {
        if self.watches.connected.borrow().is_empty() || self.shared.with(|state| state.truth.is_there(name))
        {
            return;
        }
        let mut connected = self.watches.connected.borrow_mut();
        connected.retain(|(object, watcher), link| {
            if object != name {
                return true;
            }
            event(link, WatchEvent::Disconnect, watcher.cookie, 0, GlobalId(0), b"", SharedBuf::empty());
            false
        });
    }
}
