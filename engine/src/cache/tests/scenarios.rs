//! The single promises, one by one.

use super::model::config;
use crate::cache::{
    BLOCK_BYTES, Extent, Fetch, ReadPlan, Run, Shard, ShardConfig, Urgency, WriteOutcome, Writeback,
    WritebackLimit,
};

const BLOCK: usize = BLOCK_BYTES as usize;
const WHOLE: WritebackLimit = WritebackLimit { bytes: u32::MAX, runs: u32::MAX };

fn write(shard: &mut Shard, extent: Extent, byte: u8) {
    let data = vec![byte; extent.len as usize];
    assert_eq!(shard.write(extent, &data, 0), WriteOutcome::Accepted);
}

fn read(shard: &mut Shard, extent: Extent) -> Option<Vec<u8>> {
    let mut dst = vec![0; extent.len as usize];
    shard.try_read(extent, &mut dst).then_some(dst)
}

fn write_back(shard: &mut Shard, why: Urgency, ok: bool) -> Vec<Run> {
    let mut writeback = Writeback::default();
    assert!(shard.next_writeback(why, WHOLE, &mut writeback));
    if ok {
        shard.complete_writeback(writeback.id());
    } else {
        shard.fail_writeback(writeback.id());
    }
    shard.check();
    writeback.runs().to_vec()
}

fn begin_fetch(shard: &mut Shard, extent: Extent) -> (ReadPlan, Fetch) {
    let mut plan = ReadPlan::new(extent);
    assert!(shard.plan_read(&mut plan, &mut vec![0; extent.len as usize]));
    let fetch = plan.fetches()[0];
    (plan, fetch)
}

#[test]
fn a_miss_fetches_whole_blocks_once_and_then_hits() {
    let mut shard = Shard::new(config(true));
    let extent = Extent::new(1, 4608, 512);
    let (mut plan, fetch) = begin_fetch(&mut shard, extent);
    assert_eq!(fetch.extent, Extent::new(1, 4096, 4096));
    let mut other = ReadPlan::new(Extent::new(1, 4096, 512));
    assert!(shard.plan_read(&mut other, &mut [0; 512]));
    assert_eq!((other.fetches(), other.waits()), (&[][..], &[fetch.fill.expect("there is room")][..]));
    let data: Vec<u8> = (0..BLOCK).map(|at| (at / 512) as u8).collect();
    shard.complete_fill(fetch.fill.expect("there is room"), &data);
    let mut dst = [9; 512];
    plan.deliver(&fetch, &data, &mut dst);
    assert_eq!(dst, [1; 512]);
    assert!(!shard.plan_read(&mut other, &mut dst));
    assert_eq!(dst, [0; 512]);
    assert_eq!(read(&mut shard, Extent::new(1, 4096 + 1000, 100)), Some(data[1000..1100].to_vec()));
}

#[test]
fn a_fill_never_brings_back_what_was_written_and_evicted_meanwhile() {
    let mut shard = Shard::new(config(false));
    let sector = Extent::new(0, 0, 512);
    let mut plan = ReadPlan::new(sector);
    shard.plan_edge(sector, &mut plan);
    let fetch = plan.fetches()[0];
    write(&mut shard, sector, 7);
    write_back(&mut shard, Urgency::All, true);
    assert_eq!(read(&mut shard, sector), Some(vec![7; 512]));
    shard.complete_fill(fetch.fill.expect("there is room"), &[1; BLOCK]);
    assert_eq!(read(&mut shard, sector), Some(vec![7; 512]));
    shard.check();
}

#[test]
fn a_discard_overtakes_a_fill_and_holds_writes_until_it_is_over() {
    let mut shard = Shard::new(config(true));
    let extent = Extent::new(0, 0, BLOCK_BYTES);
    let (_, fetch) = begin_fetch(&mut shard, extent);
    let mut waits = Vec::new();
    let discard = shard.begin_discard(Extent::new(0, 0, 1024), &mut waits);
    assert!(waits.is_empty());
    shard.complete_fill(fetch.fill.expect("there is room"), &[1; BLOCK]);
    assert_eq!(read(&mut shard, Extent::new(0, 0, 512)), None);
    assert!(read(&mut shard, Extent::new(0, 1024, 512)).is_some());
    assert!(matches!(shard.write(extent, &[2; BLOCK], 0), WriteOutcome::Held(_)));
    let mut plan = ReadPlan::new(extent);
    assert!(shard.plan_read(&mut plan, &mut [0; BLOCK]));
    assert!(plan.waits_for_discard() && plan.fetches().is_empty());
    shard.finish_discard(discard);
    write(&mut shard, extent, 2);
    shard.check();
}

