//! Writes to an image and tells on its standard output what it began and what was acknowledged, until it is killed.
//!
//! Usage: crash-writer IMAGE-SPEC CACHE-MODE CORES SEED. A line is written to the pipe before an operation is issued
//! and after it was acknowledged, so whoever reads the pipe knows at least as little as the writer did:
//!
//! ```text
//! w BLOCK VERSION   a write begins        z BLOCK VERSION   a write of zeros begins
//! a BLOCK VERSION   it was acknowledged
//! f ID              a flush begins        F ID              it was acknowledged
//! ```

use ringbd::config::{ImageSpec, Settings, Sources};
use ringbd::store::{OpenMode, Store};
use ringbd::{Buf, Cores, Engine, EngineOptions, Image, OpenOptions, World};
use ringbd_tests::stamp::{self, BLOCK_BYTES};
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Threads, each with its own blocks, so that writes of one block never overlap.
const WRITERS: u64 = 8;
const RUN_BLOCKS_MAX: u64 = 8;

struct Teller(Mutex<std::fs::File>);

impl Teller {
    /// One write(2) for each line: what is in the pipe survives the writer.
    fn tell(&self, lines: &str) {
        let mut out = self.0.lock().expect("no teller panics");
        if out.write_all(lines.as_bytes()).is_err() {
            // Nobody listens any more.
            std::process::exit(0);
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [spec, mode, cores, seed] = arguments.as_slice() else {
        eprintln!("usage: crash-writer IMAGE-SPEC CACHE-MODE CORES SEED");
        std::process::exit(2);
    };
    let image = open(spec, mode, cores.parse().expect("CORES is a number"));
    let seed: u64 = seed.parse().expect("SEED is a number");
    let stdout =
        std::fs::File::options().write(true).open("/dev/stdout").expect("there is a standard output");
    let (teller, versions) = (Teller(Mutex::new(stdout)), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (image, teller, versions) = (&image, &teller, &versions);
            scope.spawn(move || write_for_ever(image, teller, versions, writer, seed * WRITERS + writer));
        }
    });
}

fn open(spec: &str, mode: &str, cores: usize) -> Image {
    let spec: ImageSpec = spec.parse().expect("IMAGE-SPEC is one");
    let sources = Sources::from_process().with_cache(mode.parse().expect("CACHE-MODE is one"));
    let settings = Settings::load(&spec, &sources).expect("the settings are valid");
    let world = World::real();
    let dir = settings.store().expect("the spec names a store");
    let store = Store::open(&world, dir, OpenMode::ReadWrite).expect("the store opens");
    let options = EngineOptions { cores: Cores::Own(cores), ..EngineOptions::default() };
    let engine = Engine::start(store, options).expect("the engine starts");
    engine.open(&spec, &OpenOptions::new(&settings)).expect("the image opens")
}

fn write_for_ever(image: &Image, teller: &Teller, versions: &AtomicU64, writer: u64, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let blocks = image.size() / BLOCK_BYTES as u64 / WRITERS;
    let mut flushes = 0;
    loop {
        if random.u32(..20) == 0 {
            let id = writer << 32 | flushes;
            flushes += 1;
            teller.tell(&format!("f {id}\n"));
            image.blocking().flush().expect("a flush on a healthy disk works");
            teller.tell(&format!("F {id}\n"));
            continue;
        }
        let run = random.u64(1..=RUN_BLOCKS_MAX);
        let first = writer * blocks + random.u64(..blocks - run);
        let first_version = versions.fetch_add(run, Ordering::Relaxed) + 1;
        let line = |word: char, n: u64| format!("{word} {} {}\n", first + n, first_version + n);
        let lines = |word: char| (0..run).map(|n| line(word, n)).collect::<String>();
        let (offset, len) = (first * BLOCK_BYTES as u64, run * BLOCK_BYTES as u64);
        if random.u32(..10) == 0 {
            teller.tell(&lines('z'));
            image.blocking().write_zeroes(offset, len).expect("zeroing on a healthy disk works");
        } else {
            let mut buf = Buf::zeroed(len as usize);
            for (n, block) in (0..).zip(buf.chunks_exact_mut(BLOCK_BYTES)) {
                stamp::fill(first + n, first_version + n, block);
            }
            teller.tell(&lines('w'));
            image.blocking().write_at(buf, offset).0.expect("a write on a healthy disk works");
        }
        teller.tell(&lines('a'));
    }
}
