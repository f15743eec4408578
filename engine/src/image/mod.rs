//! Images: opening them, and reading and writing them from any thread, executor or core.

mod completion_queue;
pub(crate) mod core_image;
pub(crate) mod extent;
mod handle;
pub(crate) mod objects;
mod open;
mod pending;
pub(crate) mod request;
mod resize;
pub(crate) mod shard_load;
pub(crate) mod shared;

pub use completion_queue::CompletionQueue;
pub use extent::{ORDER_DEFAULT, ORDER_MAX, ORDER_MIN};
pub use handle::{Blocking, Image};
pub use open::OpenOptions;
pub use pending::{Pending, PendingIo};
pub use request::{Completion, Op, Request};
pub use shared::Access;

pub(crate) use handle::ImageInner;
pub(crate) use pending::core_gone;
