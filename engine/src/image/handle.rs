//! The handle of an open image: one operation, one call, in four forms.
//!
//! Every operation is a [`Request`]. `submit` takes a callback (for C-like hosts), the `*_at` functions return futures
//! that any executor can await, [`Image::blocking`] waits on the calling thread, and a
//! [`CompletionQueue`](crate::CompletionQueue) collects many. All go to a core of the image's engine by mailbox. A thread that is itself a core uses [`Core::submit`](crate::Core::submit) instead.

use super::pending::{Pending, PendingIo, core_gone};
use super::request::Request;
use super::shared::{Access, ImageShared};
use crate::config::CacheSettings;
use crate::engine::Engine;
use crate::engine::message::Message;
use crate::engine::reply::Reply;
use crate::engine::state::CoreState;
use crate::engine::topology::ShardNo;
use crate::error::{ErrorKind, Result};
use ringbd_reactor::{Buf, block_on};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// An open image. Clones are handles of the same open image, on one cache.
///
/// [`close`](Image::close) writes everything back and says whether that worked. Dropping the last handle instead
/// forgets what was not flushed, as pulling a disk's plug would; what was flushed is safe.
#[derive(Clone)]
pub struct Image(pub(super) Arc<ImageInner>);

pub(crate) struct ImageInner {
    pub(super) shared: Arc<ImageShared>,
    pub(super) engine: Engine,
}

impl Image {
    #[inline]
    pub(crate) fn shared(&self) -> &Arc<ImageShared> {
        &self.0.shared
    }

    #[inline]
    pub(crate) fn belongs_to(&self, core: &CoreState) -> bool {
        Arc::ptr_eq(self.0.engine.shared(), &core.engine)
    }

    /// The engine that the image is open on.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// `pool/image`, or `pool/namespace/image`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.shared.name
    }

    /// The size in bytes; it follows a resize.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.0.shared.size()
    }

    /// Objects are 2^order bytes.
    #[must_use]
    pub fn order(&self) -> u8 {
        self.0.shared.layout.order()
    }

    /// Whether the image takes writes.
    #[must_use]
    pub fn access(&self) -> Access {
        self.0.shared.access
    }

    /// The cache mode that really runs, and why.
    #[must_use]
    pub fn cache(&self) -> &CacheSettings {
        &self.0.shared.cache
    }

    /// Begins a request; `reply` runs on one of the engine's cores when it ended, and must not block.
    pub fn submit(&self, request: Request, reply: impl FnOnce(Result<u64>, Buf) + Send + 'static) {
        self.start(request, Reply::Callback(Box::new(reply)));
    }

    /// Sends a request to the home core of its first object.
    pub(crate) fn start(&self, request: Request, reply: Reply) {
        let shared = &self.0.shared;
        let roster = self.0.engine.shared().roster();
        let first = shared.layout.first(request.offset, request.len);
        match roster.topology.owner(ShardNo::of(shared.id, first.object)) {
            Some(core) => {
                roster.send(core, Message::Start { image: shared.clone(), request, reply });
            }
            None => {
                let error = shared.error(ErrorKind::Closed, request.op.name(), "the engine has no core");
                let error = error.hint("lend it a thread, or start it with cores of its own");
                reply.give(Err(error), request.buf);
            }
        }
    }

    /// Begins a request; the future is its end.
    pub fn request(&self, request: Request) -> PendingIo {
        let (sender, receiver) = oneshot::async_channel();
        // Nobody listening any more is the listener's choice.
        self.submit(request, move |result, buf| drop(sender.send((result, buf))));
        PendingIo(receiver)
    }

    /// Reads `buf.len()` bytes at `offset`. Short only at the end of the image; EINVAL past it.
    pub fn read_at(&self, buf: Buf, offset: u64) -> PendingIo {
        self.request(Request::read(offset, buf))
    }

    /// Writes `buf` at `offset`. Short only at the end of the image; EINVAL past it.
    pub fn write_at(&self, buf: Buf, offset: u64) -> PendingIo {
        self.request(Request::write(offset, buf))
    }

    /// Fills the buffers one after another from `offset` on.
    pub async fn readv_at(&self, bufs: Vec<Buf>, offset: u64) -> (Result<u64>, Vec<Buf>) {
        self.vectored(bufs, offset, Request::read).await
    }

    /// Writes the buffers one after another from `offset` on.
    pub async fn writev_at(&self, bufs: Vec<Buf>, offset: u64) -> (Result<u64>, Vec<Buf>) {
        self.vectored(bufs, offset, Request::write).await
    }

    async fn vectored(
        &self,
        bufs: Vec<Buf>,
        offset: u64,
        make: fn(u64, Buf) -> Request,
    ) -> (Result<u64>, Vec<Buf>) {
        let mut at = offset;
        let mut parts = Vec::with_capacity(bufs.len());
        for buf in bufs {
            let len = buf.len() as u64;
            // Past the end of the image there is nothing to do, as one request would be short there.
            let beyond = at > offset && at >= self.size();
            parts.push(if beyond {
                Part::Untouched(buf)
            } else {
                Part::UnderWay(self.request(make(at, buf)))
            });
            at = at.saturating_add(len);
        }
        let mut sum = Ok(0);
        let mut bufs = Vec::with_capacity(parts.len());
        for part in parts {
            let (result, buf) = match part {
                Part::UnderWay(pending) => pending.await,
                Part::Untouched(buf) => (Ok(0), buf),
            };
            bufs.push(buf);
            sum = sum.and_then(|sum: u64| result.map(|done| sum + done));
        }
        (sum, bufs)
    }

    /// Gives `len` bytes at `offset` back to the store.
    pub fn discard(&self, offset: u64, len: u64) -> Pending {
        Pending(self.request(Request::discard(offset, len)))
    }

    /// Makes `len` bytes at `offset` read as zeros.
    pub fn write_zeroes(&self, offset: u64, len: u64) -> Pending {
        Pending(self.request(Request::write_zeroes(offset, len)))
    }

    /// Writes `data` at `offset` if the image holds `compare` there; EILSEQ if not.
    pub fn compare_and_write(&self, offset: u64, compare: Buf, data: Buf) -> PendingIo {
        self.request(Request::compare_and_write(offset, compare, data))
    }

    /// Makes every write that was acknowledged before durable.
    pub fn flush(&self) -> Pending {
        Pending(self.request(Request::flush()))
    }

    /// The same operations, waiting on the calling thread, which must not be a core.
    #[must_use]
    pub fn blocking(&self) -> Blocking<'_> {
        Blocking(self)
    }
}

