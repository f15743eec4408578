//! What can be done to a cluster: kinds of blows, and blows with all that was drawn for them.

use crate::model::maps::{CODED, DATA};
use ringbd_proto::types::PoolId;
use std::time::Duration;

/// A kind of blow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the blow of the same name")]
pub enum Kind {
    KillOsd,
    ReviveOsds,
    MarkDown,
    Stall,
    Part,
    Heal,
    Reset,
    KillMonitor,
    ReviveMonitors,
    StallMonitor,
    Elect,
    Weigh,
    Lead,
    Epochs,
    Pause,
    Fill,
    Split,
    Merge,
    DeletePool,
    MakePool,
    ForceResend,
    Silence,
    Stranger,
    RotateKeys,
    RotateLogins,
    Disown,
    Isolate,
}

impl Kind {
    /// What befalls OSDs.
    pub const OSDS: &'static [Kind] = &[Kind::KillOsd, Kind::ReviveOsds, Kind::MarkDown, Kind::Stall];
    /// The network.
    pub const NET: &'static [Kind] = &[Kind::Part, Kind::Heal, Kind::Reset];
    /// Monitors.
    pub const MONITORS: &'static [Kind] =
        &[Kind::KillMonitor, Kind::ReviveMonitors, Kind::StallMonitor, Kind::Elect, Kind::RotateKeys];
    /// What maps say.
    pub const MAPS: &'static [Kind] =
        &[Kind::Weigh, Kind::Lead, Kind::Lead, Kind::Epochs, Kind::Pause, Kind::Fill, Kind::ForceResend];
    /// Pools and placement groups.
    pub const POOLS: &'static [Kind] =
        &[Kind::Split, Kind::Merge, Kind::DeletePool, Kind::MakePool, Kind::Fill];
    /// Watchers.
    pub const WATCHES: &'static [Kind] = &[Kind::Silence, Kind::Stranger, Kind::Lead, Kind::Split];
    /// Tickets and the secrets behind them.
    pub const TICKETS: &'static [Kind] =
        &[Kind::RotateKeys, Kind::RotateKeys, Kind::RotateLogins, Kind::Disown, Kind::Isolate];
}

/// By what hand a placement group is given to somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hand {
    /// Another of its OSDs leads it for a while.
    PrimaryTemp,
    /// An OSD alone serves it for a while.
    PgTemp,
    /// Another stands behind the one that leads it, which goes on to.
    Follower,
    /// It is placed by hand.
    Upmap,
    /// Everything goes back.
    Nobody,
}

/// What has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// A pool.
    Pool(PoolId),
    /// The whole cluster.
    Cluster,
    /// Nothing any more.
    Nothing,
}

/// A blow.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields say what was drawn of what the blow says")]
pub enum Blow {
    /// An OSD dies: its processes or its machine. Somebody may say so after a while.
    KillOsd { osd: usize, power: bool, said: Option<Duration> },
    /// All dead OSDs start again.
    ReviveOsds,
    /// An OSD that lives is said to be down.
    MarkDown { osd: usize },
    /// An OSD hangs.
    Stall { osd: usize, span: Duration },
    /// Nothing passes between a client and a daemon.
    Part { node: usize },
    /// All passes again.
    Heal,
    /// The connections to a daemon are reset.
    Reset { node: usize },
    /// A monitor dies.
    KillMonitor { monitor: usize, power: bool },
    /// All dead monitors start again.
    ReviveMonitors,
    /// A monitor hangs.
    StallMonitor { monitor: usize, span: Duration },
    /// The monitors elect a leader.
    Elect { span: Duration },
    /// An OSD goes in or out.
    Weigh { osd: usize, is_in: bool },
    /// A placement group is given to somebody else.
    Lead { seed: u32, osd: usize, hand: Hand },
    /// Many epochs follow each other, and the old ones are forgotten perhaps.
    Epochs { changes: Vec<Blow>, forget: bool },
    /// Reads and writes are paused, or not any more.
    Pause { reads: bool, writes: bool },
    /// There is no room, or there is again.
    Fill(Full),
    /// There are more placement groups, which lie where they came from, or elsewhere.
    Split { pool: PoolId, more: u32, spread: bool },
    /// There are to be fewer; and then there are, or not.
    Merge { pool: PoolId, fewer: u32, after: Duration, happens: bool },
    /// The other pool is deleted.
    DeletePool,
    /// It is made again, under another number.
    MakePool,
    /// All operations have to be sent again.
    ForceResend,
    /// Nothing passes between a client and all OSDs, for longer than watchers may be silent perhaps.
    Silence { span: Duration },
    /// A client that is not there any more watches too.
    Stranger,
    /// The OSDs' secret changes, and tickets of old ones become worthless in time.
    RotateKeys,
    /// The monitors' own secret changes.
    RotateLogins,
    /// The monitors do not know any client again that logged in before.
    Disown,
    /// No monitor is to be reached.
    Isolate { span: Duration },
    /// The first client is fenced, and another takes its place.
    Fence,
}

