//! `MOSDOpReply`: what became of a list of operations.

use super::{ObjectLocator, Opcode, OsdFlags};
use crate::codec::{DecodeError, DecodeErrorKind, Decoder, Encoder};
use crate::message::{FrontVersion, MessageKind, check_versions};
use crate::types::{Epoch, Errno, Eversion, PgId};
use std::ops::Range;

/// The message.
pub const OSD_OP_REPLY: MessageKind = MessageKind { number: 43, version: 8, compat: 2 };

/// Bytes of an operation, and where its output's length lies in it.
const OP_BYTES: usize = 38;
const OUT_LEN_AT: usize = 34;
const RVAL_BYTES: usize = size_of::<i32>();
/// A trace's ids; nobody traces.
const TRACE_BYTES: usize = 24;

/// Where a list of operations should have gone instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Where the object is.
    pub locator: ObjectLocator,
    /// Its name there; empty if it is the same.
    pub name: Vec<u8>,
}

/// What became of one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpOutcome {
    /// The operation.
    pub opcode: Opcode,
    /// Its result: negative is an error, but see [`cmpext_mismatch`](super::cmpext_mismatch).
    pub rval: i32,
    /// Where its output lies in the message's data.
    pub output: Range<usize>,
}

/// An answer, as a view of the front: reading it allocates nothing, unless it is a redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MOsdOpReply<'a> {
    /// The object's name.
    pub name: &'a [u8],
    /// The placement group that answered.
    pub pg: PgId,
    /// The request's flags.
    pub flags: OsdFlags,
    /// The result of the whole list: the first error, or what the last operation returned.
    pub result: i32,
    /// The OSD's map.
    pub epoch: Epoch,
    /// Which attempt is answered; negative if the OSD does not say.
    pub attempt: i32,
    /// The version in the placement group's log.
    pub version: Eversion,
    /// The object's version.
    pub user_version: u64,
    /// Where to send it instead.
    pub redirect: Option<Redirect>,
    /// 38 bytes each operation.
    heads: &'a [u8],
    /// 4 bytes each operation.
    rvals: &'a [u8],
}

impl<'a> MOsdOpReply<'a> {
    /// Reads one that came with `data_len` bytes of data.
    pub fn decode(
        versions: FrontVersion,
        front: &'a [u8],
        data_len: usize,
    ) -> Result<MOsdOpReply<'a>, DecodeError> {
        let mut d = Decoder::new("an operation's answer", front);
        check_versions(&d, OSD_OP_REPLY, OSD_OP_REPLY.version, versions)?;
        let (name, pg) = (d.blob()?, PgId::decode(&mut d)?);
        // A 64-bit field, of which no more was ever used.
        let flags = OsdFlags::from_bits(d.u32()?);
        d.u32()?;
        let result = d.i32()?;
        Eversion::decode(&mut d)?;
        let epoch = Epoch::decode(&mut d)?;
        let count = d.count(OP_BYTES + RVAL_BYTES)?;
        let at_ops = d.clone();
        let heads = d.bytes(count * OP_BYTES)?;
        let attempt = d.i32()?;
        let rvals = d.bytes(count * RVAL_BYTES)?;
        let (version, user_version) = (Eversion::decode(&mut d)?, d.u64()?);
        let redirect = d.optional(decode_redirect)?;
        let reply = MOsdOpReply {
            name,
            pg,
            flags,
            result,
            epoch,
            attempt,
            version,
            user_version,
            redirect,
            heads,
            rvals,
        };
        let needed = reply.output_lens().sum::<u64>();
        if needed > data_len as u64 {
            let needed = usize::try_from(needed).unwrap_or(usize::MAX);
            return Err(at_ops.error(DecodeErrorKind::Truncated { needed, left: data_len }));
        }
        Ok(reply)
    }

    fn output_lens(&self) -> impl Iterator<Item = u64> {
        self.heads.chunks_exact(OP_BYTES).map(|head| u64::from(le_u32(head, OUT_LEN_AT)))
    }

    /// The result of the whole list.
    pub fn outcome(&self) -> Result<u32, Errno> {
        Errno::from_result(self.result)
    }

    /// Whether it is the answer to this attempt. One to an earlier attempt says nothing about the last, and is ignored.
    pub fn answers(&self, attempt: i32) -> bool {
        self.attempt < 0 || self.attempt == attempt
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.heads.len() / OP_BYTES
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// What became of each operation, in order. When the list failed, results and outputs behind the failure are blank.
    pub fn ops(&self) -> impl ExactSizeIterator<Item = OpOutcome> + 'a {
        let mut end = 0;
        let rvals = self.rvals.chunks_exact(RVAL_BYTES);
        self.heads.chunks_exact(OP_BYTES).zip(rvals).map(move |(head, rval)| {
            let start = end;
            end += le_u32(head, OUT_LEN_AT) as usize;
            let opcode = Opcode::from_number(u16::from_le_bytes([head[0], head[1]]));
            OpOutcome { opcode, rval: le_u32(rval, 0).cast_signed(), output: start..end }
        })
    }
}

