//! Which core owns which objects: 64 virtual shards, and the immutable map of shards to cores.
//!
//! The rule: an object belongs to one shard for ever, and a shard to exactly one core at a time. Cores come and go
//! (a lent thread joins, a fio job ends); then a new map with the next version is published and only the shards whose
//! owner changed move. Within any 64 consecutive objects every shard has exactly one, so sequential I/O spreads evenly
//! and `object >> 6` is a dense index inside a shard.

use crate::store::{ImageId, ObjectNo, SHARDS, shard_of};

// A set of shards is one machine word.
const _: () = assert!(SHARDS == u64::BITS as usize);

/// Cores that one engine can have at once; as many as shards, since a core without a shard would own nothing.
pub const CORES_MAX: usize = SHARDS;

/// One of the virtual shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ShardNo(u8);

impl ShardNo {
    /// The shard of an object.
    #[inline]
    pub(crate) fn of(image_id: u64, object: u64) -> Self {
        Self(shard_of(ImageId(image_id), ObjectNo(object)) as u8)
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..SHARDS as u8).map(Self)
    }
}

/// A set of shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ShardSet(u64);

impl ShardSet {
    pub(crate) const ALL: Self = Self(u64::MAX);
    pub(crate) const EMPTY: Self = Self(0);

    pub(crate) fn insert(&mut self, shard: ShardNo) {
        self.0 |= 1 << shard.0;
    }

    pub(crate) fn remove(&mut self, shard: ShardNo) {
        self.0 &= !(1 << shard.0);
    }

    pub(crate) fn contains(self, shard: ShardNo) -> bool {
        self.0 & (1 << shard.0) != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = ShardNo> {
        ShardNo::all().filter(move |&shard| self.contains(shard))
    }
}

/// A core of one engine: its place in the engine's table, never used again for another core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CoreNo(pub(crate) u32);

/// A published map of shards to cores. With no core at all, every shard is parked.
#[derive(Debug, Clone)]
pub(crate) struct Topology {
    version: u64,
    owners: [Option<CoreNo>; SHARDS],
    cores: Vec<CoreNo>,
}

impl Topology {
    pub(crate) fn empty() -> Self {
        Self { version: 0, owners: [None; SHARDS], cores: Vec::new() }
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn cores(&self) -> &[CoreNo] {
        &self.cores
    }

    #[inline]
    pub(crate) fn owner(&self, shard: ShardNo) -> Option<CoreNo> {
        self.owners[shard.index()]
    }

    pub(crate) fn owned_by(&self, core: CoreNo) -> ShardSet {
        let mut set = ShardSet::EMPTY;
        ShardNo::all().filter(|&shard| self.owner(shard) == Some(core)).for_each(|shard| set.insert(shard));
        set
    }

    /// The map after `core` joined: it takes shards from the cores that have most.
    pub(crate) fn with(&self, core: CoreNo) -> Self {
        assert!(!self.cores.contains(&core), "a core joins once");
        assert!(self.cores.len() < CORES_MAX, "the engine checks the limit before a core joins");
        let mut next = self.clone();
        next.cores.push(core);
        next.rebalance();
        next
    }

    /// The map after `core` left: its shards go to the cores that have fewest.
    pub(crate) fn without(&self, core: CoreNo) -> Self {
        assert!(self.cores.contains(&core), "only a core that joined can leave");
        let mut next = self.clone();
        next.cores.retain(|&other| other != core);
        next.rebalance();
        next
    }

    /// Moves as few shards as possible so that the cores' shares differ by at most one.
    fn rebalance(&mut self) {
        self.version += 1;
        let cores = self.cores.len();
        if cores == 0 {
            self.owners = [None; SHARDS];
            return;
        }
        // The first `extra` cores may hold one more than the others.
        let (share, extra) = (SHARDS / cores, SHARDS % cores);
        let mut room: Vec<usize> = (0..cores).map(|n| share + usize::from(n < extra)).collect();
        let mut homeless = Vec::new();
        for shard in ShardNo::all() {
            let place = self.owner(shard).and_then(|core| self.cores.iter().position(|&c| c == core));
            match place {
                Some(n) if room[n] > 0 => room[n] -= 1,
                _ => homeless.push(shard),
            }
        }
        let mut free =
            room.iter().enumerate().flat_map(|(n, &room)| std::iter::repeat_n(self.cores[n], room));
        for shard in homeless {
            self.owners[shard.index()] = free.next();
        }
        debug_assert!(self.owners.iter().all(Option::is_some));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sixty_four_consecutive_objects_fill_sixty_four_shards() {
        for image in [0, 1, 77, u64::MAX] {
            for group in [0u64, 1, 5, 1 << 40] {
                let mut seen = ShardSet::EMPTY;
                (0..64).for_each(|n| seen.insert(ShardNo::of(image, group * 64 + n)));
                assert_eq!(seen, ShardSet::ALL);
            }
        }
    }

    #[test]
    fn objects_a_fixed_stride_apart_do_not_share_a_core() {
        // A guest that touches every 64th object (256 MiB apart) must not end on one core.
        let topology = Topology::empty().with(CoreNo(0)).with(CoreNo(1));
        let on_first =
            (0..1000).filter(|n| topology.owner(ShardNo::of(9, n * 64)) == Some(CoreNo(0))).count();
        assert!((350..650).contains(&on_first), "{on_first} of 1000");
    }

    proptest! {
        #[test]
        fn shares_stay_even_and_moves_stay_few(joins in prop::collection::vec(any::<bool>(), 1..60)) {
            let mut topology = Topology::empty();
            let mut next = 0;
            for join in joins {
                let before = topology.clone();
                let after = if join || topology.cores().is_empty() {
                    next += 1;
                    topology.with(CoreNo(next))
                } else {
                    let leaver = topology.cores()[topology.cores().len() / 2];
                    topology.without(leaver)
                };
                prop_assert_eq!(after.version(), before.version() + 1);
                let sizes: Vec<_> =
                    after.cores().iter().map(|&core| after.owned_by(core).iter().count()).collect();
                if let (Some(most), Some(least)) = (sizes.iter().max(), sizes.iter().min()) {
                    prop_assert!(most - least <= 1);
                    prop_assert_eq!(sizes.iter().sum::<usize>(), SHARDS);
                }
                let moved = ShardNo::all().filter(|&s| before.owner(s) != after.owner(s)).count();
                let cores = after.cores().len().max(before.cores().len());
                let fewest = SHARDS.div_ceil(cores.max(1)) + before.cores().len();
                prop_assert!(moved <= fewest, "{} moved, {} expected", moved, fewest);
                topology = after;
            }
        }
    }
}