impl Blow {
    /// A blow of a kind against a cluster with so many OSDs.
    pub(super) fn draw(kind: Kind, osds: usize, random: &mut fastrand::Rng) -> Blow {
        let osd = random.usize(..osds);
        let node = random.usize(..osds + super::MONITORS);
        let monitor = random.usize(..super::MONITORS);
        let mut millis = |range| Duration::from_millis(random.u64(range));
        let (short, long) = (millis(0..1000), millis(100..15_000));
        let pool = if random.bool() { DATA } else { CODED };
        match kind {
            Kind::KillOsd => {
                Blow::KillOsd { osd, power: random.bool(), said: random.bool().then_some(short) }
            }
            Kind::ReviveOsds => Blow::ReviveOsds,
            Kind::MarkDown => Blow::MarkDown { osd },
            Kind::Stall => Blow::Stall { osd, span: long },
            Kind::Part => Blow::Part { node },
            Kind::Heal => Blow::Heal,
            Kind::Reset => Blow::Reset { node },
            Kind::KillMonitor => Blow::KillMonitor { monitor, power: random.bool() },
            Kind::ReviveMonitors => Blow::ReviveMonitors,
            Kind::StallMonitor => Blow::StallMonitor { monitor, span: long },
            Kind::Elect => Blow::Elect { span: short * 5 },
            Kind::Weigh => Blow::Weigh { osd, is_in: random.bool() },
            Kind::Lead => Blow::Lead { seed: random.u32(..), osd, hand: Hand::draw(random) },
            Kind::Epochs => {
                let kinds = [Kind::Weigh, Kind::Lead, Kind::Lead, Kind::Pause];
                let count = random.usize(1..5);
                let change = |_| Blow::draw(kinds[random.usize(..kinds.len())], osds, random);
                Blow::Epochs { changes: (0..count).map(change).collect(), forget: random.bool() }
            }
            Kind::Pause => Blow::Pause { reads: random.bool(), writes: random.bool() },
            Kind::Fill => {
                let full = [Full::Pool(pool), Full::Cluster, Full::Nothing, Full::Nothing];
                Blow::Fill(full[random.usize(..full.len())])
            }
            Kind::Split => Blow::Split { pool, more: random.u32(1..8), spread: random.bool() },
            Kind::Merge => {
                let happens = random.u8(..3) > 0;
                Blow::Merge { pool, fewer: random.u32(1..4), after: short * 2, happens }
            }
            Kind::DeletePool => Blow::DeletePool,
            Kind::MakePool => Blow::MakePool,
            Kind::ForceResend => Blow::ForceResend,
            Kind::Silence => Blow::Silence { span: long * 3 },
            Kind::Stranger => Blow::Stranger,
            Kind::RotateKeys => Blow::RotateKeys,
            Kind::RotateLogins => Blow::RotateLogins,
            Kind::Disown => Blow::Disown,
            Kind::Isolate => Blow::Isolate { span: long * 8 },
        }
    }
}

impl Hand {
    fn draw(random: &mut fastrand::Rng) -> Hand {
        let all = [Hand::PrimaryTemp, Hand::PgTemp, Hand::Follower, Hand::Upmap, Hand::Nobody];
        all[random.usize(..all.len())]
    }
}
