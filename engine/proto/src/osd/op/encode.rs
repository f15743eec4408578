//! Writing operations: 38 bytes into the front, and a payload.

use super::{
    Bytes, ChecksumSeed, Comparison, Extent, OmapAssertion, OpData, OpEntry, OsdOp, WatchAction, XattrOperand,
};
use crate::codec::Encoder;

/// Bytes of an operation in a front.
pub(super) const OP_BYTES: usize = 38;
/// Bytes of its arguments.
pub(super) const ARGS_BYTES: usize = 28;
/// The protocol of notifications.
pub(super) const NOTIFY_PROTOCOL: u32 = 1;

/// An operation's arguments: a union in which what is not used is zero.
struct Args {
    bytes: [u8; ARGS_BYTES],
    at: usize,
}

impl Args {
    const NONE: Args = Args { bytes: [0; ARGS_BYTES], at: 0 };

    fn put<const N: usize>(mut self, bytes: [u8; N]) -> Args {
        self.bytes[self.at..self.at + N].copy_from_slice(&bytes);
        self.at += N;
        self
    }

    fn u8(self, value: u8) -> Args {
        self.put([value])
    }

    fn u32(self, value: u32) -> Args {
        self.put(value.to_le_bytes())
    }

    fn u64(self, value: u64) -> Args {
        self.put(value.to_le_bytes())
    }

    fn extent(extent: Extent) -> Args {
        Args::NONE.u64(extent.offset).u64(extent.length)
    }

    /// An extent of as many bytes as there are.
    fn data(offset: u64, data: &impl OpData) -> Args {
        Args::extent(Extent { offset, length: data.data_len() as u64 })
    }

    fn xattr(name: &[u8], value_len: usize) -> Args {
        Args::NONE.u32(length(name.len())).u32(length(value_len))
    }
}

/// A length that fits its field, because the message would not fit a frame otherwise.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("what ringbd sends is shorter than 4 GiB")
}

/// The length of a class's or method's name.
fn name_length(name: &str) -> u8 {
    u8::try_from(name.len()).expect("classes and methods have short names")
}

impl Comparison {
    pub(super) const fn number(self) -> u8 {
        match self {
            Comparison::Eq => 1,
            Comparison::Ne => 2,
            Comparison::Gt => 3,
            Comparison::Gte => 4,
            Comparison::Lt => 5,
            Comparison::Lte => 6,
        }
    }
}

impl WatchAction {
    pub(super) const fn number(self) -> u8 {
        match self {
            WatchAction::Unwatch => 0,
            WatchAction::Watch => 3,
            WatchAction::Reconnect => 5,
            WatchAction::Ping => 7,
        }
    }
}

impl ChecksumSeed {
    const fn number(self) -> u8 {
        match self {
            ChecksumSeed::Xxhash32(_) => 0,
            ChecksumSeed::Xxhash64(_) => 1,
            ChecksumSeed::Crc32c(_) => 2,
        }
    }
}

impl<D> XattrOperand<D> {
    const fn mode(&self) -> u8 {
        match self {
            XattrOperand::Bytes(_) => 1,
            XattrOperand::Number(_) => 2,
        }
    }
}

impl<D: OpData> OpEntry<'_, D> {
    /// Writes its 38 bytes in the front.
    pub(in crate::osd) fn encode_head(&self, e: &mut Encoder<'_>) {
        let mut head = [0; OP_BYTES];
        head[..2].copy_from_slice(&self.op.opcode().number().to_le_bytes());
        head[2..6].copy_from_slice(&self.flags.bits().to_le_bytes());
        head[6..6 + ARGS_BYTES].copy_from_slice(&self.op.args().bytes);
        head[6 + ARGS_BYTES..].copy_from_slice(&self.op.payload_len().to_le_bytes());
        e.bytes(&head);
    }
}

