//! Reading operations, as an OSD does.

use super::encode::ARGS_BYTES;
use super::{
    AllocHints, Bytes, ChecksumSeed, Comparison, Extent, OmapAssertion, OpEntry, OsdOp, WatchAction,
    XattrOperand,
};
use crate::codec::{DecodeError, Decoder};
use crate::osd::{Hobject, OpFlags, Opcode};
use crate::types::{Epoch, SnapId};
use std::borrow::Cow;

type Decoded<'a> = Result<OsdOp<'a, &'a [u8]>, DecodeError>;

/// Reads a front's list of `count` operations, whose payloads are in `data`.
pub(in crate::osd) fn decode_ops<'a>(
    d: &mut Decoder<'a>,
    count: usize,
    data: &'a [u8],
) -> Result<Vec<OpEntry<'a, &'a [u8]>>, DecodeError> {
    let mut payloads = Decoder::new("the payload of an operation", data);
    let mut ops = Vec::new();
    for _ in 0..count {
        let opcode = Opcode::from_number(d.u16()?);
        let flags = OpFlags::from_bits(d.u32()?);
        let mut args = Decoder::new("the arguments of an operation", d.bytes(ARGS_BYTES)?);
        let payload_len = d.u32()? as usize;
        let payload = payloads.bytes(payload_len)?;
        ops.push(OpEntry { op: decode_op(opcode, &mut args, payload)?, flags });
    }
    payloads.finish()?;
    Ok(ops)
}

fn decode_op<'a>(opcode: Opcode, args: &mut Decoder<'_>, payload: &'a [u8]) -> Decoded<'a> {
    match opcode {
        Opcode::STAT => bare(OsdOp::Stat, payload),
        Opcode::LIST_WATCHERS => bare(OsdOp::ListWatchers, payload),
        Opcode::LIST_SNAPS => bare(OsdOp::ListSnaps, payload),
        Opcode::OMAPGETHEADER => bare(OsdOp::OmapGetHeader, payload),
        Opcode::GETXATTRS => bare(OsdOp::GetXattrs, payload),
        Opcode::DELETE => bare(OsdOp::Delete, payload),
        Opcode::CREATE => bare(OsdOp::Create, payload),
        Opcode::OMAPCLEAR => bare(OsdOp::OmapClear, payload),
        Opcode::READ => bare(OsdOp::Read(extent(args)?), payload),
        Opcode::SPARSE_READ => bare(OsdOp::SparseRead(extent(args)?), payload),
        Opcode::ZERO => bare(OsdOp::Zero(extent(args)?), payload),
        Opcode::TRUNCATE => bare(OsdOp::Truncate(extent(args)?.offset), payload),
        Opcode::ROLLBACK => bare(OsdOp::Rollback(SnapId(args.u64()?)), payload),
        Opcode::ASSERT_VER => {
            args.u64()?;
            bare(OsdOp::AssertVersion(args.u64()?), payload)
        }
        Opcode::SETALLOCHINT => {
            let (object_bytes, write_bytes) = (args.u64()?, args.u64()?);
            bare(OsdOp::SetAllocHint { object_bytes, write_bytes, hints: AllocHints(args.u32()?) }, payload)
        }
        Opcode::CMPEXT | Opcode::WRITE | Opcode::WRITEFULL | Opcode::APPEND | Opcode::WRITESAME => {
            decode_with_data(opcode, args, payload)
        }
        Opcode::OMAPGETKEYS
        | Opcode::OMAPGETVALS
        | Opcode::OMAPGETVALSBYKEYS
        | Opcode::OMAP_CMP
        | Opcode::OMAPSETVALS
        | Opcode::OMAPSETHEADER
        | Opcode::OMAPRMKEYS
        | Opcode::OMAPRMKEYRANGE => decode_omap(opcode, payload),
        Opcode::GETXATTR | Opcode::SETXATTR | Opcode::RMXATTR | Opcode::CMPXATTR => {
            decode_xattr(opcode, args, payload)
        }
        Opcode::WATCH => decode_watch(args, payload),
        Opcode::NOTIFY | Opcode::NOTIFY_ACK => decode_notify(opcode, args, payload),
        Opcode::CALL => decode_call(args, payload),
        Opcode::CHECKSUM => decode_checksum(args, payload),
        Opcode::PGNLS => decode_pgnls(args, payload),
        _ => Err(args.invalid("an operation that ringbd does not know")),
    }
}

