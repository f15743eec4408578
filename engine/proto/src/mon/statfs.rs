//! `MStatfs`: how full the cluster or a pool is.

use super::paxos;
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::message::{Front, MessageKind};
use crate::types::{Fsid, PoolId};

/// The question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MStatfs {
    /// The newest count that the client has seen.
    pub seen: u64,
    /// The cluster.
    pub fsid: Fsid,
    /// The pool, or all of the cluster.
    pub pool: Option<PoolId>,
}

impl<'a> Front<'a> for MStatfs {
    const KIND: MessageKind = MessageKind { number: 13, version: 2, compat: 1 };
    const WHAT: &'static str = "a question for free space";

    fn encode(&self, e: &mut Encoder<'_>) {
        paxos::encode(e, self.seen);
        self.fsid.encode(e);
        e.optional(self.pool, |e, pool| pool.encode(e));
    }

    fn decode_body(d: &mut Decoder<'a>, _: u16) -> Result<MStatfs, DecodeError> {
        Ok(MStatfs { seen: paxos::decode(d)?, fsid: Fsid::decode(d)?, pool: d.optional(PoolId::decode)? })
    }
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MStatfsReply {
    /// The cluster.
    pub fsid: Fsid,
    /// The version of what it was counted by.
    pub version: u64,
    /// All space, in KiB.
    pub total_kib: u64,
    /// What is used, in KiB.
    pub used_kib: u64,
    /// What is free, in KiB.
    pub free_kib: u64,
    /// Objects.
    pub objects: u64,
}

impl<'a> Front<'a> for MStatfsReply {
    const KIND: MessageKind = MessageKind { number: 14, version: 1, compat: 1 };
    const WHAT: &'static str = "free space";

    fn encode(&self, e: &mut Encoder<'_>) {
        self.fsid.encode(e);
        e.u64(self.version).u64(self.total_kib).u64(self.used_kib).u64(self.free_kib).u64(self.objects);
    }

    fn decode_body(d: &mut Decoder<'a>, _: u16) -> Result<MStatfsReply, DecodeError> {
        Ok(MStatfsReply {
            fsid: Fsid::decode(d)?,
            version: d.u64()?,
            total_kib: d.u64()?,
            used_kib: d.u64()?,
            free_kib: d.u64()?,
            objects: d.u64()?,
        })
    }
}
