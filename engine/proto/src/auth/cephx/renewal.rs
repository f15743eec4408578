//! Renewing service tickets over a live monitor session. What is made and read here is the payload of the messages that
//! carry it (`MAuth` and `MAuthReply`).

use super::ticket::{Tickets, decode_tickets};
use super::wire::{self, Authorize, AuthorizerBase, GET_PRINCIPAL_SESSION_KEY};
use crate::auth::error::EACCES;
use crate::auth::key::Confounder;
use crate::auth::random::draw_u64;
use crate::auth::{AuthError, Random};
use crate::codec::{Decoder, Encoder};
use crate::types::{EntityType, EntityTypes, Utime};

impl Tickets {
    /// A request for tickets of `services`: those that are [due](Tickets::due), or the one that a service refused.
    pub fn renewal(&self, services: EntityTypes, random: &mut dyn Random) -> Vec<u8> {
        let base = AuthorizerBase::new(self.global_id, EntityType::Auth, &self.auth.blob);
        let proof = Authorize { nonce: draw_u64(random), challenge_plus_one: None };
        let confounder = Confounder::draw(random);
        Encoder::to_vec(|e| {
            e.u16(GET_PRINCIPAL_SESSION_KEY);
            base.encode(e, &self.auth.session_key, proof, &confounder);
            e.u8(1).u32(services.0);
        })
    }

    /// The tickets after a monitor's answer, which comes with a result of its own. Those that it does not renew stay.
    ///
    /// # Errors
    /// The monitor refused, or the answer cannot be read. After [`AuthError::ReclaimRefused`] only a login without
    /// these tickets helps.
    pub fn renewed(&self, result: i32, payload: &[u8], now: Utime) -> Result<Tickets, AuthError> {
        match result {
            0.. => {}
            EACCES => return Err(AuthError::ReclaimRefused(self.global_id)),
            _ => return Err(AuthError::Refused { result }),
        }
        let mut d = Decoder::new("renewed tickets", payload);
        wire::decode_response(&mut d, GET_PRINCIPAL_SESSION_KEY)?;
        let mut list = Vec::new();
        decode_tickets(&mut d, &self.auth.session_key, Some(self), now, &mut list)?;
        let mut tickets = self.clone();
        tickets.replace(list);
        Ok(tickets)
    }
}
