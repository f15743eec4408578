//! A core on a thread of its own.

use crate::core::CoreConfig;
use crate::cpu::allowed_cpus;
use crate::lent::LentCore;
use crate::ring::SetupError;
use crate::sim::SimCoreThread;
use std::any::Any;
use std::sync::mpsc;
use std::thread::JoinHandle;

/// A running core. Dropping it lets the core run on.
#[derive(Debug)]
pub struct CoreThread {
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Thread(JoinHandle<()>),
    Sim(SimCoreThread),
}

/// A core ended by a panic: a bug of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a core panicked: {message}")]
pub struct CorePanicked {
    message: String,
}

impl CorePanicked {
    pub(crate) fn from_payload(payload: &(dyn Any + Send)) -> CorePanicked {
        let message = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
            (Some(text), _) => (*text).to_owned(),
            (None, Some(text)) => text.clone(),
            (None, None) => "no message".to_owned(),
        };
        CorePanicked { message }
    }
}

impl CoreThread {
    pub(crate) fn simulated(core: SimCoreThread) -> CoreThread {
        CoreThread { inner: Inner::Sim(core) }
    }

    /// Starts a thread, pins it, makes it a core and runs `main` on it. Returns once the core is set up.
    pub(crate) fn start<F, Fut>(config: CoreConfig, main: F) -> Result<CoreThread, SetupError>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let (ready, set_up) = mpsc::channel();
        let name = config.name.clone();
        let run = move || {
            let pinned = config.cpu.map_or(Ok(()), pin);
            let (outcome, core) = match pinned.and_then(|()| LentCore::new(config)) {
                Ok(core) => (Ok(()), Some(core)),
                Err(error) => (Err(error), None),
            };
            // The starter waits for exactly this message.
            drop(ready.send(outcome));
            if let Some(mut core) = core {
                core.block_on(async { main().await });
            }
        };
        let thread = std::thread::Builder::new().name(name).spawn(run).map_err(|error| {
            SetupError::other(
                format!("start a core's thread: {error} (raise the limit on threads, `ulimit -u`)"),
                Some(error),
            )
        })?;
        match set_up.recv() {
            Ok(Ok(())) => Ok(CoreThread { inner: Inner::Thread(thread) }),
            Ok(Err(error)) => {
                // What `main` holds is gone when the starter hears of the failure. A panic has nothing to add to that.
                drop(thread.join());
                Err(error)
            }
            Err(_) => Err(SetupError::other("a core's thread ended before it was set up", None)),
        }
    }

    /// Whether the caller runs on this core, which therefore cannot be joined.
    pub fn is_current(&self) -> bool {
        match &self.inner {
            Inner::Thread(thread) => thread.thread().id() == std::thread::current().id(),
            Inner::Sim(core) => core.is_current(),
        }
    }

    /// Waits until the core has ended. Blocks, so it is not for the core itself.
    pub fn join(self) -> Result<(), CorePanicked> {
        match self.inner {
            Inner::Thread(thread) => thread.join().map_err(|panic| CorePanicked::from_payload(&*panic)),
            Inner::Sim(core) => core.join(),
        }
    }
}

/// A thread that runs elsewhere than its user said would measure, or disturb, something else.
fn pin(cpu: usize) -> Result<(), SetupError> {
    // Beyond its size core_affinity's set panics.
    let representable = cpu < 8 * size_of::<libc::cpu_set_t>();
    if representable && core_affinity::set_for_current(core_affinity::CoreId { id: cpu }) {
        return Ok(());
    }
    Err(SetupError::cannot_pin(cpu, &allowed_cpus()))
}
