//! A disk that fails in the simulated world: every operation ends, nothing that was promised is lost, and when the disk is
//! well again so is the image.

#![allow(clippy::unwrap_used)]

use ringbd::config::{ImageSpec, QemuCache, Settings, Sources};
use ringbd::store::{CreateImage, CreateStore, ImageName, OpenMode, Store, fsck};
use ringbd::{Buf, Cores, Engine, EngineOptions, ErrorKind, Image, OpenOptions, World};
use ringbd_reactor::{DiskOp, Sim, SimConfig, sleep, spawn};
use ringbd_tests::recorder::{Guarantee, Recorder};
use ringbd_tests::stamp::BLOCK_BYTES;
use ringbd_tests::workload::write_randomly;
use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

const STORE: &str = "/store";
const IMAGE_BLOCKS: u64 = 256;

fn spec() -> ImageSpec {
    ImageSpec::new("data", "img")
}

fn no_files(_: &Path) -> io::Result<Vec<u8>> {
    Err(io::ErrorKind::NotFound.into())
}

fn options(mode: QemuCache) -> OpenOptions {
    let sources = Sources::default().with_cache(mode).with_option("rbd_cache_size", "524288");
    let mut options = OpenOptions::new(&Settings::load_with(&spec(), &sources, &no_files).unwrap());
    options.discard_granularity = BLOCK_BYTES as u32;
    options
}

async fn create(order: u8) {
    let store = Store::create(&World::current(), Path::new(STORE), &CreateStore::default()).unwrap();
    let size = IMAGE_BLOCKS * BLOCK_BYTES as u64;
    let name = ImageName { pool: "data", namespace: "", image: "img" };
    store.create_image(name, &CreateImage { order, ..CreateImage::new(size) }, &mut |_, _| {}).unwrap();
}

fn open(mode: QemuCache) -> Image {
    let world = World::current();
    let store = Store::open(&world, Path::new(STORE), OpenMode::ReadWrite).unwrap();
    let engine =
        Engine::start(store, EngineOptions { cores: Cores::Own(2), world, ..EngineOptions::default() });
    engine.unwrap().open(&spec(), &options(mode)).unwrap()
}

async fn contents(image: &Image, blocks: &[u64]) -> std::collections::BTreeMap<u64, Vec<u8>> {
    let mut contents = std::collections::BTreeMap::new();
    for &block in blocks {
        let (result, buf) = image.read_at(Buf::zeroed(BLOCK_BYTES), block * BLOCK_BYTES as u64).await;
        result.unwrap();
        contents.insert(block, buf.to_vec());
    }
    contents
}

/// Writers on a disk of which one write in ten fails: all operations end; afterwards everything can be flushed and is there.
#[test]
fn failing_writes_are_told_and_nothing_acknowledged_is_lost() {
    let mut failures = 0;
    for seed in 0..400 {
        for mode in [QemuCache::None, QemuCache::Writethrough, QemuCache::Writeback, QemuCache::Writearound] {
            let sim = Sim::new(SimConfig::seeded(seed));
            let node = sim.node("host");
            sim.block_on(&node, create(12 + (seed % 7) as u8)).unwrap();
            let recorder = Rc::new(RefCell::new(Recorder::default()));
            let image = sim.block_on(&node, async { open(mode) }).unwrap();
            // The writes of the data path alone: a database that cannot be written stops the store, see below.
            sim.configure_disk(&node, |disk| disk.write_error = 0.1);
            let work = async {
                let writers: Vec<_> = (0..3u64)
                    .map(|writer| {
                        let random = fastrand::Rng::with_seed(seed << 2 | writer);
                        spawn(write_randomly(
                            image.clone(),
                            recorder.clone(),
                            random,
                            writer * 80..writer * 80 + 80,
                            15,
                        ))
                    })
                    .collect();
                let mut failed = 0;
                for writer in writers {
                    failed += writer.await;
                }
                failed
            };
            failures += sim.block_on(&node, work).unwrap();
            sim.configure_disk(&node, |disk| disk.write_error = 0.0);
            let outcome = sim.block_on(&node, async {
                // What failed in the background is tried again by itself, and by the flush at the latest.
                sleep(Duration::from_secs(3)).await;
                let flushed = image.flush().await;
                let written = recorder.borrow().written();
                (flushed, contents(&image, &written).await)
            });
            let (flushed, now) = outcome.unwrap();
            let recorder = recorder.borrow();
            recorder
                .check(Guarantee::Acknowledgement, |block| now[&block].clone())
                .unwrap_or_else(|error| panic!("seed {seed}, {mode}: {error} (flush: {flushed:?})"));
        }
    }
    assert!(failures > 100, "the disk did fail");
}

