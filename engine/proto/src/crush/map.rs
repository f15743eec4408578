//! The hierarchy.

use super::check::check;
use super::{CrushError, Rule};
use std::collections::BTreeMap;

/// The choose args that stand in for a pool which has none of its own.
pub const DEFAULT_CHOOSE_ARGS: i64 = -1;

/// How a bucket draws one of its items, with what that needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// All items weigh the same.
    Uniform {
        /// What each weighs.
        item_weight: u32,
    },
    /// Newest first, each against all that are older.
    List {
        /// What each item weighs.
        weights: Vec<u32>,
        /// What it and all before it weigh.
        sums: Vec<u32>,
    },
    /// Down a binary tree.
    Tree {
        /// The weight below each node; the items are the odd ones.
        nodes: Vec<u32>,
    },
    /// The longest straw, by lengths computed beforehand.
    Straw {
        /// What each item weighs.
        weights: Vec<u32>,
        /// The longest that its straw can be.
        straws: Vec<u32>,
    },
    /// The longest straw, by the logarithm of a random number.
    Straw2 {
        /// What each item weighs.
        weights: Vec<u32>,
    },
}

impl Algorithm {
    /// The number that it is written as.
    pub(super) fn number(&self) -> u8 {
        match self {
            Algorithm::Uniform { .. } => 1,
            Algorithm::List { .. } => 2,
            Algorithm::Tree { .. } => 3,
            Algorithm::Straw { .. } => 4,
            Algorithm::Straw2 { .. } => 5,
        }
    }
}

/// A node of the hierarchy. Its id is −1−slot, where the slot is its place among the buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// What it stands for (host, rack, root). Never 0, which is a device.
    pub type_id: u16,
    /// The hash it draws with: 0 is the only one there is.
    pub hash: u8,
    /// The weight of everything below, 16.16.
    pub weight: u32,
    /// Devices (from 0 up) and buckets (from −1 down).
    pub items: Vec<i32>,
    /// How it draws one of them.
    pub algorithm: Algorithm,
}

/// Numbers that change how all rules of a map search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunables {
    /// Tries in the same bucket after a collision.
    pub choose_local_tries: u32,
    /// Tries of a bucket's permutation after that.
    pub choose_local_fallback_tries: u32,
    /// Tries for each choice, less one.
    pub choose_total_tries: u32,
    /// Whether the search for a device below a chosen item gives up after one try (and another item is chosen).
    pub chooseleaf_descend_once: u32,
    /// Whether that search depends on the try before it; the value is how little.
    pub chooseleaf_vary_r: u8,
    /// How the lengths of straw buckets are computed. Nothing here does that.
    pub straw_calc_version: u8,
    /// Which algorithms the cluster lets new buckets use.
    pub allowed_bucket_algorithms: u32,
    /// Whether that search is the same for every replica, so that a lost host moves less.
    pub chooseleaf_stable: u8,
}

impl Tunables {
    /// What maps mean that are too old to say.
    pub const LEGACY: Tunables = Tunables {
        choose_local_tries: 2,
        choose_local_fallback_tries: 5,
        choose_total_tries: 19,
        chooseleaf_descend_once: 0,
        chooseleaf_vary_r: 0,
        straw_calc_version: 0,
        allowed_bucket_algorithms: 0x16,
        chooseleaf_stable: 0,
    };

    /// What clusters have used since Jewel.
    pub const JEWEL: Tunables = Tunables {
        choose_local_tries: 0,
        choose_local_fallback_tries: 0,
        choose_total_tries: 50,
        chooseleaf_descend_once: 1,
        chooseleaf_vary_r: 1,
        straw_calc_version: 1,
        allowed_bucket_algorithms: 0x36,
        chooseleaf_stable: 1,
    };
}

/// Other weights and ids for the draws in one straw2 bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChooseArg {
    /// The items' weights for each position of the result; the last list serves all further positions.
    pub weight_sets: Vec<Vec<u32>>,
    /// What to hash in place of the items.
    pub ids: Vec<i32>,
}

/// By slot, the buckets that draw with other weights or ids.
pub type ChooseArgs = BTreeMap<u32, ChooseArg>;

