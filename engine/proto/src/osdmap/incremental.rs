//! What changed from one epoch to the next.

use super::wire::{Addrs, PgLists, PgOsds, PgPairs};
use super::{ErasureCodeProfiles, MapFlags, OsdMap, OsdState, Pool, Release, RemovedSnaps};
use crate::crush::CrushMap;
use crate::types::{EntityAddr, EntityAddrVec, Epoch, Fsid, OsdId, PgId, PoolId, Utime};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The changes that make an epoch of the one before. What is empty or none stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incremental {
    /// The cluster.
    pub fsid: Fsid,
    /// The epoch that it makes.
    pub epoch: Epoch,
    /// When that was made.
    pub modified: Utime,
    /// The whole map, in place of changes.
    pub full: Option<Box<OsdMap>>,
    /// Another CRUSH map.
    pub crush: Option<Arc<CrushMap>>,
    /// What is set for the whole cluster.
    pub flags: Option<MapFlags>,
    /// The highest number that a pool had.
    pub pool_max: Option<i32>,
    /// Room for OSDs.
    pub max_osd: Option<usize>,
    /// Pools that are new or changed.
    pub new_pools: BTreeMap<PoolId, Arc<Pool>>,
    /// What pools are called from now on.
    pub new_pool_names: BTreeMap<PoolId, String>,
    /// Pools that were removed.
    pub old_pools: Vec<PoolId>,
    /// OSDs that came up, and where they are.
    pub new_up: BTreeMap<OsdId, EntityAddrVec>,
    /// States of OSDs that are set if they were not, and the other way round. Nothing stands for [`OsdState::UP`].
    pub new_state: BTreeMap<OsdId, OsdState>,
    /// How much of its share an OSD takes.
    pub new_weight: BTreeMap<OsdId, u32>,
    /// How willing an OSD is to be primary.
    pub new_primary_affinity: BTreeMap<OsdId, u32>,
    /// Who serves placement groups for a while; nobody ends it.
    pub new_pg_temp: PgLists,
    /// Who is their primary for a while; −1 ends it.
    pub new_primary_temp: PgOsds,
    /// Placement groups that are placed by hand.
    pub new_pg_upmap: PgLists,
    /// Those that no longer are.
    pub old_pg_upmap: Vec<PgId>,
    /// Placement groups in which some OSDs are replaced by others.
    pub new_pg_upmap_items: PgPairs,
    /// Those in which they no longer are.
    pub old_pg_upmap_items: Vec<PgId>,
    /// Placement groups whose primary is chosen by hand.
    pub new_pg_upmap_primaries: PgOsds,
    /// Those whose primary no longer is.
    pub old_pg_upmap_primaries: Vec<PgId>,
    /// How pools are erasure-coded.
    pub new_erasure_code_profiles: ErasureCodeProfiles,
    /// Profiles that were removed.
    pub old_erasure_code_profiles: Vec<String>,
    /// Snapshots that this epoch removes.
    pub new_removed_snaps: RemovedSnaps,
    /// Snapshots of which nothing is left.
    pub new_purged_snaps: RemovedSnaps,
    /// When an OSD last went up or down.
    pub last_up_change: Option<Utime>,
    /// When an OSD last went in or out.
    pub last_in_change: Option<Utime>,
    /// Clients that must not write any more.
    pub new_blocklist: Addrs,
    /// Clients that may again.
    pub old_blocklist: Vec<EntityAddr>,
    /// Networks that must not write any more.
    pub new_range_blocklist: Addrs,
    /// Networks that may again.
    pub old_range_blocklist: Vec<EntityAddr>,
    /// The oldest clients that the cluster wants to serve.
    pub require_min_compat_client: Option<Release>,
    /// The oldest OSDs that it takes in.
    pub require_osd_release: Option<Release>,
}

impl Incremental {
    /// The epoch after `map`, with nothing changed yet.
    pub fn after(map: &OsdMap) -> Incremental {
        Incremental {
            fsid: map.fsid,
            epoch: Epoch(map.epoch.0 + 1),
            modified: map.modified,
            ..Incremental::default()
        }
    }
}
