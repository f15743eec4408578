//! Three monitors that ask for no proof: their leader dies under a load, too few are left, one says nothing.

use super::{NOTHING, go_on, soon};
use ringbd::Buf;
use ringbd::rados::OpError;
use ringbd::runtime::spawn;
use ringbd_tests::ceph::{Cluster, Load, Steps};
use serde_json::{Value, json};
use std::time::Duration;

/// Patient clients wait for monitors; these say when they do not.
const IMPATIENT: &[(&str, &str)] =
    &[("rados_mon_op_timeout", "2"), ("client_mount_timeout", "2"), ("mon_client_hunt_interval", "0.3")];

const NAMES: [&str; 3] = ["a", "b", "c"];

/// What a monitor says of itself, if it runs.
fn status(cluster: &Cluster, name: &str) -> Option<Value> {
    cluster.ask(&format!("mon.{name}"), &json!({"prefix": "mon_status"})).ok()
}

/// Waits until so many monitors have a quorum, and returns which of them leads it: the one with the lowest rank.
fn leader(cluster: &Cluster, mons: usize) -> usize {
    let mut leader = None;
    cluster.await_that(&format!("{mons} monitors have a leader"), |cluster| {
        let said = NAMES.iter().filter_map(|name| status(cluster, name));
        let quorums = said.filter(|status| status["quorum"].as_array().is_some_and(|all| all.len() == mons));
        let all: Vec<Value> = quorums.collect();
        let Some(status) = all.first().filter(|_| all.len() == mons) else { return false };
        let rank = status["quorum"].as_array().unwrap().iter().filter_map(Value::as_u64).min();
        let known = status["monmap"]["mons"].as_array().unwrap();
        let first = known.iter().find(|mon| mon["rank"].as_u64() == rank).unwrap();
        leader = NAMES.iter().position(|name| first["name"] == *name);
        true
    });
    leader.unwrap()
}

pub(super) fn leaders_die_under_load(cluster: &mut Cluster, steps: &mut Steps) {
    let loads = [Load::start(cluster, "data", NOTHING, 1), Load::start(cluster, "data", NOTHING, 2)];
    go_on(&loads, 100);
    let dead = leader(cluster, 3);
    cluster.mon(dead).kill();
    go_on(&loads, 100);
    assert_ne!(leader(cluster, 2), dead);
    // What changes now is heard of from others: an OSD that is alive comes back elsewhere.
    cluster.command(&json!({"prefix": "osd down", "ids": ["0"]}));
    go_on(&loads, 100);
    cluster.await_osds_up(2);
    cluster.mon(dead).restart();
    leader(cluster, 3);
    go_on(&loads, 100);
    steps.done("the leader died and came back");
    // Nobody decides anything; what the map of before says is still so. Placement groups that had to peer now could not.
    cluster.await_clean();
    go_on(&loads, 500);
    for mon in [0, 1] {
        cluster.mon(mon).kill();
    }
    go_on(&loads, 200);
    steps.done("the load goes on without a quorum");
    for mon in [0, 1] {
        cluster.mon(mon).restart();
    }
    leader(cluster, 3);
    cluster.command(&json!({"prefix": "osd down", "ids": ["1"]}));
    go_on(&loads, 200);
    for load in loads {
        assert!(load.finish() > 500);
    }
    steps.done("verified");
}

/// Who comes, or asks, while there is no quorum waits for it, unless it has set a limit.
pub(super) fn without_a_quorum(cluster: &mut Cluster, steps: &mut Steps) {
    cluster.await_osds_up(2);
    let mut core = ringbd::World::real().lend_core(Default::default()).unwrap();
    core.block_on(async {
        let (client, mut seats) = cluster.new_client(IMPATIENT, 1);
        let impatient = seats.remove(0).join();
        soon("it is taken", impatient.ready()).await.unwrap();
        let (patient, mut seats) = cluster.new_client(NOTHING, 1);
        let asks = seats.remove(0).join();
        soon("it is taken", asks.ready()).await.unwrap();
        for mon in [0, 2] {
            cluster.mon(mon).kill();
        }
        // The one that is left serves what it knows until it notices.
        cluster.await_that("the quorum is gone", |cluster| {
            status(cluster, NAMES[1])
                .is_some_and(|status| status["quorum"].as_array().is_some_and(Vec::is_empty))
        });
        let tree = r#"{"prefix":"osd tree"}"#;
        let refused = soon("a command ends", impatient.mon_command(tree, b"")).await;
        assert_eq!(refused, Err(OpError::TimedOut));
        let (late, mut seats) = cluster.new_client(IMPATIENT, 1);
        let error = soon("it gives up", seats.remove(0).join().ready()).await.unwrap_err().to_string();
        assert!(error.contains("within 2.0 s"), "{error}");
        late.close();
        let (newcomer, mut seats) = cluster.new_client(NOTHING, 1);
        let rados = seats.remove(0).join();
        let comes = spawn(async move {
            rados.ready().await.unwrap();
            let io = rados.pool("data").await.unwrap();
            io.write_full(b"late", Buf::from_slice(b"object")).await.unwrap();
        });
        let answered = spawn(async move { asks.mon_command(tree, b"").await.unwrap().result });
        steps.done("without a quorum");
        for mon in [0, 2] {
            cluster.mon(mon).restart();
        }
        assert_eq!(soon("the patient one is answered", answered).await, 0);
        soon("the newcomer is taken", comes).await;
        assert_eq!(soon("the impatient one too", impatient.mon_command(tree, b"")).await.unwrap().result, 0);
        [client, patient, newcomer].iter().for_each(ringbd::rados::Cluster::close);
    });
    leader(cluster, 3);
    steps.done("the quorum is back");
}

/// A monitor that hangs keeps its connections. The client notices, and speaks to another.
pub(super) fn a_silent_monitor_is_left(cluster: &mut Cluster) {
    let quick = [("mon_client_ping_interval", "0.5"), ("mon_client_ping_timeout", "2")];
    cluster.with_client(&quick, async |client| {
        let session = async || client.status().await.monitors.session.map(|(name, _)| name);
        let before = session().await.unwrap();
        let silent = NAMES.iter().position(|name| *name == before).unwrap();
        cluster.mons()[silent].freeze();
        soon("another monitor is found", async {
            while session().await.is_none_or(|name| name == before) {
                ringbd::runtime::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        let create = r#"{"prefix":"osd pool create","pool":"made","pg_num":1}"#;
        let made = soon("it answers", client.mon_command(create, b"")).await.unwrap();
        cluster.mons()[silent].thaw();
        assert_eq!(made.result, 0, "{}", made.status);
        let io = client.pool("made").await.unwrap();
        soon("the pool is there", io.write_full(b"object", Buf::from_slice(b"x"))).await.unwrap();
    });
    leader(cluster, 3);
}
