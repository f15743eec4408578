//! The simulated world: what the real one does, in virtual time and from one seed.
//!
//! A [`Sim`] holds nodes (machines), each with a disk and an address, and runs their cores on the calling thread.
//! Code under test gets a [`World`] and cannot tell. Everything that is left to chance comes from the seed: who
//! runs next, how long disk and network take, how bytes are cut into segments, and what a power cut does to
//! operations that no sync had covered. Same seed, same run; [`Sim::trace_hash`] proves it.
//!
//! After a power cut or a kill the node is as after a boot: handles of its earlier life fail, its disk has what
//! survived, and new cores can be started on it.

#![forbid(unsafe_code)]

mod clock;
mod disk;
#[cfg(test)]
mod disk_model;
mod extents;
mod fate;
mod faults;
mod file;
mod image;
mod inode;
mod names;
mod net;
mod pipe;
mod scheduler;
mod socket;
mod state;
#[cfg(test)]
mod tests;
mod trace;
mod world;

pub use fate::CutStyle;
pub use faults::{DiskConfig, DiskOp};
pub use net::NetConfig;
pub use trace::{TraceEntry, TraceKind};

pub(crate) use file::{SimFile, SimSyncFile};
pub(crate) use scheduler::SimCoreThread;
pub(crate) use socket::{SimListener, SimReceive, SimRecvBuf, SimStream};
pub(crate) use world::SimWorld;

use std::io;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::clock::Instant;
use crate::world::World;
use disk::Disk;
use net::NodeId;
use scheduler::{Scheduler, Turn};
use state::{Death, Shared};

/// What a simulation is told when it starts.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// The disk of each new node.
    pub disk: DiskConfig,
    /// The network.
    pub net: NetConfig,
    /// Virtual time that a turn of a core takes.
    pub turn: RangeInclusive<Duration>,
    /// Virtual time after which `block_on` panics: timers can keep a run going that will never end.
    pub time_limit: Duration,
    /// Whether to keep the entries of the trace, not only their hash.
    pub record_trace: bool,
}

impl Default for SimConfig {
    fn default() -> SimConfig {
        SimConfig {
            seed: 0,
            disk: DiskConfig::default(),
            net: NetConfig::default(),
            turn: Duration::from_nanos(100)..=Duration::from_micros(2),
            time_limit: Duration::from_secs(24 * 3600),
            record_trace: false,
        }
    }
}

impl SimConfig {
    /// The defaults with this seed.
    pub fn seeded(seed: u64) -> SimConfig {
        SimConfig { seed, ..SimConfig::default() }
    }
}

/// The node lost power, or its processes were killed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("simulated node {node} lost power or was killed")]
pub struct PowerCut {
    /// Name of the node.
    pub node: String,
}

impl PowerCut {
    /// Whether an I/O error is the death of a simulated node.
    pub fn is_cause_of(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<PowerCut>())
    }
}

/// A simulation. It stays on the thread that made it.
///
/// ```
/// use ringbd_reactor::{Buf, Durability, OpenOptions, Sim, SimConfig, World};
/// use std::path::Path;
///
/// for seed in 0..100 {
///     let sim = Sim::new(SimConfig::seeded(seed));
///     let node = sim.node("a");
///     // The power fails in the midst of the third disk operation, which is the write: after making the file
///     // and syncing its directory.
///     sim.cut_after_disk_ops(&node, 3);
///     let cut = sim.block_on(&node, async {
///         let world = World::current();
///         let options = OpenOptions::new().read(true).write(true).create(true);
///         let file = world.open(Path::new("/data"), &options)?;
///         world.sync_dir(Path::new("/"))?;
///         file.write_at(Buf::zeroed(4096), 0, Durability::Durable).await.0
///     });
///     assert!(cut.is_err());
///     let len = sim.file(&node, "/data").expect("its name is durable").len();
///     assert!(len == 0 || len == 4096);
/// }
/// ```
pub struct Sim {
    scheduler: Rc<Scheduler>,
}

impl std::fmt::Debug for Sim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.scheduler.describe())
    }
}

