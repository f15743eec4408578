//! Opening an image of the store on an engine.

use super::handle::{Image, ImageInner};
use super::shard_load::ShardLoad;
use super::shared::{Access, ImageShared};
use crate::config::{CacheSettings, ImageSpec, Settings};
use crate::engine::Engine;
use crate::engine::topology::ShardNo;
use crate::error::{Error, ErrorKind, Result};
use crate::image::extent::Layout;
use std::sync::Arc;

/// How to open an image.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// The cache.
    pub cache: CacheSettings,
    /// Whether writes are taken.
    pub access: Access,
    /// The promise that lent memory (see [`Buf`](crate::Buf)) does not change while a write of it is under way. Without it such writes are
    /// copied first: a guest may change a page that is being written, and a store that checks what it writes would
    /// call that corruption.
    pub stable_buffers: bool,
    /// Every write is durable when it is acknowledged, also in mode none.
    pub durable_writes: bool,
    /// What is smaller than this, or not aligned to it, is not discarded.
    pub discard_granularity: u32,
}
