//! What the engine does for every request: wake a task, spawn one, take and give back a buffer, read a block,
//! hop to another core.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringbd_reactor::{
    Buf, CoreConfig, LentCore, OpenOptions, WaitQueue, World, mailbox, sleep, spawn_detached, timeout,
    yield_now,
};
use std::cell::Cell;
use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};

fn core() -> LentCore {
    World::real().lend_core(CoreConfig::default()).expect("io_uring works here")
}

fn tasks(c: &mut Criterion) {
    let mut group = c.benchmark_group("task");
    group.throughput(Throughput::Elements(1));
    let mut core = core();
    group.bench_function("wake", |b| b.iter_custom(|count| core.block_on(wakes(count))));
    group.bench_function("yield", |b| b.iter_custom(|count| core.block_on(yields(count))));
    group.bench_function("many ready", |b| b.iter_custom(|count| core.block_on(many_ready(count))));
    group.bench_function("spawn", |b| b.iter_custom(|count| core.block_on(spawns(count))));
    group.bench_function("timer set and cancelled", |b| {
        b.iter_custom(|count| core.block_on(timers(count)));
    });
    group.finish();
}

/// Two tasks wake each other in turn.
async fn wakes(count: u64) -> Duration {
    let (ours, theirs) = (Rc::new(WaitQueue::new()), Rc::new(WaitQueue::new()));
    let stop = Rc::new(Cell::new(false));
    let (a, b, stopped) = (Rc::clone(&ours), Rc::clone(&theirs), Rc::clone(&stop));
    spawn_detached(async move {
        while !stopped.get() {
            b.wait().await;
            a.wake_one();
        }
    });
    yield_now().await;
    let begun = Instant::now();
    for _ in 0..count / 2 {
        theirs.wake_one();
        ours.wait().await;
    }
    stop.set(true);
    theirs.wake_one();
    begun.elapsed()
}

async fn yields(count: u64) -> Duration {
    let begun = Instant::now();
    for _ in 0..count {
        yield_now().await;
    }
    begun.elapsed()
}

/// 64 tasks that are always ready: the cost of a poll, with little of the turn around it.
async fn many_ready(count: u64) -> Duration {
    let left = Rc::new(Cell::new(64));
    let begun = Instant::now();
    for _ in 0..64 {
        let left = Rc::clone(&left);
        spawn_detached(async move {
            for _ in 0..count / 64 {
                yield_now().await;
            }
            left.set(left.get() - 1);
        });
    }
    while left.get() > 0 {
        yield_now().await;
    }
    begun.elapsed()
}

async fn spawns(count: u64) -> Duration {
    let begun = Instant::now();
    for at in 0..count {
        spawn_detached(async move {
            black_box(at);
        });
        if at % 32 == 31 {
            yield_now().await;
        }
    }
    begun.elapsed()
}

/// A time limit around something that is ready at the second look.
async fn timers(count: u64) -> Duration {
    let begun = Instant::now();
    for _ in 0..count {
        black_box(timeout(Duration::from_secs(60), yield_now()).await.is_ok());
    }
    begun.elapsed()
}

fn entering(c: &mut Criterion) {
    let mut core = core();
    let mut group = c.benchmark_group("lent core");
    group.bench_function("enter", |b| b.iter(|| core.enter(|| black_box(()))));
    group.bench_function("poll idle", |b| b.iter(|| black_box(core.poll())));
    core.enter(|| spawn_detached(sleep(Duration::from_secs(3600))));
    while core.poll() {}
    group.bench_function("poll idle with a timer", |b| b.iter(|| black_box(core.poll())));
    group.finish();
}

fn buffers(c: &mut Criterion) {
    let mut core = core();
    let mut group = c.benchmark_group("buffer");
    for len in [4096, 64 << 10, 4 << 20] {
        group.bench_function(format!("alloc and free {} KiB", len >> 10), |b| {
            core.enter(|| b.iter(|| black_box(Buf::alloc(len))));
        });
    }
    group.bench_function("alloc and free 32 x 4 KiB", |b| {
        core.enter(|| {
            let mut held: Vec<Buf> = Vec::with_capacity(32);
            b.iter(|| {
                held.extend((0..32).map(|_| Buf::alloc(4096)));
                held.clear();
            });
        });
    });
    group.bench_function("split and unsplit", |b| {
        let mut buf = core.enter(|| Buf::alloc(8192));
        b.iter(|| {
            let back = buf.split_off(4096);
            buf.unsplit(black_box(back)).expect("they are neighbours");
        });
    });
    group.finish();
}

/// 32 reads at a time of a file in the page cache: the cost of the reactor and of the kernel's shortest read.
fn reads(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("the temporary folder is writable");
    let path = dir.path().join("file");
    std::fs::write(&path, vec![0u8; 1 << 20]).expect("the temporary folder is writable");
    let file = World::real().open(&path, &OpenOptions::new().read(true)).expect("it was just made");
    let mut core = core();
    let mut group = c.benchmark_group("file");
    group.throughput(Throughput::Elements(1));
    group.bench_function("cached read 512 B, depth 32", |b| {
        b.iter_custom(|count| {
            let left = Rc::new(Cell::new(32));
            core.block_on(async {
                let begun = Instant::now();
                for slot in 0..32u64 {
                    let (left, file) = (Rc::clone(&left), file.clone());
                    spawn_detached(async move {
                        let mut buf = Buf::alloc(512);
                        for _ in 0..count.div_ceil(32) {
                            buf = file.read_at(buf, slot * 4096).await.1;
                        }
                        left.set(left.get() - 1);
                    });
                }
                while left.get() > 0 {
                    sleep(Duration::from_micros(200)).await;
                }
                begun.elapsed()
            })
        });
    });
    group.finish();
}

/// A value to another core and back.
fn hops(c: &mut Criterion) {
    let mut group = c.benchmark_group("mailbox");
    for (name, spin) in [("spinning", Duration::from_micros(100)), ("sleeping", Duration::ZERO)] {
        let config = |cpu| CoreConfig { cpu: Some(cpu), spin, ..CoreConfig::default() };
        let (to_peer, mut at_peer) = mailbox::<u64>();
        let (to_us, mut at_us) = mailbox::<u64>();
        let peer = move || async move {
            while let Some(value) = at_peer.recv().await {
                to_us.send(value);
            }
        };
        let peer = World::real().start_core(config(1), peer).expect("a second core");
        let mut core = World::real().lend_core(config(0)).expect("io_uring works here");
        group.bench_function(format!("there and back, {name}"), |b| {
            b.iter_custom(|count| {
                core.block_on(async {
                    let begun = Instant::now();
                    for value in 0..count {
                        to_peer.send(value);
                        black_box(at_us.recv().await);
                    }
                    begun.elapsed()
                })
            });
        });
        drop(to_peer);
        peer.join().expect("the peer ends when its mailbox does");
    }
    group.finish();
}

fn short() -> Criterion {
    let (warm_up, measure) = (Duration::from_millis(300), Duration::from_secs(1));
    Criterion::default().warm_up_time(warm_up).measurement_time(measure).sample_size(20)
}

criterion_group! {
    name = benches;
    config = short();
    targets = tasks, entering, buffers, reads, hops
}
criterion_main!(benches);
