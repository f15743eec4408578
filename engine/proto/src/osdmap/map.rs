//! One epoch of the map.

use super::wire::{PgLists, PgOsds, PgPairs};
use super::{Blocklist, ErasureCodeProfiles, MapFlags, OsdState, Pool, PoolFlags, Release, RemovedSnaps};
use crate::crush::{CrushMap, CrushParts};
use crate::types::{EntityAddr, EntityAddrVec, Epoch, Fsid, OsdId, PgId, PoolId, Utime};
use std::collections::BTreeMap;
use std::sync::Arc;

/// OSDs that a map can have room for. Monitors stop at 10,000 unless told otherwise; an incremental of a few bytes can ask
/// for any number.
pub const OSDS_MAX: usize = 1 << 16;

/// The weight of an OSD that is in, 16.16.
pub const WEIGHT_IN: u32 = 0x1_0000;

/// The affinity of an OSD that may be primary as often as any, 16.16.
pub const AFFINITY_DEFAULT: u32 = 0x1_0000;

impl OsdId {
    /// A hole in a list that keeps positions.
    pub const NONE: OsdId = OsdId(crate::crush::ITEM_NONE);
    /// Nobody, where a primary is named.
    pub(super) const NOBODY: OsdId = OsdId(-1);

    /// Its place in lists of all OSDs.
    #[inline]
    pub(super) fn index(self) -> Option<usize> {
        usize::try_from(self.0).ok()
    }
}

/// One epoch of the OSD map. Cloning it copies a few words and shares the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OsdMap {
    pub(super) fsid: Fsid,
    pub(super) epoch: Epoch,
    pub(super) created: Utime,
    pub(super) modified: Utime,
    pub(super) flags: MapFlags,
    pub(super) crush_version: u32,
    pub(super) last_up_change: Utime,
    pub(super) last_in_change: Utime,
    pub(super) require_min_compat_client: Release,
    pub(super) require_osd_release: Release,
    pub(super) pool_max: i32,
    pub(super) pools: Arc<BTreeMap<PoolId, Arc<Pool>>>,
    pub(super) pool_names: Arc<BTreeMap<PoolId, String>>,
    /// One for each OSD, as the weights and the addresses.
    pub(super) states: Arc<Vec<OsdState>>,
    pub(super) weights: Arc<Vec<u32>>,
    pub(super) addrs: Arc<Vec<EntityAddrVec>>,
    /// One for each OSD, or none when all have the default.
    pub(super) primary_affinity: Arc<Vec<u32>>,
    pub(super) pg_temp: Arc<PgLists>,
    pub(super) primary_temp: Arc<PgOsds>,
    pub(super) pg_upmap: Arc<PgLists>,
    pub(super) pg_upmap_items: Arc<PgPairs>,
    pub(super) pg_upmap_primaries: Arc<PgOsds>,
    pub(super) crush: Arc<CrushMap>,
    pub(super) erasure_code_profiles: Arc<ErasureCodeProfiles>,
    pub(super) new_removed_snaps: Arc<RemovedSnaps>,
    pub(super) new_purged_snaps: Arc<RemovedSnaps>,
    pub(super) blocklist: Arc<Blocklist>,
}

impl OsdMap {
    /// The map before the first: nothing in it. The incremental of epoch 1 makes it a cluster's.
    pub fn empty() -> OsdMap {
        let crush = CrushMap::new(CrushParts::default()).expect("no buckets have no faults");
        OsdMap {
            fsid: Fsid::default(),
            epoch: Epoch(0),
            created: Utime::default(),
            modified: Utime::default(),
            flags: MapFlags::default(),
            crush_version: 1,
            last_up_change: Utime::default(),
            last_in_change: Utime::default(),
            require_min_compat_client: Release::default(),
            require_osd_release: Release::default(),
            pool_max: 0,
            pools: Arc::default(),
            pool_names: Arc::default(),
            states: Arc::default(),
            weights: Arc::default(),
            addrs: Arc::default(),
            primary_affinity: Arc::default(),
            pg_temp: Arc::default(),
            primary_temp: Arc::default(),
            pg_upmap: Arc::default(),
            pg_upmap_items: Arc::default(),
            pg_upmap_primaries: Arc::default(),
            crush: Arc::new(crush),
            erasure_code_profiles: Arc::default(),
            new_removed_snaps: Arc::default(),
            new_purged_snaps: Arc::default(),
            blocklist: Arc::default(),
        }
    }

    /// The cluster.
    pub fn fsid(&self) -> Fsid {
        self.fsid
    }

    /// Which epoch it is.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// When the cluster was made.
    pub fn created(&self) -> Utime {
        self.created
    }

    /// When this epoch was made.
    pub fn modified(&self) -> Utime {
        self.modified
    }

    /// What is set for the whole cluster.
    pub fn flags(&self) -> MapFlags {
        self.flags
    }

    /// How often the CRUSH map was changed.
    pub fn crush_version(&self) -> u32 {
        self.crush_version
    }

    /// The oldest clients that the cluster wants to serve. Images cloned in the second format need Mimic here.
    pub fn require_min_compat_client(&self) -> Release {
        self.require_min_compat_client
    }

    /// The oldest OSDs that it takes in.
    pub fn require_osd_release(&self) -> Release {
        self.require_osd_release
    }

