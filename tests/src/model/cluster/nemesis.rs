//! The nemesis: lets fail what can fail, one blow after the other, and mends everything in the end.

use super::{MONITORS, Nodes, Plan};
use crate::model::maps::{DATA, OTHER, change};
use crate::model::state::News;
use ringbd_proto::osdmap::{Pool, WEIGHT_IN};
use ringbd_proto::types::{OsdId, PgId};
use ringbd_reactor::World;
use std::time::Duration;

/// Placement groups are not divided beyond this: a few more find nothing else.
const PG_NUM_MAX: u32 = 24;

/// What can be done to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// An OSD dies: its processes or its machine.
    KillOsd,
    /// All dead OSDs start again.
    ReviveOsds,
    /// An OSD that lives is said to be down.
    MarkDown,
    /// An OSD goes in or out.
    Weigh,
    /// A placement group is given to somebody else.
    MovePrimary,
    /// There are more placement groups.
    Split,
    /// An OSD hangs.
    Stall,
    /// Nothing passes between the client and a daemon.
    Part,
    /// All passes again.
    Heal,
    /// The connections to a daemon are reset.
    Reset,
    /// A monitor dies.
    KillMonitor,
    /// All dead monitors start again.
    ReviveMonitors,
    /// Many epochs follow each other, and the old ones are forgotten perhaps.
    ManyEpochs,
    /// Reads and writes are paused, or not any more.
    Pause,
    /// The pool is full, or not any more.
    Fill,
    /// The other pool is deleted.
    DeletePool,
    /// All operations have to be sent again.
    ForceResend,
    /// The OSDs' secret changes, and tickets of old ones become worthless in time.
    RotateKeys,
}

impl Blow {
    /// All of them.
    pub const ALL: [Blow; 18] = [
        Blow::KillOsd,
        Blow::ReviveOsds,
        Blow::MarkDown,
        Blow::Weigh,
        Blow::MovePrimary,
        Blow::Split,
        Blow::Stall,
        Blow::Part,
        Blow::Heal,
        Blow::Reset,
        Blow::KillMonitor,
        Blow::ReviveMonitors,
        Blow::ManyEpochs,
        Blow::Pause,
        Blow::Fill,
        Blow::DeletePool,
        Blow::ForceResend,
        Blow::RotateKeys,
    ];
}

pub(super) struct Nemesis<'a> {
    kinds: Vec<Blow>,
    nodes: &'a Nodes,
    random: fastrand::Rng,
    dead_osds: Vec<usize>,
    dead_monitors: Vec<usize>,
    parted: Vec<World>,
    paused: bool,
    full: bool,
}

fn osd_id(n: usize) -> OsdId {
    OsdId(i32::try_from(n).expect("OSDs are few"))
}

