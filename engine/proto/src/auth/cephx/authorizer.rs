//! A client's proof to an OSD or a manager that the monitors let it in, and the service's proof to the client.

use super::ticket::{CLOCK_SKEW_S_MAX, Tickets};
use super::wire::{self, Authorize, AuthorizerBase};
use crate::auth::error::{EACCES, EOPNOTSUPP, EPERM};
use crate::auth::key::{Confounder, CryptoKey, KeyUsage};
use crate::auth::random::draw_u64;
use crate::auth::{AuthDone, AuthError, AuthMethod, ClientExchange, Random, SessionSecrets};
use crate::codec::{Decoder, Encoder};
use crate::types::{EntityType, Utime};

/// The client's end of an exchange with a service.
#[derive(Debug)]
pub struct Authorizer {
    service: EntityType,
    base: AuthorizerBase,
    session_key: CryptoKey,
    skew_s: i64,
    nonce: u64,
    /// One for each of the two proofs.
    confounders: [Confounder; 2],
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// It has not begun, is done, or failed.
    Idle,
    /// The service's challenge comes next.
    Begun,
    /// The service's proof comes next.
    Answered,
}

impl Authorizer {
    /// Authenticates to a service with one of `tickets`, of which it keeps what it needs.
    ///
    /// # Errors
    /// There is no ticket for the service, or it has run out: it must be renewed first.
    pub fn new(
        tickets: &Tickets,
        service: EntityType,
        now: Utime,
        random: &mut dyn Random,
    ) -> Result<Authorizer, AuthError> {
        let ticket = tickets.valid(service, now)?;
        Ok(Authorizer {
            service,
            base: AuthorizerBase::new(tickets.global_id, service, &ticket.blob),
            session_key: ticket.session_key.clone(),
            skew_s: tickets.skew_s,
            nonce: draw_u64(random),
            confounders: [Confounder::draw(random), Confounder::draw(random)],
            state: State::Idle,
        })
    }

    fn payload(&self, challenge_plus_one: Option<u64>, confounder: &Confounder) -> Vec<u8> {
        let proof = Authorize { nonce: self.nonce, challenge_plus_one };
        Encoder::to_vec(|e| self.base.encode(e, &self.session_key, proof, confounder))
    }

    fn check(&self, done: AuthDone<'_>) -> Result<SessionSecrets, AuthError> {
        let sealed = Decoder::new("a service's proof", done.payload).blob()?;
        let connection_secret = self.session_key.open(KeyUsage::AuthorizeReply, sealed, |d| {
            let (version, nonce_plus_one) = (d.u8()?, d.u64()?);
            if nonce_plus_one != self.nonce.wrapping_add(1) {
                return Err(AuthError::Proof("the service's proof is not for our nonce"));
            }
            let came = if version >= 2 { d.blob()? } else { &[] };
            wire::connection_secret(done.con_mode, came)
        })?;
        Ok(SessionSecrets { signing_key: Some(self.session_key.secret().to_vec()), connection_secret })
    }
}

impl ClientExchange for Authorizer {
    fn method(&self) -> AuthMethod {
        AuthMethod::Cephx
    }

    fn begin(&mut self) -> Vec<u8> {
        self.state = State::Begun;
        self.payload(None, &self.confounders[0])
    }

    fn more(&mut self, payload: &[u8]) -> Result<Vec<u8>, AuthError> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Begun => {
                let challenge = self.session_key.open(KeyUsage::AuthorizeChallenge, payload, |d| {
                    d.u8()?;
                    Ok(d.u64()?)
                })?;
                self.state = State::Answered;
                Ok(self.payload(Some(challenge.wrapping_add(1)), &self.confounders[1]))
            }
            State::Idle | State::Answered => Err(AuthError::OutOfTurn),
        }
    }

    fn done(&mut self, done: AuthDone<'_>) -> Result<SessionSecrets, AuthError> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Answered => self.check(done),
            State::Idle | State::Begun => Err(AuthError::OutOfTurn),
        }
    }

    /// After [`AuthError::TicketRefused`] and [`AuthError::ClockSkew`] the ticket should be renewed, due or not, before the next attempt.
    fn refused(&self, result: i32) -> AuthError {
        match result {
            EPERM | EACCES if self.skew_s.abs() > CLOCK_SKEW_S_MAX => {
                AuthError::ClockSkew { service: self.service, skew_s: self.skew_s }
            }
            EPERM | EACCES => AuthError::TicketRefused(self.service),
            EOPNOTSUPP => AuthError::MethodRefused(AuthMethod::Cephx),
            _ => AuthError::Refused { result },
        }
    }
}
