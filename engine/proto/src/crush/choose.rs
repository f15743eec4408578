//! Drawing one item of a bucket, by each of the five algorithms. All are pure: the same bucket, number and try draw the
//! same item.

use super::ln::below_one;
use super::map::ChooseArg;
use super::{Algorithm, Bucket};
use crate::hash::{LANES, hash3, hash3_lanes, hash4};

/// A bucket that is being drawn from, and its id.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) id: i32,
    pub(super) bucket: &'a Bucket,
}

impl At<'_> {
    /// The item that the bucket's algorithm draws for `x` at try `r`; `position` is the place in the result that is
    /// being filled. None from a bucket without items, and from a tree without weight.
    #[inline]
    pub(super) fn draw(self, x: u32, r: u32, arg: Option<&ChooseArg>, position: usize) -> Option<i32> {
        let items = &self.bucket.items[..];
        match &self.bucket.algorithm {
            Algorithm::Uniform { .. } => self.permuted(x, r),
            Algorithm::List { weights, sums } => self.list(weights, sums, x, r),
            Algorithm::Tree { nodes } => self.tree(nodes, x, r),
            Algorithm::Straw { straws, .. } => straw(items, straws, x, r),
            Algorithm::Straw2 { weights } => {
                let weights = match arg.map(|arg| &arg.weight_sets[..]) {
                    None | Some([]) => weights,
                    Some(sets) => &sets[position.min(sets.len() - 1)],
                };
                let ids = arg.map_or(&[][..], |arg| &arg.ids);
                let at = straw2(if ids.is_empty() { items } else { ids }, weights, x, r);
                items.get(at).copied()
            }
        }
    }

    /// The item at place `r` of the bucket's permutation for `x`.
    ///
    /// The permutation is made by swaps, of place 0, 1, 2… with a place behind it. Undoing those that matter, last one
    /// first, tells what a place holds without writing the permutation down.
    pub(super) fn permuted(self, x: u32, r: u32) -> Option<i32> {
        let size = u32::try_from(self.bucket.items.len()).ok().filter(|&size| size > 0)?;
        let mut at = r % size;
        for place in (0..=at.min(size.saturating_sub(2))).rev() {
            let other = place + hash3(x, self.id.cast_unsigned(), place) % (size - place);
            if at == place {
                at = other;
            } else if at == other {
                at = place;
            }
        }
        self.bucket.items.get(at as usize).copied()
    }

    fn list(self, weights: &[u32], sums: &[u32], x: u32, r: u32) -> Option<i32> {
        let items = &self.bucket.items;
        for at in (0..items.len()).rev() {
            let hash = hash4(x, items[at].cast_unsigned(), r, self.id.cast_unsigned()) & 0xffff;
            if (u64::from(hash) * u64::from(sums[at])) >> 16 < u64::from(weights[at]) {
                return Some(items[at]);
            }
        }
        items.first().copied()
    }

    fn tree(self, nodes: &[u32], x: u32, r: u32) -> Option<i32> {
        let mut node = nodes.len() / 2;
        if self.bucket.items.is_empty() {
            return None;
        }
        while node & 1 == 0 {
            let hash = hash4(x, node as u32, r, self.id.cast_unsigned());
            let point = (u64::from(hash) * u64::from(nodes[node])) >> 32;
            let half = 1 << (node.trailing_zeros() - 1);
            let left = node - half;
            node = if point < u64::from(nodes[left]) { left } else { node + half };
        }
        self.bucket.items.get(node >> 1).copied()
    }

    /// What a draw costs, in hashes.
    #[inline]
    pub(super) fn cost(self, r: u32) -> u32 {
        let items = u32::try_from(self.bucket.items.len()).unwrap_or(u32::MAX);
        match &self.bucket.algorithm {
            Algorithm::Uniform { .. } => self.permuted_cost(r),
            Algorithm::Tree { .. } => 8,
            Algorithm::List { .. } | Algorithm::Straw { .. } | Algorithm::Straw2 { .. } => items,
        }
    }

    /// What [`permuted`](At::permuted) costs.
    pub(super) fn permuted_cost(self, r: u32) -> u32 {
        let items = u32::try_from(self.bucket.items.len()).unwrap_or(u32::MAX);
        r.checked_rem(items).unwrap_or(0)
    }
}

fn straw(items: &[i32], straws: &[u32], x: u32, r: u32) -> Option<i32> {
    let (mut longest, mut best) = (0, items.first().copied());
    for (&item, &straw) in items.iter().zip(straws) {
        let length = u64::from(hash3(x, item.cast_unsigned(), r) & 0xffff) * u64::from(straw);
        if length > longest {
            (longest, best) = (length, Some(item));
        }
    }
    best
}

/// The place of the longest straw; the first of several, and 0 when all weigh nothing.
///
/// A straw's length is (ln(u) − 1)/weight for a random u: what is compared here is how far below 0 it ends. An item that
/// weighs no more than the best so far, and whose u is smaller, cannot end higher. (By two or more: the tables make the
/// logarithm fall in one place, from one number to the next.) Most items of an even bucket are passed over so, without
/// logarithm and division.
fn straw2(ids: &[i32], weights: &[u32], x: u32, r: u32) -> usize {
    let mut best = Best { at: 0, below: u64::MAX, u: 0, weight: 0 };
    let (id_lanes, id_rest) = ids.as_chunks::<LANES>();
    for (n, (ids, weights)) in id_lanes.iter().zip(weights.chunks(LANES)).enumerate() {
        let hashes = hash3_lanes(x, ids, r);
        for (lane, (&hash, &weight)) in hashes.iter().zip(weights).enumerate() {
            best.meet(n * LANES + lane, hash & 0xffff, weight);
        }
    }
    let begin = id_lanes.len() * LANES;
    let weights = weights.get(begin..).unwrap_or_default();
    for (n, (&id, &weight)) in id_rest.iter().zip(weights).enumerate() {
        best.meet(begin + n, hash3(x, id.cast_unsigned(), r) & 0xffff, weight);
    }
    best.at
}

/// The longest straw so far.
struct Best {
    at: usize,
    below: u64,
    u: u32,
    weight: u32,
}

impl Best {
    #[inline(always)]
    fn meet(&mut self, at: usize, u: u32, weight: u32) {
        if weight <= self.weight && u + 1 < self.u {
            return;
        }
        let Some(below) = below_one(u).checked_div(weight.into()) else { return };
        if below < self.below {
            *self = Best { at, below, u, weight };
        }
    }
}
