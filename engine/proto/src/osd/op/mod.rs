//! Operations on one object. A message carries a list of them, which is carried out as a whole or not at all.
//!
//! On the wire an operation is 38 bytes in the message's front (opcode, flags, arguments, length of its payload) and a
//! payload in the message's data. A payload begins with what is small (a [prefix](OsdOp::encode_prefix): names, keys)
//! and ends with what may be bulk ([`data`](OsdOp::data)), which is never copied here: its owner puts it on the wire.
//! Reads and writes of data have no prefix, so encoding them allocates nothing.

mod decode;
mod encode;

use super::{Hobject, OpClass, OpFlags, Opcode};
use crate::types::{Epoch, SnapId};
use std::borrow::Cow;

pub(super) use decode::decode_ops;

/// Names, keys and values that may be any bytes.
pub type Bytes<'a> = Cow<'a, [u8]>;

/// What holds an operation's bulk data. Only its length matters here.
pub trait OpData {
    /// Bytes.
    fn data_len(&self) -> usize;
}

impl<T: AsRef<[u8]> + ?Sized> OpData for T {
    fn data_len(&self) -> usize {
        self.as_ref().len()
    }
}

/// A range of an object's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Extent {
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub length: u64,
}

/// How two values are compared: the stored one stands on the left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
}

/// What an extended attribute is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum XattrOperand<D> {
    /// Bytes.
    Bytes(D),
    /// A number; the attribute is one in decimal digits.
    Number(u64),
}

/// A condition on an entry of the omap. A key that is not there has an empty value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OmapAssertion<'a> {
    /// The entry.
    pub key: Bytes<'a>,
    /// What its value is compared with.
    pub value: Bytes<'a>,
    /// How. OSDs know equal, greater and less.
    pub comparison: Comparison,
}

/// A kind of checksum, and what it starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumSeed {
    /// xxHash, 32 bits.
    Xxhash32(u32),
    /// xxHash, 64 bits.
    Xxhash64(u64),
    /// CRC-32C without a final inversion.
    Crc32c(u32),
}

/// What a watch operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WatchAction {
    /// Stop watching.
    Unwatch,
    /// Begin to watch.
    Watch,
    /// Go on watching over a new connection.
    Reconnect,
    /// Ask whether the watch is still there.
    Ping,
}

/// Whether data is expected to come in order, to be compressible, and so on, as
/// [`SetAllocHint`](OsdOp::SetAllocHint) says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllocHints(pub u32);

impl AllocHints {
    /// Nothing is known.
    pub const NONE: AllocHints = AllocHints(0);
    /// Writes come in order.
    pub const SEQUENTIAL_WRITE: AllocHints = AllocHints(1);
    /// Writes come in any order.
    pub const RANDOM_WRITE: AllocHints = AllocHints(2);
    /// Reads come in order.
    pub const SEQUENTIAL_READ: AllocHints = AllocHints(4);
    /// Reads come in any order.
    pub const RANDOM_READ: AllocHints = AllocHints(8);
    /// Data compresses well.
    pub const COMPRESSIBLE: AllocHints = AllocHints(256);
    /// Data does not compress.
    pub const INCOMPRESSIBLE: AllocHints = AllocHints(512);
}

