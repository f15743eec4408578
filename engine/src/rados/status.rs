//! What a client knows of the cluster and of itself, for people and reports.

use super::core::Core;
use super::message::CoreNo;
use ringbd_proto::auth::ConMode;
use ringbd_proto::types::{EntityAddr, Epoch, Fsid, GlobalId, OsdId};

/// The state of one core of a client.
#[derive(Clone, Debug)]
pub struct ClusterStatus {
    /// The cluster; none before the first map.
    pub fsid: Option<Fsid>,
    /// The newest map's epoch.
    pub epoch: Epoch,
    /// OSDs that exist, that are up, and that are in.
    pub osds: OsdCounts,
    /// What the monitors call this client.
    pub global_id: GlobalId,
    /// The client's address.
    pub addr: Option<EntityAddr>,
    /// The core whose state this is.
    pub core: CoreNo,
    /// Operations asked for on this core.
    pub operations: u64,
    /// Operations that a map moved to another OSD, or had sent again.
    pub resends: u64,
    /// Operations of this core in flight.
    pub in_flight: usize,
    /// The sessions whose connections are on this core.
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

/// The state of the session with an OSD.
#[derive(Clone, Debug)]
pub struct SessionStatus {
    /// The OSD.
    pub osd: OsdId,
    /// Where it is connected to, and what protects the frames; none while it is not.
    pub connected: Option<(EntityAddr, ConMode)>,
    /// Operations that are not answered.
    pub in_flight: usize,
    /// Connections that were made so far.
    pub connections: u64,
    /// Messages sent on the present one.
    pub sent_messages: u64,
    /// Bytes sent on it.
    pub sent_bytes: u64,
    /// System calls that sent them: the fewer, the more went together.
    pub sends: u64,
    /// Messages received on it.
    pub received_messages: u64,
    /// Bytes received on it.
    pub received_bytes: u64,
}

pub(super) fn of(core: &Core) -> ClusterStatus {
    let (fsid, epoch, osds) = core.with_map(|map| match map {
        None => (None, Epoch(0), OsdCounts::default()),
        Some(map) => {
            let mut osds = OsdCounts::default();
            for osd in (0..map.max_osd()).filter_map(|osd| i32::try_from(osd).ok().map(OsdId)) {
                osds.exist += usize::from(map.exists(osd));
                osds.up += usize::from(map.is_up(osd));
                osds.included += usize::from(map.exists(osd) && map.osd_weight(osd) > Some(0));
            }
            (Some(map.fsid()), map.epoch(), osds)
        }
    });
    let (operations, resends) = core.objecter.counts();
    ClusterStatus {
        fsid,
        epoch,
        osds,
        global_id: core.shared().global_id(),
        addr: core.identity().addr(),
        core: core.no(),
        operations,
        resends,
        in_flight: core.objecter.in_flight().0,
        sessions: core.sessions().iter().map(|session| session.status()).collect(),
    }
}
