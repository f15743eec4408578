//! The embedded store: pools and images on one data file or block device of this machine.
//!
//! ```text
//! Store (any thread)          pools, images, resize, remove      images.rs, catalog.rs
//!   │ slot_tables()
//!   ▼
//! LocalObjects (one core)     read, write, discard, flush        objects/
//!   │ allocate, free                 │ O_DIRECT at slot + offset
//!   ▼                                ▼
//! group commit (commit.rs)    data file or device                data.rs
//!   │        └ clean slots    supply.rs, space.rs
//!   ▼
//! metadata.redb               metadata.rs, record.rs
//! ```
//!
//! What is kept on the disk is drawn in `FORMAT.md`. The rules that hold everything together:
//!
//! 1. Metadata is durable before it is acted on: an allocation before the write into it is acknowledged, a removal before the
//!    slot is used again, a zone before anything is written into it.
//! 2. An object gets a slot only if that durably reads as zeros.
//! 3. What is free is not recorded: it is what no object has. So a crash cannot lose track of it.
//! 4. Nothing that comes from the disk is trusted before [`survey`](self::fsck) has looked at it.

mod backend;
mod catalog;
mod commit;
mod create;
mod data;
mod error;
mod flush;
mod fsck;
mod handle;
mod images;
mod layout;
mod lock;
mod metadata;
mod objects;
mod open;
mod record;
mod shared;
mod space;
mod superblock;
mod supply;
mod survey;

#[cfg(test)]
mod tests;

pub use catalog::{IMAGE_META_BYTES_MAX, ImageName, NAME_BYTES_MAX, OBJECTS_MAX, POOL_NAME_BYTES_MAX};
pub use create::CreateStore;
pub use error::{Result, StoreError};
pub use fsck::{Action, Finding, FsckProgress, FsckReport, fsck};
pub use handle::{Store, StoreUsage};
pub use images::{CreateImage, Preallocate, Progress};
pub use layout::{DATA_START, Order, Slot, ZONE_BYTES};
pub use objects::{Ended, LocalObjects, Mismatch, ReadFill, Run, SHARDS, SlotTable, Transfer, shard_of};
pub use open::{OpenMode, is_store};
pub use record::{ImageId, ImageRecord, ImageState, ObjectNo, ParentRecord, PoolId, SnapId};
pub use space::SpaceUsage;
pub use superblock::{BlockError, DataLocation, FORMAT_VERSION, Features, StoreUuid, Superblock};
pub use survey::{ObjectKey, Problem};

/// Decodes arbitrary bytes as a superblock and as a label, for the fuzzer: as they are, and as the start of a whole block with the
/// right checksum, so that the fields are reached.
pub fn fuzz_blocks(bytes: &[u8]) {
    superblock::fuzz(bytes);
}

/// Decodes arbitrary bytes as each kind of metadata value under an arbitrary key, for the fuzzer.
pub fn fuzz_records(key: &[u8], value: &[u8]) {
    record::fuzz(key, value);
}
