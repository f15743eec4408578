//! The future of an operation. It holds only the operation's key: what the kernel touches is in the core's
//! slab.

use super::{Cancel, Core, Finished, Next, OpKey, Payload};
use crate::net::recv_ring::RecvRing;
use crate::ring::{Descriptor, Wait};
use io_uring::squeue;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A one-shot operation. Dropped early, it cancels the operation and leaves the rest to the core.
#[must_use]
pub(crate) struct Op {
    key: Option<OpKey>,
    core: u64,
    _local: PhantomData<*const ()>,
}

impl Op {
    /// Queues `entry`; it is submitted at the end of the core's turn.
    ///
    /// # Safety
    /// All memory that `entry` names is owned by `payload` (and does not move with it), and its descriptor is
    /// registered with the current core, or kept open by `keep`.
    pub(crate) unsafe fn submit(entry: squeue::Entry, payload: Payload, keep: Option<Arc<Descriptor>>) -> Op {
        Core::with(|core| {
            let key = core.ops.borrow_mut().insert(payload, keep);
            // SAFETY: the slot just made owns what the entry names until its last CQE (see `ops`); the caller
            // vouches that this is all of it.
            unsafe { core.ring().push(entry.user_data(key.0)) };
            Op { key: Some(key), core: core.core_ref, _local: PhantomData }
        })
    }
}

impl Future for Op {
    type Output = Finished;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Finished> {
        let key = self.key.expect("a finished operation is not polled again");
        let finished = Core::with(|core| {
            assert_eq!(core.core_ref, self.core, "an operation is polled on the core that submitted it");
            core.ops.borrow_mut().poll(key, cx.waker())
        });
        match finished {
            None => Poll::Pending,
            Some(finished) => {
                self.key = None;
                Poll::Ready(finished)
            }
        }
    }
}

impl Drop for Op {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            abandon(self.core, key);
        }
    }
}

/// A multishot operation: a stream of CQEs, until the kernel ends it.
#[derive(Debug)]
pub(crate) struct Stream {
    key: OpKey,
    core: u64,
    _local: PhantomData<*const ()>,
}

impl Stream {
    /// Queues `entry`, whose buffers the kernel picks from `ring`.
    ///
    /// # Safety
    /// `entry` names no memory of its own, and its descriptor is registered with the current core, or kept
    /// open by `keep`.
    pub(crate) unsafe fn submit(
        entry: squeue::Entry,
        ring: Rc<RecvRing>,
        keep: Option<Arc<Descriptor>>,
    ) -> Stream {
        Core::with(|core| {
            let key = core.ops.borrow_mut().insert_stream(ring, keep);
            // SAFETY: the entry names no memory but the ring's buffers, which the slot keeps alive until the
            // last CQE.
            unsafe { core.ring().push(entry.user_data(key.0)) };
            Stream { key, core: core.core_ref, _local: PhantomData }
        })
    }

    /// The next CQE; `None` when the kernel has ended the stream.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<super::Cqe>> {
        let next = Core::with(|core| {
            assert_eq!(core.core_ref, self.core, "an operation is polled on the core that submitted it");
            core.ops.borrow_mut().poll_stream(self.key, cx.waker())
        });
        match next {
            Next::Cqe(cqe) => Poll::Ready(Some(cqe)),
            Next::Ended => Poll::Ready(None),
            Next::Pending => Poll::Pending,
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        abandon(self.core, self.key);
    }
}

/// Elsewhere than inside its core, an operation cannot be cancelled: it completes, and its core keeps what it
/// owned until it ends itself.
fn abandon(core_ref: u64, key: OpKey) {
    Core::try_with(|core| {
        if core.core_ref != core_ref {
            return;
        }
        let (cancel, left) = core.ops.borrow_mut().abandon(key);
        match cancel {
            Cancel::No => {}
            Cancel::Soon => core.ring().push_cancel(key),
            Cancel::Now => {
                core.ring().push_cancel(key);
                core.ring().enter(Wait::No);
            }
        }
        left.release();
    });
}

/// Awaits `op` and splits off a buffer payload.
pub(crate) async fn with_buf(op: Op) -> (i32, crate::buf::Buf) {
    let finished = op.await;
    match finished.payload {
        Payload::Buf(buf) => (finished.cqe.result, buf),
        Payload::Nothing | Payload::Message(_) | Payload::Connect(_) | Payload::Accept(_) => {
            unreachable!("submitted with a buffer")
        }
    }
}
