//! Choosing as many items as are found, in a row.

use super::MappingError;
use super::choose::At;
use super::walk::{Draw, Walk};

/// What is to be chosen, and how hard to try.
#[derive(Clone, Copy)]
pub(super) struct Firstn {
    /// How many items.
    pub(super) count: i32,
    /// Of which type.
    pub(super) type_id: i32,
    /// Tries from the top for each.
    pub(super) tries: u32,
    /// Tries for the device below each.
    pub(super) leaf_tries: u32,
    /// Tries in the same bucket after a collision.
    pub(super) local_tries: u32,
    /// Tries of a bucket's permutation after that.
    pub(super) local_fallback_tries: u32,
    /// How the search for a device depends on the try for the item above it.
    pub(super) vary_r: u32,
    /// Whether it is the same for every position.
    pub(super) stable: bool,
}

impl<'a> Walk<'a> {
    /// Fills `out` from `begin` on and returns where it ended. The items before `begin` are not chosen again. If there are
    /// `leaves`, each item must have a device below it that is not among the leaves yet, which goes there.
    pub(super) fn firstn(
        &mut self,
        top: At<'a>,
        how: &Firstn,
        out: &mut [i32],
        mut leaves: Option<&mut [i32]>,
        begin: usize,
        parent_r: u32,
    ) -> Result<usize, MappingError> {
        let mut end = begin;
        let first = if how.stable { 0 } else { i32::try_from(begin).unwrap_or(i32::MAX) };
        for replica in first..how.count {
            if end == out.len() {
                break;
            }
            let r = replica.cast_unsigned().wrapping_add(parent_r);
            if let Some(item) = self.firstn_one(top, how, &out[..end], leaves.as_deref_mut(), r)? {
                out[end] = item;
                end += 1;
            }
        }
        Ok(end)
    }

    /// One item that is not among `taken`, or none after all tries.
    fn firstn_one(
        &mut self,
        top: At<'a>,
        how: &Firstn,
        taken: &[i32],
        mut leaves: Option<&mut [i32]>,
        r: u32,
    ) -> Result<Option<i32>, MappingError> {
        let mut failed = 0u32;
        loop {
            let mut at = top;
            let mut failed_here = 0u32;
            loop {
                let size = u32::try_from(at.bucket.items.len()).unwrap_or(u32::MAX);
                let fallback = how.local_fallback_tries;
                let permuted = fallback > 0 && failed_here >= size / 2 && failed_here > fallback;
                let r = r.wrapping_add(failed);
                let collides = match self.draw(at, r, taken.len(), how.type_id, permuted)? {
                    Draw::Impossible => return Ok(None),
                    Draw::Below(below) => {
                        at = below;
                        continue;
                    }
                    Draw::Nothing => false,
                    Draw::Item(item) if taken.contains(&item) => true,
                    Draw::Item(item) => {
                        if self.firstn_accepts(item, how, taken.len(), leaves.as_deref_mut(), r)? {
                            return Ok(Some(item));
                        }
                        false
                    }
                };
                failed = failed.wrapping_add(1);
                failed_here += 1;
                let again_here = (collides && failed_here <= how.local_tries)
                    || (fallback > 0 && failed_here <= size.saturating_add(fallback));
                if !again_here {
                    break;
                }
            }
            if failed >= how.tries {
                return Ok(None);
            }
        }
    }

    /// Whether an item will do: a device that is in, or what has one below it where that is wanted.
    fn firstn_accepts(
        &mut self,
        item: i32,
        how: &Firstn,
        position: usize,
        leaves: Option<&mut [i32]>,
        r: u32,
    ) -> Result<bool, MappingError> {
        if let Some(leaves) = leaves {
            if let Some(at) = self.at(item) {
                let count = if how.stable { 1 } else { i32::try_from(position).unwrap_or(i32::MAX) + 1 };
                let r = how.vary_r.checked_sub(1).map_or(0, |shift| r.cast_signed() >> shift.min(31));
                let below = Firstn { count, type_id: 0, tries: how.leaf_tries, leaf_tries: 0, ..*how };
                let end = self.firstn(at, &below, leaves, None, position, r.cast_unsigned())?;
                return Ok(end > position);
            }
            leaves[position] = item;
        }
        Ok(how.type_id != 0 || !self.is_out(item))
    }
}
