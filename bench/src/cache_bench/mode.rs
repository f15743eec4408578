//! The cache modes, in QEMU's words, and the lanes that run side by side.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A cache mode as QEMU means it, and librbd's own default beside them.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// No cache; a write is acknowledged when the store acknowledges it.
    None,
    /// Reads are cached; a write is acknowledged when the store acknowledges it.
    Writethrough,
    /// Reads and writes are cached; a write is acknowledged by the cache.
    Writeback,
    /// A write is acknowledged when it is queued, and reads are not cached: what librbd does by default when
    /// its cache is on.
    Writearound,
    /// No cache, and a flush after each write.
    Directsync,
    /// As writeback, but a flush is ignored.
    Unsafe,
}

impl Mode {
    pub(crate) const ALL: [Mode; 6] =
        [Mode::None, Mode::Writethrough, Mode::Writeback, Mode::Writearound, Mode::Directsync, Mode::Unsafe];

    /// The name, as `--modes` and the plugin's `cache` option take it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Mode::None => "none",
            Mode::Writethrough => "writethrough",
            Mode::Writeback => "writeback",
            Mode::Writearound => "writearound",
            Mode::Directsync => "directsync",
            Mode::Unsafe => "unsafe",
        }
    }

    /// Whether a read that was read or written before is answered from the cache.
    pub(crate) const fn caches_reads(self) -> bool {
        matches!(self, Mode::Writethrough | Mode::Writeback | Mode::Unsafe)
    }

    /// Whether a flush promises anything.
    pub(crate) const fn honours_flush(self) -> bool {
        !matches!(self, Mode::Unsafe)
    }

    /// Whether a write is acknowledged before the store has it, so that there is something to drain.
    pub(crate) const fn acknowledges_early(self) -> bool {
        matches!(self, Mode::Writeback | Mode::Writearound | Mode::Unsafe)
    }
}

/// What one cell measures the job on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Lane {
    /// The image, through fio's plugin.
    Image(Mode),
    /// fio's own `io_uring` engine on a prefilled file of the same disk, O_DIRECT: what the disk gives a good
    /// program.
    IoUring,
    /// fio's `null` engine: what fio itself costs.
    Null,
}

impl Lane {
    /// The cache mode, of a lane on the image.
    pub(crate) const fn mode(self) -> Option<Mode> {
        match self {
            Lane::Image(mode) => Some(mode),
            Lane::IoUring | Lane::Null => None,
        }
    }

    /// Which colour and row the lane has in every table and plot.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Lane::Image(mode) => mode.name(),
            Lane::IoUring => "io_uring",
            Lane::Null => "null",
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Lane {
    type Err = String;

    fn from_str(name: &str) -> Result<Lane, String> {
        match name {
            "io_uring" => Ok(Lane::IoUring),
            "null" => Ok(Lane::Null),
            _ => Mode::ALL
                .into_iter()
                .find(|mode| mode.name() == name)
                .map(Lane::Image)
                .ok_or_else(|| format!("no lane is called `{name}`")),
        }
    }
}

impl Serialize for Lane {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Lane {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Lane, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lane_reads_back_from_its_name() {
        for lane in Mode::ALL.map(Lane::Image).into_iter().chain([Lane::IoUring, Lane::Null]) {
            assert_eq!(lane.name().parse::<Lane>(), Ok(lane));
        }
        assert!("warp".parse::<Lane>().is_err());
    }
}