impl ImageInner {
    /// Lets every core forget the image. Nothing new begins on it: it is marked closed. The receivers tell when each
    /// core did.
    pub(super) fn forget(&self) -> Vec<oneshot::AsyncReceiver<()>> {
        let no = self.shared.no;
        self.engine.open_images().remove(&self.shared.id);
        self.engine.shared().detach(no);
        self.engine.on_every_core(move |state| async move { state.close_image(no).await })
    }
}

impl Drop for ImageInner {
    fn drop(&mut self) {
        if !self.shared.closed.swap(true, Ordering::AcqRel) {
            // Nobody waits for a dropped image to be forgotten.
            drop(self.forget());
        }
    }
}

/// One buffer of a vectored request.
enum Part {
    UnderWay(PendingIo),
    Untouched(Buf),
}

/// An image's operations in their blocking form.
pub struct Blocking<'a>(&'a Image);

impl Blocking<'_> {
    /// Runs one request to its end.
    pub fn request(&self, request: Request) -> (Result<u64>, Buf) {
        let (sender, receiver) = oneshot::channel();
        self.0.submit(request, move |result, buf| drop(sender.send((result, buf))));
        receiver.recv().unwrap_or_else(|_| core_gone())
    }

    /// As [`Image::read_at`].
    pub fn read_at(&self, buf: Buf, offset: u64) -> (Result<u64>, Buf) {
        self.request(Request::read(offset, buf))
    }

    /// As [`Image::write_at`].
    pub fn write_at(&self, buf: Buf, offset: u64) -> (Result<u64>, Buf) {
        self.request(Request::write(offset, buf))
    }

    /// As [`Image::discard`].
    ///
    /// # Errors
    ///
    /// Those of the store, and EINVAL past the end of the image.
    pub fn discard(&self, offset: u64, len: u64) -> Result<()> {
        self.request(Request::discard(offset, len)).0.map(|_| ())
    }

    /// As [`Image::write_zeroes`].
    ///
    /// # Errors
    ///
    /// Those of the store, and EINVAL past the end of the image.
    pub fn write_zeroes(&self, offset: u64, len: u64) -> Result<()> {
        self.request(Request::write_zeroes(offset, len)).0.map(|_| ())
    }

    /// As [`Image::compare_and_write`].
    pub fn compare_and_write(&self, offset: u64, compare: Buf, data: Buf) -> (Result<u64>, Buf) {
        self.request(Request::compare_and_write(offset, compare, data))
    }

    /// As [`Image::flush`].
    ///
    /// # Errors
    ///
    /// EIO when a write that was acknowledged before could not be made durable.
    pub fn flush(&self) -> Result<()> {
        self.request(Request::flush()).0.map(|_| ())
    }

    /// As [`Image::resize`].
    ///
    /// # Errors
    ///
    /// As [`Image::resize`].
    pub fn resize(&self, size: u64) -> Result<()> {
        block_on(self.0.resize(size))
    }

    /// As [`Image::invalidate_cache`].
    ///
    /// # Errors
    ///
    /// As [`Image::invalidate_cache`].
    pub fn invalidate_cache(&self) -> Result<()> {
        block_on(self.0.invalidate_cache())
    }

    /// As [`Image::close`].
    ///
    /// # Errors
    ///
    /// As [`Image::close`].
    pub fn close(&self) -> Result<()> {
        block_on(self.0.close())
    }
}
