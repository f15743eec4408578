//! The memory of blocks that were evicted before anyone read them again: if one comes back soon, it was evicted
//! too early and goes straight to the main queue.
//!
//! Four bytes a block: a 16-bit fingerprint and a 16-bit coarse time, in buckets of four. A false match costs a
//! clean block a better place than it earned, nothing else, so neither collisions nor the clock's wrap-around
//! matter.

const WAYS: usize = 4;
/// Ticks of the coarse clock that an entry is believed.
const WINDOW_TICKS: u16 = 256;

pub(super) struct Ghost {
    entries: Box<[u32]>,
    inserted: u32,
    inserts_per_tick: u32,
    tick: u16,
}

impl Ghost {
    /// Remembers about as many evictions as there are blocks.
    pub(super) fn new(blocks: u32) -> Self {
        let entries = (blocks as usize).next_multiple_of(WAYS);
        let inserts_per_tick = blocks.div_ceil(u32::from(WINDOW_TICKS)).max(1);
        Self { entries: vec![0; entries].into_boxed_slice(), inserted: 0, inserts_per_tick, tick: 0 }
    }

    pub(super) fn insert(&mut self, tag: u32) {
        self.inserted += 1;
        if self.inserted == self.inserts_per_tick {
            self.inserted = 0;
            self.tick = self.tick.wrapping_add(1);
        }
        let tick = self.tick;
        let entry = fingerprint(tag) << 16 | u32::from(tick);
        let bucket = self.bucket(tag);
        let way = bucket
            .iter_mut()
            .max_by_key(|way| if **way == 0 { u16::MAX } else { tick.wrapping_sub(**way as u16) })
            .expect("a bucket has ways");
        *way = entry;
    }

    /// Was it evicted lately? Forgets it.
    pub(super) fn take(&mut self, tag: u32) -> bool {
        let tick = self.tick;
        for way in self.bucket(tag) {
            if *way >> 16 == fingerprint(tag) && tick.wrapping_sub(*way as u16) < WINDOW_TICKS {
                *way = 0;
                return true;
            }
        }
        false
    }

    pub(super) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.entries)
    }

    fn bucket(&mut self, tag: u32) -> &mut [u32] {
        let buckets = (self.entries.len() / WAYS) as u64;
        let at = ((u64::from(tag) * buckets) >> 32) as usize * WAYS;
        &mut self.entries[at..at + WAYS]
    }
}

/// Never zero, so that an entry is never zero. The bucket is chosen by the high bits; these are the low ones.
fn fingerprint(tag: u32) -> u32 {
    tag & 0xffff | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_recent_evictions_once_and_forgets_old_ones() {
        let mut ghost = Ghost::new(1024);
        let tag = |n: u32| n.wrapping_mul(0x9e37_79b9);
        for n in 0..512 {
            ghost.insert(tag(n));
        }
        let known = (0..512).filter(|&n| ghost.take(tag(n))).count();
        assert!(known > 450, "{known} of 512 remembered");
        assert!(!ghost.take(tag(511)));
        ghost.insert(tag(9999));
        for n in 10_000..14_000 {
            ghost.insert(tag(n));
        }
        assert!(!ghost.take(tag(9999)));
    }
}