fn le_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn decode_redirect(d: &mut Decoder<'_>) -> Result<Redirect, DecodeError> {
    d.versioned("a redirect", 1, |d, _| {
        Ok(Redirect { locator: ObjectLocator::decode(d)?, name: d.blob()?.to_vec() })
    })
}

/// What an OSD says became of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpReturn {
    /// The operation.
    pub opcode: Opcode,
    /// Its result.
    pub rval: i32,
    /// How much output it has.
    pub output_len: u32,
}

/// An answer, as an OSD makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OsdOpAnswer<'a> {
    /// The object's name.
    pub name: &'a [u8],
    /// The placement group that answers.
    pub pg: PgId,
    /// The request's flags.
    pub flags: OsdFlags,
    /// The result of the whole list.
    pub result: i32,
    /// The OSD's map.
    pub epoch: Epoch,
    /// Which attempt is answered.
    pub attempt: i32,
    /// The version in the placement group's log.
    pub version: Eversion,
    /// The object's version.
    pub user_version: u64,
    /// Where to send it instead.
    pub redirect: Option<&'a Redirect>,
    /// What became of each operation.
    pub ops: &'a [OpReturn],
}

impl OsdOpAnswer<'_> {
    /// Writes the front. OSDs repeat the operations' flags and arguments, which no client reads; here they are blank.
    pub fn encode(&self, e: &mut Encoder<'_>) {
        e.blob(self.name);
        self.pg.encode(e);
        e.u64(u64::from(self.flags.bits())).i32(self.result);
        // The version as clients of long ago want it.
        Eversion { version: self.user_version, ..self.version }.encode(e);
        e.u32(self.epoch.0);
        e.list(self.ops.iter(), |e, op| {
            e.u16(op.opcode.number()).zeros(OUT_LEN_AT - 2).u32(op.output_len);
        });
        e.i32(self.attempt);
        for op in self.ops {
            e.i32(op.rval);
        }
        self.version.encode(e);
        e.u64(self.user_version);
        e.optional(self.redirect, |e, redirect| {
            e.versioned(1, 1, |e| {
                redirect.locator.encode(e);
                e.blob(&redirect.name).u32(0);
            });
        });
        e.zeros(TRACE_BYTES);
    }
}

/// Where the bytes of a [`CmpExt`](super::OsdOp::CmpExt) first differ from the object's, counted within the compared
/// bytes, if `rval` says that they do. The whole list fails with the same number.
pub fn cmpext_mismatch(rval: i32) -> Option<u64> {
    let beyond_errors = i64::from(rval) + i64::from(Errno::MAX);
    if beyond_errors > 0 { None } else { Some(beyond_errors.unsigned_abs()) }
}

/// The result of a [`CmpExt`](super::OsdOp::CmpExt) whose bytes first differ at `index`.
pub fn cmpext_rval(index: u32) -> i32 {
    i32::try_from(-i64::from(Errno::MAX) - i64::from(index))
        .expect("compared bytes fit a message, which is smaller than 2 GiB")
}
