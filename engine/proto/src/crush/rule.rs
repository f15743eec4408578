//! Rules: how to walk the hierarchy.

/// How a choose step fills its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChooseOrder {
    /// As many as are found, in a row: for replicas, any of which will do.
    Firstn,
    /// Each position by itself, with holes: for the shards of an erasure code, which differ.
    Indep,
}

/// One step of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Noop,
    /// Begin at this item.
    Take(i32),
    /// Below each of the present items choose others.
    Choose {
        /// How the result is filled.
        order: ChooseOrder,
        /// Whether each chosen item is replaced by a device below it.
        leaf: bool,
        /// How many; 0 or less counts from the number of replicas.
        count: i32,
        /// Of which type; devices have 0.
        type_id: i32,
    },
    /// The present items are results.
    Emit,
    /// Try so often for each choice.
    SetChooseTries(i32),
    /// Try so often for the device below a chosen item.
    SetChooseleafTries(i32),
    /// Try so often in the same bucket after a collision.
    SetChooseLocalTries(i32),
    /// Try so many of a bucket's permutation after that.
    SetChooseLocalFallbackTries(i32),
    /// As [`Tunables::chooseleaf_vary_r`](super::Tunables::chooseleaf_vary_r).
    SetChooseleafVaryR(i32),
    /// As [`Tunables::chooseleaf_stable`](super::Tunables::chooseleaf_stable).
    SetChooseleafStable(i32),
    /// A step that is newer than this release.
    Unsupported {
        /// Its kind.
        op: u32,
        /// Its first argument.
        arg1: i32,
        /// Its second argument.
        arg2: i32,
    },
}

impl Step {
    /// The step that is written as these numbers.
    pub(super) fn from_numbers(op: u32, arg1: i32, arg2: i32) -> Step {
        let choose = |order, leaf| Step::Choose { order, leaf, count: arg1, type_id: arg2 };
        match op {
            0 => Step::Noop,
            1 => Step::Take(arg1),
            2 => choose(ChooseOrder::Firstn, false),
            3 => choose(ChooseOrder::Indep, false),
            4 => Step::Emit,
            6 => choose(ChooseOrder::Firstn, true),
            7 => choose(ChooseOrder::Indep, true),
            8 => Step::SetChooseTries(arg1),
            9 => Step::SetChooseleafTries(arg1),
            10 => Step::SetChooseLocalTries(arg1),
            11 => Step::SetChooseLocalFallbackTries(arg1),
            12 => Step::SetChooseleafVaryR(arg1),
            13 => Step::SetChooseleafStable(arg1),
            _ => Step::Unsupported { op, arg1, arg2 },
        }
    }

    /// The numbers that it is written as.
    pub(super) fn numbers(self) -> (u32, i32, i32) {
        match self {
            Step::Noop => (0, 0, 0),
            Step::Take(item) => (1, item, 0),
            Step::Choose { order: ChooseOrder::Firstn, leaf: false, count, type_id } => (2, count, type_id),
            Step::Choose { order: ChooseOrder::Indep, leaf: false, count, type_id } => (3, count, type_id),
            Step::Emit => (4, 0, 0),
            Step::Choose { order: ChooseOrder::Firstn, leaf: true, count, type_id } => (6, count, type_id),
            Step::Choose { order: ChooseOrder::Indep, leaf: true, count, type_id } => (7, count, type_id),
            Step::SetChooseTries(n) => (8, n, 0),
            Step::SetChooseleafTries(n) => (9, n, 0),
            Step::SetChooseLocalTries(n) => (10, n, 0),
            Step::SetChooseLocalFallbackTries(n) => (11, n, 0),
            Step::SetChooseleafVaryR(n) => (12, n, 0),
            Step::SetChooseleafStable(n) => (13, n, 0),
            Step::Unsupported { op, arg1, arg2 } => (op, arg1, arg2),
        }
    }
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What pools called it by before rules had ids. Equal to the id on every cluster of today.
    pub ruleset: u8,
    /// The type of the pools that it is for: 1 replicated, 3 erasure-coded.
    pub pool_type: u8,
    /// The fewest replicas that it is for.
    pub min_size: u8,
    /// The most.
    pub max_size: u8,
    /// What to do.
    pub steps: Vec<Step>,
}
