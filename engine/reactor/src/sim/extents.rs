//! A set of block numbers kept as runs: which blocks of a simulated file occupy space.
//!
//! Runs never touch or overlap: neighbours are joined on insert, so that an untouched gigabyte costs one entry.

use std::collections::BTreeMap;
use std::ops::Range;

/// Disjoint, non-adjacent runs of blocks: start → end (exclusive).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extents {
    runs: BTreeMap<u64, u64>,
    blocks: u64,
}

impl Extents {
    /// Number of blocks in the set.
    pub(super) fn blocks(&self) -> u64 {
        self.blocks
    }

    /// The blocks of `range` up to the point where `budget` new blocks would not suffice any more.
    pub(super) fn fitting(&self, range: &Range<u64>, budget: u64) -> Range<u64> {
        let (mut at, mut left) = (range.start, budget);
        for (start, end) in self.overlapping(range) {
            let gap = start.saturating_sub(at);
            if gap > left {
                return range.start..at + left;
            }
            left -= gap;
            at = end.min(range.end);
        }
        range.start..range.end.min(at.saturating_add(left))
    }

    /// Adds every block of `range`.
    pub(super) fn insert(&mut self, range: Range<u64>) {
        if range.start >= range.end {
            return;
        }
        let (mut start, mut end) = (range.start, range.end);
        // Widened by one on both sides, so that neighbours that only touch are joined too.
        let wide = range.start.saturating_sub(1)..range.end.saturating_add(1);
        let joined: Vec<(u64, u64)> = self.overlapping(&wide).collect();
        for (s, e) in joined {
            self.runs.remove(&s);
            self.blocks -= e - s;
            start = start.min(s);
            end = end.max(e);
        }
        self.runs.insert(start, end);
        self.blocks += end - start;
    }

    /// Takes every block of `range` out.
    pub(super) fn remove(&mut self, range: Range<u64>) {
        if range.start >= range.end {
            return;
        }
        let cut: Vec<(u64, u64)> = self.overlapping(&range).collect();
        for (s, e) in cut {
            self.runs.remove(&s);
            self.blocks -= e - s;
            for (s, e) in [(s, range.start), (range.end, e)] {
                if s < e {
                    self.runs.insert(s, e);
                    self.blocks += e - s;
                }
            }
        }
    }

    /// The runs that share a block with `range`, in order.
    fn overlapping<'a>(&'a self, range: &Range<u64>) -> impl Iterator<Item = (u64, u64)> + use<'a> {
        let (start, end) = (range.start, range.end);
        let before = self.runs.range(..start).next_back().filter(|&(_, &e)| e > start);
        before.into_iter().chain(self.runs.range(start..end.max(start))).map(|(&s, &e)| (s, e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn agrees_with_a_plain_set_on_random_steps() {
        for seed in 0..200 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let (mut extents, mut model) = (Extents::default(), BTreeSet::new());
            for _ in 0..60 {
                let start = rng.u64(0..40);
                let range = start..start + rng.u64(0..12);
                if rng.bool() {
                    extents.insert(range.clone());
                    model.extend(range.clone());
                } else {
                    extents.remove(range.clone());
                    model.retain(|b| !range.contains(b));
                }
                assert_eq!(extents.blocks(), model.len() as u64, "seed {seed}");
                let probe = rng.u64(0..20)..rng.u64(20..60);
                let missing: Vec<u64> = probe.clone().filter(|b| !model.contains(b)).collect();
                let budget = rng.u64(0..10);
                let end = missing.get(budget as usize).copied().unwrap_or(probe.end);
                assert_eq!(extents.fitting(&probe, budget), probe.start..end, "seed {seed}");
            }
        }
    }
}
