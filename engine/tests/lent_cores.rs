//! Lent threads that work for each other: requests cross between them while they come, go and sleep, and no wait lasts for ever.

#![allow(clippy::unwrap_used)]

use ringbd::config::{ImageSpec, QemuCache, Settings, Sources};
use ringbd::store::{CreateImage, CreateStore, ImageName, OpenMode, Store};
use ringbd::{Buf, Completion, Core, Cores, Engine, EngineOptions, Image, OpenOptions, Request, World};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything takes on a loaded machine: a wait that reaches it was not woken.
const LIMIT: Duration = Duration::from_secs(60);

const BLOCK: usize = 4096;
const IMAGE_BYTES: u64 = 64 << 20;
const OBJECT_BYTES: u64 = 1 << 20;

struct Bed {
    engine: Engine,
    image: Image,
    _dir: tempfile::TempDir,
}

/// An engine of lent threads, and an image whose 64 objects spread over them.
fn bed(cores: usize) -> Bed {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = Store::create(&World::real(), &path, &CreateStore::default()).unwrap();
    let name = ImageName { pool: "data", namespace: "", image: "img" };
    let create = CreateImage { order: OBJECT_BYTES.trailing_zeros() as u8, ..CreateImage::new(IMAGE_BYTES) };
    store.create_image(name, &create, &mut |_, _| {}).unwrap();
    drop(store);
    let store = Store::open(&World::real(), &path, OpenMode::ReadWrite).unwrap();
    let options = EngineOptions { cores: Cores::Lent(cores), ..EngineOptions::default() };
    let engine = Engine::start(store, options).unwrap();
    let spec = ImageSpec::new("data", "img");
    let sources = Sources::default().with_cache(QemuCache::Writeback);
    let sources = sources.with_option("rbd_cache_writethrough_until_flush", "false");
    let settings = Settings::load(&spec.clone().with_option("conf", "/dev/null"), &sources).unwrap();
    let image = engine.open(&spec, &OpenOptions::new(&settings)).unwrap();
    Bed { engine, image, _dir: dir }
}

fn pattern(seed: u64) -> Buf {
    let mut buf = Buf::zeroed(BLOCK);
    if seed != 0 {
        fastrand::Rng::with_seed(seed).fill(&mut buf);
    }
    buf
}

/// The next completion. Sleeps for it without another thread's help but the engine's.
fn next_completion(core: &mut Core) -> Completion {
    let start = Instant::now();
    loop {
        if let Some(done) = core.next_completion() {
            return done;
        }
        core.wait(Some(LIMIT));
        assert!(start.elapsed() < LIMIT, "a wait was not woken, with {} under way", core.under_way());
    }
}

/// What one thread knows of its own blocks: the seed of what was last written to each.
struct Blocks {
    first: u64,
    seeds: BTreeMap<u64, u64>,
    /// Blocks that a request is on, by its token, with what a read has to find.
    in_flight: HashMap<u64, (u64, Option<u64>)>,
    rng: fastrand::Rng,
}

impl Blocks {
    /// Blocks `thread` of every `OBJECT_BYTES / 2`: every thread has some in every object.
    fn of_thread(thread: u64) -> Self {
        let rng = fastrand::Rng::with_seed(thread);
        Self { first: thread, seeds: BTreeMap::new(), in_flight: HashMap::new(), rng }
    }

    fn offset(&self, block: u64) -> u64 {
        block * (OBJECT_BYTES / 2) + self.first * BLOCK as u64
    }

    fn begin(&mut self, core: &mut Core, image: &Image, token: u64) {
        let block = self.rng.u64(..IMAGE_BYTES / (OBJECT_BYTES / 2));
        if self.in_flight.values().any(|(busy, _)| *busy == block) {
            return;
        }
        let expected = if self.rng.bool() {
            let seed = self.rng.u64(1..);
            self.seeds.insert(block, seed);
            core.submit(image, Request::write(self.offset(block), pattern(seed)), token);
            None
        } else {
            core.submit(image, Request::read(self.offset(block), Buf::zeroed(BLOCK)), token);
            Some(self.seeds.get(&block).copied().unwrap_or(0))
        };
        self.in_flight.insert(token, (block, expected));
    }

    fn end(&mut self, done: Completion) {
        assert_eq!(done.result.unwrap(), BLOCK as u64);
        let (block, expected) = self.in_flight.remove(&done.token).expect("each request ends once");
        if let Some(seed) = expected {
            assert!(*done.buf == *pattern(seed), "thread {} block {block}", self.first);
        }
    }

