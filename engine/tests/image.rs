//! Images on a real store, through each form of the API, on one core and on several, on the engine's threads and on lent ones.

#![allow(clippy::unwrap_used)]

use ringbd::config::{ImageSpec, QemuCache, Settings, Sources};
use ringbd::store::{CreateImage, CreateStore, ImageName, OpenMode, Store};
use ringbd::{
    Buf, CompletionQueue, Cores, Engine, EngineOptions, ErrorKind, Image, OpenOptions, Request, World,
};
use std::path::Path;

struct Bed {
    dir: tempfile::TempDir,
}

impl Bed {
    /// A store with one image, `data/img`.
    fn new(size: u64, order: u8) -> Self {
        let bed = Self { dir: tempfile::tempdir().unwrap() };
        let store = Store::create(&World::real(), &bed.store_dir(), &CreateStore::default()).unwrap();
        let name = ImageName { pool: "data", namespace: "", image: "img" };
        store.create_image(name, &CreateImage { order, ..CreateImage::new(size) }, &mut |_, _| {}).unwrap();
        bed
    }

    fn store_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("store")
    }

    fn engine(&self, cores: Cores) -> Engine {
        let store = Store::open(&World::real(), &self.store_dir(), OpenMode::ReadWrite).unwrap();
        Engine::start(store, EngineOptions { cores, ..EngineOptions::default() }).unwrap()
    }
}

fn spec() -> ImageSpec {
    ImageSpec::new("data", "img")
}

fn options(mode: QemuCache, extra: &[(&str, &str)]) -> OpenOptions {
    let sources =
        extra.iter().fold(Sources::default().with_cache(mode), |s, (key, value)| s.with_option(*key, *value));
    OpenOptions::new(&Settings::load(&spec().with_option("conf", empty_conf()), &sources).unwrap())
}

/// No configuration of the machine's reaches the tests.
fn empty_conf() -> &'static str {
    "/dev/null"
}

fn pattern(seed: u64, len: usize) -> Buf {
    let mut buf = Buf::zeroed(len);
    fastrand::Rng::with_seed(seed).fill(&mut buf);
    buf
}

fn read(image: &Image, offset: u64, len: usize) -> Vec<u8> {
    let (result, buf) = image.blocking().read_at(Buf::zeroed(len), offset);
    assert_eq!(result.unwrap(), len as u64);
    buf.to_vec()
}

#[test]
fn what_is_written_is_read_in_every_mode_and_after_reopening() {
    for mode in QemuCache::ALL {
        let bed = Bed::new(64 << 20, 20);
        for cores in [1, 3] {
            let engine = bed.engine(Cores::Own(cores));
            let image = engine.open(&spec(), &options(mode, &[])).unwrap();
            for (n, (offset, len)) in
                [(0, 4096), (1 << 20, 1 << 20), (4000, 200), (777, 3_000_001)].into_iter().enumerate()
            {
                let data = pattern(n as u64, len);
                let (result, data) = image.blocking().write_at(data, offset);
                assert_eq!(result.unwrap(), len as u64, "{mode}");
                assert_eq!(read(&image, offset, len), &*data, "{mode} at {offset}");
            }
            let before = read(&image, 0, 8 << 20);
            block_on(image.close()).unwrap();
            drop(image);
            let image = engine.open(&spec(), &options(QemuCache::None, &[])).unwrap();
            assert!(read(&image, 0, 8 << 20) == before, "{mode} with {cores} cores lost something at close");
        }
    }
}

