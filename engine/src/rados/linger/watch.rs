//! A watch: being told when somebody notifies an object's watchers.
//!
//! ```text
//!   Watch(WATCH) ──▶ held ──── every few seconds: PING ────▶ held
//!                     │ new session or new primary: RECONNECT, generation + 1
//!                     └──── the OSD does not know it any more ──▶ lost: WatchNews::Lost, once
//! ```

use super::{LingerEvent, Whereabouts};
use crate::rados::core::Core;
use crate::rados::error::OpError;
use crate::rados::ioctx::IoCtx;
use crate::rados::objecter::Place;
use ringbd_proto::osd::{OsdOp, WatchAction, WatchEvent};
use ringbd_proto::types::{Errno, GlobalId, OsdId};
use ringbd_reactor::{Buf, Instant, SharedBuf, WaitQueue, now, spawn_detached};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

/// News that a watcher has not taken. Beyond that the oldest are dropped, and their notifiers see a time-out.
const NEWS_MAX: usize = 4096;

/// A watch on an object. Dropping it stops watching without waiting for the OSD; [`close`](Watch::close) waits.
pub struct Watch {
    io: IoCtx,
    watching: Rc<Watching>,
    closed: bool,
}

/// What a watcher is told.
#[derive(Debug)]
pub enum WatchNews {
    /// Somebody notifies; see [`Watch::ack`].
    Notified(Notification),
    /// The watch is gone: the object was removed, or the OSD heard nothing from us for too long. Watch anew.
    Lost(OpError),
}

/// Somebody notifies the watchers of an object, and waits until each has answered.
#[derive(Debug)]
pub struct Notification {
    /// The notification's number at its OSD.
    pub notify_id: u64,
    /// The client that notifies.
    pub notifier: GlobalId,
    /// What it says.
    pub payload: Vec<u8>,
}

/// The core's part of a watch.
pub(super) struct Watching {
    cookie: u64,
    io: IoCtx,
    object: Vec<u8>,
    osd: Whereabouts,
    /// How often it had to be said again.
    generation: Cell<u32>,
    /// The OSD has the watch.
    held: Cell<bool>,
    /// When the OSD last said that it has it.
    confirmed: Cell<Instant>,
    pinging: Cell<bool>,
    news: RefCell<VecDeque<WatchNews>>,
    something: WaitQueue,
}

impl Watch {
    /// Watches `object`.
    pub(in crate::rados) async fn start(io: &IoCtx, object: &[u8]) -> Result<Watch, OpError> {
        let core = io.core();
        let cookie = core.lingers.cookie(core.no());
        let watching = Rc::new(Watching {
            cookie,
            io: io.clone(),
            object: object.to_vec(),
            osd: Whereabouts::new(core, core.primary_of(io.place_of(object))),
            generation: Cell::new(0),
            held: Cell::new(false),
            confirmed: Cell::new(now()),
            pinging: Cell::new(false),
            news: RefCell::default(),
            something: WaitQueue::new(),
        });
        core.lingers.watches.borrow_mut().insert(cookie, watching.clone());
        let watch = Watch { io: io.clone(), watching, closed: false };
        watch.watching.say(WatchAction::Watch, 0).await?;
        watch.watching.held.set(true);
        watch.watching.confirmed.set(now());
        if watch.watching.generation.get() > 0 {
            // The session was a new one before the answer was heard.
            watch.watching.say_again(core, watch.watching.osd());
        }
        Ok(watch)
    }

    /// The watch's number: the OSD lists it among the object's watchers.
    pub fn cookie(&self) -> u64 {
        self.watching.cookie
    }

    /// The next news. After [`WatchNews::Lost`] there is none.
    pub async fn next(&self) -> WatchNews {
        loop {
            let news = self.watching.news.borrow_mut().pop_front();
            match news {
                Some(news) => return news,
                None => self.watching.something.wait().await,
            }
        }
    }

    /// Answers a notification. Who notified gets `reply`.
    pub async fn ack(&self, notification: &Notification, reply: &[u8]) -> Result<(), OpError> {
        let Watching { cookie, object, .. } = &*self.watching;
        let reply = SharedBuf::from(Buf::from_slice(reply));
        let op = OsdOp::NotifyAck { notify_id: notification.notify_id, cookie: *cookie, reply };
        self.io.read_op(object, op).await.map(drop)
    }

