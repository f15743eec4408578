//! Why a map lets an operation go nowhere, said to whoever wonders why nothing happens.

use super::Objecter;
use super::op::OpState;
use super::target::Place;
use crate::rados::core::Core;
use ringbd_proto::osd::OsdFlags;
use ringbd_proto::osdmap::{MapFlags, OsdMap, PoolFlags};
use ringbd_proto::types::{PgId, PoolId};
use ringbd_reactor::Instant;
use std::fmt;
use std::time::Duration;

/// Reasons that are told at one time. Each pool and each placement group may have its own, and the first ones say it all.
const REASONS_TOLD_MAX: usize = 4;

/// What an operation waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rados) enum Hold {
    /// There is no map yet.
    NoMap,
    /// The map does not have the pool; whether the newest one has it is being asked.
    NoPool(PoolId),
    /// Reads are paused.
    ReadsPaused,
    /// Writes are paused.
    WritesPaused,
    /// The cluster is full.
    ClusterFull,
    /// The pool is full.
    PoolFull(String),
    /// The pool has reached its quota.
    OverQuota(String),
    /// Nobody leads the placement group.
    NoPrimary(PgId),
}

impl Hold {
    /// What holds an operation by that map; none if it can go.
    pub(in crate::rados) fn of(
        map: Option<&OsdMap>,
        place: Place,
        writes: bool,
        flags: OsdFlags,
        has_primary: bool,
    ) -> Option<Hold> {
        let Some(map) = map else { return Some(Hold::NoMap) };
        let Some(pool) = map.pool(place.pool) else { return Some(Hold::NoPool(place.pool)) };
        if !writes && map.pauses_reads() {
            return Some(Hold::ReadsPaused);
        }
        let heeds_full = !flags.contains(OsdFlags::FULL_TRY) && !flags.contains(OsdFlags::FULL_FORCE);
        if writes && map.pauses_writes(pool, heeds_full) {
            let name = || map.pool_name(place.pool).map_or_else(|| place.pool.to_string(), str::to_owned);
            return Some(if map.flags().has(MapFlags::PAUSE_WRITES) {
                Hold::WritesPaused
            } else if map.flags().has(MapFlags::FULL) {
                Hold::ClusterFull
            } else if pool.flags.has(PoolFlags::FULL_QUOTA) {
                Hold::OverQuota(name())
            } else {
                Hold::PoolFull(name())
            });
        }
        let pg = map.pg(place.pool, place.hash).ok()?;
        (!has_primary).then_some(Hold::NoPrimary(pg))
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hold::NoMap => f.write_str("the monitors have sent no OSD map yet"),
            Hold::NoPool(pool) => {
                write!(f, "the OSD map has no pool {pool}; the monitors are asked for a newer one")
            }
            Hold::ReadsPaused => f.write_str("reads are paused (`ceph osd unpause` ends it)"),
            Hold::WritesPaused => f.write_str("writes are paused (`ceph osd unpause` ends it)"),
            Hold::ClusterFull => {
                f.write_str("the cluster is full: writes wait until there is room (`ceph osd df`)")
            }
            Hold::PoolFull(pool) => {
                write!(f, "pool {pool} is full: writes wait until there is room (`ceph df`, `ceph osd df`)")
            }
            Hold::OverQuota(pool) => {
                write!(
                    f,
                    "pool {pool} has reached its quota: writes wait until it is raised (`ceph osd pool get-quota {pool}`)"
                )
            }
            Hold::NoPrimary(pg) => {
                write!(
                    f,
                    "no OSD that is up leads placement group {pg} (`ceph osd tree`, `ceph pg map {pg}`)"
                )
            }
        }
    }
}

impl Objecter {
    /// An operation begins to wait here, if it does not already.
    pub(super) fn hold(&self, slot: usize, now: Instant) {
        self.ops.borrow_mut()[slot].held_since.get_or_insert(now);
    }
}

impl Core {
    /// What holds an operation on that place; none if the map would let it go.
    pub(in crate::rados) fn hold_of(&self, place: Place, writes: bool, flags: OsdFlags) -> Option<Hold> {
        let has_primary = self.primary_of(place).is_some();
        self.with_map(|map| Hold::of(map, place, writes, flags, has_primary))
    }

    /// Warns when operations have been held here for `limit`, and again each time that the longest wait has doubled.
    pub(in crate::rados) fn complain_of_held(&self, limit: Duration) {
        let complain_at = &self.objecter.complain_at;
        let mut reasons: Vec<(Hold, usize, Duration)> = Vec::new();
        for (place, writes, flags, waited) in self.held_for(limit) {
            let Some(hold) = self.hold_of(place, writes, flags) else { continue };
            match reasons.iter().position(|(known, ..)| *known == hold) {
                Some(at) => {
                    let (_, operations, longest) = &mut reasons[at];
                    *operations += 1;
                    *longest = waited.max(*longest);
                }
                None if reasons.len() < REASONS_TOLD_MAX => reasons.push((hold, 1, waited)),
                None => {}
            }
        }
        let Some(longest) = reasons.iter().map(|(_, _, waited)| *waited).max() else {
            return complain_at.set(Duration::ZERO);
        };
        if longest < complain_at.get() {
            return;
        }
        complain_at.set(longest * 2);
        let limited = match self.op_timeout() {
            Some(limit) => format!("rados_osd_op_timeout ends the wait after {:.1} s", limit.as_secs_f64()),
            None => "without rados_osd_op_timeout they wait for as long as it takes".to_owned(),
        };
        for (hold, operations, waited) in reasons {
            let waited = format_args!("{:.1} s", waited.as_secs_f64());
            tracing::warn!(core = %self.no(), operations, %waited, "slow operations: {hold}; {limited}");
        }
    }

    /// The operations that have been held here for so long.
    fn held_for(&self, limit: Duration) -> Vec<(Place, bool, OsdFlags, Duration)> {
        let ops = self.objecter.ops.borrow();
        let held = ops.iter().filter_map(|(_, op)| match op.state {
            OpState::Here => {
                let waited = op.held_since?.elapsed();
                (waited >= limit).then_some((op.place, op.writes, op.flags, waited))
            }
            OpState::WithOsd(_) | OpState::Answered(_) => None,
        });
        held.collect()
    }
}
