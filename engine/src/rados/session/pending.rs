//! What a session has to send: its operations that are not answered, and the backoffs that hold some of them back.
//!
//! The rules: an operation is on the present connection once, or it is held; what goes out goes in the order of the tids; what
//! is in the range of a backoff does not go out until that is lifted or the connection ends; and each time that an operation
//! goes out again it has another attempt's number, so that late answers can be told.
//!
//! It decides and counts; who has the connection sends.

use super::backoff::Backoffs;
use super::in_flight::{Flying, InFlight};
use crate::rados::message::Submission;
use crate::rados::objecter::ATTEMPTS_MAX;
use ringbd_proto::osd::MOsdBackoff;
use ringbd_proto::types::{SpgId, Tid};

#[derive(Default)]
pub(super) struct Pending {
    in_flight: InFlight,
    backoffs: Backoffs,
    /// There is a connection.
    connected: bool,
}

impl Pending {
    /// Takes an operation; it is sent if there is a connection and nothing holds it back.
    pub(super) fn submit(&mut self, submission: Submission, send: impl FnOnce(&Submission)) {
        let flying = self.in_flight.insert(submission);
        if self.connected && !self.backoffs.hold(&flying.submission) {
            flying.is_sent();
            send(&flying.submission);
        }
    }

    /// Forgets an operation, and gives it back.
    pub(super) fn withdraw(&mut self, tid: Tid) -> Option<Submission> {
        self.in_flight.remove(tid).map(|flying| flying.submission)
    }

    /// Takes out what was answered, unless the answer is one to an earlier attempt. An OSD that does not say which attempt
    /// it answers says a negative number.
    pub(super) fn answered(&mut self, tid: Tid, attempt: i32) -> Option<Flying> {
        let flying = self.in_flight.find(tid)?;
        if attempt >= 0 && attempt != flying.submission.sending.attempt {
            return None;
        }
        self.in_flight.remove(tid)
    }

    /// A new connection stands, on which no backoff was asked for: everything that was not answered goes out. Returns how
    /// much of it does so again.
    pub(super) fn resume(&mut self, send: impl FnMut(&Submission)) -> usize {
        self.connected = true;
        self.backoffs = Backoffs::default();
        self.send_held(send)
    }

    /// The connection is gone, and with it whatever was sent on it.
    pub(super) fn suspend(&mut self) {
        self.connected = false;
        self.in_flight.all_unsent();
    }

    /// The OSD asks for quiet in a range. It drops what it got there and has not done, so all of that is to be sent again
    /// when it lifts the backoff. False when it has more backoffs than any sane one would.
    #[must_use]
    pub(super) fn block(&mut self, request: &MOsdBackoff) -> bool {
        self.in_flight.unsend(|submission| {
            let Submission { sending, front, .. } = submission;
            let is_there = || {
                request.range.contains(&front.object().expect("a front that was encoded here can be read"))
            };
            sending.spg == request.spg && is_there()
        });
        self.backoffs.block(request)
    }

    /// The OSD lifts a backoff: what nothing else holds back goes out. Returns how much of it does so again.
    pub(super) fn unblock(&mut self, spg: SpgId, id: u64, send: impl FnMut(&Submission)) -> usize {
        self.backoffs.unblock(spg, id);
        self.send_held(send)
    }

    /// What waits to be sent goes out, oldest first, if nothing holds it back any more.
    ///
    /// It names the map by which its home found the way here, not a newer one that this core may have seen already: by that
    /// the way may be another.
    fn send_held(&mut self, mut send: impl FnMut(&Submission)) -> usize {
        let mut again = 0;
        for tid in self.in_flight.tids() {
            let flying = self.in_flight.find(tid).expect("the table names what it has");
            if flying.sent || self.backoffs.hold(&flying.submission) {
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
            flying.is_sent();
            send(&flying.submission);
        }
        again
    }

    /// The operations.
    pub(super) fn in_flight(&self) -> &InFlight {
        &self.in_flight
    }

    /// An operation, to take its landing.
    pub(super) fn find(&mut self, tid: Tid) -> Option<&mut Flying> {
        self.in_flight.find(tid)
    }
}

#[cfg(test)]
#[path = "pending_tests.rs"]
mod tests;
