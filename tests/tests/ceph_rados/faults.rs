//! What clusters do to clients while they write: nothing is lost, nothing is done twice, and everything goes on.

use super::NOTHING;
use ringbd_tests::ceph::{Cluster, Load, Options, Steps, start_or_skip};
use serde_json::json;
use std::time::Duration;

const SECURE: &[(&str, &str)] = &[("ms_client_mode", "secure"), ("ms_mon_client_mode", "secure")];

/// Two clients, one of one core and one of two, write through everything that follows.
#[test]
fn a_verified_load_survives_what_clusters_do() {
    let options = Options { mons: 3, manager: true, ..Options::default() };
    let Some(cluster) = start_or_skip(&options) else { return };
    let mut trial = Trial::begin(cluster);
    trial.osds_die_and_return();
    trial.an_osd_hangs();
    trial.placement_changes();
    trial.everybody_has_to_wait();
    trial.connections_break();
    trial.a_monitor_dies();
    trial.end();
}

struct Trial {
    cluster: Cluster,
    loads: Vec<Load>,
    steps: Steps,
}

impl Trial {
    fn begin(cluster: Cluster) -> Trial {
        cluster.create_pool("data", 8);
        cluster.await_clean();
        let loads = vec![Load::start(&cluster, "data", NOTHING, 1), Load::start(&cluster, "data", SECURE, 2)];
        let mut trial = Trial { cluster, loads, steps: Steps::new() };
        trial.goes_on(200, "it writes");
        trial
    }

    fn goes_on(&mut self, operations: u64, after: &str) {
        self.loads.iter().for_each(|load| load.await_progress(operations));
        self.steps.done(after);
    }

    /// Kill -9, as a power cut would. The other OSDs notice, and tell the monitors.
    fn osds_die_and_return(&mut self) {
        for osd in 0..3 {
            self.cluster.osd(osd).kill();
            self.cluster.await_osds_up(2);
            self.goes_on(200, "an OSD died");
            self.cluster.osd(osd).restart();
            self.cluster.await_osds_up(3);
            self.goes_on(200, "it is back");
            self.cluster.await_clean();
            self.steps.done("clean");
        }
    }

    /// It keeps its connections and does not answer: nothing but a map tells a client to go elsewhere.
    fn an_osd_hangs(&mut self) {
        self.cluster.osd(1).freeze();
        self.cluster.await_osds_up(2);
        self.steps.done("the others noticed that an OSD hangs");
        self.goes_on(200, "an OSD hangs");
        self.cluster.osd(1).thaw();
        self.cluster.await_osds_up(3);
        self.cluster.await_clean();
        self.goes_on(200, "clean");
    }

    fn placement_changes(&mut self) {
        // An OSD that is alive and is called dead comes back by itself; one that is out gives its data away.
        self.cluster.command(&json!({"prefix": "osd down", "ids": ["0"]}));
        self.goes_on(200, "an OSD was called dead");
        self.cluster.await_osds_up(3);
        self.cluster.command(&json!({"prefix": "osd out", "ids": ["1"]}));
        self.goes_on(300, "an OSD is out");
        self.cluster.command(&json!({"prefix": "osd in", "ids": ["1"]}));
        self.goes_on(200, "it is in");
        // Another primary, and more placement groups.
        self.cluster.command(&json!({"prefix": "osd primary-affinity", "id": 2, "weight": 0.0}));
        self.goes_on(200, "an OSD leads nothing");
        self.cluster.command(&json!({"prefix": "osd primary-affinity", "id": 2, "weight": 1.0}));
        self.cluster
            .command(&json!({"prefix": "osd pool set", "pool": "data", "var": "pg_num", "val": "13"}));
        self.cluster.await_that("the placement groups are split", |cluster| {
            cluster.command(&json!({"prefix": "osd pool get", "pool": "data", "var": "pg_num"}))["pg_num"]
                == 13
        });
        self.goes_on(500, "placement groups were split");
    }

    /// A pause, and a full pool: nothing is done and nothing fails.
    fn everybody_has_to_wait(&mut self) {
        self.cluster.command(&json!({"prefix": "osd pause"}));
        self.stands_still("a paused cluster does nothing");
        self.cluster.command(&json!({"prefix": "osd unpause"}));
        self.goes_on(200, "the pause is over");
        let quota = |objects: &str| json!({"prefix": "osd pool set-quota", "pool": "data", "field": "max_objects", "val": objects});
        self.cluster.command(&quota("1"));
        self.cluster.await_that("the pool is full", |cluster| {
            let pools = &cluster.command(&json!({"prefix": "osd dump"}))["pools"];
            pools
                .as_array()
                .unwrap()
                .iter()
                .any(|pool| pool["flags_names"].as_str().is_some_and(|flags| flags.contains("full_quota")))
        });
        self.steps.done("the pool is full");
        self.stands_still("nothing is written to a full pool");
        self.cluster.command(&quota("0"));
        self.goes_on(200, "the pool is not full any more");
    }

    /// What an OSD has in hand when it hears of the new map is done still, so the end of it is waited for.
    fn stands_still(&mut self, what: &str) {
        let total = |loads: &[Load]| loads.iter().map(Load::acknowledged).sum::<u64>();
        let mut before = total(&self.loads);
        let still = Duration::from_millis(500);
        self.cluster.await_that(what, |_| {
            std::thread::sleep(still);
            before == std::mem::replace(&mut before, total(&self.loads))
        });
        self.steps.done(what);
    }

    /// All the time, in the middle of anything.
    fn connections_break(&mut self) {
        let who = "osd";
        let name = "ms_inject_socket_failures";
        self.cluster.command(&json!({"prefix": "config set", "who": who, "name": name, "value": "300"}));
        self.goes_on(1500, "connections break");
        self.cluster.command(&json!({"prefix": "config rm", "who": who, "name": name}));
    }

    /// The session moves to another, and what changes meanwhile is heard of there.
    fn a_monitor_dies(&mut self) {
        for mon in [0, 1] {
            self.cluster.mon(mon).kill();
            self.goes_on(200, "a monitor died");
            self.cluster.command(&json!({"prefix": "osd down", "ids": ["2"]}));
            self.goes_on(200, "an OSD was called dead");
            self.cluster.mon(mon).restart();
            self.cluster.await_quorum(3);
            self.goes_on(200, "all monitors are back");
        }
    }

    fn end(mut self) {
        for load in self.loads.drain(..) {
            assert!(load.finish() > 1000);
        }
        self.steps.done("verified");
    }
}
