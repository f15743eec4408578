//! The monitors: one session with one of them, on the client's first core, for everything that comes from there: maps,
//! tickets, configuration, and the answers to commands.
//!
//! ```text
//!   Hunting ──── the first of a few that logs us in ───▶ Session ──── fault, silence, or a map without it ───▶ Hunting
//! ```
//!
//! The rule: a request that was not answered is sent again in the next session. Monitors apply commands that they saw
//! already a second time, as they do for every Ceph client; those that ringbd sends by itself bear that.

mod hunt;
mod incoming;
mod maps;
mod refusal;
mod requests;
mod session;
mod subscriptions;
mod tickets;

pub use requests::CommandOutput;
pub(super) use requests::MonRequest;

use super::core::Core;
use super::message::Message;
use super::status::{ConnectionStatus, MonitorsStatus};
use crate::error::Error;
use hunt::Hunt;
use maps::Maps;
use refusal::nobody_answers;
use requests::Requests;
use ringbd_proto::types::{EntityAddr, EntityTypes};
use ringbd_reactor::{Receiver, WaitQueue, sleep, spawn_detached};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use subscriptions::Subscriptions;

use super::connection::{Connection, Fault};

pub(super) struct Monitor {
    core: Rc<Core>,
    hunt: RefCell<Hunt>,
    maps: RefCell<Maps>,
    subscriptions: RefCell<Subscriptions>,
    requests: RefCell<Requests>,
    session: RefCell<Option<Session>>,
    /// Who waits for the first map.
    waiting: RefCell<Vec<oneshot::Sender<Result<(), Error>>>>,
    news: WaitQueue,
    ended: Cell<bool>,
}

/// A session with a monitor.
struct Session {
    connection: Rc<Connection>,
    addr: EntityAddr,
}

impl Monitor {
    /// Begins: hunts, and serves what the cores ask.
    pub(super) fn start(core: &Rc<Core>, mailbox: Receiver<MonRequest>) {
        let monitor = Rc::new(Monitor {
            core: core.clone(),
            hunt: RefCell::new(Hunt::default()),
            maps: RefCell::default(),
            subscriptions: RefCell::default(),
            requests: RefCell::default(),
            session: RefCell::new(None),
            waiting: RefCell::default(),
            news: WaitQueue::new(),
            ended: Cell::new(false),
        });
        spawn_detached(session::keep(monitor.clone()));
        spawn_detached(tick(monitor.clone()));
        spawn_detached(tickets::keep(monitor.clone()));
        spawn_detached(monitor.serve(mailbox));
    }

    async fn serve(self: Rc<Monitor>, mut mailbox: Receiver<MonRequest>) {
        while let Some(request) = mailbox.recv().await {
            match request {
                MonRequest::Ready(reply) => self.wait_for_map(reply),
                MonRequest::WhyNotReady { waited, reply } => {
                    let has_session = self.session.borrow().is_some();
                    let reason = nobody_answers(self.hunt.borrow().refusals(), has_session, waited);
                    // Who does not wait any more does not want to know.
                    drop(reply.send(reason));
                }
                MonRequest::Maps { versions, front } => self.take_map_message(versions, &front),
                MonRequest::NewerMap { than } => self.want_map_after(than),
                MonRequest::Tickets(service) => self.renew(EntityTypes::of(&[service])),
                MonRequest::Command { text, input, reply } => self.command(text, input, reply),
                MonRequest::Version { what, reply } => self.version(what, reply),
                MonRequest::PoolOp { pool, change, reply } => self.pool_op(pool, change, reply),
                MonRequest::Status(reply) => drop(reply.send(self.status())),
                MonRequest::Stop => break,
            }
        }
        self.end();
    }

    fn status(&self) -> MonitorsStatus {
        let session = self.session.borrow();
        let session = session.as_ref().map(|session| {
            let addr = session.addr;
            (
                self.maps.borrow().monitor_at(&addr).unwrap_or_default(),
                ConnectionStatus::of(&session.connection, addr),
            )
        });
        MonitorsStatus { known: self.maps.borrow().monitors(), session }
    }

    fn wait_for_map(&self, reply: oneshot::Sender<Result<(), Error>>) {
        if self.maps.borrow().newest().is_some() {
            drop(reply.send(Ok(())));
        } else {
            self.waiting.borrow_mut().push(reply);
        }
    }

    /// Tells who waits for the first map how it went.
    fn settle(&self, outcome: &Result<(), Error>) {
        for reply in self.waiting.take() {
            // Who does not wait any more does not want to know.
            drop(reply.send(outcome.clone()));
        }
    }

    /// Ends the session, if there is one; another will be looked for.
    fn end_session(&self, fault: Fault) {
        if let Some(session) = &*self.session.borrow() {
            session.connection.end(fault);
        }
    }

    fn end(&self) {
        self.ended.set(true);
        self.requests.borrow_mut().fail_all();
        self.end_session(Fault::Unneeded);
        self.news.wake_all();
    }

    fn publish(&self, message: impl FnMut() -> Message) {
        self.core.shared().tell_all(message);
    }
}

/// Keeps the session alive, and notices when it is not.
async fn tick(monitor: Rc<Monitor>) {
    loop {
        sleep(monitor.core.config().mon_ping_interval).await;
        if monitor.ended.get() {
            return;
        }
        monitor.requests.borrow_mut().forget_unwanted();
        let config = monitor.core.config();
        let connection = monitor.session.borrow().as_ref().map(|session| session.connection.clone());
        if let Some(connection) = connection {
            if connection.last_heard().elapsed() > config.mon_ping_timeout {
                connection.end(Fault::Silent(config.mon_ping_timeout));
                continue;
            }
            connection.send_keepalive(super::credentials::auth_now());
        }
    }
}
