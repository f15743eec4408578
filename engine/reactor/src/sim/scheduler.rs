//! Who runs next: one runnable core by chance; when there is none, time moves to the next event or timer.
//!
//! A core that runs takes a little virtual time, so that tasks that only yield cannot hold time still.

use std::cell::{Cell, RefCell};
use std::fmt::Write;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use super::faults::nanos_within;
use super::net::NodeId;
use super::state::{Death, Shared};
use super::trace::TraceKind;
use super::world::SimWorld;
use crate::clock::Instant;
use crate::core::{Core, CoreConfig};
use crate::thread::CorePanicked;
use crate::world::World;

thread_local! {
    /// The simulations of this thread, for a task that waits for another core to end.
    static SIMULATIONS: RefCell<Vec<Weak<Scheduler>>> = const { RefCell::new(Vec::new()) };
}

/// A core and what the scheduler knows of it.
pub(super) struct Runner {
    pub(super) id: u64,
    pub(super) node: NodeId,
    name: String,
    pub(super) core: Rc<Core>,
    ended: Rc<Cell<bool>>,
    /// On the stack further up: it waits for what is being run now.
    running: Cell<bool>,
    /// Holds the future given to `Sim::block_on`, and ends only with its node.
    is_main: bool,
}

impl Runner {
    /// Runs `f` as this core.
    pub(super) fn run<R>(&self, f: impl FnOnce(&Core) -> R) -> R {
        struct Stop<'a>(&'a Cell<bool>);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.set(false);
            }
        }
        assert!(!self.running.replace(true), "a core is not run by itself");
        let _stop = Stop(&self.running);
        f(&self.core)
    }
}

/// What a turn of the scheduler was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The core of this number ran.
    Ran(u64),
    /// Time moved.
    Waited,
    /// Nothing can happen before the limit.
    Limit,
    /// Nothing can happen any more.
    Idle,
}

/// The cores of a simulation.
pub(super) struct Scheduler {
    pub(super) shared: Arc<Shared>,
    runners: RefCell<Vec<Rc<Runner>>>,
}

impl Scheduler {
    pub(super) fn new(shared: Arc<Shared>) -> Rc<Scheduler> {
        let scheduler = Rc::new(Scheduler { shared, runners: RefCell::default() });
        SIMULATIONS.with_borrow_mut(|all| {
            all.retain(|known| known.strong_count() > 0);
            all.push(Rc::downgrade(&scheduler));
        });
        scheduler
    }

    /// The core on which a node's `block_on` futures and their tasks run.
    pub(super) fn main_core(&self, node: NodeId) -> Rc<Runner> {
        let known =
            self.runners.borrow().iter().find(|runner| runner.is_main && runner.node == node).cloned();
        known.unwrap_or_else(|| {
            let id = self.shared.with(|state| state.start_core());
            let config = CoreConfig { name: "main".to_owned(), ..CoreConfig::default() };
            self.add(id, node, &config, true)
        })
    }

    /// One turn. Time does not pass `limit_ns`.
    pub(super) fn turn(&self, limit_ns: u64) -> Turn {
        self.launch();
        let now = self.shared.with(|state| {
            state.happen();
            Instant::from_nanos(state.clock.now_ns())
        });
        let runner = {
            let runners = self.runners.borrow();
            let mut ready =
                runners.iter().filter(|runner| !runner.running.get() && runner.core.is_runnable(now));
            match ready.clone().count() {
                0 => None,
                1 => ready.next().cloned(),
                count => {
                    let chosen = self.shared.with(|state| state.scheduler.usize(..count));
                    ready.nth(chosen).cloned()
                }
            }
        };
        match runner {
            Some(runner) => {
                self.run(&runner);
                Turn::Ran(runner.id)
            }
            None => self.wait(limit_ns),
        }
    }

    fn run(&self, runner: &Rc<Runner>) {
        self.shared.with(|state| {
            let cost = nanos_within(&self.shared.config.turn, &mut state.scheduler);
            state.tell(TraceKind::Turn, runner.node, runner.id, 0, cost, 0);
            state.clock.pass(cost);
        });
        runner.run(Core::run_ready);
        if runner.ended.get() {
            self.runners.borrow_mut().retain(|other| other.id != runner.id);
            self.end(runner);
        }
    }

    fn wait(&self, limit_ns: u64) -> Turn {
        let runners = self.runners.borrow();
        let waiting = runners.iter().filter(|runner| !runner.running.get());
        let timer = waiting.filter_map(|runner| runner.core.next_deadline()).map(Instant::as_nanos).min();
        self.shared.with(|state| {
            // A timer at the end of time never fires.
            let timer = timer.filter(|&deadline| deadline < u64::MAX);
            match timer.into_iter().chain(state.clock.next_ns()).min() {
                Some(next) if next <= limit_ns => {
                    state.clock.advance(next);
                    Turn::Waited
                }
                Some(_) => {
                    state.clock.advance(limit_ns);
                    Turn::Limit
                }
                None => Turn::Idle,
            }
        })
    }

