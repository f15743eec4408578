//! `ringbd osdmap` beside `osdmaptool`: the same lines for the same map.
//!
//! Needs osdmaptool (Debian: ceph-common). Where it is missing the tests say so and pass, except in the gate (`CI=true`),
//! where they fail.

#![allow(clippy::unwrap_used)]

use fastrand::Rng;
use ringbd_proto::codec::Encoder;
use ringbd_proto::osdmap::Incremental;
use ringbd_tests::programs::{installed, ringbd, run};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

#[path = "../../engine/proto/tests/random_maps/mod.rs"]
mod random_maps;

fn golden(epoch: u32) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/proto/tests/golden");
    folder.canonicalize().unwrap().join(format!("osdmap.full.{epoch}.bin"))
}

/// Both say the same.
fn same(map: &Path, args: &[&str]) {
    let map = map.display().to_string();
    let dir = std::env::temp_dir();
    let theirs = run("osdmaptool", &[&[&map[..]], args].concat(), &dir);
    let ours = run(ringbd(), &[&["osdmap", &map[..]], args].concat(), &dir);
    assert!(theirs.good && ours.good, "{args:?}: {} {}", theirs.all, ours.all);
    assert!(theirs.out.lines().count() > 0, "{args:?}");
    for (ours, theirs) in ours.out.lines().zip(theirs.out.lines()) {
        assert_eq!(ours, theirs, "{map} {args:?}");
    }
    assert_eq!(ours.out, theirs.out, "{map} {args:?}");
}

#[test]
fn placements_are_said_as_by_osdmaptool() {
    if !installed(&["osdmaptool"], "ceph-common") {
        return;
    }
    for epoch in [44, 53, 57, 80] {
        let map = golden(epoch);
        same(&map, &["--test-map-pgs-dump-all"]);
        same(&map, &["--test-map-pgs-dump"]);
        same(&map, &["--test-map-pgs-dump", "--pool", "2"]);
        same(&map, &["--test-map-object", "rbd_directory", "--pool", "2"]);
        same(&map, &["--test-map-object", "foo", "--test-map-pgs-dump-all", "--pool", "4"]);
    }
    let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let made = dir.path().join("made");
    let args = ["--createsimple", "50", "--with-default-pool", "--mark-up-in", &made.display().to_string()];
    assert!(run("osdmaptool", &args, dir.path()).good);
    same(&made, &["--test-map-pgs-dump-all"]);
}

/// Lines that both say, less what only OSDs and monitors act on.
fn common(text: &str, theirs: bool) -> Vec<String> {
    let left_out = [
        "full_ratio ",
        "backfillfull_ratio ",
        "nearfull_ratio ",
        "min_compat_client ",
        "stretch_mode_enabled ",
        "\tremoved_snaps_queue ",
    ];
    let lines = text.lines().filter(|line| !left_out.iter().any(|word| line.starts_with(word)));
    let mut lines: Vec<String> = lines.map(|line| common_of_line(line, theirs)).collect();
    // The blocklist has no order.
    let entries = lines.iter().position(|line| line.contains("blocklist ")).unwrap_or(lines.len());
    lines[entries..].sort();
    lines
}

fn common_of_line(line: &str, theirs: bool) -> String {
    let mut words: Vec<&str> = line.split(' ').collect();
    let mut cut = |from| {
        if let Some(at) = words.iter().position(|word| *word == from) {
            words.drain(at..at + 2);
        }
    };
    // Options of pools, and how long an OSD lived.
    for word in ["pg_num_max", "pg_num_min", "up_from", "up_thru", "down_at", "last_clean_interval"] {
        cut(word);
    }
    if theirs && line.starts_with("osd.") {
        // Its UUID, and where it speaks to other OSDs.
        let uuid = words.last().is_some_and(|word| word.len() == 36);
        words.truncate(words.len() - usize::from(uuid));
        words.remove(words.len() - 2);
    }
    // A flag that is younger than the tool.
    words.join(" ").replace("selfmanaged_snaps,bulk", "selfmanaged_snaps,???")
}

fn same_print(map: &Path) {
    let map = map.display().to_string();
    let theirs = run("osdmaptool", &[&map[..], "--print"], Path::new("/"));
    let ours = run(ringbd(), &["osdmap", &map[..]], Path::new("/"));
    assert!(theirs.good && ours.good, "{} {}", theirs.all, ours.all);
    assert_eq!(common(&ours.out, false), common(&theirs.out, true), "{map}");
    assert!(ours.out.contains("\nmax_osd "), "{}", ours.out);
}

#[test]
fn maps_are_printed_as_by_osdmaptool() {
    if !installed(&["osdmaptool"], "ceph-common") {
        return;
    }
    for epoch in [44, 53, 57, 80] {
        same_print(&golden(epoch));
    }
    let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for seed in 0..20 {
        let map = random_maps::osd_map(&mut Rng::with_seed(seed), 20);
        // The tool is of a release that knows no primaries chosen by hand.
        let old_pg_upmap_primaries = map.pg_upmap_primaries().map(|(pg, _)| pg).collect();
        let map = map.apply(&Incremental { old_pg_upmap_primaries, ..Incremental::after(&map) }).unwrap();
        let file = dir.path().join(format!("map{seed}"));
        std::fs::write(&file, Encoder::to_vec(|e| map.encode(e))).unwrap();
        same_print(&file);
    }
}

#[test]
fn mistakes_are_named() {
    let dir = Path::new("/");
    let map = golden(53).display().to_string();
    let says = |args: &[&str]| {
        let said = run(ringbd(), &[&["osdmap"], args].concat(), dir);
        assert!(!said.good, "{args:?}");
        said.all
    };
    assert!(says(&["/nonexistent"]).contains("cannot read `/nonexistent`: (2) No such file or directory"));
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    assert!(says(&[manifest]).contains("is not an OSD map: an OSD map at byte"), "{}", says(&[manifest]));
    assert_eq!(says(&[&map, "--pool", "99"]), "ringbd: There is no pool 99\n");
    assert!(says(&[&map, "--format", "json"]).contains("leave --format away"));
}