    /// One stay of the thread in the engine: some requests, up to `depth` at once, a nap now and then, and off,
    /// with whatever is still under way.
    fn stay(&mut self, engine: &Engine, image: &Image) {
        let mut core = engine.lend().unwrap();
        let (requests, depth) = (self.rng.u64(1..600), self.rng.usize(1..80));
        for token in 0..requests {
            self.begin(&mut core, image, token);
            match self.rng.u32(..400) {
                0 => thread::sleep(Duration::from_micros(self.rng.u64(..500))),
                1..100 => drop(core.poll()),
                _ => {}
            }
            while self.in_flight.len() >= depth {
                self.end(next_completion(&mut core));
            }
        }
        // A core that goes ends its requests first, though nobody collects the completions.
        drop(core);
        self.in_flight.clear();
    }

    fn check(&self, core: &mut Core, image: &Image) {
        for (block, seed) in &self.seeds {
            core.submit(image, Request::read(self.offset(*block), Buf::zeroed(BLOCK)), *block);
            let done = next_completion(core);
            done.result.unwrap();
            assert!(*done.buf == *pattern(*seed), "thread {} block {block} at the end", self.first);
        }
    }
}

#[test]
fn requests_cross_while_lent_threads_come_and_go_under_load() {
    let bed = bed(3);
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let (engine, image) = (bed.engine.clone(), bed.image.clone());
            thread::spawn(move || {
                let mut blocks = Blocks::of_thread(thread);
                for _ in 0..30 {
                    blocks.stay(&engine, &image);
                }
                blocks
            })
        })
        .collect();
    let all: Vec<Blocks> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(bed.engine.cores(), 0);
    let mut core = bed.engine.lend().unwrap();
    all.iter().for_each(|blocks| blocks.check(&mut core, &bed.image));
    core.block_on(bed.image.close()).unwrap();
}

#[test]
fn a_core_that_sleeps_gets_up_for_what_others_want_of_it() {
    let bed = bed(2);
    let (both_there, over) = (Arc::new(Barrier::new(2)), Arc::new(AtomicBool::new(false)));
    let sleeps = Arc::new(AtomicUsize::new(0));
    let sleeper = {
        let (engine, both_there, over, sleeps) =
            (bed.engine.clone(), both_there.clone(), over.clone(), sleeps.clone());
        thread::spawn(move || {
            let mut core = engine.lend().unwrap();
            both_there.wait();
            while !over.load(Ordering::Acquire) {
                let start = Instant::now();
                core.wait(Some(LIMIT));
                assert!(start.elapsed() < LIMIT, "a wait was not woken");
                sleeps.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let mut core = bed.engine.lend().unwrap();
    both_there.wait();
    let mut blocks = Blocks::of_thread(0);
    for token in 0..3000 {
        blocks.begin(&mut core, &bed.image, token);
        // One at a time, or several: the sleeper is asleep, awake, or on its way to either.
        while blocks.in_flight.len() > token as usize % 3 {
            blocks.end(next_completion(&mut core));
        }
    }
    while !blocks.in_flight.is_empty() {
        blocks.end(next_completion(&mut core));
    }
    assert!(sleeps.load(Ordering::Relaxed) > 100, "half of the objects are the sleeper's");
    over.store(true, Ordering::Release);
    // Leaving tells the other core, which is the last thing that gets it up.
    drop(core);
    sleeper.join().unwrap();
}

#[test]
fn a_wait_does_not_sleep_over_completions_that_are_there() {
    let bed = bed(1);
    let mut core = bed.engine.lend().unwrap();
    let (written, _) = core.block_on(bed.image.write_at(pattern(1), 0));
    written.unwrap();
    for token in 0..2 {
        core.submit(&bed.image, Request::read(0, Buf::zeroed(BLOCK)), token);
    }
    assert_eq!(core.completions(), 2, "what is cached ends before submit returns");
    for left in [1, 0] {
        let start = Instant::now();
        core.wait(Some(LIMIT));
        assert!(start.elapsed() < LIMIT / 2, "it slept beside {} completions", left + 1);
        core.next_completion().unwrap().result.unwrap();
        assert_eq!(core.completions(), left);
    }
    core.block_on(bed.image.close()).unwrap();
}
