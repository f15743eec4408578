//! One connection to a daemon: TCP, the handshake, then frames both ways.
//!
//! The rule: a connection begins, works, and ends with a [`Fault`], once. Nothing is repeated here; what was not answered
//! when it ends is for the layer above to send again on the next one.
//!
//! ```text
//! open ──▶ handshake ──▶ { Connection: what is sent, Incoming: what arrives } ──▶ Fault
//! ```

mod fault;
mod incoming;
mod open;
mod outgoing;

pub(super) use fault::{ConnectError, Fault};
pub(super) use incoming::Handler;
pub(super) use open::{Opened, Peer, open};

use super::pieces::Pieces;
use outgoing::Outgoing;
use ringbd_proto::auth::ConMode;
use ringbd_proto::codec::Encoder;
use ringbd_proto::msgr2::{Control, Features, MessageHeader, Sealer};
use ringbd_proto::types::Utime;
use ringbd_reactor::{Instant, TcpStream, WaitQueue, now};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// The sending half, and what is known of the whole.
pub(super) struct Connection {
    stream: TcpStream,
    outgoing: RefCell<Outgoing>,
    /// There is something to send, or the connection has ended.
    something: WaitQueue,
    /// Why it ended.
    fault: RefCell<Option<Fault>>,
    /// When the peer last sent anything.
    heard: Cell<Instant>,
    con_mode: ConMode,
    features: Features,
    since: Instant,
    counts: Counts,
}

/// What went over a connection.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) sent_messages: Cell<u64>,
    pub(super) sent_bytes: Cell<u64>,
    /// Gathered sends: as few as the messages that were ready together.
    pub(super) sends: Cell<u64>,
    pub(super) received_messages: Cell<u64>,
    pub(super) received_bytes: Cell<u64>,
}

impl Counts {
    fn add(count: &Cell<u64>, n: u64) {
        count.set(count.get().wrapping_add(n));
    }
}

impl Connection {
    fn new(stream: TcpStream, sealer: Sealer, con_mode: ConMode, features: Features) -> Rc<Connection> {
        Rc::new(Connection {
            stream,
            outgoing: RefCell::new(Outgoing::new(sealer)),
            something: WaitQueue::new(),
            fault: RefCell::new(None),
            heard: Cell::new(now()),
            con_mode,
            features,
            since: now(),
            counts: Counts::default(),
        })
    }

    /// Queues a message. It goes out with everything else that is ready in this turn of the core. On a connection that
    /// has ended it is dropped: the layer above hears of the end and sends it again.
    pub(super) fn send(
        &self,
        header: MessageHeader,
        front: impl FnOnce(&mut Encoder<'_>),
        data: &Pieces,
        data_crc: Option<u32>,
    ) {
        if self.has_ended() {
            return;
        }
        let sealed = self.outgoing.borrow_mut().message(header, front, data, data_crc);
        match sealed {
            Ok(()) => {
                Counts::add(&self.counts.sent_messages, 1);
                self.something.wake_one();
            }
            Err(exhausted) => self.end(Fault::Nonces(exhausted)),
        }
    }

    fn send_control(&self, control: &Control<'_>) {
        let sealed = self.outgoing.borrow_mut().control(control);
        match sealed {
            Ok(()) => self.something.wake_one(),
            Err(exhausted) => self.end(Fault::Nonces(exhausted)),
        }
    }

    /// Asks the peer for a sign of life; the answer counts as being heard.
    pub(super) fn send_keepalive(&self, stamp: Utime) {
        self.send_control(&Control::Keepalive2(stamp));
    }

    /// When the peer last sent anything.
    pub(super) fn last_heard(&self) -> Instant {
        self.heard.get()
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// What protects the frames.
    pub(super) fn con_mode(&self) -> ConMode {
        self.con_mode
    }

    /// What both ends can do.
    pub(super) fn features(&self) -> Features {
        self.features
    }

    /// Since when it has stood.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// Ends the connection; the first reason is the one that counts.
    pub(super) fn end(&self, fault: Fault) {
        self.fault.borrow_mut().get_or_insert(fault);
        self.stream.shutdown();
        self.something.wake_all();
    }

    fn has_ended(&self) -> bool {
        self.fault.borrow().is_some()
    }
}
