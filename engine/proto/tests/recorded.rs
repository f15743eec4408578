//! Messages that a librados client and the daemons of a 16.2.15 cluster sent each other, decoded and encoded again.
//!
//! `golden/messages.json` has them in the order of the conversation, an answer behind its request.

#![allow(clippy::unwrap_used)]

use ringbd_proto::codec::{DecodeError, Encoder};
use ringbd_proto::message::{Front, FrontVersion};
use ringbd_proto::mon;
use ringbd_proto::osd;
use ringbd_proto::types::{Errno, SnapId};
use serde_json::Value;

/// A recorded message.
struct Recorded {
    number: u16,
    versions: FrontVersion,
    priority: u16,
    tid: u64,
    front: Vec<u8>,
    data: Vec<u8>,
}

fn recorded() -> Vec<Recorded> {
    let messages: Value = serde_json::from_str(include_str!("golden/messages.json")).unwrap();
    let messages = messages.as_array().unwrap();
    messages
        .iter()
        .map(|message| {
            let number = |field: &str| message[field].as_u64().unwrap();
            let short = |field: &str| u16::try_from(number(field)).unwrap();
            let bytes = |field: &str| hex(message[field].as_str().unwrap());
            Recorded {
                number: short("number"),
                versions: FrontVersion { version: short("version"), compat: short("compat") },
                priority: short("priority"),
                tid: number("tid"),
                front: bytes("front"),
                data: bytes("data"),
            }
        })
        .collect()
}

fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks_exact(2);
    digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// Decodes a front and encodes it again.
fn again<'a, F: Front<'a>>(message: &'a Recorded) -> Result<Vec<u8>, DecodeError> {
    assert_eq!(message.versions, F::KIND.front_version(), "message {}", message.number);
    F::decode(message.versions, &message.front).map(|front| front.to_front())
}

#[test]
fn every_message_comes_back_to_the_byte() {
    for message in recorded() {
        let again = match message.number {
            2 => again::<mon::MPing>(&message),
            4 => again::<mon::MMonMap>(&message),
            5 => again::<mon::MMonGetMap>(&message),
            13 => again::<mon::MStatfs>(&message),
            14 => again::<mon::MStatfsReply>(&message),
            15 => again::<mon::MMonSubscribe<'_>>(&message),
            19 => again::<mon::MMonGetVersion<'_>>(&message),
            20 => again::<mon::MMonGetVersionReply>(&message),
            41 => again::<mon::MOsdMap<'_>>(&message),
            42 => Ok(request_again(&message)),
            43 => Ok(reply_again(&message)),
            44 => again::<osd::MWatchNotify<'_>>(&message),
            48 => again::<mon::MPoolOpReply<'_>>(&message),
            49 => again::<mon::MPoolOp<'_>>(&message),
            50 => again::<mon::MMonCommand<'_>>(&message),
            51 => again::<mon::MMonCommandAck<'_>>(&message),
            61 => again::<osd::MOsdBackoff>(&message),
            62 => again::<mon::MConfig>(&message),
            number => panic!("message {number} is not expected in the recording"),
        };
        let mut expected = message.front.clone();
        if message.number == 43 {
            blank_arguments(&mut expected);
        }
        assert_eq!(again.as_deref(), Ok(&expected[..]), "message {}", message.number);
    }
}

/// Decodes a request and encodes it again, front and data.
fn request_again(message: &Recorded) -> Vec<u8> {
    assert_eq!(message.versions, osd::OSD_OP.front_version());
    assert_eq!(message.priority, osd::OSD_OP_PRIORITY);
    let read = osd::MOsdOp::decode(message.versions, &message.front, &message.data).unwrap();
    let mut data = Vec::new();
    for entry in &read.ops {
        entry.op.encode_prefix(&mut Encoder::new(&mut data));
        data.extend_from_slice(entry.op.data().copied().unwrap_or_default());
    }
    assert_eq!(data, message.data);
    osd::OsdOpFront::new(&read.request(), &read.sending, Vec::new()).into_bytes()
}

