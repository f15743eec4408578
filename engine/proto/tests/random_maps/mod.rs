//! Random maps, each from a seed: CRUSH maps of all algorithms, OSD maps, and changes to them. They are valid, and stranger
//! than any that a cluster would have.

// Shared by tests that each use a part.
#![allow(clippy::unwrap_used, dead_code, unused_imports, unreachable_pub)]

mod crush;
mod osd;

pub use crush::crush_map;
pub use osd::{empty_with_crush, incremental, osd_map, pool};

use fastrand::Rng;

/// One of some.
pub fn one_of<T: Clone>(random: &mut Rng, of: &[T]) -> T {
    random.choice(of).unwrap().clone()
}
