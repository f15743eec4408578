//! Walking the hierarchy by a rule.

use super::choose::At;
use super::firstn::Firstn;
use super::indep::Indep;
use super::map::{ChooseArg, ChooseArgs, slot};
use super::{ChooseOrder, CrushMap, DEFAULT_CHOOSE_ARGS, MappingError, Rule, Step, Tunables};
use crate::hash::hash2;

/// Hashes that one mapping may take. The hardest honest one, a pool whose every OSD is out in a bucket of thousands under
/// the oldest tunables, takes some millions; this many take a fraction of a second.
pub const DRAWS_MAX: u32 = 1 << 24;

/// A weight of 1.
const WEIGHT_ONE: u32 = 0x1_0000;

/// The memory of a mapping, to be kept and used again.
#[derive(Debug)]
pub struct Workspace {
    /// What the present step begins with.
    items: Vec<i32>,
    /// What it chooses.
    chosen: Vec<i32>,
    /// The devices below that.
    leaves: Vec<i32>,
    result: Vec<i32>,
    draws_max: u32,
}

impl Default for Workspace {
    fn default() -> Workspace {
        Workspace::with_draws_max(DRAWS_MAX)
    }
}

impl Workspace {
    /// A workspace whose mappings give up after so many hashes.
    pub fn with_draws_max(draws_max: u32) -> Workspace {
        Workspace { items: Vec::new(), chosen: Vec::new(), leaves: Vec::new(), result: Vec::new(), draws_max }
    }
}

/// What the steps of a rule have set.
struct Tries {
    choose: u32,
    leaf: Option<u32>,
    local: u32,
    local_fallback: u32,
    vary_r: u32,
    stable: bool,
}

impl Tries {
    fn of(tunables: &Tunables) -> Tries {
        Tries {
            // What is called tries counts retries.
            choose: tunables.choose_total_tries.saturating_add(1),
            leaf: None,
            local: tunables.choose_local_tries,
            local_fallback: tunables.choose_local_fallback_tries,
            vary_r: tunables.chooseleaf_vary_r.into(),
            stable: tunables.chooseleaf_stable != 0,
        }
    }
}

impl CrushMap {
    /// The items that `rule` gives to the number `x`: `width` of them or fewer, with holes ([`ITEM_NONE`]) if its last
    /// choice keeps positions. `weights` are the OSDs' own (16.16; 0 is out), `pool` chooses among the choose args. A rule
    /// that does not exist gives nothing.
    ///
    /// [`ITEM_NONE`]: super::ITEM_NONE
    pub fn map<'w>(
        &self,
        rule: u32,
        x: u32,
        width: usize,
        weights: &[u32],
        pool: i64,
        workspace: &'w mut Workspace,
    ) -> Result<&'w [i32], MappingError> {
        workspace.result.clear();
        let Some(steps) = self.rule(rule) else { return Ok(&[]) };
        for list in [&mut workspace.items, &mut workspace.chosen, &mut workspace.leaves] {
            list.clear();
            list.resize(width, 0);
        }
        let choose_args = &self.parts().choose_args;
        let args = choose_args.get(&pool).or_else(|| choose_args.get(&DEFAULT_CHOOSE_ARGS));
        let mut walk = Walk { map: self, weights, x, args, rule, draws_left: workspace.draws_max };
        walk.steps(steps, width, workspace)?;
        Ok(&workspace.result)
    }
}

/// One mapping under way.
pub(super) struct Walk<'a> {
    map: &'a CrushMap,
    weights: &'a [u32],
    pub(super) x: u32,
    args: Option<&'a ChooseArgs>,
    rule: u32,
    draws_left: u32,
}

/// What one draw came to.
pub(super) enum Draw<'a> {
    /// An item of the wanted type.
    Item(i32),
    /// A bucket of another type, to go on in.
    Below(At<'a>),
    /// Nothing, this time.
    Nothing,
    /// A device where something else was wanted, or one that does not exist: no try will be better.
    Impossible,
}

impl<'a> Walk<'a> {
    fn steps(&mut self, rule: &Rule, width: usize, workspace: &mut Workspace) -> Result<(), MappingError> {
        let mut tries = Tries::of(&self.map.parts().tunables);
        // How many of `workspace.items` are in use.
        let mut have = 0;
        let set = |value: i32, least: i32, to: &mut u32| {
            if value >= least {
                *to = value.cast_unsigned();
            }
        };
        for step in &rule.steps {
            self.spend(1)?;
            match *step {
                Step::Noop => {}
                Step::Take(item) => {
                    let device = (0..self.map.max_devices()).contains(&item);
                    if width > 0 && (device || self.map.bucket(item).is_some()) {
                        workspace.items[0] = item;
                        have = 1;
                    }
                }
                Step::Choose { order, leaf, count, type_id } => {
                    if have > 0 {
                        have = self.choose(&tries, (order, leaf, count, type_id), have, workspace)?;
                    }
                }
                Step::Emit => {
                    let room = width - workspace.result.len();
                    workspace.result.extend_from_slice(&workspace.items[..have.min(room)]);
                    have = 0;
                }
                Step::SetChooseTries(n) => set(n, 1, &mut tries.choose),
                Step::SetChooseleafTries(n) if n > 0 => tries.leaf = Some(n.cast_unsigned()),
                Step::SetChooseleafTries(_) => {}
                Step::SetChooseLocalTries(n) => set(n, 0, &mut tries.local),
                Step::SetChooseLocalFallbackTries(n) => set(n, 0, &mut tries.local_fallback),
                Step::SetChooseleafVaryR(n) => set(n, 0, &mut tries.vary_r),
                Step::SetChooseleafStable(n) if n >= 0 => tries.stable = n != 0,
                Step::SetChooseleafStable(_) => {}
                Step::Unsupported { op, .. } => {
                    return Err(MappingError::UnsupportedStep { rule: self.rule, op });
                }
            }
        }
        Ok(())
    }

