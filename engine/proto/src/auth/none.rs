//! No authentication: a client says who it is and is believed.

use super::cephx::wire::{MODE_AUTHORIZER, MODE_LOGIN};
use super::error::EOPNOTSUPP;
use super::{AuthDone, AuthError, AuthMethod, CephUser, ClientExchange, ConMode, SessionSecrets};
use crate::codec::Encoder;
use crate::types::GlobalId;

/// The client's end. It is done as soon as it has begun.
#[derive(Debug)]
pub struct NoneExchange {
    mode: u8,
    user: CephUser,
    global_id: GlobalId,
    begun: bool,
}

impl NoneExchange {
    /// Introduces the client to a monitor: with global id 0 to get one, or with its own to keep it.
    pub fn to_monitor(user: CephUser, global_id: GlobalId) -> NoneExchange {
        NoneExchange { mode: MODE_LOGIN, user, global_id, begun: false }
    }

    /// Introduces the client to an OSD or a manager.
    pub fn to_service(user: CephUser, global_id: GlobalId) -> NoneExchange {
        NoneExchange { mode: MODE_AUTHORIZER, user, global_id, begun: false }
    }
}

impl ClientExchange for NoneExchange {
    fn method(&self) -> AuthMethod {
        AuthMethod::None
    }

    fn begin(&mut self) -> Vec<u8> {
        self.begun = true;
        Encoder::to_vec(|e| {
            e.u8(self.mode);
            self.user.encode(e);
            self.global_id.encode(e);
        })
    }

    fn more(&mut self, _: &[u8]) -> Result<Vec<u8>, AuthError> {
        Err(AuthError::OutOfTurn)
    }

    fn done(&mut self, done: AuthDone<'_>) -> Result<SessionSecrets, AuthError> {
        if !std::mem::take(&mut self.begun) {
            return Err(AuthError::OutOfTurn);
        }
        match done.con_mode {
            ConMode::Crc => Ok(SessionSecrets::default()),
            ConMode::Secure => {
                Err(AuthError::Proof("secure mode needs keys, and there are none without cephx"))
            }
        }
    }

    fn refused(&self, result: i32) -> AuthError {
        match result {
            EOPNOTSUPP => AuthError::MethodRefused(AuthMethod::None),
            _ => AuthError::Refused { result },
        }
    }
}
