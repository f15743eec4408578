//! What all lanes do alike, without I/O: operations are encoded and sealed, answers are opened and checked.
//!
//! A front is encoded for each operation, the checksums of what is sent and received are taken for each, and what a read
//! brings is copied into the buffer of who asked, as the engine's own client does it. So lanes differ in how bytes get to the
//! socket and from there, and in who wakes whom.

use crate::login::Client;
use crate::{BLOCK, OBJECTS};
use ringbd_proto::crush::Workspace;
use ringbd_proto::message::FrontVersion;
use ringbd_proto::msgr2::{
    DataPlace, Features, Frame, FrameLimits, FrameReader, Landing, Message, MessageHeader, MessageType,
    Opener, Sealer,
};
use ringbd_proto::osd::{
    Access, Extent, MOsdOpReply, OSD_OP, ObjectLocator, OpRequest, OsdFlags, OsdOp, OsdOpFront, Sending,
    SnapContext,
};
use ringbd_proto::types::{Epoch, SpgId, Tid, Utime};

struct Object {
    name: Vec<u8>,
    hash: u32,
    spg: SpgId,
}

/// The sending half.
pub(crate) struct Asking {
    write: bool,
    depth: u64,
    sealer: Sealer,
    locator: ObjectLocator,
    objects: Vec<Object>,
    epoch: Epoch,
    /// The next operation.
    next: usize,
    /// The last message's number.
    seq: u64,
    /// Memory for fronts.
    memory: Vec<u8>,
}

impl Asking {
    pub(crate) fn new(client: &Client, write: bool, depth: usize, sealer: Sealer) -> Asking {
        let pool = client.map.pool_named("data").expect("there is the pool");
        let locator = ObjectLocator::pool(pool);
        let mut workspace = Workspace::default();
        let object = |nth: usize| {
            let name = format!("rbd_data.{nth:016x}").into_bytes();
            let hash = locator.hash_of(&name);
            let pg = client.map.pg(pool, hash).expect("the pool is there");
            let mapping = client.map.place(pg, &mut workspace).expect("the pool can be placed");
            Object { name, hash, spg: mapping.spg(pg) }
        };
        let objects = (0..OBJECTS).map(object).collect();
        let (depth, epoch) = (depth as u64, client.map.epoch());
        Asking { write, depth, sealer, locator, objects, epoch, next: 0, seq: 0, memory: Vec::new() }
    }

    /// Seals the next operation for whoever has the number `slot`, behind what is in `out`. Says where `data` belongs,
    /// which is what a write carries.
    pub(crate) fn ask(&mut self, slot: usize, out: &mut Vec<u8>, data: &[u8]) -> DataPlace {
        let Object { name, hash, spg } = &self.objects[self.next % OBJECTS];
        self.next += 1;
        self.seq += 1;
        let sending = Sending { spg: *spg, epoch: self.epoch, flags: OsdFlags::NONE, attempt: 0 };
        let memory = std::mem::take(&mut self.memory);
        let (locator, hash, features) = (&self.locator, *hash, Features::PACIFIC.0);
        let (front, data) = if self.write {
            let access = Access::Write { snapc: &SnapContext::NONE, mtime: Utime::default() };
            let ops = [OsdOp::Write { offset: 0, data }.into()];
            let request = OpRequest { locator, name, hash, access, ops: &ops, features };
            (OsdOpFront::new(&request, &sending, memory), data)
        } else {
            let ops = [OsdOp::<&[u8]>::Read(Extent { offset: 0, length: BLOCK as u64 }).into()];
            let request = OpRequest { locator, name, hash, access: Access::READ_HEAD, ops: &ops, features };
            (OsdOpFront::new(&request, &sending, memory), &[][..])
        };
        let header = MessageHeader {
            seq: self.seq,
            tid: Tid(self.seq * self.depth + slot as u64),
            priority: MessageHeader::PRIORITY_CLIENT_OP,
            ..MessageHeader::new(MessageType::OSD_OP, OSD_OP.version, OSD_OP.compat)
        };
        let fields = front.bytes();
        let data: &[&[u8]] = if data.is_empty() { &[] } else { &[data] };
        let place = self.sealer.message(
            out,
            &header,
            |e| {
                e.bytes(fields);
            },
            data,
            None,
        );
        self.memory = front.into_bytes();
        place.expect("a bench does not use up a connection's nonces")
    }
}

/// The receiving half.
pub(crate) struct Answers {
    reader: FrameReader<Vec<u8>>,
    landing: Slots,
}

/// Where what is read goes, by the number of who asked.
struct Slots(Vec<Option<Vec<u8>>>);

impl Slots {
    fn of(&self, tid: Tid) -> usize {
        usize::try_from(tid.0 % self.0.len() as u64).expect("slots are few")
    }
}

impl Landing for Slots {
    type Buf = Vec<u8>;

    fn land(&mut self, header: &MessageHeader, data_bytes: usize) -> Option<Vec<u8>> {
        let slot = self.of(header.tid);
        self.0[slot].take_if(|buf| header.kind == MessageType::OSD_OP_REPLY && buf.len() == data_bytes)
    }
}

impl Answers {
    pub(crate) fn new(depth: usize, opener: Opener) -> Answers {
        let reader = FrameReader::new(opener, FrameLimits::ESTABLISHED);
        Answers { reader, landing: Slots(vec![Some(vec![0; BLOCK]); depth]) }
    }

    /// Takes what arrived; `answered` is told whose operations are done.
    pub(crate) fn take(&mut self, mut bytes: &[u8], mut answered: impl FnMut(usize)) {
        while let Some(frame) = self.reader.next(&mut bytes, &mut self.landing).expect("the OSD speaks well")
        {
            // Of the rest only maps come, which do not change.
            let Frame::Message(Message { header, front, data, .. }) = frame else { continue };
            if header.kind != MessageType::OSD_OP_REPLY {
                continue;
            }
            let versions = FrontVersion { version: header.version, compat: header.compat_version };
            let reply = MOsdOpReply::decode(versions, front, data.len()).expect("the OSD speaks well");
            assert_eq!(reply.result, 0, "an OSD that keeps nothing does everything");
            let slot = self.landing.of(header.tid);
            let place = &mut self.landing.0[slot];
            match data {
                ringbd_proto::msgr2::Data::Landed(buf) => *place = Some(buf),
                ringbd_proto::msgr2::Data::Borrowed(bytes) => {
                    let buf = place.as_mut().expect("a buffer is back before the next answer");
                    buf[..bytes.len()].copy_from_slice(bytes);
                }
            }
            answered(slot);
        }
    }
}
