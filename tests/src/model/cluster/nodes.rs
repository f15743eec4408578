//! The machines of a simulation, and what is started on them.

use super::MONITORS;
use super::load::Load;
use super::plan::{Limits, Plan};
use crate::model::maps::Maps;
use crate::model::state::{Auth, FSID, Shared};
use crate::model::{monitor, osd};
use ringbd::config::{ImageSpec, Settings, Sources};
use ringbd::rados::{Cluster, ClusterConfig, Seat};
use ringbd_proto::types::OsdId;
use ringbd_reactor::{CoreConfig, CoreThread, Sim, SimConfig, TcpListener, World};
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// The nodes of a simulation.
pub(super) struct Nodes {
    pub(super) sim: Sim,
    pub(super) monitors: Vec<World>,
    pub(super) osds: Vec<World>,
    pub(super) clients: Vec<World>,
    pub(super) shared: Shared,
}

impl Nodes {
    /// The nodes, with all daemons running.
    pub(super) fn new(plan: &Plan) -> Nodes {
        let sim = Sim::new(SimConfig::seeded(plan.seed));
        let node = |kind: &str, count: usize| -> Vec<World> {
            (0..count).map(|n| sim.node(&format!("{kind}.{n}"))).collect()
        };
        let (monitors, osds) = (node("mon", MONITORS), node("osd", plan.osds));
        let clients = node("client", plan.clients);
        let auth = plan.auth.map_or(Auth::None, |mode| Auth::cephx(mode, plan.lives, plan.seed));
        let shared = Shared::new(Maps::begin(FSID, plan.osds, 3, plan.pg_num), auth);
        let nodes = Nodes { sim, monitors, osds, clients, shared };
        (0..MONITORS).for_each(|n| nodes.start_monitor(n));
        (0..plan.osds).for_each(|n| nodes.start_osd(n));
        nodes
    }

    /// The OSDs, and the monitors behind them.
    pub(super) fn daemon(&self, nth: usize) -> World {
        let mut all = self.osds.iter().chain(&self.monitors);
        all.nth(nth).expect("there are so many").clone()
    }

    fn monitor_addr(&self, n: usize) -> SocketAddr {
        SocketAddr::new(self.sim.ip(&self.monitors[n]), 3300)
    }

    pub(super) fn start_monitor(&self, n: usize) {
        let (shared, addr) = (self.shared.clone(), self.monitor_addr(n));
        start(&self.monitors[n], move |listener| monitor::start(shared, n, listener), addr);
    }

    pub(super) fn start_osd(&self, n: usize) {
        let (shared, addr) = (self.shared.clone(), SocketAddr::new(self.sim.ip(&self.osds[n]), 6800));
        let id = OsdId(i32::try_from(n).expect("OSDs are few"));
        start(&self.osds[n], move |listener| osd::start(shared, id, listener), addr);
    }

    /// A client on a machine, and the seats of its cores.
    pub(super) fn new_client(&self, plan: &Plan, node: usize) -> (Cluster, Vec<Seat>) {
        Cluster::new(&self.clients[node], self.client_config(&plan.limits), plan.cores)
    }

    /// Begins the load of a client.
    pub(super) fn start_client(&self, node: usize, load: &Load, seats: Vec<Seat>) {
        for seat in seats {
            let load = load.clone();
            start_core(&self.clients[node], move || load.run(seat));
        }
    }

    fn client_config(&self, limits: &Limits) -> ClusterConfig {
        let hosts: Vec<String> = (0..MONITORS).map(|n| format!("v2:{}", self.monitor_addr(n))).collect();
        let mut sources = Sources::default().with_option("mon_host", hosts.join(","));
        for (name, value) in self.shared.with(|state| state.auth.client_options()) {
            sources = sources.with_option(name, value);
        }
        for (name, value) in limits.options() {
            sources = sources.with_option(name, value.to_string());
        }
        let settings = Settings::load_with(&ImageSpec::new("rbd", ""), &sources, &no_files);
        let settings = settings.expect("the options are right");
        ClusterConfig::load_with(&settings, &no_files).expect("the key is right")
    }
}

/// Starts a daemon on a node.
fn start(world: &World, daemon: impl FnOnce(TcpListener) + Send + 'static, addr: SocketAddr) {
    let main = move || async move {
        daemon(TcpListener::bind(addr).expect("a daemon has its node to itself"));
        pending::<()>().await;
    };
    start_core(world, main);
}

fn start_core<F: Future<Output = ()> + 'static>(world: &World, main: impl FnOnce() -> F + Send + 'static) {
    let core: CoreThread = world.start_core(CoreConfig::default(), main).expect("simulated cores are plenty");
    // It ends with its node.
    drop(core);
}

/// There are no files in the simulation.
fn no_files(_: &Path) -> io::Result<Vec<u8>> {
    Err(io::ErrorKind::NotFound.into())
}
