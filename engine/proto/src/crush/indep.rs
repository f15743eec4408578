//! Choosing an item for each position by itself, so that what fails in one place leaves the others alone.

use super::choose::At;
use super::walk::{Draw, Walk};
use super::{Algorithm, ITEM_NONE, ITEM_UNDEFINED, MappingError};
use std::ops::Range;

/// What is to be chosen, and how hard to try.
#[derive(Clone, Copy)]
pub(super) struct Indep {
    /// How many positions the whole result has: tries of one position step over those of the others.
    pub(super) count: i32,
    /// Items of which type.
    pub(super) type_id: i32,
    /// Rounds of tries.
    pub(super) tries: u32,
    /// Rounds of tries for the device below an item.
    pub(super) leaf_tries: u32,
}

/// What a try for one position came to.
enum Try {
    /// An item.
    Found(i32),
    /// Nothing, this time.
    Failed,
    /// No try will be better.
    Hopeless,
}

impl<'a> Walk<'a> {
    /// Fills these `positions` of `out`, with [`ITEM_NONE`] where nothing is found. If there are `leaves`, each item must
    /// have a device below it, which goes there.
    pub(super) fn indep(
        &mut self,
        top: At<'a>,
        how: &Indep,
        out: &mut [i32],
        mut leaves: Option<&mut [i32]>,
        positions: Range<usize>,
        parent_r: u32,
    ) -> Result<(), MappingError> {
        out[positions.clone()].fill(ITEM_UNDEFINED);
        if let Some(leaves) = leaves.as_deref_mut() {
            leaves[positions.clone()].fill(ITEM_UNDEFINED);
        }
        let mut left = positions.len();
        let mut round = 0;
        while left > 0 && round < how.tries {
            for position in positions.clone() {
                if out[position] != ITEM_UNDEFINED {
                    continue;
                }
                let r = (position as u32).wrapping_add(parent_r);
                let taken = &out[positions.clone()];
                let begin = positions.start;
                match self.indep_one(top, how, taken, leaves.as_deref_mut(), (position, begin), r, round)? {
                    Try::Failed => continue,
                    Try::Found(item) => out[position] = item,
                    Try::Hopeless => {
                        out[position] = ITEM_NONE;
                        if let Some(leaves) = leaves.as_deref_mut() {
                            leaves[position] = ITEM_NONE;
                        }
                    }
                }
                left -= 1;
            }
            round += 1;
        }
        let none_for_undefined = |list: &mut [i32]| {
            list.iter_mut().filter(|item| **item == ITEM_UNDEFINED).for_each(|item| *item = ITEM_NONE);
        };
        none_for_undefined(&mut out[positions.clone()]);
        if let Some(leaves) = leaves {
            none_for_undefined(&mut leaves[positions]);
        }
        Ok(())
    }

    /// One try for one position, from the top down.
    #[expect(clippy::too_many_arguments, reason = "the state of one try, which only exists here")]
    fn indep_one(
        &mut self,
        top: At<'a>,
        how: &Indep,
        taken: &[i32],
        leaves: Option<&mut [i32]>,
        (position, begin): (usize, usize),
        r: u32,
        round: u32,
    ) -> Result<Try, MappingError> {
        let count = how.count.cast_unsigned();
        let mut at = top;
        loop {
            // In a uniform bucket, steps of its own size would meet the same items in every round.
            let uniform = matches!(at.bucket.algorithm, Algorithm::Uniform { .. });
            let resonates = uniform && (at.bucket.items.len() as u64).is_multiple_of(count.into());
            let step = if resonates { count.wrapping_add(1) } else { count };
            let r = r.wrapping_add(step.wrapping_mul(round));
            let item = match self.draw(at, r, begin, how.type_id, false)? {
                Draw::Nothing => return Ok(Try::Failed),
                Draw::Impossible => return Ok(Try::Hopeless),
                Draw::Below(below) => {
                    at = below;
                    continue;
                }
                Draw::Item(item) => item,
            };
            if taken.contains(&item) {
                return Ok(Try::Failed);
            }
            if let Some(leaves) = leaves {
                if let Some(at) = self.at(item) {
                    let below = Indep { type_id: 0, tries: how.leaf_tries, leaf_tries: 0, ..*how };
                    self.indep(at, &below, leaves, None, position..position + 1, r)?;
                    if leaves[position] == ITEM_NONE {
                        return Ok(Try::Failed);
                    }
                } else {
                    leaves[position] = item;
                }
            }
            let out = how.type_id == 0 && self.is_out(item);
            return Ok(if out { Try::Failed } else { Try::Found(item) });
        }
    }
}
