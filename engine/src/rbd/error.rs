//! Why something could not be done to an image.

use crate::error::{Error, ErrorKind};
use crate::rados::OpError;
use ringbd_proto::rbd::{FeatureError, Features, StripingError};
use std::borrow::Cow;
use std::fmt;

/// What the calls of this module return.
pub type Result<T> = std::result::Result<T, RbdError>;

/// The reason, in the terms of the `rbd` tool.
#[derive(Clone, Debug, PartialEq)]
pub enum RbdErrorKind {
    /// There is no such image.
    NoImage,
    /// There is no such snapshot.
    NoSnapshot(String),
    /// There is no such pool.
    NoPool(String),
    /// There is no such namespace.
    NoNamespace(String),
    /// The metadata has no such entry.
    NoMetadata(String),
    /// The name is taken.
    Exists,
    /// It has snapshots.
    HasSnapshots(usize),
    /// Somebody has it open.
    HasWatchers(String),
    /// A living client owns its lock, or a person locked it.
    Locked(String),
    /// It is in a group.
    InGroup(String),
    /// It is in the format of Ceph before Bobtail.
    OldFormat,
    /// It has features that this release does not know, or does not do what was asked for with.
    Unsupported(Features),
    /// Shrinking needs more than this release does.
    CannotShrink(&'static str),
    /// A new image's features do not fit together.
    Features(FeatureError),
    /// A new image's objects or stripes make no sense.
    Striping(StripingError),
    /// More objects than an object map can have.
    TooManyObjects(u64),
    /// The pool cannot hold images.
    UnfitPool(&'static str),
    /// The watch was lost in the middle.
    LostWatch(OpError),
    /// The header says what cannot be.
    BadHeader(&'static str),
    /// The cluster said so.
    Cluster(OpError),
}

/// Something that could not be done to an image: what, to which, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct RbdError {
    operation: &'static str,
    image: String,
    kind: RbdErrorKind,
}

impl RbdError {
    pub(super) fn new(operation: &'static str, image: impl fmt::Display, kind: RbdErrorKind) -> RbdError {
        RbdError { operation, image: image.to_string(), kind }
    }

    /// The reason.
    pub fn kind(&self) -> &RbdErrorKind {
        &self.kind
    }

    /// The positive errno that the `rbd` tool ends with.
    pub fn errno(&self) -> i32 {
        match &self.kind {
            RbdErrorKind::NoImage
            | RbdErrorKind::NoSnapshot(_)
            | RbdErrorKind::NoPool(_)
            | RbdErrorKind::NoNamespace(_)
            | RbdErrorKind::NoMetadata(_) => 2,
            RbdErrorKind::HasWatchers(_) | RbdErrorKind::Locked(_) => 16,
            RbdErrorKind::Exists => 17,
            RbdErrorKind::Features(FeatureError::Unknown(_)) => 38,
            RbdErrorKind::Features(FeatureError::Internal(_) | FeatureError::Needs { .. })
            | RbdErrorKind::TooManyObjects(_)
            | RbdErrorKind::UnfitPool(_) => 22,
            RbdErrorKind::Striping(StripingError::Order(_)) => 33,
            RbdErrorKind::Striping(
                StripingError::Half
                | StripingError::Unit(_)
                | StripingError::UnitTooSmall(_)
                | StripingError::Count(_),
            ) => 22,
            RbdErrorKind::HasSnapshots(_) => 39,
            RbdErrorKind::InGroup(_) => 31,
            RbdErrorKind::OldFormat | RbdErrorKind::CannotShrink(_) => 95,
            RbdErrorKind::Unsupported(_) => 38,
            RbdErrorKind::BadHeader(_) => 5,
            RbdErrorKind::LostWatch(error) | RbdErrorKind::Cluster(error) => error.errno(),
        }
    }

    fn reason(&self) -> Cow<'static, str> {
        match &self.kind {
            RbdErrorKind::NoImage => "there is no such image".into(),
            RbdErrorKind::NoSnapshot(snap) => format!("it has no snapshot {snap}").into(),
            RbdErrorKind::NoPool(pool) => format!("there is no pool {pool}").into(),
            RbdErrorKind::NoNamespace(name) => format!("the pool has no namespace {name}").into(),
            RbdErrorKind::NoMetadata(key) => format!("its metadata has no {key}").into(),
            RbdErrorKind::Exists => "the name is taken".into(),
            RbdErrorKind::HasSnapshots(count) => format!("it has {count} snapshots").into(),
            RbdErrorKind::HasWatchers(who) => format!("{who} has it open").into(),
            RbdErrorKind::Locked(who) => format!("it is locked by {who}").into(),
            RbdErrorKind::InGroup(group) => format!("it is in the group {group}").into(),
            RbdErrorKind::OldFormat => "it is in format 1".into(),
            RbdErrorKind::Unsupported(features) => {
                format!("it has features that this release of ringbd does not support: {features}").into()
            }
            RbdErrorKind::CannotShrink(why) => (*why).into(),
            RbdErrorKind::Features(error) => error.to_string().into(),
            RbdErrorKind::Striping(error) => error.to_string().into(),
            RbdErrorKind::TooManyObjects(count) => {
                format!("{count} objects are more than an object map can have").into()
            }
            RbdErrorKind::UnfitPool(why) => (*why).into(),
            RbdErrorKind::LostWatch(error) => format!("the watch on it was lost: {error}").into(),
            RbdErrorKind::BadHeader(why) => format!("its header cannot be right: {why}").into(),
            RbdErrorKind::Cluster(error) => error.to_string().into(),
        }
    }

    fn hint(&self) -> Option<&'static str> {
        match &self.kind {
            RbdErrorKind::NoImage => Some("`ringbd ls POOL` lists the images"),
            RbdErrorKind::NoSnapshot(_) => Some("`rbd snap ls` lists them"),
            RbdErrorKind::NoPool(_) => Some("`ceph osd pool ls` lists the pools"),
            RbdErrorKind::NoNamespace(_) => Some("`rbd namespace create` makes one"),
            RbdErrorKind::NoMetadata(_) => Some("`ringbd image-meta list` lists the entries"),
            RbdErrorKind::Exists => Some("choose another name"),
            RbdErrorKind::HasSnapshots(_) => Some("remove them first, with `rbd snap purge`"),
            RbdErrorKind::HasWatchers(_) => {
                Some("close it there; a client that crashed is forgotten after half a minute")
            }
            RbdErrorKind::Locked(_) => Some("close it there, or take a lock by hand away with `rbd lock rm`"),
            RbdErrorKind::InGroup(_) => Some("take it out with `rbd group image rm`"),
            RbdErrorKind::OldFormat => Some("copy it into a new image with `rbd deep cp`"),
            RbdErrorKind::Unsupported(_) => {
                Some("use the rbd tool, or switch them off with `rbd feature disable`")
            }
            RbdErrorKind::CannotShrink(_) => Some("use the rbd tool"),
            RbdErrorKind::TooManyObjects(_) => Some("use larger objects, or no object map"),
            RbdErrorKind::LostWatch(_) => Some("try again"),
            RbdErrorKind::Features(_)
            | RbdErrorKind::Striping(_)
            | RbdErrorKind::UnfitPool(_)
            | RbdErrorKind::BadHeader(_)
            | RbdErrorKind::Cluster(_) => None,
        }
    }
}

impl From<RbdError> for Error {
    fn from(error: RbdError) -> Error {
        if let RbdErrorKind::Cluster(cause) = &error.kind {
            return cause.clone().of(error.operation, &error.image);
        }
        let kind = match error.errno() {
            33 => ErrorKind::InvalidInput,
            39 | 31 => ErrorKind::Busy,
            errno => ErrorKind::of_errno(errno),
        };
        let plain = Error::new(kind, error.operation, &error.image, error.reason());
        match error.hint() {
            Some(hint) => plain.hint(hint),
            None => plain,
        }
    }
}

impl fmt::Display for RbdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Error::from(self.clone()).fmt(f)
    }
}

impl std::error::Error for RbdError {}
