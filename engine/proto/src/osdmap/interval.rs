//! Whether the way to a placement group changed between two epochs.

use super::{MapFlags, OsdMap, Peering, PgMapping, Pool, stable_mod};
use crate::types::OsdId;

/// All that an interval of a placement group's life depends on. While none of it changes, its OSDs remember what they
/// were sent; when some of it does, they forget what they have not done yet, and it must be sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Who serves it.
    pub mapping: PgMapping,
    size: u8,
    min_size: u8,
    pg_num: u32,
    pg_num_pending: u32,
    sort_bitwise: bool,
    recovery_deletes: bool,
    peering: Peering,
}

impl Interval {
    /// The interval of a placement group of `pool` that is mapped so in `map`.
    pub fn new(map: &OsdMap, pool: &Pool, mapping: PgMapping) -> Interval {
        Interval {
            mapping,
            size: pool.size,
            min_size: pool.min_size,
            pg_num: pool.pg_num,
            pg_num_pending: pool.pg_num_pending,
            sort_bitwise: map.flags().has(MapFlags::SORT_BITWISE),
            recovery_deletes: map.flags().has(MapFlags::RECOVERY_DELETES),
            peering: pool.peering,
        }
    }

    /// Whether an operation on the object with this hash finds another interval in `next` than in this one.
    pub fn ends(&self, next: &Interval, hash: u32) -> bool {
        // Numbers of placement groups may differ without a split or a merge of this one.
        let numbers = Interval { pg_num: next.pg_num, pg_num_pending: next.pg_num_pending, ..self.clone() };
        numbers != *next
            || self.splits_or_merges(next, hash)
            || self.prepares_merge(next, stable_mod(hash, self.pg_num))
    }

    /// Whether the placement group of the object with this hash is divided, or joined with another, in `next`.
    pub fn splits_or_merges(&self, next: &Interval, hash: u32) -> bool {
        let seed = stable_mod(hash, self.pg_num);
        splits(seed, self.pg_num, next.pg_num) || merges(seed, self.pg_num, next.pg_num)
    }

    /// Whether a merge of the placement group is prepared in one of both intervals and not in the other.
    fn prepares_merge(&self, next: &Interval, seed: u32) -> bool {
        let (old, new) = (self.pg_num_pending, next.pg_num_pending);
        merges(seed, old, new) || merges(seed, new, old)
    }

    /// Whether clients speak to another OSD, or to the same one in another place, in `next`.
    pub fn primary_changes(&self, next: &Interval) -> bool {
        let place = |mapping: &PgMapping| {
            let is_primary = |osd: &OsdId| Some(*osd) == mapping.acting_primary;
            mapping.acting.iter().position(is_primary)
        };
        let (old, new) = (&self.mapping, &next.mapping);
        match (old.acting.is_empty(), new.acting.is_empty()) {
            (true, true) => false,
            (false, false) => old.acting_primary != new.acting_primary || place(old) != place(new),
            (true, false) | (false, true) => true,
        }
    }
}

/// Whether the placement group `seed` loses objects to others when `old` of them become `new`.
fn splits(seed: u32, old: u32, new: u32) -> bool {
    if seed >= old || new <= old {
        return false;
    }
    // The groups that take from it are those that `stable_mod` folds onto it: the one in the upper half of the power of two
    // above `old`, if that was not there yet, and all whose higher bits alone differ.
    let power = u64::from(old).next_power_of_two();
    let (seed, old, new) = (u64::from(seed), u64::from(old), u64::from(new));
    let half = seed + power / 2;
    (seed < power / 2 && (old..new).contains(&half)) || seed + power < new
}

/// Whether the placement group `seed` goes into another, or another into it, when `old` of them become `new`.
fn merges(seed: u32, old: u32, new: u32) -> bool {
    (new..old).contains(&seed) || (seed < new && splits(seed, new, old))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::osdmap::OsdList;
    use crate::types::ShardId;

    fn interval() -> Interval {
        let osds = OsdList::from_slice(&[OsdId(3), OsdId(1), OsdId(2)]);
        let mapping = PgMapping {
            up: osds.clone(),
            up_primary: Some(OsdId(3)),
            acting: osds,
            acting_primary: Some(OsdId(3)),
            shard: ShardId::NONE,
        };
        Interval::new(&OsdMap::empty(), &Pool::replicated(3, 8), mapping)
    }

    #[test]
    fn splits_and_merges_are_what_stable_mod_does() {
        for old in 1..40u32 {
            for new in 1..80u32 {
                for seed in 0..80u32 {
                    let taken = |from: u32, to: u32| (from..to).any(|s| stable_mod(s, from) == seed);
                    assert_eq!(splits(seed, old, new), seed < old && taken(old, new), "{seed} {old} {new}");
                    let source = seed < old && seed >= new;
                    let target = seed < new && taken(new, old);
                    assert_eq!(merges(seed, old, new), source || target, "{seed} {old} {new}");
                }
            }
        }
    }

    #[test]
    fn each_thing_that_an_interval_depends_on_ends_it() {
        let old = interval();
        assert!(!old.ends(&old.clone(), 5));
        let changes: [fn(&mut Interval); 10] = [
            |i| i.mapping.acting_primary = None,
            |i| i.mapping.acting.swap(1, 2),
            |i| i.mapping.up_primary = Some(OsdId(1)),
            |i| i.mapping.up.truncate(2),
            |i| i.size = 2,
            |i| i.min_size = 1,
            |i| i.sort_bitwise = true,
            |i| i.recovery_deletes = true,
            |i| i.peering.bucket_count = 2,
            |i| i.peering.mandatory_bucket = -3,
        ];
        for (n, change) in changes.iter().enumerate() {
            let mut new = old.clone();
            change(&mut new);
            assert!(old.ends(&new, 5), "change {n}");
        }
    }

    #[test]
    fn a_split_or_merge_of_others_is_no_new_interval() {
        let old = interval();
        // 8 groups become 12: 0 to 3 are split.
        let new = Interval { pg_num: 12, pg_num_pending: 12, ..old.clone() };
        assert!(old.splits_or_merges(&new, 3) && old.ends(&new, 3));
        assert!(!old.splits_or_merges(&new, 4) && !old.ends(&new, 4));
        // And back: 8 to 11 go into 0 to 3. A hash of 23 is in group 7 either way.
        assert!(new.splits_or_merges(&old, 11) && new.splits_or_merges(&old, 3));
        assert!(!new.splits_or_merges(&old, 23) && !new.ends(&old, 23));
    }

    #[test]
    fn a_prepared_merge_is_a_new_interval_before_it_happens() {
        let old = interval();
        let new = Interval { pg_num_pending: 7, ..old.clone() };
        assert!(old.ends(&new, 7), "the source");
        assert!(old.ends(&new, 3), "the target");
        assert!(!old.ends(&new, 2));
        assert!(new.ends(&old, 7), "also when it is called off");
        assert!(!old.splits_or_merges(&new, 7));
    }

    #[test]
    fn a_primary_changes_by_itself_or_by_its_place() {
        let old = interval();
        assert!(!old.primary_changes(&old.clone()));
        let mut new = old.clone();
        new.mapping.acting.swap(1, 2);
        assert!(!old.primary_changes(&new), "other replicas do not matter");
        new.mapping.acting.swap(0, 1);
        assert!(old.primary_changes(&new), "its place does");
        new.mapping.acting.clear();
        new.mapping.acting_primary = None;
        assert!(old.primary_changes(&new) && new.primary_changes(&old));
        assert!(!new.primary_changes(&new.clone()));
    }
}
