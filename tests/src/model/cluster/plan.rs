//! What one seed decides: a cluster, its clients, and the history of what befalls them.
//!
//! A plan says everything, so that a failure can be read: it is printed with the seed.

use super::blow::{Blow, Kind};
use crate::model::manners::Manners;
use ringbd_proto::auth::ConMode;
use ringbd_proto::auth::server::TicketLives;
use std::fmt;
use std::time::Duration;

/// Objects that all writers share. The last of them lie in the erasure-coded pool.
pub(super) const OBJECTS: usize = 5;
/// How many of them do.
pub(super) const CODED_OBJECTS: usize = 2;

/// A plan.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// What it is about.
    pub theme: Theme,
    /// OSDs.
    pub osds: usize,
    /// Placement groups of the replicated pool in the beginning.
    pub pg_num: u32,
    /// How the clients prove who they are; none for not at all.
    pub auth: Option<ConMode>,
    /// How long their tickets live.
    pub lives: TicketLives,
    /// Clients.
    pub clients: usize,
    /// Cores of each.
    pub cores: usize,
    /// Writers on each core.
    pub writers: u64,
    /// Rounds of each.
    pub rounds: u64,
    /// What the clients are configured to.
    pub limits: Limits,
    /// How the daemons behave.
    pub manners: Manners,
    /// Objects that are to be found elsewhere.
    pub elsewhere: Vec<usize>,
    /// How likely a segment is to become the end of its connection.
    pub reset: f64,
    /// Bytes of the largest segment.
    pub segment_max: usize,
    /// What befalls the cluster, one after the other.
    pub history: Vec<Step>,
}

/// What a client is configured to, where that is not the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Seconds after which an operation fails.
    pub op_timeout_s: Option<u64>,
    /// Operations in flight.
    pub inflight_ops: Option<u64>,
    /// Bytes of them.
    pub inflight_bytes: Option<u64>,
    /// Seconds of silence after which an OSD forgets a watcher.
    pub watch_timeout_s: Option<u64>,
}

impl Limits {
    /// The options that say so.
    pub(super) fn options(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let all = [
            ("rados_osd_op_timeout", self.op_timeout_s),
            ("objecter_inflight_ops", self.inflight_ops),
            ("objecter_inflight_op_bytes", self.inflight_bytes),
            ("osd_client_watch_timeout", self.watch_timeout_s),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }
}

/// A blow, and how long it works before the next.
#[derive(Clone)]
pub struct Step {
    /// The blow.
    pub blow: Blow,
    /// The while.
    pub then: Duration,
}

impl fmt::Debug for Step {
    /// In one line, so that a history can be read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, then {:?}", self.blow, self.then)
    }
}

/// What a history is about. Rare things come together only where little else happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// Everything.
    Everything,
    /// OSDs and connections that fail, and operations that may not take long.
    Limits,
    /// Maps: missed, broken, late.
    Maps,
    /// Placement groups and pools that come and go.
    Pools,
    /// Watchers that are not heard, and notifications.
    Watches,
    /// Tickets that end.
    Tickets,
    /// A client that is fenced.
    Fence,
}

impl Theme {
    /// All of them.
    pub const ALL: [Theme; 7] = [
        Theme::Everything,
        Theme::Limits,
        Theme::Maps,
        Theme::Pools,
        Theme::Watches,
        Theme::Tickets,
        Theme::Fence,
    ];

    /// What befalls a cluster then.
    fn kinds(self) -> Vec<Kind> {
        let (osds, net) = (Kind::OSDS, Kind::NET);
        let parts: &[&[Kind]] = match self {
            Theme::Everything => &[osds, net, Kind::MONITORS, Kind::MAPS, Kind::POOLS, Kind::WATCHES],
            Theme::Limits => &[osds, net, Kind::MAPS],
            Theme::Maps => &[Kind::MAPS, Kind::MONITORS, net, osds],
            Theme::Pools => &[Kind::POOLS, Kind::POOLS, osds, net],
            Theme::Watches => &[Kind::WATCHES, Kind::WATCHES, net, Kind::MAPS],
            Theme::Tickets => &[Kind::TICKETS, Kind::TICKETS, net, Kind::MONITORS],
            Theme::Fence => &[osds, net, Kind::MAPS],
        };
        parts.concat()
    }
}

