//! The payload with which a session goes on over a new connection. ringbd's sessions end with their connection, so it
//! neither asks for this nor grants it; it can read it, to say what a peer did.

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::types::EntityAddrVec;

/// A session is to go on over this connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionReconnect {
    /// The client's addresses.
    pub addrs: EntityAddrVec,
    /// The client's name of the session.
    pub client_cookie: u64,
    /// The server's.
    pub server_cookie: u64,
    /// The number of this connection among all that the client made.
    pub global_seq: u64,
    /// The number of this connection in the session.
    pub connect_seq: u64,
    /// The last message that arrived at the client.
    pub msg_seq: u64,
}

impl SessionReconnect {
    pub(super) fn decode(d: &mut Decoder<'_>) -> Result<SessionReconnect, DecodeError> {
        Ok(SessionReconnect {
            addrs: EntityAddrVec::decode(d)?,
            client_cookie: d.u64()?,
            server_cookie: d.u64()?,
            global_seq: d.u64()?,
            connect_seq: d.u64()?,
            msg_seq: d.u64()?,
        })
    }

    pub(super) fn encode(&self, e: &mut Encoder<'_>) {
        self.addrs.encode(e);
        e.u64(self.client_cookie).u64(self.server_cookie);
        e.u64(self.global_seq).u64(self.connect_seq).u64(self.msg_seq);
    }
}