/// Operations that move only a part of what they were to move are done again, and nobody notices.
#[test]
fn short_transfers_are_made_whole() {
    let mut straight = 0;
    for seed in 0..100 {
        let sim = Sim::new(SimConfig::seeded(seed));
        let node = sim.node("host");
        sim.block_on(&node, create(16)).unwrap();
        let image = sim.block_on(&node, async { open(QemuCache::None) }).unwrap();
        let fill = async { image.write_at(Buf::from_slice(&vec![255; 1 << 20]), 0).await.0 };
        sim.block_on(&node, fill).unwrap().unwrap();
        sim.configure_disk(&node, |disk| disk.short_transfer = 0.5);
        let work = async {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut model = vec![255; 256];
            for round in 0..40u8 {
                let block = random.usize(0..254);
                let count = random.usize(1..=(16 - block % 16).min(2));
                let (at, len) = (block as u64 * 4096, count * 4096);
                image.write_at(Buf::from_slice(&vec![round; len]), at).await.0.unwrap();
                model[block..block + count].fill(round);
                let from = random.usize(0..254);
                let (result, buf) = image.read_at(Buf::zeroed(8192), from as u64 * 4096).await;
                assert_eq!(result.unwrap(), 8192);
                assert!(buf[..4096].iter().all(|&byte| byte == model[from]), "seed {seed}, block {from}");
                assert!(buf[4096..].iter().all(|&byte| byte == model[from + 1]), "seed {seed}, block {from}");
            }
            image.engine().stats().await.straight
        };
        straight += sim.block_on(&node, work).unwrap();
    }
    assert!(straight > 1000, "{straight} operations went straight to the disk");
}

/// A writeback that fails is reported by the flush, again and again, until the disk takes the bytes.
#[test]
fn a_failed_writeback_is_reported_at_every_flush_until_it_lands() {
    let sim = Sim::new(SimConfig::seeded(1));
    let node = sim.node("host");
    sim.block_on(&node, create(16)).unwrap();
    let image = sim.block_on(&node, async { open(QemuCache::Writeback) }).unwrap();
    let write = |byte: u8, at: u64| {
        let image = image.clone();
        async move { image.write_at(Buf::from_slice(&[byte; 4096]), at).await.0.map(drop) }
    };
    // The first flush makes the cache trust the guest, and the object has its slot.
    sim.block_on(&node, write(1, 0)).unwrap().unwrap();
    sim.block_on(&node, image.flush()).unwrap().unwrap();
    sim.configure_disk(&node, |disk| disk.write_error = 1.0);
    sim.block_on(&node, write(2, 0)).unwrap().expect("the cache takes it");
    for _ in 0..3 {
        let error = sim.block_on(&node, image.flush()).unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    }
    assert!(sim.block_on(&node, image.close()).unwrap().is_err(), "closing would lose it");
    sim.configure_disk(&node, |disk| disk.write_error = 0.0);
    sim.block_on(&node, image.flush()).unwrap().expect("the disk is well again");
    let now = sim.block_on(&node, async { contents(&image, &[0]).await }).unwrap();
    assert_eq!(now[&0], vec![2; 4096]);
    sim.block_on(&node, image.close()).unwrap().expect("nothing is left to lose");
}

/// After a failed sync nobody can tell what the disk forgot: every flush says so until the store is opened anew.
#[test]
fn a_failed_sync_is_never_followed_by_a_flush_that_claims_success() {
    for mode in [QemuCache::None, QemuCache::Writeback] {
        let sim = Sim::new(SimConfig::seeded(2));
        let node = sim.node("host");
        sim.block_on(&node, create(16)).unwrap();
        let image = sim.block_on(&node, async { open(mode) }).unwrap();
        let write = async { image.write_at(Buf::from_slice(&[7; 4096]), 0).await.0 };
        sim.block_on(&node, write).unwrap().unwrap();
        sim.block_on(&node, image.flush()).unwrap().unwrap();
        sim.fail_disk_op(&node, DiskOp::Sync, 1, 5);
        let write = async { image.write_at(Buf::from_slice(&[8; 4096]), 0).await.0 };
        sim.block_on(&node, write).unwrap().unwrap();
        for _ in 0..3 {
            let error = sim.block_on(&node, image.flush()).unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io, "{mode}: {error}");
        }
        sim.kill(&node);
        drop(image);
        let image = sim.block_on(&node, async { open(mode) }).unwrap();
        sim.block_on(&node, image.flush()).unwrap().expect("a store that was opened anew flushes");
        let now = sim.block_on(&node, async { contents(&image, &[0]).await }).unwrap();
        assert!(now[&0] == vec![7; 4096] || now[&0] == vec![8; 4096], "{mode}");
    }
}

