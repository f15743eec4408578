//! Images in a cluster: everything about them but their data. The native twin of what the `rbd` tool does with them.
//!
//! | module | what |
//! |---|---|
//! | `pool` | a pool, or a namespace of one: its images, by name |
//! | `header` | an image's header, read in one operation |
//! | `image` | an image that was found, and what is done to it |
//! | `create`, `rename`, `resize`, `remove`, `metadata` | one operation each |
//! | `maintenance` | the image's lock while an operation changes what an object map describes |
//! | `trim` | the removal of data objects, guided by the object map |
//! | `info` | what people want to know of an image |
//!
//! What holds everywhere:
//!
//! 1. Every step can be the last: a client may die after any of them. What is left is an image that can be opened, or one
//!    that another removal takes away.
//! 2. An object is in the map before it is there, and out of it only after it is gone.
//! 3. Where an image has a lock, what its owner may rely on changes only under that lock. A living owner is left alone and
//!    named; a dead one is fenced first.
//! 4. What this release does not understand of an image it refuses to change, and says what it is.

mod call;
mod create;
mod error;
mod header;
mod image;
mod info;
mod maintenance;
mod metadata;
mod names;
mod pool;
mod remove;
mod rename;
mod resize;
mod trim;

pub use create::NewImage;
pub use error::{RbdError, RbdErrorKind, Result};
pub use header::{Header, SnapshotState};
pub use image::RbdImage;
pub use info::{ImageInfo, ParentInfo};
pub use pool::{ImagePool, Listed};

pub use ringbd_proto::rbd::{Features, ImageFlags, OpFeatures, TrashEntry};
