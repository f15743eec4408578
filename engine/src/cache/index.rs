//! A flat open-addressing index from a key's 32-bit tag to an id.
//!
//! A slot is one word: the tag above, the id plus one below, zero when empty. Probing is linear and reads only
//! slots; the owner of the ids confirms the key. The tag also gives the slot's home (a multiply and a shift map
//! it on any capacity), so removal can shift the cluster back without a look at the keys: there are no
//! tombstones, and the index never grows.

pub(super) struct Index {
    slots: Box<[u64]>,
    seed: u64,
    len: usize,
}

impl Index {
    /// Room for `ids` ids at a load of two thirds. The memory is touched as it is used.
    pub(super) fn new(ids: u32, seed: u64) -> Self {
        let slots = ids as usize + ids as usize / 2 + 2;
        Self { slots: vec![0; slots].into_boxed_slice(), seed, len: 0 }
    }

    /// The tag of a key: a folded multiply, so that neither a regular nor a hostile choice of blocks makes
    /// clusters.
    #[inline]
    pub(super) fn tag(&self, key: u64) -> u32 {
        let product = u128::from(key ^ self.seed) * 0x9e37_79b9_7f4a_7c15_u128;
        ((product >> 64) as u64 ^ product as u64) as u32
    }

    /// The id with this tag that `is` confirms.
    #[inline]
    pub(super) fn find(&self, tag: u32, is: impl Fn(u32) -> bool) -> Option<u32> {
        let mut at = self.home(tag);
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return None;
            }
            if (slot >> 32) as u32 == tag {
                let id = slot as u32 - 1;
                if is(id) {
                    return Some(id);
                }
            }
            at = self.after(at);
        }
    }

    /// Adds an id, which must not be there yet.
    pub(super) fn insert(&mut self, tag: u32, id: u32) {
        self.len += 1;
        assert!(self.len < self.slots.len(), "the index holds more ids than it was built for");
        let mut at = self.home(tag);
        while self.slots[at] != 0 {
            at = self.after(at);
        }
        self.slots[at] = slot_of(tag, id);
    }

    /// Removes an id, which must be there.
    pub(super) fn remove(&mut self, tag: u32, id: u32) {
        let gone = slot_of(tag, id);
        let mut hole = self.home(tag);
        while self.slots[hole] != gone {
            assert!(self.slots[hole] != 0, "an id was removed that the index does not hold");
            hole = self.after(hole);
        }
        let mut at = hole;
        loop {
            at = self.after(at);
            let slot = self.slots[at];
            if slot == 0 {
                break;
            }
            let home = self.home((slot >> 32) as u32);
            if self.distance(home, at) >= self.distance(hole, at) {
                self.slots[hole] = slot;
                hole = at;
            }
        }
        self.slots[hole] = 0;
        self.len -= 1;
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.slots)
    }

    #[inline]
    fn home(&self, tag: u32) -> usize {
        ((u64::from(tag) * self.slots.len() as u64) >> 32) as usize
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        if at + 1 == self.slots.len() { 0 } else { at + 1 }
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from { to - from } else { to + self.slots.len() - from }
    }
}

#[inline]
fn slot_of(tag: u32, id: u32) -> u64 {
    u64::from(tag) << 32 | u64::from(id + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        /// Few distinct tags, so that clusters, equal tags and the wrap-around all happen.
        #[test]
        fn index_behaves_like_a_map(ops in prop::collection::vec((0u32..24, any::<bool>()), 1..400)) {
            let mut index = Index::new(24, 0);
            let mut model: HashMap<u32, u32> = HashMap::new();
            for (id, add) in ops {
                let tag = (id % 7).wrapping_mul(0x2600_0000) | 0x0fff_ffff;
                match (add, model.contains_key(&id)) {
                    (true, false) => { index.insert(tag, id); model.insert(id, tag); }
                    (false, true) => { index.remove(tag, id); model.remove(&id); }
                    (true, true) | (false, false) => {}
                }
                prop_assert_eq!(index.len(), model.len());
                for id in 0u32..24 {
                    let tag = (id % 7).wrapping_mul(0x2600_0000) | 0x0fff_ffff;
                    prop_assert_eq!(index.find(tag, |found| found == id).is_some(), model.contains_key(&id));
                }
            }
        }
    }

    #[test]
    fn neighbouring_keys_spread_over_the_slots() {
        let index = Index::new(1 << 16, 7);
        let mut buckets = [0u32; 64];
        for key in 0..1u64 << 16 {
            buckets[(index.tag(key) >> 26) as usize] += 1;
        }
        assert!(buckets.iter().all(|&n| (700..1400).contains(&n)), "{buckets:?}");
    }
}
