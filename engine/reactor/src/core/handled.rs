//! Operations that no task waits for: a handler is told of their end while the core reaps.
//!
//! What a task costs beside the operation itself, memory for its future, a wake and two polls, falls away. It
//! suits what is one operation long; whatever has several steps is a task.

use super::{Core, OpKey};
use crate::buf::Buf;
use crate::ring::Descriptor;
use io_uring::squeue;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

/// Is told of the end of operations that were started with [`File::start_read`](crate::File::start_read) and
/// [`File::start_write`](crate::File::start_write).
pub trait CompletionHandler {
    /// The operation that was started with `token` has ended: how many bytes it moved, which may be fewer than
    /// `buf` has, or why none. Called inside the core, never before `start_*` has returned, and once for each
    /// operation, except that a core which ends tells nobody anything any more.
    fn completed(self: Rc<Self>, token: u64, result: io::Result<usize>, buf: Buf);
}

impl Core {
    /// Queues `entry`; it is submitted at the end of the core's turn, and `handler` is told of its end.
    ///
    /// # Safety
    /// All memory that `entry` names is owned by `buf` (and does not move with it), and its descriptor is
    /// registered with this core, or kept open by `keep`.
    pub(crate) unsafe fn submit_handled(
        &self,
        entry: squeue::Entry,
        keep: Option<Arc<Descriptor>>,
        buf: Buf,
        handler: Rc<dyn CompletionHandler>,
        token: u64,
    ) {
        let OpKey(key) = self.ops.borrow_mut().insert_handled(buf, keep, handler, token);
        // SAFETY: the slot just made owns what the entry names until its last CQE (see `ops`); the caller
        // vouches that this is all of it.
        unsafe { self.ring().push(entry.user_data(key)) };
    }
}
