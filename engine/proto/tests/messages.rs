//! Every message that is written reads as what it was, and bytes that were tampered with are refused or read, never
//! worse.

#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use ringbd_proto::codec::Encoder;
use ringbd_proto::message::{Front, FrontVersion};
use ringbd_proto::mon::{self, PoolChange};
use ringbd_proto::osd::{self, OsdOp};
use ringbd_proto::types::{
    AddrKind, EntityAddr, EntityAddrVec, EntityName, Epoch, Eversion, Fsid, GlobalId, PgId, PoolId, ShardId,
    SnapId, SpgId, Utime,
};
use std::borrow::Cow;

/// Encodes a front, decodes it, and compares.
fn comes_back<'a, F: Front<'a> + PartialEq + std::fmt::Debug>(message: &F, front: &'a mut Vec<u8>) {
    *front = message.to_front();
    let read = F::decode(F::KIND.front_version(), front);
    assert_eq!(read.as_ref(), Ok(message));
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..20)
}

fn text() -> impl Strategy<Value = String> {
    "[a-zA-Zé\"{}_.-]{0,12}"
}

fn fsid() -> impl Strategy<Value = Fsid> {
    any::<[u8; 16]>().prop_map(Fsid)
}

fn epoch() -> impl Strategy<Value = Epoch> {
    any::<u32>().prop_map(Epoch)
}

fn utime() -> impl Strategy<Value = Utime> {
    (any::<u32>(), 0..1_000_000_000_u32).prop_map(|(sec, nsec)| Utime { sec, nsec })
}

fn pg() -> impl Strategy<Value = PgId> {
    (any::<i64>(), any::<u32>()).prop_map(|(pool, seed)| PgId { pool: PoolId(pool), seed })
}

fn spg() -> impl Strategy<Value = SpgId> {
    (pg(), any::<i8>()).prop_map(|(pg, shard)| SpgId { pg, shard: ShardId(shard) })
}

fn addr() -> impl Strategy<Value = EntityAddr> {
    let kind =
        prop_oneof![Just(AddrKind::Msgr2), Just(AddrKind::Any), Just(AddrKind::Legacy), Just(AddrKind::None)];
    let socket = proptest::option::of((any::<[u8; 4]>(), any::<u16>()).prop_map(Into::into));
    (kind, any::<u32>(), socket).prop_map(|(kind, nonce, socket)| EntityAddr { kind, nonce, socket })
}

fn snap_context() -> impl Strategy<Value = osd::SnapContext> {
    (proptest::collection::btree_set(1..1000_u64, 0..5), 0..1000_u64).prop_map(|(snaps, beyond)| {
        let snaps: Vec<_> = snaps.into_iter().rev().map(SnapId).collect();
        match snaps.first() {
            Some(newest) => osd::SnapContext::new(SnapId(newest.0 + beyond), snaps).unwrap(),
            None => osd::SnapContext::all_removed(SnapId(beyond)).unwrap(),
        }
    })
}

fn locator() -> impl Strategy<Value = osd::ObjectLocator> {
    let placement = prop_oneof![
        Just(osd::Placement::Name),
        vec(any::<u8>(), 1..9).prop_map(osd::Placement::Key),
        any::<u32>().prop_map(osd::Placement::Hash),
    ];
    (any::<i64>(), bytes(), placement).prop_map(|(pool, namespace, placement)| osd::ObjectLocator {
        pool: PoolId(pool),
        namespace,
        placement,
    })
}

fn hobject() -> impl Strategy<Value = osd::Hobject> {
    let object = (locator(), vec(any::<u8>(), 1..9), any::<u32>(), any::<u64>()).prop_map(
        |(locator, name, hash, snap)| {
            osd::Hobject::Object(osd::HashedObject::head(&locator, &name, hash).at(SnapId(snap)))
        },
    );
    prop_oneof![8 => object, 1 => Just(osd::Hobject::Max), 1 => Just(osd::Hobject::MIN)]
}

