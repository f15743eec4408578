//! An open image, as every core and every handle knows it: what does not change, and the few words that do.

use super::extent::{Layout, clip};
use super::open::OpenOptions;
use super::request::{Op, Request};
use crate::config::CacheSettings;
use crate::engine::message::ImageNo;
use crate::error::{Error, ErrorKind, Result};
use crate::store::{ImageRecord, Store};
use ringbd_reactor::Durability;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Whether an image takes writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reads and writes.
    ReadWrite,
    /// Writes fail with EROFS.
    ReadOnly,
}

/// One open image. Handles and cores share it; whatever changes with I/O lives on the cores instead.
pub(crate) struct ImageShared {
    pub(crate) no: ImageNo,
    /// The id in the store; part of the hash that gives an object its shard.
    pub(crate) id: u64,
    /// `pool/namespace/image`, for messages.
    pub(crate) name: String,
    pub(crate) layout: Layout,
    pub(crate) access: Access,
    pub(crate) cache: CacheSettings,
    pub(crate) durability: Durability,
    pub(crate) stable_buffers: bool,
    /// The cache acknowledges as writethrough does until the guest has shown that it flushes.
    pub(crate) waits_for_flush: AtomicBool,
    /// What is smaller, or not aligned to it, is not discarded.
    pub(crate) discard_granularity: u32,
    pub(crate) store: Store,
    pub(crate) record: ImageRecord,
    /// As it was opened: whoever opens it again must want the same.
    pub(crate) options: OpenOptions,
    pub(crate) size: AtomicU64,
    pub(crate) closed: AtomicBool,
    pub(crate) resizing: AtomicBool,
}

impl ImageShared {
    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// Whether a write is acknowledged only when the store has it.
    #[inline]
    pub(crate) fn writes_through(&self) -> bool {
        !self.cache.mode.acknowledges_early() || self.waits_for_flush.load(Ordering::Relaxed)
    }

    /// The guest flushes, so it can be trusted with a writeback cache.
    pub(crate) fn flush_seen(&self) {
        if self.waits_for_flush.load(Ordering::Relaxed) {
            self.waits_for_flush.store(false, Ordering::Relaxed);
        }
    }

    pub(crate) fn error(
        &self,
        kind: ErrorKind,
        operation: &'static str,
        reason: impl std::fmt::Display,
    ) -> Error {
        Error::new(kind, operation, &self.name, reason)
    }

    /// Checks a request against the image and clips it to its size. `Ok(0)`: there is nothing to do.
    #[inline]
    pub(crate) fn admit(&self, request: &mut Request) -> Result<u64> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(self.error(ErrorKind::Closed, request.op.name(), "the image was closed"));
        }
        if request.op == Op::Flush {
            return Ok(0);
        }
        if request.op.is_write() && self.access == Access::ReadOnly {
            return Err(self.error(ErrorKind::ReadOnly, request.op.name(), "the image is open read-only"));
        }
        let size = self.size();
        let Some(len) = clip(request.offset, request.len, size) else {
            return Err(self.past_the_end(request, size));
        };
        if request.op == Op::CompareAndWrite {
            self.admit_compare(request, len)?;
        }
        request.len = len;
        Ok(len)
    }

    /// Records a new size in the store. Blocks.
    pub(crate) fn record_size(&self, size: u64) -> Result<()> {
        let recorded = self.store.record_size(self.record.id, size);
        recorded.map_err(|error| Error::from_store("resize", &self.name, &error))
    }

    fn past_the_end(&self, request: &Request, size: u64) -> Error {
        let reason = format!("offset {} is at or past the end of the image, {size} bytes", request.offset);
        self.error(ErrorKind::InvalidInput, request.op.name(), reason)
    }

    fn admit_compare(&self, request: &Request, clipped: u64) -> Result<()> {
        let compare = request.compare.as_ref().map_or(0, |buf| buf.len() as u64);
        let extent = self.layout.first(request.offset, request.len);
        let reason = if compare != request.len {
            format!("{compare} bytes to compare with, {} to write: they must be as many", request.len)
        } else if clipped != request.len || u64::from(extent.len) != request.len {
            format!(
                "{} bytes at offset {} cross the end of an object or the image",
                request.len, request.offset
            )
        } else {
            return Ok(());
        };
        Err(self.error(ErrorKind::InvalidInput, request.op.name(), reason))
    }
}