/// Blanks the flags and arguments of the operations in an answer, which nobody reads.
fn blank_arguments(front: &mut [u8]) {
    let name_len = usize::from(front[0]);
    // Name, placement group, flags, result, a version, an epoch; then the count.
    let at = 4 + name_len + 17 + 8 + 4 + 12 + 4;
    let count = usize::from(front[at]);
    for op in front[at + 4..][..count * 38].chunks_exact_mut(38) {
        op[2..34].fill(0);
    }
}

/// Decodes an answer and encodes it again.
fn reply_again(message: &Recorded) -> Vec<u8> {
    assert_eq!(message.versions, osd::OSD_OP_REPLY.front_version());
    let read = osd::MOsdOpReply::decode(message.versions, &message.front, message.data.len()).unwrap();
    let ops: Vec<_> = read
        .ops()
        .map(|op| osd::OpReturn {
            opcode: op.opcode,
            rval: op.rval,
            output_len: u32::try_from(op.output.len()).unwrap(),
        })
        .collect();
    assert_eq!(read.ops().last().map_or(0, |op| op.output.end), message.data.len());
    let answer = osd::OsdOpAnswer {
        name: read.name,
        pg: read.pg,
        flags: read.flags,
        result: read.result,
        epoch: read.epoch,
        attempt: read.attempt,
        version: read.version,
        user_version: read.user_version,
        redirect: read.redirect.as_ref(),
        ops: &ops,
    };
    Encoder::to_vec(|e| answer.encode(e))
}

/// A request with its answer: what was asked for, and each operation's result and output.
struct Exchange<'a> {
    request: osd::MOsdOp<'a>,
    reply: osd::MOsdOpReply<'a>,
    data: &'a [u8],
}

impl<'a> Exchange<'a> {
    /// The only operation's result and output.
    fn only(&self) -> (i32, &'a [u8]) {
        assert_eq!(self.reply.len(), 1);
        let op = self.reply.ops().next().unwrap();
        (op.rval, &self.data[op.output])
    }
}

/// Requests with the answers that follow them.
fn exchanges(messages: &[Recorded]) -> Vec<Exchange<'_>> {
    let pairs = messages.windows(2).filter(|pair| pair[0].number == 42 && pair[1].number == 43);
    pairs
        .map(|pair| {
            let (asked, answered) = (&pair[0], &pair[1]);
            assert_eq!(asked.tid, answered.tid);
            let request = osd::MOsdOp::decode(asked.versions, &asked.front, &asked.data).unwrap();
            let data = &answered.data[..];
            let reply = osd::MOsdOpReply::decode(answered.versions, &answered.front, data.len()).unwrap();
            Exchange { request, reply, data }
        })
        .collect()
}

#[test]
fn answers_fit_their_requests() {
    let messages = recorded();
    let exchanges = exchanges(&messages);
    assert!(exchanges.len() > 60);
    for Exchange { request, reply, .. } in &exchanges {
        assert_eq!(reply.name, request.name);
        assert_eq!(reply.pg, request.sending.spg.pg);
        assert_eq!(reply.attempt, request.sending.attempt);
        assert!(reply.epoch >= request.sending.epoch && reply.redirect.is_none());
        let asked = request.ops.iter().map(|entry| entry.op.opcode());
        assert!(asked.eq(reply.ops().map(|op| op.opcode)));
    }
}

