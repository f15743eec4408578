//! `MOSDOp`: a list of operations on one object, on its way to an OSD.
//!
//! A client describes it as an [`OpRequest`] and encodes it once into an [`OsdOpFront`], in which what differs between attempts
//! lies at known places: sending it again costs a few stores. The payloads stay with their owner. An OSD reads an
//! [`MOsdOp`].

use super::op::decode_ops;
use super::{HashedObject, Hobject, ObjectLocator, OpClass, OpData, OpEntry, OsdFlags, SnapContext};
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::message::{FrontVersion, MessageKind, check_versions};
use crate::types::{Epoch, PgId, PoolId, SnapId, SpgId, Utime};

/// The message.
pub const OSD_OP: MessageKind = MessageKind { number: 42, version: 8, compat: 3 };
/// The priority that clients give it. What must keep its order with it has the same.
pub const OSD_OP_PRIORITY: u16 = 63;
/// Operations in one list: what its count can say.
pub const OPS_MAX: usize = u16::MAX as usize;

/// A trace's ids; nobody traces.
const TRACE_BYTES: usize = 24;
/// Where fields that differ between attempts lie in a front, from its beginning.
const SPG_AT: usize = 0;
const EPOCH_AT: usize = SPG_AT + SpgId::BYTES + size_of::<u32>();
const FLAGS_AT: usize = EPOCH_AT + size_of::<u32>();
/// The attempt, from the end: behind it are the features.
const ATTEMPT_FROM_END: usize = size_of::<i32>() + size_of::<u64>();

/// Whether a list of operations reads or writes, and in which snapshot or under which snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access<C> {
    /// It reads.
    Read {
        /// The snapshot, or [`SnapId::HEAD`].
        snap: SnapId,
    },
    /// It writes the head, and may read too.
    Write {
        /// The snapshots that must be preserved.
        snapc: C,
        /// The object's new modification time.
        mtime: Utime,
    },
}

impl<C> Access<C> {
    /// Reads the head.
    pub const READ_HEAD: Access<C> = Access::Read { snap: SnapId::HEAD };

    /// The flag that says so.
    pub const fn flag(&self) -> OsdFlags {
        match self {
            Access::Read { .. } => OsdFlags::READ,
            Access::Write { .. } => OsdFlags::WRITE,
        }
    }
}

/// What a client asks of one object, however often it has to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpRequest<'a, D> {
    /// Where the object is.
    pub locator: &'a ObjectLocator,
    /// Its name.
    pub name: &'a [u8],
    /// The hash that places it: all 32 bits, not yet folded to a placement group's number.
    pub hash: u32,
    /// Whether it reads or writes.
    pub access: Access<&'a SnapContext>,
    /// The operations.
    pub ops: &'a [OpEntry<'a, D>],
    /// What the client understands, as it said when it connected.
    pub features: u64,
}

/// What differs from one sending of a message to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sending {
    /// Where it goes.
    pub spg: SpgId,
    /// The map by which that was found.
    pub epoch: Epoch,
    /// Flags, beside those that follow from the rest of the message.
    pub flags: OsdFlags,
    /// How often it was sent before. The answer names it, so that answers to earlier attempts can be told.
    pub attempt: i32,
}

impl Sending {
    /// Of a message that was never sent.
    pub const NONE: Sending = Sending {
        spg: SpgId::replicated(PgId { pool: PoolId(0), seed: 0 }),
        epoch: Epoch(0),
        flags: OsdFlags::NONE,
        attempt: 0,
    };
}

/// The encoded front of a message, which can be sent again.
#[derive(Clone, Debug)]
pub struct OsdOpFront {
    bytes: Vec<u8>,
    /// Flags that every attempt has.
    flags: OsdFlags,
}

impl OsdOpFront {
    /// Encodes a request. `bytes` is taken for its memory.
    ///
    /// # Panics
    ///
    /// When a list that writes is asked for as one that reads: the OSD would lose the snapshots.
    pub fn new<D: OpData>(request: &OpRequest<'_, D>, sending: &Sending, mut bytes: Vec<u8>) -> OsdOpFront {
        assert!(
            !writes(request.ops) || request.access.flag() == OsdFlags::WRITE,
            "an operation that writes is in a list that reads"
        );
        bytes.clear();
        encode_front(request, &mut Encoder::new(&mut bytes));
        let flags = request.access.flag() | OsdFlags::ALWAYS;
        let mut front = OsdOpFront { bytes, flags };
        front.stamp(sending);
        front
    }

    /// Changes it to be sent once more. A redirect changes more, and is encoded anew.
    pub fn stamp(&mut self, sending: &Sending) {
        let Sending { spg, epoch, flags, attempt } = sending;
        let retry = if *attempt > 0 { OsdFlags::RETRY } else { OsdFlags::NONE };
        let flags = *flags | self.flags | retry;
        // In the order of the front: form (1, 1), length, form of the group, pool, seed, preferred OSD, shard.
        self.put(SPG_AT + 7, spg.pg.pool.0.to_le_bytes());
        self.put(SPG_AT + 15, spg.pg.seed.to_le_bytes());
        self.put(SPG_AT + 23, spg.shard.0.to_le_bytes());
        self.put(EPOCH_AT, epoch.0.to_le_bytes());
        self.put(FLAGS_AT, flags.bits().to_le_bytes());
        self.put(self.bytes.len() - ATTEMPT_FROM_END, attempt.to_le_bytes());
    }

