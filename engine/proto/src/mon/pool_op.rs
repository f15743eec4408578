//! `MPoolOp`: changes to a pool that clients may make; for RBD, numbers for its own snapshots.

use super::paxos;
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::message::{Front, MessageKind};
use crate::types::{Epoch, Errno, Fsid, PoolId, SnapId};
use std::borrow::Cow;

/// What to do to a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoolChange<'a> {
    /// Make a snapshot of the whole pool.
    CreateSnap(Cow<'a, str>),
    /// Remove one.
    DeleteSnap(Cow<'a, str>),
    /// Give out a number for a snapshot that the client keeps.
    CreateUnmanagedSnap,
    /// That snapshot is gone: OSDs may remove what they kept for it.
    DeleteUnmanagedSnap(SnapId),
}

impl PoolChange<'_> {
    const fn number(&self) -> u32 {
        match self {
            PoolChange::CreateSnap(_) => 0x11,
            PoolChange::DeleteSnap(_) => 0x12,
            PoolChange::CreateUnmanagedSnap => 0x21,
            PoolChange::DeleteUnmanagedSnap(_) => 0x22,
        }
    }
}

/// A change to a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MPoolOp<'a> {
    /// The newest map of the OSDs that the client has seen.
    pub seen: Epoch,
    /// The cluster.
    pub fsid: Fsid,
    /// The pool.
    pub pool: PoolId,
    /// The change.
    pub change: PoolChange<'a>,
}

impl<'a> Front<'a> for MPoolOp<'a> {
    const KIND: MessageKind = MessageKind { number: 49, version: 4, compat: 2 };
    const WHAT: &'static str = "a change to a pool";

    fn encode(&self, e: &mut Encoder<'_>) {
        let (snap, name) = match &self.change {
            PoolChange::CreateSnap(name) | PoolChange::DeleteSnap(name) => (SnapId(0), &name[..]),
            PoolChange::CreateUnmanagedSnap => (SnapId(0), ""),
            PoolChange::DeleteUnmanagedSnap(snap) => (*snap, ""),
        };
        paxos::encode(e, u64::from(self.seen.0));
        self.fsid.encode(e);
        e.u32(u32::try_from(self.pool.0).expect("monitors count pools from 1 up, in 31 bits"));
        // Between the change and the snapshot is an owner, behind the name a pad and a CRUSH rule: all of the past.
        e.u32(self.change.number()).u64(0).u64(snap.0).string(name).u8(0).u16(0);
    }

    fn decode_body(d: &mut Decoder<'a>, _: u16) -> Result<MPoolOp<'a>, DecodeError> {
        let version = paxos::decode(d)?;
        let seen = Epoch(u32::try_from(version).map_err(|_| d.invalid("an epoch beyond 32 bits"))?);
        let (fsid, pool) = (Fsid::decode(d)?, PoolId(i64::from(d.u32()?)));
        let number = d.u32()?;
        d.u64()?;
        let (snap, name) = (SnapId::decode(d)?, d.string()?.into());
        let change = match number {
            0x11 => PoolChange::CreateSnap(name),
            0x12 => PoolChange::DeleteSnap(name),
            0x21 => PoolChange::CreateUnmanagedSnap,
            0x22 => PoolChange::DeleteUnmanagedSnap(snap),
            _ => return Err(d.invalid("an unknown change to a pool")),
        };
        Ok(MPoolOp { seen, fsid, pool, change })
    }
}

/// The answer. It is over for the client when its map of the OSDs is as new as `epoch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MPoolOpReply<'a> {
    /// The monitor's map of the OSDs.
    pub version: u64,
    /// The cluster.
    pub fsid: Fsid,
    /// How it ended.
    pub result: i32,
    /// The map in which it is done.
    pub epoch: Epoch,
    /// What the change returns.
    pub data: Option<&'a [u8]>,
}

impl MPoolOpReply<'_> {
    /// How it ended.
    pub fn outcome(&self) -> Result<u32, Errno> {
        Errno::from_result(self.result)
    }

    /// The number that [`CreateUnmanagedSnap`](PoolChange::CreateUnmanagedSnap) gave out.
    pub fn snap(&self) -> Result<SnapId, DecodeError> {
        SnapId::decode(&mut Decoder::new("a new snapshot's number", self.data.unwrap_or_default()))
    }
}

impl<'a> Front<'a> for MPoolOpReply<'a> {
    const KIND: MessageKind = MessageKind { number: 48, version: 1, compat: 1 };
    const WHAT: &'static str = "the answer to a change to a pool";

    fn encode(&self, e: &mut Encoder<'_>) {
        paxos::encode(e, self.version);
        self.fsid.encode(e);
        e.i32(self.result).u32(self.epoch.0).optional(self.data, |e, data| {
            e.blob(data);
        });
    }

    fn decode_body(d: &mut Decoder<'a>, _: u16) -> Result<MPoolOpReply<'a>, DecodeError> {
        let version = paxos::decode(d)?;
        let (fsid, result) = (Fsid::decode(d)?, d.i32()?);
        Ok(MPoolOpReply { version, fsid, result, epoch: Epoch::decode(d)?, data: d.optional(Decoder::blob)? })
    }
}
