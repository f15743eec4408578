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
mod pending;
mod statistics;

use super::config::ClusterConfig;
use super::connection::{Connection, Fault};
use super::core::Core;
use super::explain::Silence;
use super::message::{CoreNo, Submission};
use super::objecter::OpId;
use super::pieces::Pieces;
use super::status::{ConnectionStatus, SessionStatus};
use pending::Pending;
use ringbd_proto::msgr2::{MessageHeader, MessageType};
use ringbd_proto::osd::OSD_OP;
use ringbd_proto::types::{EntityAddr, OsdId};
use ringbd_reactor::{WaitQueue, spawn_detached};
use statistics::Statistics;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

pub(super) struct Session {
    osd: OsdId,
    pending: RefCell<Pending>,
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
            pending: RefCell::default(),
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
        let line = self.line.borrow();
        self.pending.borrow_mut().submit(submission, |submission| {
            let line = line.as_ref().expect("what is pending knows whether there is a connection");
            self.send(&line.connection, submission);
        });
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
        self.pending.borrow_mut().withdraw(op.tid())
    }

    fn send(&self, connection: &Connection, submission: &Submission) {
        let Submission { op, front, data, data_crc, .. } = submission;
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
        let again = self.pending.borrow_mut().resume(|submission| self.send(&line.connection, submission));
        self.note_resends(again);
        statistics::add(&self.statistics.connections, 1);
        *self.line.borrow_mut() = Some(line);
    }

    fn note_resends(&self, again: usize) {
        if again > 0 {
            tracing::info!(osd = self.osd.0, operations = again, "sent again");
            statistics::add(&self.statistics.resends, again);
        }
    }

    /// The connection is gone.
    fn suspend(&self) {
        *self.line.borrow_mut() = None;
        self.pending.borrow_mut().suspend();
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
        let laggy = self.has_waited_for(config.laggy_after);
        if laggy && let Some(line) = &*self.line.borrow() {
            let ping = MessageHeader::new(MessageType::PING, 1, 1);
            line.connection.send(ping, |_| {}, &Pieces::None, None);
        }
        laggy
    }

    /// Whether there is a connection.
    pub(super) fn is_connected(&self) -> bool {
        self.line.borrow().is_some()
    }

    /// Whether an operation has waited for that long.
    pub(super) fn has_waited_for(&self, wait: Duration) -> bool {
        self.pending.borrow().in_flight().longest_wait().is_some_and(|longest| longest >= wait)
    }

    /// Warns of operations that have waited for longer than `limit`, and again each time that their wait has doubled.
    pub(super) fn complain_of_slow(&self, limit: Duration) {
        let pending = self.pending.borrow();
        let in_flight = pending.in_flight();
        let Some(oldest) = in_flight.oldest().filter(|oldest| oldest.since.elapsed() >= limit) else {
            return self.complain_at.set(Duration::ZERO);
        };
        let waited = oldest.since.elapsed();
        if waited < self.complain_at.get() {
            return;
        }
        self.complain_at.set(waited * 2);
        let (operations, pg) = (in_flight.older_than(limit), oldest.submission.sending.spg);
        let object = oldest.submission.front.object().expect("a front that was encoded here can be read");
        let waited = format_args!("{:.1} s", waited.as_secs_f64());
        let why = Silence {
            osd: self.osd.0,
            connected: self.is_connected(),
            last_error: self.statistics.last_error().map(|error| error.reason),
        };
        tracing::warn!(osd = self.osd.0, operations, %waited, %pg, %object, "slow operations: {why}");
    }

    /// Gives the connection up if nothing went over it for long and nothing needs it: no operation, and no watch, whose
    /// news would find nobody.
    pub(super) fn rest_if_idle(&self, core: &Core) {
        let line = self.line.borrow();
        let (Some(line), Some(limit)) = (&*line, core.config().idle_timeout) else { return };
        let is_idle = line.connection.last_heard().elapsed() >= limit;
        if is_idle && self.pending.borrow().in_flight().len() == 0 && !core.shared().lingers_at(self.osd) {
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
            in_flight: self.pending.borrow().in_flight().len(),
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
