//! How much a core has in flight: operations, and bytes of their data. Who would exceed a limit waits for its turn.
//!
//! Ceph's limits are those of a client; each of its cores has an equal share.

use ringbd_reactor::WaitQueue;
use std::cell::Cell;
use std::rc::Rc;

#[derive(Debug, Default)]
pub(super) struct Throttle {
    ops_max: Cell<usize>,
    bytes_max: Cell<usize>,
    ops: Cell<usize>,
    bytes: Cell<usize>,
    turn: WaitQueue,
}

/// A share of the limits, given back on drop.
#[derive(Debug)]
pub(super) struct Share {
    throttle: Rc<Throttle>,
    bytes: usize,
}

impl Throttle {
    /// Sets the limits. Who is above lower ones finishes; who waited may go under higher ones.
    pub(super) fn limit(&self, ops_max: usize, bytes_max: usize) {
        self.ops_max.set(ops_max.max(1));
        self.bytes_max.set(bytes_max.max(1));
        self.turn.wake_one();
    }

    /// Whether one more of `bytes` may go. What is larger than the limit goes alone.
    fn admits(&self, bytes: usize) -> bool {
        let fits = self.bytes.get() == 0 || self.bytes.get() + bytes <= self.bytes_max.get();
        self.ops.get() < self.ops_max.get() && fits
    }

    /// Waits for a share; first come, first served.
    pub(super) async fn acquire(self: &Rc<Throttle>, bytes: usize) -> Share {
        if self.turn.waiters() > 0 {
            self.turn.wait().await;
        }
        while !self.admits(bytes) {
            self.turn.wait().await;
        }
        self.ops.set(self.ops.get() + 1);
        self.bytes.set(self.bytes.get() + bytes);
        // There may be room for the next, too.
        self.turn.wake_one();
        Share { throttle: self.clone(), bytes }
    }

    pub(super) fn in_flight(&self) -> (usize, usize) {
        (self.ops.get(), self.bytes.get())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let throttle = &self.throttle;
        throttle.ops.set(throttle.ops.get() - 1);
        throttle.bytes.set(throttle.bytes.get() - self.bytes);
        throttle.turn.wake_one();
    }
}
