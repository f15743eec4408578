//! RBD images, format 2, as they lie in a cluster's objects: what the classes `rbd` and `lock` take and return, object
//! maps, what the users of an image tell each other, and the arithmetic of striping.
//!
//! ```text
//!   rbd_directory        names and ids           Method: dir_*
//!   rbd_id.<name>        the id                  Method: get_id, set_id
//!   rbd_header.<id>      everything else         Method: get_size, …; lock: the exclusive lock; HeaderNotice: its watchers
//!   rbd_object_map.<id>  which objects exist     ObjectMap
//!   rbd_data.<id>.<n>    the data                Striping
//! ```
//!
//! A [`Method`] is a call with its input encoded and its answer's type known, so the two cannot be mixed up.

mod features;
mod fuzz;
mod image;
pub mod lock;
mod method;
mod notice;
mod object_map;
mod snapshot;
mod striping;
mod trash;

pub use features::{FEATURES, FeatureError, Features, ImageFlags, OpFeatures};
pub use fuzz::fuzz;
pub use image::{Child, FeatureMasks, GroupSpec, ImageSize, Parent, SnapSequence};
pub use method::{Method, directory, header, object_maps, pool};
pub use notice::{AsyncRequest, ClientId, HeaderNotice, NoticeReply, SnapAction};
pub use object_map::{OBJECTS_MAX, ObjectMap, ObjectMapError, ObjectState};
pub use snapshot::{Protection, SnapNamespace, Snapshot};
pub use striping::{ORDER_MAX, ORDER_MIN, ObjectExtent, Striping, StripingError};
pub use trash::{TrashEntry, TrashSource, TrashState};

/// The name that images' locks have, on headers and on object maps.
pub const LOCK_NAME: &str = "rbd_lock";
/// The tag of locks that clients take and hand over by themselves. Any other was taken by a person.
pub const LOCK_TAG: &str = "internal";
/// What the cookie of such a lock begins with; the number of the owner's watch follows.
const LOCK_COOKIE: &str = "auto ";

/// The cookie of an image's lock whose owner watches the header under this number.
pub fn lock_cookie(watch: u64) -> String {
    format!("{LOCK_COOKIE}{watch}")
}

/// The owner's watch, by the lock's cookie.
pub fn watch_of_cookie(cookie: &str) -> Option<u64> {
    cookie.strip_prefix(LOCK_COOKIE)?.parse().ok()
}
