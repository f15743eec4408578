//! The load: what clients do, and whether it comes to what it should.
//!
//! | module | what |
//! |---|---|
//! | `lane` | one sequence of operations, and what may become of each |
//! | `writers` | who writes in order and reads, gives up half way, writes to a pool that goes |
//! | `watching` | who watches, and who notifies |
//! | `questions` | who asks the monitors |

mod lane;
mod questions;
mod watching;
mod writers;

use super::plan::Plan;
use crate::model::maps::DATA;
use crate::model::state::Shared;
pub(super) use lane::Told;
use lane::{Lane, Role};
use ringbd::rados::{Cluster, ClusterStatus, Rados, Seat};
use ringbd_proto::types::EntityAddr;
use ringbd_reactor::{Instant, now, sleep, spawn};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The load of one client. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Load {
    plan: Plan,
    shared: Shared,
    client: Cluster,
    /// Its number among all clients.
    no: u64,
    /// Whose place this client takes.
    predecessor: Option<EntityAddr>,
    progress: Arc<Mutex<Progress>>,
    /// What all clients together were told.
    told: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Progress {
    /// Cores whose lanes are through.
    through: usize,
    /// Cores that have nothing left.
    empty: usize,
    /// Cores that are done.
    over: usize,
    going: BTreeMap<u64, String>,
    last_going: u64,
    resends: u64,
    /// The client can do nothing any more, for that reason and since then.
    ended: Option<(Told, Instant)>,
    /// Nobody notifies any more.
    notified_out: bool,
    /// Nothing fails any more.
    mended: bool,
}

#[derive(Debug, Default)]
struct Known {
    /// By object: the newest version that anybody was told of.
    floors: BTreeMap<Vec<u8>, u64>,
    /// Snapshots that were made.
    snaps: BTreeSet<u64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Load {
    /// The load of a client beside another.
    pub(super) fn new(plan: &Plan, shared: &Shared, client: Cluster, beside: Option<&Load>) -> Load {
        Load {
            plan: plan.clone(),
            shared: shared.clone(),
            client,
            no: beside.map_or(0, |other| other.no + 1),
            predecessor: None,
            progress: Arc::default(),
            told: beside.map_or_else(Arc::default, |other| other.told.clone()),
        }
    }

    /// The same of a client that takes the place of another.
    pub(super) fn in_place_of(self, other: &Load) -> Load {
        Load { predecessor: other.client.addr(), ..self }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        lock(&self.progress)
    }

    /// The client's address, once it has connected.
    pub(super) fn addr(&self) -> Option<EntityAddr> {
        self.client.addr()
    }

    /// Whether every core is done.
    pub(super) fn is_over(&self) -> bool {
        self.progress().over == self.plan.cores
    }

    /// Why the client can do nothing any more, if it cannot.
    pub(super) fn ended(&self) -> Option<Told> {
        self.progress().ended.map(|(told, _)| told)
    }

    /// Nothing fails any more.
    pub(super) fn mended(&self) {
        self.progress().mended = true;
    }

    /// What is not answered.
    pub(super) fn going(&self) -> Vec<String> {
        self.progress().going.values().cloned().collect()
    }

    /// Ends the client.
    pub(super) fn close(&self) {
        self.client.close();
    }

    /// Operations that a map moved.
    pub(super) fn resends(&self) -> u64 {
        self.progress().resends
    }

    fn begin(&self, what: String) -> u64 {
        let mut progress = self.progress();
        progress.last_going += 1;
        let id = progress.last_going;
        progress.going.insert(id, what);
        id
    }

    fn end(&self, id: u64) {
        self.progress().going.remove(&id);
    }

    /// One core of the client.
    pub(super) async fn run(self, seat: Seat) {
        let rados = seat.join();
        let begun = self.begin("connect".to_owned());
        let ready = rados.ready().await;
        self.end(begun);
        if let Err(error) = ready {
            self.shared.violation(format!("a client could not connect: {error}"));
        }
        let core = u64::from(rados.core().0);
        let lane = |role| Rc::new(Lane::new(&self, &rados, core, role));
        if core == 0 {
            lane(Role::Successor).succeed().await;
        }
        let mut lanes = Vec::new();
        for writer in 0..self.plan.writers {
            lanes.push(spawn(lane(Role::Writer(writer)).write()));
        }
        lanes.push(spawn(lane(Role::Quitter).give_up()));
        lanes.push(spawn(lane(Role::Stranger).write_to_other_pool()));
        lanes.push(spawn(lane(Role::Watcher).watch(core > 0)));
        if core == 0 {
            lanes.push(spawn(lane(Role::Notifier).notify()));
            lanes.push(spawn(lane(Role::Asker).ask_monitors()));
        }
        for lane in lanes {
            lane.await;
        }
        self.progress().through += 1;
        self.leave(&rados).await;
        self.progress().over += 1;
    }

    /// Waits until all cores are through and nothing is left.
    async fn leave(&self, rados: &Rados) {
        let begun = self.begin("wait for the others".to_owned());
        while self.progress().through < self.plan.cores {
            sleep(Duration::from_millis(200)).await;
        }
        self.end(begun);
        let begun = self.begin(format!("wait for core {} to be empty", rados.core()));
        let moved = loop {
            let ClusterStatus { cores, sessions, .. } = rados.status().await;
            if cores.iter().all(|core| core.in_flight == 0)
                && sessions.iter().all(|session| session.in_flight == 0)
            {
                break cores.iter().find(|core| core.core == rados.core()).map_or(0, |core| core.moved);
            }
            sleep(Duration::from_millis(200)).await;
        };
        {
            let mut progress = self.progress();
            progress.resends += moved;
            progress.empty += 1;
        }
        // Others may need connections of this core until they are done too.
        while self.progress().empty < self.plan.cores {
            sleep(Duration::from_millis(200)).await;
        }
        self.end(begun);
    }

    /// The client can do nothing any more: what of it is under way must end at once.
    fn note_end(&self, told: Told) -> (Told, Instant) {
        *self.progress().ended.get_or_insert_with(|| (told, now()))
    }
}

/// The pool of most objects.
fn data(rados: &Rados) -> ringbd::rados::IoCtx {
    rados.pool_by_id(DATA)
}
