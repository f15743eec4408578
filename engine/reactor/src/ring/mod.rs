//! The io_uring of a core: set-up with the flags this kernel has, submission, reaping.
//!
//! Tasks push SQEs while they run; the core enters the kernel once a turn, to submit them all, run the
//! deferred task work and, when idle, wait. `RingDriver` is used from its core's thread only (SINGLE_ISSUER),
//! in short borrows.

mod descriptor;
mod fixed_buffers;
mod fixed_files;
mod kernel;
mod probe;
mod setup;
mod setup_error;

pub(crate) use descriptor::{Descriptor, Target, with_target};
pub use probe::{Capabilities, probe};
pub use setup_error::{SetupError, SetupErrorKind};

use crate::core::{CoreConfig, Cqe, Inbox, OpKey};
use crate::net::recv_ring::RecvRing;
use fixed_buffers::FixedBuffers;
use fixed_files::FixedFiles;
use io_uring::{IoUring, cqueue, opcode, squeue, types};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// `user_data` of the read of the core's eventfd, and of cancels. No operation has them: its sequence number
/// is lower.
const WAKE: u64 = u64::MAX;
const CANCEL: u64 = u64::MAX - 1;
const GETEVENTS: u32 = 1;
/// Longest wait in one enter: a time the kernel can count. A core that wakes too early just sleeps again.
const WAIT_MAX: Duration = Duration::from_secs(1 << 30);

/// Whether an enter may block.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    No,
    /// Until a CQE arrives, at most this long.
    For(Option<Duration>),
}

pub(crate) struct RingDriver {
    ring: RefCell<IoUring>,
    /// SQEs that found the queue full while the kernel took no more.
    backlog: RefCell<VecDeque<squeue::Entry>>,
    files: RefCell<FixedFiles>,
    buffers: RefCell<FixedBuffers>,
    recv_ring: RefCell<Option<Rc<RecvRing>>>,
    inbox: &'static Inbox,
    eventfd: RawFd,
    wake_armed: Cell<bool>,
    capabilities: Capabilities,
}

impl RingDriver {
    pub(crate) fn new(config: &CoreConfig, inbox: &'static Inbox) -> Result<RingDriver, SetupError> {
        let eventfd = inbox.eventfd().map_err(|error| SetupError::of_eventfd(&error))?;
        let (ring, capabilities) = setup::build(config.entries)?;
        let files = FixedFiles::register(&ring);
        let buffers = FixedBuffers::register(&ring);
        Ok(RingDriver {
            ring: RefCell::new(ring),
            backlog: RefCell::default(),
            files: RefCell::new(files),
            buffers: RefCell::new(buffers),
            recv_ring: RefCell::new(None),
            inbox,
            eventfd,
            wake_armed: Cell::new(false),
            capabilities,
        })
    }

    pub(crate) fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Queues an SQE.
    ///
    /// # Safety
    /// What the entry names stays valid until its last CQE is reaped.
    pub(crate) unsafe fn push(&self, entry: squeue::Entry) {
        if self.backlog.borrow().is_empty() {
            // SAFETY: passed on to the caller.
            if unsafe { self.try_push(&entry) } {
                return;
            }
            self.enter(Wait::No);
            // SAFETY: as above.
            if self.backlog.borrow().is_empty() && unsafe { self.try_push(&entry) } {
                return;
            }
        }
        self.backlog.borrow_mut().push_back(entry);
    }

    /// # Safety
    /// As [`RingDriver::push`].
    unsafe fn try_push(&self, entry: &squeue::Entry) -> bool {
        // SAFETY: passed on to the caller.
        unsafe { self.ring.borrow_mut().submission().push(entry) }.is_ok()
    }

    /// Asks the kernel to give up an operation. Its CQE comes all the same.
    pub(crate) fn push_cancel(&self, key: OpKey) {
        let entry = opcode::AsyncCancel::new(key.0).build().user_data(CANCEL);
        // SAFETY: the entry names no memory.
        unsafe { self.push(entry) };
    }

    /// Asks the kernel to give up everything in flight.
    pub(crate) fn push_cancel_all(&self) {
        let entry = opcode::AsyncCancel2::new(types::CancelBuilder::any()).build().user_data(CANCEL);
        // SAFETY: the entry names no memory.
        unsafe { self.push(entry) };
    }

    /// Makes sure that a write to the core's eventfd ends a blocking enter.
    pub(crate) fn arm_wake(&self) {
        if self.wake_armed.replace(true) {
            return;
        }
        let entry = opcode::Read::new(types::Fd(self.eventfd), self.inbox.count_place(), 8).build();
        // SAFETY: the inbox, with the eight bytes and the eventfd, lives for ever.
        unsafe { self.push(entry.user_data(WAKE)) };
    }

    /// The ring has SQEs that the kernel has not seen.
    pub(crate) fn has_submissions(&self) -> bool {
        !self.ring.borrow_mut().submission().is_empty() || !self.backlog.borrow().is_empty()
    }

    /// There are CQEs, or the kernel says that an enter would bring some.
    pub(crate) fn has_completions(&self) -> bool {
        let mut ring = self.ring.borrow_mut();
        if !ring.completion().is_empty() {
            return true;
        }
        let sq = ring.submission();
        sq.taskrun() || sq.cq_overflow()
    }

