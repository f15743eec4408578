//! What can become of an operation, and how it is said to a user.

use crate::error::{Error, ErrorKind};
use ringbd_proto::types::Errno;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// Why an operation on an object failed, or never got to an OSD.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OpError {
    /// The OSD said so: a positive errno.
    #[error("{}", Errno::from_number(*.0).map_or("an unknown error", Errno::text))]
    Errno(i32),
    /// The operation took longer than `rados_osd_op_timeout`, or the monitors' longer than theirs.
    #[error("no answer in time")]
    TimedOut,
    /// This client was fenced: its address is in the cluster's blocklist. It never writes again.
    #[error("this client is blocklisted: the cluster takes nothing from it any more")]
    Blocklisted,
    /// The monitors do not take this client for the one that it was: its ticket ended before it could be renewed, as after a
    /// very long sleep of the machine. Under a new name what is in flight could be done twice, so nothing is done any more.
    #[error("this client's ticket ended before it could be renewed, and the monitors do not know it again")]
    IdentityLost,
    /// The pool was deleted, or there never was one with that number.
    #[error("the pool does not exist (any more)")]
    NoPool,
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
    /// The map does not say where the object is in a way that ringbd understands.
    #[error("the object cannot be placed: {0}")]
    Unplaceable(Arc<ringbd_proto::osdmap::PlacementError>),
    /// What the OSD sent cannot be understood.
    #[error("the answer is malformed: {0}")]
    Malformed(Arc<ringbd_proto::codec::DecodeError>),
}

impl OpError {
    /// The error of a negative result.
    pub(super) fn of_result(result: i32) -> OpError {
        match -result {
            errno if errno == Errno::EBLOCKLISTED.number() => OpError::Blocklisted,
            errno => OpError::Errno(errno),
        }
    }

    /// The positive errno that users of librados know.
    pub fn errno(&self) -> i32 {
        match self {
            OpError::Errno(errno) => *errno,
            OpError::TimedOut => 110,
            OpError::Blocklisted => 108,
            OpError::IdentityLost => 127,
            OpError::NoPool => 2,
            OpError::Closed => 107,
            OpError::Malformed(_) => 5,
            OpError::Unplaceable(_) => 95,
        }
    }

    /// The public error of doing `operation` to `object`.
    pub fn of(self, operation: &'static str, object: impl fmt::Display) -> Error {
        let error = Error::new(ErrorKind::of_errno(self.errno()), operation, object, &self);
        match self {
            OpError::Blocklisted => {
                error.hint("find out who fenced it with `ceph osd blocklist ls`; a new client starts afresh")
            }
            OpError::IdentityLost => {
                error.hint("open the image again; could this machine not reach the monitors for days?")
            }
            OpError::TimedOut => error.hint("`ceph -s` tells whether the OSDs are up; the limits are rados_osd_op_timeout and rados_mon_op_timeout"),
            OpError::Errno(28) => error.hint("the cluster or the pool's quota is full: `ceph df` tells"),
            OpError::Errno(1 | 13) => error.hint("the user's capabilities do not allow it: `ceph auth get client.NAME` shows them"),
            OpError::Errno(_)
            | OpError::NoPool
            | OpError::Closed
            | OpError::Malformed(_)
            | OpError::Unplaceable(_) => error,
        }
    }
}

impl From<ringbd_proto::codec::DecodeError> for OpError {
    fn from(error: ringbd_proto::codec::DecodeError) -> OpError {
        OpError::Malformed(Arc::new(error))
    }
}
