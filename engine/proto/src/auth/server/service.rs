//! The end of an OSD or a manager: it checks authorizers.

use super::keys::ClusterKeys;
use super::ticket_info::TicketInfo;
use crate::auth::cephx::wire::{Authorize, AuthorizerBase};
use crate::auth::key::{Confounder, KeyUsage};
use crate::auth::random::{draw, draw_u64};
use crate::auth::{
    AuthError, AuthMethod, ConMode, ConnectionSecret, Random, ServerExchange, ServerStep, SessionSecrets,
};
use crate::codec::{Decoder, Encoder};
use crate::types::{EntityType, Utime};
use std::sync::Arc;

/// One client's connection to a service.
#[derive(Debug)]
pub struct ServiceServer<R> {
    keys: Arc<ClusterKeys>,
    service: EntityType,
    now: Utime,
    random: R,
    /// The challenge that the client must answer, and the mode of its connection.
    challenged: Option<(u64, ConMode)>,
}

impl<R: Random> ServiceServer<R> {
    /// Accepts one client as that service.
    pub fn new(keys: Arc<ClusterKeys>, service: EntityType, now: Utime, random: R) -> ServiceServer<R> {
        ServiceServer { keys, service, now, random, challenged: None }
    }
}

impl<R: Random> ServerExchange for ServiceServer<R> {
    fn begin(
        &mut self,
        method: AuthMethod,
        con_mode: ConMode,
        payload: &[u8],
    ) -> Result<ServerStep, AuthError> {
        if method != AuthMethod::Cephx {
            return Err(AuthError::MethodRefused(method));
        }
        let mut d = Decoder::new("an authorizer", payload);
        let (client, _) = verify(&self.keys, self.service, self.now, &mut d)?;
        let challenge = draw_u64(&mut self.random);
        self.challenged = Some((challenge, con_mode));
        let confounder = Confounder::draw(&mut self.random);
        Ok(ServerStep::More(client.session_key.seal(KeyUsage::AuthorizeChallenge, &confounder, |e| {
            e.u8(1).u64(challenge);
        })))
    }

    fn more(&mut self, payload: &[u8]) -> Result<ServerStep, AuthError> {
        let (challenge, con_mode) = self.challenged.take().ok_or(AuthError::OutOfTurn)?;
        let mut d = Decoder::new("an authorizer", payload);
        let (client, proof) = verify(&self.keys, self.service, self.now, &mut d)?;
        if proof.challenge_plus_one != Some(challenge.wrapping_add(1)) {
            return Err(AuthError::Proof("the client's proof is not for our challenge"));
        }
        let connection_secret = match con_mode {
            ConMode::Crc => None,
            ConMode::Secure => Some(ConnectionSecret(draw(&mut self.random))),
        };
        let confounder = Confounder::draw(&mut self.random);
        let sealed = client.session_key.seal(KeyUsage::AuthorizeReply, &confounder, |e| {
            e.u8(if connection_secret.is_some() { 2 } else { 1 }).u64(proof.nonce.wrapping_add(1));
            if let Some(secret) = &connection_secret {
                e.blob(&secret.0);
            }
        });
        let payload = Encoder::to_vec(|e| {
            e.blob(&sealed);
        });
        let signing_key = Some(client.session_key.secret().to_vec());
        let secrets = SessionSecrets { signing_key, connection_secret };
        Ok(ServerStep::Done { global_id: client.global_id, payload, secrets })
    }
}

/// Reads an authorizer for `service` and checks its ticket and that the client has the ticket's session key.
pub(super) fn verify(
    keys: &ClusterKeys,
    service: EntityType,
    now: Utime,
    d: &mut Decoder<'_>,
) -> Result<(TicketInfo, Authorize), AuthError> {
    let base = AuthorizerBase::decode(d)?;
    if base.service != u32::from(service.bit()) {
        return Err(AuthError::TicketRefused(service));
    }
    let client = keys.open_ticket(service, &base.ticket, now)?;
    if client.global_id != base.global_id {
        return Err(AuthError::Proof("the ticket is another client's"));
    }
    let proof = client.session_key.open(KeyUsage::Authorize, d.blob()?, |d| Ok(Authorize::decode(d)?))?;
    Ok((client, proof))
}
