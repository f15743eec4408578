//! The unchanged client in a simulated cluster in which everything fails: whatever happens, no acknowledged write is lost, none
//! is done twice or out of order, and nothing hangs once the cluster is well.
//!
//! A failing seed is printed; `RINGBD_SEED=n cargo test --test cluster_sim` runs it alone, `RINGBD_SEEDS=n` that many.

#![allow(clippy::unwrap_used)]

use ringbd_tests::model::cluster::{Outcome, Plan, run};
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

fn run_seed(seed: u64) -> Outcome {
    let plan = Plan::of(seed);
    let outcome = std::panic::catch_unwind(|| run(&plan))
        .unwrap_or_else(|_| panic!("RINGBD_SEED={seed} panics: {plan:?}"));
    let violations = &outcome.violations;
    assert!(violations.is_empty(), "RINGBD_SEED={seed} fails: {violations:#?}\n{plan:?}");
    outcome
}
