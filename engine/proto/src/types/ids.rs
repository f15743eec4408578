//! Numbers that must not be mixed up.

use crate::codec::{DecodeError, Decoder, Encoder};
use std::fmt;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($ty:ty) by $read:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $ty);

        impl $name {
            /// Reads one.
            pub fn decode(d: &mut Decoder<'_>) -> Result<$name, DecodeError> {
                d.$read().map($name)
            }

            /// Writes it.
            pub fn encode(self, e: &mut Encoder<'_>) {
                e.$read(self.0);
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}

ids! {
    /// The version of a map. 0 is before the first.
    Epoch(u32) by u32;
    /// A pool's number, which is never used again.
    PoolId(i64) by i64;
    /// An OSD's number.
    OsdId(i32) by i32;
    /// A transaction: what a request and its answer have in common.
    Tid(u64) by u64;
    /// A snapshot's number in its pool.
    SnapId(u64) by u64;
    /// What the monitors call a client instance, for as long as it lives.
    GlobalId(u64) by u64;
}

impl SnapId {
    /// The head: no snapshot.
    pub const HEAD: SnapId = SnapId(u64::MAX - 1);
    /// All snapshots of an object, where they are listed.
    pub const DIR: SnapId = SnapId(u64::MAX);
}

/// A version of an object or of a placement group's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Eversion {
    /// The map's epoch in which it was made.
    pub epoch: Epoch,
    /// The number.
    pub version: u64,
}

impl Eversion {
    /// Reads one.
    pub fn decode(d: &mut Decoder<'_>) -> Result<Eversion, DecodeError> {
        let version = d.u64()?;
        Ok(Eversion { version, epoch: Epoch::decode(d)? })
    }

    /// Writes it.
    pub fn encode(self, e: &mut Encoder<'_>) {
        e.u64(self.version).u32(self.epoch.0);
    }
}
