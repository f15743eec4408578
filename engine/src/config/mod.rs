//! Configuration and names: Ceph configuration files, image strings, options, and the settings they resolve to.
//!
//! The way through: an [`ImageSpec`] is parsed from what the user wrote; [`Sources`] holds what else there is (the
//! environment, the command line, the cache mode); [`Settings::load`] reads the configuration file and resolves every
//! option of the registry to one value with its [`Origin`]; [`CacheSettings`] says which cache really runs.
//!
//! Everything here is pure but for the reading of the configuration file and [`Env::from_process`]. Whatever people
//! write is answered with a value or a [`ConfigError`] that names the option, the place and what was probably meant.

#![forbid(unsafe_code)]

mod cache_mode;
mod ceph_table;
mod conf_file;
mod core_list;
mod engine_table;
mod error;
mod image_spec;
mod layers;
mod metavariables;
mod monitor_section;
mod option_value;
mod options;
mod origin;
mod settings;
mod size;
mod sources;

pub use cache_mode::{CacheSettings, QemuCache, Readahead};
pub use conf_file::{CONF_FILE_BYTES_MAX, ConfEntry, ConfFile};
pub use error::{ConfigError, ConfigErrorKind, Result};
pub(crate) use error::{did_you_mean, near_matches};
pub use image_spec::{ImageSpec, SpecOption};
pub use metavariables::Identity;
pub use monitor_section::MonitorSection;
pub use option_value::FEATURES;
pub use options::{OptionDef, OptionKind, OptionValue, ValueError, find_option, normalize_key, options};
pub use origin::Origin;
pub use settings::{DiscardSettings, NewImageDefaults, Setting, Settings};
pub use size::{Bytes, SizeError, format_size, parse_size};
pub use sources::{Env, Sources};
