//! Flags of messages to OSDs, and of the single operations in them.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

macro_rules! flags {
    ($(#[$doc:meta])* $ty:ident { $($(#[$flag_doc:meta])* $name:ident = $bit:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
        pub struct $ty(u32);

        impl $ty {
            /// No flag.
            pub const NONE: $ty = $ty(0);
            $($(#[$flag_doc])* pub const $name: $ty = $ty($bit);)*

            /// All bits as they travel; those that this release does not know are kept.
            pub const fn from_bits(bits: u32) -> $ty {
                $ty(bits)
            }

            /// The bits as they travel.
            pub const fn bits(self) -> u32 {
                self.0
            }

            /// Both.
            pub const fn with(self, other: $ty) -> $ty {
                $ty(self.0 | other.0)
            }

            /// These without `other`.
            pub const fn without(self, other: $ty) -> $ty {
                $ty(self.0 & !other.0)
            }

            /// Whether all of `other` are set.
            pub const fn contains(self, other: $ty) -> bool {
                self.0 & other.0 == other.0
            }
        }

        impl BitOr for $ty {
            type Output = $ty;

            fn bitor(self, other: $ty) -> $ty {
                self.with(other)
            }
        }

        impl BitOrAssign for $ty {
            fn bitor_assign(&mut self, other: $ty) {
                *self = self.with(other);
            }
        }

        impl fmt::Debug for $ty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut left = self.0;
                let mut between = "";
                $(
                    if left & $bit != 0 {
                        write!(f, "{between}{}", stringify!($name))?;
                        between = "|";
                        left &= !$bit;
                    }
                )*
                match (left, between) {
                    (0, "") => f.write_str("NONE"),
                    (0, _) => Ok(()),
                    (left, between) => write!(f, "{between}{left:#x}"),
                }
            }
        }
    };
}

flags! {
    /// Flags of a message to an OSD.
    OsdFlags {
        /// Answer when it is durable on all replicas. The only way there still is; always set.
        ONDISK = 0x4;
        /// It was sent before.
        RETRY = 0x8;
        /// The operation list reads.
        READ = 0x10;
        /// The operation list writes.
        WRITE = 0x20;
        /// Fail with EOLDSNAPC when the snapshot context is older than the object's.
        ORDERSNAP = 0x40;
        /// Any replica may answer the read.
        BALANCE_READS = 0x100;
        /// It is about a placement group, not about an object.
        PGOP = 0x400;
        /// The nearest replica may answer the read.
        LOCALIZE_READS = 0x2000;
        /// The read keeps its order among the writes.
        RWORDERED = 0x4000;
        /// Leave a cache tier out.
        IGNORE_CACHE = 0x8000;
        /// Do not follow a pool's overlay.
        IGNORE_OVERLAY = 0x2_0000;
        /// The target is where a redirect pointed to.
        REDIRECTED = 0x20_0000;
        /// The bit above can be trusted; always set.
        KNOWN_REDIR = 0x40_0000;
        /// Try although the cluster or the pool is full: what it does frees space, or is tiny.
        FULL_TRY = 0x80_0000;
        /// Do it although the cluster or the pool is full.
        FULL_FORCE = 0x100_0000;
        /// Do not answer with a redirect.
        IGNORE_REDIRECT = 0x200_0000;
        /// Return the operations' results and data of a write too.
        RETURNVEC = 0x400_0000;
        /// A pool whose I/O fails at once is understood.
        SUPPORTSPOOLEIO = 0x800_0000;
    }
}

impl OsdFlags {
    /// What every message of a present client carries.
    pub const ALWAYS: OsdFlags = OsdFlags::ONDISK.with(OsdFlags::KNOWN_REDIR);
    /// What is set when a target comes from a redirect.
    pub const OF_REDIRECT: OsdFlags =
        OsdFlags::REDIRECTED.with(OsdFlags::IGNORE_CACHE).with(OsdFlags::IGNORE_OVERLAY);
    /// What allows a replica other than the primary to answer.
    pub const ANY_REPLICA: OsdFlags = OsdFlags::BALANCE_READS.with(OsdFlags::LOCALIZE_READS);
}

flags! {
    /// Flags of a single operation.
    OpFlags {
        /// Creation fails if the object exists.
        EXCL = 0x1;
        /// The list goes on if this one fails.
        FAILOK = 0x2;
        /// Access is random.
        FADVISE_RANDOM = 0x4;
        /// Access is sequential.
        FADVISE_SEQUENTIAL = 0x8;
        /// The data will be wanted soon.
        FADVISE_WILLNEED = 0x10;
        /// The data will not be wanted soon.
        FADVISE_DONTNEED = 0x20;
        /// The data is wanted once.
        FADVISE_NOCACHE = 0x40;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_say_their_names_and_keep_what_they_do_not_know() {
        let flags = OsdFlags::ALWAYS | OsdFlags::WRITE;
        assert_eq!(format!("{flags:?}"), "ONDISK|WRITE|KNOWN_REDIR");
        assert_eq!(format!("{:?}", OsdFlags::from_bits(0x8000_0010)), "READ|0x80000000");
        assert_eq!(format!("{:?}", OpFlags::NONE), "NONE");
        assert!(flags.contains(OsdFlags::ONDISK) && !flags.contains(OsdFlags::READ | OsdFlags::WRITE));
        assert_eq!(flags.without(OsdFlags::ONDISK).bits(), 0x40_0020);
    }
}