impl<'a> Nemesis<'a> {
    pub(super) fn new(plan: &Plan, nodes: &'a Nodes) -> Nemesis<'a> {
        let mut random = fastrand::Rng::with_seed(plan.seed ^ 0xbad);
        let rare = |random: &mut fastrand::Rng, p: f64| if random.bool() { p } else { 0.0 };
        nodes.shared.with(|state| {
            let busy = if plan.always_busy { 1.0 } else { rare(&mut random, 0.5) };
            state.peering = (busy, Duration::from_millis(random.u64(1..4000)));
            state.map_lag = Duration::from_millis(random.u64(0..2) * random.u64(1..1500));
            state.answer_lag = Duration::from_millis(random.u64(0..2) * random.u64(1..300));
            state.busy_objects = rare(&mut random, 0.1);
            state.again = rare(&mut random, 0.05);
        });
        let (dead_osds, dead_monitors, parted) = (Vec::new(), Vec::new(), Vec::new());
        let kinds = plan.kinds.clone();
        Nemesis { kinds, nodes, random, dead_osds, dead_monitors, parted, paused: false, full: false }
    }

    fn any_osd(&mut self) -> usize {
        self.random.usize(..self.nodes.osds.len())
    }

    fn any_node(&mut self) -> World {
        let n = self.random.usize(..self.nodes.osds.len() + MONITORS);
        let all = self.nodes.osds.iter().chain(&self.nodes.monitors);
        all.clone().nth(n).expect("there are so many").clone()
    }

    /// One blow, and a while in which it works.
    pub(super) fn strike(&mut self) {
        let blow = self.kinds[self.random.usize(..self.kinds.len())];
        match blow {
            Blow::KillOsd => self.kill_osd(),
            Blow::ReviveOsds => self.revive_osds(),
            Blow::MarkDown => self.mark_down(),
            Blow::Weigh => self.change_weight(),
            Blow::MovePrimary => self.change_primary(),
            Blow::Split => self.split(),
            Blow::Stall => self.stall(),
            Blow::Part => self.part(),
            Blow::Heal => self.heal(),
            Blow::Reset => {
                let node = self.any_node();
                self.nodes.sim.reset_connections(&self.nodes.client, &node);
            }
            Blow::KillMonitor => self.kill_monitor(),
            Blow::ReviveMonitors => self.revive_monitors(),
            Blow::ManyEpochs => self.many_epochs(),
            Blow::Pause => self.pause(!self.paused),
            Blow::Fill => self.fill(!self.full),
            Blow::DeletePool => self.delete_pool(),
            Blow::ForceResend => self.force_resend(),
            Blow::RotateKeys => {
                let mut random = self.random.fork();
                self.nodes.shared.with(|state| state.auth.rotate(&mut random));
            }
        }
        let span = Duration::from_millis(self.random.u64(0..2500));
        self.nodes.sim.run_for(span);
    }

    fn kill_osd(&mut self) {
        let n = self.any_osd();
        if self.dead_osds.contains(&n) {
            return;
        }
        self.dead_osds.push(n);
        let node = &self.nodes.osds[n];
        if self.random.bool() {
            self.nodes.sim.kill(node);
        } else {
            self.nodes.sim.power_cut(node);
        }
        if self.random.bool() {
            self.nodes.sim.run_for(Duration::from_millis(self.random.u64(0..1000)));
            self.nodes.shared.publish(|map, incremental| change::down(map, incremental, osd_id(n)));
        }
    }

    fn revive_osds(&mut self) {
        for n in std::mem::take(&mut self.dead_osds) {
            self.nodes.start_osd(n);
        }
    }

    fn mark_down(&mut self) {
        let n = self.any_osd();
        self.nodes.shared.publish(|map, incremental| change::down(map, incremental, osd_id(n)));
    }

    fn change_weight(&mut self) {
        let (n, weight) = (self.any_osd(), if self.random.bool() { 0 } else { WEIGHT_IN });
        self.nodes.shared.publish(|_, incremental| incremental.new_weight.extend([(osd_id(n), weight)]));
    }

    fn change_primary(&mut self) {
        let osd = osd_id(self.any_osd());
        let (seed, kind) = (self.random.u32(..), self.random.u8(..4));
        self.nodes.shared.publish(|map, incremental| {
            let pg_num = map.pool(DATA).map_or(1, |pool| pool.pg_num);
            let pg = PgId { pool: DATA, seed: seed % pg_num };
            match kind {
                0 => incremental.new_primary_temp.extend([(pg, osd)]),
                1 => incremental.new_pg_temp.extend([(pg, vec![osd])]),
                2 => incremental.new_pg_upmap.extend([(pg, vec![osd])]),
                _ => {
                    incremental.new_pg_temp.extend(map.pg_temp().map(|(pg, _)| (pg, Vec::new())));
                    incremental.old_pg_upmap.extend(map.pg_upmap().map(|(pg, _)| pg));
                }
            }
        });
    }

    fn split(&mut self) {
        let more = self.random.u32(1..8);
        self.nodes.shared.publish(|map, incremental| {
            change::pool(map, incremental, |pool| {
                let pg_num = (pool.pg_num + more).min(PG_NUM_MAX);
                pool.with_pg_num(pg_num)
            });
        });
    }

    fn stall(&mut self) {
        let (n, span) = (self.any_osd(), Duration::from_millis(self.random.u64(100..15_000)));
        self.nodes.shared.tell(News::Stall(osd_id(n), span));
    }

    fn part(&mut self) {
        let node = self.any_node();
        self.nodes.sim.partition(&self.nodes.client, &node);
        self.parted.push(node);
    }

    fn heal(&mut self) {
        for node in std::mem::take(&mut self.parted) {
            self.nodes.sim.heal(&self.nodes.client, &node);
        }
    }

    fn kill_monitor(&mut self) {
        let n = self.random.usize(..MONITORS);
        if !self.dead_monitors.contains(&n) {
            self.dead_monitors.push(n);
            let node = &self.nodes.monitors[n];
            if self.random.bool() { self.nodes.sim.kill(node) } else { self.nodes.sim.power_cut(node) }
        }
    }

    fn revive_monitors(&mut self) {
        for n in std::mem::take(&mut self.dead_monitors) {
            self.nodes.start_monitor(n);
        }
    }

    /// Many epochs at once, of which the older are forgotten perhaps.
    fn many_epochs(&mut self) {
        for _ in 0..self.random.u8(1..5) {
            if self.random.bool() { self.change_weight() } else { self.change_primary() }
        }
        if self.random.bool() {
            self.nodes.shared.with(|state| state.maps.trim());
        }
    }

    fn pause(&mut self, paused: bool) {
        self.paused = paused;
        self.nodes.shared.publish(|map, incremental| change::paused(map, incremental, paused));
    }

    fn fill(&mut self, full: bool) {
        self.full = full;
        self.nodes.shared.publish(|map, incremental| change::full(map, incremental, full));
    }

    fn delete_pool(&mut self) {
        self.nodes.shared.publish(|map, incremental| {
            if map.pool(OTHER).is_some() {
                incremental.old_pools.push(OTHER);
            }
        });
    }

    fn force_resend(&mut self) {
        self.nodes.shared.publish(|map, incremental| {
            let epoch = incremental.epoch;
            change::pool(map, incremental, |mut pool: Pool| {
                pool.force_resend.now = epoch;
                pool
            });
        });
    }

    /// Mends everything.
    pub(super) fn mend(&mut self) {
        self.heal();
        self.revive_monitors();
        self.revive_osds();
        self.nodes.shared.with(|state| {
            state.peering = (0.0, Duration::ZERO);
            state.map_lag = Duration::ZERO;
            state.busy_objects = 0.0;
            state.again = 0.0;
        });
        let osds = self.nodes.osds.len();
        self.nodes.shared.publish(|_, incremental| {
            incremental.new_weight.extend((0..osds).map(|n| (osd_id(n), WEIGHT_IN)));
        });
        self.pause(false);
        self.fill(false);
    }
}