#[test]
fn lent_threads_come_and_go_and_take_their_objects_along() {
    let bed = Bed::new(256 << 20, 20);
    let engine = bed.engine(Cores::Lent(2));
    let image = engine.open(&spec(), &options(QemuCache::Writeback, &[])).unwrap();
    let threads: Vec<_> = (0..4u64)
        .map(|thread| {
            let (engine, image) = (engine.clone(), image.clone());
            std::thread::spawn(move || {
                let mut core = engine.lend().unwrap();
                for n in 0..200u64 {
                    let offset = thread * (64 << 20) + (n % 64) * (1 << 20) + n * 512;
                    let data = pattern(thread << 32 | n, 2048);
                    core.submit(&image, Request::write(offset, data), n);
                    while core.next_completion().is_none_or(|done| done.result.unwrap() != 2048) {
                        core.wait(Some(std::time::Duration::from_millis(100)));
                    }
                    if n % 50 == 49 {
                        core.submit(&image, Request::flush(), n);
                        while core.next_completion().is_none() {
                            core.wait(None);
                        }
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(engine.cores(), 0);
    let mut core = engine.lend().unwrap();
    for thread in 0..4u64 {
        for n in 0..200u64 {
            let offset = thread * (64 << 20) + (n % 64) * (1 << 20) + n * 512;
            let (result, buf) = core.block_on(image.read_at(Buf::zeroed(2048), offset));
            result.unwrap();
            // A later write of the same thread, 64 rounds on, lies elsewhere in the object.
            assert!(*buf == *pattern(thread << 32 | n, 2048), "thread {thread} write {n}");
        }
    }
    core.block_on(image.close()).unwrap();
}

#[test]
fn lent_threads_that_come_and_go_at_once_leave_nothing_behind() {
    let bed = Bed::new(64 << 20, 20);
    let engine = bed.engine(Cores::Lent(2));
    let image = engine.open(&spec(), &options(QemuCache::Writeback, &[])).unwrap();
    for round in 0..40u64 {
        let threads: Vec<_> = (0..4u64)
            .map(|thread| {
                let (engine, image) = (engine.clone(), image.clone());
                std::thread::spawn(move || {
                    let mut core = engine.lend().unwrap();
                    for n in 0..16 {
                        let offset = (thread * 16 + n) << 20;
                        let data = pattern(round << 32 | thread << 8 | n, 4096);
                        core.block_on(image.write_at(data, offset)).0.unwrap();
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(engine.cores(), 0);
    }
    let mut core = engine.lend().unwrap();
    for thread in 0..4u64 {
        for n in 0..16 {
            let (result, buf) = core.block_on(image.read_at(Buf::zeroed(4096), (thread * 16 + n) << 20));
            result.unwrap();
            assert!(*buf == *pattern(39 << 32 | thread << 8 | n, 4096), "thread {thread} write {n}");
        }
    }
    core.block_on(image.close()).unwrap();
}

#[test]
fn requests_past_the_end_are_short_or_refused_as_librbd_does() {
    let bed = Bed::new((1 << 20) + 1000, 20);
    let engine = bed.engine(Cores::Own(1));
    let image = engine.open(&spec(), &options(QemuCache::None, &[])).unwrap();
    let end = image.size();
    let (result, buf) = image.blocking().write_at(pattern(1, 4096), end - 100);
    assert_eq!((result.unwrap(), buf.len()), (100, 4096));
    let (result, buf) = image.blocking().read_at(Buf::zeroed(4096), end - 100);
    assert_eq!((result.unwrap(), buf.len()), (100, 4096));
    assert_eq!(buf[..100], pattern(1, 4096)[..100]);
    let error = image.blocking().read_at(Buf::zeroed(1), end).0.unwrap_err();
    assert_eq!((error.kind(), error.errno()), (ErrorKind::InvalidInput, 22));
    assert_eq!(image.blocking().read_at(Buf::empty(), end).0.unwrap(), 0);
    let (result, bufs) =
        block_on(image.readv_at(vec![Buf::zeroed(90), Buf::zeroed(90), Buf::zeroed(90)], end - 100));
    assert_eq!((result.unwrap(), bufs.len()), (100, 3));
}

#[test]
fn zeroes_discards_and_compare_and_write_do_what_they_say() {
    for mode in [QemuCache::None, QemuCache::Writeback, QemuCache::Writearound, QemuCache::Writethrough] {
        let bed = Bed::new(16 << 20, 20);
        let engine = bed.engine(Cores::Own(2));
        let image = engine.open(&spec(), &options(mode, &[])).unwrap();
        let io = image.blocking();
        io.write_at(pattern(7, 4 << 20), 0).0.unwrap();
        let mut expected = pattern(7, 4 << 20).to_vec();
        io.write_zeroes(1000, 1_500_000).unwrap();
        expected[1000..1_501_000].fill(0);
        assert!(read(&image, 0, 4 << 20) == expected, "{mode}: zeroes");
        io.discard(2 << 20, 1 << 20).unwrap();
        expected[2 << 20..3 << 20].fill(0);
        assert!(read(&image, 0, 4 << 20) == expected, "{mode}: a whole object is discarded");
        io.discard((3 << 20) + 5000, 10_000).unwrap();
        assert!(read(&image, 0, 4 << 20) == expected, "{mode}: below the granularity nothing is");
        let at = (3 << 20) + 512;
        let old = Buf::from_slice(&expected[at..at + 512]);
        io.compare_and_write(at as u64, old, pattern(8, 512)).0.unwrap();
        expected[at..at + 512].copy_from_slice(&pattern(8, 512));
        let error = io.compare_and_write(at as u64, pattern(9, 512), pattern(10, 512)).0.unwrap_err();
        assert_eq!((error.kind(), error.errno()), (ErrorKind::Mismatch, 84), "{error}");
        assert!(read(&image, 0, 4 << 20) == expected, "{mode}: compare_and_write");
        let crossing = io.compare_and_write((1 << 20) - 256, pattern(1, 512), pattern(2, 512)).0.unwrap_err();
        assert_eq!(crossing.kind(), ErrorKind::InvalidInput);
        image.blocking().flush().unwrap();
    }
}

#[test]
fn an_image_that_shrank_and_grew_again_shows_zeros() {
    for mode in [QemuCache::None, QemuCache::Writeback] {
        let bed = Bed::new(8 << 20, 20);
        let engine = bed.engine(Cores::Own(2));
        let image = engine.open(&spec(), &options(mode, &[])).unwrap();
        image.blocking().write_at(pattern(3, 8 << 20), 0).0.unwrap();
        block_on(image.resize((2 << 20) + 777)).unwrap();
        assert_eq!(image.size(), (2 << 20) + 777);
        block_on(image.resize(8 << 20)).unwrap();
        let mut expected = pattern(3, 8 << 20).to_vec();
        expected[(2 << 20) + 777..].fill(0);
        assert!(read(&image, 0, 8 << 20) == expected, "{mode}");
        block_on(image.close()).unwrap();
        let record = engine.store().image(ImageName { pool: "data", namespace: "", image: "img" }).unwrap();
        assert_eq!(record.size, 8 << 20);
    }
}

#[test]
fn a_read_only_image_takes_no_writes_and_a_second_opening_must_match() {
    let bed = Bed::new(1 << 20, 20);
    let engine = bed.engine(Cores::Own(1));
    let image = engine.open(&spec(), &options(QemuCache::None, &[]).read_only()).unwrap();
    for error in [
        image.blocking().write_at(pattern(1, 512), 0).0.unwrap_err(),
        image.blocking().discard(0, 4096).unwrap_err(),
        image.blocking().write_zeroes(0, 4096).unwrap_err(),
        block_on(image.resize(5)).unwrap_err(),
    ] {
        assert_eq!((error.kind(), error.errno()), (ErrorKind::ReadOnly, 30), "{error}");
    }
    image.blocking().flush().unwrap();
    let again = engine.open(&spec(), &options(QemuCache::None, &[]).read_only()).unwrap();
    assert_eq!(read(&again, 0, 512), vec![0; 512]);
    let other = engine.open(&spec(), &options(QemuCache::Writeback, &[])).map(drop).unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Busy);
    let missing = engine
        .open(&ImageSpec::new("data", "nothing"), &options(QemuCache::None, &[]))
        .map(drop)
        .unwrap_err();
    assert_eq!(missing.errno(), 2, "{missing}");
    block_on(image.close()).unwrap();
    let closed = image.blocking().read_at(Buf::zeroed(512), 0).0.unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::Closed, "{closed}");
}

#[test]
fn a_second_process_would_be_told_who_has_the_store() {
    let bed = Bed::new(1 << 20, 20);
    let _engine = bed.engine(Cores::Own(1));
    let refused = open_again(&bed.store_dir());
    assert!(refused.contains(&std::process::id().to_string()), "{refused}");
}

fn open_again(dir: &Path) -> String {
    Store::open(&World::real(), dir, OpenMode::ReadWrite).map(drop).unwrap_err().to_string()
}

#[test]
fn the_engine_counts_what_it_does() {
    let bed = Bed::new(4 << 20, 20);
    let engine = bed.engine(Cores::Own(2));
    let image = engine.open(&spec(), &options(QemuCache::Writeback, &[])).unwrap();
    image.blocking().flush().unwrap();
    for n in 0..64 {
        image.blocking().write_at(pattern(n, 4096), n * 8192).0.unwrap();
    }
    let cached = block_on(image.cache_stats()).unwrap();
    assert!(cached.dirty_bytes > 0 && cached.dirty_bytes <= 64 * 4096, "{cached:?}");
    image.blocking().flush().unwrap();
    let stats = block_on(engine.stats());
    assert_eq!(stats.op(ringbd::Op::Write).requests, 64);
    assert_eq!(stats.op(ringbd::Op::Write).bytes, 64 * 4096);
    assert_eq!(stats.op(ringbd::Op::Flush).requests, 2);
    assert_eq!((stats.cores, stats.cache.dirty_bytes), (2, 0));
    assert!(!stats.store.write.is_empty() && stats.cpu > std::time::Duration::ZERO);
}

#[test]
fn what_was_read_once_is_a_hit() {
    let bed = Bed::new(64 << 20, 22);
    let engine = bed.engine(Cores::Own(1));
    let image = engine.open(&spec(), &options(QemuCache::None, &[])).unwrap();
    image.blocking().write_at(pattern(1, 8 << 20), 0).0.unwrap();
    block_on(image.close()).unwrap();
    let image = engine.open(&spec(), &options(QemuCache::Writeback, &[])).unwrap();
    let data = pattern(1, 8 << 20);
    for _ in 0..3 {
        for n in 0..1024u64 {
            assert!(read(&image, n * 4096, 4096) == data[(n * 4096) as usize..][..4096]);
        }
    }
    let stats = block_on(image.cache_stats()).unwrap();
    assert!(stats.read_hits >= 2048 && stats.read_misses <= 1024, "{stats:?}");
    assert!(stats.metadata_bytes * 50 <= 32 << 20, "{stats:?}");
}

#[test]
fn a_lent_core_hits_too() {
    let bed = Bed::new(64 << 20, 22);
    let engine = bed.engine(Cores::Lent(1));
    let image = engine.open(&spec(), &options(QemuCache::Writeback, &[])).unwrap();
    let mut core = engine.lend().unwrap();
    for token in 0..2048u64 {
        core.submit(&image, Request::read(token % 1024 * 4096, Buf::zeroed(4096)), token);
        let at_once = core.completions() == 1;
        assert!(at_once || token < 1024, "the second read of a block ends before submit returns");
        while core.next_completion().is_none() {
            core.wait(None);
        }
    }
}

#[test]
fn without_a_cache_whole_blocks_go_straight_to_the_disk() {
    let bed = Bed::new(64 << 20, 22);
    let engine = bed.engine(Cores::Own(1));
    let image = engine.open(&spec(), &options(QemuCache::None, &[])).unwrap();
    let straight = || block_on(engine.stats()).straight;
    let write = |offset, data| image.blocking().write_at(data, offset).0.unwrap();
    read(&image, 0, 4096);
    assert_eq!(straight(), 0, "a hole takes no operation of the disk");
    write(0, pattern(1, 4 << 20));
    assert_eq!(straight(), 0, "the object had no slot yet");
    write(8192, pattern(2, 4096));
    assert_eq!(straight(), 1);
    let got = read(&image, 4096, 8192);
    assert!(got[..4096] == pattern(1, 4 << 20)[4096..8192] && got[4096..] == *pattern(2, 4096));
    assert_eq!(straight(), 2);
    write(100, pattern(3, 4096));
    assert_eq!(straight(), 2, "a part of a block is read and changed");
    read(&image, (4 << 20) - 4096, 8192);
    assert_eq!(straight(), 2, "two objects");
    block_on(image.discard(0, 4 << 20)).unwrap();
    assert_eq!(read(&image, 8192, 4096), [0; 4096], "what was discarded is zeros");
    assert_eq!(straight(), 2);
    let stats = block_on(engine.stats());
    assert_eq!((stats.op(ringbd::Op::Write).requests, stats.op(ringbd::Op::Read).requests), (3, 4));
}

#[test]
fn an_engine_ends_when_its_last_handle_is_dropped_on_one_of_its_own_cores() {
    for cores in [1, 3] {
        let bed = Bed::new(16 << 20, 20);
        let engine = bed.engine(Cores::Own(cores));
        let image = engine.open(&spec(), &options(QemuCache::Writeback, &[])).unwrap();
        let (alone, others_gone) = std::sync::mpsc::channel::<()>();
        let (sender, ended) = std::sync::mpsc::channel();
        let last = (engine.clone(), image.clone());
        image.submit(Request::write(0, pattern(1, 4096)), move |result, _| {
            others_gone.recv().unwrap();
            drop(last);
            sender.send(result).unwrap();
        });
        drop((engine, image));
        alone.send(()).unwrap();
        assert_eq!(ended.recv().expect("the core lives on after the drop").unwrap(), 4096);
        // The core that dropped it ends by itself, and with it the store is closed.
        while Store::open(&World::real(), &bed.store_dir(), OpenMode::ReadWrite).is_err() {
            std::thread::yield_now();
        }
    }
}

#[test]
fn threads_that_are_no_cores_collect_what_they_began() {
    let bed = Bed::new(64 << 20, 20);
    let engine = bed.engine(Cores::Own(2));
    let image = engine.open(&spec(), &options(QemuCache::Writeback, &[])).unwrap();
    let threads: Vec<_> = (0..3u64)
        .map(|thread| {
            let image = image.clone();
            std::thread::spawn(move || {
                let mut queue = CompletionQueue::new();
                let place = |token: u64| thread * (16 << 20) + token * 8192;
                for token in 0..1000 {
                    queue.submit(&image, Request::write(place(token), pattern(token, 4096)), token);
                }
                assert!(collect(&mut queue, 1000).iter().all(|(len, _)| *len == 4096));
                assert!(queue.is_empty());
                for token in 0..1000 {
                    queue.submit(&image, Request::read(place(token), Buf::zeroed(4096)), token);
                }
                for (token, (_, buf)) in collect(&mut queue, 1000).into_iter().enumerate() {
                    assert!(*buf == *pattern(token as u64, 4096), "thread {thread} block {token}");
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    image.blocking().invalidate_cache().unwrap();
    assert_eq!(read(&image, 0, 4096), *pattern(0, 4096));
    image.blocking().close().unwrap();
}

/// So many completions, in the order of their tokens.
fn collect(queue: &mut CompletionQueue, count: usize) -> Vec<(u64, Buf)> {
    let mut done = std::collections::BTreeMap::new();
    while done.len() < count {
        match queue.next_completion() {
            Some(end) => assert!(done.insert(end.token, (end.result.unwrap(), end.buf)).is_none()),
            None => queue.wait(None),
        }
    }
    done.into_values().collect()
}

#[test]
fn a_queue_is_told_of_an_engine_without_cores() {
    let bed = Bed::new(1 << 20, 20);
    let engine = bed.engine(Cores::Lent(1));
    let image = engine.open(&spec(), &options(QemuCache::None, &[])).unwrap();
    let mut queue = CompletionQueue::new();
    queue.submit(&image, Request::read(0, Buf::zeroed(512)), 7);
    let end = queue.next_completion().unwrap();
    assert_eq!((end.token, end.buf.len(), end.result.unwrap_err().kind()), (7, 512, ErrorKind::Closed));
}

#[test]
fn a_queue_is_told_of_requests_that_an_engine_did_not_get_to() {
    let bed = Bed::new(1 << 20, 20);
    let engine = bed.engine(Cores::Lent(1));
    let image = engine.open(&spec(), &options(QemuCache::None, &[])).unwrap();
    let mut queue = CompletionQueue::new();
    let core = engine.lend().unwrap();
    queue.submit(&image, Request::read(0, Buf::zeroed(512)), 7);
    // The core leaves without having been polled; its mailbox is parked for the next one, and there is none.
    drop(core);
    drop((image, engine));
    queue.wait(None);
    let end = queue.next_completion().unwrap();
    assert_eq!(end.token, 7);
}

#[test]
fn the_settings_say_how_many_cores_and_on_which_cpus() {
    let of = |options: &[(&str, &str)]| {
        let sources = options.iter().fold(Sources::default(), |s, (key, value)| s.with_option(*key, *value));
        Cores::own(&Settings::load(&spec().with_option("conf", empty_conf()), &sources).unwrap())
    };
    assert_eq!(of(&[]), Cores::Own(1));
    assert_eq!(of(&[("ringbd_cores", "3")]), Cores::Own(3));
    assert_eq!(of(&[("ringbd_core_list", "0,2-3")]), Cores::OnCpus(vec![0, 2, 3]));
    assert_eq!(of(&[("ringbd_core_list", "0,2-3"), ("ringbd_cores", "2")]), Cores::OnCpus(vec![0, 2]));
    let cpus = std::thread::available_parallelism().unwrap().get();
    assert!(matches!(of(&[("ringbd_cores", "0")]), Cores::Own(count) if count >= cpus.min(64)));
}

#[test]
fn a_cpu_that_is_not_there_is_named() {
    let bed = Bed::new(1 << 20, 20);
    let store = Store::open(&World::real(), &bed.store_dir(), OpenMode::ReadWrite).unwrap();
    let options = EngineOptions { cores: Cores::OnCpus(vec![8191]), ..EngineOptions::default() };
    let error = Engine::start(store, options).map(drop).unwrap_err();
    assert!(error.to_string().contains("CPU 8191"), "{error}");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    // Nothing of the engine is left: the store is free.
    bed.engine(Cores::OnCpus(vec![ringbd_reactor::allowed_cpus()[0]]));
}

/// Any executor will do; this is the smallest.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}
