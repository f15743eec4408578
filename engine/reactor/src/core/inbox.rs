//! The inbox of a core: where wakes from other threads arrive.
//!
//! Inboxes are never freed: a waker holds no reference, only a core's slot in the table below, so the inbox
//! it names must outlive every waker. A core that ends leaves its slot to the next one; the generation tells
//! them apart.
//!
//! Sleep protocol (both sides use SeqCst fences, so one of them sees the other): the core raises `sleeping`,
//! then looks at the queue once more, then blocks; a waker pushes, then looks at `sleeping`, and writes the
//! eventfd only if it was the one to take the flag down. What a core watches ([`Watch`](crate::Watch)) is pushed elsewhere, and
//! takes the place of the queue in the same protocol.

use crossbeam_queue::SegQueue;
use crossbeam_utils::CachePadded;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::waker::TaskRef;

/// Cores alive at once in one process: far above the cores of any machine, and 64 KiB of table.
pub(crate) const CORES_MAX: usize = 4096;

static TABLE: [OnceLock<Inbox>; CORES_MAX] = [const { OnceLock::new() }; CORES_MAX];
static FREE: Mutex<FreeSlots> = Mutex::new(FreeSlots { reusable: Vec::new(), fresh: 0 });

struct FreeSlots {
    reusable: Vec<u16>,
    fresh: u16,
}

/// One core's inbox. See the head of this file.
pub(crate) struct Inbox {
    queue: CachePadded<SegQueue<TaskRef>>,
    sleeping: CachePadded<AtomicBool>,
    generation: AtomicU32,
    eventfd: OnceLock<OwnedFd>,
    /// Where the kernel puts the eventfd's counter. Nobody reads it; it is here because inboxes are never
    /// freed.
    count: AtomicU64,
}

/// A claimed slot of the table; the drop hands it on.
pub(crate) struct Slot {
    pub(crate) index: u16,
    pub(crate) generation: u16,
    inbox: &'static Inbox,
}

impl Slot {
    /// Claims a slot, `None` when [`CORES_MAX`] cores are alive.
    pub(crate) fn claim() -> Option<Slot> {
        let index = {
            let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
            match free.reusable.pop() {
                Some(index) => index,
                None if usize::from(free.fresh) < CORES_MAX => {
                    free.fresh += 1;
                    free.fresh - 1
                }
                None => return None,
            }
        };
        let inbox = TABLE[usize::from(index)].get_or_init(Inbox::new);
        while inbox.queue.pop().is_some() {}
        inbox.sleeping.store(false, Ordering::SeqCst);
        let generation = TaskRef::core_generation(inbox.generation.load(Ordering::Acquire));
        Some(Slot { index, generation, inbox })
    }

    pub(crate) fn inbox(&self) -> &'static Inbox {
        self.inbox
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.inbox.generation.fetch_add(1, Ordering::AcqRel);
        FREE.lock().unwrap_or_else(PoisonError::into_inner).reusable.push(self.index);
    }
}

impl Inbox {
    fn new() -> Inbox {
        Inbox {
            queue: CachePadded::new(SegQueue::new()),
            sleeping: CachePadded::new(AtomicBool::new(false)),
            generation: AtomicU32::new(0),
            eventfd: OnceLock::new(),
            count: AtomicU64::new(0),
        }
    }

    /// The descriptor a sleeping core waits on; made at the first use.
    pub(crate) fn eventfd(&self) -> std::io::Result<RawFd> {
        if let Some(fd) = self.eventfd.get() {
            return Ok(fd.as_raw_fd());
        }
        // SAFETY: eventfd takes no pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: `fd` was just returned by eventfd and nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(self.eventfd.get_or_init(|| fd).as_raw_fd())
    }

    /// Eight bytes that live for ever, for the read of the eventfd.
    pub(crate) fn count_place(&'static self) -> *mut u8 {
        self.count.as_ptr().cast()
    }

    pub(crate) fn pop(&self) -> Option<TaskRef> {
        self.queue.pop()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Announces sleep. False, and no announcement, when something arrived meanwhile, here or where `due` looks.
    pub(crate) fn prepare_sleep(&self, due: impl FnOnce() -> bool) -> bool {
        self.sleeping.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if self.queue.is_empty() && !due() {
            return true;
        }
        self.sleeping.store(false, Ordering::SeqCst);
        false
    }

    pub(crate) fn awake(&self) {
        self.sleeping.store(false, Ordering::SeqCst);
    }

    fn push(&self, task: TaskRef) {
        self.queue.push(task);
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::Relaxed) && self.sleeping.swap(false, Ordering::SeqCst) {
            self.kick();
        }
    }

    fn kick(&self) {
        let Some(fd) = self.eventfd.get() else { return };
        let one = 1u64;
        // SAFETY: `one` is 8 readable bytes and the descriptor lives as long as the table, that is, for ever.
        // The write fails only when the counter is full, and then the core is being woken already.
        unsafe { libc::write(fd.as_raw_fd(), (&raw const one).cast(), 8) };
    }
}

/// Wakes `task` from a thread that is not its core. Ignored when the core has ended.
pub(crate) fn wake_foreign(task: TaskRef) {
    let Some(inbox) = TABLE.get(task.core_index()).and_then(OnceLock::get) else { return };
    if TaskRef::core_generation(inbox.generation.load(Ordering::Acquire)) == task.core_generation_of() {
        inbox.push(task);
    }
}

/// Gets the core at a place of the table up, if it sleeps. The caller has made what it is to see visible, and then had a SeqCst
/// fence. A core that took the place of one that ended is got up for nothing.
pub(crate) fn rouse_core(place: u32) {
    let Some(inbox) = TABLE.get(place as usize).and_then(OnceLock::get) else { return };
    if inbox.sleeping.load(Ordering::Relaxed) && inbox.sleeping.swap(false, Ordering::SeqCst) {
        inbox.kick();
    }
}

/// Gets every sleeping core up for one turn, so that it lets go of descriptors that nobody uses any more.
pub(crate) fn rouse_all() {
    fence(Ordering::SeqCst);
    let used = usize::from(FREE.lock().unwrap_or_else(PoisonError::into_inner).fresh);
    for inbox in TABLE[..used].iter().filter_map(OnceLock::get) {
        if inbox.sleeping.load(Ordering::SeqCst) {
            inbox.kick();
        }
    }
}
