//! Writes: into the cache, held while there is no room, and waited for where they are written through.

use super::{Below, Driver, now_ns};
use crate::cache::{Extent, Urgency, WriteOutcome};
use crate::error::Result;
use std::rc::Rc;

impl<B: Below> Driver<B> {
    /// Writes if the cache takes it at once and it is acknowledged at once.
    #[inline]
    pub(crate) fn try_write(&self, extent: Extent, bytes: &[u8]) -> bool {
        if self.below.writes_through() || self.held.get() > 0 {
            return false;
        }
        let mut shard = self.shard.borrow_mut();
        let accepted = shard.write(extent, bytes, now_ns()) == WriteOutcome::Accepted;
        drop(shard);
        if accepted {
            self.more_is_dirty();
        }
        accepted
    }

    /// Writes an extent; returns when the write may be acknowledged.
    pub(crate) async fn write(self: &Rc<Self>, extent: Extent, bytes: &[u8]) -> Result<()> {
        let piece_max = self.shard.borrow().write_bytes_max();
        let mut at = 0;
        while at < extent.len {
            let len = (extent.len - at).min(piece_max);
            let piece = Extent::new(extent.object, extent.offset + at, len);
            self.write_piece(piece, &bytes[at as usize..][..len as usize]).await?;
            at += len;
        }
        self.acknowledge(extent).await
    }

    /// Waits until a write that is in the cache may be acknowledged.
    pub(super) async fn acknowledge(self: &Rc<Self>, extent: Extent) -> Result<()> {
        if self.below.writes_through() { self.write_through(extent).await } else { Ok(()) }
    }

    async fn write_piece(self: &Rc<Self>, extent: Extent, bytes: &[u8]) -> Result<()> {
        let mut waiting = Held { driver: self, held: false };
        let begun = self.begun.get();
        loop {
            let outcome = self.shard.borrow_mut().write(extent, bytes, now_ns());
            match outcome {
                WriteOutcome::Accepted => {
                    self.more_is_dirty();
                    return Ok(());
                }
                WriteOutcome::Deferred => break,
                WriteOutcome::NeedsFill(edge) => self.fill_edge(edge).await?,
                WriteOutcome::Held(_) => {
                    waiting.hold();
                    self.changed.wait().await;
                    self.failed_since(begun)?;
                }
            }
        }
        while self.shard.borrow().is_over_limit() {
            waiting.hold();
            self.changed.wait().await;
            self.failed_since(begun)?;
        }
        Ok(())
    }

    /// An error if a writeback failed that began when so many had begun before: a writer that waits for room, or for its
    /// bytes to land, would else wait for as long as the store is broken.
    pub(super) fn failed_since(&self, begun: u64) -> Result<()> {
        match &*self.failure.borrow() {
            Some((number, error)) if *number > begun => Err(error.clone()),
            Some(_) | None => Ok(()),
        }
    }

    /// Waits until what is dirty of an extent now has landed, however often others write it again.
    async fn write_through(self: &Rc<Self>, extent: Extent) -> Result<()> {
        let begun = self.begun.get();
        let mut landing = Vec::new();
        // Twice, because what was on its way down at first had to wait for that.
        for _ in 0..2 {
            while self.begin_writeback(Urgency::Extent(extent)) {}
            self.shard.borrow().writebacks_over(extent, &mut landing);
            if landing.is_empty() {
                break;
            }
            self.landed(&landing).await;
        }
        if self.shard.borrow().is_clean(extent) {
            return Ok(());
        }
        self.failed_since(begun)
    }
}

/// Counts a writer that is held, for as long as it is: then the background task writes back whatever it can.
struct Held<'a, B: Below> {
    driver: &'a Driver<B>,
    held: bool,
}

impl<B: Below> Held<'_, B> {
    fn hold(&mut self) {
        if !self.held {
            self.held = true;
            self.driver.held.set(self.driver.held.get() + 1);
        }
        self.driver.more_is_dirty();
    }
}

impl<B: Below> Drop for Held<'_, B> {
    fn drop(&mut self) {
        if self.held {
            self.driver.held.set(self.driver.held.get() - 1);
        }
    }
}
