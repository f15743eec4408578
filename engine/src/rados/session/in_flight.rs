//! The operations of a session that are not answered.

use crate::rados::message::Submission;
use ringbd_proto::types::Tid;
use ringbd_reactor::{Instant, now};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

/// By tid. Not sorted: only a new connection and an OSD that lifts a backoff ask for the order.
#[derive(Default)]
pub(super) struct InFlight {
    by_tid: HashMap<u64, Flying, BuildHasherDefault<TidHasher>>,
}

/// An operation that is not answered.
pub(super) struct Flying {
    pub(super) submission: Submission,
    /// It went out on the present connection.
    pub(super) sent: bool,
    /// It went out on any connection of this session.
    pub(super) ever_sent: bool,
    /// When it came.
    pub(super) since: Instant,
}

impl InFlight {
    pub(super) fn insert(&mut self, submission: Submission) -> &mut Flying {
        let tid = submission.op.tid();
        match self.by_tid.entry(tid.0) {
            Entry::Vacant(place) => {
                place.insert(Flying { submission, sent: false, ever_sent: false, since: now() })
            }
            Entry::Occupied(_) => panic!("tid {tid} is with one session once"),
        }
    }

    pub(super) fn find(&mut self, tid: Tid) -> Option<&mut Flying> {
        self.by_tid.get_mut(&tid.0)
    }

    pub(super) fn remove(&mut self, tid: Tid) -> Option<Flying> {
        self.by_tid.remove(&tid.0)
    }

    pub(super) fn len(&self) -> usize {
        self.by_tid.len()
    }

    /// All, oldest first.
    pub(super) fn tids(&self) -> Vec<Tid> {
        let mut tids: Vec<Tid> = self.by_tid.keys().copied().map(Tid).collect();
        tids.sort_unstable();
        tids
    }

    /// The connection is gone, and with it whatever was sent on it.
    pub(super) fn all_unsent(&mut self) {
        self.by_tid.values_mut().for_each(|flying| flying.sent = false);
    }

    /// What the OSD will not do of what was sent.
    pub(super) fn unsend(&mut self, which: impl Fn(&Submission) -> bool) {
        let dropped = self.by_tid.values_mut().filter(|flying| which(&flying.submission));
        dropped.for_each(|flying| flying.sent = false);
    }

    /// The operation that has waited longest.
    pub(super) fn oldest(&self) -> Option<&Flying> {
        self.by_tid.values().min_by_key(|flying| flying.since)
    }

    /// How many have waited for that long.
    pub(super) fn older_than(&self, wait: Duration) -> usize {
        self.by_tid.values().filter(|flying| flying.since.elapsed() >= wait).count()
    }

    /// How long the operation that has waited longest has waited.
    pub(super) fn longest_wait(&self) -> Option<Duration> {
        self.oldest().map(|flying| flying.since.elapsed())
    }
}

/// Tids are counted, so one multiplication spreads them well enough.
#[derive(Default)]
pub(super) struct TidHasher(u64);

impl Hasher for TidHasher {
    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("tids are 64-bit numbers");
    }

    fn write_u64(&mut self, tid: u64) {
        // 2^64 divided by the golden ratio: neighbours end up far apart. The table uses the top and the bottom bits.
        self.0 = tid.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
