//! The unchanged client in a simulated cluster in which everything fails: whatever happens, no acknowledged write is lost, none
//! is done twice or out of order, and nothing hangs once the cluster is well.
//!
//! A failing seed is printed with its plan; `RINGBD_SEED=n cargo test --test cluster_sim` runs it alone, and tells with
//! `RUST_LOG=ringbd=info` what the client did. `RINGBD_SEEDS=n` runs that many, from `RINGBD_FIRST_SEED` on.

#![allow(clippy::unwrap_used)]

use ringbd_proto::auth::ConMode;
use ringbd_proto::auth::server::TicketLives;
use ringbd_tests::model::census::{Census, Seen};
use ringbd_tests::model::cluster::{Kind, Outcome, Plan, run};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// From so many histories on, all that can happen must have happened.
const SEEDS_OF_ALL: u64 = 4000;

#[test]
fn no_promise_is_broken_by_a_cluster_that_fails() {
    if let Ok(seed) = std::env::var("RINGBD_SEED") {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        tracing_subscriber::fmt().with_env_filter(filter).without_time().with_ansi(false).init();
        eprintln!("{:#?}", run_seed(seed.parse().unwrap()));
        return;
    }
    let seeds: u64 = std::env::var("RINGBD_SEEDS").map_or(5_000, |seeds| seeds.parse().unwrap());
    let first: u64 = std::env::var("RINGBD_FIRST_SEED").map_or(0, |seed| seed.parse().unwrap());
    let (writes, moved) = (AtomicU64::new(0), AtomicU64::new(0));
    let census = Mutex::new(Census::default());
    for_seeds(first, seeds, |seed| {
        let outcome = run_seed(seed);
        writes.fetch_add(outcome.writes, Ordering::Relaxed);
        moved.fetch_add(outcome.resends, Ordering::Relaxed);
        *census.lock().unwrap_or_else(PoisonError::into_inner) += &outcome.census;
    });
    let census = census.into_inner().unwrap();
    eprintln!("{seeds} seeds: {writes:?} writes, {moved:?} moved by a map; {census:#?}");
    assert!(writes.into_inner() > seeds * 10, "something was written");
    assert!(moved.into_inner() > seeds / 2, "the cluster was not still");
    for what in Seen::ALL {
        assert!(seeds < SEEDS_OF_ALL || census.of(*what) >= 10, "{what:?} happened: {census:?}");
    }
}

#[test]
fn the_same_seed_runs_the_same_way() {
    for seed in 0..20 {
        assert_eq!(run_seed(seed).trace, run_seed(seed).trace, "seed {seed}");
    }
    assert_ne!(run_seed(1).trace, run_seed(2).trace);
}

/// What each of these found was mended: an answer that crossed with the map that moved its operation to another round, whose
/// session then kept it for ever; and a wait for a map that a monitor had not got yet when it was asked.
#[test]
fn histories_that_failed_once() {
    for seed in [1_004_294, 77_001_813, 77_004_249] {
        run_seed(seed);
    }
}

/// A client whose tids begin anew with a session has its writes taken for older ones; one that hands a lost connection to
/// its caller fails writes that nothing is wrong with.
#[test]
fn a_lost_connection_is_no_error_and_no_reason_for_another_tid() {
    let repeats: u64 = (0..150)
        .map(|seed| {
            let kinds = [Kind::Reset, Kind::Reset, Kind::KillOsd, Kind::ReviveOsds];
            let plan = Plan::of_kinds(seed, &kinds, 15);
            run_plan(&Plan { reset: 0.03, rounds: 10, ..plan }).census.of(Seen::Repeat)
        })
        .sum();
    assert!(repeats > 100, "connections were lost between a write and its answer: {repeats}");
}

/// Backoffs drop what was sent, so a client that sends only what came later waits for ever.
#[test]
fn what_an_osd_dropped_for_a_backoff_is_sent_again() {
    for seed in 0..150 {
        let mut plan = Plan::of_kinds(seed, &[Kind::Lead, Kind::MarkDown, Kind::Split], 15);
        plan.manners.peering.0 = 1.0;
        run_plan(&Plan { rounds: 10, ..plan });
    }
}

/// A receive that is given up half way, and bytes that come one by one, lose nothing, also where each block is encrypted by
/// its place in the stream.
#[test]
fn no_byte_of_an_encrypted_stream_is_lost_however_it_is_cut() {
    for seed in 0..60 {
        let kinds = [Kind::Stall, Kind::Reset, Kind::Part, Kind::Heal, Kind::RotateKeys];
        let plan = Plan::of_kinds(seed, &kinds, 15);
        run_plan(&Plan { auth: Some(ConMode::Secure), segment_max: 60, rounds: 6, ..plan });
    }
}

