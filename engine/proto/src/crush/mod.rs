//! CRUSH: the map from a number to a list of OSDs, as all clients and OSDs of a cluster compute it.
//!
//! A [`CrushMap`] is a checked hierarchy of buckets with rules to walk it. It comes from the cluster
//! ([`CrushMap::decode`]) or from [`CrushParts`]; either way it is checked once, so that a mapping always ends: the
//! hierarchy has no cycles and every child exists. What a rule may still ask for too much of is cut off by a budget
//! ([`DRAWS_MAX`]).
//!
//! [`CrushMap::map`] is the hot function. It allocates nothing once its [`Workspace`] has grown, and draws eight straws
//! at a time.

mod check;
mod choose;
mod decode;
mod encode;
mod error;
mod firstn;
mod indep;
mod ln;
mod map;
mod rule;
mod walk;

pub use error::{CrushError, MappingError};
pub use map::{
    Algorithm, Bucket, ChooseArg, ChooseArgs, CrushMap, CrushParts, DEFAULT_CHOOSE_ARGS, Tunables,
};
pub use rule::{ChooseOrder, Rule, Step};
pub use walk::{DRAWS_MAX, Workspace};

/// What stands in a result where no device could be found, in the modes that keep positions.
pub const ITEM_NONE: i32 = 0x7fff_ffff;
/// What stands in a result while it is being looked for.
const ITEM_UNDEFINED: i32 = 0x7fff_fffe;