impl<D: OpData> OsdOp<'_, D> {
    fn args(&self) -> Args {
        match self {
            OsdOp::Read(extent) | OsdOp::SparseRead(extent) | OsdOp::Zero(extent) => Args::extent(*extent),
            OsdOp::CmpExt { offset, data } | OsdOp::Write { offset, data } => Args::data(*offset, data),
            OsdOp::WriteFull(data) | OsdOp::Append(data) => Args::data(0, data),
            OsdOp::WriteSame { extent, pattern } => Args::extent(*extent).u64(pattern.data_len() as u64),
            OsdOp::Truncate(size) => Args::NONE.u64(*size),
            OsdOp::Checksum { seed, extent, chunk_bytes } => {
                Args::extent(*extent).u32(*chunk_bytes).u8(seed.number())
            }
            OsdOp::AssertVersion(version) => Args::NONE.u64(0).u64(*version),
            OsdOp::Notify { cookie, .. } => Args::NONE.u64(*cookie),
            OsdOp::Watch { cookie, action, generation, timeout_s } => {
                Args::NONE.u64(*cookie).u64(0).u8(action.number()).u32(*generation).u32(*timeout_s)
            }
            OsdOp::Rollback(snap) => Args::NONE.u64(snap.0),
            OsdOp::SetAllocHint { object_bytes, write_bytes, hints } => {
                Args::NONE.u64(*object_bytes).u64(*write_bytes).u32(hints.0)
            }
            OsdOp::GetXattr(name) | OsdOp::RmXattr(name) => Args::xattr(name, 0),
            OsdOp::SetXattr { name, value } => Args::xattr(name, value.data_len()),
            OsdOp::CmpXattr { name, comparison, operand } => {
                let value_len = match operand {
                    XattrOperand::Bytes(bytes) => bytes.data_len(),
                    XattrOperand::Number(_) => size_of::<u64>(),
                };
                Args::xattr(name, value_len).u8(comparison.number()).u8(operand.mode())
            }
            OsdOp::Call { class, method, input } => {
                Args::NONE.u8(name_length(class)).u8(name_length(method)).u8(0).u32(length(input.data_len()))
            }
            OsdOp::PgNls { max, epoch, .. } => Args::NONE.u64(*max).u32(epoch.0),
            // Nobody reads these; they are what librados sends.
            OsdOp::OmapGetKeys { .. }
            | OsdOp::OmapGetVals { .. }
            | OsdOp::OmapGetValsByKeys(_)
            | OsdOp::OmapCmp(_)
            | OsdOp::OmapSetVals(_)
            | OsdOp::OmapSetHeader(_)
            | OsdOp::OmapRmKeys(_)
            | OsdOp::OmapRmKeyRange { .. } => {
                Args::extent(Extent { offset: 0, length: u64::from(self.payload_len()) })
            }
            OsdOp::Stat
            | OsdOp::ListWatchers
            | OsdOp::ListSnaps
            | OsdOp::NotifyAck { .. }
            | OsdOp::OmapGetHeader
            | OsdOp::GetXattrs
            | OsdOp::Delete
            | OsdOp::Create
            | OsdOp::OmapClear => Args::NONE,
        }
    }

    /// Bytes of its payload: prefix and data.
    pub fn payload_len(&self) -> u32 {
        length(self.prefix_len() + self.data().map_or(0, OpData::data_len))
    }

    /// The bulk data that ends the payload.
    pub fn data(&self) -> Option<&D> {
        match self {
            OsdOp::CmpExt { data, .. } | OsdOp::Write { data, .. } => Some(data),
            OsdOp::WriteFull(data) | OsdOp::Append(data) | OsdOp::OmapSetHeader(data) => Some(data),
            OsdOp::WriteSame { pattern, .. } => Some(pattern),
            OsdOp::Notify { payload, .. } => Some(payload),
            OsdOp::NotifyAck { reply, .. } => Some(reply),
            OsdOp::Call { input, .. } => Some(input),
            OsdOp::SetXattr { value, .. } => Some(value),
            OsdOp::CmpXattr { operand: XattrOperand::Bytes(bytes), .. } => Some(bytes),
            OsdOp::CmpXattr { operand: XattrOperand::Number(_), .. }
            | OsdOp::Read(_)
            | OsdOp::SparseRead(_)
            | OsdOp::Stat
            | OsdOp::Checksum { .. }
            | OsdOp::AssertVersion(_)
            | OsdOp::ListWatchers
            | OsdOp::ListSnaps
            | OsdOp::OmapGetKeys { .. }
            | OsdOp::OmapGetVals { .. }
            | OsdOp::OmapGetHeader
            | OsdOp::OmapGetValsByKeys(_)
            | OsdOp::OmapCmp(_)
            | OsdOp::GetXattr(_)
            | OsdOp::GetXattrs
            | OsdOp::PgNls { .. }
            | OsdOp::Truncate(_)
            | OsdOp::Zero(_)
            | OsdOp::Delete
            | OsdOp::Create
            | OsdOp::Rollback(_)
            | OsdOp::Watch { .. }
            | OsdOp::OmapSetVals(_)
            | OsdOp::OmapClear
            | OsdOp::OmapRmKeys(_)
            | OsdOp::OmapRmKeyRange { .. }
            | OsdOp::SetAllocHint { .. }
            | OsdOp::RmXattr(_) => None,
        }
    }

    /// Bytes of the payload before its bulk data.
    pub fn prefix_len(&self) -> usize {
        let mut length = Length(0);
        self.prefix(&mut length);
        length.0
    }

    /// Writes the payload before its bulk data.
    pub fn encode_prefix(&self, e: &mut Encoder<'_>) {
        self.prefix(e);
    }

    fn prefix(&self, p: &mut impl Sink) {
        match self {
            OsdOp::Checksum { seed, .. } => match seed {
                ChecksumSeed::Xxhash32(seed) | ChecksumSeed::Crc32c(seed) => p.u32(*seed),
                ChecksumSeed::Xxhash64(seed) => p.u64(*seed),
            },
            OsdOp::Notify { timeout_s, payload, .. } => {
                p.u32(NOTIFY_PROTOCOL);
                p.u32(*timeout_s);
                p.u32(length(payload.data_len()));
            }
            OsdOp::NotifyAck { notify_id, cookie, reply } => {
                p.u64(*notify_id);
                p.u64(*cookie);
                p.u32(length(reply.data_len()));
            }
            OsdOp::OmapGetKeys { after, max } => {
                p.blob(after);
                p.u64(*max);
            }
            OsdOp::OmapGetVals { after, max, prefix } => {
                p.blob(after);
                p.u64(*max);
                p.blob(prefix);
            }
            OsdOp::OmapGetValsByKeys(keys) | OsdOp::OmapRmKeys(keys) => p.keys(keys),
            OsdOp::OmapCmp(assertions) => p.assertions(assertions),
            OsdOp::OmapSetVals(entries) => p.entries(entries),
            OsdOp::OmapRmKeyRange { begin, end } => {
                p.blob(begin);
                p.blob(end);
            }
            OsdOp::GetXattr(name) | OsdOp::RmXattr(name) | OsdOp::SetXattr { name, .. } => p.bytes(name),
            OsdOp::CmpXattr { name, operand, .. } => {
                p.bytes(name);
                match operand {
                    XattrOperand::Bytes(_) => {}
                    XattrOperand::Number(number) => p.u64(*number),
                }
            }
            OsdOp::Call { class, method, .. } => {
                p.bytes(class.as_bytes());
                p.bytes(method.as_bytes());
            }
            OsdOp::PgNls { cursor, .. } => p.bytes(&Encoder::to_vec(|e| cursor.encode(e))),
            OsdOp::Read(_)
            | OsdOp::SparseRead(_)
            | OsdOp::Stat
            | OsdOp::CmpExt { .. }
            | OsdOp::AssertVersion(_)
            | OsdOp::ListWatchers
            | OsdOp::ListSnaps
            | OsdOp::OmapGetHeader
            | OsdOp::GetXattrs
            | OsdOp::Write { .. }
            | OsdOp::WriteFull(_)
            | OsdOp::Append(_)
            | OsdOp::WriteSame { .. }
            | OsdOp::Truncate(_)
            | OsdOp::Zero(_)
            | OsdOp::Delete
            | OsdOp::Create
            | OsdOp::Rollback(_)
            | OsdOp::Watch { .. }
            | OsdOp::OmapSetHeader(_)
            | OsdOp::OmapClear
            | OsdOp::SetAllocHint { .. } => {}
        }
    }
}

/// Where a prefix goes.
trait Sink {
    fn bytes(&mut self, bytes: &[u8]);

    fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }

    fn blob(&mut self, bytes: &[u8]) {
        self.u32(length(bytes.len()));
        self.bytes(bytes);
    }

    fn keys(&mut self, keys: &[Bytes<'_>]) {
        self.u32(length(keys.len()));
        for key in keys {
            self.blob(key);
        }
    }

    fn entries(&mut self, entries: &[(Bytes<'_>, Bytes<'_>)]) {
        self.u32(length(entries.len()));
        for (key, value) in entries {
            self.blob(key);
            self.blob(value);
        }
    }

    fn assertions(&mut self, assertions: &[OmapAssertion<'_>]) {
        self.u32(length(assertions.len()));
        for assertion in assertions {
            self.blob(&assertion.key);
            self.blob(&assertion.value);
            self.u32(u32::from(assertion.comparison.number()));
        }
    }
}

/// How long a prefix is, without writing it.
struct Length(usize);

impl Sink for Length {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

impl Sink for Encoder<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        Encoder::bytes(self, bytes);
    }
}
