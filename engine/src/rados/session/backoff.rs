//! Backoffs: an OSD that cannot serve a part of a placement group (it is peering, or an object is being recovered) asks for
//! quiet there, instead of queueing what comes.
//!
//! The rule: a backoff is answered, and from then on nothing in its range is sent, until the OSD lifts it or the connection
//! ends. It covers a range of one placement group's objects in their order.

use crate::rados::message::Submission;
use ringbd_proto::osd::{HobjectRange, MOsdBackoff};
use ringbd_proto::types::SpgId;

/// Backoffs of one session. An OSD has few at a time, so a list does.
const BACKOFFS_MAX: usize = 1 << 16;

#[derive(Default)]
pub(super) struct Backoffs {
    list: Vec<Backoff>,
}

struct Backoff {
    spg: SpgId,
    id: u64,
    range: HobjectRange,
}

impl Backoffs {
    /// Whether an operation has to wait.
    pub(super) fn hold(&self, submission: &Submission) -> bool {
        if self.list.is_empty() {
            return false;
        }
        let spg = submission.sending.spg;
        let object = submission.front.object().expect("a front that was encoded here can be read");
        self.list.iter().any(|backoff| backoff.spg == spg && backoff.range.contains(&object))
    }

    /// Begins one. False when the OSD has more than any sane one would.
    #[must_use]
    pub(super) fn block(&mut self, request: &MOsdBackoff) -> bool {
        self.unblock(request.spg, request.id);
        self.list.push(Backoff { spg: request.spg, id: request.id, range: request.range.clone() });
        self.list.len() <= BACKOFFS_MAX
    }

    /// Ends one.
    pub(super) fn unblock(&mut self, spg: SpgId, id: u64) {
        self.list.retain(|backoff| (backoff.spg, backoff.id) != (spg, id));
    }
}
