//! A core: one thread's executor and its driver. The parts are borrowed one at a time and never across a poll
//! of a task, so tasks may call anything here.
//!
//! The loop's turn: take foreign wakes, fire timers, run the tasks that are ready now, then (real world) one
//! `io_uring_enter` and reap. In a simulated world the simulation runs [`Core::run_ready`] and completes
//! operations itself.

mod config;
mod drain;
mod handled;
mod inbox;
mod op;
mod ops;
mod tasks;
#[cfg(test)]
mod tests;
mod timers;
mod turn;
mod waker;

pub use config::CoreConfig;
pub use handled::CompletionHandler;
pub(crate) use inbox::{Inbox, rouse_all};
pub(crate) use op::{Op, Stream, with_buf};
pub(crate) use ops::{Cancel, Cqe, Finished, Next, Noted, OpKey, Ops, Payload};
pub(crate) use timers::TimerKey;
pub(crate) use turn::Block;

use crate::buf::Pool;
use crate::clock::{Instant, machine_now};
use crate::ring::{RingDriver, SetupError};
use crate::sim::SimWorld;
use crate::world::World;
use inbox::Slot;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;
use tasks::{BoxedTask, Tasks};
use timers::Timers;
use waker::{ROOT, TaskRef};

thread_local! {
    /// The core this thread is inside of; null outside.
    static CURRENT: Cell<*const Core> = const { Cell::new(std::ptr::null()) };
}

/// What carries a core's operations.
pub(crate) enum Driver {
    Ring(Box<RingDriver>),
    Sim(SimWorld),
}

pub(crate) struct Core {
    /// The core's part of every reference to one of its tasks.
    core_ref: u64,
    tasks: RefCell<Tasks>,
    timers: RefCell<Timers>,
    ops: RefCell<Ops>,
    /// A future that is no task is being run, and it may be polled.
    root_alive: Cell<bool>,
    root_ready: Cell<bool>,
    name: String,
    spin: Duration,
    inbox: &'static Inbox,
    // The order of the last three fields is the order of their end: the ring is closed before the pool that
    // is registered with it goes, and the slot is handed on when both are gone.
    driver: Driver,
    pool: Option<Pool>,
    _slot: Slot,
}

impl Core {
    /// A core of the real world, for the calling thread.
    pub(crate) fn with_ring(config: CoreConfig) -> Result<Rc<Core>, SetupError> {
        let slot = Slot::claim().ok_or_else(SetupError::too_many_cores)?;
        let ring = Box::new(RingDriver::new(&config, slot.inbox())?);
        let pool = Pool::map(config.pool_bytes);
        if let Some(pool) = &pool {
            let (base, len) = pool.memory();
            // SAFETY: the pool's memory stays mapped until the core lets go of it, which is after its ring
            // was closed (the order of `Core`'s fields), and until the last buffer in it is gone.
            unsafe { ring.register_buffer(base, len) };
        }
        Ok(Core::assemble(slot, Driver::Ring(ring), pool, config))
    }

    /// A core of a simulated world. It runs only when the simulation calls [`Core::run_ready`].
    pub(crate) fn simulated(config: &CoreConfig, world: SimWorld) -> Result<Rc<Core>, SetupError> {
        let slot = Slot::claim().ok_or_else(SetupError::too_many_cores)?;
        Ok(Core::assemble(slot, Driver::Sim(world), None, config.clone()))
    }

    fn assemble(slot: Slot, driver: Driver, pool: Option<Pool>, config: CoreConfig) -> Rc<Core> {
        Rc::new(Core {
            core_ref: TaskRef::core_part(slot.index, slot.generation),
            tasks: RefCell::default(),
            timers: RefCell::default(),
            ops: RefCell::default(),
            root_alive: Cell::new(false),
            root_ready: Cell::new(false),
            name: config.name,
            spin: config.spin,
            inbox: slot.inbox(),
            driver,
            pool,
            _slot: slot,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs `f` with this core as the thread's current one. Nests.
    pub(crate) fn enter<R>(&self, f: impl FnOnce() -> R) -> R {
        struct Restore(*const Core);
        impl Drop for Restore {
            fn drop(&mut self) {
                CURRENT.set(self.0);
            }
        }
        let _restore = Restore(CURRENT.replace(self));
        f()
    }

    /// Runs `f` with the current core.
    pub(crate) fn with<R>(f: impl FnOnce(&Core) -> R) -> R {
        Core::try_with(f).expect("called on a core: inside a task, or inside LentCore::enter")
    }

    /// Runs `f` with the current core, if the thread is inside one.
    pub(crate) fn try_with<R>(f: impl FnOnce(&Core) -> R) -> Option<R> {
        let core = CURRENT.get();
        // SAFETY: CURRENT is non-null only while `Core::enter` runs further up this thread's stack, and
        // `enter` borrows the core for that long. The reference is shared; every part behind it is a Cell or
        // a RefCell.
        unsafe { core.as_ref() }.map(f)
    }

    /// Wakes a task of the current core; false when it belongs to another one.
    pub(crate) fn wake_if_current(task: TaskRef) -> bool {
        Core::try_with(|core| {
            let ours = task.is_of(core.core_ref);
            if ours {
                core.wake_local(task);
            }
            ours
        })
        .unwrap_or(false)
    }

    fn wake_local(&self, task: TaskRef) {
        if task.task() == ROOT {
            self.root_ready.set(self.root_alive.get());
        } else {
            self.tasks.borrow_mut().wake(task.task(), task.generation());
        }
    }

    /// Adds a task. It runs at the next turn.
    pub(crate) fn spawn(&self, task: BoxedTask) {
        self.tasks.borrow_mut().insert(task);
    }

    pub(crate) fn now(&self) -> Instant {
        match &self.driver {
            Driver::Ring(_) => machine_now(),
            Driver::Sim(world) => world.now(),
        }
    }

    pub(crate) fn random_u64(&self) -> u64 {
        match &self.driver {
            Driver::Ring(_) => fastrand::u64(..),
            Driver::Sim(world) => world.random_u64(),
        }
    }

    pub(crate) fn world(&self) -> World {
        match &self.driver {
            Driver::Ring(_) => World::real(),
            Driver::Sim(world) => World::simulated(world.clone()),
        }
    }

    pub(crate) fn pool(&self) -> Option<&Pool> {
        self.pool.as_ref()
    }

    pub(crate) fn set_timer(&self, deadline: Instant, waker: Waker) -> TimerKey {
        self.timers.borrow_mut().set(deadline, waker)
    }

    /// False when the timer has fired.
    pub(crate) fn rewake_timer(&self, key: TimerKey, waker: &Waker) -> bool {
        self.timers.borrow_mut().rewake(key, waker)
    }

    pub(crate) fn cancel_timer(&self, key: TimerKey) {
        self.timers.borrow_mut().cancel(key);
    }

    /// The ring of a real core.
    pub(crate) fn ring(&self) -> &RingDriver {
        match &self.driver {
            Driver::Ring(ring) => ring,
            Driver::Sim(_) => unreachable!("a real handle used on a core of a simulated world"),
        }
    }
}
