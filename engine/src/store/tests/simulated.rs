//! The store on a simulated disk: power cuts at every kind of moment, a full disk, failing syncs and commits.
//!
//! Each block is written with numbers of its own, so that what is found after a cut tells which write it was, and whose.
//! A failing seed is in the message; `RINGBD_SEED=n cargo test -p ringbd store::tests::simulated` runs it alone,
//! `RINGBD_SEEDS=n` that many.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use ringbd_reactor::{DiskOp, Durability, Sim, SimConfig, spawn};

use super::*;

const DIR: &str = "/store";
const ORDER: u8 = 16;
const OBJECTS: u64 = 12;
const BLOCK: usize = 4096;
const SEEDS: u64 = 300;
/// Numbers with this bit stand for zeros: what a discard leaves.
const ZERO: u32 = 1 << 31;

/// What a block may hold after a cut: the last number a flush covered, and all that were tried since.
struct Block {
    numbers: VecDeque<u32>,
    /// The newest number that was acknowledged.
    done: u32,
}

#[derive(Default)]
struct Model {
    blocks: RefCell<BTreeMap<(u64, u64), Block>>,
    next: Cell<u32>,
}

impl Model {
    fn begin(&self, object: u64, blocks: impl Iterator<Item = u64>, flag: u32) -> u32 {
        let number = self.next.get() + 1;
        self.next.set(number);
        for block in blocks {
            let fresh = || Block { numbers: VecDeque::from([ZERO]), done: ZERO };
            self.blocks
                .borrow_mut()
                .entry((object, block))
                .or_insert_with(fresh)
                .numbers
                .push_back(number | flag);
        }
        number | flag
    }

    fn acknowledge(&self, number: u32) {
        self.blocks
            .borrow_mut()
            .values_mut()
            .filter(|block| block.numbers.contains(&number))
            .for_each(|block| block.done = number);
    }

    fn acknowledged(&self) -> Vec<((u64, u64), u32)> {
        self.blocks.borrow().iter().map(|(&key, block)| (key, block.done)).collect()
    }

    /// These numbers, or newer ones, must be found from now on.
    fn make_durable(&self, numbers: impl IntoIterator<Item = ((u64, u64), u32)>) {
        let mut blocks = self.blocks.borrow_mut();
        for (key, number) in numbers {
            let block = blocks.get_mut(&key).unwrap();
            if let Some(at) = block.numbers.iter().position(|&other| other == number) {
                block.numbers.drain(..at);
            }
        }
    }

    /// After a cut a block may hold any of its numbers, and stays so until it is written again: acknowledgements of before mean nothing.
    fn start_over(&self) {
        self.blocks.borrow_mut().values_mut().for_each(|block| block.done = block.numbers[0]);
    }

    /// Each sector of each block must be one of the block's own numbers.
    async fn check(&self, objects: &LocalObjects, seed: u64) {
        let blocks = self.blocks.take();
        for (&(object, block), allowed) in &blocks {
            let got = read(objects, object, block * BLOCK as u64, BLOCK).await;
            for (at, sector) in got.chunks(512).enumerate() {
                let words: Vec<u32> =
                    sector.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
                let known = allowed.numbers.iter().any(|&number| {
                    let shown = if number & ZERO != 0 { 0 } else { number };
                    words.iter().all(|&word| word == shown)
                });
                assert!(
                    known,
                    "seed {seed}: object {object} block {block} sector {at} has {}, allowed are {:?}",
                    words[0], allowed.numbers
                );
            }
        }
        self.blocks.replace(blocks);
    }
}

fn options() -> CreateStore {
    // Sixteen slots: they are used again and again.
    CreateStore { data_bytes_max: Some(DATA_START + (1 << 20)), ..CreateStore::default() }
}

/// In the moment of the cut blocking calls still return, with the cut as their error; then nobody is there any more.
async fn or_cut<T>(result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) if error.to_string().contains("lost power") => std::future::pending().await,
        Err(error) => panic!("{error}"),
    }
}

fn try_create() -> Result<Store> {
    let store = Store::create(&World::current(), DIR.as_ref(), &options())?;
    let image = CreateImage { order: ORDER, ..CreateImage::new(OBJECTS << ORDER) };
    create_image(&store, IMAGE, &image)?;
    Ok(store)
}

fn create_in_world() -> Store {
    try_create().unwrap()
}

fn try_open() -> Result<(Store, LocalObjects)> {
    let store = Store::open(&World::current(), DIR.as_ref(), OpenMode::ReadWrite)?;
    let objects = open_objects(&store, &store.image(IMAGE)?);
    Ok((store, objects))
}

fn open_in_world() -> (Store, LocalObjects) {
    try_open().unwrap()
}

fn check_in_world() -> FsckReport {
    fsck(&World::current(), DIR.as_ref(), false, &mut |_, _, _| {}).unwrap()
}

