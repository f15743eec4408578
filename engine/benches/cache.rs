//! What the cache costs beyond the memcpy: compare with `memcpy/4k_cached` and `memcpy/4k_random` of the same
//! run.
//!
//! `cargo bench -p ringbd --bench cache`

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringbd::cache::{
    BLOCK_BYTES, Extent, ReadPlan, Shard, ShardConfig, Urgency, WriteOutcome, Writeback, WritebackLimit,
};
use std::hint::black_box;

const BLOCK: usize = BLOCK_BYTES as usize;
const OBJECT_BYTES: u32 = 4 << 20;
const OBJECT_BLOCKS: u64 = (OBJECT_BYTES / BLOCK_BYTES) as u64;
/// One shard that lives in the processor's caches with its records, and one that does not.
const SIZES_MIB: [u64; 2] = [32, 512];

fn config(size_bytes: u64) -> ShardConfig {
    ShardConfig {
        size_bytes,
        max_dirty_bytes: 0,
        target_dirty_bytes: u64::MAX,
        max_dirty_age_ns: 1_000_000_000,
        max_dirty_objects: 0,
        block_writes_upfront: true,
        object_bytes: OBJECT_BYTES,
        keep_clean: true,
        hash_seed: 1,
    }
}

fn block(number: u64) -> Extent {
    Extent::new(number / OBJECT_BLOCKS, (number % OBJECT_BLOCKS) as u32 * BLOCK_BYTES, BLOCK_BYTES)
}

fn write(shard: &mut Shard, number: u64, data: &[u8]) {
    assert_eq!(shard.write(block(number), data, 0), WriteOutcome::Accepted);
}

fn full_and_dirty(blocks: u64) -> Shard {
    let mut shard = Shard::new(config(blocks * u64::from(BLOCK_BYTES)));
    (0..blocks).for_each(|number| write(&mut shard, number, &[1; BLOCK]));
    shard
}

fn land_everything(shard: &mut Shard) {
    let mut writeback = Writeback::default();
    let limit = WritebackLimit { bytes: u32::MAX, runs: u32::MAX };
    while shard.next_writeback(Urgency::All, limit, &mut writeback) {
        shard.complete_writeback(writeback.id());
    }
}

fn memcpy(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("memcpy");
    group.throughput(Throughput::Bytes(BLOCK as u64));
    let source = [7u8; BLOCK];
    let mut target = [0u8; BLOCK];
    group.bench_function("4k_cached", |bencher| {
        bencher.iter(|| black_box(&mut target).copy_from_slice(black_box(&source)));
    });
    for size in SIZES_MIB {
        let blocks = size * 256;
        let memory = vec![1u8; blocks as usize * BLOCK];
        let mut random = fastrand::Rng::with_seed(1);
        group.bench_function(BenchmarkId::new("4k_random", size), |bencher| {
            bencher.iter(|| {
                let at = random.u64(0..blocks) as usize * BLOCK;
                black_box(&mut target).copy_from_slice(&memory[at..at + BLOCK]);
            });
        });
    }
    group.finish();
}

fn hit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hit");
    group.throughput(Throughput::Bytes(BLOCK as u64));
    let mut buffer = [7u8; BLOCK];
    for size in SIZES_MIB {
        let blocks = size * 256;
        let mut shard = full_and_dirty(blocks);
        let mut random = fastrand::Rng::with_seed(1);
        group.bench_function(BenchmarkId::new("rewrite_4k", size), |bencher| {
            bencher.iter(|| write(&mut shard, random.u64(0..blocks), black_box(&buffer)));
        });
        land_everything(&mut shard);
        group.bench_function(BenchmarkId::new("read_4k", size), |bencher| {
            bencher.iter(|| assert!(shard.try_read(block(random.u64(0..blocks)), black_box(&mut buffer))));
        });
        group.bench_function(BenchmarkId::new("read_512", size), |bencher| {
            bencher.iter(|| {
                let extent = Extent { len: 512, ..block(random.u64(0..blocks)) };
                assert!(shard.try_read(extent, black_box(&mut buffer[..512])));
            });
        });
    }
    let mut shard = full_and_dirty(256);
    group.bench_function("read_4k_one_block", |bencher| {
        bencher.iter(|| assert!(shard.try_read(black_box(block(3)), black_box(&mut buffer))));
    });
    group.finish();
}

fn miss(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("miss");
    group.throughput(Throughput::Bytes(BLOCK as u64));
    let data = [7u8; BLOCK];
    let mut buffer = [0u8; BLOCK];
    for size in SIZES_MIB {
        let blocks = size * 256;
        let mut shard = full_and_dirty(blocks);
        land_everything(&mut shard);
        let mut random = fastrand::Rng::with_seed(2);
        let mut plan = ReadPlan::new(block(0));
        group.bench_function(BenchmarkId::new("fill_and_evict_4k", size), |bencher| {
            bencher.iter(|| {
                let extent = block(random.u64(0..1 << 32));
                plan.restart(extent);
                if !shard.try_read(extent, &mut buffer) && shard.plan_read(&mut plan, &mut buffer) {
                    let fetch = plan.fetches()[0];
                    shard.complete_fill(fetch.fill.expect("there is room"), black_box(&data));
                    plan.deliver(&fetch, &data, &mut buffer);
                }
            });
        });
        let mut writeback = Writeback::default();
        let limit = WritebackLimit { bytes: u32::MAX, runs: u32::MAX };
        group.bench_function(BenchmarkId::new("write_back_and_evict_4k", size), |bencher| {
            bencher.iter(|| {
                write(&mut shard, random.u64(0..1 << 32), black_box(&data));
                assert!(shard.next_writeback(Urgency::All, limit, &mut writeback));
                shard.copy_run(&writeback, writeback.runs()[0], &mut buffer);
                shard.complete_writeback(writeback.id());
            });
        });
    }
    group.finish();
}

fn writeback(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("writeback");
    let data = [7u8; BLOCK];
    let mut random = fastrand::Rng::with_seed(3);
    let mut numbers: Vec<u64> = (0..OBJECT_BLOCKS).collect();
    random.shuffle(&mut numbers);
    let limit = WritebackLimit { bytes: u32::MAX, runs: u32::MAX };
    for (name, blocks) in [("1000_random_blocks", 1000), ("300_random_blocks", 300)] {
        let mut shard = Shard::new(config(32 << 20));
        let mut writeback = Writeback::default();
        group.throughput(Throughput::Elements(blocks as u64));
        group.bench_function(BenchmarkId::new("begin_and_land", name), |bencher| {
            bencher.iter_batched(
                || (),
                |()| {
                    for &number in &numbers[..blocks] {
                        write(&mut shard, number, &data[..]);
                    }
                    assert!(shard.next_writeback(Urgency::All, limit, &mut writeback));
                    shard.complete_writeback(writeback.id());
                },
                BatchSize::SmallInput,
            );
        });
        group.bench_function(BenchmarkId::new("writes_alone", name), |bencher| {
            let mut shard = full_and_dirty(OBJECT_BLOCKS);
            bencher.iter(|| {
                for &number in &numbers[..blocks] {
                    write(&mut shard, number, &data[..]);
                }
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30).warm_up_time(std::time::Duration::from_millis(500))
        .measurement_time(std::time::Duration::from_secs(2));
    targets = memcpy, hit, miss, writeback
}
criterion_main!(benches);
