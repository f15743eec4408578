//! What a client's limits and intervals do, to the millisecond of virtual time: how much is in flight, when an operation is
//! given up, how long it is until the next try, and when somebody who waits is told what for.

#![allow(clippy::unwrap_used)]

#[path = "client_limits/world.rs"]
mod world;

use ringbd::Buf;
use ringbd::rados::{Cluster, IoCtx, Need, OpError, Rados};
use ringbd_reactor::{now, sleep, spawn};
use ringbd_tests::model::maps::{DATA, change};
use ringbd_tests::model::state::InFlight;
use std::time::Duration;
use world::{Calls, Log, Manner, SECOND, SOON, Small, assert_about};

async fn put(io: &IoCtx, name: &str, bytes: usize) -> Result<(), OpError> {
    io.write_full(name.as_bytes(), Buf::zeroed(bytes)).await
}

/// Writes so many objects at once; all must succeed.
async fn put_all(rados: &Rados, count: usize, bytes: usize) {
    let io = rados.pool("data").await.unwrap();
    let core = rados.core();
    let going: Vec<_> = (0..count)
        .map(|n| {
            let io = io.clone();
            spawn(async move { put(&io, &format!("{core}.{n}"), bytes).await })
        })
        .collect();
    for one in going {
        one.await.unwrap();
    }
}

fn most_in_flight(small: &Small) -> InFlight {
    small.shared.with(|state| state.asked)
}

#[test]
fn no_more_than_objecter_inflight_ops_are_in_flight() {
    for (limit, ops) in [("1", 1), ("7", 7), ("0", 60)] {
        let small = Small::running(3);
        small.shared.with(|state| state.manners.answer_delay = Duration::from_millis(200));
        small.with_client(&[("objecter_inflight_ops", limit)], async |rados| {
            let began = now();
            put_all(rados, 60, 100).await;
            let rounds = u32::try_from(60_usize.div_ceil(ops)).unwrap();
            let spent = began.elapsed();
            assert!(spent >= rounds * SECOND / 5 && spent < rounds * (SECOND / 5 + SOON), "{spent:?}");
        });
        assert_eq!(most_in_flight(&small).ops_max, ops, "objecter_inflight_ops = {limit}");
        assert_eq!(small.shared.with(|state| state.truth.writes()), 60);
    }
}

#[test]
fn no_more_than_objecter_inflight_op_bytes_are_in_flight() {
    let small = Small::running(3);
    small.shared.with(|state| state.manners.answer_delay = Duration::from_millis(200));
    small.with_client(&[("objecter_inflight_op_bytes", "10000")], async |rados| {
        put_all(rados, 40, 3000).await;
    });
    assert_eq!(most_in_flight(&small).bytes_max, 9000);
    // What is larger than the limit goes alone, instead of never.
    small.shared.with(|state| state.asked = InFlight::default());
    small
        .with_client(&[("objecter_inflight_op_bytes", "1000")], async |rados| put_all(rados, 10, 3000).await);
    assert_eq!((most_in_flight(&small).bytes_max, most_in_flight(&small).ops_max), (3000, 1));
}

/// The limits are the client's, however many cores it has, unless that leaves nothing for one of them.
#[test]
fn cores_share_the_limits_and_count_what_they_did() {
    for (cores, limit, most) in [(3, "8", 8), (3, "2", 3)] {
        let small = Small::running(3);
        small.shared.with(|state| state.manners.answer_delay = Duration::from_millis(200));
        small.with_cores(&[("objecter_inflight_ops", limit)], cores, async |rados, seats| {
            let others: Vec<_> = seats
                .into_iter()
                .map(|seat| {
                    let main = move || async move {
                        let rados = seat.join();
                        rados.ready().await.unwrap();
                        put_all(&rados, 40, 1000).await;
                        // Its part of the client's figures is asked for below.
                        std::future::pending::<()>().await;
                    };
                    small.client.start_core(Default::default(), main).unwrap()
                })
                .collect();
            put_all(rados, 40, 1000).await;
            let all = 40 * cores;
            while small.shared.with(|state| state.truth.writes()) < all || in_flight(rados).await > 0 {
                sleep(SOON).await;
            }
            figures_add_up(rados, cores, all).await;
            drop(others);
        });
        assert_eq!(most_in_flight(&small).ops_max, most, "{cores} cores, objecter_inflight_ops = {limit}");
    }
}

async fn in_flight(rados: &Rados) -> usize {
    rados.status().await.cores.iter().map(|core| core.in_flight).sum()
}

