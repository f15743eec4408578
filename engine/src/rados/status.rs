//! What a client knows of the cluster and of itself, for people and reports.
//!
//! Each core counts for itself, in plain counters. Who asks sends every core a message and puts the answers together, so
//! nothing is shared while nobody asks.

use super::connection::Connection;
use super::core::Core;
use super::message::{CoreNo, Message};
use super::monitor::MonRequest;
use super::shared::Shared;
use ringbd_proto::auth::ConMode;
use ringbd_proto::msgr2::Features;
use ringbd_proto::osdmap::{MapFlags, OsdMap, PoolKind};
use ringbd_proto::types::{EntityAddr, Epoch, Fsid, GlobalId, OsdId, PoolId};
use ringbd_reactor::{current_cpu, timeout};
use std::sync::Arc;
use std::time::Duration;

/// How long a core has to say how it does: a core that works answers within microseconds. One that nobody runs, because its
/// seat is not taken or its thread was lent and does something else, answers nothing.
const ANSWER_MAX: Duration = Duration::from_millis(500);

/// The state of a client, and of the cluster as it knows it.
#[derive(Clone, Debug, Default)]
pub struct ClusterStatus {
    /// The cluster; none before the first map.
    pub fsid: Option<Fsid>,
    /// The newest map's epoch.
    pub epoch: Epoch,
    /// What is set for the whole cluster.
    pub flags: MapFlags,
    /// OSDs that exist, that are up, and that are in.
    pub osds: OsdCounts,
    /// The pools.
    pub pools: Vec<PoolStatus>,
    /// The monitors, by rank, and the connection to one of them.
    pub monitors: MonitorsStatus,
    /// What the monitors call this client.
    pub global_id: GlobalId,
    /// The client's address.
    pub addr: Option<EntityAddr>,
    /// The client's cores that run.
    pub cores: Vec<CoreStatus>,
    /// The sessions with OSDs that were needed so far, by OSD.
    pub sessions: Vec<SessionStatus>,
}

/// OSDs by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OsdCounts {
    /// OSDs that exist.
    pub exist: usize,
    /// OSDs that are up.
    pub up: usize,
    /// OSDs that take a share of the data.
    pub included: usize,
}

/// A pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolStatus {
    /// Its number.
    pub id: PoolId,
    /// Its name.
    pub name: String,
    /// How it keeps objects.
    pub kind: PoolKind,
    /// Copies, or pieces, of an object.
    pub size: u32,
    /// Placement groups.
    pub pg_num: u32,
}

/// The monitors.
#[derive(Clone, Debug, Default)]
pub struct MonitorsStatus {
    /// All that the newest map of the monitors has, by rank.
    pub known: Vec<MonitorStatus>,
    /// Which one this client speaks to: its name, and the connection.
    pub session: Option<(String, ConnectionStatus)>,
}

/// A monitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorStatus {
    /// Its name, without `mon.`
    pub name: String,
    /// Where it is.
    pub addr: Option<EntityAddr>,
}

/// The state of one core of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreStatus {
    /// The core.
    pub core: CoreNo,
    /// The CPU that it ran on when it was asked.
    pub cpu: usize,
    /// Operations asked for on this core.
    pub operations: u64,
    /// Operations that a map moved to another OSD, or had sent again.
    pub moved: u64,
    /// Operations of this core in flight.
    pub in_flight: usize,
    /// The bytes of their data.
    pub in_flight_bytes: usize,
}

/// A connection that stands.
#[derive(Clone, Debug)]
pub struct ConnectionStatus {
    /// Where it leads.
    pub addr: EntityAddr,
    /// What protects the frames.
    pub mode: ConMode,
    /// What both ends can do.
    pub features: Features,
    /// For how long it has stood.
    pub age: Duration,
    /// Messages sent.
    pub sent_messages: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// System calls that sent them: the fewer, the more went together.
    pub sends: u64,
    /// Messages received.
    pub received_messages: u64,
    /// Bytes received.
    pub received_bytes: u64,
}

