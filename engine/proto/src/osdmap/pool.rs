//! A pool.

use super::{PoolFlags, SnapRange};
use crate::hash::hash2;
use crate::types::{Epoch, PgId, PoolId, SnapId, Utime};
use std::collections::BTreeMap;

/// How a pool keeps its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolKind {
    /// As copies, any of which can stand in for another.
    Replicated,
    /// As shards, each in its place.
    Erasure,
    /// In a way that this release does not know.
    Other(u8),
}

impl PoolKind {
    /// The kind with that number.
    pub(super) fn from_number(number: u8) -> PoolKind {
        match number {
            1 => PoolKind::Replicated,
            3 => PoolKind::Erasure,
            other => PoolKind::Other(other),
        }
    }

    /// Its number.
    pub fn number(self) -> u8 {
        match self {
            PoolKind::Replicated => 1,
            PoolKind::Erasure => 3,
            PoolKind::Other(other) => other,
        }
    }
}

/// A snapshot of a whole pool. Images have none in such a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSnap {
    /// What it is called.
    pub name: String,
    /// When it was made.
    pub stamp: Utime,
}

/// The epochs since which all operations must be sent again that were sent before, for three generations of clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForceResend {
    /// For clients of today.
    pub now: Epoch,
    /// For clients that do not know merges.
    pub before_nautilus: Epoch,
    /// For clients that do not know splits.
    pub before_luminous: Epoch,
}

/// What a stretched cluster demands of a placement group's OSDs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peering {
    /// In how many buckets they must be.
    pub bucket_count: u32,
    /// In how many they should be.
    pub bucket_target: u32,
    /// Of which type the buckets are.
    pub bucket_type: u32,
    /// A bucket that must be among them.
    pub mandatory_bucket: i32,
}

/// A pool, as far as a client acts on it or shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// How it keeps its objects.
    pub kind: PoolKind,
    /// OSDs of a placement group.
    pub size: u8,
    /// Fewer than these take no operations.
    pub min_size: u8,
    /// The rule that places it.
    pub crush_rule: u8,
    /// The hash of its objects' names; 2 is the only one in use.
    pub object_hash: u8,
    /// Placement groups. Not 0.
    pub pg_num: u32,
    /// Placement groups that are placed by themselves; fewer while it is split. Not 0.
    pub pgp_num: u32,
    /// What `pg_num` is to become.
    pub pg_num_target: u32,
    /// What `pgp_num` is to become.
    pub pgp_num_target: u32,
    /// What `pg_num` is about to shrink to.
    pub pg_num_pending: u32,
    /// Whether the number of placement groups is chosen by the cluster: 0 off, 1 warn, 2 on.
    pub autoscale_mode: u8,
    /// The epoch of the last change.
    pub last_change: Epoch,
    /// The newest snapshot.
    pub snap_seq: SnapId,
    /// The epoch in which it was made.
    pub snap_epoch: Epoch,
    /// Snapshots of the whole pool.
    pub snaps: BTreeMap<SnapId, PoolSnap>,
    /// Snapshots that were removed, in pools of old clusters.
    pub removed_snaps: Vec<SnapRange>,
    /// What is set.
    pub flags: PoolFlags,
    /// Bytes that it may hold; 0 for any number.
    pub quota_bytes: u64,
    /// Objects that it may hold; 0 for any number.
    pub quota_objects: u64,
    /// Pools that cache it.
    pub tiers: Vec<PoolId>,
    /// The pool that it caches.
    pub tier_of: Option<PoolId>,
    /// Where reads go instead.
    pub read_tier: Option<PoolId>,
    /// Where writes go instead.
    pub write_tier: Option<PoolId>,
    /// Bytes of a stripe over all data shards; 0 in a replicated pool.
    pub stripe_width: u32,
    /// How it is erasure-coded.
    pub erasure_code_profile: String,
    /// Since when operations must be sent again.
    pub force_resend: ForceResend,
    /// Objects that it is made for.
    pub expected_objects: u64,
    /// Whether reads ask all shards.
    pub fast_read: bool,
    /// Who uses it, and what they note about it.
    pub applications: BTreeMap<String, BTreeMap<String, String>>,
    /// When it was made.
    pub created: Utime,
    /// What a stretched cluster demands.
    pub peering: Peering,
}

