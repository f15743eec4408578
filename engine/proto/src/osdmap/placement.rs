//! From a placement group to its OSDs.

use super::{AFFINITY_DEFAULT, OsdMap, Pool, PoolKind, Release};
use crate::crush::{MappingError, Workspace};
use crate::hash::hash2;
use crate::types::{OsdId, PgId, PoolId, ShardId, SpgId};
use smallvec::SmallVec;
use std::fmt;
use thiserror::Error;

/// OSDs of a placement group. As many as usual erasure codes have lie in place, without allocation.
pub type OsdList = SmallVec<[OsdId; 12]>;

/// Who serves a placement group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PgMapping {
    /// Who should, among those that are up. In an erasure-coded pool the place is the shard, and may be a hole.
    pub up: OsdList,
    /// The first of them, as a rule.
    pub up_primary: Option<OsdId>,
    /// Who does.
    pub acting: OsdList,
    /// Whom clients speak to. None while nobody does: they wait for another epoch.
    pub acting_primary: Option<OsdId>,
    /// Which shard that one has.
    pub shard: ShardId,
}

impl PgMapping {
    /// The placement group as the acting primary serves it.
    pub fn spg(&self, pg: PgId) -> SpgId {
        SpgId { pg, shard: self.shard }
    }
}

/// Why a placement group cannot be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PlacementError {
    /// The pool is not in this epoch. It may be new, so that a later one has it.
    #[error("there is no pool {0}")]
    NoPool(PoolId),
    /// The pool hashes its objects' names in a way that is not known.
    #[error("pool {pool} hashes names with hash {hash}, which needs a newer ringbd")]
    UnsupportedHash {
        /// The pool.
        pool: PoolId,
        /// The hash's number.
        hash: u8,
    },
    /// The pool keeps its objects in a way that is not known.
    #[error("pool {pool} is of kind {kind}, which needs a newer ringbd")]
    UnsupportedKind {
        /// The pool.
        pool: PoolId,
        /// The kind's number.
        kind: u8,
    },
    /// CRUSH cannot follow the pool's rule.
    #[error("pool {pool}: {error}")]
    Crush {
        /// The pool.
        pool: PoolId,
        /// Why.
        #[source]
        error: MappingError,
    },
}

impl OsdMap {
    /// The placement group of the object with this hash ([`crate::hash::object_hash`]) in a pool.
    pub fn pg(&self, pool: PoolId, hash: u32) -> Result<PgId, PlacementError> {
        let found = self.pool(pool).ok_or(PlacementError::NoPool(pool))?;
        match found.object_hash {
            Pool::RJENKINS => Ok(found.pg(pool, hash)),
            hash => Err(PlacementError::UnsupportedHash { pool, hash }),
        }
    }

    /// Who serves a placement group. It allocates nothing unless there are many.
    pub fn place(&self, pg: PgId, workspace: &mut Workspace) -> Result<PgMapping, PlacementError> {
        let placing = Placing::new(self, pg)?;
        let mut up = placing.raw(workspace)?;
        placing.apply_upmap(&mut up);
        placing.keep(&mut up, |osd| self.is_up(osd));
        let mut up_primary = first(&up);
        placing.apply_affinity(&mut up, &mut up_primary);
        let (mut acting, mut acting_primary) = placing.temporary();
        if acting.is_empty() {
            acting.clone_from(&up);
            acting_primary = acting_primary.or(up_primary);
        }
        let shard = if placing.shifts {
            ShardId::NONE
        } else {
            let place = acting.iter().position(|osd| Some(*osd) == acting_primary);
            place.and_then(|place| i8::try_from(place).ok()).map_or(ShardId::NONE, ShardId)
        };
        Ok(PgMapping { up, up_primary, acting, acting_primary, shard })
    }

    /// The OSDs that CRUSH alone gives to a placement group, of those that exist.
    pub fn place_by_crush(&self, pg: PgId, workspace: &mut Workspace) -> Result<OsdList, PlacementError> {
        Placing::new(self, pg)?.raw(workspace)
    }
}

/// The first that is not a hole.
pub(super) fn first(osds: &[OsdId]) -> Option<OsdId> {
    osds.iter().copied().find(|osd| *osd != OsdId::NONE)
}

/// One placement under way.
struct Placing<'a> {
    map: &'a OsdMap,
    pool: &'a Pool,
    pg: PgId,
    /// What CRUSH gets.
    seed: u32,
    /// Whether lists close ranks where somebody is missing; else there is a hole.
    shifts: bool,
}