impl Sim {
    /// A world without nodes, at time zero.
    pub fn new(config: SimConfig) -> Sim {
        Sim { scheduler: Scheduler::new(Arc::new(Shared::new(config))) }
    }

    /// The node of this name; a new one has an empty disk and an address of its own.
    pub fn node(&self, name: &str) -> World {
        let shared = &self.scheduler.shared;
        scheduler::world(shared, shared.with(|state| state.node(name, &shared.config)))
    }

    /// The address of a node.
    pub fn ip(&self, world: &World) -> IpAddr {
        let node = self.index(world);
        self.scheduler.shared.with(|state| state.nodes[node].ip)
    }

    /// Virtual time.
    pub fn now(&self) -> Instant {
        Instant::from_nanos(self.scheduler.shared.with(|state| state.clock.now_ns()))
    }

    /// Runs the simulation until `future`, which runs on a core of `world`, is done, or that node dies.
    /// Tasks that it spawned live on and run in later calls.
    ///
    /// # Panics
    /// When nothing can happen any more, or the time limit is reached; the message names the seed and what is waiting.
    /// When a task of any core panics.
    pub fn block_on<F: Future>(&self, world: &World, future: F) -> Result<F::Output, PowerCut> {
        let _seed = self.name_seed_on_panic();
        let node = self.index(world);
        self.scheduler.bury_the_dead();
        let runner = self.scheduler.main_core(node);
        let mut future = Box::pin(future);
        runner.core.begin_root();
        let limit = self.after(self.scheduler.shared.config.time_limit);
        let mut ran = runner.id;
        loop {
            if ran == runner.id {
                let polled = runner.run(|core| core.poll_root(future.as_mut()));
                if let Poll::Ready(output) = polled {
                    // What was done in the turn that the node died in is heard of by nobody.
                    return match self.death_of(node) {
                        None => Ok(output),
                        Some(cut) => {
                            runner.core.enter(|| drop((output, future)));
                            self.scheduler.bury_the_dead();
                            Err(cut)
                        }
                    };
                }
            }
            if let Some(cut) = self.death_of(node) {
                runner.core.enter(|| drop(future));
                self.scheduler.bury_the_dead();
                return Err(cut);
            }
            self.scheduler.bury_the_dead();
            ran = match self.scheduler.turn(limit) {
                Turn::Ran(id) => id,
                Turn::Waited => 0,
                Turn::Limit => panic!("time limit: the future is not done: {}", self.scheduler.describe()),
                Turn::Idle => panic!("deadlock: nothing can happen any more: {}", self.scheduler.describe()),
            };
        }
    }

    /// Runs the simulation for a span of virtual time.
    pub fn run_for(&self, span: Duration) {
        let _seed = self.name_seed_on_panic();
        let limit = self.after(span);
        loop {
            self.scheduler.bury_the_dead();
            let now = self.now().as_nanos();
            if now >= limit {
                return;
            }
            match self.scheduler.turn(limit) {
                Turn::Ran(_) | Turn::Waited => {}
                Turn::Limit => return,
                Turn::Idle => return self.scheduler.shared.with(|state| state.clock.advance(limit)),
            }
        }
    }

    /// The node loses power: its tasks are gone, and each disk operation that no completed sync covers is kept,
    /// dropped or torn. The node can be used again at once.
    pub fn power_cut(&self, world: &World) {
        self.strike(world, Death::PowerCut);
    }

    /// The node's processes are killed: its tasks are gone, completed disk operations stay, connections are closed.
    pub fn kill(&self, world: &World) {
        self.strike(world, Death::Kill);
    }

    /// Arranges for the power to fail in the midst of the `nth` disk operation from now on, 1 being the next. All but
    /// reads count, those of [`SyncFile`](crate::SyncFile) and of directories too.
    pub fn cut_after_disk_ops(&self, world: &World, nth: u64) {
        self.disk(world, |disk| disk.cut_after(nth));
    }

