//! Making the next epoch.

use super::{AFFINITY_DEFAULT, Blocklist, Incremental, OSDS_MAX, OsdMap, OsdState, Release};
use crate::types::{EntityAddrVec, Epoch, Fsid, OsdId, PgId};
use std::collections::BTreeMap;
use std::sync::Arc;
use thiserror::Error;

/// Why an incremental does not make the next epoch of a map. The way out is always to ask for a whole map.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ApplyError {
    /// It is another cluster's.
    #[error("the incremental is of cluster {found} and the map of {expected}")]
    OtherCluster {
        /// The map's cluster.
        expected: Fsid,
        /// The incremental's.
        found: Fsid,
    },
    /// It does not follow: epochs are missing, or it was applied before.
    #[error("the incremental makes epoch {incremental}, and the map is of epoch {map}")]
    Gap {
        /// The map's epoch.
        map: Epoch,
        /// The incremental's.
        incremental: Epoch,
    },
    /// It speaks of an OSD that the map has no room for.
    #[error("the incremental speaks of osd.{osd}, and the map has room for {max_osd} OSDs")]
    UnknownOsd {
        /// The OSD.
        osd: OsdId,
        /// The room.
        max_osd: usize,
    },
    /// It asks for more room than any cluster needs.
    #[error("the incremental makes room for {0} OSDs, which is more than any cluster has")]
    TooManyOsds(usize),
    /// The whole map in it is of another epoch than it says.
    #[error("the incremental makes epoch {incremental}, and the map in it is of epoch {map}")]
    OtherEpoch {
        /// The epoch of the map inside.
        map: Epoch,
        /// The incremental's.
        incremental: Epoch,
    },
}

impl OsdMap {
    /// The epoch that `incremental` makes of this one. What it does not change is shared by both.
    pub fn apply(&self, incremental: &Incremental) -> Result<OsdMap, ApplyError> {
        let (first, epoch) = (self.epoch.0 == 0, incremental.epoch);
        if !first && incremental.fsid != self.fsid {
            return Err(ApplyError::OtherCluster { expected: self.fsid, found: incremental.fsid });
        }
        if self.epoch.0.checked_add(1) != Some(epoch.0) {
            return Err(ApplyError::Gap { map: self.epoch, incremental: epoch });
        }
        if let Some(full) = &incremental.full {
            return match full.epoch == epoch {
                true => Ok(OsdMap::clone(full)),
                false => Err(ApplyError::OtherEpoch { map: full.epoch, incremental: epoch }),
            };
        }
        let mut map = self.clone();
        (map.fsid, map.epoch, map.modified) = (incremental.fsid, epoch, incremental.modified);
        if first {
            map.created = incremental.modified;
        }
        map.flags = incremental.flags.unwrap_or(map.flags);
        map.pool_max = incremental.pool_max.unwrap_or(map.pool_max);
        map.last_up_change = incremental.last_up_change.unwrap_or(map.last_up_change);
        map.last_in_change = incremental.last_in_change.unwrap_or(map.last_in_change);
        map.apply_pools(incremental);
        map.apply_osds(incremental)?;
        map.apply_placement(incremental);
        map.apply_blocklist(incremental);
        if let Some(release) = incremental.require_min_compat_client {
            map.require_min_compat_client = release;
        }
        if let Some(release) = incremental.require_osd_release {
            map.require_osd_release = release;
        }
        map.flags = map.require_osd_release.implied(map.flags);
        if let Some(crush) = &incremental.crush {
            map.crush = Arc::clone(crush);
            if map.require_osd_release >= Release::LUMINOUS {
                map.crush_version = map.crush_version.wrapping_add(1);
            }
        }
        Ok(map)
    }

    fn apply_pools(&mut self, incremental: &Incremental) {
        if !incremental.new_pools.is_empty() || !incremental.old_pools.is_empty() {
            let pools = Arc::make_mut(&mut self.pools);
            for (&id, pool) in &incremental.new_pools {
                let mut pool = Arc::clone(pool);
                Arc::make_mut(&mut pool).last_change = incremental.epoch;
                pools.insert(id, pool);
            }
            pools.retain(|id, _| !incremental.old_pools.contains(id));
        }
        if !incremental.new_pool_names.is_empty() || !incremental.old_pools.is_empty() {
            let names = Arc::make_mut(&mut self.pool_names);
            names.extend(incremental.new_pool_names.clone());
            names.retain(|id, _| !incremental.old_pools.contains(id));
        }
        let Incremental { new_removed_snaps, new_purged_snaps, .. } = incremental;
        replace(&mut self.new_removed_snaps, new_removed_snaps);
        replace(&mut self.new_purged_snaps, new_purged_snaps);
        let Incremental { new_erasure_code_profiles: new, old_erasure_code_profiles: old, .. } = incremental;
        if !new.is_empty() || !old.is_empty() {
            let profiles = Arc::make_mut(&mut self.erasure_code_profiles);
            profiles.retain(|name, _| !old.contains(name));
            profiles.extend(new.clone());
        }
    }

