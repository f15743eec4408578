//! What every write and read costs in encoding: a request of one or many writes, one sent again, and an answer.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringbd_proto::codec::Encoder;
use ringbd_proto::osd::{
    Access, MOsdOpReply, OSD_OP_REPLY, ObjectLocator, OpEntry, OpRequest, OpReturn, Opcode, OsdFlags, OsdOp,
    OsdOpAnswer, OsdOpFront, Sending, SnapContext,
};
use ringbd_proto::types::{Epoch, Eversion, PgId, PoolId, SnapId, SpgId, Utime};
use std::hint::black_box;

const NAME: &[u8] = b"rbd_data.103a68fb5c65.0000000000000123";
const BLOCK: &[u8] = &[0x5a; 4096];
/// Dirty runs that go down as one list.
const RUNS: usize = 32;

fn pg() -> PgId {
    PgId { pool: PoolId(2), seed: 0x1f }
}

fn requests(criterion: &mut Criterion) {
    let locator = ObjectLocator::pool(PoolId(2));
    let snapc = SnapContext::new(SnapId(7), vec![SnapId(7), SnapId(3)]).expect("they descend");
    let sending =
        Sending { spg: SpgId::replicated(pg()), epoch: Epoch(400), flags: OsdFlags::NONE, attempt: 0 };
    let access = Access::Write { snapc: &snapc, mtime: Utime { sec: 1_700_000_000, nsec: 5 } };
    let writes: Vec<OpEntry<'_, &[u8]>> =
        (0..RUNS).map(|run| OsdOp::Write { offset: run as u64 * 8192, data: BLOCK }.into()).collect();

    let mut group = criterion.benchmark_group("request");
    group.throughput(Throughput::Elements(1));
    for (name, ops) in [("write 4 KiB", &writes[..1]), ("32 writes of 4 KiB", &writes[..])] {
        let access = access.clone();
        let request =
            OpRequest { locator: &locator, name: NAME, hash: 0x1234_5678, access, ops, features: !0 };
        let mut memory = Vec::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let front = OsdOpFront::new(black_box(&request), &sending, std::mem::take(&mut memory));
                memory = black_box(front).into_bytes();
            });
        });
    }
    let access = access.clone();
    let request =
        OpRequest { locator: &locator, name: NAME, hash: 0x1234_5678, access, ops: &writes, features: !0 };
    let mut front = OsdOpFront::new(&request, &sending, Vec::new());
    group.bench_function("send 32 writes again", |bencher| {
        bencher.iter(|| {
            front.stamp(black_box(&Sending { attempt: 1, ..sending }));
            black_box(front.bytes());
        });
    });
    group.finish();
}

fn answers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("answer");
    group.throughput(Throughput::Elements(1));
    for (name, count, opcode, output_len) in
        [("of a read", 1, Opcode::READ, 4096), ("of 32 writes", RUNS, Opcode::WRITE, 0)]
    {
        let answer = OsdOpAnswer {
            name: NAME,
            pg: pg(),
            flags: OsdFlags::ALWAYS,
            result: 0,
            epoch: Epoch(400),
            attempt: 0,
            version: Eversion { epoch: Epoch(400), version: 9 },
            user_version: 9,
            redirect: None,
            ops: &vec![OpReturn { opcode, rval: 0, output_len }; count],
        };
        let front = Encoder::to_vec(|e| answer.encode(e));
        let versions = OSD_OP_REPLY.front_version();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let reply = MOsdOpReply::decode(versions, black_box(&front), 4096).expect("it is one");
                reply.ops().map(|op| op.output.end).last()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, requests, answers);
criterion_main!(benches);
