//! A simulation of everything: three monitors, some OSDs and one client on several cores, with a load that checks itself, while
//! a nemesis lets fail what can fail. All of it follows from one seed.
//!
//! When the nemesis is through, everything is mended; the load must then end within a bound of virtual time, with nothing
//! left in flight.

mod load;
mod nemesis;

use super::maps::Maps;
use super::state::{Auth, FSID, Shared};
use super::{monitor, osd};
use load::Load;
use nemesis::Nemesis;

pub use nemesis::Blow;
use ringbd::config::{ImageSpec, Settings, Sources};
use ringbd::rados::{Cluster, ClusterConfig};
use ringbd_proto::auth::ConMode;
use ringbd_proto::auth::server::TicketLives;
use ringbd_proto::types::OsdId;
use ringbd_reactor::{CoreConfig, CoreThread, Sim, SimConfig, TcpListener, World};
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// Monitors, of which any can die.
const MONITORS: usize = 3;

/// Virtual time in which a client must get over everything once nothing fails any more: a few times its longest waits.
const RECOVERY_MAX: Duration = Duration::from_secs(400);

/// What one seed decides.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// OSDs.
    pub osds: usize,
    /// Cores of the client.
    pub cores: usize,
    /// Placement groups in the beginning.
    pub pg_num: u32,
    /// How the client proves who it is; none for not at all.
    pub auth: Option<ConMode>,
    /// Writers on each core.
    pub writers: u64,
    /// Rounds of each.
    pub rounds: u64,
    /// Blows of the nemesis.
    pub blows: u64,
    /// What they can be.
    pub kinds: Vec<Blow>,
    /// Whether every placement group is busy for a while with whoever begins to lead it.
    pub always_busy: bool,
    /// How likely a segment is to become the end of its connection.
    pub reset: f64,
    /// Bytes of the largest segment.
    pub segment_max: usize,
}

impl Plan {
    /// What a seed decides.
    pub fn of(seed: u64) -> Plan {
        let mut random = fastrand::Rng::with_seed(seed);
        let auth = match random.u8(..8) {
            0..6 => None,
            6 => Some(ConMode::Crc),
            _ => Some(ConMode::Secure),
        };
        Plan {
            seed,
            osds: random.usize(3..=5),
            cores: random.usize(1..=3),
            pg_num: random.u32(1..=8),
            auth,
            writers: random.u64(1..=2),
            rounds: random.u64(3..=16),
            blows: random.u64(2..=30),
            kinds: Blow::ALL.to_vec(),
            always_busy: false,
            reset: [0.0, 0.0, 0.002, 0.01][random.usize(..4)],
            segment_max: [16 << 10, 1500, 400][random.usize(..3)],
        }
    }
}

/// What became of a simulation.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was found wrong.
    pub violations: Vec<String>,
    /// Lists of operations that wrote.
    pub writes: u64,
    /// Writes that an OSD got again after they were done.
    pub repeats: u64,
    /// Operations that a map moved.
    pub resends: u64,
    /// Epochs.
    pub epochs: u32,
    /// All that happened.
    pub trace: u64,
}

/// The nodes of a simulation.
struct Nodes {
    sim: Sim,
    monitors: Vec<World>,
    osds: Vec<World>,
    client: World,
    shared: Shared,
}

impl Nodes {
    fn new(plan: &Plan) -> Nodes {
        let sim = Sim::new(SimConfig::seeded(plan.seed));
        let node = |kind: &str, count: usize| -> Vec<World> {
            (0..count).map(|n| sim.node(&format!("{kind}.{n}"))).collect()
        };
        let (monitors, osds, client) = (node("mon", MONITORS), node("osd", plan.osds), sim.node("client"));
        let lives = TicketLives { login: Duration::from_secs(120), service: Duration::from_secs(20) };
        let auth = plan.auth.map_or(Auth::None, |mode| Auth::cephx(mode, lives, plan.seed));
        let shared = Shared::new(Maps::begin(FSID, plan.osds, 3, plan.pg_num), auth);
        Nodes { sim, monitors, osds, client, shared }
    }

    fn monitor_addr(&self, n: usize) -> SocketAddr {
        SocketAddr::new(self.sim.ip(&self.monitors[n]), 3300)
    }

    fn start_monitor(&self, n: usize) {
        let (shared, addr) = (self.shared.clone(), self.monitor_addr(n));
        start(&self.monitors[n], move |listener| monitor::start(shared, n, listener), addr);
    }

    fn start_osd(&self, n: usize) {
        let (shared, addr) = (self.shared.clone(), SocketAddr::new(self.sim.ip(&self.osds[n]), 6800));
        let id = OsdId(i32::try_from(n).expect("OSDs are few"));
        start(&self.osds[n], move |listener| osd::start(shared, id, listener), addr);
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

fn client_config(nodes: &Nodes) -> ClusterConfig {
    let hosts: Vec<String> = (0..MONITORS).map(|n| format!("v2:{}", nodes.monitor_addr(n))).collect();
    let mut sources = Sources::default().with_option("mon_host", hosts.join(","));
    for (name, value) in nodes.shared.with(|state| state.auth.client_options()) {
        sources = sources.with_option(name, value);
    }
    let settings = Settings::load_with(&ImageSpec::new("rbd", ""), &sources, &no_files);
    ClusterConfig::load_with(&settings.expect("the options are right"), &no_files).expect("the key is right")
}

/// Runs a simulation to its end.
pub fn run(plan: &Plan) -> Outcome {
    let nodes = Nodes::new(plan);
    (0..MONITORS).for_each(|n| nodes.start_monitor(n));
    (0..plan.osds).for_each(|n| nodes.start_osd(n));
    let load = start_load(plan, &nodes);
    nodes.sim.run_for(Duration::from_secs(1));
    nodes.sim.configure_net(|net| (net.reset, net.segment_max) = (plan.reset, plan.segment_max));
    let mut nemesis = Nemesis::new(plan, &nodes);
    for _ in 0..plan.blows {
        nemesis.strike();
        if load.is_over() {
            break;
        }
    }
    nemesis.mend();
    nodes.sim.configure_net(|net| net.reset = 0.0);
    let limit = nodes.sim.now() + RECOVERY_MAX;
    while !load.is_over() && nodes.sim.now() < limit {
        nodes.sim.run_for(Duration::from_millis(500));
    }
    if !load.is_over() {
        nodes.shared.violation(format!("hangs {RECOVERY_MAX:?} after all was mended: {:?}", load.going()));
    }
    load.close();
    nodes.sim.run_for(Duration::from_secs(1));
    let trace = nodes.sim.trace_hash();
    let resends = load.resends();
    nodes.shared.with(|state| Outcome {
        violations: state.violations().to_vec(),
        writes: state.truth.writes() as u64,
        repeats: state.truth.repeats(),
        resends,
        epochs: state.maps.newest().0,
        trace,
    })
}

fn start_load(plan: &Plan, nodes: &Nodes) -> Load {
    let (client, seats) = Cluster::new(&nodes.client, client_config(nodes), plan.cores);
    let load = Load::new(plan, nodes.shared.clone(), client);
    for seat in seats {
        let load = load.clone();
        start_core(&nodes.client, move || load.run(seat));
    }
    load
}
