//! A monitor's end: logins, and renewals over the session that follows.

use super::keys::{ClusterKeys, Issued, encode_tickets};
use super::service::verify;
use crate::auth::cephx::wire::{
    self, Authenticate, GET_AUTH_SESSION_KEY, GET_PRINCIPAL_SESSION_KEY, MODE_LOGIN,
};
use crate::auth::key::{Confounder, CryptoKey, KeyUsage};
use crate::auth::random::{draw, draw_u64};
use crate::auth::{
    AuthError, AuthMethod, CephUser, ConMode, ConnectionSecret, Random, ServerExchange, ServerStep,
    SessionSecrets,
};
use crate::codec::{Decoder, Encoder};
use crate::types::{EntityType, EntityTypes, GlobalId, Utime};
use std::sync::Arc;

/// One client's login.
#[derive(Debug)]
pub struct LoginServer<R> {
    keys: Arc<ClusterKeys>,
    new_global_id: GlobalId,
    now: Utime,
    random: R,
    state: Option<Challenged>,
}

/// A client that was sent a challenge.
#[derive(Debug)]
struct Challenged {
    user: CephUser,
    /// The id that it claims, 0 for none.
    claimed: GlobalId,
    challenge: u64,
    con_mode: ConMode,
}

impl<R: Random> LoginServer<R> {
    /// Accepts one login. A client that claims no global id gets `new_global_id`.
    pub fn new(keys: Arc<ClusterKeys>, new_global_id: GlobalId, now: Utime, random: R) -> LoginServer<R> {
        LoginServer { keys, new_global_id, now, random, state: None }
    }

    /// The key that a client's new ticket must be encrypted with, so that only who holds the old session gets it.
    fn check_old_ticket(
        &self,
        client: &Challenged,
        request: &Authenticate,
    ) -> Result<Option<CryptoKey>, AuthError> {
        const EINVAL: i32 = -22;
        let presents = !request.old_ticket.blob.is_empty();
        if client.claimed == GlobalId(0) {
            return if presents { Err(AuthError::Refused { result: EINVAL }) } else { Ok(None) };
        }
        match self.keys.open_ticket(EntityType::Auth, &request.old_ticket, self.now) {
            Ok(old) if old.global_id == client.claimed => Ok(Some(old.session_key)),
            Ok(_) | Err(_) => Err(AuthError::ReclaimRefused(client.claimed)),
        }
    }

    fn accept(&mut self, client: &Challenged, request: &Authenticate) -> Result<ServerStep, AuthError> {
        let keys = Arc::clone(&self.keys);
        let key = keys.user_key(&client.user).ok_or_else(|| AuthError::UnknownUser(client.user.clone()))?;
        if key.answer(client.challenge, request.client_challenge) != request.answer {
            return Err(AuthError::LoginRefused(client.user.clone()));
        }
        let old = self.check_old_ticket(client, request)?;
        let global_id = if client.claimed == GlobalId(0) { self.new_global_id } else { client.claimed };
        let auth = keys
            .issue(EntityType::Auth, &client.user, global_id, self.now, &mut self.random)
            .ok_or(AuthError::NoTicket(EntityType::Auth))?;
        let session_key = auth.session_key.clone();
        let services = EntityTypes(request.services);
        let extra = keys.issue_all(services, &client.user, global_id, self.now, &mut self.random);
        let connection_secret = match client.con_mode {
            ConMode::Crc => None,
            ConMode::Secure => Some(ConnectionSecret(draw(&mut self.random))),
        };
        let mut payload = Vec::new();
        let mut e = Encoder::new(&mut payload);
        wire::encode_response(&mut e, GET_AUTH_SESSION_KEY);
        encode_tickets(&mut e, key, old.as_ref(), &[auth], &mut self.random);
        self.encode_rest(&mut e, &session_key, connection_secret.as_ref(), &extra);
        let signing_key = Some(session_key.secret().to_vec());
        Ok(ServerStep::Done {
            global_id,
            payload,
            secrets: SessionSecrets { signing_key, connection_secret },
        })
    }

    /// Writes what is encrypted with the new session key: the connection secret and the services' tickets.
    fn encode_rest(
        &mut self,
        e: &mut Encoder<'_>,
        session_key: &CryptoKey,
        secret: Option<&ConnectionSecret>,
        extra: &[Issued],
    ) {
        let confounder = Confounder::draw(&mut self.random);
        let sealed = session_key.seal(KeyUsage::ConnectionSecret, &confounder, |e| {
            e.blob(secret.map_or(&[], |secret| &secret.0[..]));
        });
        e.nested(|e| {
            e.blob(&sealed);
        });
        e.nested(|e| encode_tickets(e, session_key, None, extra, &mut self.random));
    }
}

impl<R: Random> ServerExchange for LoginServer<R> {
    fn begin(
        &mut self,
        method: AuthMethod,
        con_mode: ConMode,
        payload: &[u8],
    ) -> Result<ServerStep, AuthError> {
        if method != AuthMethod::Cephx {
            return Err(AuthError::MethodRefused(method));
        }
        let mut d = Decoder::new("a login", payload);
        if d.u8()? != MODE_LOGIN {
            return Err(d.invalid("a first payload that is no login").into());
        }
        let (user, claimed) = (CephUser::decode(&mut d)?, GlobalId::decode(&mut d)?);
        let challenge = draw_u64(&mut self.random);
        self.state = Some(Challenged { user, claimed, challenge, con_mode });
        Ok(ServerStep::More(Encoder::to_vec(|e| {
            e.u8(1).u64(challenge);
        })))
    }

    fn more(&mut self, payload: &[u8]) -> Result<ServerStep, AuthError> {
        let client = self.state.take().ok_or(AuthError::OutOfTurn)?;
        let mut d = Decoder::new("an answer to a challenge", payload);
        if d.u16()? != GET_AUTH_SESSION_KEY {
            return Err(d.invalid("an answer to something else").into());
        }
        self.accept(&client, &Authenticate::decode(&mut d)?)
    }
}

/// Answers a [renewal](crate::auth::cephx::Tickets::renewal): who asks, and the payload of the answer.
///
/// # Errors
/// The payload is malformed, or the client's ticket is not valid.
pub fn renew(
    keys: &ClusterKeys,
    payload: &[u8],
    now: Utime,
    random: &mut dyn Random,
) -> Result<(GlobalId, Vec<u8>), AuthError> {
    let mut d = Decoder::new("a renewal", payload);
    if d.u16()? != GET_PRINCIPAL_SESSION_KEY {
        return Err(d.invalid("a request for something else").into());
    }
    let (client, _) = verify(keys, EntityType::Auth, now, &mut d)?;
    d.u8()?;
    let services = EntityTypes(d.u32()?);
    let issued = keys.issue_all(services, &client.user, client.global_id, now, random);
    let answer = Encoder::to_vec(|e| {
        wire::encode_response(e, GET_PRINCIPAL_SESSION_KEY);
        encode_tickets(e, &client.session_key, None, &issued, random);
    });
    Ok((client.global_id, answer))
}
