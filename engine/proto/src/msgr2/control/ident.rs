//! The payloads with which a session begins.

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::msgr2::Features;
use crate::types::{EntityAddr, EntityAddrVec, GlobalId};

/// What kind of session an end wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdentFlags(pub u64);

impl IdentFlags {
    /// The session ends with its connection, and what was on its way is lost. The layers above send it again.
    pub const LOSSY: IdentFlags = IdentFlags(1);

    /// Whether the session ends with its connection.
    pub const fn is_lossy(self) -> bool {
        self.0 & IdentFlags::LOSSY.0 != 0
    }
}

/// The client's addresses and features.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdent {
    /// The client's addresses, with the nonce of this life of it.
    pub addrs: EntityAddrVec,
    /// Whom it wants to talk to.
    pub target: EntityAddr,
    /// What the monitors call it.
    pub global_id: GlobalId,
    /// The number of this connection among all that the client made.
    pub global_seq: u64,
    /// What it can do.
    pub supported: Features,
    /// What the server must be able to do.
    pub required: Features,
    /// The session it wants.
    pub flags: IdentFlags,
    /// The client's name of the session; 0 when it ends with the connection.
    pub cookie: u64,
}

impl ClientIdent {
    pub(super) fn decode(d: &mut Decoder<'_>) -> Result<ClientIdent, DecodeError> {
        Ok(ClientIdent {
            addrs: EntityAddrVec::decode(d)?,
            target: EntityAddr::decode(d)?,
            global_id: GlobalId::decode(d)?,
            global_seq: d.u64()?,
            supported: Features(d.u64()?),
            required: Features(d.u64()?),
            flags: IdentFlags(d.u64()?),
            cookie: d.u64()?,
        })
    }

    pub(super) fn encode(&self, e: &mut Encoder<'_>) {
        self.addrs.encode(e);
        self.target.encode(e);
        self.global_id.encode(e);
        e.u64(self.global_seq).u64(self.supported.0).u64(self.required.0);
        e.u64(self.flags.0).u64(self.cookie);
    }
}

/// The server's addresses and features.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerIdent {
    /// The server's addresses.
    pub addrs: EntityAddrVec,
    /// Its number among its kind.
    pub num: i64,
    /// The number of this connection among all that the server made.
    pub global_seq: u64,
    /// What it can do.
    pub supported: Features,
    /// What the client must be able to do.
    pub required: Features,
    /// The session it grants.
    pub flags: IdentFlags,
    /// The server's name of the session; 0 when it ends with the connection.
    pub cookie: u64,
}

impl ServerIdent {
    pub(super) fn decode(d: &mut Decoder<'_>) -> Result<ServerIdent, DecodeError> {
        Ok(ServerIdent {
            addrs: EntityAddrVec::decode(d)?,
            num: d.i64()?,
            global_seq: d.u64()?,
            supported: Features(d.u64()?),
            required: Features(d.u64()?),
            flags: IdentFlags(d.u64()?),
            cookie: d.u64()?,
        })
    }

    pub(super) fn encode(&self, e: &mut Encoder<'_>) {
        self.addrs.encode(e);
        e.i64(self.num).u64(self.global_seq).u64(self.supported.0).u64(self.required.0);
        e.u64(self.flags.0).u64(self.cookie);
    }
}
