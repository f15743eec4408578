//! The native client against more kinds of real clusters: OSDs on bluestore, erasure-coded pools, monitors without
//! authentication that lose their quorum, pools that change under a load, clients that are fenced or fall silent.
//!
//! Needs Debian's Ceph packages. Where they are missing the tests say so and pass, except in the gate (`CI=true`).

#![allow(clippy::unwrap_used)]

#[path = "ceph_clusters/bluestore.rs"]
mod bluestore;
#[path = "ceph_clusters/erasure.rs"]
mod erasure;
#[path = "ceph_clusters/fencing.rs"]
mod fencing;
#[path = "ceph_clusters/monitors.rs"]
mod monitors;
#[path = "ceph_clusters/names.rs"]
mod names;
#[path = "ceph_clusters/placement.rs"]
mod placement;
#[path = "ceph_clusters/pools.rs"]
mod pools;
#[path = "ceph_clusters/watches.rs"]
mod watches;

use ringbd::rados::{OpError, Rados};
use ringbd::runtime::timeout;
use ringbd_tests::ceph::{Cluster, Load, Options, Steps, start_or_skip};
use serde_json::json;
use std::time::Duration;

const NOTHING: &[(&str, &str)] = &[];
const ENOENT: OpError = OpError::Errno(2);
const EOPNOTSUPP: OpError = OpError::Errno(95);
const ENOTCONN: OpError = OpError::Errno(107);

/// How long anything may take that does not wait for a timer of the cluster.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for something that must come.
async fn soon<T>(what: &str, it: impl Future<Output = T>) -> T {
    timeout(PATIENCE, it).await.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain: {what}"))
}

/// A client of its own on the core of another one.
async fn another_client(cluster: &Cluster) -> Rados {
    let (_, mut seats) = cluster.new_client(NOTHING, 1);
    let rados = seats.remove(0).join();
    soon("another client is taken", rados.ready()).await.unwrap();
    rados
}

/// Bytes that are different everywhere.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + at / 251) as u8).collect()
}

/// What `rados` prints, run with these arguments.
fn rados(cluster: &Cluster, args: &[&str]) -> Vec<u8> {
    let output = cluster.rados(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A file for the tool to read.
fn file(cluster: &Cluster, name: &str, bytes: &[u8]) -> String {
    let path = cluster.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

/// All loads did so many more operations.
fn go_on(loads: &[Load], operations: u64) {
    loads.iter().for_each(|load| load.await_progress(operations));
}

/// OSDs on a file, as real ones are on a disk: they overwrite erasure-coded objects, have holes, and take odd names.
#[test]
fn bluestore_and_erasure_code() {
    let options = Options { store: "bluestore", ..Options::default() };
    let Some(mut cluster) = start_or_skip(&options) else { return };
    let mut steps = Steps::new();
    cluster.create_pool("data", 11);
    erasure::create_pools(&cluster);
    bluestore::bytes_agree_with_a_model(&cluster, "data");
    steps.done("bytes agree");
    bluestore::large_objects_agree(&cluster);
    bluestore::holes_are_found(&cluster);
    bluestore::attributes_and_maps_agree(&cluster, "data");
    steps.done("large objects, holes, attributes and maps agree");
    names::odd_names_agree(&cluster);
    names::snapshots_agree(&cluster, "data");
    steps.done("names and snapshots agree");
    erasure::what_an_erasure_coded_pool_takes(&cluster);
    bluestore::bytes_agree_with_a_model(&cluster, "overwritten");
    names::snapshots_agree(&cluster, "overwritten");
    steps.done("erasure code agrees");
    erasure::an_osd_dies_under_load(&mut cluster, &mut steps);
}

/// Monitors that ask for no proof, and then clients that nobody wants any more.
#[test]
fn monitors_without_authentication() {
    let options = Options { mons: 3, osds: 2, auth: "none", ..Options::default() };
    let Some(mut cluster) = start_or_skip(&options) else { return };
    let mut steps = Steps::new();
    cluster.create_pool("data", 8);
    cluster.await_clean();
    monitors::leaders_die_under_load(&mut cluster, &mut steps);
    monitors::without_a_quorum(&mut cluster, &mut steps);
    monitors::a_silent_monitor_is_left(&mut cluster);
    steps.done("a silent monitor was left");
    fencing::the_old_client_is_out_and_the_new_one_in(&cluster);
    fencing::a_fence_has_an_end(&cluster);
    fencing::everybody_of_an_address(&cluster);
    steps.done("fenced");
}

/// Everything that moves placement groups while two clients write, and pools that come and go.
#[test]
fn placement_changes_under_load() {
    let options = Options { manager: true, ..Options::default() };
    let Some(mut cluster) = start_or_skip(&options) else { return };
    let mut steps = Steps::new();
    cluster.create_pool("data", 8);
    cluster.command(&json!({"prefix": "osd set-require-min-compat-client", "version": "luminous"}));
    cluster.await_clean();
    let loads = [Load::start(&cluster, "data", NOTHING, 1), Load::start(&cluster, "data", NOTHING, 2)];
    go_on(&loads, 100);
    placement::groups_split_and_merge(&cluster, &loads, &mut steps);
    placement::groups_move(&cluster, &loads, &mut steps);
    placement::flags(&mut cluster, &loads, &mut steps);
    pools::renamed(&cluster, &loads);
    pools::deleted_under_load(&cluster);
    steps.done("renamed and deleted");
    for load in loads {
        assert!(load.finish() > 500);
    }
    steps.done("verified");
    watches::survive_other_intervals(&cluster);
    watches::notifications_survive_other_intervals(&cluster);
    steps.done("watches survive other intervals");
    watches::silent_clients_lose_theirs(&cluster);
    watches::stopped_and_killed_watchers_are_forgotten(&cluster);
    steps.done("silent watchers are forgotten");
}