/// An operation without a payload.
fn bare<'a>(op: OsdOp<'a, &'a [u8]>, payload: &'a [u8]) -> Decoded<'a> {
    Decoder::new("the payload of an operation that has none", payload).finish()?;
    Ok(op)
}

/// An extent, which for RADOS clients has no truncation of its own; that is the file system's.
fn extent(args: &mut Decoder<'_>) -> Result<Extent, DecodeError> {
    let extent = Extent { offset: args.u64()?, length: args.u64()? };
    if args.u64()? != 0 || args.u32()? != 0 {
        return Err(args.invalid("an extent with a truncation of its own"));
    }
    Ok(extent)
}

fn decode_with_data<'a>(opcode: Opcode, args: &mut Decoder<'_>, data: &'a [u8]) -> Decoded<'a> {
    if opcode == Opcode::WRITESAME {
        let extent = Extent { offset: args.u64()?, length: args.u64()? };
        if args.u64()? != data.len() as u64 {
            return Err(args.invalid("a pattern that is not as long as its payload"));
        }
        return Ok(OsdOp::WriteSame { extent, pattern: data });
    }
    let Extent { offset, length } = extent(args)?;
    if length != data.len() as u64 {
        return Err(args.invalid("an extent that is not as long as its payload"));
    }
    match opcode {
        Opcode::CMPEXT => Ok(OsdOp::CmpExt { offset, data }),
        Opcode::WRITE => Ok(OsdOp::Write { offset, data }),
        Opcode::WRITEFULL => Ok(OsdOp::WriteFull(data)),
        _ => Ok(OsdOp::Append(data)),
    }
}

fn decode_omap<'a>(opcode: Opcode, payload: &'a [u8]) -> Decoded<'a> {
    let mut d = Decoder::new("the payload of an omap operation", payload);
    let op = match opcode {
        Opcode::OMAPGETKEYS => OsdOp::OmapGetKeys { after: bytes(&mut d)?, max: d.u64()? },
        Opcode::OMAPGETVALS => {
            OsdOp::OmapGetVals { after: bytes(&mut d)?, max: d.u64()?, prefix: bytes(&mut d)? }
        }
        Opcode::OMAPGETVALSBYKEYS => OsdOp::OmapGetValsByKeys(d.list(4, bytes)?),
        Opcode::OMAP_CMP => OsdOp::OmapCmp(d.list(12, |d| {
            let (key, value, number) = (bytes(d)?, bytes(d)?, d.u32()?);
            let number = u8::try_from(number).map_err(|_| d.invalid("an unknown comparison"))?;
            Ok(OmapAssertion { key, value, comparison: comparison(d, number)? })
        })?),
        Opcode::OMAPSETVALS => OsdOp::OmapSetVals(d.list(8, |d| Ok((bytes(d)?, bytes(d)?)))?),
        Opcode::OMAPRMKEYS => OsdOp::OmapRmKeys(d.list(4, bytes)?),
        Opcode::OMAPRMKEYRANGE => OsdOp::OmapRmKeyRange { begin: bytes(&mut d)?, end: bytes(&mut d)? },
        _ => return Ok(OsdOp::OmapSetHeader(payload)),
    };
    d.finish()?;
    Ok(op)
}

fn bytes<'a>(d: &mut Decoder<'a>) -> Result<Bytes<'a>, DecodeError> {
    d.blob().map(Cow::Borrowed)
}

fn comparison(d: &Decoder<'_>, number: u8) -> Result<Comparison, DecodeError> {
    let all =
        [Comparison::Eq, Comparison::Ne, Comparison::Gt, Comparison::Gte, Comparison::Lt, Comparison::Lte];
    all.into_iter()
        .find(|comparison| comparison.number() == number)
        .ok_or_else(|| d.invalid("an unknown comparison"))
}

