//! What an image can do, and what is wrong with it: sets of bits with the names that the `rbd` command shows.

use std::fmt;
use thiserror::Error;

/// The names of image features with their bits, in the order in which they are shown.
pub const FEATURES: [(&str, u64); 12] = [
    ("layering", 1 << 0),
    ("striping", 1 << 1),
    ("exclusive-lock", 1 << 2),
    ("object-map", 1 << 3),
    ("fast-diff", 1 << 4),
    ("deep-flatten", 1 << 5),
    ("journaling", 1 << 6),
    ("data-pool", 1 << 7),
    ("operations", 1 << 8),
    ("migrating", 1 << 9),
    ("non-primary", 1 << 10),
    ("dirty-cache", 1 << 11),
];

const OP_FEATURES: [(&str, u64); 4] =
    [("clone-parent", 1 << 0), ("clone-child", 1 << 1), ("group", 1 << 2), ("snap-trash", 1 << 3)];

const FLAGS: [(&str, u64); 2] = [("object map invalid", 1 << 0), ("fast diff invalid", 1 << 1)];

macro_rules! bits {
    ($($(#[$doc:meta])* $name:ident of $table:ident { $($(#[$bit_doc:meta])* $bit:ident = $value:expr;)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct $name(pub u64);

        impl $name {
            $($(#[$bit_doc])* pub const $bit: $name = $name($value);)*

            /// Whether all of `others` are in it.
            pub const fn contains(self, others: $name) -> bool {
                self.0 & others.0 == others.0
            }

            /// Together with `others`.
            #[must_use]
            pub const fn with(self, others: $name) -> $name {
                $name(self.0 | others.0)
            }

            /// Without `others`.
            #[must_use]
            pub const fn without(self, others: $name) -> $name {
                $name(self.0 & !others.0)
            }

            /// The names of those that have one.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                $table.iter().filter(move |(_, bit)| self.0 & bit != 0).map(|(name, _)| *name)
            }

            /// Those that nobody here has heard of.
            #[must_use]
            pub fn unknown(self) -> $name {
                $name(self.0 & !$table.iter().fold(0, |bits, (_, bit)| bits | bit))
            }
        }

        impl fmt::Display for $name {
            /// As the `rbd` command lists them; unknown bits are shown as a number.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut names: Vec<String> = self.names().map(str::to_owned).collect();
                let unknown = self.unknown();
                if unknown.0 != 0 {
                    names.push(format!("{:#x}", unknown.0));
                }
                f.write_str(&names.join(", "))
            }
        }
    )*};
}

bits! {
    /// What an image can do.
    Features of FEATURES {
        /// It can be the clone of a snapshot, and its snapshots can be cloned.
        LAYERING = 1 << 0;
        /// Its bytes go round several objects in small units.
        STRIPING = 1 << 1;
        /// Only the owner of a lock writes.
        EXCLUSIVE_LOCK = 1 << 2;
        /// A map tells which objects exist.
        OBJECT_MAP = 1 << 3;
        /// The map also tells what changed since the last snapshot.
        FAST_DIFF = 1 << 4;
        /// Flattening reaches its snapshots.
        DEEP_FLATTEN = 1 << 5;
        /// Every change goes to a journal first.
        JOURNALING = 1 << 6;
        /// Its data lies in another pool.
        DATA_POOL = 1 << 7;
        /// It takes part in something that older clients must not touch; see [`OpFeatures`].
        OPERATIONS = 1 << 8;
        /// It is being moved.
        MIGRATING = 1 << 9;
        /// It mirrors an image of another cluster.
        NON_PRIMARY = 1 << 10;
        /// A client's persistent cache has data that is not in the cluster.
        DIRTY_CACHE = 1 << 11;
    }

    /// What an image with [`Features::OPERATIONS`] takes part in.
    OpFeatures of OP_FEATURES {
        /// A snapshot of it has clones that are listed in its header.
        CLONE_PARENT = 1 << 0;
        /// It is such a clone.
        CLONE_CHILD = 1 << 1;
        /// It is in a group.
        GROUP = 1 << 2;
        /// It has removed snapshots that clones still need.
        SNAP_TRASH = 1 << 3;
    }

    /// What is wrong with an image.
    ImageFlags of FLAGS {
        /// The object map cannot be trusted.
        OBJECT_MAP_INVALID = 1 << 0;
        /// What it tells of changes cannot be trusted.
        FAST_DIFF_INVALID = 1 << 1;
    }
}

/// Why an image cannot be made with some features.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FeatureError {
    /// There are features that this release does not know.
    #[error("unknown features ({0})")]
    Unknown(Features),
    /// Features that follow from what happens to the image.
    #[error("{0} cannot be asked for: the image gets it when it needs it")]
    Internal(Features),
    /// A feature that needs another.
    #[error("{feature} needs {needs}")]
    Needs {
        /// The feature.
        feature: Features,
        /// What it needs.
        needs: Features,
    },
}

