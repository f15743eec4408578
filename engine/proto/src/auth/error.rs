//! Why an exchange failed.

use crate::codec::DecodeError;
use thiserror::Error;

/// Why one end does not accept the other.
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
    /// The exchange is in no state for this step.
    #[error("the peer's authentication message is out of turn")]
    OutOfTurn,
    /// There is no ticket for the service: the monitors gave none, or it has run out.
    #[error("there is no valid ticket for the {0} service")]
    NoTicket(crate::types::EntityType),
}
