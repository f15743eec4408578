//! The client's cache: a pure state machine. No I/O, clock, thread or randomness; times come in as nanoseconds.
//!
//! A [`Shard`] holds the cached blocks of one image on one core. Its driver performs the reads and writes that
//! the shard asks for and tells it what came of them:
//!
//! ```text
//!           guest                     driver                        shard                    store
//! read      ───────►  try_read ──hit──────────────────────────────►
//!                     plan_read ──miss─► fetches, waits ──────────► read …
//!                     complete_fill, deliver, plan_read again ◄──── data
//! write     ───────►  write: Accepted | Deferred | Held | NeedsFill
//! flush     ───────►  flush_ticket … next_writeback, copy_run ────► write …
//!                     complete_writeback ◄───────────────────────── done
//!                     is_flushed
//! discard   ───────►  begin_discard, wait for writebacks ─────────► discard …
//!                     finish_discard ◄───────────────────────────── done
//! ```
//!
//! What the shard promises, whatever the order of answers:
//!
//! 1. A read returns each sector as it was at some moment between its begin and its end.
//! 2. Dirty data is never evicted, and no state of a sector is overtaken by an older one on its way to the store.
//! 3. Old data from the store never replaces, nor comes back after, a write or a discard.
//! 4. A flush is over when what was dirty at its begin has landed, however busy the writers are.
//! 5. Hits and rewrites allocate nothing; metadata stays below 2 % of the cached bytes.

#![forbid(unsafe_code)]

mod arena;
mod block;
mod check;
mod dirty;
mod discard;
pub(crate) mod driver;
mod epochs;
mod extent;
mod fill;
mod flight;
mod ghost;
mod index;
mod policy;
mod read;
mod readahead;
mod relocate;
mod s3fifo;
mod shard;
mod stats;
#[cfg(test)]
mod tests;
mod write;
mod writeback;

pub use discard::{DirtyLeft, DiscardId};
pub use epochs::Ticket;
pub use extent::{BLOCK_BYTES, Extent, OBJECT_BYTES_MAX, SECTOR_BYTES};
pub use fill::{Fetch, FillId};
pub use policy::{Policy, UnknownPolicy};
pub use read::ReadPlan;
pub use readahead::{Readahead, ReadaheadConfig, Window};
pub use relocate::{Busy, Parcel};
pub use shard::{Shard, ShardConfig};
pub use stats::Stats;
pub use write::{Held, WriteOutcome};
pub use writeback::{Run, Urgency, Writeback, WritebackId, WritebackLimit};