/// An operation. `D` holds bulk data: a vector, a borrowed slice, or a list of buffers that only their owner knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OsdOp<'a, D> {
    /// Reads an extent; length 0 is all of the object. What lies behind the object's end is missing from the answer.
    Read(Extent),
    /// Reads what is allocated of an extent; see [`SparseData`](super::SparseData).
    SparseRead(Extent),
    /// Size and modification time; see [`Stat`](super::Stat). As the first of a list: fail with ENOENT unless the
    /// object exists.
    Stat,
    /// Fails unless the object has these bytes there; see [`cmpext_mismatch`](super::cmpext_mismatch).
    CmpExt {
        /// Where.
        offset: u64,
        /// The bytes.
        data: D,
    },
    /// Checksums of an extent; see [`Checksums`](super::Checksums).
    Checksum {
        /// The kind, and what each starts from.
        seed: ChecksumSeed,
        /// The extent; all of the object if it is empty at 0.
        extent: Extent,
        /// Bytes that one checksum is of; 0 for one of all.
        chunk_bytes: u32,
    },
    /// Fails with ERANGE if the object is newer than this version, with EOVERFLOW if it is older.
    AssertVersion(u64),
    /// Who watches the object; see [`Watchers`](super::Watchers).
    ListWatchers,
    /// The object's clones; see [`SnapSet`](super::SnapSet). Asked of [`SnapId::DIR`].
    ListSnaps,
    /// Notifies all watchers; the answer is a [notification's id](super::decode_notify_id), and a message follows when
    /// all have answered or the time is over.
    Notify {
        /// The notifier's own number of it.
        cookie: u64,
        /// Seconds to wait for watchers; 0 leaves it to the OSD.
        timeout_s: u32,
        /// What watchers get.
        payload: D,
    },
    /// Answers a notification.
    NotifyAck {
        /// The notification.
        notify_id: u64,
        /// The watch that got it.
        cookie: u64,
        /// What the notifier gets.
        reply: D,
    },
    /// Keys of the omap; see [`OmapKeys`](super::OmapKeys).
    OmapGetKeys {
        /// Only keys behind this one.
        after: Bytes<'a>,
        /// At most so many.
        max: u64,
    },
    /// Entries of the omap; see [`OmapVals`](super::OmapVals).
    OmapGetVals {
        /// Only keys behind this one.
        after: Bytes<'a>,
        /// At most so many.
        max: u64,
        /// Only keys that begin so.
        prefix: Bytes<'a>,
    },
    /// The omap's header: plain bytes.
    OmapGetHeader,
    /// The entries with these keys; see [`decode_omap_entries`](super::decode_omap_entries).
    OmapGetValsByKeys(Vec<Bytes<'a>>),
    /// Fails with ECANCELED unless all conditions hold.
    OmapCmp(Vec<OmapAssertion<'a>>),
    /// An extended attribute: plain bytes, or ENODATA.
    GetXattr(Bytes<'a>),
    /// All extended attributes; see [`decode_omap_entries`](super::decode_omap_entries).
    GetXattrs,
    /// Fails with ECANCELED unless an extended attribute compares.
    CmpXattr {
        /// The attribute.
        name: Bytes<'a>,
        /// How.
        comparison: Comparison,
        /// With what.
        operand: XattrOperand<D>,
    },
    /// Calls a class's method, which may read and write the object; its output is plain bytes.
    Call {
        /// The class.
        class: Cow<'a, str>,
        /// Its method.
        method: Cow<'a, str>,
        /// What it gets.
        input: D,
    },
    /// Lists objects of a placement group; see [`ListedObjects`](super::ListedObjects).
    PgNls {
        /// Where to go on; [`Hobject::MIN`] to begin.
        cursor: Hobject,
        /// At most so many.
        max: u64,
        /// The epoch of the map by which it was sent.
        epoch: Epoch,
    },
    /// Writes an extent.
    Write {
        /// Where.
        offset: u64,
        /// What.
        data: D,
    },
    /// Replaces all of the object's data.
    WriteFull(D),
    /// Writes behind the end.
    Append(D),
    /// Writes a pattern over and over.
    WriteSame {
        /// Over what; its length is a multiple of the pattern's.
        extent: Extent,
        /// The pattern.
        pattern: D,
    },
    /// Sets the size.
    Truncate(u64),
    /// Zeroes an extent; the object does not grow.
    Zero(Extent),
    /// Removes the object.
    Delete,
    /// Creates the object if it does not exist; with the flag [`OpFlags::EXCL`] it fails with EEXIST if it does.
    Create,
    /// Makes the head as a snapshot is, also if that is absent.
    Rollback(SnapId),
    /// Watches the object, or stops.
    Watch {
        /// The watcher's own number of the watch.
        cookie: u64,
        /// What to do.
        action: WatchAction,
        /// How often it was registered anew.
        generation: u32,
        /// Seconds of silence after which the OSD drops it; 0 leaves it to the OSD.
        timeout_s: u32,
    },
    /// Sets entries of the omap.
    OmapSetVals(Vec<(Bytes<'a>, Bytes<'a>)>),
    /// Sets the omap's header.
    OmapSetHeader(D),
    /// Removes the whole omap.
    OmapClear,
    /// Removes the entries with these keys.
    OmapRmKeys(Vec<Bytes<'a>>),
    /// Removes a range of entries.
    OmapRmKeyRange {
        /// The first key of it.
        begin: Bytes<'a>,
        /// The first key behind it.
        end: Bytes<'a>,
    },
    /// Says how large the object will become. Advice: it is sent so that it cannot fail the list.
    SetAllocHint {
        /// The expected size.
        object_bytes: u64,
        /// The expected size of a write.
        write_bytes: u64,
        /// What else is expected.
        hints: AllocHints,
    },
    /// Sets an extended attribute.
    SetXattr {
        /// The attribute.
        name: Bytes<'a>,
        /// Its value.
        value: D,
    },
    /// Removes an extended attribute.
    RmXattr(Bytes<'a>),
}

impl<D> OsdOp<'_, D> {
    /// Its number.
    pub const fn opcode(&self) -> Opcode {
        match self {
            OsdOp::Read(_) => Opcode::READ,
            OsdOp::SparseRead(_) => Opcode::SPARSE_READ,
            OsdOp::Stat => Opcode::STAT,
            OsdOp::CmpExt { .. } => Opcode::CMPEXT,
            OsdOp::Checksum { .. } => Opcode::CHECKSUM,
            OsdOp::AssertVersion(_) => Opcode::ASSERT_VER,
            OsdOp::ListWatchers => Opcode::LIST_WATCHERS,
            OsdOp::ListSnaps => Opcode::LIST_SNAPS,
            OsdOp::Notify { .. } => Opcode::NOTIFY,
            OsdOp::NotifyAck { .. } => Opcode::NOTIFY_ACK,
            OsdOp::OmapGetKeys { .. } => Opcode::OMAPGETKEYS,
            OsdOp::OmapGetVals { .. } => Opcode::OMAPGETVALS,
            OsdOp::OmapGetHeader => Opcode::OMAPGETHEADER,
            OsdOp::OmapGetValsByKeys(_) => Opcode::OMAPGETVALSBYKEYS,
            OsdOp::OmapCmp(_) => Opcode::OMAP_CMP,
            OsdOp::GetXattr(_) => Opcode::GETXATTR,
            OsdOp::GetXattrs => Opcode::GETXATTRS,
            OsdOp::CmpXattr { .. } => Opcode::CMPXATTR,
            OsdOp::Call { .. } => Opcode::CALL,
            OsdOp::PgNls { .. } => Opcode::PGNLS,
            OsdOp::Write { .. } => Opcode::WRITE,
            OsdOp::WriteFull(_) => Opcode::WRITEFULL,
            OsdOp::Append(_) => Opcode::APPEND,
            OsdOp::WriteSame { .. } => Opcode::WRITESAME,
            OsdOp::Truncate(_) => Opcode::TRUNCATE,
            OsdOp::Zero(_) => Opcode::ZERO,
            OsdOp::Delete => Opcode::DELETE,
            OsdOp::Create => Opcode::CREATE,
            OsdOp::Rollback(_) => Opcode::ROLLBACK,
            OsdOp::Watch { .. } => Opcode::WATCH,
            OsdOp::OmapSetVals(_) => Opcode::OMAPSETVALS,
            OsdOp::OmapSetHeader(_) => Opcode::OMAPSETHEADER,
            OsdOp::OmapClear => Opcode::OMAPCLEAR,
            OsdOp::OmapRmKeys(_) => Opcode::OMAPRMKEYS,
            OsdOp::OmapRmKeyRange { .. } => Opcode::OMAPRMKEYRANGE,
            OsdOp::SetAllocHint { .. } => Opcode::SETALLOCHINT,
            OsdOp::SetXattr { .. } => Opcode::SETXATTR,
            OsdOp::RmXattr(_) => Opcode::RMXATTR,
        }
    }

    /// Whether it reads or writes.
    pub const fn class(&self) -> OpClass {
        self.opcode().class()
    }
}

/// An operation in a list, with its flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpEntry<'a, D> {
    /// The operation.
    pub op: OsdOp<'a, D>,
    /// Its flags.
    pub flags: OpFlags,
}

impl<'a, D> From<OsdOp<'a, D>> for OpEntry<'a, D> {
    /// With the flags that it always has.
    fn from(op: OsdOp<'a, D>) -> OpEntry<'a, D> {
        let flags = match op.opcode() {
            // It is advice, which must not fail what it advises about.
            Opcode::SETALLOCHINT => OpFlags::FAILOK,
            _ => OpFlags::NONE,
        };
        OpEntry { op, flags }
    }
}

impl<'a, D> OsdOp<'a, D> {
    /// With these flags beside those that it always has.
    pub fn with(self, flags: OpFlags) -> OpEntry<'a, D> {
        let entry = OpEntry::from(self);
        OpEntry { flags: entry.flags | flags, ..entry }
    }
}