    /// A pool.
    pub fn pool(&self, id: PoolId) -> Option<&Arc<Pool>> {
        self.pools.get(&id)
    }

    /// All pools.
    pub fn pools(&self) -> impl Iterator<Item = (PoolId, &Arc<Pool>)> {
        self.pools.iter().map(|(&id, pool)| (id, pool))
    }

    /// What a pool is called.
    pub fn pool_name(&self, id: PoolId) -> Option<&str> {
        self.pool_names.get(&id).map(String::as_str)
    }

    /// The pool that is called so.
    pub fn pool_named(&self, name: &str) -> Option<PoolId> {
        let mut names = self.pool_names.iter();
        names.find(|(id, of)| *of == name && self.pools.contains_key(id)).map(|(&id, _)| id)
    }

    /// OSDs that the map has room for; their numbers are below it.
    pub fn max_osd(&self) -> usize {
        self.states.len()
    }

    /// What is known of an OSD; nothing of one that has no room in the map.
    #[inline]
    pub fn osd_state(&self, osd: OsdId) -> OsdState {
        osd.index().and_then(|osd| self.states.get(osd)).copied().unwrap_or_default()
    }

    /// Whether an OSD exists.
    #[inline]
    pub fn exists(&self, osd: OsdId) -> bool {
        self.osd_state(osd).has(OsdState::EXISTS)
    }

    /// Whether an OSD exists and is up.
    #[inline]
    pub fn is_up(&self, osd: OsdId) -> bool {
        let state = self.osd_state(osd);
        state.has(OsdState::EXISTS) && state.has(OsdState::UP)
    }

    /// How much of its share an OSD takes, 16.16; 0 is out. None for one that has no room in the map.
    #[inline]
    pub fn osd_weight(&self, osd: OsdId) -> Option<u32> {
        osd.index().and_then(|osd| self.weights.get(osd)).copied()
    }

    /// How willing an OSD is to be primary, 16.16.
    #[inline]
    pub fn primary_affinity(&self, osd: OsdId) -> u32 {
        osd.index().and_then(|osd| self.primary_affinity.get(osd)).copied().unwrap_or(AFFINITY_DEFAULT)
    }

    /// Where an OSD speaks to clients; none while it is down.
    pub fn osd_addrs(&self, osd: OsdId) -> Option<&EntityAddrVec> {
        self.osd_last_addrs(osd).filter(|_| self.is_up(osd))
    }

    /// Where an OSD speaks to clients, or did before it went down. None for one that has no room in the map.
    pub fn osd_last_addrs(&self, osd: OsdId) -> Option<&EntityAddrVec> {
        osd.index().and_then(|osd| self.addrs.get(osd))
    }

    /// The CRUSH map.
    pub fn crush(&self) -> &Arc<CrushMap> {
        &self.crush
    }

    /// How pools are erasure-coded.
    pub fn erasure_code_profiles(&self) -> &ErasureCodeProfiles {
        &self.erasure_code_profiles
    }

    /// Who must not write any more.
    pub fn blocklist(&self) -> &Blocklist {
        &self.blocklist
    }

    /// Whether OSDs refuse the client with this address.
    pub fn is_blocklisted(&self, addr: &EntityAddr) -> bool {
        self.blocklist.has(addr)
    }

    /// Snapshots that this epoch removed, for those who still name them.
    pub fn new_removed_snaps(&self) -> &RemovedSnaps {
        &self.new_removed_snaps
    }

    /// Placement groups that others serve for a while, and who.
    pub fn pg_temp(&self) -> impl Iterator<Item = (PgId, &[OsdId])> {
        self.pg_temp.iter().map(|(&pg, osds)| (pg, &osds[..]))
    }

    /// Placement groups that have another primary for a while.
    pub fn primary_temp(&self) -> impl Iterator<Item = (PgId, OsdId)> {
        self.primary_temp.iter().map(|(&pg, &osd)| (pg, osd))
    }

    /// Placement groups that are placed by hand.
    pub fn pg_upmap(&self) -> impl Iterator<Item = (PgId, &[OsdId])> {
        self.pg_upmap.iter().map(|(&pg, osds)| (pg, &osds[..]))
    }

    /// Placement groups in which some OSDs are replaced by others.
    pub fn pg_upmap_items(&self) -> impl Iterator<Item = (PgId, &[(OsdId, OsdId)])> {
        self.pg_upmap_items.iter().map(|(&pg, pairs)| (pg, &pairs[..]))
    }

    /// Placement groups whose primary is chosen by hand.
    pub fn pg_upmap_primaries(&self) -> impl Iterator<Item = (PgId, OsdId)> {
        self.pg_upmap_primaries.iter().map(|(&pg, &osd)| (pg, osd))
    }

    /// Whether reads wait until another epoch.
    pub fn pauses_reads(&self) -> bool {
        self.flags.has(MapFlags::PAUSE_READS)
    }

    /// Whether writes to a pool wait until another epoch; `when_full` tells whether they heed that there is no room.
    pub fn pauses_writes(&self, pool: &Pool, when_full: bool) -> bool {
        let full = self.flags.has(MapFlags::FULL) || pool.flags.has(PoolFlags::FULL | PoolFlags::FULL_QUOTA);
        self.flags.has(MapFlags::PAUSE_WRITES) || (when_full && full)
    }
}