#[test]
fn a_discard_names_the_writebacks_it_must_wait_for_and_holds_the_flush_of_what_it_dropped() {
    let mut shard = Shard::new(config(true));
    write(&mut shard, Extent::new(0, 0, 2 * BLOCK_BYTES), 1);
    let mut writeback = Writeback::default();
    assert!(shard.next_writeback(Urgency::Extent(Extent::new(0, 0, BLOCK_BYTES)), WHOLE, &mut writeback));
    let ticket = shard.flush_ticket();
    let mut waits = Vec::new();
    let discard = shard.begin_discard(Extent::new(0, 0, 2 * BLOCK_BYTES), &mut waits);
    assert_eq!(waits, [writeback.id()]);
    shard.fail_writeback(writeback.id());
    assert_eq!(shard.dirty_bytes(), 0);
    assert!(!shard.is_flushed(ticket), "the store has neither the data nor the discard");
    shard.finish_discard(discard);
    assert!(shard.is_flushed(ticket));
    shard.check();
}

#[test]
fn a_block_rewritten_during_its_writeback_goes_down_again_later() {
    let mut shard = Shard::new(config(true));
    let extent = Extent::new(0, 0, BLOCK_BYTES);
    write(&mut shard, extent, 1);
    let ticket = shard.flush_ticket();
    let (mut first, mut second) = (Writeback::default(), Writeback::default());
    assert!(shard.next_writeback(Urgency::Flush(ticket), WHOLE, &mut first));
    write(&mut shard, extent, 2);
    assert!(shard.is_writing(extent) && !shard.is_clean(extent));
    assert!(!shard.next_writeback(Urgency::All, WHOLE, &mut second), "one at a time");
    assert_eq!(shard.dirty_bytes(), u64::from(BLOCK_BYTES));
    shard.complete_writeback(first.id());
    assert!(shard.is_flushed(ticket), "the new state is not part of the flush");
    assert!(shard.next_writeback(Urgency::All, WHOLE, &mut second));
    let mut data = [0; BLOCK];
    shard.copy_run(&second, second.runs()[0], &mut data);
    assert_eq!(data, [2; BLOCK]);
}

#[test]
fn a_writer_that_never_stops_does_not_hold_a_flush_up() {
    let mut shard = Shard::new(config(true));
    write(&mut shard, Extent::new(0, 0, 4 * BLOCK_BYTES), 1);
    let ticket = shard.flush_ticket();
    let limit = WritebackLimit { bytes: 1, runs: 1 };
    for round in 0..4 {
        let mut writeback = Writeback::default();
        assert!(shard.next_writeback(Urgency::Flush(ticket), limit, &mut writeback), "round {round}");
        shard.complete_writeback(writeback.id());
        write(&mut shard, Extent::new(0, 0, 4 * BLOCK_BYTES), round + 2);
    }
    assert!(shard.is_flushed(ticket));
    assert!(!shard.next_writeback(Urgency::Flush(ticket), limit, &mut Writeback::default()));
}

#[test]
fn a_failed_writeback_is_dirty_as_before() {
    let mut shard = Shard::new(config(true));
    write(&mut shard, Extent::new(0, 512, 1024), 1);
    let ticket = shard.flush_ticket();
    write(&mut shard, Extent::new(1, 0, 512), 2);
    assert_eq!(write_back(&mut shard, Urgency::All, false), [Run { offset: 512, len: 1024 }]);
    assert_eq!(shard.dirty_bytes(), 1536);
    assert!(!shard.is_flushed(ticket));
    assert_eq!(
        write_back(&mut shard, Urgency::All, true),
        [Run { offset: 512, len: 1024 }],
        "still the oldest"
    );
    assert!(shard.is_flushed(ticket));
    assert_eq!(shard.dirty_bytes(), 512);
}

#[test]
fn all_dirty_runs_of_an_object_go_down_together_sorted_and_coalesced() {
    let mut shard = Shard::new(config(true));
    for offset in [20_480, 4096, 0, 8192, 24_576, 13_312] {
        write(&mut shard, Extent::new(3, offset, if offset == 13_312 { 512 } else { BLOCK_BYTES }), 1);
    }
    write(&mut shard, Extent::new(1, 0, 512), 1);
    let runs = write_back(&mut shard, Urgency::All, true);
    let run = |offset, len| Run { offset, len };
    assert_eq!(runs, [run(0, 12_288), run(13_312, 512), run(20_480, 8192)]);
}

#[test]
fn a_run_limit_takes_the_oldest_block_first_and_leaves_none_behind_for_ever() {
    let mut shard = Shard::new(config(true));
    for block in [5, 7, 1, 3] {
        write(&mut shard, Extent::new(0, block * BLOCK_BYTES, BLOCK_BYTES), 1);
    }
    let limit = WritebackLimit { bytes: u32::MAX, runs: 2 };
    let mut writeback = Writeback::default();
    assert!(shard.next_writeback(Urgency::All, limit, &mut writeback));
    let offsets: Vec<u32> = writeback.runs().iter().map(|run| run.offset / BLOCK_BYTES).collect();
    assert_eq!(offsets, [5, 7]);
    assert!(shard.next_writeback(Urgency::All, limit, &mut writeback));
    let offsets: Vec<u32> = writeback.runs().iter().map(|run| run.offset / BLOCK_BYTES).collect();
    assert_eq!(offsets, [1, 3]);
}