    /// Submits what is queued and runs what the kernel deferred, in one system call; none when there is
    /// neither.
    pub(crate) fn enter(&self, wait: Wait) {
        self.refill_from_backlog();
        let mut ring = self.ring.borrow_mut();
        let (queued, pending) = {
            let sq = ring.submission();
            (sq.len(), sq.taskrun() || sq.cq_overflow())
        };
        let submitter = ring.submitter();
        let queued = u32::try_from(queued).expect("a submission queue has at most 32768 entries");
        let entered = match wait {
            Wait::No if queued == 0 && !pending => return,
            // SAFETY: no argument is passed, and every queued SQE was vouched for in `push`.
            Wait::No => unsafe { submitter.enter::<libc::sigset_t>(queued, 0, GETEVENTS, None) },
            // SAFETY: as above.
            Wait::For(None) => unsafe { submitter.enter::<libc::sigset_t>(queued, 1, GETEVENTS, None) },
            Wait::For(Some(limit)) => {
                let limit = types::Timespec::from(limit.min(WAIT_MAX));
                submitter.submit_with_args(1, &types::SubmitArgs::new().timespec(&limit))
            }
        };
        if let Err(error) = entered {
            // EBUSY and EAGAIN: the completion queue is over-full, the turn's reaping makes room.
            match error.raw_os_error() {
                Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => {}
                _ => panic!("io_uring_enter with {queued} SQEs: {error}"),
            }
        }
    }

    fn refill_from_backlog(&self) {
        let mut backlog = self.backlog.borrow_mut();
        while let Some(entry) = backlog.front() {
            // SAFETY: vouched for when it was given to `push`.
            if !unsafe { self.try_push(entry) } {
                break;
            }
            backlog.pop_front();
        }
    }

    /// Copies CQEs out of the ring.
    pub(crate) fn take_completions<'a>(
        &self,
        space: &'a mut [MaybeUninit<cqueue::Entry>],
    ) -> &'a mut [cqueue::Entry] {
        self.ring.borrow_mut().completion().fill(space)
    }

    /// What a CQE is for, `None` for the ring's own.
    pub(crate) fn translate(&self, entry: &cqueue::Entry) -> Option<(OpKey, Cqe, bool)> {
        match entry.user_data() {
            WAKE => {
                self.wake_armed.set(false);
                None
            }
            CANCEL => None,
            key => {
                let cqe = Cqe { result: entry.result(), flags: entry.flags() };
                Some((OpKey(key), cqe, cqueue::more(entry.flags())))
            }
        }
    }

    /// How to name `descriptor` in an SQE. The second part must be kept until the operation's last CQE, when
    /// it is there.
    pub(crate) fn target(&self, descriptor: &Arc<Descriptor>) -> (Target, Option<Arc<Descriptor>>) {
        let slot = self.files.borrow().find(descriptor);
        match slot.or_else(|| self.register_file(descriptor)) {
            Some(slot) => (Target::Fixed(slot), None),
            None => (Target::Fd(descriptor.raw()), Some(descriptor.clone())),
        }
    }

    fn register_file(&self, descriptor: &Descriptor) -> Option<u32> {
        if !self.files.borrow().has_room_for(descriptor) || !self.everything_submitted() {
            return None;
        }
        self.files.borrow_mut().register_file(&self.ring.borrow(), descriptor)
    }

    /// SQEs name table slots by number until the kernel takes them, so the table changes only when none is
    /// queued.
    fn everything_submitted(&self) -> bool {
        if self.has_submissions() {
            self.enter(Wait::No);
        }
        !self.has_submissions()
    }

    /// Some descriptor was closed since the table was last looked through.
    pub(crate) fn files_were_closed(&self) -> bool {
        self.files.borrow().is_behind()
    }

    /// Lets go of descriptors that nobody uses any more.
    pub(crate) fn release_closed_files(&self) {
        if self.files_were_closed() && self.everything_submitted() {
            self.files.borrow_mut().release_closed(&self.ring.borrow());
        }
    }

    /// The registered buffer that contains the memory, if any.
    pub(crate) fn buffer_index(&self, start: *const u8, len: usize) -> Option<u16> {
        self.buffers.borrow().find(start, len)
    }

    /// Registers memory for fixed-buffer operations; false when the kernel took none or only a part.
    ///
    /// # Safety
    /// The memory stays mapped until the ring is closed.
    pub(crate) unsafe fn register_buffer(&self, base: *mut u8, len: usize) -> bool {
        // SAFETY: passed on to the caller.
        unsafe { self.buffers.borrow_mut().add(&self.ring.borrow(), base, len) }
    }

    /// The core's provided-buffer ring, made at the first use.
    pub(crate) fn recv_ring(&self) -> io::Result<Rc<RecvRing>> {
        if let Some(ring) = &*self.recv_ring.borrow() {
            return Ok(ring.clone());
        }
        let ring = Rc::new(RecvRing::register(&self.ring.borrow())?);
        *self.recv_ring.borrow_mut() = Some(ring.clone());
        Ok(ring)
    }

    /// The core ends. When operations were leaked the kernel may still write to the buffers it picked and to
    /// the ring's own memory, so those are leaked too.
    pub(crate) fn close(&self, leaked_operations: usize) {
        let recv_ring = self.recv_ring.borrow_mut().take();
        if let Some(recv_ring) = recv_ring {
            if leaked_operations > 0 {
                std::mem::forget(recv_ring);
            } else {
                recv_ring.unregister(&self.ring.borrow());
            }
        }
    }
}
