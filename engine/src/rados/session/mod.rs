//! The session with one OSD: the operations that are to be done there, and the connection that carries them.
//!
//! ```text
//!            map: up                 handshake done
//!   Away ─────────────▶ Connecting ─────────────────▶ Up
//!    ▲  ◀───────────────── │  ◀───────────────────────│
//!    └── map: down         └─ wait, longer each time ─┘ fault
//! ```
//!
//! The rule: an operation that was given to a session stays with it until it is answered or withdrawn. When the connection
//! is lost the session makes another and sends again whatever was not answered, in the order of the tids, so operations on
//! one object never overtake each other. The OSD knows by the tid what it has done already.

mod backoff;
mod in_flight;
mod incoming;
mod line;
mod statistics;

use super::config::ClusterConfig;
use super::connection::{Connection, Fault};
use super::core::Core;
use super::message::{CoreNo, Submission};
use super::objecter::{ATTEMPTS_MAX, OpId};
use super::pieces::Pieces;
use super::status::{ConnectionStatus, SessionStatus};
use backoff::Backoffs;
use in_flight::{Flying, InFlight};
use ringbd_proto::msgr2::{MessageHeader, MessageType};
use ringbd_proto::osd::{MOsdBackoff, OSD_OP};
use ringbd_proto::types::{EntityAddr, OsdId};
use ringbd_reactor::{WaitQueue, spawn_detached};
use statistics::Statistics;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

pub(super) struct Session {
    osd: OsdId,
    in_flight: RefCell<InFlight>,
    backoffs: RefCell<Backoffs>,
    line: RefCell<Option<Line>>,
    /// The map changed, or the session ends.
    news: WaitQueue,
    ended: Cell<bool>,
    statistics: Statistics,
    /// The age at which an operation that waits is warned about next.
    complain_at: Cell<Duration>,
    /// The connection was given up because nothing needed it. The next operation makes another.
    resting: Cell<bool>,
    /// Where the OSD queues our operations.
    op_priority: Cell<u16>,
}

/// A connection that stands.
struct Line {
    connection: Rc<Connection>,
    addr: EntityAddr,
}

impl Session {
    /// Begins; its task makes the connection.
    pub(super) fn start(osd: OsdId, core: &Rc<Core>) -> Rc<Session> {
        let session = Rc::new(Session {
            osd,
            in_flight: RefCell::default(),
            backoffs: RefCell::default(),
            line: RefCell::new(None),
            news: WaitQueue::new(),
            ended: Cell::new(false),
            statistics: Statistics::default(),
            complain_at: Cell::new(Duration::ZERO),
            resting: Cell::new(false),
            op_priority: Cell::new(core.config().op_priority),
        });
        spawn_detached(line::keep(core.clone(), session.clone()));
        session
    }

    /// Takes an operation; it goes out now, or when the connection stands and the OSD wants it.
    pub(super) fn submit(&self, submission: Submission) {
        let mut in_flight = self.in_flight.borrow_mut();
        let flying = in_flight.insert(submission);
        if let Some(line) = &*self.line.borrow() {
            self.send(&line.connection, flying);
        }
        if self.resting.replace(false) {
            self.news.wake_all();
        }
    }

    /// Takes what the monitors have changed of the configuration; the rest is looked at when it is needed.
    pub(super) fn retune(&self, config: &ClusterConfig) {
        self.op_priority.set(config.op_priority);
    }

    /// Forgets an operation, and gives it back.
    pub(super) fn withdraw(&self, op: OpId) -> Option<Submission> {
        self.in_flight.borrow_mut().remove(op.tid()).map(|flying| flying.submission)
    }

    /// Sends an operation, unless the OSD asked for quiet about its object.
    fn send(&self, connection: &Connection, flying: &mut Flying) {
        let Submission { op, sending, front, data, data_crc, .. } = &flying.submission;
        if self.backoffs.borrow().hold(sending.spg, front) {
            flying.sent = false;
            return;
        }
        flying.sent = true;
        flying.ever_sent = true;
        let header = MessageHeader {
            tid: op.tid(),
            priority: self.op_priority.get(),
            ..MessageHeader::new(MessageType::OSD_OP, OSD_OP.version, OSD_OP.compat)
        };
        connection.send(
            header,
            |e| {
                e.bytes(front.bytes());
            },
            data,
            *data_crc,
        );
    }

    /// A new connection stands: everything that was not answered goes out, oldest first.
    fn resume(&self, line: Line) {
        *self.backoffs.borrow_mut() = Backoffs::default();
        self.send_held(&line.connection);
        statistics::add(&self.statistics.connections, 1);
        *self.line.borrow_mut() = Some(line);
    }

    /// The OSD asks for quiet in a range. It drops what it got there and has not done, so all of that is to be sent again
    /// when it lifts the backoff. False when it has more backoffs than any sane one would.
    #[must_use]
    fn block(&self, request: &MOsdBackoff) -> bool {
        self.in_flight.borrow_mut().unsend(|submission| {
            let Submission { sending, front, .. } = submission;
            let is_there = || {
                request.range.contains(&front.object().expect("a front that was encoded here can be read"))
            };
            sending.spg == request.spg && is_there()
        });
        self.backoffs.borrow_mut().block(request)
    }

