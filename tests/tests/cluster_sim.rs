//! The unchanged client in a simulated cluster in which everything fails: whatever happens, no acknowledged write is lost, none
//! is done twice or out of order, and nothing hangs once the cluster is well.
//!
//! A failing seed is printed; `RINGBD_SEED=n cargo test --test cluster_sim` runs it alone, `RINGBD_SEEDS=n` that many.

#![allow(clippy::unwrap_used)]

use ringbd_proto::auth::ConMode;
use ringbd_tests::model::cluster::{Blow, Outcome, Plan, run};
use std::sync::atomic::{AtomicU64, Ordering};

#[test]
fn no_promise_is_broken_by_a_cluster_that_fails() {
    if let Ok(seed) = std::env::var("RINGBD_SEED") {
        let outcome = run_seed(seed.parse().unwrap());
        eprintln!("{outcome:?}");
        return;
    }
    let seeds: u64 = std::env::var("RINGBD_SEEDS").map_or(5_000, |seeds| seeds.parse().unwrap());
    let first: u64 = std::env::var("RINGBD_FIRST_SEED").map_or(0, |seed| seed.parse().unwrap());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, writes, resends) = (AtomicU64::new(first), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        return;
                    }
                    let outcome = run_seed(seed);
                    writes.fetch_add(outcome.writes, Ordering::Relaxed);
                    resends.fetch_add(outcome.resends, Ordering::Relaxed);
                }
            });
        }
    });
    eprintln!("{seeds} seeds: {writes:?} writes, {resends:?} moved by a map");
    assert!(writes.into_inner() > seeds * 10, "something was written");
    assert!(resends.into_inner() > seeds, "the cluster was not still");
}

#[test]
fn the_same_seed_runs_the_same_way() {
    for seed in 0..20 {
        assert_eq!(run_seed(seed).trace, run_seed(seed).trace, "seed {seed}");
    }
    assert_ne!(run_seed(1).trace, run_seed(2).trace);
}

/// A client whose tids begin anew with a session has its writes taken for older ones; one that hands a lost connection to
/// its caller fails writes that nothing is wrong with.
#[test]
fn a_lost_connection_is_no_error_and_no_reason_for_another_tid() {
    let repeats: u64 = (0..150)
        .map(|seed| {
            let kinds = vec![Blow::Reset, Blow::Reset, Blow::KillOsd, Blow::ReviveOsds];
            run_plan(&Plan { kinds, reset: 0.03, rounds: 10, ..Plan::of(seed) }).repeats
        })
        .sum();
    assert!(repeats > 100, "connections were lost between a write and its answer: {repeats}");
}

/// Backoffs drop what was sent, so a client that sends only what came later waits for ever.
#[test]
fn what_an_osd_dropped_for_a_backoff_is_sent_again() {
    for seed in 0..150 {
        let kinds = vec![Blow::MovePrimary, Blow::MarkDown, Blow::Split];
        run_plan(&Plan { kinds, always_busy: true, rounds: 10, ..Plan::of(seed) });
    }
}

/// A receive that is given up half way, and bytes that come one by one, lose nothing, also where each block is encrypted by
/// its place in the stream.
#[test]
fn no_byte_of_an_encrypted_stream_is_lost_however_it_is_cut() {
    for seed in 0..60 {
        let kinds = vec![Blow::Stall, Blow::Reset, Blow::Part, Blow::Heal, Blow::RotateKeys];
        let auth = Some(ConMode::Secure);
        run_plan(&Plan { kinds, auth, segment_max: 60, rounds: 6, ..Plan::of(seed) });
    }
}

/// More maps than a client gets to see, with all that moves between them.
#[test]
fn maps_that_were_missed_leave_nothing_where_it_was() {
    for seed in 0..150 {
        let kinds =
            vec![Blow::ManyEpochs, Blow::ManyEpochs, Blow::Split, Blow::Pause, Blow::Fill, Blow::Reset];
        run_plan(&Plan { kinds, rounds: 10, blows: 20, ..Plan::of(seed) });
    }
}

fn run_seed(seed: u64) -> Outcome {
    run_plan(&Plan::of(seed))
}

fn run_plan(plan: &Plan) -> Outcome {
    let seed = plan.seed;
    let outcome = std::panic::catch_unwind(|| run(plan))
        .unwrap_or_else(|_| panic!("RINGBD_SEED={seed} panics: {plan:?}"));
    let violations = &outcome.violations;
    assert!(violations.is_empty(), "RINGBD_SEED={seed} fails: {violations:#?}\n{plan:?}");
    outcome
}
