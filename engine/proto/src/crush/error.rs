//! What is wrong with a CRUSH map, or with what a rule asks of it.

use thiserror::Error;

/// A CRUSH map that nothing can be mapped with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("CRUSH bucket {bucket}: {why}")]
pub struct CrushError {
    /// The bucket's id.
    pub bucket: i32,
    /// What is wrong with it.
    pub why: &'static str,
}

/// A mapping that cannot be computed. The map may be right; this release cannot follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MappingError {
    /// A rule has a step that is newer than this release.
    #[error("CRUSH rule {rule} has a step of kind {op}, which needs a newer ringbd")]
    UnsupportedStep {
        /// The rule's number.
        rule: u32,
        /// The step's kind.
        op: u32,
    },
    /// A bucket draws with a hash that is not known.
    #[error("CRUSH bucket {bucket} uses hash {hash}, which needs a newer ringbd")]
    UnsupportedHash {
        /// The bucket's id.
        bucket: i32,
        /// The hash's number.
        hash: u8,
    },
    /// The rule tries so often that it would take seconds: its tries are absurd, or the map is corrupt.
    #[error("CRUSH rule {rule} finds no end; look at the tries that it or the tunables ask for")]
    TooMuchWork {
        /// The rule's number.
        rule: u32,
    },
}
