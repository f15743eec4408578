//! Where Ceph's own tools place data, and where we do: random CRUSH maps through `crushtool`, random OSD maps through
//! `osdmaptool`, many thousand placements in all.
//!
//! Needs both tools (Debian: ceph-common). Where they are missing the tests say so and pass, except in the gate (`CI=true`),
//! where they fail. A failing seed is in the message; `RINGBD_SEED=n cargo test --test placement` runs it alone,
//! `RINGBD_SEEDS=n` that many.

#![allow(clippy::unwrap_used)]

use fastrand::Rng;
use ringbd_proto::codec::Encoder;
use ringbd_proto::crush::{CrushMap, Workspace};
use ringbd_proto::hash::object_hash;
use ringbd_proto::osdmap::{Incremental, OsdMap, Osds, PoolKind};
use ringbd_proto::types::PgId;
use ringbd_tests::programs::{Said, installed, run};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::PathBuf;
use tempfile::TempDir;

#[path = "../../engine/proto/tests/random_maps/mod.rs"]
mod random_maps;

/// Numbers that are mapped by each rule of each map.
const NUMBERS: u32 = 64;

/// The seeds to run, where there are usually so many.
fn seeds(usually: u64) -> std::ops::Range<u64> {
    if let Ok(seed) = std::env::var("RINGBD_SEED") {
        let seed = seed.parse().unwrap();
        return seed..seed + 1;
    }
    0..std::env::var("RINGBD_SEEDS").map_or(usually, |seeds| seeds.parse().unwrap())
}

/// Ceph's tools, and a folder for their files.
struct Tools {
    dir: TempDir,
}

