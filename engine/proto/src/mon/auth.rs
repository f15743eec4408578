//! `MAuth`: renewing tickets over a session that is there. What is inside is the authentication's.

use super::paxos;
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::message::{Front, MessageKind};
use crate::types::{Epoch, Errno, GlobalId};

/// A request of the authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MAuth<'a> {
    /// The number of the way to authenticate.
    pub protocol: u32,
    /// Its own.
    pub payload: &'a [u8],
    /// The client's map of the monitors.
    pub monmap_epoch: Epoch,
}

impl<'a> Front<'a> for MAuth<'a> {
    const KIND: MessageKind = MessageKind { number: 17, version: 1, compat: 1 };
    const WHAT: &'static str = "a request of the authentication";

    fn encode(&self, e: &mut Encoder<'_>) {
        paxos::encode(e, 0);
        e.u32(self.protocol).blob(self.payload).u32(self.monmap_epoch.0);
    }

    fn decode_body(d: &mut Decoder<'a>, _: u16) -> Result<MAuth<'a>, DecodeError> {
        paxos::decode(d)?;
        let (protocol, payload) = (d.u32()?, d.blob()?);
        let monmap_epoch = if d.left() == 0 { Epoch(0) } else { Epoch::decode(d)? };
        Ok(MAuth { protocol, payload, monmap_epoch })
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MAuthReply<'a> {
    /// The number of the way to authenticate.
    pub protocol: u32,
    /// How it ended.
    pub result: i32,
    /// What the client is called; 0 says nothing.
    pub global_id: GlobalId,
    /// The authentication's own.
    pub payload: &'a [u8],
    /// What to tell the user.
    pub message: &'a [u8],
}

impl MAuthReply<'_> {
    /// How it ended.
    pub fn outcome(&self) -> Result<u32, Errno> {
        Errno::from_result(self.result)
    }
}

impl<'a> Front<'a> for MAuthReply<'a> {
    const KIND: MessageKind = MessageKind { number: 18, version: 1, compat: 1 };
    const WHAT: &'static str = "an answer of the authentication";

    fn encode(&self, e: &mut Encoder<'_>) {
        e.u32(self.protocol).i32(self.result).u64(self.global_id.0);
        e.blob(self.payload).blob(self.message);
    }

    fn decode_body(d: &mut Decoder<'a>, _: u16) -> Result<MAuthReply<'a>, DecodeError> {
        let (protocol, result, global_id) = (d.u32()?, d.i32()?, GlobalId::decode(d)?);
        Ok(MAuthReply { protocol, result, global_id, payload: d.blob()?, message: d.blob()? })
    }
}
