//! Where a value came from. Reports show it, because the same image runs differently under different configurations.

use std::fmt;
use std::path::PathBuf;

use super::cache_mode::QemuCache;

/// The place that decided a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Nobody said; the built-in default.
    Default,
    /// The monitors' configuration database, `ceph config set`.
    Monitors,
    /// An environment variable for this one option: `RINGBD_STORE` or `CEPH_KEYRING`.
    Env(&'static str),
    /// The cache mode, QEMU's word for it.
    Qemu(QemuCache),
    /// A line of the configuration file.
    ConfFile {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u32,
    },
    /// The environment variable `CEPH_ARGS`.
    CephArgs,
    /// An option of the command that was run.
    CommandLine,
    /// An option behind the image's name.
    ImageString,
    /// `conf_*` metadata of the pool.
    PoolMetadata,
    /// `conf_*` metadata of the image.
    ImageMetadata,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("the default"),
            Origin::Monitors => f.write_str("the monitors' configuration"),
            Origin::Env(name) => write!(f, "{name}"),
            Origin::Qemu(mode) => write!(f, "cache={mode}"),
            Origin::ConfFile { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::CephArgs => f.write_str("CEPH_ARGS"),
            Origin::CommandLine => f.write_str("the command line"),
            Origin::ImageString => f.write_str("the image string"),
            Origin::PoolMetadata => f.write_str("the pool's metadata"),
            Origin::ImageMetadata => f.write_str("the image's metadata"),
        }
    }
}
