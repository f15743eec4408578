//! A client's login at a monitor, its first or one that continues its session.

use super::ticket::{TICKETS_WANTED, Ticket, Tickets, decode_tickets};
use super::wire::{self, Authenticate, GET_AUTH_SESSION_KEY, MODE_LOGIN, TicketBlob};
use crate::auth::error::EOPNOTSUPP;
use crate::auth::key::KeyUsage;
use crate::auth::random::draw_u64;
use crate::auth::{AuthDone, AuthError, AuthMethod, ClientExchange, Credentials, Random, SessionSecrets};
use crate::codec::{Decoder, Encoder};
use crate::types::{EntityType, EntityTypes, GlobalId, Utime};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The client's end of a login. After it is done, [`take_tickets`](Login::take_tickets) gives what it was for.
#[derive(Debug)]
pub struct Login {
    credentials: Arc<Credentials>,
    previous: Option<Arc<Tickets>>,
    client_challenge: u64,
    now: Utime,
    state: State,
}

#[derive(Debug)]
enum State {
    /// It has not begun, or it failed.
    Idle,
    /// The monitor's challenge comes next.
    Begun,
    /// The monitor's tickets come next.
    Answered,
    /// It succeeded.
    Done(Box<Tickets>),
}

impl Login {
    /// A login of that user. With the tickets of its `previous` login it keeps its global id. Tickets live from
    /// `now` on.
    pub fn new(
        credentials: Arc<Credentials>,
        previous: Option<Arc<Tickets>>,
        now: Utime,
        random: &mut dyn Random,
    ) -> Login {
        let client_challenge = draw_u64(random);
        Login { credentials, previous, client_challenge, now, state: State::Idle }
    }

    /// The tickets, once, after the exchange is done.
    pub fn take_tickets(&mut self) -> Option<Tickets> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Done(tickets) => Some(*tickets),
            state @ (State::Idle | State::Begun | State::Answered) => {
                self.state = state;
                None
            }
        }
    }

    fn answer(&self, payload: &[u8]) -> Result<Vec<u8>, AuthError> {
        let mut d = Decoder::new("a monitor's challenge", payload);
        let (_version, challenge) = (d.u8()?, d.u64()?);
        let authenticate = Authenticate {
            client_challenge: self.client_challenge,
            answer: self.credentials.key.answer(challenge, self.client_challenge),
            old_ticket: self.previous.as_ref().map_or_else(TicketBlob::default, |old| old.auth.blob.clone()),
            services: EntityTypes::of(TICKETS_WANTED).0 | u32::from(EntityType::Auth.bit()),
        };
        Ok(Encoder::to_vec(|e| {
            e.u16(GET_AUTH_SESSION_KEY);
            authenticate.encode(e);
        }))
    }

    fn finish(&self, done: AuthDone<'_>) -> Result<(Tickets, SessionSecrets), AuthError> {
        self.check_global_id(done.global_id)?;
        let previous = self.previous.as_deref();
        let mut d = Decoder::new("a monitor's tickets", done.payload);
        wire::decode_response(&mut d, GET_AUTH_SESSION_KEY)?;
        let mut list = Vec::new();
        decode_tickets(&mut d, &self.credentials.key, previous, self.now, &mut list)?;
        let auth = list.into_iter().find(|ticket| ticket.service == EntityType::Auth);
        let auth = auth.ok_or(AuthError::NoTicket(EntityType::Auth))?;
        let secret = open_connection_secret(&auth, d.blob()?)?;
        let connection_secret = wire::connection_secret(done.con_mode, &secret)?;
        let signing_key = Some(auth.session_key.secret().to_vec());
        let skew_s = i64::from(self.now.sec) - i64::from(auth.session_key.created().sec);
        let services = previous.map_or_else(Vec::new, |old| old.services.clone());
        let mut tickets = Tickets { global_id: done.global_id, auth, services, skew_s, unread: None };
        let extra = d.blob()?;
        if !extra.is_empty() {
            let mut list = Vec::new();
            let mut d = Decoder::new("the services' tickets", extra);
            // A monitor that lacks the secret of one service ends the list in the middle. The tickets before it are
            // good, and the reason matters only if one of the others is ever needed.
            let key = &tickets.auth.session_key;
            tickets.unread = decode_tickets(&mut d, key, previous, self.now, &mut list).err();
            tickets.replace(list);
        }
        Ok((tickets, SessionSecrets { signing_key, connection_secret }))
    }

    fn check_global_id(&self, global_id: GlobalId) -> Result<(), AuthError> {
        match &self.previous {
            Some(previous) if previous.global_id != global_id => {
                Err(AuthError::ReclaimRefused(previous.global_id))
            }
            _ if global_id == GlobalId(0) => Err(AuthError::Proof("the monitor gave no global id")),
            Some(_) | None => Ok(()),
        }
    }
}

/// Decrypts a monitor's connection secret, behind two lengths. In crc mode there is none, or an empty one.
fn open_connection_secret(auth: &Ticket, came: &[u8]) -> Result<Zeroizing<Vec<u8>>, AuthError> {
    if came.is_empty() {
        return Ok(Zeroizing::default());
    }
    let sealed = Decoder::new("a connection secret", came).blob()?;
    auth.session_key.open(KeyUsage::ConnectionSecret, sealed, |d| Ok(Zeroizing::new(d.blob()?.to_vec())))
}

impl ClientExchange for Login {
    fn method(&self) -> AuthMethod {
        AuthMethod::Cephx
    }

    fn begin(&mut self) -> Vec<u8> {
        self.state = State::Begun;
        Encoder::to_vec(|e| {
            e.u8(MODE_LOGIN);
            self.credentials.user.encode(e);
            self.previous.as_ref().map_or(GlobalId(0), |old| old.global_id).encode(e);
        })
    }

    fn more(&mut self, payload: &[u8]) -> Result<Vec<u8>, AuthError> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Begun => {
                let answer = self.answer(payload)?;
                self.state = State::Answered;
                Ok(answer)
            }
            State::Idle | State::Answered | State::Done(_) => Err(AuthError::OutOfTurn),
        }
    }

    fn done(&mut self, done: AuthDone<'_>) -> Result<SessionSecrets, AuthError> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Answered => {
                let (tickets, secrets) = self.finish(done)?;
                self.state = State::Done(Box::new(tickets));
                Ok(secrets)
            }
            State::Idle | State::Begun | State::Done(_) => Err(AuthError::OutOfTurn),
        }
    }

    fn refused(&self, result: i32) -> AuthError {
        if result == EOPNOTSUPP {
            return AuthError::MethodRefused(AuthMethod::Cephx);
        }
        match (self.credentials.refused(result), &self.previous) {
            // The same user was let in before, so that its old ticket is to blame first.
            (AuthError::LoginRefused(_), Some(previous)) => AuthError::ReclaimRefused(previous.global_id),
            (error, _) => error,
        }
    }
}
