//! Sets of flags, and the releases that maps speak of.

use std::fmt;
use std::ops::BitOr;

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident($ty:ty), $between:literal {
        $($(#[$flag_doc:meta])* $flag:ident = $bit:literal, $word:literal;)*
    })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name(pub $ty);

        impl $name {
            $($(#[$flag_doc])* pub const $flag: $name = $name(1 << $bit);)*

            /// Those that have a word, in the order in which Ceph prints them.
            const WORDS: &'static [($name, &'static str)] = &[$(($name::$flag, $word)),*];

            /// Whether one of `flags` is set.
            pub const fn has(self, flags: $name) -> bool {
                self.0 & flags.0 != 0
            }

            /// These and `flags`.
            #[must_use]
            pub const fn with(self, flags: $name) -> $name {
                $name(self.0 | flags.0)
            }

            /// These without `flags`.
            #[must_use]
            pub const fn without(self, flags: $name) -> $name {
                $name(self.0 & !flags.0)
            }
        }

        impl BitOr for $name {
            type Output = $name;

            fn bitor(self, other: $name) -> $name {
                self.with(other)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let set = $name::WORDS.iter().filter(|(flag, _)| self.has(*flag));
                for (n, (_, word)) in set.enumerate() {
                    write!(f, "{}{word}", if n > 0 { $between } else { "" })?;
                }
                Ok(())
            }
        }
    )*};
}

flags! {
    /// What is set for the whole cluster.
    MapFlags(u32), "," {
        /// Reads wait.
        PAUSE_READS = 2, "pauserd";
        /// Writes wait.
        PAUSE_WRITES = 3, "pausewr";
        /// Recovery waits.
        PAUSE_RECOVERY = 4, "pauserec";
        /// OSDs cannot come up.
        NO_UP = 5, "noup";
        /// OSDs cannot be marked down.
        NO_DOWN = 6, "nodown";
        /// OSDs are not marked out by themselves.
        NO_OUT = 7, "noout";
        /// OSDs are not marked in by themselves.
        NO_IN = 8, "noin";
        /// No backfill.
        NO_BACKFILL = 9, "nobackfill";
        /// No rebalancing.
        NO_REBALANCE = 14, "norebalance";
        /// No recovery.
        NO_RECOVER = 10, "norecover";
        /// No scrubs.
        NO_SCRUB = 11, "noscrub";
        /// No deep scrubs.
        NO_DEEP_SCRUB = 12, "nodeep-scrub";
        /// No cache tiering.
        NO_TIER_AGENT = 13, "notieragent";
        /// Removed snapshots are not trimmed.
        NO_SNAP_TRIM = 21, "nosnaptrim";
        /// Objects are sorted by their hash with its bits reversed.
        SORT_BITWISE = 15, "sortbitwise";
        /// A requirement of old releases.
        REQUIRE_JEWEL = 16, "require_jewel_osds";
        /// A requirement of old releases.
        REQUIRE_KRAKEN = 17, "require_kraken_osds";
        /// A requirement of old releases.
        REQUIRE_LUMINOUS = 18, "require_luminous_osds";
        /// Deletions are recovered like writes.
        RECOVERY_DELETES = 19, "recovery_deletes";
        /// No object has a directory of snapshots any more.
        PURGED_SNAPDIRS = 20, "purged_snapdirs";
        /// The log of a placement group has a limit.
        PGLOG_HARDLIMIT = 22, "pglog_hardlimit";
    }

    /// What is known of one OSD.
    OsdState(u32), "," {
        /// It exists.
        EXISTS = 0, "exists";
        /// It is up.
        UP = 1, "up";
        /// It was marked out by itself.
        AUTO_OUT = 2, "autoout";
        /// It was never in.
        NEW = 3, "new";
        /// It is full.
        FULL = 4, "full";
        /// It will be full soon.
        NEAR_FULL = 5, "nearfull";
        /// It is too full for backfill.
        BACKFILL_FULL = 6, "backfillfull";
        /// It was destroyed, and its number waits for another.
        DESTROYED = 7, "destroyed";
        /// It cannot come up.
        NO_UP = 8, "noup";
        /// It cannot be marked down.
        NO_DOWN = 9, "nodown";
        /// It is not marked in by itself.
        NO_IN = 10, "noin";
        /// It is not marked out by itself.
        NO_OUT = 11, "noout";
        /// It was stopped on purpose.
        STOP = 12, "stop";
    }

    /// What is set for one pool.
    PoolFlags(u64), "," {
        /// The pool's number takes part in the hash that places its placement groups.
        HASH_PS_POOL = 0, "hashpspool";
        /// The pool takes no writes.
        FULL = 1, "full";
        /// An erasure-coded pool whose objects can be overwritten.
        EC_OVERWRITES = 2, "ec_overwrites";
        /// Clones may be missing, as in a cache tier.
        INCOMPLETE_CLONES = 3, "incomplete_clones";
        /// It cannot be removed.
        NO_DELETE = 4, "nodelete";
        /// Its number of placement groups is fixed.
        NO_PG_CHANGE = 5, "nopgchange";
        /// Its size is fixed.
        NO_SIZE_CHANGE = 6, "nosizechange";
        /// What is written will not be read soon.
        WRITE_DONT_NEED = 7, "write_fadvise_dontneed";
        /// No scrubs.
        NO_SCRUB = 8, "noscrub";
        /// No deep scrubs.
        NO_DEEP_SCRUB = 9, "nodeep-scrub";
        /// It is full because of its quota.
        FULL_QUOTA = 10, "full_quota";
        /// It will be full soon.
        NEAR_FULL = 11, "nearfull";
        /// It is too full for backfill.
        BACKFILL_FULL = 12, "backfillfull";
        /// Its clients number their snapshots themselves, as images do.
        SELFMANAGED_SNAPS = 13, "selfmanaged_snaps";
        /// It has snapshots of the whole pool, so that images cannot have any.
        POOL_SNAPS = 14, "pool_snaps";
        /// Its placement groups are being made.
        CREATING = 15, "creating";
        /// Every operation on it fails.
        EIO = 16, "eio";
        /// It is expected to be large.
        BULK = 17, "bulk";
    }
}