/// Everything that a CRUSH map says, not yet checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrushParts {
    /// The buckets by slot.
    pub buckets: Vec<Option<Bucket>>,
    /// The rules by number.
    pub rules: Vec<Option<Rule>>,
    /// What the types are called.
    pub type_names: BTreeMap<i32, String>,
    /// What buckets and devices are called.
    pub item_names: BTreeMap<i32, String>,
    /// What the rules are called.
    pub rule_names: BTreeMap<i32, String>,
    /// How all rules search.
    pub tunables: Tunables,
    /// The classes of devices.
    pub device_classes: BTreeMap<i32, i32>,
    /// What the classes are called.
    pub class_names: BTreeMap<i32, String>,
    /// For a bucket and a class the bucket that holds only its devices of that class.
    pub class_buckets: BTreeMap<i32, BTreeMap<i32, i32>>,
    /// Other weights and ids, by pool.
    pub choose_args: BTreeMap<i64, ChooseArgs>,
}

impl Default for CrushParts {
    fn default() -> CrushParts {
        CrushParts {
            buckets: Vec::new(),
            rules: Vec::new(),
            type_names: BTreeMap::new(),
            item_names: BTreeMap::new(),
            rule_names: BTreeMap::new(),
            tunables: Tunables::JEWEL,
            device_classes: BTreeMap::new(),
            class_names: BTreeMap::new(),
            class_buckets: BTreeMap::new(),
            choose_args: BTreeMap::new(),
        }
    }
}

/// A checked CRUSH map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrushMap {
    parts: CrushParts,
    max_devices: i32,
}

impl CrushMap {
    /// The map of these parts, if they make one.
    pub fn new(parts: CrushParts) -> Result<CrushMap, CrushError> {
        let max_devices = check(&parts)?;
        Ok(CrushMap { parts, max_devices })
    }

    /// What it says.
    pub fn parts(&self) -> &CrushParts {
        &self.parts
    }

    /// Its parts, to change and to make another map of.
    pub fn into_parts(self) -> CrushParts {
        self.parts
    }

    /// One more than the highest device.
    pub fn max_devices(&self) -> i32 {
        self.max_devices
    }

    /// The rule with that number.
    pub fn rule(&self, number: u32) -> Option<&Rule> {
        self.parts.rules.get(number as usize)?.as_ref()
    }

    /// The bucket with that id.
    pub(super) fn bucket(&self, id: i32) -> Option<&Bucket> {
        self.parts.buckets.get(slot(id)?)?.as_ref()
    }

    /// The number of the rule that a pool means which is `size` wide and names a `ruleset`: the first that fits.
    pub fn find_rule(&self, ruleset: u8, pool_type: u8, size: u8) -> Option<u32> {
        let fits = |rule: &Rule| {
            rule.ruleset == ruleset
                && rule.pool_type == pool_type
                && (rule.min_size..=rule.max_size).contains(&size)
        };
        let number = self.parts.rules.iter().position(|rule| rule.as_ref().is_some_and(fits))?;
        u32::try_from(number).ok()
    }

    /// The weight of a device: what the first bucket that holds it gives it; 16.16.
    pub fn device_weight(&self, device: i32) -> u32 {
        let holds = |bucket: &&Bucket| bucket.items.contains(&device);
        let weight = |bucket: &Bucket| {
            let at = bucket.items.iter().position(|&item| item == device)?;
            match &bucket.algorithm {
                Algorithm::Uniform { item_weight } => Some(*item_weight),
                Algorithm::List { weights, .. }
                | Algorithm::Straw { weights, .. }
                | Algorithm::Straw2 { weights } => weights.get(at).copied(),
                Algorithm::Tree { nodes } => nodes.get(2 * at + 1).copied(),
            }
        };
        self.parts.buckets.iter().flatten().find(holds).and_then(weight).unwrap_or(0)
    }
}

/// The slot of the bucket with that id; none if it is a device.
#[inline]
pub(super) fn slot(id: i32) -> Option<usize> {
    usize::try_from(-1 - i64::from(id)).ok()
}

/// The id of the bucket in that slot.
pub(super) fn bucket_id(slot: usize) -> i32 {
    // Checked where a map is made: there are fewer buckets than that.
    -1 - i32::try_from(slot).unwrap_or(i32::MAX - 1)
}