#[test]
fn a_read_error_is_an_error_and_the_next_read_is_right() {
    for mode in [QemuCache::None, QemuCache::Writeback, QemuCache::Writearound] {
        let sim = Sim::new(SimConfig::seeded(3));
        let node = sim.node("host");
        sim.block_on(&node, create(16)).unwrap();
        let image = sim.block_on(&node, async { open(QemuCache::None) }).unwrap();
        let write = async { image.write_at(Buf::from_slice(&[9; 8192]), 4096).await.0 };
        sim.block_on(&node, write).unwrap().unwrap();
        sim.block_on(&node, image.close()).unwrap().unwrap();
        drop(image);
        let image = sim.block_on(&node, async { open(mode) }).unwrap();
        sim.configure_disk(&node, |disk| disk.read_error = 1.0);
        let read = || async { image.read_at(Buf::zeroed(4096), 4096).await };
        let error = sim.block_on(&node, read()).unwrap().0.unwrap_err();
        assert_eq!((error.kind(), error.errno()), (ErrorKind::Io, 5), "{mode}: {error}");
        sim.configure_disk(&node, |disk| disk.read_error = 0.0);
        let (result, buf) = sim.block_on(&node, read()).unwrap();
        assert_eq!((result.unwrap(), &*buf), (4096, [9; 4096].as_slice()), "{mode}");
    }
}

/// A read that meets a discard under way waits for it, and the core goes on meanwhile.
#[test]
fn reads_and_ragged_writes_over_a_running_discard_end() {
    for mode in [QemuCache::Writeback, QemuCache::Writearound, QemuCache::Writethrough] {
        let sim = Sim::new(SimConfig::seeded(5));
        let node = sim.node("host");
        sim.block_on(&node, create(16)).unwrap();
        let image = sim.block_on(&node, async { open(mode) }).unwrap();
        let work = async {
            for round in 0..20u8 {
                image.write_at(Buf::from_slice(&[1; 65536]), 0).await.0.unwrap();
                image.flush().await.unwrap();
                let discard = image.write_zeroes(0, 32768);
                // Now the core has begun it, and the disk has not ended it.
                sleep(Duration::from_micros(u64::from(round))).await;
                let read = image.read_at(Buf::zeroed(65536), 0);
                let write = image.write_at(Buf::from_slice(&[round; 100]), 4000);
                discard.await.unwrap();
                let (result, buf) = read.await;
                result.unwrap();
                assert!(buf[32768..].iter().all(|&byte| byte == 1), "{mode}: outside the zeroed range");
                write.await.0.unwrap();
            }
        };
        sim.block_on(&node, work).unwrap();
    }
}

/// A full disk: writes fail with ENOSPC, what is there stays, and room that is made is used again.
#[test]
fn a_full_disk_is_told_and_recovers_when_room_is_made() {
    for mode in [QemuCache::None, QemuCache::Writethrough, QemuCache::Writeback] {
        let sim = Sim::new(SimConfig::seeded(4));
        let node = sim.node("host");
        sim.block_on(&node, create(16)).unwrap();
        let image = sim.block_on(&node, async { open(mode) }).unwrap();
        let write = |object: u64, byte: u8| {
            let image = image.clone();
            async move {
                let wrote =
                    image.write_at(Buf::from_slice(&vec![byte; 65536]), object * 65536).await.0.map(drop);
                wrote.and(image.flush().await)
            }
        };
        sim.block_on(&node, write(0, 1)).unwrap().unwrap();
        let room = sim.disk_used(&node) + 2 * 65536;
        sim.configure_disk(&node, |disk| disk.capacity = Some(room));
        let mut fitted = 0;
        let error = loop {
            match sim.block_on(&node, write(1 + fitted, 2)).unwrap() {
                Ok(()) => fitted += 1,
                Err(error) => break error,
            }
            assert!(fitted < 16, "{mode}: the disk never got full");
        };
        assert_eq!((error.kind(), error.errno()), (ErrorKind::NoSpace, 28), "{mode}: {error}");
        let now = sim.block_on(&node, async { contents(&image, &[0]).await }).unwrap();
        assert_eq!(now[&0], vec![1; 4096], "{mode}");
        sim.configure_disk(&node, |disk| disk.capacity = None);
        sim.block_on(&node, write(1 + fitted, 3)).unwrap().unwrap_or_else(|error| panic!("{mode}: {error}"));
        let block = (1 + fitted) * 16;
        let now = sim.block_on(&node, async { contents(&image, &[block]).await }).unwrap();
        assert_eq!(now[&block], vec![3; 4096], "{mode}");
        sim.block_on(&node, image.close()).unwrap().unwrap();
        drop(image);
        let report = sim
            .block_on(&node, async { fsck(&World::current(), Path::new(STORE), false, &mut |_, _, _| {}) });
        assert!(report.unwrap().unwrap().findings.is_empty(), "{mode}");
    }
}
