//! Finding an object's OSDs, in a cluster of 2400 OSDs in 200 hosts in 20 racks; and making the next epoch of its map.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use ringbd_proto::crush::{Algorithm, Bucket, ChooseOrder, CrushMap, CrushParts, Rule, Step, Workspace};
use ringbd_proto::hash::object_hash;
use ringbd_proto::osdmap::{Incremental, OsdMap, Pool, PoolKind};
use ringbd_proto::types::{AddrKind, EntityAddr, EntityAddrVec, OsdId, PgId, PoolId};
use std::hint::black_box;
use std::sync::Arc;

const RACKS: i32 = 20;
const HOSTS: i32 = 10;
const OSDS: i32 = 12;
const PG_NUM: u32 = 16384;

/// Images live in the first pool, cold data in the second.
const REPLICATED: PoolId = PoolId(1);
const ERASURE: PoolId = PoolId(2);

fn bucket(type_id: u16, items: Vec<i32>, item_weight: u32) -> Bucket {
    let weights = vec![item_weight; items.len()];
    let weight = item_weight * items.len() as u32;
    Bucket { type_id, hash: 0, weight, items, algorithm: Algorithm::Straw2 { weights } }
}

fn crush() -> CrushMap {
    let mut parts = CrushParts::default();
    let mut racks = Vec::new();
    for rack in 0..RACKS {
        let mut hosts = Vec::new();
        for host in 0..HOSTS {
            let first = (rack * HOSTS + host) * OSDS;
            parts.buckets.push(Some(bucket(1, (first..first + OSDS).collect(), 0x1_0000)));
            hosts.push(-(parts.buckets.len() as i32));
        }
        parts.buckets.push(Some(bucket(2, hosts, OSDS as u32 * 0x1_0000)));
        racks.push(-(parts.buckets.len() as i32));
    }
    parts.buckets.push(Some(bucket(3, racks, (HOSTS * OSDS) as u32 * 0x1_0000)));
    let root = -(parts.buckets.len() as i32);
    for (ruleset, pool_type, order) in [(0, 1, ChooseOrder::Firstn), (1, 3, ChooseOrder::Indep)] {
        let choose = Step::Choose { order, leaf: true, count: 0, type_id: 1 };
        let steps = vec![Step::Take(root), choose, Step::Emit];
        parts.rules.push(Some(Rule { ruleset, pool_type, min_size: 1, max_size: 20, steps }));
    }
    CrushMap::new(parts).expect("the hierarchy is a tree")
}

/// The cluster, whose balancer has moved every eighth placement group.
fn map() -> OsdMap {
    let osds = RACKS * HOSTS * OSDS;
    let erasure = Pool { kind: PoolKind::Erasure, crush_rule: 1, ..Pool::replicated(11, PG_NUM) };
    let addr =
        |osd: i32| EntityAddrVec(vec![EntityAddr { kind: AddrKind::Msgr2, nonce: osd as u32, socket: None }]);
    let first = Incremental {
        max_osd: Some(osds as usize),
        crush: Some(Arc::new(crush())),
        new_weight: (0..osds).map(|osd| (OsdId(osd), 0x1_0000)).collect(),
        new_up: (0..osds).map(|osd| (OsdId(osd), addr(osd))).collect(),
        new_pools: [(REPLICATED, Arc::new(Pool::replicated(3, PG_NUM))), (ERASURE, Arc::new(erasure))].into(),
        new_pg_upmap_items: (0..PG_NUM)
            .step_by(8)
            .map(|seed| (PgId { pool: REPLICATED, seed }, vec![(OsdId(seed as i32 % osds), OsdId(7))]))
            .collect(),
        ..Incremental::after(&OsdMap::empty())
    };
    OsdMap::empty().apply(&first).expect("it is the first epoch")
}

fn placement(criterion: &mut Criterion) {
    let map = map();
    let mut workspace = Workspace::default();
    let mut group = criterion.benchmark_group("placement");
    for (name, pool) in [("object to 3 OSDs", REPLICATED), ("object to 11 OSDs", ERASURE)] {
        let mut number = 0u64;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                number += 1;
                let mut object = *b"rbd_data.10226b8b4567.0000000000000000";
                object[22..30].copy_from_slice(&number.to_le_bytes());
                let pg = map.pg(pool, object_hash(b"", black_box(&object))).expect("the pool is there");
                map.place(pg, &mut workspace).expect("the rule is known")
            });
        });
    }
    group.bench_function("object to placement group", |bencher| {
        let object = b"rbd_data.10226b8b4567.0000000000000000";
        bencher.iter(|| map.pg(REPLICATED, object_hash(b"", black_box(object))));
    });
    group.finish();
}

fn epochs(criterion: &mut Criterion) {
    let map = map();
    let mut group = criterion.benchmark_group("next epoch");
    let down = Incremental { new_state: [(OsdId(5), Default::default())].into(), ..Incremental::after(&map) };
    let up = map.osd_last_addrs(OsdId(5)).cloned().unwrap_or_default();
    let pg = PgId { pool: REPLICATED, seed: 3 };
    for (name, next) in [
        ("nothing changes", Incremental::after(&map)),
        ("an OSD goes down", down),
        ("an OSD comes up", Incremental { new_up: [(OsdId(5), up)].into(), ..Incremental::after(&map) }),
        (
            "a placement group is moved",
            Incremental {
                new_pg_upmap_items: [(pg, vec![(OsdId(1), OsdId(2))])].into(),
                ..Incremental::after(&map)
            },
        ),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter_batched(|| map.clone(), |map| map.apply(&next), BatchSize::SmallInput);
        });
    }
    group.finish();
}

criterion_group!(benches, placement, epochs);
criterion_main!(benches);