impl<'a> Placing<'a> {
    fn new(map: &'a OsdMap, pg: PgId) -> Result<Placing<'a>, PlacementError> {
        let pool = map.pool(pg.pool).ok_or(PlacementError::NoPool(pg.pool))?;
        let shifts = match pool.kind {
            PoolKind::Replicated => true,
            PoolKind::Erasure => false,
            PoolKind::Other(kind) => return Err(PlacementError::UnsupportedKind { pool: pg.pool, kind }),
        };
        let pg = pool.pg(pg.pool, pg.seed);
        Ok(Placing { map, pool, pg, seed: pool.placement_seed(pg), shifts })
    }

    fn raw(&self, workspace: &mut Workspace) -> Result<OsdList, PlacementError> {
        let Pool { crush_rule, kind, size, .. } = *self.pool;
        let crush = &self.map.crush;
        // Since Quincy a pool names its rule; before, the rule's old number, its kind and its size had to fit as well.
        let rule = if self.map.require_osd_release >= Release::QUINCY {
            Some(crush_rule.into())
        } else {
            crush.find_rule(crush_rule, kind.number(), size)
        };
        let Some(rule) = rule else { return Ok(OsdList::new()) };
        let items = crush
            .map(rule, self.seed, size.into(), &self.map.weights, self.pg.pool.0, workspace)
            .map_err(|error| PlacementError::Crush { pool: self.pg.pool, error })?;
        let mut osds: OsdList = items.iter().map(|&item| OsdId(item)).collect();
        self.keep(&mut osds, |osd| self.map.exists(osd));
        Ok(osds)
    }

    /// Keeps these OSDs: the others leave, or leave a hole.
    fn keep(&self, osds: &mut OsdList, keeps: impl Fn(OsdId) -> bool) {
        if self.shifts {
            osds.retain(|osd| keeps(*osd));
        } else {
            osds.iter_mut().filter(|osd| !keeps(**osd)).for_each(|osd| *osd = OsdId::NONE);
        }
    }

    /// Whether an OSD is known to be out. A hole, or one that has no room in the map, is not.
    fn is_out(&self, osd: OsdId) -> bool {
        self.map.osd_weight(osd) == Some(0)
    }

    /// What people or the balancer have set in place of what CRUSH says. What leads to an OSD that is out does not count.
    fn apply_upmap(&self, osds: &mut OsdList) {
        if let Some(instead) = self.map.pg_upmap.get(&self.pg) {
            if instead.iter().any(|&osd| self.is_out(osd)) {
                return;
            }
            *osds = OsdList::from_slice(instead);
        }
        for &(from, to) in self.map.pg_upmap_items.get(&self.pg).into_iter().flatten() {
            if osds.contains(&to) || self.is_out(to) {
                continue;
            }
            if let Some(osd) = osds.iter_mut().find(|osd| **osd == from) {
                *osd = to;
            }
        }
        if let Some(&primary) = self.map.pg_upmap_primaries.get(&self.pg) {
            let in_now = self.map.osd_weight(primary).is_some_and(|weight| weight > 0);
            if let Some(at) = osds.iter().skip(1).position(|osd| *osd == primary).filter(|_| in_now) {
                osds.swap(0, at + 1);
            }
        }
    }

    /// Lets another be primary where the first is not willing.
    fn apply_affinity(&self, osds: &mut OsdList, primary: &mut Option<OsdId>) {
        let affinity = |osd: OsdId| self.map.primary_affinity(osd);
        let real =
            |osds: &OsdList| osds.clone().into_iter().enumerate().filter(|(_, osd)| *osd != OsdId::NONE);
        if self.map.primary_affinity.is_empty()
            || real(osds).all(|(_, osd)| affinity(osd) == AFFINITY_DEFAULT)
        {
            return;
        }
        let willing = |osd: OsdId| {
            let affinity = affinity(osd);
            affinity >= AFFINITY_DEFAULT || hash2(self.seed, osd.0.cast_unsigned()) >> 16 < affinity
        };
        let chosen = real(osds).find(|&(_, osd)| willing(osd)).or_else(|| real(osds).next());
        let Some((at, osd)) = chosen else { return };
        *primary = Some(osd);
        if self.shifts {
            osds[..=at].rotate_right(1);
        }
    }

    /// Who serves for a while in place of those who should, and the primary among them.
    fn temporary(&self) -> (OsdList, Option<OsdId>) {
        let mut osds =
            self.map.pg_temp.get(&self.pg).map(|osds| OsdList::from_slice(osds)).unwrap_or_default();
        self.keep(&mut osds, |osd| self.map.is_up(osd));
        let primary = match self.map.primary_temp.get(&self.pg) {
            Some(&osd) => Some(osd).filter(|osd| *osd != OsdId::NOBODY),
            None => first(&osds),
        };
        (osds, primary)
    }
}

impl fmt::Display for PgMapping {
    /// As Ceph's tools write it: `up ([1,2], p1) acting ([1,2], p1)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = |f: &mut fmt::Formatter<'_>, osds: &[OsdId], primary: Option<OsdId>| {
            let primary = primary.unwrap_or(OsdId::NOBODY);
            write!(f, "({}, p{primary})", Osds(osds))
        };
        f.write_str("up ")?;
        set(f, &self.up, self.up_primary)?;
        f.write_str(" acting ")?;
        set(f, &self.acting, self.acting_primary)
    }
}

/// A list of OSDs as Ceph's tools write it: `[3,1,2]`. A hole is written as its number.
pub struct Osds<'a>(pub &'a [OsdId]);

impl fmt::Display for Osds<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (n, osd) in self.0.iter().enumerate() {
            write!(f, "{}{osd}", if n > 0 { "," } else { "" })?;
        }
        f.write_str("]")
    }
}
