//! The end of a daemon that believes every client.

use crate::auth::cephx::wire::{MODE_AUTHORIZER, MODE_LOGIN};
use crate::auth::{AuthError, AuthMethod, CephUser, ConMode, ServerExchange, ServerStep, SessionSecrets};
use crate::codec::Decoder;
use crate::types::GlobalId;

/// One client's connection to a monitor or a service.
#[derive(Debug)]
pub struct NoneServer {
    new_global_id: GlobalId,
}

impl NoneServer {
    /// Accepts one client. If it comes to a monitor without a global id it gets `new_global_id`.
    pub fn new(new_global_id: GlobalId) -> NoneServer {
        NoneServer { new_global_id }
    }
}

impl ServerExchange for NoneServer {
    fn begin(
        &mut self,
        method: AuthMethod,
        con_mode: ConMode,
        payload: &[u8],
    ) -> Result<ServerStep, AuthError> {
        if method != AuthMethod::None || con_mode != ConMode::Crc {
            return Err(AuthError::MethodRefused(method));
        }
        let mut d = Decoder::new("an introduction", payload);
        let mode = d.u8()?;
        CephUser::decode(&mut d)?;
        let claimed = GlobalId::decode(&mut d)?;
        let global_id = match (mode, claimed) {
            (MODE_LOGIN, GlobalId(0)) => self.new_global_id,
            (MODE_LOGIN | MODE_AUTHORIZER, _) => claimed,
            _ => return Err(d.invalid("a first payload that is no introduction").into()),
        };
        Ok(ServerStep::Done { global_id, payload: Vec::new(), secrets: SessionSecrets::default() })
    }

    fn more(&mut self, _: &[u8]) -> Result<ServerStep, AuthError> {
        Err(AuthError::OutOfTurn)
    }
}