fn extent() -> impl Strategy<Value = osd::Extent> {
    (any::<u64>(), any::<u64>()).prop_map(|(offset, length)| osd::Extent { offset, length })
}

fn names() -> impl Strategy<Value = Vec<osd::Bytes<'static>>> {
    vec(bytes().prop_map(Cow::Owned), 0..4)
}

fn name() -> impl Strategy<Value = osd::Bytes<'static>> {
    bytes().prop_map(Cow::Owned)
}

fn comparison() -> impl Strategy<Value = osd::Comparison> {
    use osd::Comparison::{Eq, Gt, Gte, Lt, Lte, Ne};
    proptest::sample::select(vec![Eq, Ne, Gt, Gte, Lt, Lte])
}

/// Operations whose data is somewhere in [`DATA`].
type AnyOp = OsdOp<'static, &'static [u8]>;

const DATA: &[u8] = b"a few bytes that are written, compared, called with and notified of";

fn slice() -> impl Strategy<Value = &'static [u8]> {
    (0..DATA.len(), 0..DATA.len()).prop_map(|(one, other)| &DATA[one.min(other)..one.max(other)])
}

fn reading_op() -> impl Strategy<Value = AnyOp> {
    let seed = prop_oneof![
        any::<u32>().prop_map(osd::ChecksumSeed::Xxhash32),
        any::<u64>().prop_map(osd::ChecksumSeed::Xxhash64),
        any::<u32>().prop_map(osd::ChecksumSeed::Crc32c),
    ];
    let operand = prop_oneof![
        slice().prop_map(osd::XattrOperand::Bytes),
        any::<u64>().prop_map(osd::XattrOperand::Number)
    ];
    let assertion = (name(), name(), comparison()).prop_map(|(key, value, comparison)| osd::OmapAssertion {
        key,
        value,
        comparison,
    });
    prop_oneof![
        extent().prop_map(OsdOp::Read),
        extent().prop_map(OsdOp::SparseRead),
        proptest::sample::select(vec![
            OsdOp::Stat,
            OsdOp::ListWatchers,
            OsdOp::ListSnaps,
            OsdOp::OmapGetHeader,
            OsdOp::GetXattrs
        ]),
        (any::<u64>(), slice()).prop_map(|(offset, data)| OsdOp::CmpExt { offset, data }),
        (seed, extent(), any::<u32>()).prop_map(|(seed, extent, chunk_bytes)| OsdOp::Checksum {
            seed,
            extent,
            chunk_bytes
        }),
        any::<u64>().prop_map(OsdOp::AssertVersion),
        (any::<u64>(), any::<u32>(), slice()).prop_map(|(cookie, timeout_s, payload)| OsdOp::Notify {
            cookie,
            timeout_s,
            payload
        }),
        (any::<u64>(), any::<u64>(), slice()).prop_map(|(notify_id, cookie, reply)| OsdOp::NotifyAck {
            notify_id,
            cookie,
            reply
        }),
        (name(), any::<u64>()).prop_map(|(after, max)| OsdOp::OmapGetKeys { after, max }),
        (name(), any::<u64>(), name()).prop_map(|(after, max, prefix)| OsdOp::OmapGetVals {
            after,
            max,
            prefix
        }),
        names().prop_map(OsdOp::OmapGetValsByKeys),
        vec(assertion, 0..3).prop_map(OsdOp::OmapCmp),
        name().prop_map(OsdOp::GetXattr),
        (name(), comparison(), operand).prop_map(|(name, comparison, operand)| OsdOp::CmpXattr {
            name,
            comparison,
            operand
        }),
        (text(), text(), slice()).prop_map(|(class, method, input)| OsdOp::Call {
            class: class.into(),
            method: method.into(),
            input
        }),
        (hobject(), any::<u64>(), epoch()).prop_map(|(cursor, max, epoch)| OsdOp::PgNls {
            cursor,
            max,
            epoch
        }),
    ]
}