async fn figures_add_up(rados: &Rados, cores: usize, operations: usize) {
    let status = rados.status().await;
    let numbers: Vec<usize> = status.cores.iter().map(|core| usize::from(core.core.0)).collect();
    assert_eq!(numbers, (0..cores).collect::<Vec<_>>());
    assert!(status.cores.iter().all(|core| core.operations == 40 && core.in_flight_bytes == 0));
    let mut osds: Vec<i32> = status.sessions.iter().map(|session| session.osd.0).collect();
    osds.dedup();
    assert_eq!(osds, [0, 1, 2], "an OSD has one session, whichever cores use it");
    let sum = |of: fn(&ringbd::rados::SessionStatus) -> u64| status.sessions.iter().map(of).sum::<u64>();
    assert_eq!(sum(|session| session.operations), operations as u64);
    assert_eq!(sum(|session| session.written_bytes), operations as u64 * 1000);
    assert_eq!((sum(|session| session.resends), sum(|session| session.connections)), (0, 3));
    for session in &status.sessions {
        let latency = session.latency;
        assert!(latency.p50_us >= 190_000 && latency.p50_us <= latency.max_us, "{latency:?}");
    }
}

#[test]
fn an_operation_fails_when_rados_osd_op_timeout_is_over() {
    let small = Small::running(3);
    let options = [("rados_osd_op_timeout", "2"), ("objecter_inflight_ops", "1")];
    small.with_client(&options, async |rados| {
        let io = rados.pool("data").await.unwrap();
        put(&io, "object", 10).await.unwrap();
        small.stall(5 * SECOND);
        let began = now();
        let waits = spawn({
            let io = io.clone();
            async move { (put(&io, "waits for its turn", 10).await, began.elapsed()) }
        });
        let (done, spent) = (put(&io, "object", 20).await, began.elapsed());
        assert_eq!(done, Err(OpError::TimedOut));
        assert_about("the operation", spent, 2 * SECOND);
        let error = io.explain(OpError::TimedOut, "write", Need::Write, b"object").await.to_string();
        assert!(
            error.contains("data/object: no answer in time: osd.") && error.contains("does not answer"),
            "{error}"
        );
        let (_, spent) = waits.await;
        assert!(spent < 2 * SECOND + SOON, "waiting for one's turn counts: {spent:?}");
        sleep(5 * SECOND).await;
        put(&io, "object", 30).await.unwrap();
    });
}