#[test]
fn background_writeback_starts_above_the_target_or_with_age() {
    let mut shard = Shard::new(config(true));
    assert_eq!(shard.next_deadline(), None);
    let age = config(true).max_dirty_age_ns;
    assert_eq!(shard.write(Extent::new(0, 0, 512), &[1; 512], 100), WriteOutcome::Accepted);
    assert_eq!(shard.next_deadline(), Some(100 + age));
    let mut writeback = Writeback::default();
    assert!(!shard.next_writeback(Urgency::Background(99 + age), WHOLE, &mut writeback));
    assert!(shard.next_writeback(Urgency::Background(100 + age), WHOLE, &mut writeback));
    assert_eq!(shard.next_deadline(), None);
    write(&mut shard, Extent::new(1, 0, 8 * BLOCK_BYTES), 1);
    assert!(!shard.next_writeback(Urgency::Background(1), WHOLE, &mut writeback));
    write(&mut shard, Extent::new(2, 0, 512), 1);
    assert_eq!(shard.next_deadline(), Some(0));
    assert!(shard.next_writeback(Urgency::Background(1), WHOLE, &mut writeback));
    assert_eq!(writeback.object(), 1);
}

#[test]
fn writing_through_ends_although_others_rewrite_the_block() {
    let mut shard = Shard::new(ShardConfig { max_dirty_bytes: 0, ..config(true) });
    let extent = Extent::new(0, 0, 512);
    let mut other = Writeback::default();
    write(&mut shard, extent, 1);
    assert!(shard.next_writeback(Urgency::Extent(extent), WHOLE, &mut other));
    write(&mut shard, extent, 2);
    let mut mine = Writeback::default();
    assert!(!shard.next_writeback(Urgency::Extent(extent), WHOLE, &mut mine));
    let mut waits = Vec::new();
    shard.writebacks_over(extent, &mut waits);
    assert_eq!(waits, [other.id()]);
    shard.complete_writeback(other.id());
    assert!(shard.next_writeback(Urgency::Extent(extent), WHOLE, &mut mine));
    write(&mut shard, extent, 3);
    shard.writebacks_over(extent, &mut waits);
    assert_eq!(waits, [mine.id()]);
}

#[test]
fn a_ragged_write_asks_for_its_edges_and_merges_them() {
    let mut shard = Shard::new(config(true));
    let extent = Extent::new(0, 100, 5000);
    let data = [7; 5000];
    let mut edges = Vec::new();
    while let WriteOutcome::NeedsFill(edge) = shard.write(extent, &data, 0) {
        edges.push(edge);
        let mut plan = ReadPlan::new(edge);
        shard.plan_edge(edge, &mut plan);
        for fetch in plan.fetches() {
            shard.complete_fill(fetch.fill.expect("there is room"), &vec![1; fetch.extent.len as usize]);
        }
    }
    assert_eq!(edges, [Extent::new(0, 0, 512), Extent::new(0, 4608, 512)]);
    let seen = read(&mut shard, Extent::new(0, 0, 8192)).expect("both blocks are whole");
    assert!(seen[..100].iter().chain(&seen[5100..]).all(|&byte| byte == 1));
    assert!(seen[100..5100].iter().all(|&byte| byte == 7));
    assert_eq!(shard.dirty_bytes(), 5120, "the sectors that the write touches");
}

#[test]
fn a_writearound_cache_forgets_what_is_clean_and_a_flushed_one_can_be_invalidated() {
    let mut shard = Shard::new(config(false));
    write(&mut shard, Extent::new(0, 0, 512), 1);
    assert_eq!(shard.invalidate().expect_err("dirty data is left").dirty_bytes, 512);
    write_back(&mut shard, Urgency::All, true);
    assert_eq!(shard.cached_bytes(), 0);
    let mut shard = Shard::new(config(true));
    write(&mut shard, Extent::new(0, 0, 512), 1);
    write_back(&mut shard, Urgency::All, true);
    assert!(read(&mut shard, Extent::new(0, 0, 512)).is_some());
    assert_eq!(shard.invalidate(), Ok(()));
    assert_eq!(shard.cached_bytes(), 0);
}

#[test]
fn a_scan_does_not_evict_what_is_read_again() {
    let mut shard = Shard::new(ShardConfig { size_bytes: 1 << 20, ..config(true) });
    let fetch_block = |shard: &mut Shard, block: u64| {
        let extent = Extent::new(block / 8, (block % 8) as u32 * BLOCK_BYTES, BLOCK_BYTES);
        if read(shard, extent).is_none() {
            let (_, fetch) = begin_fetch(shard, extent);
            shard.complete_fill(fetch.fill.expect("there is room"), &[1; BLOCK]);
        }
    };
    for _ in 0..3 {
        (0..100).for_each(|block| fetch_block(&mut shard, block));
    }
    (10_000..20_000).for_each(|block| fetch_block(&mut shard, block));
    let hits = shard.stats().read_hits;
    (0..100).for_each(|block| fetch_block(&mut shard, block));
    assert!(shard.stats().read_hits - hits >= 98, "all but those that one eviction had no patience for");
    shard.check();
}
