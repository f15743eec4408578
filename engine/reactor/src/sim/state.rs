//! Everything a simulation holds that may be reached from a task: nodes, disks, network, time, chance, trace.
//!
//! One lock guards it. A simulation runs on one thread, so the lock is never waited for; it is there because the
//! handles of a world can be sent. No waker is called and no task is dropped under it.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use fastrand::Rng;

use super::clock::Clock;
use super::disk::{Disk, OpId};
use super::fate::Fate;
use super::net::{Net, NetEvent, NodeId};
use super::trace::{Trace, TraceEntry, TraceKind};
use super::{PowerCut, SimConfig};
use crate::core::CoreConfig;

/// Something that happens later.
#[derive(Debug)]
pub(super) enum Event {
    /// A disk operation completes.
    Disk { node: NodeId, life: u64, op: OpId },
    /// Something in the network.
    Net(NetEvent),
}

/// How a node ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Death {
    /// The machine loses power.
    PowerCut,
    /// Its processes are killed; the kernel lives on.
    Kill,
}

/// A machine.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) ip: IpAddr,
    pub(super) disk: Disk,
    pub(super) rng: Rng,
    /// Counts deaths. Handles remember the life they were opened in.
    pub(super) life: u64,
    /// Set from the moment of death until the node's tasks are gone; everything fails meanwhile.
    pub(super) dying: Option<Death>,
    /// Disk operations that a future waits for.
    pub(super) operations: BTreeMap<OpId, Operation>,
}

/// A disk operation as its future sees it.
#[derive(Debug, Default)]
pub(super) struct Operation {
    pub(super) waker: Option<Waker>,
    pub(super) result: Option<io::Result<()>>,
}

impl Node {
    /// The error of every operation of a node that is dead.
    pub(super) fn dead(&self) -> io::Error {
        io::Error::other(PowerCut { node: self.name.clone() })
    }
}

/// The future of a core's main function.
pub(super) type MainFuture = Pin<Box<dyn Future<Output = ()>>>;

/// A core that was started and does not run yet.
pub(super) struct Launch {
    pub(super) id: u64,
    pub(super) node: NodeId,
    pub(super) life: u64,
    pub(super) config: CoreConfig,
    pub(super) main: Box<dyn FnOnce() -> MainFuture + Send>,
}

/// What a simulation's handles share.
pub(super) struct Shared {
    pub(super) config: SimConfig,
    state: Mutex<State>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "simulation of seed {}", self.config.seed)
    }
}

/// What changes.
pub(super) struct State {
    pub(super) clock: Clock<Event>,
    pub(super) trace: Trace,
    pub(super) net: Net,
    pub(super) nodes: Vec<Node>,
    pub(super) launches: Vec<Launch>,
    /// Cores that were started and have not ended.
    pub(super) cores_alive: std::collections::BTreeSet<u64>,
    /// Chooses who runs next.
    pub(super) scheduler: Rng,
    /// Source of the other random streams.
    seeder: Rng,
    cores_started: u64,
    wakes: Vec<Waker>,
}

impl Shared {
    /// A world without nodes.
    pub(super) fn new(config: SimConfig) -> Shared {
        let mut seeder = Rng::with_seed(config.seed);
        let state = State {
            clock: Clock::new(0),
            trace: Trace::new(config.record_trace),
            net: Net::new(config.net.clone(), seeder.fork()),
            nodes: Vec::new(),
            launches: Vec::new(),
            cores_alive: std::collections::BTreeSet::new(),
            scheduler: seeder.fork(),
            seeder,
            cores_started: 0,
            wakes: Vec::new(),
        };
        Shared { config, state: Mutex::new(state) }
    }

