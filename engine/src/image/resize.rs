//! What changes an open image as a whole: resize, invalidate, close.
//!
//! Shrinking cuts first and records the new size after: a crash in between leaves the old size with zeros at the end,
//! never a smaller image whose old bytes come back when it grows.

use super::handle::Image;
use super::shared::{Access, ImageShared};
use crate::engine::message::ShardsOp;
use crate::engine::state::CoreState;
use crate::error::{ErrorKind, Result};
use crate::stats::CacheStats;
use ringbd_reactor::blocking;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Image {
    /// Changes the image's size. Shrinking removes the bytes past the new end.
    ///
    /// # Errors
    ///
    /// EROFS on a read-only image, EBUSY while another resize runs, and those of the store.
    pub async fn resize(&self, size: u64) -> Result<()> {
        let shared = self.shared();
        if shared.access == Access::ReadOnly {
            return Err(shared.error(ErrorKind::ReadOnly, "resize", "the image is open read-only"));
        }
        if shared.resizing.swap(true, Ordering::AcqRel) {
            return Err(shared.error(ErrorKind::Busy, "resize", "another resize of the image is running"));
        }
        let result = self.resize_alone(size).await;
        shared.resizing.store(false, Ordering::Release);
        result
    }

    async fn resize_alone(&self, size: u64) -> Result<()> {
        let old = self.size();
        if size < old {
            // New requests see the new end at once; those under way finish before anything is cut.
            self.shared().size.store(size, Ordering::Release);
            self.quiesce().await;
            let cut = self.shards(ShardsOp::Trim { from: size }).await;
            if let Err(error) = cut {
                self.shared().size.store(old, Ordering::Release);
                return Err(error);
            }
        }
        let recorded = self
            .on_core(move |_, shared| async move { blocking(move || shared.record_size(size)).await })
            .await
            .and_then(std::convert::identity);
        self.shared().size.store(if recorded.is_ok() { size } else { old }, Ordering::Release);
        recorded
    }

    /// Drops every cached byte, after writing back what is dirty.
    ///
    /// # Errors
    ///
    /// Those of writing back; then the dirty bytes stay.
    pub async fn invalidate_cache(&self) -> Result<()> {
        self.shards(ShardsOp::Flush).await?;
        self.shards(ShardsOp::Invalidate).await
    }

    /// Writes everything back, makes it durable and closes the image for all its handles.
    ///
    /// # Errors
    ///
    /// EIO and ENOSPC when something could not be written back; then the image stays open, and closing can be tried
    /// again.
    pub async fn close(&self) -> Result<()> {
        let shared = self.shared();
        if shared.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.quiesce().await;
        let flushed = self
            .on_core(|state, shared| async move { state.flush_always(&shared).await })
            .await
            .and_then(std::convert::identity);
        if flushed.is_err() {
            shared.closed.store(false, Ordering::Release);
            return flushed;
        }
        for forgotten in self.0.forget() {
            // A core that ended has forgotten everything.
            let _ = forgotten.await;
        }
        Ok(())
    }

    /// What the image's cache holds and did, on all cores.
    ///
    /// # Errors
    ///
    /// When the engine has no core.
    pub async fn cache_stats(&self) -> Result<CacheStats> {
        let mut sum = CacheStats::default();
        let no = self.shared().no;
        for reading in self.engine().on_every_core(move |state| async move { state.cache_stats_of(no) }) {
            if let Ok(stats) = reading.await {
                sum.merge(&stats);
            }
        }
        Ok(sum)
    }

    /// Waits until every request that was begun before, on any core, has ended.
    async fn quiesce(&self) {
        let waits = self.engine().on_every_core(|state| async move { state.under_way.quiesce().await });
        for wait in waits {
            // A core that ended has nothing under way.
            let _ = wait.await;
        }
    }

    async fn shards(&self, op: ShardsOp) -> Result<()> {
        self.on_core(move |state, shared| async move { state.shards(&shared, op).await })
            .await
            .and_then(std::convert::identity)
    }

    /// Runs `work` as a task on a core of the engine.
    async fn on_core<T, F, Fut>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(Rc<CoreState>, Arc<ImageShared>) -> Fut + Send + 'static,
        Fut: Future<Output = T> + 'static,
    {
        let shared = self.shared().clone();
        let (sender, receiver) = oneshot::async_channel();
        let run = move |state: &Rc<CoreState>| {
            let task = work(state.clone(), shared);
            // Whoever asked may have gone away.
            state.host(async move { drop(sender.send(task.await)) });
        };
        if self.engine().on_a_core(Box::new(run))
            && let Ok(done) = receiver.await
        {
            return Ok(done);
        }
        let error = self.shared().error(ErrorKind::Closed, "reach a core for", "the engine has no core");
        Err(error.hint("lend it a thread, or start it with cores of its own"))
    }
}
