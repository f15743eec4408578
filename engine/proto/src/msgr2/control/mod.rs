//! The frames that are no messages: who the ends are, how they authenticate, whether they are still there.
//!
//! [`Control`] is such a frame, decoded. What a later release appends to a payload is skipped.

mod auth;
mod ident;
mod session;
#[cfg(test)]
mod tests;

pub use auth::{AuthBadMethod, AuthDone, AuthRequest, Hello, SIGNATURE_BYTES};
pub use ident::{ClientIdent, IdentFlags, ServerIdent};
pub use session::SessionReconnect;

use super::{Features, Tag};
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::types::Utime;

/// A frame that is no message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control<'a> {
    /// Who I am, and where I see you.
    Hello(Hello),
    /// How the client wants to authenticate.
    AuthRequest(AuthRequest<'a>),
    /// Not like this.
    AuthBadMethod(AuthBadMethod),
    /// The server wants to hear more.
    AuthReplyMore(&'a [u8]),
    /// The client says more.
    AuthRequestMore(&'a [u8]),
    /// The client is who it says.
    AuthDone(AuthDone<'a>),
    /// A signature over all that was received so far.
    AuthSignature([u8; SIGNATURE_BYTES]),
    /// The client's addresses and features.
    ClientIdent(ClientIdent),
    /// The server's addresses and features.
    ServerIdent(ServerIdent),
    /// Features that the client lacks.
    IdentMissingFeatures(Features),
    /// A session is to go on over this connection.
    SessionReconnect(SessionReconnect),
    /// The session is gone; and with it, if true, what was sent and not acknowledged.
    SessionReset(bool),
    /// Another connection of the session has this number.
    SessionRetry(u64),
    /// Another connection of the client has this number.
    SessionRetryGlobal(u64),
    /// The session goes on, and this message was the last to arrive.
    SessionReconnectOk(u64),
    /// The peer is connecting to us at the same time.
    Wait,
    /// Are you there? The time is the sender's, and comes back.
    Keepalive2(Utime),
    /// Yes.
    Keepalive2Ack(Utime),
    /// Messages arrived up to this number.
    Ack(u64),
}

impl<'a> Control<'a> {
    /// What the frame is.
    pub fn tag(&self) -> Tag {
        match self {
            Control::Hello(_) => Tag::Hello,
            Control::AuthRequest(_) => Tag::AuthRequest,
            Control::AuthBadMethod(_) => Tag::AuthBadMethod,
            Control::AuthReplyMore(_) => Tag::AuthReplyMore,
            Control::AuthRequestMore(_) => Tag::AuthRequestMore,
            Control::AuthDone(_) => Tag::AuthDone,
            Control::AuthSignature(_) => Tag::AuthSignature,
            Control::ClientIdent(_) => Tag::ClientIdent,
            Control::ServerIdent(_) => Tag::ServerIdent,
            Control::IdentMissingFeatures(_) => Tag::IdentMissingFeatures,
            Control::SessionReconnect(_) => Tag::SessionReconnect,
            Control::SessionReset(_) => Tag::SessionReset,
            Control::SessionRetry(_) => Tag::SessionRetry,
            Control::SessionRetryGlobal(_) => Tag::SessionRetryGlobal,
            Control::SessionReconnectOk(_) => Tag::SessionReconnectOk,
            Control::Wait => Tag::Wait,
            Control::Keepalive2(_) => Tag::Keepalive2,
            Control::Keepalive2Ack(_) => Tag::Keepalive2Ack,
            Control::Ack(_) => Tag::Ack,
        }
    }

    /// Reads the payload of a frame with this tag; none if it is a message.
    pub fn decode(tag: Tag, payload: &'a [u8]) -> Result<Option<Control<'a>>, DecodeError> {
        let mut d = Decoder::new(tag.word(), payload);
        let control = match tag {
            Tag::Hello => Control::Hello(Hello::decode(&mut d)?),
            Tag::AuthRequest => Control::AuthRequest(AuthRequest::decode(&mut d)?),
            Tag::AuthBadMethod => Control::AuthBadMethod(AuthBadMethod::decode(&mut d)?),
            Tag::AuthReplyMore => Control::AuthReplyMore(d.blob()?),
            Tag::AuthRequestMore => Control::AuthRequestMore(d.blob()?),
            Tag::AuthDone => Control::AuthDone(AuthDone::decode(&mut d)?),
            Tag::AuthSignature => Control::AuthSignature(d.array()?),
            Tag::ClientIdent => Control::ClientIdent(ClientIdent::decode(&mut d)?),
            Tag::ServerIdent => Control::ServerIdent(ServerIdent::decode(&mut d)?),
            Tag::IdentMissingFeatures => Control::IdentMissingFeatures(Features(d.u64()?)),
            Tag::SessionReconnect => Control::SessionReconnect(SessionReconnect::decode(&mut d)?),
            Tag::SessionReset => Control::SessionReset(d.bool()?),
            Tag::SessionRetry => Control::SessionRetry(d.u64()?),
            Tag::SessionRetryGlobal => Control::SessionRetryGlobal(d.u64()?),
            Tag::SessionReconnectOk => Control::SessionReconnectOk(d.u64()?),
            Tag::Wait => Control::Wait,
            Tag::Message => return Ok(None),
            Tag::Keepalive2 => Control::Keepalive2(Utime::decode(&mut d)?),
            Tag::Keepalive2Ack => Control::Keepalive2Ack(Utime::decode(&mut d)?),
            Tag::Ack => Control::Ack(d.u64()?),
        };
        Ok(Some(control))
    }

    /// Writes the payload.
    pub fn encode(&self, e: &mut Encoder<'_>) {
        match self {
            Control::Hello(hello) => hello.encode(e),
            Control::AuthRequest(request) => request.encode(e),
            Control::AuthBadMethod(bad) => bad.encode(e),
            Control::AuthReplyMore(payload) | Control::AuthRequestMore(payload) => {
                e.blob(payload);
            }
            Control::AuthDone(done) => done.encode(e),
            Control::AuthSignature(signature) => {
                e.bytes(signature);
            }
            Control::ClientIdent(ident) => ident.encode(e),
            Control::ServerIdent(ident) => ident.encode(e),
            Control::IdentMissingFeatures(features) => {
                e.u64(features.0);
            }
            Control::SessionReconnect(reconnect) => reconnect.encode(e),
            Control::SessionReset(full) => {
                e.bool(*full);
            }
            Control::SessionRetry(seq)
            | Control::SessionRetryGlobal(seq)
            | Control::SessionReconnectOk(seq)
            | Control::Ack(seq) => {
                e.u64(*seq);
            }
            Control::Wait => {}
            Control::Keepalive2(stamp) | Control::Keepalive2Ack(stamp) => stamp.encode(e),
        }
    }
}
