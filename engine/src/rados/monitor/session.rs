//! A session with a monitor: hunt for one, say what we want of it, listen until it is gone, and again.

use super::incoming::Arrivals;
use super::requests::Question;
use super::{MonRequest, Monitor, Session};
use crate::rados::connection::{Connection, Opened};
use crate::rados::credentials::LoginExchange;
use crate::rados::error::OpError;
use crate::rados::pieces::Pieces;
use ringbd_proto::message::Front;
use ringbd_proto::mon::{MMonCommand, MMonGetVersion, MPoolOp, PoolChange};
use ringbd_proto::msgr2::{MessageHeader, MessageType};
use ringbd_proto::types::{PoolId, Tid};
use ringbd_reactor::{Buf, Elapsed, timeout};
use std::rc::Rc;

use super::requests::{CommandOutput, PoolOutcome};

/// The task that keeps a session.
pub(super) async fn keep(monitor: Rc<Monitor>) {
    while !monitor.ended.get() {
        match monitor.hunt().await {
            Ok(opened) => monitor.use_session(opened).await,
            Err(Some(fatal)) => monitor.settle(&Err(fatal)),
            Err(None) => {}
        }
        let pause = monitor.hunt.borrow().pause(&monitor.core.config());
        if !monitor.ended.get() && !pause.is_zero() {
            // The end of the pause and news are both reasons to go on.
            let _: Result<(), Elapsed> = timeout(pause, monitor.news.wait()).await;
        }
    }
}

impl Monitor {
    async fn use_session(self: &Rc<Monitor>, opened: Opened<LoginExchange>) {
        let Opened { connection, incoming, global_id, peer, exchange } = opened;
        let mode = connection.con_mode();
        tracing::info!(monitor = peer.num, addrs = %peer.addrs, ?mode, %global_id, "monitor session");
        self.core.shared().log_in(global_id, exchange.into_tickets());
        let addr = peer.addrs.msgr2().copied().unwrap_or_default();
        *self.session.borrow_mut() = Some(Session { connection: connection.clone(), addr });
        post(&connection, Tid(0), &self.subscriptions.borrow().all(), &Pieces::None);
        self.requests.borrow_mut().forget_unwanted();
        self.send_questions();
        self.renew_what_is_due();
        let mut arrivals = Arrivals { monitor: self.clone() };
        let fault = incoming.run(&connection, &mut arrivals).await;
        *self.session.borrow_mut() = None;
        tracing::info!(monitor = peer.num, reason = %fault, "the monitor session ended");
    }

    /// Sends everything that was asked and not answered, oldest first.
    pub(super) fn send_questions(&self) {
        if let Some(session) = &*self.session.borrow() {
            for tid in self.requests.borrow().tids() {
                self.send_question(&session.connection, tid);
            }
        }
    }

    /// Sends a message, if there is a session; else it is sent in the next one.
    pub(super) fn send<'a>(&self, front: &impl Front<'a>) {
        if let Some(session) = &*self.session.borrow() {
            post(&session.connection, Tid(0), front, &Pieces::None);
        }
    }

    pub(super) fn command(
        &self,
        text: String,
        input: Vec<u8>,
        reply: oneshot::Sender<Result<CommandOutput, OpError>>,
    ) {
        self.ask(Question::Command { text, input, reply });
    }

    pub(super) fn version(&self, what: &'static str, reply: oneshot::Sender<Result<u64, OpError>>) {
        self.ask(Question::Version { what, reply });
    }

    pub(super) fn pool_op(
        &self,
        pool: PoolId,
        change: PoolChange<'static>,
        reply: oneshot::Sender<Result<PoolOutcome, OpError>>,
    ) {
        self.ask(Question::PoolOp { pool, change, reply });
    }

    fn ask(&self, question: Question) {
        let tid = self.requests.borrow_mut().insert(question);
        if let Some(session) = &*self.session.borrow() {
            self.send_question(&session.connection, tid);
        }
    }

    fn send_question(&self, connection: &Connection, tid: u64) {
        let requests = self.requests.borrow();
        let Some(question) = requests.find(tid) else { return };
        // Monitors refuse what names no cluster. Their map, which says which one it is, is on its way.
        let Some(fsid) = self.maps.borrow().monitors_fsid() else { return };
        match question {
            Question::Command { text, input, .. } => {
                let mut data = Pieces::None;
                data.push(Buf::from_slice(input).into());
                post(connection, Tid(tid), &MMonCommand { fsid, command: text.into() }, &data);
            }
            Question::Version { what, .. } => {
                post(
                    connection,
                    Tid(tid),
                    &MMonGetVersion { handle: tid, what: (*what).into() },
                    &Pieces::None,
                );
            }
            Question::PoolOp { pool, change, .. } => {
                let seen = self.maps.borrow().epoch();
                let front = MPoolOp { fsid, pool: *pool, change: change.clone(), seen };
                post(connection, Tid(tid), &front, &Pieces::None);
            }
        }
    }

    /// A newer map than `than` is wanted.
    pub(super) fn want_map_after(&self, than: ringbd_proto::types::Epoch) {
        let have = self.maps.borrow().epoch();
        if have > than {
            return;
        }
        if self.subscriptions.borrow_mut().want_newer(have) {
            self.ask_for_maps();
        }
    }

    pub(super) fn ask_for_maps(&self) {
        if let Some(front) = self.subscriptions.borrow().osdmap_only() {
            self.send(&front);
        }
    }
}

fn post<'a, F: Front<'a>>(connection: &Connection, tid: Tid, front: &F, data: &Pieces) {
    let header = MessageHeader {
        tid,
        ..MessageHeader::new(MessageType(F::KIND.number), F::KIND.version, F::KIND.compat)
    };
    connection.send(header, |e| front.encode(e), data, None);
}

impl MonRequest {
    /// Maps that an OSD sent, to be looked at by the core that keeps the map.
    pub(in crate::rados) fn maps(versions: ringbd_proto::message::FrontVersion, front: &[u8]) -> MonRequest {
        MonRequest::Maps { versions, front: front.to_vec() }
    }
}