fn decode_xattr<'a>(opcode: Opcode, args: &mut Decoder<'_>, payload: &'a [u8]) -> Decoded<'a> {
    let (name_len, value_len) = (args.u32()? as usize, args.u32()? as usize);
    let mut d = Decoder::new("the payload of an attribute operation", payload);
    let name = Cow::Borrowed(d.bytes(name_len)?);
    let value = d.bytes(value_len)?;
    d.finish()?;
    match opcode {
        Opcode::SETXATTR => Ok(OsdOp::SetXattr { name, value }),
        Opcode::CMPXATTR => {
            let number = args.u8()?;
            let comparison = comparison(args, number)?;
            let operand = match args.u8()? {
                1 => XattrOperand::Bytes(value),
                2 => {
                    let mut d = Decoder::new("a number to compare with", value);
                    let number = d.u64()?;
                    d.finish()?;
                    XattrOperand::Number(number)
                }
                _ => return Err(args.invalid("an unknown way to compare")),
            };
            Ok(OsdOp::CmpXattr { name, comparison, operand })
        }
        _ if !value.is_empty() => Err(args.invalid("a value for an attribute that is not set")),
        Opcode::GETXATTR => Ok(OsdOp::GetXattr(name)),
        _ => Ok(OsdOp::RmXattr(name)),
    }
}

fn decode_watch<'a>(args: &mut Decoder<'_>, payload: &'a [u8]) -> Decoded<'a> {
    let cookie = args.u64()?;
    args.u64()?;
    let action = match args.u8()? {
        0 => WatchAction::Unwatch,
        3 => WatchAction::Watch,
        5 => WatchAction::Reconnect,
        7 => WatchAction::Ping,
        _ => return Err(args.invalid("an unknown action of a watch")),
    };
    bare(OsdOp::Watch { cookie, action, generation: args.u32()?, timeout_s: args.u32()? }, payload)
}

fn decode_notify<'a>(opcode: Opcode, args: &mut Decoder<'_>, payload: &'a [u8]) -> Decoded<'a> {
    let mut d = Decoder::new("the payload of a notification", payload);
    let op = match opcode {
        Opcode::NOTIFY => {
            d.u32()?;
            OsdOp::Notify { cookie: args.u64()?, timeout_s: d.u32()?, payload: d.blob()? }
        }
        _ => OsdOp::NotifyAck { notify_id: d.u64()?, cookie: d.u64()?, reply: d.blob()? },
    };
    d.finish()?;
    Ok(op)
}

fn decode_call<'a>(args: &mut Decoder<'_>, payload: &'a [u8]) -> Decoded<'a> {
    let (class_len, method_len) = (usize::from(args.u8()?), usize::from(args.u8()?));
    args.u8()?;
    let input_len = args.u32()? as usize;
    let mut d = Decoder::new("the payload of a call", payload);
    let class = name(&mut d, class_len)?;
    let method = name(&mut d, method_len)?;
    let input = d.bytes(input_len)?;
    d.finish()?;
    Ok(OsdOp::Call { class, method, input })
}

fn name<'a>(d: &mut Decoder<'a>, len: usize) -> Result<Cow<'a, str>, DecodeError> {
    let at = d.clone();
    let text = str::from_utf8(d.bytes(len)?).map_err(|_| at.invalid("a name that is not UTF-8"))?;
    Ok(Cow::Borrowed(text))
}

fn decode_checksum<'a>(args: &mut Decoder<'_>, payload: &'a [u8]) -> Decoded<'a> {
    let extent = Extent { offset: args.u64()?, length: args.u64()? };
    let chunk_bytes = args.u32()?;
    let mut d = Decoder::new("a checksum's seed", payload);
    let seed = match args.u8()? {
        0 => ChecksumSeed::Xxhash32(d.u32()?),
        1 => ChecksumSeed::Xxhash64(d.u64()?),
        2 => ChecksumSeed::Crc32c(d.u32()?),
        _ => return Err(args.invalid("an unknown checksum")),
    };
    d.finish()?;
    Ok(OsdOp::Checksum { seed, extent, chunk_bytes })
}

fn decode_pgnls<'a>(args: &mut Decoder<'_>, payload: &'a [u8]) -> Decoded<'a> {
    let (max, epoch) = (args.u64()?, Epoch(args.u32()?));
    let mut d = Decoder::new("the payload of a listing", payload);
    let cursor = Hobject::decode(&mut d)?;
    d.finish()?;
    Ok(OsdOp::PgNls { cursor, max, epoch })
}