    /// Runs `f` on the state, then carries out what the network wants and wakes whom `f` wants woken.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        let (result, wakes) = {
            let mut state = self.lock();
            let result = f(&mut state);
            state.settle();
            (result, std::mem::take(&mut state.wakes))
        };
        for waker in wakes {
            waker.wake();
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A poisoned state belongs to a run that is panicking already; its tasks are being dropped.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Adds a node, or finds it.
    pub(super) fn node(&mut self, name: &str, config: &SimConfig) -> NodeId {
        if let Some(found) = self.nodes.iter().position(|node| node.name == name) {
            return found;
        }
        let index = self.nodes.len();
        let host = u16::try_from(index).expect("a simulation has fewer than 65 thousand nodes");
        self.nodes.push(Node {
            name: name.to_owned(),
            ip: IpAddr::V4(Ipv4Addr::new(10, 77, (host / 250) as u8, (host % 250 + 1) as u8)),
            disk: Disk::new(config.disk.clone(), self.seeder.fork()),
            rng: self.seeder.fork(),
            life: 0,
            dying: None,
            operations: BTreeMap::new(),
        });
        index
    }

    /// A number for a core that starts.
    pub(super) fn start_core(&mut self) -> u64 {
        self.cores_started += 1;
        self.cores_alive.insert(self.cores_started);
        self.cores_started
    }

    /// A core has ended.
    pub(super) fn core_ended(&mut self, id: u64, node: NodeId) {
        self.cores_alive.remove(&id);
        self.tell(TraceKind::CoreEnd, node, id, 0, 0, 0);
    }

    /// Adds to the trace.
    pub(super) fn tell(
        &mut self,
        kind: TraceKind,
        node: NodeId,
        object: u64,
        offset: u64,
        len: u64,
        data: u64,
    ) {
        let node = u32::try_from(node).expect("a simulation has few nodes");
        self.trace.push(TraceEntry { time: self.clock.now_ns(), kind, node, object, offset, len, data });
    }

    /// Carries out the events that are due.
    pub(super) fn happen(&mut self) {
        while let Some(event) = self.clock.due() {
            match event {
                Event::Net(event) => {
                    let now = self.clock.now_ns();
                    self.net.happen(event, now);
                    self.settle();
                }
                Event::Disk { node, life, op } => self.disk_completes(node, life, op),
            }
        }
    }

    fn disk_completes(&mut self, at: NodeId, life: u64, op: OpId) {
        let node = &mut self.nodes[at];
        if node.life != life || node.dying.is_some() {
            return;
        }
        let (kind, inode, range, data) = node.disk.describe(op);
        let result = node.disk.complete(op);
        let failed = result.is_err();
        if let Some(waiting) = node.operations.get_mut(&op) {
            waiting.result = Some(result);
            self.wakes.extend(waiting.waker.take());
        }
        self.tell(kind, at, inode, range.start, range.end - range.start, data);
        if failed {
            self.tell(TraceKind::Fault, at, inode, range.start, range.end - range.start, 0);
        }
    }

    /// From now on everything on the node fails. Its tasks and its disk are dealt with at the scheduler's next turn.
    pub(super) fn strike(&mut self, node: NodeId, death: Death) {
        if self.nodes[node].dying.is_some() {
            return;
        }
        self.nodes[node].dying = Some(death);
        let kind = match death {
            Death::PowerCut => TraceKind::Cut,
            Death::Kill => TraceKind::Kill,
        };
        self.tell(kind, node, self.nodes[node].life, 0, 0, 0);
    }

    /// The tasks of a dying node are gone: what becomes of its disk and connections. It is then as after a boot.
    pub(super) fn bury(&mut self, at: NodeId) {
        let now = self.clock.now_ns();
        let node = &mut self.nodes[at];
        let death = node.dying.take().expect("only a dying node is buried");
        node.life += 1;
        node.operations.clear();
        let mut fates = Vec::new();
        match death {
            Death::PowerCut => {
                node.disk.power_cut(|inode, change, fate| fates.push((inode, change.range(), fate)));
            }
            Death::Kill => node.disk.kill(),
        }
        self.net.node_died(at, death == Death::Kill, now);
        for (inode, range, fate) in fates {
            let kind = match fate {
                Fate::Kept => TraceKind::Kept,
                Fate::Torn => TraceKind::Torn,
                Fate::Dropped => TraceKind::Dropped,
            };
            self.tell(kind, at, inode.0, range.start, range.end - range.start, 0);
        }
    }

    /// Carries out what the network wants.
    fn settle(&mut self) {
        let out = &mut self.net.out;
        if out.events.is_empty() && out.wakes.is_empty() && out.told.is_empty() {
            return;
        }
        let out = std::mem::take(out);
        for (time, event) in out.events {
            self.clock.at(time, Event::Net(event));
        }
        for (kind, node, object, offset, len, data) in out.told {
            self.tell(kind, node, object, offset, len, data);
        }
        self.wakes.extend(out.wakes);
    }
}
