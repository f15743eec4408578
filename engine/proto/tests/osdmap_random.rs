//! Random OSD maps: read as they were written, changed as a naive model changes, and broken in every way that a checksum
//! would hide.

#![allow(clippy::unwrap_used)]

use fastrand::Rng;
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use ringbd_proto::codec::Encoder;
use ringbd_proto::crc::{SEED, crc32c};
use ringbd_proto::crush::Workspace;
use ringbd_proto::osdmap::{
    AFFINITY_DEFAULT, ApplyError, Incremental, MapFlags, OsdMap, OsdState, PlacementError, Pool,
};
use ringbd_proto::types::{EntityAddr, EntityAddrVec, OsdId, PgId, PoolId, Utime};
use std::collections::BTreeMap;

mod random_maps;

/// A map as a table of rows: what monitors do to it, one thing after the other.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    flags: u32,
    osds: Vec<ModelOsd>,
    pools: BTreeMap<PoolId, (Pool, String)>,
    pg_temp: BTreeMap<PgId, Vec<OsdId>>,
    primary_temp: BTreeMap<PgId, OsdId>,
    upmap: BTreeMap<PgId, Vec<OsdId>>,
    upmap_items: BTreeMap<PgId, Vec<(OsdId, OsdId)>>,
    upmap_primaries: BTreeMap<PgId, OsdId>,
    blocklist: BTreeMap<EntityAddr, Utime>,
    ranges: BTreeMap<EntityAddr, Utime>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct ModelOsd {
    exists: bool,
    up: bool,
    other_states: u32,
    weight: u32,
    affinity: u32,
    addrs: EntityAddrVec,
}

impl Model {
    fn of(map: &OsdMap) -> Model {
        let osd = |osd: i32| {
            let osd = OsdId(osd);
            ModelOsd {
                exists: map.exists(osd),
                up: map.osd_state(osd).has(OsdState::UP),
                other_states: map.osd_state(osd).without(OsdState::EXISTS | OsdState::UP).0,
                weight: map.osd_weight(osd).unwrap(),
                affinity: map.primary_affinity(osd),
                addrs: map.osd_addrs(osd).cloned().unwrap_or_default(),
            }
        };
        Model {
            flags: map.flags().0,
            osds: (0..map.max_osd() as i32).map(osd).collect(),
            pools: map
                .pools()
                .map(|(id, pool)| (id, (Pool::clone(pool), map.pool_name(id).unwrap_or_default().to_owned())))
                .collect(),
            pg_temp: map.pg_temp().map(|(pg, osds)| (pg, osds.to_vec())).collect(),
            primary_temp: map.primary_temp().collect(),
            upmap: map.pg_upmap().map(|(pg, osds)| (pg, osds.to_vec())).collect(),
            upmap_items: map.pg_upmap_items().map(|(pg, pairs)| (pg, pairs.to_vec())).collect(),
            upmap_primaries: map.pg_upmap_primaries().collect(),
            blocklist: map.blocklist().clients.clone(),
            ranges: map.blocklist().ranges.clone(),
        }
    }

    fn change(&mut self, next: &Incremental) {
        if let Some(flags) = next.flags {
            // The random maps require Pacific, and so what Pacific takes for granted.
            let always = MapFlags::RECOVERY_DELETES | MapFlags::PGLOG_HARDLIMIT;
            let never = MapFlags::REQUIRE_JEWEL | MapFlags::REQUIRE_KRAKEN | MapFlags::REQUIRE_LUMINOUS;
            self.flags = flags.with(always).without(never).0;
        }
        if let Some(osds) = next.max_osd {
            self.osds.resize(osds, ModelOsd { affinity: AFFINITY_DEFAULT, ..ModelOsd::default() });
        }
        for (id, pool) in &next.new_pools {
            let pool = Pool { last_change: next.epoch, ..Pool::clone(pool) };
            let name = next.new_pool_names[id].clone();
            self.pools.insert(*id, (pool, name));
        }
        for id in &next.old_pools {
            self.pools.remove(id);
        }
        self.change_osds(next);
        for (pg, osds) in &next.new_pg_temp {
            self.pg_temp.insert(*pg, osds.clone());
        }
        self.pg_temp.retain(|_, osds| !osds.is_empty());
        self.primary_temp.extend(&next.new_primary_temp);
        self.primary_temp.retain(|_, osd| osd.0 != -1);
        self.upmap.extend(next.new_pg_upmap.clone());
        self.upmap.retain(|pg, _| !next.old_pg_upmap.contains(pg));
        self.upmap_items.extend(next.new_pg_upmap_items.clone());
        self.upmap_items.retain(|pg, _| !next.old_pg_upmap_items.contains(pg));
        self.upmap_primaries.extend(&next.new_pg_upmap_primaries);
        self.upmap_primaries.retain(|pg, _| !next.old_pg_upmap_primaries.contains(pg));
        for (addr, until) in &next.new_blocklist {
            self.blocklist.entry(*addr).or_insert(*until);
        }
        self.blocklist.retain(|addr, _| !next.old_blocklist.contains(addr));
        self.ranges.extend(&next.new_range_blocklist);
        self.ranges.retain(|addr, _| !next.old_range_blocklist.contains(addr));
    }

