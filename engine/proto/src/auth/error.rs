//! Why an exchange failed.

use super::{AuthMethod, CephUser, KeyError};
use crate::codec::DecodeError;
use crate::types::{EntityType, GlobalId};
use thiserror::Error;

/// Results with which peers refuse: Linux error numbers, negative.
pub(super) const EPERM: i32 = -1;
pub(super) const ENOENT: i32 = -2;
pub(super) const EACCES: i32 = -13;
pub(super) const EOPNOTSUPP: i32 = -95;

/// Why one end does not accept the other. Each variant is something that a user would do something else about.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AuthError {
    /// The peer's payload is malformed.
    #[error("malformed authentication payload: {0}")]
    Malformed(#[from] DecodeError),
    /// What the peer sent cannot be decrypted with the key that both should have, or its proof is wrong.
    #[error("{0}")]
    Proof(&'static str),
    /// The peer wants a key type or a step that this release does not know.
    #[error("{0}; a newer ringbd is needed")]
    Unsupported(&'static str),
    /// A key that came over the wire cannot be used.
    #[error("the peer's key cannot be used: {0}")]
    Key(#[from] KeyError),
    /// The exchange is in no state for this step.
    #[error("the peer's authentication message is out of turn")]
    OutOfTurn,
    /// There is no ticket for the service: the monitors gave none, or it has run out.
    #[error("there is no valid ticket for the {0} service")]
    NoTicket(EntityType),
    /// The monitors refuse a first login. They do not say whether they lack the user, have another key for it, or give
    /// it no capabilities of their own.
    #[error(
        "the monitors refuse {0}: its key is wrong, there is no such user, or it has no mon capabilities"
    )]
    LoginRefused(CephUser),
    /// The monitors do not know the user.
    #[error("the monitors do not know {0}; `ceph auth ls` lists the users")]
    UnknownUser(CephUser),
    /// The monitors do not let the client continue under its global id: the ticket that proves the earlier login has
    /// expired, or its key was changed meanwhile. A new login gets a new id, and with it loses locks and watches.
    #[error(
        "the monitors refuse to continue the session of client.{0}: its ticket has expired or its key was changed"
    )]
    ReclaimRefused(GlobalId),
    /// A service refuses our ticket: its secret has been rotated since, so the ticket must be renewed.
    #[error("the {0} service refuses our ticket")]
    TicketRefused(EntityType),
    /// A service refuses our ticket, and our clock is far from the monitor's.
    #[error(
        "the {service} service refuses our ticket; our clock is {skew_s} s ahead of the monitor's (negative: behind)"
    )]
    ClockSkew {
        /// The service.
        service: EntityType,
        /// Seconds that we are ahead of the monitor that gave the ticket.
        skew_s: i64,
    },
    /// The peer does not allow the method.
    #[error("the peer does not allow authentication by {0:?}")]
    MethodRefused(AuthMethod),
    /// The peer refuses for a reason of its own.
    #[error("the peer refuses authentication with error {result}")]
    Refused {
        /// Its result, a negative errno.
        result: i32,
    },
}

impl AuthError {
    /// The result with which an accepting end refuses, as Ceph's do: they tell a client as little as possible.
    pub fn wire_result(&self) -> i32 {
        match self {
            AuthError::MethodRefused(_) => EOPNOTSUPP,
            AuthError::Refused { result } => *result,
            AuthError::Malformed(_)
            | AuthError::Proof(_)
            | AuthError::Unsupported(_)
            | AuthError::Key(_)
            | AuthError::OutOfTurn
            | AuthError::NoTicket(_)
            | AuthError::LoginRefused(_)
            | AuthError::UnknownUser(_)
            | AuthError::ReclaimRefused(_)
            | AuthError::TicketRefused(_)
            | AuthError::ClockSkew { .. } => EACCES,
        }
    }
}
