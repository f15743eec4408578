//! The nemesis: carries out a history, blow after blow, and mends everything in the end.

use super::blow::{Blow, Full, Hand};
use super::plan::{OBJECTS, Plan, Step};
use super::{Nodes, WATCHED};
use crate::model::census::Seen;
use crate::model::manners::Manners;
use crate::model::maps::{CODED, DATA, change};
use crate::model::state::News;
use crate::model::watchers::Registered;
use ringbd_proto::osd::{ObjectLocator, Placement, Redirect, Watcher};
use ringbd_proto::osdmap::{Incremental, MapFlags, OsdMap, Pool, WEIGHT_IN};
use ringbd_proto::types::{EntityAddr, EntityType, GlobalId, OsdId, PgId, PoolId};
use ringbd_reactor::World;
use std::time::Duration;

/// Placement groups are not divided beyond this: a few more find nothing else.
const PG_NUM_MAX: u32 = 24;

/// After which silence a watcher is forgotten that is not there any more.
const STRANGER_TIMEOUT: Duration = Duration::from_secs(15);

pub(super) struct Nemesis<'a> {
    nodes: &'a Nodes,
    random: fastrand::Rng,
    dead_osds: Vec<usize>,
    dead_monitors: Vec<usize>,
    parted: Vec<World>,
}

fn osd_id(n: usize) -> OsdId {
    OsdId(i32::try_from(n).expect("OSDs are few"))
}