    fn put<const N: usize>(&mut self, at: usize, bytes: [u8; N]) {
        self.bytes[at..at + N].copy_from_slice(&bytes);
    }

    /// The front.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A copy. `memory` is taken for its memory.
    pub fn copy_into(&self, mut memory: Vec<u8>) -> OsdOpFront {
        memory.clear();
        memory.extend_from_slice(&self.bytes);
        OsdOpFront { bytes: memory, flags: self.flags }
    }

    /// The object that it is about, as placement groups sort it.
    ///
    /// # Errors
    ///
    /// Never of a front that was made here: what it holds was encoded by the same crate.
    pub fn object(&self) -> Result<Hobject, DecodeError> {
        let mut d = Decoder::new("an operation's message", &self.bytes);
        let (_, hash) = (SpgId::decode(&mut d)?, d.u32()?);
        d.bytes(4 + 4)?;
        d.versioned("a request's id", 2, |_, _| Ok(()))?;
        d.bytes(TRACE_BYTES + 4 + 8)?;
        let locator = ObjectLocator::decode(&mut d)?;
        let name = d.blob()?;
        Ok(Hobject::Object(HashedObject::head(&locator, name, hash)))
    }

    /// Its memory, for another one.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Whether an operation of the list writes.
fn writes<D>(ops: &[OpEntry<'_, D>]) -> bool {
    ops.iter().any(|entry| entry.op.class() == OpClass::Write)
}

/// Writes a front in which what differs between attempts is blank.
fn encode_front<D: OpData>(request: &OpRequest<'_, D>, e: &mut Encoder<'_>) {
    let (snap, snapc, mtime) = match request.access {
        Access::Read { snap } => (snap, &SnapContext::NONE, Utime::default()),
        Access::Write { snapc, mtime } => (SnapId::HEAD, snapc, mtime),
    };
    SpgId::replicated(Default::default()).encode(e);
    e.u32(request.hash).u32(0).u32(0);
    // A request's id: who sent it, its tid, the client's incarnation. The OSD fills blank ones in from the session
    // and the header.
    e.versioned(2, 2, |e| {
        e.u8(0).i64(0).u64(0).i32(0);
    });
    e.zeros(TRACE_BYTES).u32(0);
    mtime.encode(e);
    request.locator.encode(e);
    e.blob(request.name);
    e.u16(u16::try_from(request.ops.len()).expect("a list holds at most OPS_MAX operations"));
    for entry in request.ops {
        entry.encode_head(e);
    }
    e.u64(snap.0);
    snapc.encode(e);
    e.i32(0).u64(request.features);
}

/// A message that an OSD received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MOsdOp<'a> {
    /// What differs between attempts, with all flags.
    pub sending: Sending,
    /// Where the object is.
    pub locator: ObjectLocator,
    /// Its name.
    pub name: &'a [u8],
    /// The hash that places it.
    pub hash: u32,
    /// Whether it reads or writes.
    pub access: Access<SnapContext>,
    /// The operations.
    pub ops: Vec<OpEntry<'a, &'a [u8]>>,
    /// What the client understands.
    pub features: u64,
}

impl<'a> MOsdOp<'a> {
    /// Reads one.
    pub fn decode(
        versions: FrontVersion,
        front: &'a [u8],
        data: &'a [u8],
    ) -> Result<MOsdOp<'a>, DecodeError> {
        let mut d = Decoder::new("an operation's message", front);
        check_versions(&d, OSD_OP, OSD_OP.version, versions)?;
        if versions.version != OSD_OP.version {
            // Later versions put fields in between.
            return Err(d.invalid("a form that ringbd does not read"));
        }
        let (spg, hash) = (SpgId::decode(&mut d)?, d.u32()?);
        let (epoch, flags) = (Epoch::decode(&mut d)?, OsdFlags::from_bits(d.u32()?));
        d.versioned("a request's id", 2, |_, _| Ok(()))?;
        d.bytes(TRACE_BYTES)?;
        d.u32()?;
        let mtime = Utime::decode(&mut d)?;
        let locator = ObjectLocator::decode(&mut d)?;
        let name = d.blob()?;
        let count = usize::from(d.u16()?);
        let ops = decode_ops(&mut d, count, data)?;
        let (snap, snapc) = (SnapId::decode(&mut d)?, SnapContext::decode(&mut d)?);
        let (attempt, features) = (d.i32()?, d.u64()?);
        let access = match (flags.contains(OsdFlags::WRITE), snap) {
            (true, SnapId::HEAD) => Access::Write { snapc, mtime },
            (true, _) => return Err(d.invalid("a write to a snapshot")),
            (false, _) if writes(&ops) => return Err(d.invalid("a list that writes and does not say so")),
            (false, snap) if snapc == SnapContext::NONE => Access::Read { snap },
            (false, _) => return Err(d.invalid("a read under a snapshot context")),
        };
        let sending = Sending { spg, epoch, flags, attempt };
        Ok(MOsdOp { sending, locator, name, hash, access, ops, features })
    }

    /// What was asked for.
    pub fn request(&self) -> OpRequest<'_, &'a [u8]> {
        let access = match &self.access {
            Access::Read { snap } => Access::Read { snap: *snap },
            Access::Write { snapc, mtime } => Access::Write { snapc, mtime: *mtime },
        };
        let MOsdOp { locator, name, hash, ops, features, .. } = self;
        OpRequest { locator, name, hash: *hash, access, ops, features: *features }
    }
}
