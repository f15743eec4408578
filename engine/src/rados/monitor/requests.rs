//! What the monitors are asked, and what of it is not answered yet.

use crate::rados::error::OpError;
use crate::rados::status::MonitorsStatus;
use ringbd_proto::message::FrontVersion;
use ringbd_proto::mon::PoolChange;
use ringbd_proto::types::{EntityType, Epoch, PoolId, SnapId};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a core asks of the one that speaks to the monitors.
pub(in crate::rados) enum MonRequest {
    /// Tell when the first map is there, or why there will be none.
    Ready(oneshot::Sender<Result<(), crate::error::Error>>),
    /// Maps that an OSD sent.
    Maps { versions: FrontVersion, front: Vec<u8> },
    /// Tell why there is no map after that long.
    WhyNotReady { waited: Duration, reply: oneshot::Sender<crate::error::Error> },
    /// A newer map than this is wanted.
    NewerMap { than: Epoch },
    /// A service refused our ticket, or there is none.
    Tickets(EntityType),
    /// A command of the cluster's administration, in JSON.
    Command { text: String, input: Vec<u8>, reply: oneshot::Sender<Result<CommandOutput, OpError>> },
    /// Which version of a map is the newest.
    Version { what: &'static str, reply: oneshot::Sender<Result<u64, OpError>> },
    /// A change to a pool.
    PoolOp { pool: PoolId, change: PoolChange<'static>, reply: oneshot::Sender<Result<PoolOutcome, OpError>> },
    /// How the session is.
    Status(oneshot::Sender<MonitorsStatus>),
    /// The client ends.
    Stop,
}

/// What a command brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandOutput {
    /// 0, or a negative errno.
    pub result: i32,
    /// What the monitors say about it, for people.
    pub status: String,
    /// The output itself.
    pub data: Vec<u8>,
}

/// What a change to a pool brought.
#[derive(Clone, Copy, Debug)]
pub(in crate::rados) struct PoolOutcome {
    /// The new snapshot's number, if one was asked for.
    pub(in crate::rados) snap: Option<SnapId>,
    /// The map that has the change.
    pub(in crate::rados) epoch: Epoch,
}

/// What is not answered, by its tid. All are sent again in a new session, in this order.
#[derive(Default)]
pub(super) struct Requests {
    last_tid: u64,
    pending: BTreeMap<u64, Question>,
}

pub(super) enum Question {
    Command { text: String, input: Vec<u8>, reply: oneshot::Sender<Result<CommandOutput, OpError>> },
    Version { what: &'static str, reply: oneshot::Sender<Result<u64, OpError>> },
    PoolOp { pool: PoolId, change: PoolChange<'static>, reply: oneshot::Sender<Result<PoolOutcome, OpError>> },
}

impl Question {
    /// Whether somebody waits for the answer still.
    fn is_wanted(&self) -> bool {
        match self {
            Question::Command { reply, .. } => !reply.is_closed(),
            Question::Version { reply, .. } => !reply.is_closed(),
            Question::PoolOp { reply, .. } => !reply.is_closed(),
        }
    }

    fn fail(self, error: OpError) {
        // Who does not wait any more does not want to know.
        match self {
            Question::Command { reply, .. } => drop(reply.send(Err(error))),
            Question::Version { reply, .. } => drop(reply.send(Err(error))),
            Question::PoolOp { reply, .. } => drop(reply.send(Err(error))),
        }
    }
}

impl Requests {
    /// Takes a question; returns its tid.
    pub(super) fn insert(&mut self, question: Question) -> u64 {
        self.last_tid += 1;
        self.pending.insert(self.last_tid, question);
        self.last_tid
    }

    pub(super) fn find(&self, tid: u64) -> Option<&Question> {
        self.pending.get(&tid)
    }

    /// Takes out what was answered.
    pub(super) fn remove(&mut self, tid: u64) -> Option<Question> {
        self.pending.remove(&tid)
    }

    /// What is not answered, oldest first.
    pub(super) fn tids(&self) -> Vec<u64> {
        self.pending.keys().copied().collect()
    }

    /// Forgets what nobody waits for any more, because its time was over: it is not done behind anybody's back.
    pub(super) fn forget_unwanted(&mut self) {
        self.pending.retain(|_, question| question.is_wanted());
    }

    /// The client ends.
    pub(super) fn fail_all(&mut self) {
        for question in std::mem::take(&mut self.pending).into_values() {
            question.fail(OpError::Closed);
        }
    }
}
