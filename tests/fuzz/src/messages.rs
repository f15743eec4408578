//! The messages between clients, monitors and OSDs.

use ringbd_proto::codec::Encoder;
use ringbd_proto::message::Front;
use ringbd_proto::mon;
use ringbd_proto::osd;

/// A decoder of a front and the data behind it.
type Reader = fn(&[u8], &[u8]);

/// Reads a front, and what it is written as.
macro_rules! front {
    ($message:ty) => {
        |front, _| {
            let versions = <$message>::KIND.front_version();
            if let Ok(read) = <$message>::decode(versions, front) {
                assert_eq!(<$message>::decode(versions, &read.to_front()), Ok(read));
            }
        }
    };
}

/// Reads an operation's output, and what it is written as.
macro_rules! output {
    ($output:ty) => {
        |output, _| {
            if let Ok(read) = <$output>::decode(output) {
                assert_eq!(<$output>::decode(&Encoder::to_vec(|e| read.encode(e))), Ok(read));
            }
        }
    };
}

/// Every decoder. An input chooses by its first byte, so that new ones go behind the others.
const READERS: &[Reader] = &[
    request,
    reply,
    notification,
    front!(osd::MOsdBackoff),
    front!(mon::MOsdMap<'_>),
    front!(mon::MMonMap),
    front!(mon::MMonGetMap),
    front!(mon::MMonSubscribe<'_>),
    front!(mon::MConfig),
    front!(mon::MMonCommand<'_>),
    front!(mon::MMonCommandAck<'_>),
    front!(mon::MMonGetVersion<'_>),
    front!(mon::MMonGetVersionReply),
    front!(mon::MPoolOp<'_>),
    front!(mon::MPoolOpReply<'_>),
    front!(mon::MAuth<'_>),
    front!(mon::MAuthReply<'_>),
    front!(mon::MStatfs),
    front!(mon::MStatfsReply),
    front!(mon::MPing),
    output!(osd::Stat),
    output!(osd::SparseData<'_>),
    output!(osd::OmapVals<'_>),
    output!(osd::OmapKeys<'_>),
    output!(osd::Watchers),
    output!(osd::SnapSet),
    output!(osd::ListedObjects<'_>),
    entries,
    checksums,
];

/// A message decodes to what is written as the same message, or is refused. The first byte chooses the decoder, the next
/// two are the length of the front, and behind the front is the data.
pub fn messages(bytes: &[u8]) {
    let [reader, low, high, rest @ ..] = bytes else { return };
    let front_len = usize::from(u16::from_le_bytes([*low, *high]));
    let (front, data) = rest.split_at(front_len.min(rest.len()));
    if let Some(read) = READERS.get(usize::from(*reader)) {
        read(front, data);
    }
}

fn request(front: &[u8], data: &[u8]) {
    let versions = osd::OSD_OP.front_version();
    let Ok(read) = osd::MOsdOp::decode(versions, front, data) else { return };
    let again = osd::OsdOpFront::new(&read.request(), &read.sending, Vec::new());
    let mut again_data = Vec::new();
    for entry in &read.ops {
        let before = again_data.len();
        entry.op.encode_prefix(&mut Encoder::new(&mut again_data));
        again_data.extend_from_slice(entry.op.data().copied().unwrap_or_default());
        assert_eq!(again_data.len() - before, entry.op.payload_len() as usize);
    }
    let again = osd::MOsdOp::decode(versions, again.bytes(), &again_data).expect("it is one");
    assert_eq!(again.request(), read.request());
}

fn reply(front: &[u8], data: &[u8]) {
    let Ok(read) = osd::MOsdOpReply::decode(osd::OSD_OP_REPLY.front_version(), front, data.len()) else {
        return;
    };
    let mut end = 0;
    for op in read.ops() {
        assert_eq!(op.output.start, end);
        end += data[op.output].len();
    }
}

fn notification(front: &[u8], data: &[u8]) {
    front!(osd::MWatchNotify<'_>)(front, data);
    output!(osd::NotifyResponses<'_>)(data, front);
}

fn entries(output: &[u8], _: &[u8]) {
    if let Ok(read) = osd::decode_omap_entries(output) {
        let again = Encoder::to_vec(|e| osd::encode_entries(e, &read));
        assert_eq!(osd::decode_omap_entries(&again), Ok(read));
    }
}

fn checksums(output: &[u8], _: &[u8]) {
    for seed in [osd::ChecksumSeed::Crc32c(0), osd::ChecksumSeed::Xxhash64(0)] {
        if let Ok(read) = osd::Checksums::decode(seed, output) {
            let again = Encoder::to_vec(|e| read.encode(e));
            assert_eq!(osd::Checksums::decode(seed, &again), Ok(read));
        }
    }
}
