//! An open descriptor, and its number in the process: the slot it takes in every core's table of registered
//! files.
//!
//! A table holds a descriptor open, so a close must reach every core that registered it: each looks its table
//! through when the count of closings has moved, and sleeping cores are roused for that.

use crate::core::rouse_all;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

static REGISTRY: Mutex<Registry> = Mutex::new(Registry { alive: Vec::new(), free: Vec::new(), next_id: 1 });
static CLOSINGS: AtomicU64 = AtomicU64::new(0);

struct Registry {
    /// The id of the descriptor that has the index, 0 for none.
    alive: Vec<u64>,
    free: Vec<u32>,
    next_id: u64,
}

/// A descriptor that rings work on. Closed when its last owner lets go.
#[derive(Debug)]
pub(crate) struct Descriptor {
    fd: OwnedFd,
    index: u32,
    id: u64,
    registered: AtomicBool,
}

/// How an SQE names a descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    Fixed(u32),
    Fd(RawFd),
}

/// Builds an SQE for either kind of target: `with_target!(target, fd => opcode::Fsync::new(fd).build())`.
macro_rules! with_target {
    ($target:expr, $fd:ident => $build:expr) => {
        match $target {
            $crate::ring::Target::Fixed(slot) => {
                let $fd = ::io_uring::types::Fixed(slot);
                $build
            }
            $crate::ring::Target::Fd(raw) => {
                let $fd = ::io_uring::types::Fd(raw);
                $build
            }
        }
    };
}
pub(crate) use with_target;

impl Descriptor {
    pub(crate) fn new(fd: OwnedFd) -> Descriptor {
        let mut registry = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
        let id = registry.next_id;
        registry.next_id += 1;
        let index = match registry.free.pop() {
            Some(index) => {
                registry.alive[index as usize] = id;
                index
            }
            None => {
                registry.alive.push(id);
                u32::try_from(registry.alive.len() - 1).expect("a process has fewer descriptors than 2^32")
            }
        };
        Descriptor { fd, index, id, registered: AtomicBool::new(false) }
    }

    pub(crate) fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// The slot it takes in a table, if the table is that large.
    pub(super) fn index(&self) -> usize {
        self.index as usize
    }

    /// Never reused.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn note_registered(&self) {
        self.registered.store(true, Ordering::Release);
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        {
            let mut registry = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
            registry.alive[self.index as usize] = 0;
            registry.free.push(self.index);
        }
        if self.registered.load(Ordering::Acquire) {
            CLOSINGS.fetch_add(1, Ordering::SeqCst);
            rouse_all();
        }
    }
}

/// How many registered descriptors were closed so far.
pub(super) fn closings() -> u64 {
    CLOSINGS.load(Ordering::SeqCst)
}

/// Calls `dead` for each table slot whose id is not that of a living descriptor.
pub(super) fn for_each_closed(ids: &[u64], mut dead: impl FnMut(usize)) {
    let registry = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
    for (index, &id) in ids.iter().enumerate() {
        if id != 0 && registry.alive.get(index) != Some(&id) {
            dead(index);
        }
    }
}