#[test]
fn outputs_come_back_to_the_byte() {
    use osd::OsdOp;
    let messages = recorded();
    let mut seen = std::collections::BTreeMap::new();
    for Exchange { request, reply, data } in exchanges(&messages) {
        for (entry, outcome) in request.ops.iter().zip(reply.ops()) {
            let output = &data[outcome.output];
            if output.is_empty() {
                continue;
            }
            let again = Encoder::to_vec(|e| match &entry.op {
                OsdOp::Stat => osd::Stat::decode(output).unwrap().encode(e),
                OsdOp::SparseRead(_) => osd::SparseData::decode(output).unwrap().encode(e),
                OsdOp::OmapGetVals { .. } => osd::OmapVals::decode(output).unwrap().encode(e),
                OsdOp::OmapGetKeys { .. } => osd::OmapKeys::decode(output).unwrap().encode(e),
                OsdOp::OmapGetValsByKeys(_) | OsdOp::GetXattrs => {
                    osd::encode_entries(e, &osd::decode_omap_entries(output).unwrap());
                }
                OsdOp::ListWatchers => osd::Watchers::decode(output).unwrap().encode(e),
                OsdOp::ListSnaps => osd::SnapSet::decode(output).unwrap().encode(e),
                OsdOp::PgNls { .. } => osd::ListedObjects::decode(output).unwrap().encode(e),
                OsdOp::Checksum { seed, .. } => osd::Checksums::decode(*seed, output).unwrap().encode(e),
                OsdOp::Notify { .. } => {
                    e.u64(osd::decode_notify_id(output).unwrap());
                }
                OsdOp::Read(_) | OsdOp::GetXattr(_) | OsdOp::Call { .. } | OsdOp::OmapGetHeader => {
                    e.bytes(output);
                }
                other => panic!("{other:?} returned {} bytes", output.len()),
            });
            assert_eq!(again, output, "{:?}", entry.op);
            *seen.entry(entry.op.opcode().number()).or_insert(0) += 1;
        }
    }
    assert_eq!(seen.len(), 15, "every kind of output is in the recording: {seen:x?}");
}

/// The exchanges whose first operation is of this kind.
fn of<'m, 'a>(exchanges: &'m [Exchange<'a>], opcode: osd::Opcode) -> Vec<&'m Exchange<'a>> {
    exchanges.iter().filter(|exchange| exchange.request.ops[0].op.opcode() == opcode).collect()
}

#[test]
fn the_recording_says_what_was_done() {
    let messages = recorded();
    let exchanges = exchanges(&messages);
    let of = |opcode| of(&exchanges, opcode);

    // `hello` was compared with the object's first bytes, then `0123X` where `0123456789` had been written.
    let mismatches: Vec<_> =
        of(osd::Opcode::CMPEXT).iter().map(|exchange| osd::cmpext_mismatch(exchange.reply.result)).collect();
    assert_eq!(mismatches, [None, Some(3), Some(4)]);

    let stats = of(osd::Opcode::STAT);
    let stat = stats.iter().find(|x| x.reply.len() == 1 && x.reply.result == 0).unwrap();
    let stat = osd::Stat::decode(stat.only().1).unwrap();
    assert_eq!(stat.size, 8198);

    let rollback = of(osd::Opcode::ROLLBACK)[0];
    let osd::Access::Write { snapc, .. } = &rollback.request.access else { panic!("a rollback writes") };
    assert_eq!((snapc.seq(), snapc.snaps()), (SnapId(3), &[SnapId(3), SnapId(2)][..]));

    // The object was written, snapshots 2 and 3 were taken with a write behind each, and it was rolled back to 2.
    let clones = of(osd::Opcode::LIST_SNAPS)[0];
    assert_eq!(clones.request.access, osd::Access::Read { snap: SnapId::DIR });
    let set = osd::SnapSet::decode(clones.only().1).unwrap();
    let ids: Vec<_> = set.clones.iter().map(|clone| (clone.id, &clone.snaps[..], clone.size)).collect();
    assert_eq!(ids, [(SnapId(2), &[SnapId(2)][..], 8192), (SnapId::HEAD, &[][..], 8192)]);
    assert_eq!(set.seq, SnapId(3));

    let watchers = osd::Watchers::decode(of(osd::Opcode::LIST_WATCHERS)[1].only().1).unwrap();
    assert_eq!(watchers.0.len(), 1);
    assert_eq!(watchers.0[0].name.to_string(), "client.4228");
    assert_eq!(watchers.0[0].addr.to_string(), "127.0.0.1:0/3218314907");

    let checksums = of(osd::Opcode::CHECKSUM)[0].only().1;
    let seed = osd::ChecksumSeed::Crc32c(u32::MAX);
    let sums = osd::Checksums::Bits32(vec![0x5a0f_67d8, 0xd7e2_e0dd]);
    assert_eq!(osd::Checksums::decode(seed, checksums), Ok(sums));

    let sparse = osd::SparseData::decode(of(osd::Opcode::SPARSE_READ)[0].only().1).unwrap();
    assert_eq!(sparse.extents.len(), 4);
    assert!(sparse.pieces().all(|(_, piece)| piece.len() == 512));

    // A comparison that holds returns 1; one that does not fails the list.
    let compared: Vec<_> = of(osd::Opcode::OMAP_CMP)
        .iter()
        .map(|x| (x.reply.outcome(), x.reply.ops().map(|op| op.rval).collect::<Vec<_>>()))
        .collect();
    assert_eq!(compared, [(Ok(0), vec![0, 1, 0]), (Err(Errno::ECANCELED), vec![-125, 0])]);
}

