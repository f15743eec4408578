//! How a request ends: as a completion that the core's owner collects, or by telling somebody elsewhere.

use super::reply::Reply;
use crate::error::Result;
use crate::image::request::{Completion, Op};
use ringbd_reactor::{Buf, Instant, WaitQueue};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

/// Where the result of a request goes.
pub(crate) enum End {
    /// Into the completions of this core, with the caller's token.
    Token(u64),
    /// To whoever asked, on a thread that is no core.
    Reply(Reply),
}

/// A request under way: where its result goes, and when it came.
pub(crate) struct Finish {
    pub(crate) end: End,
    pub(crate) op: Op,
    pub(crate) started: Option<Instant>,
    /// Which of the two counts of requests under way it is in.
    pub(crate) epoch: Epoch,
}

/// One of the two counts of requests under way. A quiesce closes the one and waits until it is empty, while new
/// requests go to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Epoch {
    #[default]
    Even,
    Odd,
}

impl Epoch {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Even => Self::Odd,
            Self::Odd => Self::Even,
        }
    }
}

/// How many requests began on a core and have not ended.
#[derive(Default)]
pub(crate) struct UnderWay {
    counts: [Cell<usize>; 2],
    epoch: Cell<Epoch>,
    ended: WaitQueue,
    quiescing: Cell<bool>,
}

impl UnderWay {
    #[inline]
    pub(crate) fn begin(&self) -> Epoch {
        let epoch = self.epoch.get();
        let count = &self.counts[epoch as usize];
        count.set(count.get() + 1);
        epoch
    }

    #[inline]
    pub(crate) fn end(&self, epoch: Epoch) {
        let count = &self.counts[epoch as usize];
        count.set(count.get() - 1);
        if self.quiescing.get() {
            self.ended.wake_all();
        }
    }

    pub(crate) fn total(&self) -> usize {
        self.counts[0].get() + self.counts[1].get()
    }

    /// Waits until every request that is under way now has ended; later ones are not waited for.
    pub(crate) async fn quiesce(&self) {
        while self.quiescing.get() {
            self.ended.wait().await;
        }
        self.quiescing.set(true);
        let old = self.epoch.get();
        // What an earlier quiesce left in the other count ended before that quiesce did.
        debug_assert_eq!(self.counts[old.other() as usize].get(), 0);
        self.epoch.set(old.other());
        while self.counts[old as usize].get() > 0 {
            self.ended.wait().await;
        }
        self.quiescing.set(false);
        self.ended.wake_all();
    }
}

/// The requests that ended and that the owner of a lent core has not collected.
#[derive(Default)]
pub(crate) struct Completions(RefCell<VecDeque<Completion>>);

impl Completions {
    #[inline]
    pub(crate) fn push(&self, token: u64, result: Result<u64>, buf: Buf) {
        self.0.borrow_mut().push_back(Completion { token, result, buf });
    }

    #[inline]
    pub(crate) fn pop(&self) -> Option<Completion> {
        self.0.borrow_mut().pop_front()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.borrow().len()
    }
}