impl MapFlags {
    /// The cluster takes no writes. Clusters since Mimic say this of each pool instead.
    pub const FULL: MapFlags = MapFlags(1 << 1);
    /// The cluster will soon take no writes.
    pub const NEAR_FULL: MapFlags = MapFlags(1);
}

/// A release of Ceph, by its letter's number; 0 is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release(pub u8);

impl Release {
    /// Release 12.
    pub const LUMINOUS: Release = Release(12);
    /// Release 13.
    pub const MIMIC: Release = Release(13);
    /// Release 14.
    pub const NAUTILUS: Release = Release(14);
    /// Release 16.
    pub const PACIFIC: Release = Release(16);
    /// Release 17.
    pub const QUINCY: Release = Release(17);

    /// The release with that number, where a number beyond 127 says that there is none.
    pub(super) fn from_number(number: u8) -> Option<Release> {
        (number < 0x80).then_some(Release(number))
    }

    /// The map's flags with those that every cluster has which requires OSDs of this release.
    pub(super) fn implied(self, flags: MapFlags) -> MapFlags {
        let mut flags = flags;
        if self >= Release::LUMINOUS {
            let legacy = MapFlags::REQUIRE_JEWEL | MapFlags::REQUIRE_KRAKEN | MapFlags::REQUIRE_LUMINOUS;
            flags = flags.without(legacy).with(MapFlags::RECOVERY_DELETES);
        }
        if self >= Release::NAUTILUS {
            flags = flags.with(MapFlags::PGLOG_HARDLIMIT);
        }
        flags
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 21] = [
            "unknown",
            "argonaut",
            "bobtail",
            "cuttlefish",
            "dumpling",
            "emperor",
            "firefly",
            "giant",
            "hammer",
            "infernalis",
            "jewel",
            "kraken",
            "luminous",
            "mimic",
            "nautilus",
            "octopus",
            "pacific",
            "quincy",
            "reef",
            "squid",
            "tentacle",
        ];
        match NAMES.get(usize::from(self.0)) {
            Some(name) => f.write_str(name),
            None => write!(f, "release {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_print_as_ceph_prints_them() {
        let flags = MapFlags::NO_REBALANCE | MapFlags::PAUSE_READS | MapFlags::NO_SCRUB | MapFlags::FULL;
        assert_eq!(flags.to_string(), "pauserd,norebalance,noscrub");
        assert_eq!(Release::PACIFIC.to_string(), "pacific");
        assert_eq!(Release(99).to_string(), "release 99");
    }
}
