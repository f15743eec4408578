//! A node as the code that runs on it sees it: its clock, chance, directory and cores.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::disk::{Disk, Request};
use super::file::{OpenFile, SimFile, SimSyncFile};
use super::image::Change;
use super::names::Entry;
use super::net::NodeId;
use super::scheduler::SimCoreThread;
use super::state::{Death, Launch, Shared, State};
use super::trace::TraceKind;
use crate::clock::Instant;
use crate::core::CoreConfig;
use crate::fs::OpenOptions;
use crate::ring::SetupError;

/// The wall clock at the start of every simulation: 1 January 2026.
const START_OF_TIME: Duration = Duration::from_secs(1_767_225_600);

/// One node of a simulation.
#[derive(Clone, Debug)]
pub(crate) struct SimWorld {
    pub(super) shared: Arc<Shared>,
    pub(super) node: NodeId,
}

impl SimWorld {
    pub(crate) fn now(&self) -> Instant {
        Instant::from_nanos(self.shared.with(|state| state.clock.now_ns()))
    }

    pub(crate) fn unix_time(&self) -> Duration {
        START_OF_TIME + Duration::from_nanos(self.now().as_nanos())
    }

    pub(crate) fn random_u64(&self) -> u64 {
        self.shared.with(|state| state.nodes[self.node].rng.u64(..))
    }

    /// How long work takes that a real core would give to a helper thread.
    pub(crate) fn blocking_latency(&self) -> Duration {
        Duration::from_nanos(self.shared.with(|state| state.nodes[self.node].disk.latency_ns()))
    }

    /// A core that runs when the simulation does.
    pub(crate) fn start_core<F, Fut>(&self, config: CoreConfig, main: F) -> Result<SimCoreThread, SetupError>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let id = self.shared.with(|state| {
            let node = &state.nodes[self.node];
            if node.dying.is_some() {
                return Err(SetupError::other("start a core: the simulated node is dead", Some(node.dead())));
            }
            let life = node.life;
            let id = state.start_core();
            state.tell(TraceKind::CoreStart, self.node, id, 0, 0, 0);
            let main =
                Box::new(move || -> super::state::MainFuture { Box::pin(async move { main().await }) });
            state.launches.push(Launch { id, node: self.node, life, config, main });
            Ok(id)
        })?;
        Ok(SimCoreThread::new(self.clone(), id))
    }

    pub(crate) fn open(&self, path: &Path, options: &OpenOptions) -> io::Result<SimFile> {
        self.open_file(path, options).map(SimFile::new)
    }

    pub(crate) fn open_sync(&self, path: &Path, options: &OpenOptions) -> io::Result<SimSyncFile> {
        self.open_file(path, options).map(SimSyncFile::new)
    }

    pub(crate) fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut missing: Vec<PathBuf> = Vec::new();
        for dir in path.ancestors() {
            match self.alive(|state| state.nodes[self.node].disk.entry(dir))? {
                Some(Entry::Dir) => break,
                Some(Entry::File(_)) => {
                    let reason =
                        format!("make the directory {}: {} is a file", path.display(), dir.display());
                    return Err(io::Error::new(ErrorKind::NotADirectory, reason));
                }
                None => missing.push(dir.to_owned()),
            }
        }
        for dir in missing.iter().rev() {
            self.disk(TraceKind::MakeDir, |disk| disk.make_dir(dir))?;
        }
        Ok(())
    }

    pub(crate) fn exists(&self, path: &Path) -> io::Result<bool> {
        self.alive(|state| state.nodes[self.node].disk.entry(path).is_some())
    }

    pub(crate) fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk(TraceKind::Remove, |disk| disk.remove(path))
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk(TraceKind::Rename, |disk| disk.rename(from, to))
    }

    pub(crate) fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.disk(TraceKind::SyncDir, |disk| disk.sync_dir(path))
    }

    /// Runs `f` on the state, unless the node is dead.
    pub(super) fn alive<R>(&self, f: impl FnOnce(&mut State) -> R) -> io::Result<R> {
        self.shared.with(|state| {
            let node = &state.nodes[self.node];
            if node.dying.is_some() { Err(node.dead()) } else { Ok(f(state)) }
        })
    }

    /// Whether the node is dead and its tasks are about to be dropped. Synchronous operations fail then; asynchronous
    /// ones just never complete, so that no code runs on an error that a dead machine could not have seen.
    pub(super) fn is_dying(&self) -> bool {
        self.alive(|_| ()).is_err()
    }

    /// Runs a synchronous disk operation. If the power fails in it, nobody hears its result.
    pub(super) fn disk<R>(
        &self,
        kind: TraceKind,
        f: impl FnOnce(&mut Disk) -> io::Result<R>,
    ) -> io::Result<R> {
        self.alive(|state| {
            let disk = &mut state.nodes[self.node].disk;
            let result = f(disk);
            let ops = disk.ops();
            state.tell(kind, self.node, 0, ops, 0, u64::from(result.is_err()));
            state.check_power(self.node)?;
            result
        })?
    }

    fn open_file(&self, path: &Path, options: &OpenOptions) -> io::Result<OpenFile> {
        let inode = self.disk(TraceKind::Open, |disk| match disk.entry(path) {
            Some(_) if options.create_new => {
                let reason = format!("{} exists already (simulated disk)", path.display());
                Err(io::Error::new(ErrorKind::AlreadyExists, reason))
            }
            None if options.create || options.create_new => disk.create(path),
            Some(_) | None => disk.lookup(path),
        })?;
        let (handle, life, device) = self.alive(|state| {
            let node = &mut state.nodes[self.node];
            (node.disk.open_handle(inode), node.life, node.disk.is_device(inode))
        })?;
        let file = OpenFile::new(self.clone(), life, inode, handle, options);
        if options.truncate && options.write && !device {
            file.run(Request::Change { change: Change::Resize { len: 0 }, durable: false })?;
        }
        Ok(file)
    }
}

impl State {
    /// Whether the power fails now, because the disk has had as many operations as were granted.
    pub(super) fn check_power(&mut self, node: NodeId) -> io::Result<()> {
        if !self.nodes[node].disk.cut_is_due() {
            return Ok(());
        }
        self.strike(node, Death::PowerCut);
        Err(self.nodes[node].dead())
    }
}
