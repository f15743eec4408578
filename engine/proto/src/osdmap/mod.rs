//! The OSD map: which pools and OSDs there are, in which state, and with it where every object is.
//!
//! An [`OsdMap`] is one epoch of it and never changes. The next one comes of it by an [`Incremental`]
//! ([`OsdMap::apply`]), or from the monitors as a whole ([`OsdMap::decode`]). Two epochs share all big parts that are
//! equal in both, so that an engine can publish each as a snapshot.
//!
//! Finding an object's OSDs is [`crate::hash::object_hash`] over its name, [`Pool::pg`], and [`OsdMap::place`].
//! [`Interval`] tells whether the way there changed between two epochs.
//!
//! Of the map's fields all are kept that a client acts on or shows. Encoding writes defaults for the others: it is for
//! models of a cluster.

mod apply;
mod blocklist;
mod flags;
mod full;
mod incremental;
mod incremental_codec;
mod interval;
mod map;
mod placement;
mod pool;
mod pool_codec;
mod wire;

pub use apply::ApplyError;
pub use blocklist::Blocklist;
pub use flags::{MapFlags, OsdState, PoolFlags, Release};
pub use incremental::Incremental;
pub use interval::Interval;
pub use map::{AFFINITY_DEFAULT, OSDS_MAX, OsdMap, WEIGHT_IN};
pub use placement::{OsdList, Osds, PgMapping, PlacementError};
pub use pool::{ForceResend, Peering, Pool, PoolKind, PoolSnap, stable_mod};
pub use wire::{ErasureCodeProfiles, PG_WIDTH_MAX, RemovedSnaps, SnapRange};