#[test]
fn a_pool_is_listed_in_the_order_of_its_objects() {
    let messages = recorded();
    let exchanges = exchanges(&messages);
    let mut cursors = Vec::new();
    let mut names = Vec::new();
    for exchange in of(&exchanges, osd::Opcode::PGNLS) {
        let osd::OsdOp::PgNls { cursor, .. } = &exchange.request.ops[0].op else { panic!("it is a listing") };
        // The end of a placement group is the result of the list, not of the operation.
        assert_eq!((exchange.reply.result, exchange.only().0), (1, 0));
        let listed = osd::ListedObjects::decode(exchange.only().1).unwrap();
        assert!(*cursor < listed.cursor);
        cursors.push(cursor.hash().unwrap());
        names.extend(listed.objects.iter().map(|object| String::from_utf8_lossy(object.name).into_owned()));
    }
    // Of the first listing, of one namespace, two pages were not kept because they are like others; of the second, of all
    // namespaces, the rest.
    assert_eq!(cursors, [0, 4, 6, 5, 3, 7, 0, 4, 6, 5]);
    assert_eq!(names, ["nsobj", "snapobj", "nsobj", "ops"]);
}

#[test]
fn a_backoff_is_acknowledged_and_ends() {
    let messages = recorded();
    let of = messages.iter().filter(|message| message.number == 61);
    let steps: Vec<_> = of.map(|m| osd::MOsdBackoff::decode(m.versions, &m.front).unwrap()).collect();
    let find = |step| steps.iter().find(|backoff| backoff.step == step).unwrap();
    let block = find(osd::BackoffStep::Block);
    assert_eq!(block.ack(), *find(osd::BackoffStep::AckBlock));
    assert_eq!(find(osd::BackoffStep::Unblock).id, block.id);
    let range = (block.range.begin.to_string(), block.range.end.to_string());
    assert_eq!(range, ("2:40000000::::0".to_owned(), "2:80000000::::head".to_owned()));

    let name = b"held";
    let resent = exchanges(&messages).into_iter().find(|x| x.request.sending.attempt == 1).unwrap();
    assert_eq!(resent.request.name, name);
    assert!(resent.request.sending.flags.contains(osd::OsdFlags::RETRY));
    let head = osd::HashedObject::head(&resent.request.locator, name, resent.request.hash);
    assert!(block.range.contains(&osd::Hobject::Object(head)));
}

#[test]
fn a_notification_collects_answers_and_silence() {
    let messages = recorded();
    let notified: Vec<_> = messages
        .iter()
        .filter(|message| message.number == 44)
        .map(|m| {
            let notify = osd::MWatchNotify::decode(m.versions, &m.front).unwrap();
            (notify, osd::NotifyResponses::decode(&m.data).unwrap())
        })
        .collect();
    let events: Vec<_> = notified.iter().map(|(notify, _)| (notify.event, notify.payload)).collect();
    let complete = (osd::WatchEvent::NotifyComplete, &b""[..]);
    assert_eq!(
        events,
        [(osd::WatchEvent::Notify, &b"hey"[..]), complete, (osd::WatchEvent::Notify, b"silent"), complete]
    );
    let (answered, silent) = (&notified[1], &notified[3]);
    let watcher = osd::Watcher { client: answered.0.notifier, cookie: notified[0].0.cookie };
    assert_eq!(answered.0.outcome(), Ok(0));
    assert_eq!(answered.1.acks.len(), 1);
    assert_eq!(answered.1.acks[0].1, b"ack!");
    assert_eq!(answered.1.acks[0].0.cookie, watcher.cookie);
    assert_eq!(silent.0.outcome(), Err(Errno::ETIMEDOUT));
    assert_eq!(silent.1.timeouts.len(), 1);
    for (_, responses) in &notified {
        let mut bytes = Encoder::to_vec(|e| responses.encode(e));
        if responses.acks.is_empty() && responses.timeouts.is_empty() {
            bytes.clear();
        }
        assert!(messages.iter().any(|m| m.number == 44 && m.data == bytes));
    }
}

