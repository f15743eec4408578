//! The checksum of what is kept on disk: crc32c of a superblock and of an object.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

fn crc(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("crc32c");
    for (name, bytes) in [("4 KiB", 4096), ("4 MiB", 4 << 20)] {
        let data: Vec<u8> = (0..bytes).map(|n: usize| (n * 31) as u8).collect();
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(name, |bencher| bencher.iter(|| crc32c::crc32c(black_box(&data))));
    }
    group.finish();
}

criterion_group!(benches, crc);
criterion_main!(benches);
