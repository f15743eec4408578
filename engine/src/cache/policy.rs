//! Which cache an image has.

use std::fmt;
use std::str::FromStr;

/// What the cache does; with librbd's names where librbd has one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Policy {
    /// No cache (`rbd_cache = false`).
    None,
    /// Reads are cached; a write is acknowledged when the store has it.
    Writethrough,
    /// Reads are cached; a write is acknowledged when the cache has it.
    Writeback,
    /// Reads are not cached; a write is acknowledged when the cache has it, and leaves it when the store has
    /// it.
    Writearound,
}

impl Policy {
    /// Are blocks kept when they are clean, and what was read?
    pub fn keeps_clean(self) -> bool {
        match self {
            Self::Writethrough | Self::Writeback => true,
            Self::None | Self::Writearound => false,
        }
    }

    /// Is a write acknowledged before the store has it?
    pub fn acknowledges_early(self) -> bool {
        match self {
            Self::Writeback | Self::Writearound => true,
            Self::None | Self::Writethrough => false,
        }
    }

    /// Its name in the configuration and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Writethrough => "writethrough",
            Self::Writeback => "writeback",
            Self::Writearound => "writearound",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A policy's name was not known.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("'{0}' is no cache policy: use none, writethrough, writeback or writearound")]
pub struct UnknownPolicy(String);

impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, UnknownPolicy> {
        [Self::None, Self::Writethrough, Self::Writeback, Self::Writearound]
            .into_iter()
            .find(|policy| policy.name() == name)
            .ok_or_else(|| UnknownPolicy(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_a_wrong_one_says_what_is_right() {
        assert_eq!("writearound".parse(), Ok(Policy::Writearound));
        let error = "writebehind".parse::<Policy>().expect_err("no such policy");
        assert!(error.to_string().contains("writeback"), "{error}");
    }
}
