//! An operation that is at home on this core, from the moment it is asked for until its answer is taken.
//!
//! ```text
//!   asked ──▶ Here ──── the map lets it go ────▶ WithOsd ────▶ Answered ──▶ (taken)
//!              ▲                                    │
//!              └──── the map moves it, or it has to be asked anew
//! ```

use super::op_id::OpId;
use super::target::{Place, Target};
use crate::rados::error::OpError;
use crate::rados::message::{Answer, Submission};
use crate::rados::pieces::Pieces;
use ringbd_proto::osd::{OsdFlags, OsdOpFront, Sending};
use ringbd_proto::types::{Epoch, OsdId, SpgId};
use ringbd_reactor::{Buf, Instant};
use std::task::Waker;

/// What was asked for, as it is kept to be sent again.
pub(super) struct Op {
    pub(super) id: OpId,
    pub(super) place: Place,
    pub(super) writes: bool,
    /// Flags of every attempt, beside those that the message has by itself.
    pub(super) flags: OsdFlags,
    /// The message's fields. A session of this core has them while it has the operation.
    pub(super) front: Option<OsdOpFront>,
    pub(super) data: Pieces,
    pub(super) data_crc: Option<u32>,
    /// Where the answer's data is to go; gone once a session has it.
    pub(super) landing: Option<Buf>,
    pub(super) target: Target,
    /// Since when it has waited here for a map that lets it go.
    pub(super) held_since: Option<Instant>,
    /// How often it was given to a session. The session counts its own attempts below that.
    round: u32,
    pub(super) state: OpState,
    pub(super) waker: Option<Waker>,
}

/// Where an operation is.
#[derive(Debug)]
pub(super) enum OpState {
    /// Here, until a map comes that lets it go.
    Here,
    /// With the session of an OSD.
    WithOsd(OsdId),
    /// It is over.
    Answered(Result<Answer, OpError>),
}

/// Attempts that a session can count in one round: connections that were lost before an answer came. With the waits between
/// them so many take an hour, and more are not told apart.
pub(in crate::rados) const ATTEMPTS_MAX: i32 = 1 << 8;

/// Rounds are counted up to what fits beside the attempts.
const ROUNDS_MAX: u32 = 1 << 22;

impl Op {
    pub(super) fn new(id: OpId, place: Place, writes: bool, flags: OsdFlags, front: OsdOpFront) -> Op {
        Op {
            id,
            place,
            writes,
            flags,
            front: Some(front),
            data: Pieces::None,
            data_crc: None,
            landing: None,
            target: Target::default(),
            held_since: None,
            round: 0,
            state: OpState::Here,
            waker: None,
        }
    }

    /// What a session needs of it. When the session is of another core it gets a copy of the front in `memory`.
    pub(super) fn submission(&mut self, spg: SpgId, epoch: Epoch, memory: Option<Vec<u8>>) -> Submission {
        let attempt = i32::try_from(self.round % ROUNDS_MAX).expect("it is below the limit") * ATTEMPTS_MAX;
        self.round += 1;
        let sending = Sending { spg, epoch, flags: self.flags, attempt };
        let mut front = match memory {
            None => self.front.take().expect("an operation that is here has its front"),
            Some(memory) => self.front.as_ref().expect("copies leave the front here").copy_into(memory),
        };
        front.stamp(&sending);
        Submission {
            op: self.id,
            sending,
            front,
            data: self.data.clone(),
            data_crc: self.data_crc,
            landing: self.landing.take(),
        }
    }

    /// Whether an attempt is of the round that is under way. An answer of another core's session may have crossed with the
    /// map that moved the operation: then it is with a session again, which answers too, and must be the one that does.
    pub(super) fn is_of_this_round(&self, attempt: i32) -> bool {
        let round = self.round.wrapping_sub(1) % ROUNDS_MAX;
        u32::try_from(attempt / ATTEMPTS_MAX) == Ok(round)
    }

    /// Takes back what a session of this core had.
    pub(super) fn take_back(&mut self, submission: Submission) {
        self.front = Some(submission.front);
        if submission.landing.is_some() {
            self.landing = submission.landing;
        }
    }
}