    /// Makes the cores that were started.
    fn launch(&self) {
        let launches = self.shared.with(|state| std::mem::take(&mut state.launches));
        for launch in launches {
            let dead = self.shared.with(|state| {
                let node = &state.nodes[launch.node];
                node.life != launch.life || node.dying.is_some()
            });
            if dead {
                self.shared.with(|state| state.core_ended(launch.id, launch.node));
                continue;
            }
            let runner = self.add(launch.id, launch.node, &launch.config, false);
            let (main, ended) = (launch.main, runner.ended.clone());
            runner.core.spawn(Box::pin(async move {
                main().await;
                ended.set(true);
            }));
        }
    }

    fn add(&self, id: u64, node: NodeId, config: &CoreConfig, is_main: bool) -> Rc<Runner> {
        let world = SimWorld { shared: self.shared.clone(), node };
        let core =
            Core::simulated(config, world).expect("one process holds fewer cores than there are slots");
        let (ended, running) = (Rc::default(), Cell::new(false));
        let runner = Rc::new(Runner { id, node, name: config.name.clone(), core, ended, running, is_main });
        self.runners.borrow_mut().push(runner.clone());
        runner
    }

    /// Drops the tasks of a core.
    fn end(&self, runner: &Runner) {
        runner.core.shut_down();
        self.shared.with(|state| state.core_ended(runner.id, runner.node));
    }

    /// Ends the cores of dying nodes, then decides what is left of their disks and connections. Left for later while
    /// one of those cores is on the stack.
    pub(super) fn bury_the_dead(&self) {
        let dying: Vec<NodeId> = self
            .shared
            .with(|state| (0..state.nodes.len()).filter(|&node| state.nodes[node].dying.is_some()).collect());
        for node in dying {
            let (gone, rest): (Vec<_>, Vec<_>) =
                self.runners.take().into_iter().partition(|runner| runner.node == node);
            self.runners.borrow_mut().extend(rest);
            if gone.iter().any(|runner| runner.running.get()) {
                self.runners.borrow_mut().extend(gone);
                continue;
            }
            for runner in gone {
                self.end(&runner);
            }
            self.launch();
            self.shared.with(|state| state.bury(node));
        }
    }

    /// Everything ends: no task gets to do anything any more.
    pub(super) fn shut_down(&self) {
        self.shared.with(|state| {
            for node in 0..state.nodes.len() {
                state.strike(node, Death::Kill);
            }
        });
        // Cores that were started and never ran hold handles of this simulation; they go too.
        self.launch();
        for runner in self.runners.take() {
            self.end(&runner);
        }
    }

    /// What is going on, for a message.
    pub(super) fn describe(&self) -> String {
        let mut text = String::new();
        self.shared.with(|state| {
            let time = state.clock.now_ns();
            let seed = self.shared.config.seed;
            write!(text, "simulation of seed {seed}, virtual time {time} ns")
                .expect("a string takes everything");
            for (index, node) in state.nodes.iter().enumerate() {
                write!(text, "; node {} ({}, life {})", node.name, node.ip, node.life).expect("as above");
                write!(text, ", {} disk operations waited for", node.operations.len()).expect("as above");
                for runner in self.runners.borrow().iter().filter(|runner| runner.node == index) {
                    let tasks = runner.core.live_tasks();
                    write!(text, ", core {} {:?}: {tasks} tasks", runner.id, runner.name).expect("as above");
                }
            }
            if state.net.is_partitioned() {
                text.push_str("; the network is partitioned");
            }
        });
        text
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// A simulated core, as its starter holds it.
#[derive(Debug)]
pub(crate) struct SimCoreThread {
    world: SimWorld,
    id: u64,
}

impl SimCoreThread {
    pub(super) fn new(world: SimWorld, id: u64) -> SimCoreThread {
        SimCoreThread { world, id }
    }

    /// Whether the caller runs on this core, or on one that this core waits for.
    pub(crate) fn is_current(&self) -> bool {
        self.scheduler().is_some_and(|scheduler| {
            scheduler.runners.borrow().iter().any(|runner| runner.id == self.id && runner.running.get())
        })
    }

    fn scheduler(&self) -> Option<Rc<Scheduler>> {
        SIMULATIONS.with_borrow(|all| {
            let mut all = all.iter().filter_map(Weak::upgrade);
            all.find(|scheduler| Arc::ptr_eq(&scheduler.shared, &self.world.shared))
        })
    }

    /// Runs the other cores until this one has ended, as if the caller's thread stood still meanwhile.
    pub(crate) fn join(self) -> Result<(), CorePanicked> {
        let shared = &self.world.shared;
        let limit = (self.world.now() + shared.config.time_limit).as_nanos();
        loop {
            if shared.with(|state| !state.cores_alive.contains(&self.id)) {
                return Ok(());
            }
            if self.world.alive(|_| ()).is_err() {
                return Err(CorePanicked::from_payload(&"its simulated node is dead"));
            }
            let Some(scheduler) = self.scheduler() else {
                return Err(CorePanicked::from_payload(&"its simulation has ended"));
            };
            scheduler.bury_the_dead();
            match scheduler.turn(limit) {
                Turn::Ran(_) | Turn::Waited => {}
                Turn::Limit | Turn::Idle => {
                    panic!(
                        "deadlock: core {} is waited for and never ends: {}",
                        self.id,
                        scheduler.describe()
                    )
                }
            }
        }
    }
}

/// The public handle of a node.
pub(super) fn world(shared: &Arc<Shared>, node: NodeId) -> World {
    World::simulated(SimWorld { shared: shared.clone(), node })
}
