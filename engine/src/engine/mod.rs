//! The engine: cores, the store below them, and the images that are open on it.
//!
//! An engine has cores of its own, each a pinned thread, or works on threads that callers lend it ([`Core`]). Every
//! object of every image has one home core; the engine moves objects only when cores come and go.

pub(crate) mod calls;
mod dispatch;
mod each_core;
mod guests;
mod lent;
pub(crate) mod message;
mod outbox;
pub(crate) mod reply;
pub(crate) mod request_end;
pub(crate) mod roster;
mod route;
mod start;
pub(crate) mod state;
mod straight;
pub(crate) mod topology;

pub use lent::Core;
pub use start::{Cores, EngineOptions};
pub use topology::{CORES_MAX, CoreNo};

use crate::error::{Error, ErrorKind, Result};
use crate::image::ImageInner;
use crate::store::Store;
use message::Message;
use ringbd_reactor::{CoreConfig, CoreThread};
use roster::EngineShared;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// A running engine. Clones are handles of the same engine; it ends with the last handle, image and core.
///
/// Its own cores have ended, and its store is closed, when that last one is dropped; except where it is dropped on one of
/// these cores, in a callback, which then ends after the callback.
#[derive(Clone)]
pub struct Engine(Arc<EngineInner>);

pub(crate) struct EngineInner {
    shared: Arc<EngineShared>,
    threads: Mutex<Vec<(CoreNo, CoreThread)>>,
    open: Mutex<BTreeMap<u64, Weak<ImageInner>>>,
    spin: Duration,
}

impl Engine {
    pub(crate) fn shared(&self) -> &Arc<EngineShared> {
        &self.0.shared
    }

    /// The images that are open, by their id in the store.
    pub(crate) fn open_images(&self) -> MutexGuard<'_, BTreeMap<u64, Weak<ImageInner>>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store that the engine works on: its pools and images.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.shared.store
    }

    /// Makes the calling thread a core of this engine until the returned [`Core`] is dropped.
    ///
    /// # Errors
    ///
    /// When the kernel refuses an io_uring (the error says why and what to change), or there are [`CORES_MAX`] cores.
    pub fn lend(&self) -> Result<Core> {
        if self.shared().roster().topology.cores().len() == CORES_MAX {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "lend",
                "thread",
                format!("the engine has {CORES_MAX} cores already"),
            )
            .hint("use fewer job threads on one engine"));
        }
        let config = CoreConfig { name: "ringbd-lent".into(), spin: self.0.spin, ..CoreConfig::default() };
        let lent = self.shared().world.lend_core(config).map_err(|error| start::setup_error(&error))?;
        Ok(Core::new(self.clone(), lent))
    }

    /// How many cores the engine has now.
    #[must_use]
    pub fn cores(&self) -> usize {
        self.shared().roster().topology.cores().len()
    }
}

impl Drop for EngineInner {
    fn drop(&mut self) {
        let roster = self.shared.roster();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for (core, _) in &threads {
            roster.send(*core, Message::Stop);
        }
        for (core, thread) in threads {
            // A core that drops the engine in a callback cannot wait for itself; `Stop` is in its mailbox.
            if !thread.is_current() && thread.join().is_err() {
                tracing::error!(core = core.0, "a core of the engine panicked");
            }
        }
    }
}