impl Tools {
    /// Nothing where one is missing.
    fn set_up() -> Option<Tools> {
        let installed = installed(&["crushtool", "osdmaptool"], "ceph-common");
        installed.then(|| Tools { dir: TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap() })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    /// What a tool says that ends well.
    fn run<S: AsRef<OsStr>>(&self, tool: &str, args: &[S]) -> String {
        let said = run(tool, args, self.dir.path());
        let args: Vec<_> = args.iter().map(AsRef::as_ref).collect();
        assert!(said.good, "{tool} {args:?}: {}", said.all);
        said.all
    }
}

/// Lines as `crushtool --test --show-mappings` prints them, for every rule.
fn mappings(crush: &CrushMap, weights: &[u32], width: usize) -> String {
    let mut workspace = Workspace::default();
    let mut text = String::new();
    for rule in 0..crush.parts().rules.len() as u32 {
        if crush.rule(rule).is_none() {
            continue;
        }
        for x in 0..NUMBERS {
            let items = crush.map(rule, x, width, weights, 0, &mut workspace).unwrap();
            let items: Vec<String> = items.iter().map(i32::to_string).collect();
            writeln!(text, "CRUSH rule {rule} x {x} [{}]", items.join(",")).unwrap();
        }
    }
    text
}

/// The weights that crushtool gives to the devices: all in, but for these.
fn weights(crush: &CrushMap, but: &[(i32, u32)]) -> Vec<u32> {
    let mut weights = vec![0; crush.max_devices() as usize];
    let items = crush.parts().buckets.iter().flatten().flat_map(|bucket| &bucket.items);
    items.filter(|item| **item >= 0).for_each(|item| weights[*item as usize] = 0x1_0000);
    but.iter().for_each(|(device, weight)| weights[*device as usize] = *weight);
    weights
}

/// Compares all mappings of a CRUSH map, and returns how many there were.
fn compare_crush(tools: &Tools, crush: &CrushMap, random: &mut Rng, what: &str) -> usize {
    let file = tools.write("crush", &Encoder::to_vec(|e| crush.encode(e)));
    let width = random.usize(1..9);
    let but: Vec<(i32, u32)> = (0..random.usize(0..4))
        .map(|_| (random.i32(0..crush.max_devices()), random.u32(0..4) * 0x4000))
        .collect();
    let mut args =
        vec!["-i".to_owned(), file.display().to_string(), "--test".into(), "--show-mappings".into()];
    args.extend(["--num-rep".into(), width.to_string()]);
    args.extend(["--min-x".into(), "0".into(), "--max-x".into(), (NUMBERS - 1).to_string()]);
    for (device, weight) in &but {
        args.extend(["--weight".into(), device.to_string(), (f64::from(*weight) / 65536.0).to_string()]);
    }
    let theirs = tools.run("crushtool", &args);
    let theirs: Vec<&str> = theirs.lines().filter(|line| line.starts_with("CRUSH rule")).collect();
    let weights = weights(crush, &but);
    if weights.iter().all(|weight| *weight == 0) {
        // The tool leaves out what has nowhere to go.
        return 0;
    }
    let ours = mappings(crush, &weights, width);
    assert_eq!(ours.lines().count(), theirs.len(), "{what}");
    for (ours, theirs) in ours.lines().zip(&theirs) {
        assert_eq!(ours, *theirs, "{what}, {width} wide, {but:?}");
    }
    theirs.len()
}

#[test]
fn random_crush_maps_place_as_crushtool_does() {
    let Some(tools) = Tools::set_up() else { return };
    let mut compared = 0;
    for seed in seeds(120) {
        let mut random = Rng::with_seed(seed);
        let crush = random_maps::crush_map(&mut random, if seed % 4 == 0 { 300 } else { 24 });
        compared += compare_crush(&tools, &crush, &mut random, &format!("seed {seed}"));
    }
    println!("{compared} mappings of random CRUSH maps compared");
    assert!(compared > 20_000 || seeds(120).end != 120, "{compared}");
}

#[test]
fn crushtool_writes_a_map_as_we_do() {
    let Some(tools) = Tools::set_up() else { return };
    for seed in seeds(40) {
        let crush = random_maps::crush_map(&mut Rng::with_seed(seed), 40);
        let bytes = Encoder::to_vec(|e| crush.encode(e));
        let file = tools.write("crush", &bytes).display().to_string();
        // Some change is needed for the tool to write the map: this one sets what is set.
        let tries = crush.parts().tunables.choose_total_tries.to_string();
        tools.run("crushtool", &["-i", &file, "--set-choose-total-tries", &tries, "-o", "again"]);
        assert_eq!(std::fs::read(tools.path("again")).unwrap(), bytes, "seed {seed}");
    }
}

/// A line of `osdmaptool --test-map-pgs-dump-all`.
fn line(map: &OsdMap, pg: PgId, workspace: &mut Workspace) -> String {
    let raw = map.place_by_crush(pg, workspace).unwrap();
    let primary = raw.iter().find(|osd| osd.0 != i32::MAX).map_or(-1, |osd| osd.0);
    let mapping = map.place(pg, workspace).unwrap();
    format!("{pg} raw ({}, p{primary}) {mapping}", Osds(&raw))
}

/// Compares all placement groups of a map, and returns how many there were.
fn compare_osdmap(tools: &Tools, map: &OsdMap, random: &mut Rng, what: &str) -> usize {
    let file = tools.write("osdmap", &Encoder::to_vec(|e| map.encode(e))).display().to_string();
    let mut workspace = Workspace::default();
    let mut compared = 0;
    for (id, pool) in map.pools() {
        let number = id.to_string();
        let args = [&file[..], "--test-map-pgs-dump-all", "--pool", &number];
        let Said { all: text, good, .. } = run("osdmaptool", &args, tools.dir.path());
        let lines: Vec<&str> = text.lines().filter(|line| line.contains(" raw (")).collect();
        // At the first hole in an erasure-coded pool the tool falls over, after it printed the line.
        assert!(good || pool.kind == PoolKind::Erasure, "{what}: {text}");
        assert_eq!(
            lines.len() == pool.pg_num as usize,
            good || lines.len() == pool.pg_num as usize,
            "{text}"
        );
        for (seed, theirs) in (0..).zip(&lines) {
            assert_eq!(line(map, PgId { pool: id, seed }, &mut workspace), *theirs, "{what}");
        }
        compared += lines.len();
        for _ in 0..if good { 0 } else { 4 } {
            let pg = PgId { pool: id, seed: random.u32(0..pool.pg_num) };
            let theirs = tools.run("osdmaptool", &[&file[..], "--test-map-pg", &pg.to_string()]);
            let ours = line(map, pg, &mut workspace);
            assert!(theirs.lines().any(|line| line == ours), "{what}: {ours} is not in {theirs}");
            compared += 1;
        }
        let name = format!("rbd_data.{:x}.{:016x}", random.u64(..), random.u64(0..9999));
        let theirs = tools.run("osdmaptool", &[&file[..], "--test-map-object", &name, "--pool", &number]);
        let pg = map.pg(id, object_hash(b"", name.as_bytes())).unwrap();
        let acting = map.place(pg, &mut workspace).unwrap().acting;
        let ours = format!(" object '{name}' -> {pg} -> {}", Osds(&acting));
        assert!(theirs.lines().any(|line| line == ours), "{what}: {ours} is not in {theirs}");
    }
    compared
}

#[test]
fn random_osd_maps_place_as_osdmaptool_does() {
    let Some(tools) = Tools::set_up() else { return };
    let mut compared = 0;
    for seed in seeds(40) {
        let mut random = Rng::with_seed(seed);
        let map = random_maps::osd_map(&mut random, 40);
        // The tool is of a release that knows no primaries chosen by hand.
        let old_pg_upmap_primaries = map.pg_upmap_primaries().map(|(pg, _)| pg).collect();
        let map = map.apply(&Incremental { old_pg_upmap_primaries, ..Incremental::after(&map) }).unwrap();
        compared += compare_osdmap(&tools, &map, &mut random, &format!("seed {seed}"));
    }
    println!("{compared} placement groups of random OSD maps compared");
    assert!(compared > 2_000 || seeds(40).end != 40, "{compared}");
}

/// Decodes a map that crushtool made, checks that it would be written the same, and compares its mappings.
fn compare_compiled(tools: &Tools, file: &str, what: &str) -> usize {
    let bytes = std::fs::read(tools.path(file)).unwrap();
    let crush = CrushMap::decode(&bytes).unwrap();
    assert!(bytes == Encoder::to_vec(|e| crush.encode(e)), "{what}: written otherwise");
    (0..4).map(|seed| compare_crush(tools, &crush, &mut Rng::with_seed(seed), what)).sum()
}

#[test]
fn hierarchies_that_crushtool_builds_place_as_it_does() {
    let Some(tools) = Tools::set_up() else { return };
    let mut compared = 0;
    for algorithm in ["uniform", "list", "tree", "straw", "straw2"] {
        for (osds, host, rack) in [("7", "2", "2"), ("60", "4", "5"), ("500", "12", "20")] {
            let mut args = vec!["-o", "built", "--build", "--num_osds", osds];
            args.extend(["host", algorithm, host, "rack", algorithm, rack, "root", algorithm, "0"]);
            tools.run("crushtool", &args);
            compared += compare_compiled(&tools, "built", algorithm);
        }
    }
    assert!(compared >= 15 * NUMBERS as usize, "{compared}");
}

/// A map in the words of people: three racks of hosts of OSDs of two classes, other weights for the replicas of a pool,
/// and rules for both kinds of pools.
fn text_map(random: &mut Rng, algorithm: &str, tunables: &[(&str, u32)]) -> String {
    let mut text = String::new();
    // Of a class alone the tool makes no hierarchy of uniform buckets, and one of trees with weights that it never set.
    let classless = ["uniform", "tree"].contains(&algorithm);
    let mut say = |line: String| writeln!(text, "{line}").unwrap();
    for (name, value) in tunables {
        say(format!("tunable {name} {value}"));
    }
    for osd in 0..36 {
        let class = if osd % 3 == 0 { " class ssd" } else { " class hdd" };
        say(format!("device {osd} osd.{osd}{}", if classless { "" } else { class }));
    }
    for (id, name) in ["osd", "host", "rack", "root"].iter().enumerate() {
        say(format!("type {id} {name}"));
    }
    let mut bucket = |kind: &str, name: &str, items: Vec<String>, weight: u32| {
        say(format!("{kind} {name} {{\n alg {algorithm}\n hash 0"));
        for item in items {
            // What weighs the same everywhere can be in buckets of all algorithms.
            say(format!(" item {item} weight {weight}.00000"));
        }
        say("}".to_owned());
    };
    for host in 0..12 {
        let osds = (host * 3..host * 3 + 3).map(|osd| format!("osd.{osd}")).collect();
        bucket("host", &format!("host{host}"), osds, 2);
    }
    for rack in 0..3 {
        let hosts = (rack * 4..rack * 4 + 4).map(|host| format!("host{host}")).collect();
        bucket("rack", &format!("rack{rack}"), hosts, 6);
    }
    bucket("root", "default", (0..3).map(|rack| format!("rack{rack}")).collect(), 24);
    let class = |name: &str| if classless { String::new() } else { format!(" class {name}") };
    let (ssd, hdd) = (format!("default{}", class("ssd")), format!("default{}", class("hdd")));
    for (id, take, steps) in [
        (0, "default", "step chooseleaf firstn 0 type host"),
        (1, &ssd[..], "step chooseleaf firstn 0 type host"),
        (2, &hdd, "step set_chooseleaf_tries 5\n step chooseleaf indep 0 type host"),
        (3, "default", "step choose indep 3 type rack\n step chooseleaf indep 2 type host"),
        (4, "default", "step choose firstn 2 type rack\n step chooseleaf firstn 2 type host"),
    ] {
        let kind = if steps.contains("indep") { "erasure" } else { "replicated" };
        say(format!("rule rule{id} {{\n id {id}\n type {kind}\n min_size 1\n max_size 10"));
        say(format!(" step take {take}\n {steps}\n step emit\n}}"));
    }
    if algorithm == "straw2" {
        let mut weights = |n: usize| -> String {
            (0..n).map(|_| format!(" {}.{:03}", random.u8(0..4), random.u16(0..1000))).collect()
        };
        say("choose_args 0 {".to_owned());
        say(format!(
            " {{\n bucket_id -1\n weight_set [\n [{} ]\n [{} ]\n ]\n ids [ -20 30 -40 ]\n }}",
            weights(3),
            weights(3)
        ));
        say("}".to_owned());
    }
    text
}

#[test]
fn maps_in_the_words_of_people_place_as_crushtool_does() {
    let Some(tools) = Tools::set_up() else { return };
    let legacy = [
        ("choose_local_tries", 2),
        ("choose_local_fallback_tries", 5),
        ("choose_total_tries", 19),
        ("chooseleaf_descend_once", 0),
        ("chooseleaf_vary_r", 0),
        ("chooseleaf_stable", 0),
    ];
    let odd = [("choose_total_tries", 7), ("chooseleaf_vary_r", 3), ("chooseleaf_stable", 0)];
    let mut compared = 0;
    for algorithm in ["uniform", "list", "tree", "straw", "straw2"] {
        for tunables in [&[][..], &legacy, &odd] {
            let text = text_map(&mut Rng::with_seed(7), algorithm, tunables);
            tools.write("text", text.as_bytes());
            tools.run("crushtool", &["-c", "text", "-o", "compiled"]);
            compared += compare_compiled(&tools, "compiled", &format!("{algorithm} {tunables:?}"));
        }
    }
    println!("{compared} mappings of compiled CRUSH maps compared");
    assert!(compared >= 15 * 5 * NUMBERS as usize, "{compared}");
}

#[test]
fn a_map_that_osdmaptool_makes_and_balances_places_as_it_does() {
    let Some(tools) = Tools::set_up() else { return };
    let text = text_map(&mut Rng::with_seed(7), "straw2", &[]);
    tools.write("text", text.as_bytes());
    tools.run("crushtool", &["-c", "text", "-o", "compiled"]);
    tools.run("osdmaptool", &["--createsimple", "36", "--with-default-pool", "--pg-bits", "4", "made"]);
    tools.run("osdmaptool", &["made", "--import-crush", "compiled", "--mark-up-in"]);
    tools.run(
        "osdmaptool",
        &["made", "--upmap", "upmaps", "--upmap-max", "60", "--upmap-deviation", "1", "--save"],
    );
    let map = OsdMap::decode(&std::fs::read(tools.path("made")).unwrap()).unwrap();
    assert!(map.pg_upmap_items().count() > 5, "the tool has balanced");
    assert!(compare_osdmap(&tools, &map, &mut Rng::with_seed(7), "balanced") >= 36 << 4);
}