/// One of several writers at once, each with objects of its own.
async fn worker(objects: LocalObjects, model: Rc<Model>, mut random: fastrand::Rng, own: u64) {
    loop {
        let object = random.u64(..OBJECTS / 3) * 3 + own;
        match random.u8(..10) {
            0 | 1 => {
                let number = model.begin(object, 0..(1 << ORDER) / BLOCK as u64, ZERO);
                or_cut(objects.discard(ObjectNo(object), 0, 1 << ORDER).await).await;
                model.acknowledge(number);
                let all = (0..(1 << ORDER) / BLOCK as u64).map(|block| ((object, block), number));
                model.make_durable(all);
            }
            2 => {
                let covered = model.acknowledged();
                or_cut(objects.flush().await).await;
                model.make_durable(covered);
            }
            choice => {
                let block = random.u64(..(1 << ORDER) / BLOCK as u64);
                let number = model.begin(object, block..block + 1, 0);
                let mut buf = Buf::zeroed(BLOCK);
                buf.chunks_mut(4).for_each(|word| word.copy_from_slice(&number.to_le_bytes()));
                let durability = if choice == 3 { Durability::Durable } else { Durability::Volatile };
                let at = block * BLOCK as u64;
                or_cut(objects.write(ObjectNo(object), at, buf, durability).await.0).await;
                model.acknowledge(number);
                if choice == 3 {
                    model.make_durable([((object, block), number)]);
                }
            }
        }
    }
}

fn run_until_cut(seed: u64) -> u64 {
    let sim = Sim::new(SimConfig::seeded(seed));
    let node = sim.node("host");
    sim.block_on(&node, async { drop(create_in_world()) }).unwrap();
    let model = Rc::new(Model::default());
    let mut random = fastrand::Rng::with_seed(seed);
    // Two lives, each ended by the power: what the first leaves is what the second starts from.
    for _ in 0..2 {
        sim.cut_after_disk_ops(&node, random.u64(1..300));
        let (model, seeds) = (Rc::clone(&model), [random.u64(..), random.u64(..), random.u64(..)]);
        let cut = sim.block_on(&node, async {
            let (_store, objects) = or_cut(try_open()).await;
            let tasks: Vec<_> = (0..3)
                .map(|own| {
                    let random = fastrand::Rng::with_seed(seeds[own]);
                    spawn(worker(objects.clone(), Rc::clone(&model), random, own as u64))
                })
                .collect();
            for task in tasks {
                task.await;
            }
        });
        assert!(cut.is_err(), "seed {seed}: workers end only with the power");
        sim.block_on(&node, async {
            let report = check_in_world();
            let interrupted = |finding: &Finding| matches!(finding.problem, Problem::Unfinished(_));
            assert!(report.findings.iter().all(interrupted), "seed {seed}: {:?}", report.findings);
            let (_store, objects) = open_in_world();
            model.check(&objects, seed).await;
        })
        .unwrap();
        model.start_over();
    }
    sim.trace_hash()
}

#[test]
fn a_power_cut_loses_nothing_that_was_promised_and_mixes_nothing_up() {
    if let Ok(seed) = std::env::var("RINGBD_SEED") {
        run_until_cut(seed.parse().unwrap());
        return;
    }
    let seeds = std::env::var("RINGBD_SEEDS").map_or(SEEDS, |text| text.parse().unwrap());
    for seed in 0..seeds {
        run_until_cut(seed);
    }
    assert_eq!(run_until_cut(7), run_until_cut(7), "the same seed runs the same way");
}

#[test]
fn creating_survives_a_power_cut_anywhere() {
    for nth in 1..60 {
        let sim = Sim::new(SimConfig::seeded(nth));
        let node = sim.node("host");
        sim.cut_after_disk_ops(&node, nth);
        let cut = sim.block_on(&node, async { drop(or_cut(try_create()).await) });
        sim.block_on(&node, async {
            if !is_store(&World::current(), DIR.as_ref()) {
                drop(create_in_world());
                return;
            }
            let store = Store::open(&World::current(), DIR.as_ref(), OpenMode::ReadWrite);
            let store = store.unwrap_or_else(|error| panic!("cut at operation {nth}: {error}"));
            if cut.is_ok() {
                store.image(IMAGE).unwrap();
            }
        })
        .unwrap();
    }
}