/// The state of the session with an OSD, and what went on with it since the client began.
#[derive(Clone, Debug)]
pub struct SessionStatus {
    /// The OSD.
    pub osd: OsdId,
    /// The core that has the connection.
    pub core: CoreNo,
    /// The connection; none while there is none.
    pub connection: Option<ConnectionStatus>,
    /// Connections that stood so far.
    pub connections: u64,
    /// Operations that are not answered.
    pub in_flight: usize,
    /// Operations that were answered.
    pub operations: u64,
    /// Bytes of data that they took there.
    pub written_bytes: u64,
    /// Bytes of data that they brought.
    pub read_bytes: u64,
    /// Operations that were sent again over another connection.
    pub resends: u64,
    /// How often the OSD asked for quiet.
    pub backoffs: u64,
    /// From when an operation came to the session to its answer.
    pub latency: LatencySummary,
    /// Why there was no connection, or why the last one ended.
    pub last_error: Option<LastError>,
}

/// A distribution of latencies. All 0 when there was none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LatencySummary {
    /// The mean.
    pub mean_us: f64,
    /// The median.
    pub p50_us: u64,
    /// What 1 in 100 exceeds.
    pub p99_us: u64,
    /// What 1 in 1000 exceeds.
    pub p99_9_us: u64,
    /// The longest.
    pub max_us: u64,
}

/// What went wrong with a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// How long ago.
    pub ago: Duration,
    /// What.
    pub reason: String,
}

/// What one core contributes.
pub(super) struct CoreReport {
    core: CoreStatus,
    sessions: Vec<SessionStatus>,
    map: Option<Arc<OsdMap>>,
}

impl CoreReport {
    pub(super) fn of(core: &Core) -> CoreReport {
        let (operations, moved) = core.objecter.counts();
        let (in_flight, in_flight_bytes) = core.objecter.in_flight();
        let no = core.no();
        CoreReport {
            core: CoreStatus { core: no, cpu: current_cpu(), operations, moved, in_flight, in_flight_bytes },
            sessions: core.sessions().iter().map(|session| session.status(no)).collect(),
            map: core.map(),
        }
    }
}

impl ConnectionStatus {
    pub(super) fn of(connection: &Connection, addr: EntityAddr) -> ConnectionStatus {
        let counts = connection.counts();
        ConnectionStatus {
            addr,
            mode: connection.con_mode(),
            features: connection.features(),
            age: connection.since().elapsed(),
            sent_messages: counts.sent_messages.get(),
            sent_bytes: counts.sent_bytes.get(),
            sends: counts.sends.get(),
            received_messages: counts.received_messages.get(),
            received_bytes: counts.received_bytes.get(),
        }
    }
}

/// Asks all cores, and puts together what they know. A core that has ended, or has something else to do, is left out.
pub(super) async fn of(shared: &Shared) -> ClusterStatus {
    let (replies, reports): (Vec<_>, Vec<_>) = (0..shared.cores()).map(|_| oneshot::async_channel()).unzip();
    let mut replies = replies.into_iter();
    shared.tell_all(|| Message::Report(replies.next().expect("there is a channel for each core")));
    let (reply, monitors) = oneshot::async_channel();
    shared.ask_monitor(MonRequest::Status(reply));
    let mut status = ClusterStatus {
        monitors: answer(monitors).await.unwrap_or_default(),
        global_id: shared.global_id(),
        addr: shared.identity.addr(),
        ..ClusterStatus::default()
    };
    for report in reports {
        let Some(CoreReport { core, sessions, map }) = answer(report).await else { continue };
        status.cores.push(core);
        status.sessions.extend(sessions);
        if let Some(map) = map.filter(|map| map.epoch() > status.epoch) {
            status.take_map(&map);
        }
    }
    status.sessions.sort_by_key(|session| session.osd);
    status
}

/// Waits for a core's answer, if it gives one soon.
async fn answer<T>(receiver: oneshot::AsyncReceiver<T>) -> Option<T> {
    timeout(ANSWER_MAX, receiver).await.ok()?.ok()
}

impl ClusterStatus {
    fn take_map(&mut self, map: &OsdMap) {
        self.osds = OsdCounts::default();
        for osd in (0..map.max_osd()).filter_map(|osd| i32::try_from(osd).ok().map(OsdId)) {
            self.osds.exist += usize::from(map.exists(osd));
            self.osds.up += usize::from(map.is_up(osd));
            self.osds.included += usize::from(map.exists(osd) && map.osd_weight(osd) > Some(0));
        }
        let pools = map.pools().map(|(id, pool)| PoolStatus {
            id,
            name: map.pool_name(id).unwrap_or_default().to_owned(),
            kind: pool.kind,
            size: u32::from(pool.size),
            pg_num: pool.pg_num,
        });
        self.pools = pools.collect();
        (self.fsid, self.epoch, self.flags) = (Some(map.fsid()), map.epoch(), map.flags());
    }
}