impl<'a> Nemesis<'a> {
    pub(super) fn new(plan: &Plan, nodes: &'a Nodes) -> Nemesis<'a> {
        let random = fastrand::Rng::with_seed(plan.seed ^ 0xbad);
        nodes.shared.with(|state| {
            state.manners = plan.manners.clone();
            for &object in &plan.elsewhere {
                state.elsewhere.insert(super::object_name(object), elsewhere(object));
            }
        });
        Nemesis { nodes, random, dead_osds: Vec::new(), dead_monitors: Vec::new(), parted: Vec::new() }
    }

    /// One blow, and a while in which it works.
    pub(super) fn strike(&mut self, step: &Step) {
        self.deal(&step.blow);
        self.nodes.sim.run_for(step.then);
    }

    fn deal(&mut self, blow: &Blow) {
        let nodes = self.nodes;
        match blow {
            Blow::KillOsd { osd, power, said } => self.kill_osd(*osd, *power, *said),
            Blow::ReviveOsds => self.revive_osds(),
            Blow::MarkDown { osd } => self.publish(|map, change| change::down(map, change, osd_id(*osd))),
            Blow::Stall { osd, span } => nodes.shared.tell(News::Stall(osd_id(*osd), *span)),
            Blow::Part { node } => self.part(*node),
            Blow::Heal => self.heal(),
            Blow::Reset { node } => nodes.sim.reset_connections(&nodes.clients[0], &nodes.daemon(*node)),
            Blow::KillMonitor { monitor, power } => self.kill_monitor(*monitor, *power),
            Blow::ReviveMonitors => self.revive_monitors(),
            Blow::StallMonitor { monitor, span } => nodes.shared.tell(News::StallMonitor(*monitor, *span)),
            Blow::Elect { span } => {
                nodes.shared.count(Seen::Election);
                nodes.shared.tell(News::Election(*span));
            }
            Blow::Epochs { changes, forget } => {
                changes.iter().for_each(|change| self.deal(change));
                if *forget {
                    nodes.shared.with(|state| state.maps.trim());
                }
            }
            Blow::Merge { pool, fewer, after, happens } => self.merge(*pool, *fewer, *after, *happens),
            Blow::Silence { span } => self.cut_off(&nodes.osds, *span),
            Blow::Isolate { span } => self.cut_off(&nodes.monitors, *span),
            Blow::Stranger => self.let_a_stranger_watch(),
            Blow::RotateKeys => self.rotate(EntityType::Osd),
            Blow::RotateLogins => self.rotate(EntityType::Auth),
            // As many as are kept: none is left that was used.
            Blow::Disown => (0..3).for_each(|_| self.rotate(EntityType::Auth)),
            // Who carries the history out begins the client that comes after it, and did it.
            Blow::Fence => {}
            Blow::DeletePool => self.change_pools(change::delete_other, Seen::PoolDeleted),
            Blow::MakePool => self.change_pools(change::make_other, Seen::PoolMade),
            Blow::Weigh { osd, is_in } => self.publish(|_, change| weigh(change, osd_id(*osd), *is_in)),
            Blow::Lead { seed, osd, hand } => {
                self.publish(|map, change| lead(map, change, *seed, osd_id(*osd), *hand));
            }
            Blow::Pause { reads, writes } => self.publish(|map, change| pause(map, change, *reads, *writes)),
            Blow::Fill(full) => self.publish(|map, change| fill(map, change, *full)),
            Blow::Split { pool, more, spread } => self.split(*pool, *more, *spread),
            Blow::ForceResend => self.publish(|map, change| {
                let now = change.epoch;
                change::pool(map, change, DATA, |mut pool| {
                    pool.force_resend.now = now;
                    pool
                });
            }),
        }
    }

    fn publish(&self, edit: impl FnOnce(&OsdMap, &mut Incremental)) {
        self.nodes.shared.publish(edit);
    }

    fn change_pools(&self, edit: impl FnOnce(&OsdMap, &mut Incremental), what: Seen) {
        let pools = || self.nodes.shared.with(|state| state.maps.map(state.maps.newest()).pools().count());
        let before = pools();
        self.publish(edit);
        if pools() != before {
            self.nodes.shared.count(what);
        }
    }

    fn kill_osd(&mut self, osd: usize, power: bool, said: Option<Duration>) {
        if self.dead_osds.contains(&osd) {
            return;
        }
        self.dead_osds.push(osd);
        let node = &self.nodes.osds[osd];
        if power {
            self.nodes.sim.power_cut(node);
        } else {
            self.nodes.sim.kill(node);
        }
        if let Some(after) = said {
            self.nodes.sim.run_for(after);
            self.publish(|map, change| change::down(map, change, osd_id(osd)));
        }
    }

    fn revive_osds(&mut self) {
        for n in std::mem::take(&mut self.dead_osds) {
            self.nodes.start_osd(n);
        }
    }

    fn part(&mut self, node: usize) {
        let node = self.nodes.daemon(node);
        self.nodes.sim.partition(&self.nodes.clients[0], &node);
        self.parted.push(node);
    }

    fn heal(&mut self) {
        for node in std::mem::take(&mut self.parted) {
            self.nodes.sim.heal(&self.nodes.clients[0], &node);
        }
    }

    /// Nothing passes between the first client and these for a while.
    fn cut_off(&self, nodes: &[World], span: Duration) {
        let (sim, client) = (&self.nodes.sim, &self.nodes.clients[0]);
        nodes.iter().for_each(|node| sim.partition(client, node));
        sim.run_for(span);
        nodes.iter().for_each(|node| sim.heal(client, node));
    }

    fn kill_monitor(&mut self, monitor: usize, power: bool) {
        if !self.dead_monitors.contains(&monitor) {
            self.dead_monitors.push(monitor);
            let node = &self.nodes.monitors[monitor];
            if power { self.nodes.sim.power_cut(node) } else { self.nodes.sim.kill(node) }
        }
    }

    fn revive_monitors(&mut self) {
        for n in std::mem::take(&mut self.dead_monitors) {
            self.nodes.start_monitor(n);
        }
    }

    fn split(&self, pool: PoolId, more: u32, spread: bool) {
        self.publish(|map, change| {
            change::pool(map, change, pool, |pool| {
                let pg_num = (pool.pg_num + more).min(PG_NUM_MAX);
                let pgp_num = if spread { pg_num } else { pool.pgp_num.min(pg_num) };
                Pool { pgp_num, ..pool.with_pg_num(pg_num) }
            });
        });
        self.nodes.shared.count(Seen::Split);
    }

    /// A merge is prepared in one epoch; the next one joins the groups, or calls it off.
    fn merge(&self, pool: PoolId, fewer: u32, after: Duration, happens: bool) {
        let target = self.nodes.shared.with(|state| {
            let pool = state.maps.map(state.maps.newest()).pool(pool);
            pool.map_or(1, |pool| pool.pg_num.saturating_sub(fewer).max(1))
        });
        self.publish(|map, change| {
            change::pool(map, change, pool, |pool| Pool { pg_num_pending: target, ..pool });
        });
        self.nodes.sim.run_for(after);
        self.publish(|map, change| {
            change::pool(map, change, pool, |pool| {
                let pg_num = if happens { target } else { pool.pg_num };
                pool.with_pg_num(pg_num)
            });
        });
        self.nodes.shared.count(if happens { Seen::Merge } else { Seen::MergeCalledOff });
    }

    fn let_a_stranger_watch(&self) {
        let watcher = Watcher { client: GlobalId(99), cookie: 7 };
        let registered = Registered {
            pool: DATA,
            hash: ObjectLocator::pool(DATA).hash_of(WATCHED),
            timeout: STRANGER_TIMEOUT,
            addr: EntityAddr::default(),
        };
        self.nodes.shared.with(|state| {
            if state.truth.is_there(WATCHED) {
                state.watchers.register(WATCHED, watcher, registered);
            }
        });
    }

    fn rotate(&mut self, service: EntityType) {
        let mut random = self.random.fork();
        self.nodes.shared.with(|state| state.auth.rotate(service, &mut random));
    }

    /// Mends everything.
    pub(super) fn mend(&mut self) {
        self.heal();
        self.revive_monitors();
        self.revive_osds();
        self.nodes.shared.with(|state| state.manners = Manners::default());
        let osds = self.nodes.osds.len();
        self.publish(|_, change| change.new_weight.extend((0..osds).map(|n| (osd_id(n), WEIGHT_IN))));
        self.deal(&Blow::Pause { reads: false, writes: false });
        self.deal(&Blow::Fill(Full::Nothing));
    }
}

/// Where an object is to be found that is not where it is asked for.
fn elsewhere(object: usize) -> Redirect {
    let pool = if super::is_coded(object) { CODED } else { DATA };
    let locator = match object % 3 {
        0 => ObjectLocator::pool(pool),
        1 => ObjectLocator { placement: Placement::Key(b"moved".to_vec()), ..ObjectLocator::pool(pool) },
        _ => ObjectLocator::namespace(pool, b"moved"),
    };
    let name = if object.is_multiple_of(3) { format!("moved.{object}").into_bytes() } else { Vec::new() };
    assert!(object < OBJECTS, "only what is written is elsewhere");
    Redirect { locator, name }
}

fn weigh(change: &mut Incremental, osd: OsdId, is_in: bool) {
    change.new_weight.insert(osd, if is_in { WEIGHT_IN } else { 0 });
}

fn pause(map: &OsdMap, change: &mut Incremental, reads: bool, writes: bool) {
    let set = |flags: MapFlags, flag, set| if set { flags.with(flag) } else { flags.without(flag) };
    let flags = set(map.flags(), MapFlags::PAUSE_READS, reads);
    change.flags = Some(set(flags, MapFlags::PAUSE_WRITES, writes));
}

fn fill(map: &OsdMap, change: &mut Incremental, full: Full) {
    let flags = map.flags();
    let is_full = full == Full::Cluster;
    change.flags = Some(if is_full { flags.with(MapFlags::FULL) } else { flags.without(MapFlags::FULL) });
    for pool in [DATA, CODED] {
        change::full(map, change, pool, full == Full::Pool(pool));
    }
}

fn lead(map: &OsdMap, change: &mut Incremental, seed: u32, osd: OsdId, hand: Hand) {
    let pg_num = map.pool(DATA).map_or(1, |pool| pool.pg_num);
    let pg = PgId { pool: DATA, seed: seed % pg_num };
    match hand {
        Hand::PrimaryTemp => drop(change.new_primary_temp.insert(pg, osd)),
        Hand::PgTemp => drop(change.new_pg_temp.insert(pg, vec![osd])),
        Hand::Follower => {
            let placed = map.place(pg, &mut Default::default()).expect("the model's map places everything");
            let lead = placed.acting_primary.filter(|lead| *lead != osd);
            change.new_pg_temp.extend(lead.map(|lead| (pg, vec![lead, osd])));
        }
        Hand::Upmap => drop(change.new_pg_upmap.insert(pg, vec![osd])),
        Hand::Nobody => {
            change.new_pg_temp.extend(map.pg_temp().map(|(pg, _)| (pg, Vec::new())));
            change.old_pg_upmap.extend(map.pg_upmap().map(|(pg, _)| pg));
        }
    }
}
