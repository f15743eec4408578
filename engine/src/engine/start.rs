//! Starting an engine: which cores, on which store, in which world.

use super::message::Message;
use super::roster::EngineShared;
use super::state::CoreState;
use super::topology::{CORES_MAX, CoreNo};
use super::{Engine, EngineInner};
use crate::config::Settings;
use crate::error::{Error, ErrorKind, Result};
use crate::store::Store;
use ringbd_reactor::{CoreConfig, CoreThread, Receiver, SetupError, SetupErrorKind, World, spawn_detached};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Whose threads the cores are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cores {
    /// So many threads of the engine's own, pinned to the first CPUs that this process may use.
    Own(usize),
    /// One thread of the engine's own for each of these CPUs.
    OnCpus(Vec<usize>),
    /// None: callers lend theirs with [`Engine::lend`], about so many. An image's cache is shared out evenly to at least
    /// so many cores.
    Lent(usize),
}

impl Cores {
    /// Threads of the engine's own, as `ringbd_cores` and `ringbd_core_list` say.
    #[must_use]
    pub fn own(settings: &Settings) -> Self {
        match (settings.cores(), settings.core_list()) {
            (0, []) => Self::Own(ringbd_reactor::allowed_cpus().len().clamp(1, CORES_MAX)),
            (count, []) => Self::Own(count),
            (count, cpus) => Self::OnCpus(cpus.iter().copied().take(count).collect()),
        }
    }
}

/// How to start an [`Engine`].
#[derive(Clone)]
pub struct EngineOptions {
    /// Whose threads the cores are.
    pub cores: Cores,
    /// How long a core that has nothing to do looks for work before it sleeps; it does so as long as it finds some. Longer
    /// costs CPU, and saves the 10 µs and more that waking a sleeping thread takes.
    pub spin: Duration,
    /// The machine, or a simulation of it.
    pub world: World,
}

impl Default for EngineOptions {
    /// One core, a spin of 20 µs, the real machine.
    fn default() -> Self {
        Self { cores: Cores::Own(1), spin: Duration::from_micros(20), world: World::real() }
    }
}

impl Engine {
    /// Starts an engine on an open store.
    ///
    /// # Errors
    ///
    /// When the kernel refuses an io_uring (the error says why and what to change), or the number of cores is absurd.
    pub fn start(store: Store, options: EngineOptions) -> Result<Self> {
        let EngineOptions { cores, spin, world } = options;
        let expected = match &cores {
            Cores::Lent(count) | Cores::Own(count) => *count,
            Cores::OnCpus(cpus) => cpus.len(),
        };
        let cpus = match cores {
            Cores::Lent(expected) => {
                check_count(expected)?;
                Vec::new()
            }
            Cores::Own(count) => first_cpus(check_count(count)?),
            Cores::OnCpus(cpus) => {
                check_count(cpus.len())?;
                cpus.into_iter().map(Some).collect()
            }
        };
        let shared = Arc::new(EngineShared::new(world, store, expected));
        let inner =
            EngineInner { shared, threads: Mutex::default(), open: Mutex::new(BTreeMap::new()), spin };
        let engine = Self(Arc::new(inner));
        for cpu in cpus {
            // If one fails, dropping the engine stops those before it.
            engine.start_core(cpu, spin)?;
        }
        Ok(engine)
    }

    fn start_core(&self, cpu: Option<usize>, spin: Duration) -> Result<()> {
        let (no, mailbox) = self.shared().join();
        let config = CoreConfig { name: format!("ringbd-{}", no.0), cpu, spin, ..CoreConfig::default() };
        let shared = self.shared().clone();
        let thread = self.shared().world.start_core(config, move || serve(no, shared, mailbox));
        let thread: CoreThread = thread.map_err(|error| {
            self.shared().leave(no);
            setup_error(&error)
        })?;
        self.0.threads.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((no, thread));
        Ok(())
    }
}

async fn serve(no: CoreNo, shared: Arc<EngineShared>, mailbox: Receiver<Message>) {
    let state = CoreState::new(no, shared);
    spawn_detached(state.clone().flush_outbox());
    spawn_detached(state.clone().work_lanes());
    state.serve(mailbox).await;
}

fn check_count(count: usize) -> Result<usize> {
    if (1..=CORES_MAX).contains(&count) {
        return Ok(count);
    }
    Err(Error::new(ErrorKind::InvalidInput, "start", "engine", format!("{count} cores"))
        .hint(format!("ringbd_cores takes 1 to {CORES_MAX}")))
}

/// The CPUs that this process may run on, in order; a core without one of its own floats.
fn first_cpus(count: usize) -> Vec<Option<usize>> {
    let cpus = ringbd_reactor::allowed_cpus();
    (0..count).map(|n| cpus.get(n).copied()).collect()
}

pub(super) fn setup_error(error: &SetupError) -> Error {
    let kind = match error.kind() {
        SetupErrorKind::Cpu => ErrorKind::InvalidInput,
        SetupErrorKind::NotSupported
        | SetupErrorKind::Forbidden
        | SetupErrorKind::Memlock
        | SetupErrorKind::Other => ErrorKind::NotSupported,
    };
    Error::new(kind, "start", "core", error)
}