fn writing_op() -> impl Strategy<Value = AnyOp> {
    use osd::WatchAction::{Ping, Reconnect, Unwatch, Watch};
    let watch = (
        any::<u64>(),
        proptest::sample::select(vec![Ping, Reconnect, Unwatch, Watch]),
        any::<u32>(),
        any::<u32>(),
    );
    prop_oneof![
        (any::<u64>(), slice()).prop_map(|(offset, data)| OsdOp::Write { offset, data }),
        slice().prop_map(OsdOp::WriteFull),
        slice().prop_map(OsdOp::Append),
        (extent(), slice()).prop_map(|(extent, pattern)| OsdOp::WriteSame { extent, pattern }),
        any::<u64>().prop_map(OsdOp::Truncate),
        extent().prop_map(OsdOp::Zero),
        proptest::sample::select(vec![OsdOp::Delete, OsdOp::Create, OsdOp::OmapClear]),
        any::<u64>().prop_map(|snap| OsdOp::Rollback(SnapId(snap))),
        watch.prop_map(|(cookie, action, generation, timeout_s)| OsdOp::Watch {
            cookie,
            action,
            generation,
            timeout_s
        }),
        vec((name(), name()), 0..4).prop_map(OsdOp::OmapSetVals),
        slice().prop_map(OsdOp::OmapSetHeader),
        names().prop_map(OsdOp::OmapRmKeys),
        (name(), name()).prop_map(|(begin, end)| OsdOp::OmapRmKeyRange { begin, end }),
        (any::<u64>(), any::<u64>(), any::<u32>()).prop_map(|(object_bytes, write_bytes, hints)| {
            OsdOp::SetAllocHint { object_bytes, write_bytes, hints: osd::AllocHints(hints) }
        }),
        (name(), slice()).prop_map(|(name, value)| OsdOp::SetXattr { name, value }),
        name().prop_map(OsdOp::RmXattr),
    ]
}

type AnyEntry = osd::OpEntry<'static, &'static [u8]>;

/// A list that reads, or one that writes and may read.
fn ops() -> impl Strategy<Value = (bool, Vec<AnyEntry>)> {
    fn entries(op: impl Strategy<Value = AnyOp>) -> impl Strategy<Value = Vec<AnyEntry>> {
        vec((op, any::<u32>()).prop_map(|(op, flags)| op.with(osd::OpFlags::from_bits(flags))), 0..5)
    }
    prop_oneof![
        entries(reading_op()).prop_map(|ops| (false, ops)),
        entries(prop_oneof![reading_op(), writing_op()]).prop_map(|ops| (true, ops)),
    ]
}

fn sending() -> impl Strategy<Value = osd::Sending> {
    // READ and WRITE follow from the access.
    let flags = any::<u32>().prop_map(|bits| osd::OsdFlags::from_bits(bits & !0x30));
    (spg(), epoch(), flags, 0..i32::MAX).prop_map(|(spg, epoch, flags, attempt)| osd::Sending {
        spg,
        epoch,
        flags,
        attempt,
    })
}

/// The data segment of a list.
fn data(ops: &[AnyEntry]) -> Vec<u8> {
    let mut data = Vec::new();
    for entry in ops {
        let before = data.len();
        entry.op.encode_prefix(&mut Encoder::new(&mut data));
        assert_eq!(data.len() - before, entry.op.prefix_len());
        data.extend_from_slice(entry.op.data().copied().unwrap_or_default());
        assert_eq!(data.len() - before, entry.op.payload_len() as usize);
    }
    data
}

