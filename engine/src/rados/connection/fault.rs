//! Why a connection could not be made, or ended.

use ringbd_proto::codec::DecodeError;
use ringbd_proto::msgr2::{FrameError, HandshakeError, NoncesExhausted, Tag};
use std::io;
use std::time::Duration;
use thiserror::Error;

/// Why no connection came about.
#[derive(Debug, Error)]
pub(in crate::rados) enum ConnectError {
    /// TCP does not get there.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The daemon closed the connection in the middle of the handshake.
    #[error("the daemon closed the connection during the handshake")]
    Closed,
    /// The two ends did not agree.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// It took too long.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
}

/// Why a connection ended.
#[derive(Debug, Error)]
pub(in crate::rados) enum Fault {
    /// TCP failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The daemon closed it.
    #[error("the daemon closed the connection")]
    Closed,
    /// A frame was not accepted.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// A message was malformed.
    #[error("{0}")]
    Message(#[from] DecodeError),
    /// A frame that has no place in a session of this kind.
    #[error("the daemon sent {0}, which has no place here")]
    Unexpected(Tag),
    /// The keys are used up; the next connection has new ones.
    #[error("{0}")]
    Nonces(NoncesExhausted),
    /// The daemon was silent for too long.
    #[error("the daemon was silent for {0:?}")]
    Silent(Duration),
    /// Nothing went over it for long, and nothing needs it.
    #[error("it was idle")]
    Idle,
    /// The next session begins with the login that is due.
    #[error("a new login is due")]
    LoginDue,
    /// The monitors are those of another cluster.
    #[error("it leads to another cluster")]
    OtherCluster,
    /// We have no use for it any more.
    #[error("it is not needed any more")]
    Unneeded,
    /// The map says that the daemon is elsewhere, or down.
    #[error("the daemon moved or went down")]
    Moved,
}
