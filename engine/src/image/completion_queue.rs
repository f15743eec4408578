//! Where a thread that is no core collects the requests that it began: submit, poll, collect, as on a lent core.
//!
//! The engine's own cores do the work; this thread may come and go as it likes, and nothing waits for it. A request costs
//! two messages more than on a lent core, and no allocation of its own.

use super::handle::Image;
use super::request::{Completion, Request};
use crate::engine::reply::{Reply, Ticket};
use ringbd_reactor::{Receiver, Sender, block_on_for, mailbox};
use std::sync::Arc;
use std::time::Duration;

/// A thread's queue of requests that ended, for images of any engine.
///
/// ```
/// # use ringbd::config::{ImageSpec, Settings, Sources};
/// # use ringbd::store::{CreateImage, CreateStore, ImageName, Store};
/// # use ringbd::{Buf, CompletionQueue, Engine, EngineOptions, OpenOptions, Request, World};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let temporary = tempfile::tempdir()?;
/// # let store = Store::create(&World::real(), &temporary.path().join("store"), &CreateStore::default())?;
/// # let name = ImageName { pool: "data", namespace: "", image: "foo" };
/// # store.create_image(name, &CreateImage::new(64 << 20), &mut |_, _| {})?;
/// # let spec: ImageSpec = "data/foo".parse()?;
/// # let settings = Settings::load(&spec, &Sources::default())?;
/// # let engine = Engine::start(store, EngineOptions::default())?;
/// # let image = engine.open(&spec, &OpenOptions::new(&settings))?;
/// let mut queue = CompletionQueue::new();
/// for token in 0..8 {
///     queue.submit(&image, Request::write(token * 4096, Buf::zeroed(4096)), token);
/// }
/// let mut left = 8;
/// while left > 0 {
///     match queue.next_completion() {
///         Some(done) => {
///             assert_eq!(done.result?, 4096);
///             left -= 1;
///         }
///         None => queue.wait(None),
///     }
/// }
/// # image.blocking().close()?;
/// # Ok(())
/// # }
/// ```
pub struct CompletionQueue {
    sender: Arc<Sender<Completion>>,
    receiver: Receiver<Completion>,
    /// What a wait found, the oldest there is.
    found: Option<Completion>,
}

impl CompletionQueue {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        let (sender, receiver) = mailbox();
        Self { sender: Arc::new(sender), receiver, found: None }
    }

    /// Begins a request on `image`; its completion comes here and carries `token`.
    #[inline]
    pub fn submit(&self, image: &Image, request: Request, token: u64) {
        image.start(request, Reply::Queue(Ticket::new(self.sender.clone(), token)));
    }

    /// The next request that ended.
    #[inline]
    pub fn next_completion(&mut self) -> Option<Completion> {
        self.found.take().or_else(|| self.receiver.try_recv())
    }

    /// Whether there is nothing to collect now.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_none() && self.receiver.is_empty()
    }

    /// Sleeps until there is something to collect, or until `limit` is over. For ever if nothing is under way and there is
    /// no limit.
    pub fn wait(&mut self, limit: Option<Duration>) {
        if self.found.is_none() {
            self.found = block_on_for(self.receiver.recv(), limit).flatten();
        }
    }
}

impl Default for CompletionQueue {
    fn default() -> Self {
        Self::new()
    }
}