#[test]
fn a_question_fails_when_rados_mon_op_timeout_is_over() {
    let small = Small::running(1);
    small.with_client(&[("rados_mon_op_timeout", "3")], async |rados| {
        small.sim.partition(&small.client, &small.monitors[0]);
        let began = now();
        assert_eq!(rados.mon_command(r#"{"prefix":"echo"}"#, b"").await, Err(OpError::TimedOut));
        assert_about("the command", began.elapsed(), 3 * SECOND);
        let began = now();
        let error = rados.pool("nothing").await.map(drop).unwrap_err().to_string();
        assert_about("looking a pool up", began.elapsed(), 3 * SECOND);
        assert!(error.contains("rados_mon_op_timeout"), "{error}");
        small.sim.heal(&small.client, &small.monitors[0]);
    });
}

#[test]
fn operations_have_the_priority_that_is_configured() {
    let seen = |small: &Small| small.shared.with(|state| std::mem::take(&mut state.priorities));
    let small = Small::running(2);
    small.with_client(&[], async |rados| put_all(rados, 10, 10).await);
    assert_eq!(seen(&small), [63].into());
    small.with_client(&[("osd_client_op_priority", "17")], async |rados| put_all(rados, 10, 10).await);
    assert_eq!(seen(&small), [17].into());
    // The monitors may set it, unless it is set here.
    small.shared.with(|state| {
        state.monitor_config = vec![("osd_client_op_priority".to_owned(), "5".to_owned())];
    });
    let after_the_news = async |rados: &Rados| {
        sleep(SECOND).await;
        put_all(rados, 10, 10).await;
    };
    small.with_client(&[], after_the_news);
    assert_eq!(seen(&small), [5].into());
    small.with_client(&[("osd_client_op_priority", "17")], after_the_news);
    assert_eq!(seen(&small), [17].into());
}

/// The moments of calls, from the first on: those that came together are one.
fn rounds(calls: &Calls) -> Vec<(Duration, Vec<usize>)> {
    let calls = calls.lock().unwrap();
    let first = calls[0].1;
    let mut rounds: Vec<(Duration, Vec<usize>)> = Vec::new();
    for &(n, at) in calls.iter() {
        let at = at.duration_since(first);
        match rounds.last_mut().filter(|(moment, _)| at - *moment < SOON) {
            Some((_, who)) => who.push(n),
            None => rounds.push((at, vec![n])),
        }
    }
    rounds
}

/// Hunts among silent monitors until `client_mount_timeout`; returns the rounds and the error.
fn hunt(monitors: usize, options: &[(&str, &str)], limit: Duration) -> (Vec<(Duration, Vec<usize>)>, String) {
    let small = Small::new(monitors, 1);
    let calls = Calls::default();
    for n in 0..monitors {
        small.listen(&small.monitors[n], n, small.monitor_addr(n), Manner::Silent, &calls);
    }
    small.sim.run_for(SOON);
    let seconds = limit.as_secs().to_string();
    let options = [options, &[("client_mount_timeout", seconds.as_str())]].concat();
    let (client, mut seats) = Cluster::new(&small.client, small.config(&options), 1);
    let error = small.sim.block_on(&small.client, async {
        let began = now();
        let error = seats.remove(0).join().ready().await.unwrap_err();
        assert_about("the wait for the cluster", began.elapsed(), limit);
        client.close();
        error
    });
    (rounds(&calls), error.unwrap().to_string())
}

#[test]
fn monitors_are_hunted_in_the_intervals_that_are_configured() {
    let (rounds, error) = hunt(5, &[], 40 * SECOND);
    let moments = [0.0, 3.0, 7.5, 14.25, 24.375, 39.5625].map(Duration::from_secs_f64);
    assert_eq!(rounds.len(), moments.len(), "{rounds:?}");
    for ((found, who), expected) in rounds.iter().zip(moments) {
        assert_about("a round", *found, expected);
        assert!(who.len() <= 3, "mon_client_hunt_parallel: {who:?}");
    }
    let mut first_two: Vec<usize> = rounds[..2].iter().flat_map(|(_, who)| who.clone()).collect();
    first_two.sort_unstable();
    assert_eq!(first_two, [0, 1, 2, 3, 4], "nobody is tried again before all were tried");
    assert!(error.contains("no monitor took this client within 40.0 s"), "{error}");
    assert_eq!(error.matches(":3300/0: no answer within").count(), 5, "{error}");
    assert!(error.contains("client_mount_timeout") && error.contains("/sim.conf"), "{error}");

    let options = [
        ("mon_client_hunt_parallel", "1"),
        ("mon_client_hunt_interval", "1"),
        ("mon_client_hunt_interval_backoff", "2"),
        ("mon_client_hunt_interval_min_multiple", "1.5"),
        ("mon_client_hunt_interval_max_multiple", "4"),
    ];
    let (rounds, _) = hunt(2, &options, 18 * SECOND);
    let moments = [0.0, 1.5, 3.5, 7.5, 11.5, 15.5].map(Duration::from_secs_f64);
    assert_eq!(rounds.len(), moments.len(), "{rounds:?}");
    for ((found, who), expected) in rounds.iter().zip(moments) {
        assert_about("a round", *found, expected);
        assert_eq!(who.len(), 1);
    }
}

#[test]
fn the_first_error_names_whom_it_waits_for() {
    let (_, error) = hunt(1, &[], SECOND);
    assert!(error.contains("within 1.0 s; v2:") && error.contains(":3300/0: no answer yet"), "{error}");
}

/// Monitors with a worse priority are not tried while better ones may answer, and are when those do not.
#[test]
fn monitors_of_a_worse_priority_are_tried_in_their_turn() {
    let small = Small::new(2, 0);
    let calls = Calls::default();
    let (better, worse) = (small.monitor_addr(0), small.monitor_addr(1));
    small.listen(&small.monitors[0], 0, better, Manner::Dropping, &calls);
    small.listen(&small.monitors[1], 1, worse, Manner::Dropping, &calls);
    small.sim.run_for(SOON);
    let conf = format!(
        "[global]\nauth client required = none\n[mon.a]\nmon addr = v2:{better}\nmon priority = 1\n\
         [mon.b]\nmon addr = v2:{worse}\nmon priority = 2\n"
    );
    let (client, mut seats) =
        Cluster::new(&small.client, small.config_of(&conf, &[("client_mount_timeout", "10")]), 1);
    small
        .sim
        .block_on(&small.client, async {
            seats.remove(0).join().ready().await.unwrap_err();
            client.close();
        })
        .unwrap();
    let who: Vec<Vec<usize>> = rounds(&calls).into_iter().map(|(_, who)| who).collect();
    assert_eq!(who, [[0], [1], [0]]);
}

#[test]
fn reconnects_wait_from_ms_initial_backoff_to_ms_max_backoff() {
    for (options, pauses) in [
        (&[][..], &[0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 15.0, 15.0][..]),
        (&[("ms_initial_backoff", "1"), ("ms_max_backoff", "4")], &[1.0, 2.0, 4.0, 4.0, 4.0]),
    ] {
        let small = Small::running(1);
        let calls = Calls::default();
        small.sim.kill(&small.osds[0]);
        small.listen(&small.osds[0], 0, small.osd_addr(0), Manner::Dropping, &calls);
        small.sim.run_for(SOON);
        small.with_client(options, async |rados| {
            let io = rados.pool("data").await.unwrap();
            let write = spawn(async move { put(&io, "object", 10).await });
            sleep(Duration::from_secs_f64(pauses.iter().sum()) + SECOND).await;
            let moments: Vec<Duration> = rounds(&calls).into_iter().map(|(at, _)| at).collect();
            assert!(moments.len() > pauses.len(), "{moments:?}");
            for (two, pause) in moments.windows(2).zip(pauses) {
                assert_about("a pause", two[1] - two[0], Duration::from_secs_f64(*pause));
            }
            drop(write);
        });
    }
}

#[test]
fn who_waits_for_room_is_told_so() {
    Log::of(|log| {
        let small = Small::running(2);
        small.shared.publish(|map, incremental| change::full(map, incremental, DATA, true));
        small.with_client(&[], async |rados| {
            let io = rados.pool("data").await.unwrap();
            let write = spawn({
                let io = io.clone();
                async move { put(&io, "object", 10).await }
            });
            sleep(4 * SECOND).await;
            assert_eq!(log.lines(&[]), [""; 0]);
            sleep(2 * SECOND).await;
            log.assert_says(&[
                "slow operations: pool data is full",
                "`ceph df`",
                "rados_osd_op_timeout",
                "operations=1",
            ]);
            sleep(18 * SECOND).await;
            assert_eq!(
                log.lines(&["pool data is full"]).len(),
                3,
                "once more each time that the wait has doubled"
            );
            small.shared.publish(|map, incremental| change::full(map, incremental, DATA, false));
            write.await.unwrap();
            sleep(30 * SECOND).await;
            assert_eq!(log.lines(&[]).len(), 3);
        });
    });
}

#[test]
fn who_waits_for_the_end_of_a_pause_or_for_an_osd_is_told_so() {
    Log::of(|log| {
        let small = Small::running(1);
        small.with_client(&[("rados_osd_op_timeout", "9")], async |rados| {
            let io = rados.pool("data").await.unwrap();
            put(&io, "object", 10).await.unwrap();
            small.shared.publish(|map, incremental| change::paused(map, incremental, true));
            rados.latest_map().await.unwrap();
            assert_eq!(io.stat(b"object").await, Err(OpError::TimedOut));
            log.assert_says(&[
                "reads are paused",
                "ceph osd unpause",
                "rados_osd_op_timeout ends the wait after 9.0 s",
            ]);
            let error = io.explain(OpError::TimedOut, "write", Need::Write, b"object").await.to_string();
            assert!(error.contains("writes are paused"), "{error}");
            small.shared.publish(|map, incremental| {
                change::paused(map, incremental, false);
                change::down(map, incremental, ringbd::rados::OsdId(0));
            });
            small.sim.kill(&small.osds[0]);
            rados.latest_map().await.unwrap();
            assert_eq!(put(&io, "object", 10).await, Err(OpError::TimedOut));
            log.assert_says(&["no OSD that is up leads placement group 1.", "ceph osd tree"]);
        });
    });
}

#[test]
fn who_waits_for_an_osd_that_is_slow_or_out_of_reach_is_told_so() {
    Log::of(|log| {
        let small = Small::running(1);
        small.with_client(&[("osd_op_complaint_time", "8")], async |rados| {
            let io = rados.pool("data").await.unwrap();
            put(&io, "object", 10).await.unwrap();
            small.stall(12 * SECOND);
            let began = now();
            put(&io, "object", 10).await.unwrap();
            assert!(began.elapsed() > 11 * SECOND);
            log.assert_says(&[
                "slow operations: osd.0 does not answer",
                "osd=0",
                "operations=1",
                "waited=8.",
                "pg=1.",
            ]);
            assert_eq!(log.lines(&[]).len(), 1);
            small.sim.kill(&small.osds[0]);
            let write = spawn(async move { put(&io, "object", 10).await });
            sleep(7 * SECOND).await;
            log.assert_says(&["there is no connection to osd.0: ", "waited=5."]);
            drop(write);
        });
    });
}

#[test]
fn who_waits_for_a_monitor_is_told_so() {
    Log::of(|log| {
        hunt(2, &[], 30 * SECOND);
        log.assert_says(&[
            "waiting for the cluster: no monitor takes this client",
            "no answer within 3.0 s",
            "waited=5.",
        ]);
        assert_eq!(log.lines(&[]).len(), 3, "once more each time that the wait has doubled");
        let small = Small::running(1);
        small.with_client(&[("rados_mon_op_timeout", "40")], async |rados| {
            small.sim.partition(&small.client, &small.monitors[0]);
            drop(rados.mon_command(r#"{"prefix":"echo"}"#, b"").await);
            small.sim.heal(&small.client, &small.monitors[0]);
        });
        log.assert_says(&[r#"waiting for the command {"prefix":"echo"}"#]);
    });
}
