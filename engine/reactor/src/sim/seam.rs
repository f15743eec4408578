//! What a simulated world must provide, as types that nobody can make yet.

use crate::buf::Buf;
use crate::clock::Instant;
use crate::core::CoreConfig;
use crate::fs::{DirectIo, Durability, OpenOptions};
use crate::ring::SetupError;
use crate::thread::CorePanicked;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// Received bytes.
pub(crate) type SimRecvBuf = Buf;

/// One node of a simulation: its clock, chance, disk, network and cores.
#[derive(Clone, Debug)]
pub(crate) struct SimWorld {
    never: Infallible,
}

impl SimWorld {
    pub(crate) fn now(&self) -> Instant {
        match self.never {}
    }

    pub(crate) fn unix_time(&self) -> Duration {
        match self.never {}
    }

    pub(crate) fn random_u64(&self) -> u64 {
        match self.never {}
    }

    /// How long [`crate::blocking`] work takes.
    pub(crate) fn blocking_latency(&self) -> Duration {
        match self.never {}
    }

    /// Makes a core with `Core::simulated`, runs `main` on it when the simulation runs.
    pub(crate) fn start_core<F, Fut>(
        &self,
        _config: CoreConfig,
        _main: F,
    ) -> Result<SimCoreThread, SetupError>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        match self.never {}
    }

    pub(crate) fn open(&self, _path: &Path, _options: &OpenOptions) -> io::Result<SimFile> {
        match self.never {}
    }

    pub(crate) fn open_sync(&self, _path: &Path, _options: &OpenOptions) -> io::Result<SimSyncFile> {
        match self.never {}
    }

    pub(crate) fn create_dir_all(&self, _path: &Path) -> io::Result<()> {
        match self.never {}
    }

    pub(crate) fn exists(&self, _path: &Path) -> io::Result<bool> {
        match self.never {}
    }

    pub(crate) fn remove_file(&self, _path: &Path) -> io::Result<()> {
        match self.never {}
    }

    pub(crate) fn rename(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        match self.never {}
    }

    pub(crate) fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        match self.never {}
    }
}

/// A simulated core, as its starter holds it.
#[derive(Debug)]
pub(crate) struct SimCoreThread {
    never: Infallible,
}

impl SimCoreThread {
    pub(crate) fn join(self) -> Result<(), CorePanicked> {
        match self.never {}
    }
}

/// An open file of a simulated disk.
#[derive(Clone, Debug)]
pub(crate) struct SimFile {
    never: Infallible,
}

impl SimFile {
    pub(crate) async fn read_at(&self, _buf: Buf, _offset: u64) -> (io::Result<usize>, Buf) {
        match self.never {}
    }

    pub(crate) async fn write_at(
        &self,
        _buf: Buf,
        _offset: u64,
        _durability: Durability,
    ) -> (io::Result<usize>, Buf) {
        match self.never {}
    }

    pub(crate) async fn sync_data(&self) -> io::Result<()> {
        match self.never {}
    }

    pub(crate) async fn punch_hole(&self, _offset: u64, _len: u64) -> io::Result<()> {
        match self.never {}
    }

    pub(crate) async fn zero_range(&self, _offset: u64, _len: u64) -> io::Result<()> {
        match self.never {}
    }

    pub(crate) async fn allocate(&self, _offset: u64, _len: u64) -> io::Result<()> {
        match self.never {}
    }

    pub(crate) fn len(&self) -> io::Result<u64> {
        match self.never {}
    }

    pub(crate) fn set_len(&self, _len: u64) -> io::Result<()> {
        match self.never {}
    }

    pub(crate) fn direct_io(&self) -> DirectIo {
        match self.never {}
    }

    pub(crate) fn try_lock(&self) -> io::Result<bool> {
        match self.never {}
    }

    pub(crate) fn is_block_device(&self) -> bool {
        match self.never {}
    }
}

/// An open file of a simulated disk, for blocking operations.
#[derive(Debug)]
pub(crate) struct SimSyncFile {
    never: Infallible,
}

impl SimSyncFile {
    pub(crate) fn read_at(&self, _buf: &mut [u8], _offset: u64) -> io::Result<usize> {
        match self.never {}
    }

    pub(crate) fn read_exact_at(&self, _buf: &mut [u8], _offset: u64) -> io::Result<()> {
        match self.never {}
    }

    pub(crate) fn write_all_at(&self, _buf: &[u8], _offset: u64) -> io::Result<()> {
        match self.never {}
    }

    pub(crate) fn len(&self) -> io::Result<u64> {
        match self.never {}
    }

    pub(crate) fn set_len(&self, _len: u64) -> io::Result<()> {
        match self.never {}
    }

    pub(crate) fn sync_data(&self) -> io::Result<()> {
        match self.never {}
    }

    pub(crate) fn sync_all(&self) -> io::Result<()> {
        match self.never {}
    }

    pub(crate) fn try_lock(&self) -> io::Result<bool> {
        match self.never {}
    }
}

/// A listening socket of the simulated network.
#[derive(Debug)]
pub(crate) struct SimListener {
    never: Infallible,
}

impl SimListener {
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        match self.never {}
    }

    pub(crate) async fn accept(&self) -> io::Result<(SimStream, SocketAddr)> {
        match self.never {}
    }

    pub(crate) fn bind(world: &SimWorld, _address: SocketAddr) -> io::Result<SimListener> {
        match world.never {}
    }
}

/// A connection of the simulated network.
#[derive(Debug)]
pub(crate) struct SimStream {
    never: Infallible,
}

impl SimStream {
    pub(crate) fn set_nodelay(&self, _yes: bool) -> io::Result<()> {
        match self.never {}
    }

    pub(crate) fn receiver(&self) -> SimReceive {
        match self.never {}
    }

    pub(crate) async fn send(&self, _bufs: Vec<Buf>) -> (io::Result<()>, Vec<Buf>) {
        match self.never {}
    }

    pub(crate) fn shutdown(&self) {
        match self.never {}
    }

    pub(crate) async fn connect(world: &SimWorld, _address: SocketAddr) -> io::Result<SimStream> {
        match world.never {}
    }
}

/// The receiving end of a simulated connection.
#[derive(Debug)]
pub(crate) struct SimReceive {
    never: Infallible,
}

impl SimReceive {
    pub(crate) async fn next(&mut self) -> Option<io::Result<SimRecvBuf>> {
        match self.never {}
    }
}