#[test]
fn monitors_are_asked_and_answer() {
    let messages = recorded();
    let of = |number| messages.iter().filter(move |message: &&Recorded| message.number == number);

    let subscription = of(15).next().unwrap();
    let subscription = mon::MMonSubscribe::decode(subscription.versions, &subscription.front).unwrap();
    let what: Vec<_> = subscription.what.iter().map(|sub| (&sub.what[..], sub.start, sub.one_time)).collect();
    assert_eq!(what, [("config", 0, false), ("monmap", 0, false)]);

    let map = of(4).next().unwrap();
    let mon::MMonMap(map) = mon::MMonMap::decode(map.versions, &map.front).unwrap();
    assert_eq!(map.ranks, ["a"]);
    assert_eq!(map.mon("a").unwrap().addrs.to_string(), "v2:127.0.0.1:3411/0");
    assert_eq!(map.min_mon_release, 16);

    let configs: Vec<_> = of(62).map(|m| mon::MConfig::decode(m.versions, &m.front).unwrap()).collect();
    let option = ("rbd_cache_policy".to_owned(), "writeback".to_owned());
    assert!(configs.contains(&mon::MConfig { options: vec![option] }));

    let acks: Vec<_> = of(51)
        .map(|m| (mon::MMonCommandAck::decode(m.versions, &m.front).unwrap(), &m.data[..]))
        .map(|(ack, data)| (ack.outcome(), ack.status.into_owned(), data))
        .collect();
    let pools = &b"[\"data\",\"device_health_metrics\"]"[..];
    assert_eq!(acks[0], (Ok(0), String::new(), pools));
    assert_eq!(acks[1], (Err(Errno::EINVAL), "command not known".to_owned(), &b""[..]));
}

#[test]
fn an_older_recording_of_the_monitors_map_comes_back() {
    let front = include_bytes!("golden/MMonMap.front.bin");
    let map = mon::MMonMap::decode(mon::MMonMap::KIND.front_version(), front).unwrap();
    assert_eq!((map.0.epoch.0, map.0.mons.len()), (1, 1));
    assert_eq!(map.to_front(), front);
}

#[test]
fn maps_are_whole_or_changes() {
    let messages = recorded();
    let of = messages.iter().filter(|message| message.number == 41);
    let maps: Vec<_> = of.map(|m| mon::MOsdMap::decode(m.versions, &m.front).unwrap()).collect();
    let (whole, changes): (Vec<_>, Vec<_>) = maps.iter().partition(|map| map.incrementals.is_empty());
    assert!(!changes.is_empty());
    for map in whole {
        assert_eq!((map.fulls.len(), map.fulls[0].0), (1, map.newest));
    }
    for map in changes {
        assert!(map.fulls.is_empty());
        assert_eq!(map.incrementals.last().unwrap().0, map.newest);
    }
}

#[test]
fn snapshots_get_numbers_from_the_monitors() {
    let messages = recorded();
    let pairs = messages.windows(2).filter(|pair| pair[0].number == 49);
    let changes: Vec<_> = pairs
        .map(|pair| {
            let asked = mon::MPoolOp::decode(pair[0].versions, &pair[0].front).unwrap();
            let answered = mon::MPoolOpReply::decode(pair[1].versions, &pair[1].front).unwrap();
            assert!(asked.seen <= answered.epoch);
            (asked.change, answered.outcome(), answered.data.map(|_| answered.snap().unwrap()))
        })
        .collect();
    use mon::PoolChange::{CreateUnmanagedSnap, DeleteUnmanagedSnap};
    assert_eq!(
        changes[..4],
        [
            (CreateUnmanagedSnap, Ok(0), Some(SnapId(2))),
            (CreateUnmanagedSnap, Ok(0), Some(SnapId(3))),
            (DeleteUnmanagedSnap(SnapId(3)), Ok(0), None),
            (DeleteUnmanagedSnap(SnapId(12345)), Err(Errno::ENOENT), None),
        ]
    );
}