    /// How long ago the OSD last said that it has the watch.
    pub fn age(&self) -> std::time::Duration {
        self.watching.confirmed.get().elapsed()
    }

    /// Stops watching, and waits until the OSD has forgotten it.
    pub async fn close(mut self) -> Result<(), OpError> {
        self.forget();
        self.watching.say(WatchAction::Unwatch, self.watching.generation.get()).await
    }

    fn forget(&mut self) {
        self.closed = true;
        self.io.core().lingers.watches.borrow_mut().remove(&self.watching.cookie);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        self.forget();
        let watching = self.watching.clone();
        if self.io.core().check_alive().is_ok() && ringbd_reactor::World::try_current().is_some() {
            spawn_detached(async move {
                if let Err(error) = watching.say(WatchAction::Unwatch, watching.generation.get()).await {
                    tracing::debug!(%error, "a watch could not be taken back; the OSD forgets it by itself");
                }
            });
        }
    }
}

impl Watching {
    pub(super) fn place(&self) -> Place {
        self.io.place_of(&self.object)
    }

    pub(super) fn osd(&self) -> Option<OsdId> {
        self.osd.get()
    }

    async fn say(&self, action: WatchAction, generation: u32) -> Result<(), OpError> {
        // 0: as long as the OSD gives a watcher that does not say.
        let limit = self.io.core().config().watch_timeout.map_or(0, |limit| limit.as_secs());
        let timeout_s = u32::try_from(limit).unwrap_or(u32::MAX);
        let op = OsdOp::Watch { cookie: self.cookie, action, generation, timeout_s };
        self.io.write_op_without_snaps(&self.object, op).await.map(drop)
    }

    /// The OSD may have forgotten the watch: it is said again.
    pub(super) fn say_again(self: &Rc<Watching>, core: &Rc<Core>, osd: Option<OsdId>) {
        self.osd.set(osd);
        self.generation.set(self.generation.get() + 1);
        if !self.held.get() || core.check_alive().is_err() {
            return;
        }
        let (watching, generation) = (self.clone(), self.generation.get());
        spawn_detached(async move {
            let said = watching.say(WatchAction::Reconnect, generation).await;
            watching.judge(generation, said);
        });
    }

    /// Asks whether the OSD has the watch still.
    pub(super) fn ping(self: &Rc<Watching>) {
        if !self.held.get() || self.pinging.replace(true) {
            return;
        }
        let (watching, generation) = (self.clone(), self.generation.get());
        spawn_detached(async move {
            let said = watching.say(WatchAction::Ping, generation).await;
            watching.pinging.set(false);
            watching.judge(generation, said);
        });
    }

    fn judge(&self, generation: u32, said: Result<(), OpError>) {
        match said {
            Ok(()) => self.confirmed.set(now()),
            // An answer to what was said before a newer reconnect says nothing about that.
            Err(_) if generation != self.generation.get() => {}
            Err(OpError::Errno(errno)) if errno == Errno::ENOENT.number() => {
                self.lose(OpError::Errno(Errno::ENOTCONN.number()));
            }
            Err(error) => self.lose(error),
        }
    }

    pub(super) fn lose(&self, error: OpError) {
        if self.held.replace(false) {
            self.push(WatchNews::Lost(error));
        }
    }

    pub(super) fn take(&self, event: LingerEvent) {
        match event.event {
            WatchEvent::Notify => {
                let LingerEvent { notify_id, notifier, payload, .. } = event;
                self.push(WatchNews::Notified(Notification { notify_id, notifier, payload }));
            }
            WatchEvent::Disconnect => self.lose(OpError::Errno(Errno::ENOTCONN.number())),
            WatchEvent::NotifyComplete => {}
        }
    }

    fn push(&self, news: WatchNews) {
        let mut all = self.news.borrow_mut();
        if all.len() == NEWS_MAX {
            all.pop_front();
            tracing::warn!(cookie = self.cookie, "a watcher does not take its news; the oldest are dropped");
        }
        all.push_back(news);
        drop(all);
        self.something.wake_one();
    }
}
