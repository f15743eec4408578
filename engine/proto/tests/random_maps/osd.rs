//! Random OSD maps, and changes to them.

use super::{crush_map, one_of};
use fastrand::Rng;
use ringbd_proto::crush::CrushMap;
use ringbd_proto::osdmap::{
    ForceResend, Incremental, MapFlags, OsdMap, OsdState, Peering, Pool, PoolFlags, PoolKind, PoolSnap,
    Release, SnapRange,
};
use ringbd_proto::types::{
    AddrKind, EntityAddr, EntityAddrVec, Epoch, Fsid, OsdId, PgId, PoolId, SnapId, Utime,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// The first epoch of a cluster with that CRUSH map, and OSDs for all its devices that are up and in.
pub fn empty_with_crush(random: &mut Rng, crush: CrushMap) -> OsdMap {
    let osds = crush.max_devices().max(1);
    let first = Incremental {
        fsid: Fsid(std::array::from_fn(|_| random.u8(..))),
        modified: time(random),
        max_osd: Some(osds as usize),
        flags: Some(MapFlags::SORT_BITWISE),
        new_weight: (0..osds).map(|osd| (OsdId(osd), 0x1_0000)).collect(),
        new_up: (0..osds).map(|osd| (OsdId(osd), addrs(random))).collect(),
        crush: Some(Arc::new(crush)),
        require_osd_release: Some(Release::PACIFIC),
        require_min_compat_client: Some(Release::LUMINOUS),
        ..Incremental::after(&OsdMap::empty())
    };
    OsdMap::empty().apply(&first).unwrap()
}

/// A map with some pools that has been through some changes.
pub fn osd_map(random: &mut Rng, osds_max: i32) -> OsdMap {
    let crush = crush_map(random, osds_max);
    let mut map = empty_with_crush(random, crush);
    for _ in 0..random.usize(1..6) {
        map = map.apply(&incremental(random, &map)).unwrap();
    }
    map
}

fn time(random: &mut Rng) -> Utime {
    Utime { sec: random.u32(1..), nsec: random.u32(0..1_000_000_000) }
}

fn addr(random: &mut Rng, kind: AddrKind) -> EntityAddr {
    let socket = SocketAddr::from(([10, 0, random.u8(..), random.u8(..)], random.u16(..)));
    EntityAddr { kind, nonce: random.u32(..), socket: Some(socket) }
}

fn addrs(random: &mut Rng) -> EntityAddrVec {
    EntityAddrVec(vec![addr(random, AddrKind::Msgr2), addr(random, AddrKind::Legacy)])
}

fn ranges(random: &mut Rng) -> Vec<SnapRange> {
    (0..random.u64(1..3)).map(|n| SnapRange { first: SnapId(n * 100 + 1), count: random.u64(1..9) }).collect()
}

/// A pool that one of the map's rules is for, or none.
pub fn pool(random: &mut Rng, crush: &CrushMap) -> Pool {
    let kind = one_of(random, &[PoolKind::Replicated, PoolKind::Erasure]);
    let rules = crush.parts().rules.iter().flatten().filter(|rule| rule.pool_type == kind.number());
    let rules: Vec<u8> = rules.map(|rule| rule.ruleset).collect();
    let crush_rule = if rules.is_empty() { 200 } else { one_of(random, &rules) };
    let size = random.u8(1..=8);
    let pg_num = one_of(random, &[1, 8, 12, 31, 32, 100]);
    let hashes = one_of(random, &[PoolFlags::HASH_PS_POOL, PoolFlags::default()]);
    Pool {
        kind,
        crush_rule,
        min_size: random.u8(1..=size),
        pgp_num: random.u32(1..=pg_num),
        pg_num_target: random.u32(1..=pg_num),
        pg_num_pending: random.u32(1..=pg_num),
        autoscale_mode: random.u8(0..3),
        snap_seq: SnapId(random.u64(0..99)),
        snap_epoch: Epoch(random.u32(0..99)),
        snaps: (0..random.u64(0..3)).map(|snap| (SnapId(snap + 1), snap_info(random))).collect(),
        removed_snaps: if random.bool() { ranges(random) } else { Vec::new() },
        flags: hashes | PoolFlags::SELFMANAGED_SNAPS | one_of(random, &[PoolFlags::FULL, PoolFlags::BULK]),
        quota_bytes: random.u64(0..3) << 30,
        quota_objects: random.u64(0..3),
        tiers: vec![PoolId(7); random.usize(0..2)],
        tier_of: random.bool().then_some(PoolId(1)),
        read_tier: random.bool().then_some(PoolId(2)),
        write_tier: random.bool().then_some(PoolId(3)),
        stripe_width: random.u32(0..3) * 4096,
        erasure_code_profile: one_of(random, &["", "default"]).into(),
        force_resend: ForceResend { now: Epoch(random.u32(0..5)), ..ForceResend::default() },
        expected_objects: random.u64(0..2),
        fast_read: random.bool(),
        applications: BTreeMap::from([("rbd".to_owned(), BTreeMap::new())]),
        created: time(random),
        peering: Peering { bucket_count: random.u32(0..2), ..Peering::default() },
        ..Pool::replicated(size, pg_num)
    }
}

fn snap_info(random: &mut Rng) -> PoolSnap {
    PoolSnap { name: format!("snap{}", random.u32(..)), stamp: time(random) }
}

/// An epoch after `map` with changes of some kinds.
pub fn incremental(random: &mut Rng, map: &OsdMap) -> Incremental {
    let mut next = Incremental { modified: time(random), ..Incremental::after(map) };
    let crush = map.crush();
    for id in 1..5 {
        if random.u8(0..3) == 0 {
            next.new_pools.insert(PoolId(id), Arc::new(pool(random, crush)));
            next.new_pool_names.insert(PoolId(id), format!("pool{}", random.u8(..)));
            next.pool_max = Some(4);
        }
    }
    if random.u8(0..6) == 0 {
        next.old_pools = map.pools().map(|(id, _)| id).take(1).collect();
    }
    if random.u8(0..6) == 0 {
        next.crush = Some(Arc::new(crush_map(random, map.max_osd() as i32)));
        next.new_erasure_code_profiles.insert("k2m1".into(), BTreeMap::from([("k".into(), "2".into())]));
        next.old_erasure_code_profiles.push("gone".into());
    }
    if random.u8(0..6) == 0 {
        let room = random.usize(1..4);
        next.max_osd = Some(map.max_osd() + room);
    }
    if random.bool() {
        next.flags = Some(MapFlags(random.u32(..1 << 22)));
        next.last_up_change = Some(time(random));
        next.new_removed_snaps.insert(PoolId(random.i64(1..5)), ranges(random));
        next.new_purged_snaps.insert(PoolId(random.i64(1..5)), ranges(random));
    }
    osds(random, map, &mut next);
    placement(random, map, &mut next);
    blocklist(random, map, &mut next);
    next
}

fn osds(random: &mut Rng, map: &OsdMap, next: &mut Incremental) {
    let room = map.max_osd() as i32;
    let any = |random: &mut Rng| OsdId(random.i32(0..room));
    for _ in 0..random.usize(0..1 + map.max_osd() / 3) {
        match random.u8(0..5) {
            0 => drop(next.new_up.insert(any(random), addrs(random))),
            1 => {
                let changes =
                    [OsdState::default(), OsdState::UP, OsdState::FULL, OsdState::EXISTS | OsdState::UP];
                next.new_state.insert(any(random), one_of(random, &changes));
            }
            2 => drop(next.new_weight.insert(any(random), one_of(random, &[0, 0x1_0000, 0x8000, 0x3333]))),
            3 => drop(next.new_weight.insert(any(random), 0x1_0000)),
            _ => {
                let affinity = one_of(random, &[0, 0x1_0000, 0x8000, 0x1_2000]);
                next.new_primary_affinity.insert(any(random), affinity);
            }
        }
    }
}

fn placement(random: &mut Rng, map: &OsdMap, next: &mut Incremental) {
    let room = map.max_osd() as i32;
    let pools: Vec<(PoolId, u32)> = map.pools().map(|(id, pool)| (id, pool.pg_num)).collect();
    if pools.is_empty() {
        return;
    }
    // Now and then an OSD that there is no room for, or a hole.
    let osd = |random: &mut Rng| match random.u8(0..20) {
        0 => OsdId(i32::MAX),
        1 => OsdId(room + 5),
        _ => OsdId(random.i32(0..room)),
    };
    for _ in 0..random.usize(0..20) {
        let (pool, pg_num) = one_of(random, &pools);
        let pg = PgId { pool, seed: random.u32(0..pg_num) };
        let list: Vec<OsdId> = (0..random.usize(0..6)).map(|_| osd(random)).collect();
        match random.u8(0..8) {
            0 => drop(next.new_pg_temp.insert(pg, list)),
            1 => drop(next.new_primary_temp.insert(pg, one_of(random, &[OsdId(-1), OsdId(0)]))),
            2 => drop(next.new_pg_upmap.insert(pg, list)),
            3 => next.old_pg_upmap.push(pg),
            4 => next.old_pg_upmap_items.push(pg),
            5 => drop(next.new_pg_upmap_primaries.insert(pg, osd(random))),
            6 => next.old_pg_upmap_primaries.push(pg),
            _ => {
                let pairs = (0..random.usize(1..4)).map(|_| (OsdId(random.i32(0..room)), osd(random)));
                next.new_pg_upmap_items.insert(pg, pairs.collect());
            }
        }
    }
}

fn blocklist(random: &mut Rng, map: &OsdMap, next: &mut Incremental) {
    for _ in 0..random.usize(0..3) {
        next.new_blocklist.insert(addr(random, AddrKind::Any), time(random));
    }
    if random.u8(0..4) == 0 {
        let network = EntityAddr { nonce: 24, ..addr(random, AddrKind::Cidr) };
        next.new_range_blocklist.insert(network, time(random));
        next.old_range_blocklist = map.blocklist().ranges.keys().take(1).copied().collect();
    }
    if random.bool() {
        next.old_blocklist = map.blocklist().clients.keys().take(1).copied().collect();
    }
}