impl Plan {
    /// What a seed decides.
    pub fn of(seed: u64) -> Plan {
        // Every fifth history has everything, the others one theme each.
        let theme = match seed % 5 {
            0 => Theme::Everything,
            _ => Theme::ALL[(seed / 5 * 4 + seed % 5 - 1) as usize % (Theme::ALL.len() - 1) + 1],
        };
        let mut random = fastrand::Rng::with_seed(seed);
        let mut plan = Plan::quiet(seed, theme, &mut random);
        let blows = random.usize(2..=24);
        plan.draw(&theme.kinds(), blows, &mut random);
        match theme {
            Theme::Everything | Theme::Pools => {}
            Theme::Limits => plan.tighten(&mut random),
            Theme::Maps => plan.garble(&mut random),
            Theme::Watches => {
                plan.limits.watch_timeout_s = [None, Some(7), Some(12)][random.usize(..3)];
            }
            Theme::Tickets => {
                plan.auth = Some(if random.bool() { ConMode::Crc } else { ConMode::Secure });
                plan.rounds = random.u64(6..=24);
            }
            Theme::Fence => {
                let at = random.usize(..=plan.history.len());
                let then = Duration::from_millis(random.u64(0..2500));
                plan.history.insert(at, Step { blow: Blow::Fence, then });
            }
        }
        plan
    }

    /// A plan of nothing but these kinds of blows.
    pub fn of_kinds(seed: u64, kinds: &[Kind], blows: usize) -> Plan {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut plan = Plan::quiet(seed, Theme::Everything, &mut random);
        plan.draw(kinds, blows, &mut random);
        plan
    }

    /// A cluster and its clients, to which nothing happens.
    fn quiet(seed: u64, theme: Theme, random: &mut fastrand::Rng) -> Plan {
        let auth = match random.u8(..8) {
            0..6 => None,
            6 => Some(ConMode::Crc),
            _ => Some(ConMode::Secure),
        };
        let seconds = |range, random: &mut fastrand::Rng| Duration::from_secs(random.u64(range));
        let millis = |range, random: &mut fastrand::Rng| Duration::from_millis(random.u64(range));
        let rare = |random: &mut fastrand::Rng, p: f64| if random.bool() { p } else { 0.0 };
        Plan {
            seed,
            theme,
            osds: random.usize(3..=5),
            pg_num: random.u32(1..=8),
            auth,
            lives: TicketLives { login: seconds(24..=120, random), service: seconds(6..=20, random) },
            clients: if random.u8(..6) == 0 { 2 } else { 1 },
            cores: random.usize(1..=3),
            writers: random.u64(1..=2),
            rounds: random.u64(3..=12),
            limits: Limits::default(),
            manners: Manners {
                peering: (rare(random, 0.5), millis(1..4000, random)),
                map_lag: millis(1..1500, random) * random.u32(0..2),
                monitor_lag: millis(1..2000, random) * random.u32(0..2),
                answer_lag: millis(1..300, random) * random.u32(0..2),
                busy_objects: rare(random, 0.1),
                again: rare(random, 0.05),
                ..Manners::default()
            },
            elsewhere: (0..OBJECTS).filter(|_| random.u8(..6) == 0).collect(),
            reset: [0.0, 0.0, 0.002, 0.01][random.usize(..4)],
            segment_max: [16 << 10, 1500, 400][random.usize(..3)],
            history: Vec::new(),
        }
    }

    fn draw(&mut self, kinds: &[Kind], blows: usize, random: &mut fastrand::Rng) {
        for _ in 0..blows {
            let blow = Blow::draw(kinds[random.usize(..kinds.len())], self.osds, random);
            let then = Duration::from_millis(random.u64(0..2500));
            self.history.push(Step { blow, then });
        }
    }

    /// Operations may not take long, or be many.
    fn tighten(&mut self, random: &mut fastrand::Rng) {
        self.limits = Limits {
            op_timeout_s: random.bool().then(|| random.u64(1..=8)),
            inflight_ops: random.bool().then(|| random.u64(1..=3)),
            inflight_bytes: random.bool().then(|| random.u64(1000..=60_000)),
            watch_timeout_s: None,
        };
    }

    /// Maps break on their way, and come a few at a time.
    fn garble(&mut self, random: &mut fastrand::Rng) {
        self.manners.broken_maps = [0.0, 0.1, 0.4][random.usize(..3)];
        self.manners.gaps = [0.0, 0.2, 0.6][random.usize(..3)];
        self.manners.maps_at_once = [1, 2, 40][random.usize(..3)];
        self.manners.monitor_lag = Duration::from_millis(random.u64(0..4000));
    }
}