impl Features {
    /// Those that follow from how an image is made and used.
    const IMPLICIT: Features =
        Features::STRIPING.with(Features::DATA_POOL).with(Features::FAST_DIFF).with(Features::OPERATIONS);
    /// Those that nobody can ask for.
    const INTERNAL: Features = Features::OPERATIONS
        .with(Features::MIGRATING)
        .with(Features::NON_PRIMARY)
        .with(Features::DIRTY_CACHE);

    /// The feature with that name.
    pub fn named(name: &str) -> Option<Features> {
        FEATURES.iter().find(|(feature, _)| *feature == name).map(|&(_, bit)| Features(bit))
    }

    /// What a new image gets whose creator asked for these: those that follow from others are set or cleared, the rest must
    /// fit together.
    ///
    /// # Errors
    /// They do not.
    pub fn for_new_image(self, striped: bool, data_pool: bool) -> Result<Features, FeatureError> {
        let unknown = self.unknown();
        if unknown != Features(0) {
            return Err(FeatureError::Unknown(unknown));
        }
        let mut features = self.without(Features::IMPLICIT);
        let internal = Features(features.0 & Features::INTERNAL.0);
        if internal != Features(0) {
            return Err(FeatureError::Internal(internal));
        }
        if striped {
            features = features.with(Features::STRIPING);
        }
        if data_pool {
            features = features.with(Features::DATA_POOL);
        }
        for feature in [Features::OBJECT_MAP, Features::JOURNALING] {
            if features.contains(feature) && !features.contains(Features::EXCLUSIVE_LOCK) {
                return Err(FeatureError::Needs { feature, needs: Features::EXCLUSIVE_LOCK });
            }
        }
        if features.contains(Features::OBJECT_MAP) {
            features = features.with(Features::FAST_DIFF);
        }
        Ok(features)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_rbd_shows() {
        assert_eq!(
            Features(0x3d).to_string(),
            "layering, exclusive-lock, object-map, fast-diff, deep-flatten"
        );
        assert_eq!(Features(0x8000_0001).to_string(), "layering, 0x80000000");
        assert_eq!(ImageFlags(3).to_string(), "object map invalid, fast diff invalid");
        assert_eq!(OpFeatures(2).to_string(), "clone-child");
        assert_eq!(Features::named("object-map"), Some(Features::OBJECT_MAP));
        assert_eq!(Features::named("warp"), None);
    }

    #[test]
    fn what_a_new_image_gets() {
        let plain = Features::LAYERING.with(Features::EXCLUSIVE_LOCK).with(Features::OBJECT_MAP);
        assert_eq!(plain.for_new_image(false, false).unwrap(), plain.with(Features::FAST_DIFF));
        let all = plain.for_new_image(true, true).unwrap();
        assert!(all.contains(Features::STRIPING.with(Features::DATA_POOL)));
        assert_eq!(Features::STRIPING.for_new_image(false, false).unwrap(), Features(0), "it is not striped");
        let needs = Features::OBJECT_MAP.for_new_image(false, false).unwrap_err();
        assert_eq!(needs.to_string(), "object-map needs exclusive-lock");
        let journal = Features::JOURNALING.for_new_image(false, false).unwrap_err();
        assert_eq!(journal.to_string(), "journaling needs exclusive-lock");
        assert!(Features::MIGRATING.for_new_image(false, false).is_err());
        assert!(Features(1 << 40).for_new_image(false, false).is_err());
    }
}
