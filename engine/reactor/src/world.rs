//! A world: where files, sockets, time and chance come from. The machine, or one node of a simulation.

use crate::clock::{Instant, machine_now, machine_unix_time};
use crate::core::{Core, CoreConfig};
use crate::fs::{self, File, OpenOptions, SyncFile};
use crate::lent::LentCore;
use crate::ring::SetupError;
use crate::sim::SimWorld;
use crate::thread::CoreThread;
use std::io;
use std::path::Path;
use std::time::Duration;

/// A world. Clones are the same world.
#[derive(Clone, Debug)]
pub struct World {
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Real,
    Sim(SimWorld),
}

impl World {
    /// The machine.
    pub fn real() -> World {
        World { kind: Kind::Real }
    }

    pub(crate) fn simulated(world: SimWorld) -> World {
        World { kind: Kind::Sim(world) }
    }

    pub(crate) fn as_simulated(&self) -> Option<&SimWorld> {
        match &self.kind {
            Kind::Real => None,
            Kind::Sim(world) => Some(world),
        }
    }

    /// The world of the running core.
    pub fn current() -> World {
        Core::with(Core::world)
    }

    /// The world of the running core, if this thread is inside one.
    pub fn try_current() -> Option<World> {
        Core::try_with(Core::world)
    }

    /// True for a node of a simulation.
    pub fn is_simulated(&self) -> bool {
        self.as_simulated().is_some()
    }

    /// Starts a core on a thread of its own, which ends when the future of `main` returns. In a simulation
    /// the core runs when the simulation does.
    pub fn start_core<F, Fut>(&self, config: CoreConfig, main: F) -> Result<CoreThread, SetupError>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        match &self.kind {
            Kind::Real => CoreThread::start(config, main),
            Kind::Sim(world) => world.start_core(config, main).map(CoreThread::simulated),
        }
    }

    /// Makes the calling thread a core. Only in the real world: a simulation runs its cores itself.
    pub fn lend_core(&self, config: CoreConfig) -> Result<LentCore, SetupError> {
        match &self.kind {
            Kind::Real => LentCore::new(config),
            Kind::Sim(_) => {
                Err(SetupError::other("a simulated world has no threads to lend (use start_core)", None))
            }
        }
    }

    /// Opens a file for asynchronous operations. Blocks.
    pub fn open(&self, path: &Path, options: &OpenOptions) -> io::Result<File> {
        match &self.kind {
            Kind::Real => fs::open(path, options),
            Kind::Sim(world) => world.open(path, options).map(File::simulated),
        }
    }

    /// Opens a file for blocking operations. Blocks.
    pub fn open_sync(&self, path: &Path, options: &OpenOptions) -> io::Result<SyncFile> {
        match &self.kind {
            Kind::Real => fs::open_sync(path, options),
            Kind::Sim(world) => world.open_sync(path, options).map(SyncFile::simulated),
        }
    }

    /// Makes a directory and its parents. Blocks.
    pub fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        match &self.kind {
            Kind::Real => std::fs::create_dir_all(path),
            Kind::Sim(world) => world.create_dir_all(path),
        }
    }

    /// True when there is something at `path`. Blocks.
    pub fn exists(&self, path: &Path) -> io::Result<bool> {
        match &self.kind {
            Kind::Real => path.try_exists(),
            Kind::Sim(world) => world.exists(path),
        }
    }

    /// Removes a file. Blocks.
    pub fn remove_file(&self, path: &Path) -> io::Result<()> {
        match &self.kind {
            Kind::Real => std::fs::remove_file(path),
            Kind::Sim(world) => world.remove_file(path),
        }
    }

    /// Renames a file, over the target if there is one. Blocks.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        match &self.kind {
            Kind::Real => std::fs::rename(from, to),
            Kind::Sim(world) => world.rename(from, to),
        }
    }

    /// Makes the entries of a directory durable. Blocks.
    pub fn sync_dir(&self, path: &Path) -> io::Result<()> {
        match &self.kind {
            Kind::Real => fs::sync_dir(path),
            Kind::Sim(world) => world.sync_dir(path),
        }
    }

    /// The current time.
    pub fn now(&self) -> Instant {
        match &self.kind {
            Kind::Real => machine_now(),
            Kind::Sim(world) => world.now(),
        }
    }

    /// Time since 1970.
    pub fn unix_time(&self) -> Duration {
        match &self.kind {
            Kind::Real => machine_unix_time(),
            Kind::Sim(world) => world.unix_time(),
        }
    }

    /// A random number.
    pub fn random_u64(&self) -> u64 {
        match &self.kind {
            Kind::Real => fastrand::u64(..),
            Kind::Sim(world) => world.random_u64(),
        }
    }
}