#[test]
fn a_full_disk_is_an_error_and_not_the_end() {
    for spare in [0, 4096, 20_000, 70_000, 200_000, 400_000] {
        let sim = Sim::new(SimConfig::seeded(spare));
        let node = sim.node("host");
        sim.block_on(&node, async { drop(create_in_world()) }).unwrap();
        let used = sim.disk_used(&node);
        sim.configure_disk(&node, |disk| disk.capacity = Some(used + spare));
        let failures = Rc::new(Cell::new(0));
        let count = Rc::clone(&failures);
        let kept = sim.block_on(&node, async move {
            let (_store, objects) = open_in_world();
            let mut kept = Vec::new();
            for object in 0..OBJECTS {
                let buf = filled(object as u8 + 1, 1 << ORDER);
                match objects.write(ObjectNo(object), 0, buf, Durability::Volatile).await.0 {
                    Ok(()) => kept.push(object),
                    Err(error) => {
                        assert_eq!(error.errno(), 28, "{error}");
                        count.set(count.get() + 1);
                    }
                }
            }
            objects.flush().await.unwrap();
            kept
        });
        let kept = kept.unwrap();
        assert!(failures.get() > 0, "{spare} bytes were enough");
        sim.configure_disk(&node, |disk| disk.capacity = None);
        sim.block_on(&node, async {
            let (store, objects) = open_in_world();
            for object in kept {
                assert_eq!(read(&objects, object, 0, 1 << ORDER).await, vec![object as u8 + 1; 1 << ORDER]);
            }
            for object in 0..OBJECTS {
                write(&objects, object, 0, 7, 1 << ORDER).await;
            }
            drop((store, objects));
            assert_eq!(check_in_world().findings, []);
        })
        .unwrap();
    }
}

#[test]
fn space_that_comes_back_is_used_without_reopening() {
    let sim = Sim::new(SimConfig::seeded(1));
    let node = sim.node("host");
    let (store, objects) = sim
        .block_on(&node, async {
            drop(create_in_world());
            open_in_world()
        })
        .unwrap();
    let used = sim.disk_used(&node);
    sim.configure_disk(&node, |disk| disk.capacity = Some(used));
    sim.block_on(&node, async {
        let (result, _) = objects.write(ObjectNo(0), 0, filled(1, BLOCK), Durability::Volatile).await;
        assert_eq!(result.unwrap_err().errno(), 28);
        assert_eq!(store.create_pool("other").unwrap_err().errno(), 28);
    })
    .unwrap();
    sim.configure_disk(&node, |disk| disk.capacity = None);
    sim.block_on(&node, async {
        store.create_pool("other").unwrap();
        write(&objects, 0, 0, 2, BLOCK).await;
        objects.flush().await.unwrap();
        assert_eq!(read(&objects, 0, 0, BLOCK).await, [2; BLOCK]);
        drop((store, objects));
        assert_eq!(check_in_world().findings, []);
    })
    .unwrap();
}

#[test]
fn a_failed_sync_is_not_forgotten() {
    let sim = Sim::new(SimConfig::seeded(2));
    let node = sim.node("host");
    sim.block_on(&node, async {
        drop(create_in_world());
        let (_store, objects) = open_in_world();
        write(&objects, 0, 0, 1, BLOCK).await;
        objects.flush().await.unwrap();
        write(&objects, 0, 0, 2, BLOCK).await;
        sim.fail_disk_op(&node, DiskOp::Sync, 1, 5);
        assert_eq!(objects.flush().await.unwrap_err().errno(), 5);
        let later = objects.flush().await.unwrap_err();
        assert!(later.to_string().contains("close the store"), "{later}");
        assert_eq!(read(&objects, 0, 0, BLOCK).await.len(), BLOCK, "reading goes on");
    })
    .unwrap();
    sim.block_on(&node, async { open_in_world().1.flush().await.unwrap() }).unwrap();
}

#[test]
fn a_failed_commit_stops_changes_and_keeps_the_rest_going() {
    let sim = Sim::new(SimConfig::seeded(3));
    let node = sim.node("host");
    sim.block_on(&node, async {
        drop(create_in_world());
        let (store, objects) = open_in_world();
        write(&objects, 0, 0, 1, BLOCK).await;
        objects.flush().await.unwrap();
        sim.configure_disk(&node, |disk| disk.sync_error = 1.0);
        let (result, _) = objects.write(ObjectNo(1), 0, filled(1, BLOCK), Durability::Volatile).await;
        assert_eq!(result.unwrap_err().errno(), 5);
        sim.configure_disk(&node, |disk| disk.sync_error = 0.0);
        let refused =
            objects.write(ObjectNo(2), 0, filled(1, BLOCK), Durability::Volatile).await.0.unwrap_err();
        assert!(refused.to_string().contains("metadata commit failed"), "{refused}");
        assert_eq!(store.create_pool("other").unwrap_err().errno(), 5);
        write(&objects, 0, 0, 2, BLOCK).await;
        assert_eq!(read(&objects, 0, 0, BLOCK).await, [2; BLOCK]);
    })
    .unwrap();
    sim.block_on(&node, async {
        assert_eq!(check_in_world().findings, []);
        write(&open_in_world().1, 2, 0, 1, BLOCK).await;
    })
    .unwrap();
}