/// More maps than a client gets to see, with all that moves between them.
#[test]
fn maps_that_were_missed_leave_nothing_where_it_was() {
    for seed in 0..150 {
        let kinds =
            [Kind::Epochs, Kind::Epochs, Kind::Split, Kind::Merge, Kind::Pause, Kind::Fill, Kind::Reset];
        run_plan(&Plan { rounds: 10, ..Plan::of_kinds(seed, &kinds, 20) });
    }
}

/// An OSD that goes on to lead a placement group forgets connections of watchers and notifications under way all the same when
/// the group's interval ends. A client that looks at its leader alone loses watches, and waits for notifications for ever.
#[test]
fn watches_and_notifications_outlive_an_interval_with_the_same_leader() {
    let mut census = Census::default();
    for seed in 0..100 {
        let mut plan = Plan::of_kinds(seed, &[Kind::Lead, Kind::Split, Kind::Weigh], 20);
        plan.manners.map_lag = Duration::from_millis(800);
        census += &run_plan(&Plan { rounds: 12, clients: 2, ..plan }).census;
    }
    for what in [Seen::NotificationForgotten, Seen::Rewatched, Seen::PingedInVain] {
        assert!(census.of(what) > 20, "{what:?} happened: {census:?}");
    }
}

/// Slow OSDs are no reason to lose a watch, also for who gives each of its own operations little time.
#[test]
fn a_limit_of_operations_is_none_of_watches() {
    let mut census = Census::default();
    for seed in 0..100 {
        let mut plan = Plan::of_kinds(seed, &[Kind::Stall, Kind::KillOsd, Kind::ReviveOsds], 15);
        plan.limits.op_timeout_s = Some(2);
        census += &run_plan(&plan).census;
    }
    assert!(census.of(Seen::TimedOut) > 100 && census.of(Seen::Rewatched) > 100, "{census:?}");
}

/// Who waits for its share of what may be in flight is not overtaken by who came later and fits.
#[test]
fn few_operations_in_flight_keep_their_order() {
    for seed in 0..150 {
        let mut plan = Plan::of_kinds(seed, &[Kind::Reset, Kind::Lead], 8);
        plan.limits.inflight_bytes = Some(2000);
        plan.limits.inflight_ops = Some(2);
        run_plan(&Plan { rounds: 12, ..plan });
    }
}

/// A whole map that a monitor sends may be older than the one that could not be brought up to date: the client must ask on.
#[test]
fn broken_maps_and_monitors_that_are_behind_do_not_stop_a_client() {
    let mut census = Census::default();
    for seed in 0..100 {
        let mut plan = Plan::of_kinds(seed, &[Kind::Lead, Kind::Weigh, Kind::MarkDown, Kind::Epochs], 20);
        plan.manners.broken_maps = 0.4;
        plan.manners.monitor_lag = Duration::from_secs(4);
        plan.manners.maps_at_once = 1;
        census += &run_plan(&plan).census;
    }
    for what in [Seen::BrokenIncremental, Seen::WholeMapAsked, Seen::MonitorBehind] {
        assert!(census.of(what) > 100, "{what:?} happened: {census:?}");
    }
}

/// A client whom no monitor lets go on under its global id is over when its ticket is; so are its questions and
/// notifications, of which nobody would ever hear.
#[test]
fn a_client_that_lost_its_identity_is_told() {
    let mut census = Census::default();
    for seed in 0..100 {
        let plan = Plan::of_kinds(seed, &[Kind::Disown, Kind::Reset, Kind::Elect], 15);
        let lives = TicketLives { login: Duration::from_secs(20), service: Duration::from_secs(8) };
        let plan = Plan { auth: Some(ConMode::Crc), rounds: 30, lives, ..plan };
        census += &run_plan(&plan).census;
    }
    assert!(census.of(Seen::IdentityLost) > 50 && census.of(Seen::Heir) > 50, "{census:?}");
}

/// Runs seeds on all the machine's cores.
fn for_seeds(first: u64, seeds: u64, each: impl Fn(u64) + Sync) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicU64::new(first);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        return;
                    }
                    each(seed);
                }
            });
        }
    });
}

fn run_seed(seed: u64) -> Outcome {
    run_plan(&Plan::of(seed))
}

fn run_plan(plan: &Plan) -> Outcome {
    let seed = plan.seed;
    let outcome = std::panic::catch_unwind(|| run(plan))
        .unwrap_or_else(|_| panic!("RINGBD_SEED={seed} panics: {plan:#?}"));
    let violations = &outcome.violations;
    assert!(violations.is_empty(), "RINGBD_SEED={seed} fails: {violations:#?}\n{plan:#?}");
    outcome
}
