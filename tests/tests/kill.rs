//! kill -9 of a writing process at random moments: what was promised is there when the image is opened again.

#![allow(clippy::unwrap_used)]

use ringbd::config::{ImageSpec, Settings, Sources};
use ringbd::store::{CreateImage, CreateStore, ImageName, OpenMode, Store, fsck};
use ringbd::{Buf, Engine, EngineOptions, OpenOptions, World};
use ringbd_tests::recorder::{Findings, FlushTicket, Guarantee, Recorder};
use ringbd_tests::stamp::BLOCK_BYTES;
use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const IMAGE_BYTES: u64 = 64 << 20;

/// Rounds for each mode and number of cores; `make soak` asks for more.
fn rounds() -> u64 {
    std::env::var("RINGBD_KILL_ROUNDS").map_or(3, |rounds| rounds.parse().unwrap())
}

#[test]
fn none_keeps_every_acknowledged_write() {
    kill_rounds("none", Guarantee::Acknowledgement);
}

#[test]
fn directsync_keeps_every_acknowledged_write() {
    kill_rounds("directsync", Guarantee::Acknowledgement);
}

#[test]
fn writethrough_keeps_every_acknowledged_write() {
    kill_rounds("writethrough", Guarantee::Acknowledgement);
}

#[test]
fn writeback_keeps_what_was_flushed_and_loses_no_more_than_the_limit() {
    kill_rounds("writeback", Guarantee::Flush);
}

#[test]
fn writearound_keeps_what_was_flushed_and_loses_no_more_than_the_limit() {
    kill_rounds("writearound", Guarantee::Flush);
}

#[test]
fn unsafe_keeps_nothing_but_never_invents_anything() {
    kill_rounds("unsafe", Guarantee::Nothing);
}

fn kill_rounds(mode: &str, guarantee: Guarantee) {
    let dir = tempfile::tempdir().unwrap();
    let store_dir = dir.path().join("store");
    Store::create(&World::real(), &store_dir, &CreateStore::default()).unwrap();
    let mut random = fastrand::Rng::new();
    let mut written = 0;
    for round in 0..rounds() {
        for cores in [1, 2] {
            let name = format!("img-{round}-{cores}");
            create(&store_dir, &name);
            let (seed, after) = (random.u64(..1 << 40), Duration::from_millis(random.u64(20..300)));
            eprintln!("{mode}: {cores} cores, seed {seed}, killed after {after:?}");
            let recorder = run_and_kill(&store_dir, &name, mode, cores, seed, after);
            let findings = check(&store_dir, &name, &recorder, guarantee);
            written += findings.blocks;
            let lost = findings.lost_acknowledged * BLOCK_BYTES as u64;
            assert!(lost <= 24 << 20, "{lost} bytes lost, more than rbd_cache_max_dirty");
            eprintln!("  {findings:?}");
        }
    }
    assert!(written > 0, "something was written and checked");
    let report = fsck(&World::real(), &store_dir, false, &mut |_, _, _| {}).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

fn spec(store: &Path, image: &str) -> ImageSpec {
    ImageSpec::new("data", image).with_option("ringbd_store", store.to_str().unwrap())
}

fn create(store_dir: &Path, image: &str) {
    let store = Store::open(&World::real(), store_dir, OpenMode::ReadWrite).unwrap();
    let name = ImageName { pool: "data", namespace: "", image };
    store.create_image(name, &CreateImage::new(IMAGE_BYTES), &mut |_, _| {}).unwrap();
}

/// Runs the writer, kills it, and reads what it told.
fn run_and_kill(store: &Path, image: &str, mode: &str, cores: usize, seed: u64, after: Duration) -> Recorder {
    let mut writer = Command::new(env!("CARGO_BIN_EXE_crash-writer"))
        .args([&spec(store, image).to_string(), mode, &cores.to_string(), &seed.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = writer.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut told = String::new();
        pipe.read_to_string(&mut told).unwrap();
        told
    });
    std::thread::sleep(after);
    writer.kill().unwrap();
    let status = writer.wait().unwrap();
    assert_eq!(status.code(), None, "the writer ended by the signal and not by itself: {status}");
    replay(&reader.join().unwrap())
}

fn replay(told: &str) -> Recorder {
    let mut recorder = Recorder::default();
    let mut flushes: HashMap<u64, FlushTicket> = HashMap::new();
    // The last line may be cut.
    let whole = told.rfind('\n').map_or("", |end| &told[..end]);
    for line in whole.lines() {
        let (word, numbers) = line.split_at(1);
        let numbers: Vec<u64> = numbers.split_whitespace().map(|n| n.parse().unwrap()).collect();
        match (word, numbers.as_slice()) {
            ("w", &[block, version]) => recorder.issue_as(block, version),
            ("z", &[block, version]) => {
                recorder.issue_as(block, version);
                recorder.is_zeros(block, version);
            }
            ("a", &[block, version]) => recorder.acknowledge(block, version),
            ("f", &[id]) => drop(flushes.insert(id, recorder.flush())),
            ("F", &[id]) => recorder.flushed(flushes.remove(&id).unwrap()),
            _ => panic!("the writer told {line:?}"),
        }
    }
    recorder
}

fn check(store_dir: &Path, image: &str, recorder: &Recorder, guarantee: Guarantee) -> Findings {
    let spec = spec(store_dir, image);
    let settings = Settings::load(&spec, &Sources::default().with_cache("none".parse().unwrap())).unwrap();
    let store = Store::open(&World::real(), store_dir, OpenMode::ReadWrite).unwrap();
    let engine = Engine::start(store, EngineOptions::default()).unwrap();
    let image = engine.open(&spec, &OpenOptions::new(&settings)).unwrap();
    let read = |block: u64| {
        let (result, buf) = image.blocking().read_at(Buf::zeroed(BLOCK_BYTES), block * BLOCK_BYTES as u64);
        result.unwrap();
        buf.to_vec()
    };
    recorder.check(guarantee, read).unwrap()
}