    /// What waits to be sent goes out, oldest first, if nothing holds it back any more.
    ///
    /// It names the map by which its home found the way here, not a newer one that this core may have seen already: by that
    /// the way may be another.
    fn send_held(&self, connection: &Connection) {
        let mut in_flight = self.in_flight.borrow_mut();
        let mut again = 0;
        for tid in in_flight.tids() {
            let flying = in_flight.find(tid).expect("the table names what it has");
            if flying.sent {
                continue;
            }
            if flying.ever_sent {
                again += 1;
                let Submission { sending, front, .. } = &mut flying.submission;
                // Attempts of a session are numbered within what its operations' homes leave to it.
                if sending.attempt % ATTEMPTS_MAX < ATTEMPTS_MAX - 1 {
                    sending.attempt += 1;
                }
                front.stamp(sending);
            }
            self.send(connection, flying);
        }
        drop(in_flight);
        if again > 0 {
            tracing::info!(osd = self.osd.0, operations = again, "sent again");
            statistics::add(&self.statistics.resends, again);
        }
    }

    /// The connection is gone.
    fn suspend(&self) {
        *self.line.borrow_mut() = None;
        self.in_flight.borrow_mut().all_unsent();
    }

    /// The map has changed: a connection to where the OSD is no more ends.
    pub(super) fn look_at_map(&self, core: &Core) {
        let is_at = core.osd_addr(self.osd);
        if let Some(line) = &*self.line.borrow()
            && Some(line.addr) != is_at
        {
            line.connection.end(Fault::Moved);
        }
        self.news.wake_all();
    }

    /// Asks the OSD for a sign of life if an operation has waited for long. True if one has.
    pub(super) fn look_for_laggards(&self, config: &ClusterConfig) -> bool {
        self.complain_of_slow(config.complaint_time);
        let limit = config.laggy_after;
        let laggy = self.has_waited_for(limit);
        if laggy && let Some(line) = &*self.line.borrow() {
            let ping = MessageHeader::new(MessageType::PING, 1, 1);
            line.connection.send(ping, |_| {}, &Pieces::None, None);
        }
        laggy
    }

    /// Whether an operation has waited for that long.
    pub(super) fn has_waited_for(&self, wait: Duration) -> bool {
        self.in_flight.borrow().longest_wait().is_some_and(|longest| longest >= wait)
    }

    /// Warns of operations that have waited for longer than `limit`, and again each time that their wait has doubled.
    fn complain_of_slow(&self, limit: Duration) {
        let in_flight = self.in_flight.borrow();
        let Some(oldest) = in_flight.oldest().filter(|oldest| oldest.since.elapsed() >= limit) else {
            return self.complain_at.set(limit);
        };
        let waited = oldest.since.elapsed();
        if waited < self.complain_at.get() {
            return;
        }
        self.complain_at.set(waited * 2);
        let (operations, pg) = (in_flight.older_than(limit), oldest.submission.sending.spg);
        let (connected, sent) = (self.line.borrow().is_some(), oldest.sent);
        let object = oldest.submission.front.object().map(|object| format!("{object:?}")).unwrap_or_default();
        tracing::warn!(
            osd = self.osd.0,
            operations,
            ?waited,
            %pg,
            object,
            connected,
            sent,
            "slow operations: the OSD does not answer"
        );
    }

    /// Gives the connection up if nothing went over it for long and nothing needs it: no operation, and no watch, whose
    /// news would find nobody.
    pub(super) fn rest_if_idle(&self, core: &Core) {
        let line = self.line.borrow();
        let (Some(line), Some(limit)) = (&*line, core.config().idle_timeout) else { return };
        let is_idle = line.connection.last_heard().elapsed() >= limit;
        if is_idle && self.in_flight.borrow().len() == 0 && !core.shared().lingers_at(self.osd) {
            self.resting.set(true);
            line.connection.end(Fault::Idle);
        }
    }

    /// Ends the session: nobody needs it any more.
    pub(super) fn end(&self) {
        self.ended.set(true);
        if let Some(line) = &*self.line.borrow() {
            line.connection.end(Fault::Unneeded);
        }
        self.news.wake_all();
    }

    pub(super) fn status(&self, core: CoreNo) -> SessionStatus {
        let line = self.line.borrow();
        let statistics = &self.statistics;
        SessionStatus {
            osd: self.osd,
            core,
            connection: line.as_ref().map(|line| ConnectionStatus::of(&line.connection, line.addr)),
            connections: statistics.connections.get(),
            in_flight: self.in_flight.borrow().len(),
            operations: statistics.operations.get(),
            written_bytes: statistics.written_bytes.get(),
            read_bytes: statistics.read_bytes.get(),
            resends: statistics.resends.get(),
            backoffs: statistics.backoffs.get(),
            latency: statistics.latency(),
            last_error: statistics.last_error(),
        }
    }
}