    fn apply_osds(&mut self, incremental: &Incremental) -> Result<(), ApplyError> {
        if let Some(osds) = incremental.max_osd {
            self.make_room(osds)?;
        }
        let max_osd = self.max_osd();
        let known = |osd: OsdId| match osd.index().filter(|&osd| osd < max_osd) {
            Some(index) => Ok(index),
            None => Err(ApplyError::UnknownOsd { osd, max_osd }),
        };
        for (&osd, &weight) in &incremental.new_weight {
            let osd = known(osd)?;
            Arc::make_mut(&mut self.weights)[osd] = weight;
            if weight > 0 {
                let state = &mut Arc::make_mut(&mut self.states)[osd];
                *state = state.without(OsdState::AUTO_OUT | OsdState::NEW).with(OsdState::EXISTS);
            }
        }
        for (&osd, &affinity) in &incremental.new_primary_affinity {
            self.affinities()[known(osd)?] = affinity;
        }
        for (&osd, &state) in &incremental.new_state {
            let osd = known(osd)?;
            let change = if state == OsdState::default() { OsdState::UP } else { state };
            let states = Arc::make_mut(&mut self.states);
            if states[osd].has(OsdState::EXISTS) && change.has(OsdState::EXISTS) {
                // It is gone for good, and its number free.
                states[osd] = OsdState::default();
                Arc::make_mut(&mut self.addrs)[osd] = EntityAddrVec::default();
                self.affinities()[osd] = AFFINITY_DEFAULT;
            } else {
                states[osd].0 ^= change.0;
            }
        }
        for (&osd, addrs) in &incremental.new_up {
            let osd = known(osd)?;
            let state = &mut Arc::make_mut(&mut self.states)[osd];
            *state = state.with(OsdState::EXISTS | OsdState::UP).without(OsdState::STOP);
            Arc::make_mut(&mut self.addrs)[osd].clone_from(addrs);
        }
        Ok(())
    }

    fn make_room(&mut self, osds: usize) -> Result<(), ApplyError> {
        if osds > OSDS_MAX {
            return Err(ApplyError::TooManyOsds(osds));
        }
        Arc::make_mut(&mut self.states).resize(osds, OsdState::default());
        Arc::make_mut(&mut self.weights).resize(osds, 0);
        Arc::make_mut(&mut self.addrs).resize(osds, EntityAddrVec::default());
        if !self.primary_affinity.is_empty() {
            Arc::make_mut(&mut self.primary_affinity).resize(osds, AFFINITY_DEFAULT);
        }
        Ok(())
    }

    /// The affinities of all OSDs, to change.
    fn affinities(&mut self) -> &mut Vec<u32> {
        let max_osd = self.max_osd();
        let affinities = Arc::make_mut(&mut self.primary_affinity);
        affinities.resize(max_osd, AFFINITY_DEFAULT);
        affinities
    }

    fn apply_placement(&mut self, incremental: &Incremental) {
        for (pg, osds) in &incremental.new_pg_temp {
            set(&mut self.pg_temp, *pg, osds, osds.is_empty());
        }
        for (pg, osd) in &incremental.new_primary_temp {
            set(&mut self.primary_temp, *pg, osd, *osd == OsdId::NOBODY);
        }
        merge(&mut self.pg_upmap, &incremental.new_pg_upmap, &incremental.old_pg_upmap);
        merge(&mut self.pg_upmap_items, &incremental.new_pg_upmap_items, &incremental.old_pg_upmap_items);
        merge(
            &mut self.pg_upmap_primaries,
            &incremental.new_pg_upmap_primaries,
            &incremental.old_pg_upmap_primaries,
        );
    }

    fn apply_blocklist(&mut self, incremental: &Incremental) {
        let Incremental { new_blocklist, old_blocklist, .. } = incremental;
        let Incremental { new_range_blocklist, old_range_blocklist, .. } = incremental;
        if new_blocklist.is_empty()
            && old_blocklist.is_empty()
            && new_range_blocklist.is_empty()
            && old_range_blocklist.is_empty()
        {
            return;
        }
        let Blocklist { clients, ranges } = Arc::make_mut(&mut self.blocklist);
        for (list, new, old) in
            [(clients, new_blocklist, old_blocklist), (ranges, new_range_blocklist, old_range_blocklist)]
        {
            for (&addr, &until) in new {
                // The monitors leave an entry that there is as it is.
                list.entry(addr).or_insert(until);
            }
            list.retain(|addr, _| !old.contains(addr));
        }
    }
}

/// Sets a value of a shared map, or removes it.
fn set<V: Clone>(map: &mut Arc<BTreeMap<PgId, V>>, pg: PgId, value: &V, remove: bool) {
    let map = Arc::make_mut(map);
    if remove {
        map.remove(&pg);
    } else {
        map.insert(pg, value.clone());
    }
}

/// Adds to a shared map, then removes from it.
fn merge<V: Clone>(map: &mut Arc<BTreeMap<PgId, V>>, new: &BTreeMap<PgId, V>, old: &[PgId]) {
    if new.is_empty() && old.is_empty() {
        return;
    }
    let map = Arc::make_mut(map);
    map.extend(new.iter().map(|(pg, value)| (*pg, value.clone())));
    for pg in old {
        map.remove(pg);
    }
}

/// Replaces what is shared, unless it is equal.
fn replace<T: Clone + PartialEq>(shared: &mut Arc<T>, value: &T) {
    if **shared != *value {
        *shared = Arc::new(value.clone());
    }
}
