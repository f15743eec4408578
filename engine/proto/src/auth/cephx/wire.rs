//! The payloads that both ends read or write.
//!
//! Their version bytes are not like those of other messages: they come without a length, and nobody has ever raised one
//! except by adding fields at the end, so that a reader ignores what follows what it knows.

use crate::auth::key::{Confounder, CryptoKey, KeyUsage};
use crate::auth::{AuthError, ConMode, ConnectionSecret};
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::types::{EntityType, GlobalId};

/// A request for a ticket of the authentication service, and with it the rest: a login.
pub(crate) const GET_AUTH_SESSION_KEY: u16 = 0x0100;
/// A request for tickets of other services: a renewal.
pub(crate) const GET_PRINCIPAL_SESSION_KEY: u16 = 0x0200;

/// The first byte of a login's first payload. An authorizer has its version there.
pub(crate) const MODE_LOGIN: u8 = 10;
/// The version of authorizers, by which a peer tells them from logins.
pub(crate) const MODE_AUTHORIZER: u8 = 1;

/// A ticket as it travels: which of the service's secrets decrypts it, and the ciphertext.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TicketBlob {
    pub(crate) secret_id: u64,
    pub(crate) blob: Vec<u8>,
}

impl TicketBlob {
    pub(crate) fn decode(d: &mut Decoder<'_>) -> Result<TicketBlob, DecodeError> {
        d.u8()?;
        Ok(TicketBlob { secret_id: d.u64()?, blob: d.blob()?.to_vec() })
    }

    pub(crate) fn encode(&self, e: &mut Encoder<'_>) {
        e.u8(1).u64(self.secret_id).blob(&self.blob);
    }
}

/// A client's answer to a monitor's challenge.
#[derive(Debug)]
pub(crate) struct Authenticate {
    pub(crate) client_challenge: u64,
    /// The answer.
    pub(crate) answer: u64,
    /// Proves that the client's global id is its own; empty at its first login.
    pub(crate) old_ticket: TicketBlob,
    /// Bits of the services that it wants tickets for.
    pub(crate) services: u32,
}

impl Authenticate {
    /// The version that promises an old ticket whenever there is one.
    const VERSION: u8 = 3;

    pub(crate) fn decode(d: &mut Decoder<'_>) -> Result<Authenticate, AuthError> {
        if d.u8()? < Authenticate::VERSION {
            return Err(AuthError::Unsupported("the client is older than any that ringbd accepts"));
        }
        Ok(Authenticate {
            client_challenge: d.u64()?,
            answer: d.u64()?,
            old_ticket: TicketBlob::decode(d)?,
            services: d.u32()?,
        })
    }

    pub(crate) fn encode(&self, e: &mut Encoder<'_>) {
        e.u8(Authenticate::VERSION).u64(self.client_challenge).u64(self.answer);
        self.old_ticket.encode(e);
        e.u32(self.services);
    }
}

/// The open part of an authorizer.
#[derive(Clone, Debug)]
pub(crate) struct AuthorizerBase {
    pub(crate) global_id: GlobalId,
    /// The service's bit.
    pub(crate) service: u32,
    pub(crate) ticket: TicketBlob,
}

impl AuthorizerBase {
    pub(crate) fn new(global_id: GlobalId, service: EntityType, ticket: &TicketBlob) -> AuthorizerBase {
        AuthorizerBase { global_id, service: service.bit().into(), ticket: ticket.clone() }
    }

    pub(crate) fn decode(d: &mut Decoder<'_>) -> Result<AuthorizerBase, DecodeError> {
        d.u8()?;
        Ok(AuthorizerBase {
            global_id: GlobalId::decode(d)?,
            service: d.u32()?,
            ticket: TicketBlob::decode(d)?,
        })
    }

    /// Writes it, followed by the client's proof.
    pub(crate) fn encode(
        &self,
        e: &mut Encoder<'_>,
        session_key: &CryptoKey,
        proof: Authorize,
        confounder: &Confounder,
    ) {
        e.u8(MODE_AUTHORIZER);
        self.global_id.encode(e);
        e.u32(self.service);
        self.ticket.encode(e);
        e.blob(&session_key.seal(KeyUsage::Authorize, confounder, |e| proof.encode(e)));
    }
}

/// A client's proof to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Authorize {
    pub(crate) nonce: u64,
    /// The answer to the service's challenge, once there is one.
    pub(crate) challenge_plus_one: Option<u64>,
}

impl Authorize {
    pub(crate) fn decode(d: &mut Decoder<'_>) -> Result<Authorize, DecodeError> {
        let (_version, nonce) = (d.u8()?, d.u64()?);
        let (challenged, plus_one) = (d.bool()?, d.u64()?);
        Ok(Authorize { nonce, challenge_plus_one: challenged.then_some(plus_one) })
    }

    fn encode(self, e: &mut Encoder<'_>) {
        e.u8(2).u64(self.nonce).bool(self.challenge_plus_one.is_some());
        e.u64(self.challenge_plus_one.unwrap_or(0));
    }
}

/// Reads the head of a monitor's answer to `request`.
pub(crate) fn decode_response(d: &mut Decoder<'_>, request: u16) -> Result<(), AuthError> {
    let at = d.clone();
    if d.u16()? != request {
        return Err(at.invalid("an answer to another request").into());
    }
    match d.i32()? {
        0 => Ok(()),
        result => Err(AuthError::Refused { result }),
    }
}

/// Writes the head of a monitor's answer to `request`.
pub(crate) fn encode_response(e: &mut Encoder<'_>, request: u16) {
    e.u16(request).i32(0);
}

/// Takes the connection secret that came, empty for none, for a connection of that mode.
pub(crate) fn connection_secret(
    con_mode: ConMode,
    came: &[u8],
) -> Result<Option<ConnectionSecret>, AuthError> {
    match con_mode {
        ConMode::Crc => Ok(None),
        ConMode::Secure => match came.try_into() {
            Ok(secret) => Ok(Some(ConnectionSecret(secret))),
            Err(_) => Err(AuthError::Proof("secure mode without a connection secret of 64 bytes")),
        },
    }
}
