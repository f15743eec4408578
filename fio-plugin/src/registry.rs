//! The engines of this process, one for each embedded store, shared by all its jobs that run as threads.
//!
//! The rule that keeps jobs from waiting for each other in a circle: whoever holds the registry's lock may wait for
//! cores, so a thread that is a core never sleeps for the lock; it keeps polling its core until the lock is free
//! ([`Link`](crate::engine_link::Link) sees to that). A forked process starts with an empty registry of its own: what
//! it inherited belongs to threads that it does not have.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use ringbd::{Cores, Engine, Image};

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
    /// Its own cores; none where the jobs' threads are its cores.
    pub(crate) own_cores: Option<Cores>,
    pub(crate) jobs: usize,
    pub(crate) images: Vec<OpenImage>,
}

/// Thread jobs that will use a store at the same time.
struct Planned {
    store: PathBuf,
    group: u32,
    jobs: usize,
}

/// All engines of the process, and the jobs that fio has announced.
#[derive(Default)]
pub(crate) struct Engines {
    running: Vec<SharedEngine>,
    planned: Vec<Planned>,
}

impl Engines {
    pub(crate) fn of_store(&mut self, store: &Path) -> Option<&mut SharedEngine> {
        self.running.iter_mut().find(|shared| shared.store == store)
    }

    pub(crate) fn add(&mut self, shared: SharedEngine) {
        self.running.push(shared);
    }

    pub(crate) fn remove(&mut self, store: &Path) {
        self.running.retain(|shared| shared.store != store);
    }

    /// Takes note of a job that will run as a thread of this process.
    pub(crate) fn plan(&mut self, store: &Path, group: u32) {
        let same = |planned: &&mut Planned| planned.store == store && planned.group == group;
        match self.planned.iter_mut().find(same) {
            Some(planned) => planned.jobs += 1,
            None => self.planned.push(Planned { store: store.to_owned(), group, jobs: 1 }),
        }
    }

    /// How many jobs will share an engine on `store` with a job of `group`, that job included.
    pub(crate) fn jobs_expected(&self, store: &Path, group: u32) -> usize {
        let same = |planned: &&Planned| planned.store == store && planned.group == group;
        self.planned.iter().find(same).map_or(1, |planned| planned.jobs)
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
            if let Some(registry) = unsafe { current.as_ref() }.filter(|registry| registry.process == process)
            {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_counted_by_store_and_group() {
        let mut engines = Engines::default();
        let (one, two) = (Path::new("/one"), Path::new("/two"));
        for (store, group) in [(one, 0), (one, 0), (two, 0), (one, 1)] {
            engines.plan(store, group);
        }
        assert_eq!(engines.jobs_expected(one, 0), 2);
        assert_eq!(engines.jobs_expected(two, 0), 1);
        assert_eq!(engines.jobs_expected(one, 1), 1);
        assert_eq!(engines.jobs_expected(two, 7), 1, "a job that was not announced is still one");
    }

    #[test]
    fn a_process_has_one_registry() {
        assert!(std::ptr::eq(Registry::of_process(), Registry::of_process()));
        let held = Registry::of_process().lock();
        assert!(Registry::of_process().try_lock().is_none());
        drop(held);
        assert!(Registry::of_process().try_lock().is_some());
    }
}