    /// A choose step: replaces the first `have` items by what is chosen below them, and returns how many that are.
    fn choose(
        &mut self,
        tries: &Tries,
        (order, leaf, count, type_id): (ChooseOrder, bool, i32, i32),
        have: usize,
        workspace: &mut Workspace,
    ) -> Result<usize, MappingError> {
        let Workspace { items, chosen, leaves, .. } = workspace;
        let width = i32::try_from(chosen.len()).unwrap_or(i32::MAX);
        let count = if count > 0 { count } else { count.saturating_add(width) };
        let mut found = 0;
        for &item in &items[..have] {
            self.spend(1)?;
            let Some(bucket) = self.map.bucket(item).filter(|_| count > 0) else { continue };
            let at = At { id: item, bucket };
            let (out, leaves) = (&mut chosen[found..], leaf.then_some(&mut leaves[found..]));
            found += match order {
                ChooseOrder::Firstn => {
                    let once = self.map.parts().tunables.chooseleaf_descend_once != 0;
                    let leaf_tries = tries.leaf.unwrap_or(if once { 1 } else { tries.choose });
                    let how = Firstn {
                        count,
                        type_id,
                        tries: tries.choose,
                        leaf_tries,
                        local_tries: tries.local,
                        local_fallback_tries: tries.local_fallback,
                        vary_r: tries.vary_r,
                        stable: tries.stable,
                    };
                    self.firstn(at, &how, out, leaves, 0, 0)?
                }
                ChooseOrder::Indep => {
                    let positions = out.len().min(count.cast_unsigned() as usize);
                    let leaf_tries = tries.leaf.unwrap_or(1);
                    let how = Indep { count, type_id, tries: tries.choose, leaf_tries };
                    self.indep(at, &how, out, leaves, 0..positions, 0)?;
                    positions
                }
            };
        }
        std::mem::swap(items, if leaf { leaves } else { chosen });
        Ok(found)
    }

    /// Draws from a bucket an item of a type, or the way to one.
    pub(super) fn draw(
        &mut self,
        at: At<'a>,
        r: u32,
        position: usize,
        type_id: i32,
        permuted: bool,
    ) -> Result<Draw<'a>, MappingError> {
        let cost = if permuted { at.permuted_cost(r) } else { at.cost(r) };
        self.spend(cost.saturating_add(1))?;
        if at.bucket.hash != 0 {
            return Err(MappingError::UnsupportedHash { bucket: at.id, hash: at.bucket.hash });
        }
        let item = if permuted {
            at.permuted(self.x, r)
        } else {
            at.draw(self.x, r, self.choose_arg(at.id), position)
        };
        let Some(item) = item else { return Ok(Draw::Nothing) };
        let below = self.at(item);
        let found = below.map_or(0, |below| i32::from(below.bucket.type_id));
        Ok(match below {
            _ if item >= self.map.max_devices() => Draw::Impossible,
            _ if found == type_id => Draw::Item(item),
            Some(below) => Draw::Below(below),
            None => Draw::Impossible,
        })
    }

    /// The bucket with that id; none for a device.
    #[inline]
    pub(super) fn at(&self, id: i32) -> Option<At<'a>> {
        self.map.bucket(id).map(|bucket| At { id, bucket })
    }

    fn choose_arg(&self, id: i32) -> Option<&'a ChooseArg> {
        self.args?.get(&u32::try_from(slot(id)?).ok()?)
    }

    /// Whether a device is passed over for `x`, because it is out or partly out.
    pub(super) fn is_out(&self, device: i32) -> bool {
        let weight = usize::try_from(device).ok().and_then(|device| self.weights.get(device));
        match weight {
            None | Some(0) => true,
            Some(&weight) => weight < WEIGHT_ONE && hash2(self.x, device.cast_unsigned()) & 0xffff >= weight,
        }
    }

    fn spend(&mut self, draws: u32) -> Result<(), MappingError> {
        match self.draws_left.checked_sub(draws) {
            Some(left) => self.draws_left = left,
            None => return Err(MappingError::TooMuchWork { rule: self.rule }),
        }
        Ok(())
    }
}
