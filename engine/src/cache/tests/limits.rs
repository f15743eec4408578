//! Limits: metadata, dirty data, room.

use super::model::config;
use crate::cache::{
    BLOCK_BYTES, Extent, Held, ReadPlan, Shard, ShardConfig, Urgency, WriteOutcome, Writeback, WritebackLimit,
};

const BLOCK: usize = BLOCK_BYTES as usize;
const WHOLE: WritebackLimit = WritebackLimit { bytes: u32::MAX, runs: u32::MAX };

fn large(size_bytes: u64) -> ShardConfig {
    ShardConfig {
        size_bytes,
        max_dirty_bytes: size_bytes,
        target_dirty_bytes: size_bytes,
        object_bytes: 4 << 20,
        ..config(true)
    }
}

#[test]
fn metadata_stays_below_two_percent_with_one_dirty_block_per_object() {
    for size_bytes in [32 << 20, 256 << 20] {
        let mut shard = Shard::new(large(size_bytes));
        let blocks = size_bytes / u64::from(BLOCK_BYTES);
        let mut writeback = Writeback::default();
        for object in 0..blocks {
            let extent = Extent::new(object, (object as u32 % 1024) * BLOCK_BYTES, BLOCK_BYTES);
            assert_eq!(shard.write(extent, &[1; BLOCK], object * 1_000), WriteOutcome::Accepted);
            shard.flush_ticket();
        }
        for _ in 0..256 {
            assert!(shard.next_writeback(Urgency::All, WHOLE, &mut writeback));
        }
        assert_eq!((shard.cached_bytes(), shard.dirty_bytes()), (size_bytes, size_bytes));
        let metadata_bytes = shard.metadata_bytes() as u64;
        assert!(metadata_bytes * 50 <= size_bytes, "{metadata_bytes} bytes for {size_bytes}");
        assert!(metadata_bytes <= blocks * 80 + (24 << 10), "{} a block", metadata_bytes / blocks);
    }
}

#[test]
fn a_write_above_the_dirty_limit_is_held_until_a_writeback_has_landed() {
    let mut shard = Shard::new(config(true));
    let data = [2; BLOCK];
    for block in 0..12 {
        let extent = Extent::new(block / 8, (block % 8) as u32 * BLOCK_BYTES, BLOCK_BYTES);
        assert_eq!(shard.write(extent, &data, 0), WriteOutcome::Accepted);
    }
    let next = Extent::new(2, 0, BLOCK_BYTES);
    assert_eq!(shard.write(next, &data, 0), WriteOutcome::Held(Held::DirtyLimit));
    assert_eq!(shard.write(Extent::new(0, 0, BLOCK_BYTES), &data, 0), WriteOutcome::Accepted);
    let mut writeback = Writeback::default();
    assert!(shard.next_writeback(Urgency::Background(0), WHOLE, &mut writeback));
    assert_eq!(writeback.bytes(), 8 * BLOCK_BYTES);
    assert_eq!(shard.write(next, &data, 0), WriteOutcome::Held(Held::DirtyLimit), "it may still fail");
    shard.complete_writeback(writeback.id());
    assert_eq!(shard.write(next, &data, 0), WriteOutcome::Accepted);
    assert_eq!(shard.stats().held, 2);
    shard.check();
}

#[test]
fn without_blocking_upfront_the_write_enters_and_its_acknowledgement_waits() {
    let mut shard = Shard::new(ShardConfig { block_writes_upfront: false, ..config(true) });
    assert_eq!(shard.write(Extent::new(0, 0, 8 * BLOCK_BYTES), &[1; 8 * BLOCK], 0), WriteOutcome::Accepted);
    assert_eq!(shard.write(Extent::new(1, 0, 6 * BLOCK_BYTES), &[1; 6 * BLOCK], 0), WriteOutcome::Deferred);
    assert!(shard.is_over_limit());
    let mut writeback = Writeback::default();
    assert!(shard.next_writeback(Urgency::All, WHOLE, &mut writeback));
    shard.complete_writeback(writeback.id());
    assert!(!shard.is_over_limit());
}

#[test]
fn the_longest_write_is_accepted_by_an_empty_shard_however_it_lies() {
    for (max_dirty_bytes, offset) in [(0, 1), (512, 300), (4096, 513), (65_536, 4095)] {
        let mut shard = Shard::new(ShardConfig { max_dirty_bytes, ..config(true) });
        let len = shard.write_bytes_max().min(7 * BLOCK_BYTES);
        let extent = Extent::new(0, offset, len);
        let data = vec![3; len as usize];
        for _ in 0..3 {
            match shard.write(extent, &data, 0) {
                WriteOutcome::Accepted => break,
                WriteOutcome::NeedsFill(edge) => fill(&mut shard, edge),
                outcome @ (WriteOutcome::Held(_) | WriteOutcome::Deferred) => panic!("{outcome:?}"),
            }
        }
        assert!(shard.dirty_bytes() >= u64::from(len));
    }
}

#[test]
fn the_number_of_dirty_objects_is_limited() {
    let mut shard = Shard::new(ShardConfig { max_dirty_objects: 2, ..config(true) });
    assert_eq!(shard.write(Extent::new(0, 0, 512), &[1; 512], 0), WriteOutcome::Accepted);
    assert_eq!(shard.write(Extent::new(1, 0, 512), &[1; 512], 0), WriteOutcome::Accepted);
    assert_eq!(shard.write(Extent::new(2, 0, 512), &[1; 512], 0), WriteOutcome::Held(Held::DirtyObjects));
    assert_eq!(shard.write(Extent::new(1, 512, 512), &[1; 512], 0), WriteOutcome::Accepted);
}

#[test]
fn dirty_blocks_are_not_evicted_and_reads_go_past_a_full_cache() {
    let mut shard = Shard::new(ShardConfig { max_dirty_bytes: 0, ..config(true) });
    for object in 0..2 {
        let extent = Extent::new(object, 0, 8 * BLOCK_BYTES);
        assert_eq!(shard.write(extent, &[9; 8 * BLOCK], 0), WriteOutcome::Accepted);
    }
    let extent = Extent::new(2, 0, BLOCK_BYTES);
    assert_eq!(shard.write(extent, &[9; BLOCK], 0), WriteOutcome::Held(Held::NoBlock));
    let mut plan = ReadPlan::new(extent);
    let mut dst = [0; BLOCK];
    assert!(shard.plan_read(&mut plan, &mut dst));
    assert_eq!(plan.fetches().len(), 1);
    assert_eq!(plan.fetches()[0].fill, None);
    let fetch = plan.fetches()[0];
    plan.deliver(&fetch, &[5; BLOCK], &mut dst);
    assert!(plan.is_done());
    assert_eq!(dst, [5; BLOCK]);
    shard.check();
}

/// Fills an extent with zeroes.
fn fill(shard: &mut Shard, extent: Extent) {
    let mut plan = ReadPlan::new(extent);
    shard.plan_edge(extent, &mut plan);
    for fetch in plan.fetches() {
        let data = vec![0; fetch.extent.len as usize];
        shard.complete_fill(fetch.fill.expect("there is room"), &data);
    }
}
