//! Moving whole images: many requests in flight, zeros left out on both sides.

mod export;
mod import;
mod source;
mod zeros;

pub(crate) use export::{Target, export};
pub(crate) use import::import;
pub(crate) use source::Source;

/// Bytes of a request: large enough for a disk's full rate, small enough to keep several in flight.
const CHUNK_BYTES: u64 = 1 << 20;
/// Requests in flight, and so the memory a transfer takes: 16 MiB.
const DEPTH: usize = 16;
