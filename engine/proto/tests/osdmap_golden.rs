//! OSD maps of a real cluster: two whole maps, every change from each to another whole map, and where that cluster's own
//! tool says that each placement group is.

#![allow(clippy::unwrap_used)]

use ringbd_proto::codec::Encoder;
use ringbd_proto::crush::{CrushMap, Workspace};
use ringbd_proto::osdmap::{ApplyError, Incremental, OsdMap, Osds};
use ringbd_proto::types::{Epoch, PgId};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)).unwrap()
}

fn full(epoch: u32) -> OsdMap {
    OsdMap::decode(&golden(&format!("osdmap.full.{epoch}.bin"))).unwrap()
}

fn incremental(epoch: u32) -> Incremental {
    Incremental::decode(&golden(&format!("osdmap.inc.{epoch}.bin"))).unwrap()
}

/// A clusters' changes make the map that its monitors made of them, in every field.
fn chain(from: u32, to: u32) {
    let mut map = full(from);
    for epoch in from + 1..=to {
        map = map.apply(&incremental(epoch)).unwrap();
        assert_eq!(map.epoch(), Epoch(epoch));
    }
    let expected = full(to);
    for (id, pool) in expected.pools() {
        assert_eq!(map.pool(id), Some(pool), "pool {id}");
    }
    assert_eq!(map.crush(), expected.crush());
    assert_eq!(map, expected);
}

#[test]
fn nine_changes_of_states_and_weights_make_epoch_53() {
    chain(44, 53);
}

#[test]
fn twenty_three_changes_of_everything_make_epoch_80() {
    chain(57, 80);
}

#[test]
fn every_placement_group_is_where_the_clusters_tool_says() {
    let map = full(53);
    let mut workspace = Workspace::default();
    let mut text = String::new();
    for (id, pool) in map.pools() {
        writeln!(text, "pool {id} pg_num {}", pool.pg_num).unwrap();
        for seed in 0..pool.pg_num {
            let pg = PgId { pool: id, seed };
            let raw = map.place_by_crush(pg, &mut workspace).unwrap();
            let primary = raw.iter().find(|osd| osd.0 != i32::MAX).map_or(-1, |osd| osd.0);
            let mapping = map.place(pg, &mut workspace).unwrap();
            writeln!(text, "{pg} raw ({}, p{primary}) {mapping}", Osds(&raw)).unwrap();
        }
    }
    let tool = String::from_utf8(golden("osdmap.full.53.pgs.txt")).unwrap();
    let lines = |text: &str| -> Vec<String> {
        text.lines()
            .filter(|line| line.starts_with("pool ") || line.contains(" raw ("))
            .map(str::to_owned)
            .collect()
    };
    let (ours, theirs) = (lines(&text), lines(&tool));
    assert!(theirs.len() > 113, "{}", theirs.len());
    assert_eq!(ours, theirs);
}

#[test]
fn a_crush_map_is_written_as_it_was_read() {
    for bytes in [golden("crush.bin"), crush_of(44), crush_of(53), crush_of(57), crush_of(80)] {
        let crush = CrushMap::decode(&bytes).unwrap();
        assert_eq!(Encoder::to_vec(|e| crush.encode(e)), bytes);
    }
}

/// The CRUSH map as it lies in a whole map.
fn crush_of(epoch: u32) -> Vec<u8> {
    let bytes = golden(&format!("osdmap.full.{epoch}.bin"));
    let encoded = Encoder::to_vec(|e| full(epoch).crush().encode(e));
    assert!(bytes.windows(encoded.len()).any(|window| window == encoded), "epoch {epoch}");
    encoded
}

#[test]
fn what_is_kept_is_written_and_read_again() {
    for epoch in [44, 53, 57, 80] {
        let map = full(epoch);
        let bytes = Encoder::to_vec(|e| map.encode(e));
        assert_eq!(OsdMap::decode(&bytes), Ok(map));
    }
    for epoch in (45..=53).chain(58..=80) {
        let incremental = incremental(epoch);
        let bytes = Encoder::to_vec(|e| incremental.encode(e));
        assert_eq!(Incremental::decode(&bytes), Ok(incremental), "epoch {epoch}");
    }
}

#[test]
fn a_change_of_another_epoch_or_cluster_is_refused() {
    let map = full(44);
    let gap = |incremental: u32| ApplyError::Gap { map: Epoch(44), incremental: Epoch(incremental) };
    assert_eq!(map.apply(&incremental(46)), Err(gap(46)));
    let next = map.apply(&incremental(45)).unwrap();
    assert_eq!(next.apply(&incremental(45)), Err(ApplyError::Gap { map: Epoch(45), incremental: Epoch(45) }));
    let mut foreign = incremental(45);
    foreign.fsid.0[0] ^= 1;
    assert!(matches!(map.apply(&foreign), Err(ApplyError::OtherCluster { .. })));
    let whole = Incremental { full: Some(Box::new(full(53))), ..Incremental::after(&map) };
    assert!(matches!(map.apply(&whole), Err(ApplyError::OtherEpoch { .. })));
}

#[test]
fn a_whole_map_in_a_change_replaces_everything() {
    let map = OsdMap::decode(&golden("osdmap.full.53.bin")).unwrap();
    let before = map.apply(&Incremental::after(&map)).unwrap();
    let mut whole = Incremental::after(&before);
    whole.full = Some(Box::new(before.apply(&whole).unwrap()));
    let bytes = Encoder::to_vec(|e| whole.encode(e));
    let after = before.apply(&Incremental::decode(&bytes).unwrap()).unwrap();
    assert_eq!(after.epoch(), Epoch(55));
    assert_eq!(after.crush(), map.crush());
}

#[test]
fn a_flipped_bit_is_noticed() {
    let bytes = golden("osdmap.full.53.bin");
    for at in (0..bytes.len()).step_by(7) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1 << (at % 8);
        assert!(OsdMap::decode(&bytes).is_err(), "byte {at}");
    }
}

#[test]
fn epochs_share_what_did_not_change() {
    let map = full(44);
    let next = map.apply(&Incremental::after(&map)).unwrap();
    assert!(Arc::ptr_eq(map.crush(), next.crush()));
    for (id, pool) in map.pools() {
        assert!(Arc::ptr_eq(pool, next.pool(id).unwrap()));
    }
}