proptest! {
    #[test]
    fn a_request_comes_back(
        (writes, ops) in ops(),
        sendings in vec(sending(), 2),
        locator in locator(),
        name in bytes(),
        (hash, features, snap) in (any::<u32>(), any::<u64>(), any::<u64>()),
        (snapc, mtime) in (snap_context(), utime()),
    ) {
        let access = if writes {
            osd::Access::Write { snapc: &snapc, mtime }
        } else {
            osd::Access::Read { snap: SnapId(snap) }
        };
        let request = osd::OpRequest { locator: &locator, name: &name, hash, access, ops: &ops, features };
        let data = data(&ops);
        let versions = osd::OSD_OP.front_version();
        let mut front = osd::OsdOpFront::new(&request, &sendings[0], Vec::new());
        for sending in &sendings {
            front.stamp(sending);
            let read = osd::MOsdOp::decode(versions, front.bytes(), &data).unwrap();
            prop_assert_eq!(read.request(), request.clone());
            let retry = if sending.attempt > 0 { osd::OsdFlags::RETRY } else { osd::OsdFlags::NONE };
            let flags = sending.flags | osd::OsdFlags::ALWAYS | request.access.flag() | retry;
            prop_assert_eq!(read.sending, osd::Sending { flags, ..*sending });
            // Stamping leaves nothing behind of what was there.
            let anew = osd::OsdOpFront::new(&request, sending, vec![7; 3]);
            prop_assert_eq!(anew.bytes(), front.bytes());
        }
    }

    #[test]
    fn an_answer_comes_back(
        name in bytes(),
        (pg, flags, result, epoch, attempt) in (pg(), any::<u32>(), any::<i32>(), epoch(), any::<i32>()),
        (version, user_version, version_epoch) in (any::<u64>(), any::<u64>(), epoch()),
        redirect in proptest::option::of((locator(), bytes())),
        ops in vec((any::<u16>(), any::<i32>(), 0..5000_u32), 0..6),
        missing in 0..2_usize,
    ) {
        let redirect = redirect.map(|(locator, name)| osd::Redirect { locator, name });
        let returns: Vec<_> = ops
            .iter()
            .map(|&(number, rval, output_len)| {
                osd::OpReturn { opcode: osd::Opcode::from_number(number), rval, output_len }
            })
            .collect();
        let answer = osd::OsdOpAnswer {
            name: &name,
            pg,
            flags: osd::OsdFlags::from_bits(flags),
            result,
            epoch,
            attempt,
            version: Eversion { epoch: version_epoch, version },
            user_version,
            redirect: redirect.as_ref(),
            ops: &returns,
        };
        let front = Encoder::to_vec(|e| answer.encode(e));
        let data_len = returns.iter().map(|op| op.output_len as usize).sum::<usize>();
        let versions = osd::OSD_OP_REPLY.front_version();
        if missing > 0 && data_len > 0 {
            prop_assert!(osd::MOsdOpReply::decode(versions, &front, data_len - missing).is_err());
        }
        let read = osd::MOsdOpReply::decode(versions, &front, data_len).unwrap();
        prop_assert_eq!(read.len(), returns.len());
        let mut end = 0;
        for (read, given) in read.ops().zip(&returns) {
            prop_assert_eq!((read.opcode, read.rval), (given.opcode, given.rval));
            prop_assert_eq!((read.output.start, read.output.len()), (end, given.output_len as usize));
            end = read.output.end;
        }
        prop_assert_eq!(end, data_len);
        let again = osd::OsdOpAnswer {
            name: read.name,
            pg: read.pg,
            flags: read.flags,
            result: read.result,
            epoch: read.epoch,
            attempt: read.attempt,
            version: read.version,
            user_version: read.user_version,
            redirect: read.redirect.as_ref(),
            ops: &returns,
        };
        prop_assert_eq!(again, answer);
    }

    #[test]
    fn backoffs_and_notifications_come_back(
        (spg, epoch, id, begin, end) in (spg(), epoch(), any::<u64>(), hobject(), hobject()),
        step in proptest::sample::select(vec![
            osd::BackoffStep::Block, osd::BackoffStep::AckBlock, osd::BackoffStep::Unblock,
        ]),
        event in proptest::sample::select(vec![
            osd::WatchEvent::Notify, osd::WatchEvent::NotifyComplete, osd::WatchEvent::Disconnect,
        ]),
        (cookie, object_version, notify_id) in (any::<u64>(), any::<u64>(), any::<u64>()),
        (payload, return_code, notifier) in (bytes(), any::<i32>(), any::<u64>()),
        acks in vec(((any::<u64>(), any::<u64>()), bytes()), 0..3),
        timeouts in vec((any::<u64>(), any::<u64>()), 0..3),
    ) {
        let mut front = Vec::new();
        let range = osd::HobjectRange { begin, end };
        comes_back(&osd::MOsdBackoff { spg, epoch, step, id, range }, &mut front);
        let notifier = GlobalId(notifier);
        let notify =
            osd::MWatchNotify { event, cookie, object_version, notify_id, payload: &payload, return_code, notifier };
        let mut front = Vec::new();
        comes_back(&notify, &mut front);
        let watcher = |(client, cookie)| osd::Watcher { client: GlobalId(client), cookie };
        let acks = acks.iter().map(|(who, reply)| (watcher(*who), &reply[..])).collect();
        let responses = osd::NotifyResponses { acks, timeouts: timeouts.into_iter().map(watcher).collect() };
        let data = Encoder::to_vec(|e| responses.encode(e));
        prop_assert_eq!(osd::NotifyResponses::decode(&data), Ok(responses));
    }

    #[test]
    fn outputs_come_back(
        (size, mtime) in (any::<u64>(), utime()),
        gaps in vec((0..100_u64, 0..5_u64), 0..5),
        entries in vec((bytes(), bytes()), 0..4),
        more in any::<bool>(),
        watchers in vec((any::<u8>(), any::<i64>(), any::<u64>(), any::<u32>(), addr()), 0..3),
        clones in vec((any::<u64>(), vec(any::<u64>(), 0..3), vec(extent(), 0..3), any::<u64>()), 0..3),
        (cursor, seq) in (hobject(), any::<u64>()),
        sums in vec(any::<u64>(), 0..4),
    ) {
        let stat = osd::Stat { size, mtime };
        prop_assert_eq!(osd::Stat::decode(&Encoder::to_vec(|e| stat.encode(e))), Ok(stat));

        let mut offset = 0;
        let mut extents = Vec::new();
        for (gap, length) in gaps {
            extents.push(osd::Extent { offset: offset + gap, length });
            offset += gap + length;
        }
        let total = extents.iter().map(|extent| extent.length as usize).sum();
        let sparse = osd::SparseData { extents, data: &DATA[..total] };
        prop_assert_eq!(sparse.pieces().map(|(_, piece)| piece).collect::<Vec<_>>().concat(), sparse.data);
        let bytes = Encoder::to_vec(|e| sparse.encode(e));
        prop_assert_eq!(osd::SparseData::decode(&bytes), Ok(sparse));

        let entries: Vec<_> = entries.iter().map(|(key, value)| (&key[..], &value[..])).collect();
        let bytes = Encoder::to_vec(|e| osd::encode_entries(e, &entries));
        prop_assert_eq!(osd::decode_omap_entries(&bytes), Ok(entries.clone()));
        let keys = osd::OmapKeys { keys: entries.iter().map(|entry| entry.0).collect(), more };
        let bytes = Encoder::to_vec(|e| keys.encode(e));
        prop_assert_eq!(osd::OmapKeys::decode(&bytes), Ok(keys));
        let objects = entries
            .iter()
            .map(|(name, key)| osd::ListedObject { namespace: b"ns", name, key })
            .collect();
        let listed = osd::ListedObjects { cursor, objects };
        let bytes = Encoder::to_vec(|e| listed.encode(e));
        prop_assert_eq!(osd::ListedObjects::decode(&bytes), Ok(listed));
        let vals = osd::OmapVals { entries, more };
        let bytes = Encoder::to_vec(|e| vals.encode(e));
        prop_assert_eq!(osd::OmapVals::decode(&bytes), Ok(vals));

        let item = |(kind, num, cookie, timeout_s, addr)| {
            osd::WatchItem { name: EntityName { kind, num }, cookie, timeout_s, addr }
        };
        let watchers = osd::Watchers(watchers.into_iter().map(item).collect());
        prop_assert_eq!(osd::Watchers::decode(&Encoder::to_vec(|e| watchers.encode(e))), Ok(watchers));

        let clone = |(id, snaps, overlap, size): (u64, Vec<u64>, _, _)| {
            osd::CloneInfo { id: SnapId(id), snaps: snaps.into_iter().map(SnapId).collect(), overlap, size }
        };
        let set = osd::SnapSet { clones: clones.into_iter().map(clone).collect(), seq: SnapId(seq) };
        prop_assert_eq!(osd::SnapSet::decode(&Encoder::to_vec(|e| set.encode(e))), Ok(set));

        let sums = osd::Checksums::Bits64(sums);
        let bytes = Encoder::to_vec(|e| sums.encode(e));
        prop_assert_eq!(osd::Checksums::decode(osd::ChecksumSeed::Xxhash64(0), &bytes), Ok(sums));
    }

    #[test]
    fn messages_of_monitors_come_back(
        (fsid, epoch, other_epoch) in (fsid(), epoch(), epoch()),
        (created, last_changed) in (utime(), utime()),
        mons in vec((text(), vec(addr(), 0..3), any::<u16>(), any::<u16>(), vec((text(), text()), 0..2)), 0..3),
        (number, other, min_mon_release) in (any::<u64>(), any::<u64>(), any::<u8>()),
        (result, words) in (any::<i32>(), vec(text(), 4)),
        pairs in vec((text(), text()), 0..3),
        (payload, blobs) in (bytes(), vec((epoch(), bytes()), 0..4)),
        (pool, snap, one_time) in (0..i64::from(u32::MAX), any::<u64>(), any::<bool>()),
    ) {
        let mons: Vec<_> = mons
            .into_iter()
            .map(|(name, addrs, priority, weight, crush_location)| {
                let addrs = EntityAddrVec(addrs);
                mon::MonInfo { name, addrs, priority, weight, crush_location }
            })
            .collect();
        let map = mon::MonMap {
            fsid,
            epoch,
            last_changed,
            created,
            persistent_features: number,
            optional_features: other,
            ranks: mons.iter().map(|mon| mon.name.clone()).collect(),
            mons,
            min_mon_release,
        };
        comes_back(&mon::MMonMap(map), &mut Vec::new());
        comes_back(&mon::MMonGetMap, &mut Vec::new());
        comes_back(&mon::MPing, &mut Vec::new());
        let what = words.iter().map(|what| mon::Subscription { what: what.into(), start: number, one_time });
        let hostname = Cow::from(&words[0]);
        comes_back(&mon::MMonSubscribe { what: what.collect(), hostname }, &mut Vec::new());
        comes_back(&mon::MConfig { options: pairs }, &mut Vec::new());
        let blobs: Vec<_> = blobs.iter().map(|(epoch, blob)| (*epoch, &blob[..])).collect();
        let (incrementals, fulls) = (blobs.clone(), blobs);
        let maps = mon::MOsdMap { fsid, incrementals, fulls, oldest: epoch, newest: other_epoch };
        comes_back(&maps, &mut Vec::new());
        comes_back(&mon::MMonCommand { fsid, command: Cow::from(&words[1]) }, &mut Vec::new());
        let (status, command) = (Cow::from(&words[1]), Cow::from(&words[2]));
        comes_back(&mon::MMonCommandAck { version: number, result, status, command }, &mut Vec::new());
        comes_back(&mon::MMonGetVersion { handle: number, what: Cow::from(&words[3]) }, &mut Vec::new());
        let version = mon::MMonGetVersionReply { handle: number, version: other, oldest: snap };
        comes_back(&version, &mut Vec::new());
        for change in [
            PoolChange::CreateSnap(Cow::from(&words[0])),
            PoolChange::DeleteSnap(Cow::from(&words[1])),
            PoolChange::CreateUnmanagedSnap,
            PoolChange::DeleteUnmanagedSnap(SnapId(snap)),
        ] {
            comes_back(&mon::MPoolOp { seen: epoch, fsid, pool: PoolId(pool), change }, &mut Vec::new());
        }
        let data = one_time.then_some(&payload[..]);
        comes_back(&mon::MPoolOpReply { version: number, fsid, result, epoch, data }, &mut Vec::new());
        comes_back(&mon::MAuth { protocol: 2, payload: &payload, monmap_epoch: epoch }, &mut Vec::new());
        let (global_id, message) = (GlobalId(number), words[0].as_bytes());
        let auth = mon::MAuthReply { protocol: 2, result, global_id, payload: &payload, message };
        comes_back(&auth, &mut Vec::new());
        comes_back(&mon::MStatfs { seen: number, fsid, pool: one_time.then_some(PoolId(pool)) }, &mut Vec::new());
        let (total_kib, used_kib, free_kib, objects) = (number, other, snap, number);
        let space = mon::MStatfsReply { fsid, version: other, total_kib, used_kib, free_kib, objects };
        comes_back(&space, &mut Vec::new());
    }
}

