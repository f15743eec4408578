//! The engines of this process, one for each embedded store, shared by all its jobs that run as threads.
//!
//! The rule that keeps jobs from waiting for each other in a circle: whoever holds the registry's lock may wait for
//! cores, so a thread that is a core never sleeps for the lock; it keeps polling its core until the lock is free
//! ([`Link`](crate::engine_link::Link) sees to that). A forked process starts with an empty registry of its own: what
//! it inherited belongs to threads that it does not have.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use ringbd::{Engine, Image};

use crate::target::Target;

/// An image that jobs of this process have open.
pub(crate) struct OpenImage {
    pub(crate) target: Target,
    pub(crate) image: Image,
    pub(crate) jobs: usize,
}

/// An engine that jobs of this process use. It ends, and its store is closed, with the last of them.
pub(crate) struct SharedEngine {
    pub(crate) store: PathBuf,
    pub(crate) engine: Engine,
    pub(crate) jobs: usize,
    pub(crate) images: Vec<OpenImage>,
}

/// All engines of the process.
#[derive(Default)]
pub(crate) struct Engines(Vec<SharedEngine>);

impl Engines {
    pub(crate) fn of_store(&mut self, store: &Path) -> Option<&mut SharedEngine> {
        self.0.iter_mut().find(|shared| shared.store == store)
    }

    pub(crate) fn add(&mut self, shared: SharedEngine) -> &mut SharedEngine {
        self.0.push(shared);
        self.0.last_mut().expect("one was pushed")
    }

    pub(crate) fn remove(&mut self, store: &Path) {
        self.0.retain(|shared| shared.store != store);
    }
}

/// The registry's lock of this process.
pub(crate) struct Registry {
    process: u32,
    engines: Mutex<Engines>,
}

impl Registry {
    /// The registry of this process, made at the first call after its start or fork.
    pub(crate) fn of_process() -> &'static Registry {
        static CURRENT: AtomicPtr<Registry> = AtomicPtr::new(std::ptr::null_mut());
        let process = std::process::id();
        loop {
            let current = CURRENT.load(Ordering::Acquire);
            // SAFETY: the pointer is null or was leaked below, so it is good for ever.
            if let Some(registry) = unsafe { current.as_ref() }.filter(|registry| registry.process == process) {
                return registry;
            }
            let fresh = Box::into_raw(Box::new(Registry { process, engines: Mutex::default() }));
            if CURRENT.compare_exchange(current, fresh, Ordering::AcqRel, Ordering::Acquire).is_err() {
                // SAFETY: another thread was faster, and nobody else knows this one.
                drop(unsafe { Box::from_raw(fresh) });
            }
        }
    }

    /// Waits for the lock. Not for a thread that is a core.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Engines> {
        // A panic ends the process in the product; in a test, the table is whole at every step.
        self.engines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the lock if it is free.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, Engines>> {
        match self.engines.try_lock() {
            Ok(engines) => Some(engines),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}
