//! What cores say to each other, and what other threads say to a core.

use super::lanes::Served;
use super::reply::Reply;
use super::state::CoreState;
use super::topology::{CoreNo, ShardNo, ShardSet};
use crate::cache::Extent;
use crate::error::Result;
use crate::image::request::Request;
use crate::image::shard_load::ShardLoad;
use crate::image::shared::ImageShared;
use ringbd_reactor::{Buf, Receiver};
use std::rc::Rc;
use std::sync::Arc;

/// Where an image stands in its engine's table.
pub(crate) type ImageNo = u32;

/// What to do to an extent of one object.
#[derive(Debug)]
pub(crate) enum ObjectOp {
    Read,
    Write,
    Discard,
    WriteZeroes,
    CompareAndWrite(Buf),
}

/// What to do to every object of a set of shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShardsOp {
    /// Write back what is dirty.
    Flush,
    /// Drop what is clean.
    Invalidate,
    /// Remove every byte at and after this offset of the image.
    Trim { from: u64 },
}

/// Who waits for an answer: a call of another core.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallId {
    pub(crate) core: CoreNo,
    pub(crate) call: u32,
}

/// The answer to a call: how many bytes were done and, for an operation on shards, of which shards.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) result: Result<u64>,
    pub(crate) buf: Buf,
    pub(crate) done: ShardSet,
}

/// Something for a core to do on its own thread.
pub(crate) type Work = Box<dyn FnOnce(&Rc<CoreState>) + Send>;

/// What goes between cores often enough to be sent in batches.
pub(crate) enum Item {
    /// One object's part of a request of another core.
    Object { image: ImageNo, extent: Extent, op: ObjectOp, buf: Buf, from: CallId },
    /// The answer to an `Object` or to a barrier.
    Answer { call: u32, answer: Answer },
}

pub(crate) enum Message {
    /// A request from a thread that is no core, or of a future.
    Start { image: Arc<ImageShared>, request: Request, reply: Reply },
    /// Operations and answers of another core. What can be answered at once goes back in the same memory.
    Batch { from: CoreNo, items: Vec<Item> },
    /// A part of a barrier of another core.
    Shards { image: ImageNo, shards: ShardSet, op: ShardsOp, from: CallId },
    /// Bring an extent into the cache, if it is this core's; nobody waits.
    ReadAhead { image: ImageNo, extent: Extent },
    /// Shards of an image that this core owns from now on.
    Adopt { image: ImageNo, shards: Vec<(ShardNo, ShardLoad)> },
    /// The map of shards to cores changed.
    Rebalance,
    /// The end of a lane: from now on this core answers what another puts in.
    Lane(Served),
    /// The mailbox of a core that left: what still arrives there is this core's to handle.
    Inherit(CoreNo, Receiver<Message>),
    /// Anything else, on the core's own thread.
    Run(Work),
    /// The end of a core that the engine started.
    Stop,
}