impl Default for Pool {
    /// A replicated pool of three copies and one placement group.
    fn default() -> Pool {
        Pool {
            kind: PoolKind::Replicated,
            size: 3,
            min_size: 2,
            crush_rule: 0,
            object_hash: Pool::RJENKINS,
            pg_num: 1,
            pgp_num: 1,
            pg_num_target: 1,
            pgp_num_target: 1,
            pg_num_pending: 1,
            autoscale_mode: 0,
            last_change: Epoch(0),
            snap_seq: SnapId(0),
            snap_epoch: Epoch(0),
            snaps: BTreeMap::new(),
            removed_snaps: Vec::new(),
            flags: PoolFlags::HASH_PS_POOL,
            quota_bytes: 0,
            quota_objects: 0,
            tiers: Vec::new(),
            tier_of: None,
            read_tier: None,
            write_tier: None,
            stripe_width: 0,
            erasure_code_profile: String::new(),
            force_resend: ForceResend::default(),
            expected_objects: 0,
            fast_read: false,
            applications: BTreeMap::new(),
            created: Utime::default(),
            peering: Peering::default(),
        }
    }
}

impl Pool {
    /// The number of the hash that is [`crate::hash::object_hash`].
    pub const RJENKINS: u8 = 2;

    /// A replicated pool of so many placement groups.
    pub fn replicated(size: u8, pg_num: u32) -> Pool {
        let min_size = size - size / 2;
        Pool { size, min_size, ..Pool::default() }.with_pg_num(pg_num)
    }

    /// The pool, with so many placement groups and all of them placed by themselves.
    #[must_use]
    pub fn with_pg_num(self, pg_num: u32) -> Pool {
        assert!(pg_num > 0, "a pool has placement groups");
        Pool {
            pg_num,
            pgp_num: pg_num,
            pg_num_target: pg_num,
            pgp_num_target: pg_num,
            pg_num_pending: pg_num,
            ..self
        }
    }

    /// The placement group of an object with this hash, in the pool `id`.
    #[inline]
    pub fn pg(&self, id: PoolId, hash: u32) -> PgId {
        PgId { pool: id, seed: stable_mod(hash, self.pg_num) }
    }

    /// What CRUSH gets for a placement group, so that those of different pools lie differently.
    #[inline]
    pub(super) fn placement_seed(&self, pg: PgId) -> u32 {
        let seed = stable_mod(pg.seed, self.pgp_num);
        // The format gives a pool's number 64 bits; 32 of them count.
        let pool = pg.pool.0 as u32;
        if self.flags.has(PoolFlags::HASH_PS_POOL) { hash2(seed, pool) } else { seed.wrapping_add(pool) }
    }
}

/// `x` modulo `n`, such that only as many `x` change their place as they must when `n` grows: modulo the next power of
/// two, and what is beyond `n` then goes to the lower half.
#[inline]
pub const fn stable_mod(x: u32, n: u32) -> u32 {
    let mask = ((n as u64).next_power_of_two() - 1) as u32;
    if x & mask < n { x & mask } else { x & (mask >> 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_placement_groups_need_not_be_a_power_of_two() {
        let seeds: Vec<u32> = (0..16).map(|x| stable_mod(x, 12)).collect();
        assert_eq!(seeds, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 4, 5, 6, 7]);
        assert!((0..100).all(|x| stable_mod(x, 1) == 0));
        assert!((0..100).all(|x| stable_mod(x, 64) == x % 64));
        assert_eq!(stable_mod(u32::MAX, u32::MAX), 0x7fff_ffff);
    }

    #[test]
    fn growing_moves_only_what_must() {
        for n in 1..200 {
            for x in 0..1000 {
                let (old, new) = (stable_mod(x, n), stable_mod(x, n + 1));
                assert!(old == new || new == n, "{x} of {n}");
            }
        }
    }
}