    /// Number of disk operations so far, as [`Sim::cut_after_disk_ops`] counts them.
    pub fn disk_ops(&self, world: &World) -> u64 {
        self.disk(world, |disk| disk.ops())
    }

    /// Makes the `nth` disk operation of a kind from now on fail with an errno.
    pub fn fail_disk_op(&self, world: &World, op: DiskOp, nth: u64, errno: i32) {
        self.disk(world, |disk| disk.fail_nth(op, nth, errno));
    }

    /// Changes how a node's disk behaves.
    pub fn configure_disk(&self, world: &World, change: impl FnOnce(&mut DiskConfig)) {
        self.disk(world, |disk| change(disk.config_mut()));
    }

    /// Plugs a block device of zeroes into a node. It tears and loses what was not synced, as files do.
    pub fn add_block_device(&self, world: &World, path: impl AsRef<Path>, len: u64) -> io::Result<()> {
        self.disk(world, |disk| disk.add_device(path.as_ref(), len))
    }

    /// Bytes of a node's disk that its files occupy.
    pub fn disk_used(&self, world: &World) -> u64 {
        self.disk(world, |disk| disk.used_bytes())
    }

    /// What a file holds now, seen from outside the node.
    pub fn file(&self, world: &World, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        self.disk(world, |disk| disk.content(path.as_ref()))
    }

    /// Changes how the network behaves.
    pub fn configure_net(&self, change: impl FnOnce(&mut NetConfig)) {
        self.scheduler.shared.with(|state| change(&mut state.net.config));
    }

    /// Nothing passes between two nodes until [`Sim::heal`].
    pub fn partition(&self, a: &World, b: &World) {
        let (a, b) = (self.index(a), self.index(b));
        self.scheduler.shared.with(|state| state.net.partition(a, b));
    }

    /// Ends a partition; what was sent meanwhile arrives.
    pub fn heal(&self, a: &World, b: &World) {
        let (a, b) = (self.index(a), self.index(b));
        self.scheduler.shared.with(|state| {
            let now = state.clock.now_ns();
            state.net.heal(a, b, now);
        });
    }

    /// Resets every connection between two nodes.
    pub fn reset_connections(&self, a: &World, b: &World) {
        let (a, b) = (self.index(a), self.index(b));
        self.scheduler.shared.with(|state| state.net.reset_between(a, b));
    }

    /// A hash of everything that has happened: equal for equal runs.
    pub fn trace_hash(&self) -> u64 {
        self.scheduler.shared.with(|state| state.trace.hash())
    }

    /// Everything that has happened, if [`SimConfig::record_trace`] is set.
    pub fn trace(&self) -> Vec<TraceEntry> {
        self.scheduler.shared.with(|state| state.trace.entries().to_vec())
    }

    fn strike(&self, world: &World, death: Death) {
        let node = self.index(world);
        self.scheduler.shared.with(|state| state.strike(node, death));
        self.scheduler.bury_the_dead();
    }

    fn disk<R>(&self, world: &World, f: impl FnOnce(&mut Disk) -> R) -> R {
        let node = self.index(world);
        self.scheduler.shared.with(|state| f(&mut state.nodes[node].disk))
    }

    fn death_of(&self, node: NodeId) -> Option<PowerCut> {
        self.scheduler.shared.with(|state| {
            let node = &state.nodes[node];
            node.dying.map(|_| PowerCut { node: node.name.clone() })
        })
    }

    fn index(&self, world: &World) -> NodeId {
        let world = world.as_simulated().expect("a node of a simulation");
        assert!(Arc::ptr_eq(&world.shared, &self.scheduler.shared), "a node of this simulation");
        world.node
    }

    fn after(&self, span: Duration) -> u64 {
        (self.now() + span).as_nanos()
    }

    fn name_seed_on_panic(&self) -> NameSeed {
        NameSeed(self.scheduler.shared.config.seed)
    }
}

/// Says which seed it was when a simulation panics: that is all one needs to see it again.
struct NameSeed(u64);

impl Drop for NameSeed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the simulation of seed {} panicked", self.0);
        }
    }
}
