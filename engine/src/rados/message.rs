//! What the cores of a client say to each other.
//!
//! An operation is at home on the core that asked for it; the connection to its OSD is on one core of the client. When the two
//! are the same, the same things are said by a call.

use super::config::ClusterConfig;
use super::error::OpError;
use super::linger::LingerEvent;
use super::objecter::OpId;
use super::pieces::Pieces;
use super::status::CoreReport;
use ringbd_proto::osd::{OsdOpFront, Redirect, Sending};
use ringbd_proto::osdmap::OsdMap;
use ringbd_proto::types::{Eversion, OsdId};
use ringbd_reactor::Buf;
use std::fmt;
use std::sync::Arc;

/// A core of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CoreNo(pub u8);

impl fmt::Display for CoreNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a core is told.
pub(super) enum Message {
    /// An operation for an OSD whose connection is here.
    Submit { osd: OsdId, submission: Submission },
    /// An operation that goes elsewhere now: it is forgotten, and so is an answer to it.
    Withdraw { osd: OsdId, op: OpId },
    /// The end of an operation that is at home here.
    Answer { op: OpId, answer: Answer, front: OsdOpFront },
    /// The map has changed.
    Map { map: Arc<OsdMap>, step: MapStep },
    /// There are new tickets.
    Tickets,
    /// The monitors have changed the configuration.
    Config(Arc<ClusterConfig>),
    /// The session with an OSD is a new one: what lingers there has to be said again.
    SessionReset(OsdId),
    /// Something happened to a watch or a notification that is at home here.
    Watch(LingerEvent),
    /// Somebody wants to know how this core does.
    Report(oneshot::Sender<CoreReport>),
    /// The session of an OSD is to be begun, if it has not.
    Greet(OsdId),
    /// The cluster takes nothing from this client any more, for this reason.
    Over(OpError),
    /// The client ends.
    Stop,
}

/// How a map follows the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MapStep {
    /// It is the next epoch.
    Next,
    /// Epochs in between were not seen: whatever happened in them is unknown.
    Jump,
}

/// An operation on its way to an OSD.
pub(super) struct Submission {
    pub(super) op: OpId,
    /// How it is sent; the session counts its attempts on.
    pub(super) sending: Sending,
    /// Fields of the message.
    pub(super) front: OsdOpFront,
    pub(super) data: Pieces,
    /// The checksum of `data`, computed once.
    pub(super) data_crc: Option<u32>,
    /// Where the answer's data is to go.
    pub(super) landing: Option<Buf>,
}

/// What became of an operation.
#[derive(Debug)]
pub(super) struct Answer {
    /// 0 or more, or a negative errno.
    pub(super) result: i32,
    /// The object's version, as users count them.
    pub(super) user_version: u64,
    /// The OSD's version of the change.
    pub(super) version: Eversion,
    /// The result and the output's length of each operation of the list.
    pub(super) ops: OpResults,
    /// The output of all, one behind the other.
    pub(super) data: Buf,
    /// Bytes of `data` that are output; a landing buffer may be longer.
    pub(super) data_bytes: usize,
    /// The object is elsewhere.
    pub(super) redirect: Option<Box<Redirect>>,
}

/// Results of a list's operations; one is the usual case and needs no list.
#[derive(Clone, Debug)]
pub(super) enum OpResults {
    One(OpResult),
    Many(Vec<OpResult>),
}

/// The result of one operation of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpResult {
    /// 0 or more, or a negative errno.
    pub result: i32,
    /// Bytes of its output.
    pub output_bytes: usize,
}

impl OpResults {
    pub(super) fn as_slice(&self) -> &[OpResult] {
        match self {
            OpResults::One(one) => std::slice::from_ref(one),
            OpResults::Many(all) => all,
        }
    }
}