    /// What the map tells of it: not where an OSD was before it went down.
    fn told(&self) -> Model {
        let mut told = self.clone();
        for osd in told.osds.iter_mut().filter(|osd| !(osd.exists && osd.up)) {
            osd.addrs = EntityAddrVec::default();
        }
        told
    }

    fn change_osds(&mut self, next: &Incremental) {
        let new_or_out = (OsdState::AUTO_OUT | OsdState::NEW).0;
        for (n, osd) in (0..).map(OsdId).zip(&mut self.osds) {
            if let Some(&weight) = next.new_weight.get(&n) {
                osd.weight = weight;
                if weight > 0 {
                    osd.exists = true;
                    osd.other_states &= !new_or_out;
                }
            }
            if let Some(&affinity) = next.new_primary_affinity.get(&n) {
                osd.affinity = affinity;
            }
            if let Some(&change) = next.new_state.get(&n) {
                let destroyed = osd.exists && change.has(OsdState::EXISTS);
                osd.up ^= change.has(OsdState::UP) || change.0 == 0;
                osd.exists ^= change.has(OsdState::EXISTS);
                osd.other_states ^= change.without(OsdState::EXISTS | OsdState::UP).0;
                if destroyed {
                    let weight = osd.weight;
                    *osd = ModelOsd { weight, affinity: AFFINITY_DEFAULT, ..ModelOsd::default() };
                }
            }
            if let Some(addrs) = next.new_up.get(&n) {
                osd.exists = true;
                osd.up = true;
                osd.other_states &= !OsdState::STOP.0;
                osd.addrs = addrs.clone();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn maps_are_read_as_they_were_written(seed: u64) {
        let map = random_maps::osd_map(&mut Rng::with_seed(seed), 30);
        let bytes = Encoder::to_vec(|e| map.encode(e));
        prop_assert_eq!(OsdMap::decode(&bytes), Ok(map));
    }

    #[test]
    fn changes_are_read_as_they_were_written_and_made_as_a_naive_model_makes_them(seed: u64) {
        let mut random = Rng::with_seed(seed);
        let crush = random_maps::crush_map(&mut random, 20);
        let mut map = random_maps::empty_with_crush(&mut random, crush);
        let mut model = Model::of(&map);
        for _ in 0..8 {
            let next = random_maps::incremental(&mut random, &map);
            let bytes = Encoder::to_vec(|e| next.encode(e));
            let again = Incremental::decode(&bytes);
            prop_assert_eq!(again.as_ref(), Ok(&next));
            let before = Encoder::to_vec(|e| map.encode(e));
            let after = map.apply(&next).unwrap();
            prop_assert_eq!(Encoder::to_vec(|e| map.encode(e)), before, "the old epoch is as it was");
            map = after;
            model.change(&next);
            prop_assert_eq!(model.told(), Model::of(&map));
        }
    }

    #[test]
    fn an_incremental_of_unknown_osds_is_refused_and_nothing_changes(seed: u64, osd in any::<i32>()) {
        let map = random_maps::osd_map(&mut Rng::with_seed(seed), 8);
        let known = usize::try_from(osd).is_ok_and(|osd| osd < map.max_osd());
        let osd = OsdId(osd);
        let empty = Incremental::after(&map);
        for next in [
            Incremental { new_weight: [(osd, 1)].into(), ..empty.clone() },
            Incremental { new_state: [(osd, OsdState::UP)].into(), ..empty.clone() },
            Incremental { new_up: [(osd, EntityAddrVec::default())].into(), ..empty.clone() },
            Incremental { new_primary_affinity: [(osd, 7)].into(), ..empty.clone() },
        ] {
            let result = map.apply(&next);
            prop_assert_eq!(result.is_ok(), known);
            if !known {
                prop_assert_eq!(result, Err(ApplyError::UnknownOsd { osd, max_osd: map.max_osd() }));
            }
        }
        let room = Incremental { max_osd: Some(usize::MAX), ..empty };
        prop_assert_eq!(map.apply(&room), Err(ApplyError::TooManyOsds(usize::MAX)));
    }

    #[test]
    fn a_broken_map_is_refused_or_places_something(seed: u64) {
        let mut random = Rng::with_seed(seed);
        let map = random_maps::osd_map(&mut random, 20);
        let mut bytes = Encoder::to_vec(|e| map.encode(e));
        break_some(&mut random, &mut bytes);
        fix_crc(&mut bytes, 0);
        if let Ok(map) = OsdMap::decode(&bytes) {
            place_some(&map);
            // What was read can be written, but for a name that was no text.
            let bytes = Encoder::to_vec(|e| map.encode(e));
            prop_assert!(OsdMap::decode(&bytes).is_ok());
        }
        let next = random_maps::incremental(&mut random, &map);
        let mut bytes = Encoder::to_vec(|e| next.encode(e));
        break_some(&mut random, &mut bytes);
        fix_crc(&mut bytes, 4);
        if let Some(map) = Incremental::decode(&bytes).ok().and_then(|next| map.apply(&next).ok()) {
            place_some(&map);
        }
    }
}

/// Changes some bytes, most of them beyond the envelope.
fn break_some(random: &mut Rng, bytes: &mut [u8]) {
    for _ in 0..random.usize(1..5) {
        let at = random.usize(12..bytes.len());
        match random.u8(0..4) {
            0 => bytes[at] ^= 1 << random.u8(0..8),
            1 => bytes[at] = random.u8(..),
            2 => bytes[at..].iter_mut().take(4).for_each(|byte| *byte = 0xff),
            _ => bytes[at..].iter_mut().take(8).for_each(|byte| *byte = 0),
        }
    }
}

/// Puts the right checksum in, which has so many bytes behind it.
fn fix_crc(bytes: &mut [u8], tail: usize) {
    let at = bytes.len() - tail - 4;
    let crc = crc32c(crc32c(SEED, &bytes[..at]), &bytes[at + 4..]);
    bytes[at..at + 4].copy_from_slice(&crc.to_le_bytes());
}

/// Places some of each pool's placement groups, with little patience.
fn place_some(map: &OsdMap) {
    let mut workspace = Workspace::with_draws_max(20_000);
    for (pool, info) in map.pools() {
        for hash in [0, 1, 77, u32::MAX] {
            let Ok(pg) = map.pg(pool, hash) else { continue };
            assert!(pg.seed < info.pg_num);
            match map.place(pg, &mut workspace) {
                Ok(mapping) => {
                    let members = mapping.up.iter().chain(&mapping.acting);
                    assert!(members.copied().all(|osd| osd == OsdId::NONE || map.is_up(osd)));
                    // A primary that was set for a while may be anybody, as it is to OSDs.
                    assert!(mapping.up_primary.is_none_or(|primary| mapping.up.contains(&primary)));
                }
                Err(PlacementError::Crush { .. } | PlacementError::UnsupportedKind { .. }) => {}
                Err(error @ (PlacementError::NoPool(_) | PlacementError::UnsupportedHash { .. })) => {
                    panic!("{error}")
                }
            }
        }
    }
}

#[test]
fn every_field_of_a_real_map_may_be_absurd() {
    let golden =
        |name: &str| std::fs::read(format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let full = golden("osdmap.full.80.bin");
    let map = OsdMap::decode(&golden("osdmap.full.57.bin")).unwrap();
    let inputs = [("osdmap.inc.58.bin", 4), ("osdmap.inc.59.bin", 4), ("osdmap.full.80.bin", 0)];
    let mut accepted = 0;
    for (name, tail) in inputs {
        let bytes = golden(name);
        for at in 6..bytes.len() - tail - 4 {
            for value in [u32::MAX, 0x7fff_ffff, 0x00ff_ffff, 0x0001_0000, 0] {
                let mut bytes = bytes.clone();
                let end = (at + 4).min(bytes.len() - tail - 4);
                bytes[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
                fix_crc(&mut bytes, tail);
                let map = match tail {
                    0 => OsdMap::decode(&bytes).ok(),
                    _ => Incremental::decode(&bytes).ok().and_then(|next| map.apply(&next).ok()),
                };
                if let Some(map) = map {
                    place_some(&map);
                    accepted += 1;
                }
            }
        }
    }
    assert!(accepted > 1000, "{accepted} of {}", full.len());
}

#[test]
fn who_pauses_is_told_by_the_map_and_the_pool() {
    use ringbd_proto::osdmap::PoolFlags;
    let empty = OsdMap::empty();
    let set = |flags| empty.apply(&Incremental { flags: Some(flags), ..Incremental::after(&empty) }).unwrap();
    let pool = Pool::default();
    let full = Pool { flags: PoolFlags::FULL, ..Pool::default() };
    assert!(!empty.pauses_reads() && !empty.pauses_writes(&pool, true));
    assert!(empty.pauses_writes(&full, true) && !empty.pauses_writes(&full, false));
    assert!(set(MapFlags::PAUSE_READS).pauses_reads());
    assert!(set(MapFlags::PAUSE_WRITES).pauses_writes(&pool, false));
    assert!(set(MapFlags::FULL).pauses_writes(&pool, true));
    assert!(!set(MapFlags::FULL).pauses_writes(&pool, false));
}
