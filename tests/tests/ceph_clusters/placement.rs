//! Placement groups that are divided, joined and moved while clients write to them.

use super::go_on;
use ringbd_tests::ceph::{Cluster, Load, Steps};
use serde_json::{Value, json};
use std::time::Duration;

fn pool<'a>(dump: &'a Value, name: &str) -> &'a Value {
    let mut pools = dump["pools"].as_array().unwrap().iter();
    pools.find(|pool| pool["pool_name"] == name).unwrap()
}

/// Asks for numbers of placement groups, and waits until they are so: the manager takes one step after the other.
fn set_number(cluster: &Cluster, loads: &[Load], what: &str, number: u64) {
    cluster
        .command(&json!({"prefix": "osd pool set", "pool": "data", "var": what, "val": number.to_string()}));
    let number_is = if what == "pgp_num" { "pg_placement_num" } else { "pg_num" };
    cluster.await_that(&format!("{what} is {number}"), |cluster| {
        pool(&cluster.command(&json!({"prefix": "osd dump"})), "data")[number_is] == number
    });
    go_on(loads, 100);
}

pub(super) fn groups_split_and_merge(cluster: &Cluster, loads: &[Load], steps: &mut Steps) {
    set_number(cluster, loads, "pg_num", 11);
    steps.done("placement groups are split");
    // Their parts go elsewhere.
    set_number(cluster, loads, "pgp_num", 11);
    steps.done("and placed anew");
    set_number(cluster, loads, "pg_num", 9);
    steps.done("some are merged");
    cluster.await_clean();
}

/// By weights, by hand, and for a while.
pub(super) fn groups_move(cluster: &Cluster, loads: &[Load], steps: &mut Steps) {
    let run = |command: Value| {
        cluster.command(&command);
        go_on(loads, 60);
    };
    run(json!({"prefix": "osd reweight", "id": 0, "weight": 0.3}));
    run(json!({"prefix": "osd reweight", "id": 0, "weight": 1.0}));
    let tree = cluster.command(&json!({"prefix": "osd tree"}));
    let osd = tree["nodes"].as_array().unwrap().iter().find(|node| node["name"] == "osd.1").unwrap();
    let weight = &osd["crush_weight"];
    run(json!({"prefix": "osd crush reweight", "name": "osd.1", "weight": 0.0}));
    run(json!({"prefix": "osd crush reweight", "name": "osd.1", "weight": weight}));
    run(json!({"prefix": "osd primary-affinity", "id": 2, "weight": 0.0}));
    run(json!({"prefix": "osd primary-affinity", "id": 2, "weight": 1.0}));
    cluster.await_clean();
    steps.done("weights and affinities changed");
    let dump = cluster.command(&json!({"prefix": "osd dump"}));
    let id = pool(&dump, "data")["pool"].as_u64().unwrap();
    for seed in 0..3 {
        let pgid = format!("{id}.{seed}");
        let mut up: Vec<u64> = Vec::new();
        cluster.await_that("two OSDs are to have a placement group", |cluster| {
            let map = cluster.command(&json!({"prefix": "pg map", "pgid": pgid}));
            up = map["up"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
            up.len() == 2
        });
        let spare = (0..3).find(|osd| !up.contains(osd)).unwrap();
        // The primary is another one, then the replica; the monitors drop what says nothing new.
        run(json!({"prefix": "osd pg-upmap-items", "pgid": pgid, "id": [up[0], spare]}));
        run(json!({"prefix": "osd rm-pg-upmap-items", "pgid": pgid}));
        run(json!({"prefix": "osd pg-upmap", "pgid": pgid, "id": [up[0], spare]}));
        run(json!({"prefix": "osd rm-pg-upmap", "pgid": pgid}));
        run(json!({"prefix": "osd pg-temp", "pgid": pgid, "id": [up[1], up[0]]}));
        run(json!({"prefix": "osd primary-temp", "pgid": pgid, "id": up[1]}));
        run(json!({"prefix": "osd primary-temp", "pgid": pgid, "id": -1}));
    }
    cluster.await_clean();
    steps.done("placement groups moved by hand");
}

/// What operators do to whole clusters and to OSDs that are well.
pub(super) fn flags(cluster: &mut Cluster, loads: &[Load], steps: &mut Steps) {
    let total = |loads: &[Load]| loads.iter().map(Load::acknowledged).sum::<u64>();
    cluster.command(&json!({"prefix": "osd pause"}));
    let mut before = total(loads);
    // What OSDs had in hand when they heard of it is done still.
    cluster.await_that("a paused cluster does nothing", |_| {
        std::thread::sleep(Duration::from_millis(300));
        before == std::mem::replace(&mut before, total(loads))
    });
    cluster.command(&json!({"prefix": "osd unpause"}));
    go_on(loads, 100);
    steps.done("a pause is over");
    cluster.command(&json!({"prefix": "osd set", "key": "noout"}));
    cluster.osd(0).kill();
    cluster.await_osds_up(2);
    go_on(loads, 100);
    cluster.osd(0).restart();
    cluster.await_osds_up(3);
    cluster.command(&json!({"prefix": "osd unset", "key": "noout"}));
    go_on(loads, 100);
    steps.done("an OSD was away and stayed in");
    for osd in ["0", "1", "2"] {
        cluster.command(&json!({"prefix": "osd down", "ids": [osd]}));
        go_on(loads, 60);
        cluster.await_osds_up(3);
    }
    cluster.command(&json!({"prefix": "osd down", "ids": ["0", "1", "2"]}));
    go_on(loads, 100);
    cluster.await_osds_up(3);
    cluster.await_clean();
    steps.done("OSDs that are alive were called dead");
}