#[test]
#[should_panic(expected = "an operation that writes is in a list that reads")]
fn a_write_cannot_be_sent_without_its_snapshots() {
    let locator = osd::ObjectLocator::pool(PoolId(1));
    let ops = [OsdOp::Write { offset: 0, data: DATA }.into()];
    let access = osd::Access::READ_HEAD;
    let request = osd::OpRequest { locator: &locator, name: b"foo", hash: 0, access, ops: &ops, features: 0 };
    let spg = SpgId::replicated(PgId { pool: PoolId(1), seed: 0 });
    let sending = osd::Sending { spg, epoch: Epoch(1), flags: osd::OsdFlags::NONE, attempt: 0 };
    osd::OsdOpFront::new(&request, &sending, Vec::new());
}

#[test]
fn a_newer_front_is_read_and_one_for_newer_readers_is_refused() {
    let mut front = mon::MConfig::default().to_front();
    front.extend_from_slice(b"something that a later release put behind");
    let newer = FrontVersion { version: 9, compat: 1 };
    assert_eq!(mon::MConfig::decode(newer, &front), Ok(mon::MConfig::default()));
    let error = mon::MConfig::decode(FrontVersion { version: 9, compat: 2 }, &front).unwrap_err();
    assert!(error.to_string().contains("needs a reader of version 2"), "{error}");
    let older = FrontVersion { version: 0, compat: 0 };
    assert!(mon::MConfig::decode(older, &front).is_err());
}

#[test]
fn sparse_data_that_does_not_add_up_is_refused() {
    for (extents, bytes) in [
        (&[(0, 4), (2, 4)][..], 8),
        (&[(4, 4), (0, 4)], 8),
        (&[(0, 4)], 3),
        (&[(0, 4)], 5),
        (&[(u64::MAX, 4)], 4),
        (&[(0, u64::MAX), (u64::MAX, 0)], 4),
    ] {
        let extents = extents.iter().map(|&(offset, length)| osd::Extent { offset, length }).collect();
        let sparse = osd::SparseData { extents, data: &DATA[..bytes] };
        let output = Encoder::to_vec(|e| sparse.encode(e));
        assert!(osd::SparseData::decode(&output).is_err(), "{sparse:?}");
    }
}
