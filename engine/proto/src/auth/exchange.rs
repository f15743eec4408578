//! The seam between a connection's handshake, which carries opaque payloads, and the ways to authenticate, which make and
//! read them.

use super::AuthError;
use crate::types::GlobalId;

/// A way to authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthMethod {
    /// No proof at all.
    None,
    /// Shared secrets and tickets.
    Cephx,
}

impl AuthMethod {
    /// Its number on the wire.
    pub const fn number(self) -> u32 {
        match self {
            AuthMethod::None => 1,
            AuthMethod::Cephx => 2,
        }
    }

    /// The method with that number, if ringbd knows it.
    pub const fn from_number(number: u32) -> Option<AuthMethod> {
        match number {
            1 => Some(AuthMethod::None),
            2 => Some(AuthMethod::Cephx),
            _ => None,
        }
    }
}

/// What protects the frames of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConMode {
    /// Checksums against accidents.
    Crc,
    /// Encryption and authentication, AES-128-GCM.
    Secure,
}

impl ConMode {
    /// Its number on the wire.
    pub const fn number(self) -> u32 {
        match self {
            ConMode::Crc => 1,
            ConMode::Secure => 2,
        }
    }

    /// The mode with that number, if ringbd knows it.
    pub const fn from_number(number: u32) -> Option<ConMode> {
        match number {
            1 => Some(ConMode::Crc),
            2 => Some(ConMode::Secure),
            _ => None,
        }
    }
}

/// What both ends draw the keys and nonces of secure mode from.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionSecret(pub [u8; 64]);

impl std::fmt::Debug for ConnectionSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConnectionSecret(..)")
    }
}

/// What the two ends share once they know each other.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SessionSecrets {
    /// Signs the handshake. None without authentication.
    pub signing_key: Option<Vec<u8>>,
    /// The keys of secure mode. None in crc mode.
    pub connection_secret: Option<ConnectionSecret>,
}

impl std::fmt::Debug for SessionSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionSecrets(..)")
    }
}

/// The last word of the authenticating end.
#[derive(Clone, Copy, Debug)]
pub struct AuthDone<'a> {
    /// What the client is called from now on.
    pub global_id: GlobalId,
    /// What the server chose of the modes it was offered.
    pub con_mode: ConMode,
    /// The method's own part.
    pub payload: &'a [u8],
}

/// The connecting end of one exchange: `begin`, then `more` as often as it is asked, then `done`.
pub trait ClientExchange {
    /// The method that this is.
    fn method(&self) -> AuthMethod;

    /// The first payload.
    fn begin(&mut self) -> Vec<u8>;

    /// The answer to a request for more.
    fn more(&mut self, payload: &[u8]) -> Result<Vec<u8>, AuthError>;

    /// Checks the last word and takes what it brings.
    fn done(&mut self, done: AuthDone<'_>) -> Result<SessionSecrets, AuthError>;

    /// What it means that the peer refused with `result`, a negative errno.
    fn refused(&self, result: i32) -> AuthError;
}

/// The accepting end of one exchange, as model clusters need it.
pub trait ServerExchange {
    /// The client's first payload, with the mode that the connection will have.
    fn begin(
        &mut self,
        method: AuthMethod,
        con_mode: ConMode,
        payload: &[u8],
    ) -> Result<ServerStep, AuthError>;

    /// A further payload.
    fn more(&mut self, payload: &[u8]) -> Result<ServerStep, AuthError>;
}

/// What the accepting end says next.
#[derive(Debug)]
pub enum ServerStep {
    /// It wants more.
    More(Vec<u8>),
    /// It is satisfied.
    Done {
        /// What the client is called from now on.
        global_id: GlobalId,
        /// The method's own part of the last word.
        payload: Vec<u8>,
        /// What the two ends share now.
        secrets: SessionSecrets,
    },
}
