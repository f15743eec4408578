//! Random operations on the model world, with everything checked after every step.

use super::model::{AGE_NS, OBJECT_BYTES, OBJECTS, World, config};
use crate::cache::{Extent, SECTOR_BYTES, ShardConfig, Urgency, WritebackLimit};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Read(Extent),
    Readahead(Extent),
    Write(Extent),
    BeginDiscard(Extent),
    FinishDiscard(usize, bool),
    StoreReads(usize),
    EndFetch(usize, bool),
    BeginWriteback(Why, WritebackLimit),
    StoreWrites(usize),
    EndWriteback(usize, bool),
    Ticket(usize),
    Advance(u64),
    Invalidate(usize),
    Relocate(u64),
}

#[derive(Clone, Debug)]
enum Why {
    Background(usize),
    Flush(usize),
    Extent(usize, Extent),
    All(usize),
}

/// An extent of one object whose ends are multiples of `unit`.
fn extent(unit: u32) -> impl Strategy<Value = Extent> {
    let units = OBJECT_BYTES / unit;
    (0..OBJECTS, 0..units, prop_oneof![3 => 1..=8 * 512 / unit.min(4096) + 1, 1 => 1..=units]).prop_map(
        move |(object, first, len)| {
            let len = len.min(units - first);
            Extent::new(object, first * unit, len * unit)
        },
    )
}

fn any_extent() -> impl Strategy<Value = Extent> {
    prop_oneof![extent(4096), extent(512), extent(1)]
}

fn why() -> impl Strategy<Value = Why> {
    prop_oneof![
        (0usize..2).prop_map(Why::Background),
        any::<usize>().prop_map(Why::Flush),
        (0usize..2, any_extent()).prop_map(|(shard, extent)| Why::Extent(shard, extent)),
        (0usize..2).prop_map(Why::All),
    ]
}

fn limit() -> impl Strategy<Value = WritebackLimit> {
    (prop_oneof![Just(u32::MAX), 0u32..20_000], prop_oneof![Just(u32::MAX), 1u32..6])
        .prop_map(|(bytes, runs)| WritebackLimit { bytes, runs })
}

fn op() -> impl Strategy<Value = Op> {
    let mostly = prop::bool::weighted(0.85);
    prop_oneof![
        8 => any_extent().prop_map(Op::Read),
        1 => any_extent().prop_map(Op::Readahead),
        8 => any_extent().prop_map(Op::Write),
        1 => extent(SECTOR_BYTES).prop_map(Op::BeginDiscard),
        1 => (any::<usize>(), mostly).prop_map(|(pick, ok)| Op::FinishDiscard(pick, ok)),
        3 => any::<usize>().prop_map(Op::StoreReads),
        6 => (any::<usize>(), mostly).prop_map(|(pick, ok)| Op::EndFetch(pick, ok)),
        6 => (why(), limit()).prop_map(|(why, limit)| Op::BeginWriteback(why, limit)),
        2 => any::<usize>().prop_map(Op::StoreWrites),
        5 => (any::<usize>(), mostly).prop_map(|(pick, ok)| Op::EndWriteback(pick, ok)),
        2 => (0usize..2).prop_map(Op::Ticket),
        2 => (0..AGE_NS).prop_map(Op::Advance),
        1 => (0usize..2).prop_map(Op::Invalidate),
        1 => (0..OBJECTS).prop_map(Op::Relocate),
    ]
}

fn run(world: &mut World, now_ns: &mut u64, op: Op) {
    match op {
        Op::Read(extent) => world.read(extent),
        Op::Readahead(extent) => world.readahead(extent),
        Op::Write(extent) => world.write(extent),
        Op::BeginDiscard(extent) => world.begin_discard(extent),
        Op::FinishDiscard(pick, ok) => world.finish_discard(pick, ok),
        Op::StoreReads(pick) => world.store_reads(pick),
        Op::EndFetch(pick, ok) => world.end_fetch(pick, ok),
        Op::BeginWriteback(why, limit) => {
            let (shard, urgency) = match why {
                Why::Background(shard) => (shard, Urgency::Background(*now_ns)),
                Why::Flush(pick) => match world.some_ticket(pick) {
                    Some((shard, ticket)) => (shard, Urgency::Flush(ticket)),
                    None => return,
                },
                Why::Extent(shard, extent) => (shard, Urgency::Extent(extent)),
                Why::All(shard) => (shard, Urgency::All),
            };
            world.begin_writeback(shard, urgency, limit);
        }
        Op::StoreWrites(pick) => world.store_writes(pick),
        Op::EndWriteback(pick, ok) => world.end_writeback(pick, ok),
        Op::Ticket(shard) => {
            world.take_ticket(shard);
        }
        Op::Advance(ns) => {
            *now_ns += ns;
            world.advance(ns);
        }
        Op::Invalidate(shard) => world.invalidate(shard),
        Op::Relocate(object) => world.relocate(object),
    }
}

fn play(config: &ShardConfig, ops: Vec<Op>) {
    let mut world = World::new(config);
    let mut now_ns = 1;
    for op in ops {
        run(&mut world, &mut now_ns, op);
        world.check();
    }
    world.drain();
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(), 1..250)
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 20_000, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn a_cache_that_keeps_clean_blocks_behaves_like_the_image(ops in ops()) {
        play(&config(true), ops);
    }

    #[test]
    fn a_writearound_cache_behaves_like_the_image(ops in ops()) {
        play(&config(false), ops);
    }

    #[test]
    fn a_cache_without_a_dirty_limit_behaves_like_the_image(ops in ops()) {
        play(&ShardConfig { max_dirty_bytes: 0, target_dirty_bytes: 0, ..config(true) }, ops);
    }

    #[test]
    fn a_cache_with_other_limits_behaves_like_the_image(ops in ops()) {
        play(&ShardConfig { max_dirty_objects: 1, block_writes_upfront: false, ..config(true) }, ops);
    }
}
