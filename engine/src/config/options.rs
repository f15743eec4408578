//! The option registry: every option that ringbd knows, with its type, default, bounds and meaning.
//!
//! Names, defaults and the way values are written are Ceph's, so that one configuration serves librbd and ringbd.
//! Two of Ceph's habits surprise people and are kept: a *size* option counts `K` as 1024, while a plain *number*
//! option counts `K` as 1000; and a boolean is `true`, `false` or a number, never `yes`.
//!
//! The rows live in [`engine_table`](super::engine_table) (what ringbd acts on) and
//! [`ceph_table`](super::ceph_table) (what Ceph knows and ringbd accepts).

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use super::ceph_table::{CEPH_OPTIONS, CEPH_PREFIXES};
use super::engine_table::ENGINE_OPTIONS;
use super::error::{did_you_mean, near_matches};
use super::option_value;
use super::size::format_size;

/// What Ceph 16 never takes from the monitors, of the options that clients have.
const LOCAL_OPTIONS: [&str; 11] = [
    "fsid",
    "host",
    "key",
    "keyfile",
    "keyring",
    "lockdep",
    "mon_host",
    "mon_host_override",
    "mon_initial_members",
    "monmap",
    "no_config_file",
];

/// One option: its name, what it takes, what it means.
#[derive(Clone, Debug, PartialEq)]
pub struct OptionDef {
    /// The name, in Ceph's spelling with underscores.
    pub name: &'static str,
    /// The type, with its default and bounds.
    pub kind: OptionKind,
    /// What it does, in one line.
    pub doc: &'static str,
    /// Whether ringbd acts on it. The others are Ceph's, accepted so that a shared configuration loads.
    pub used: bool,
}

/// What an option takes, and what it is when nobody says.
#[derive(Clone, Debug, PartialEq)]
pub enum OptionKind {
    /// `true`, `false`, or a number where 0 is false.
    Bool {
        /// The built-in value.
        default: bool,
    },
    /// A whole number; `K`, `M`, `G`… count thousands.
    Number {
        /// The built-in value.
        default: u64,
        /// The smallest value allowed.
        min: u64,
        /// The largest value allowed.
        max: u64,
        /// Whether only powers of two are allowed.
        power_of_two: bool,
    },
    /// A number of bytes; `K`, `M`, `G`… count 1024s.
    Size {
        /// The built-in value.
        default: u64,
    },
    /// A decimal number.
    Float {
        /// The built-in value.
        default: f64,
    },
    /// A time in seconds with a fraction.
    Seconds {
        /// The built-in value.
        default: f64,
    },
    /// A time in whole seconds, or with units: `90`, `5m`, `1h 30m`.
    TimeSpan {
        /// The built-in value in seconds.
        default: u64,
    },
    /// One word of a list.
    Word {
        /// The built-in value.
        default: &'static str,
        /// The words allowed.
        words: &'static [&'static str],
    },
    /// Image features: a bit mask, or names separated by commas.
    Features {
        /// The built-in value as a bit mask.
        default: u64,
    },
    /// Any text; metavariables such as `$cluster` are expanded in it.
    Text {
        /// The built-in value.
        default: &'static str,
    },
}

/// A value of an option, parsed.
#[derive(Clone, Debug, PartialEq)]
pub enum OptionValue {
    /// Of a boolean.
    Bool(bool),
    /// Of a number, or a feature mask.
    Number(u64),
    /// Of a size, in bytes.
    Size(u64),
    /// Of a decimal number.
    Float(f64),
    /// Of a time.
    Duration(Duration),
    /// Of a text or one of a list of words.
    Text(String),
}

/// The values a wrong one could have meant, and why it is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueError {
    /// Why the value cannot be taken.
    pub reason: String,
    /// What could be written instead.
    pub hint: Option<String>,
}

/// Finds an option by its name in Ceph's spelling.
#[must_use]
pub fn find_option(name: &str) -> Option<&'static OptionDef> {
    position(name).map(option_at)
}

/// All options that ringbd knows: those it acts on first.
pub fn options() -> impl Iterator<Item = &'static OptionDef> {
    ENGINE_OPTIONS.iter().chain(CEPH_OPTIONS)
}

/// The spelling under which options are known: runs of white space are one underscore, and so is a dash.
///
/// Ceph folds white space everywhere and dashes on command lines; its documentation promises both for files.
#[must_use]
pub fn normalize_key(key: &str) -> String {
    let mut words = key.split_whitespace();
    let mut normal = words.next().unwrap_or_default().to_owned();
    for word in words {
        normal.push('_');
        normal.push_str(word);
    }
    normal.replace('-', "_")
}

/// The place of an option in the registry.
pub(super) fn position(name: &str) -> Option<usize> {
    static POSITIONS: LazyLock<HashMap<&'static str, usize>> =
        LazyLock::new(|| options().enumerate().map(|(position, option)| (option.name, position)).collect());
    POSITIONS.get(name).copied()
}

/// The option at a place that [`position`] gave.
pub(super) fn option_at(position: usize) -> &'static OptionDef {
    ENGINE_OPTIONS.get(position).unwrap_or_else(|| &CEPH_OPTIONS[position - ENGINE_OPTIONS.len()])
}

/// Whether a name belongs to a family that Ceph knows and ringbd has no rows for, such as `debug_*`.
pub(super) fn is_ceph_family(name: &str) -> bool {
    CEPH_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a name claims to be an RBD or ringbd option, so that not knowing it is a mistake.
pub(super) fn claims_to_be_ours(name: &str) -> bool {
    let folded = name.to_ascii_lowercase();
    ["rbd_", "ringbd_"].iter().any(|prefix| folded.starts_with(prefix))
}

/// The hint for an unknown option: what it may have been meant to be.
pub(super) fn option_hint(name: &str, also: &[&'static str]) -> Option<String> {
    let names = options().map(|option| option.name).chain(also.iter().copied());
    did_you_mean(&near_matches(name, names))
}

impl OptionDef {
    /// The value when nobody says.
    #[must_use]
    pub fn default_value(&self) -> OptionValue {
        match self.kind {
            OptionKind::Bool { default } => OptionValue::Bool(default),
            OptionKind::Number { default, .. } | OptionKind::Features { default } => {
                OptionValue::Number(default)
            }
            OptionKind::Size { default } => OptionValue::Size(default),
            OptionKind::Float { default } => OptionValue::Float(default),
            OptionKind::Seconds { default } => OptionValue::Duration(Duration::from_secs_f64(default)),
            OptionKind::TimeSpan { default } => OptionValue::Duration(Duration::from_secs(default)),
            OptionKind::Word { default, .. } | OptionKind::Text { default } => {
                OptionValue::Text(default.to_owned())
            }
        }
    }

    /// Parses a value as Ceph writes it, and holds it against the bounds.
    ///
    /// # Errors
    /// Says why the value cannot be taken and what could be.
    pub fn parse(&self, text: &str) -> Result<OptionValue, ValueError> {
        option_value::parse(&self.kind, text)
    }

    /// Whether the value is a secret that no report or log may show.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.name == "key"
    }

    /// Whether the monitors' configuration database may set it. It may not set what is needed to reach the monitors, nor
    /// what shapes this process: its threads and its own store.
    #[must_use]
    pub fn takes_monitor_config(&self) -> bool {
        !self.name.starts_with("ringbd_") && !LOCAL_OPTIONS.contains(&self.name)
    }

    /// Whether the value is a text in which metavariables are expanded.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.kind, OptionKind::Text { .. })
    }
}

impl fmt::Display for OptionValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OptionValue::Bool(value) => value.fmt(f),
            OptionValue::Number(value) => value.fmt(f),
            OptionValue::Size(bytes) => f.pad(&format_size(*bytes)),
            OptionValue::Float(value) => value.fmt(f),
            OptionValue::Duration(value) => f.pad(&format!("{} s", value.as_secs_f64())),
            OptionValue::Text(value) => value.fmt(f),
        }
    }
}

// Constructors for the tables, so that a row is one line.

pub(super) const fn flag(default: bool) -> OptionKind {
    OptionKind::Bool { default }
}

pub(super) const fn number(default: u64) -> OptionKind {
    OptionKind::Number { default, min: 0, max: u64::MAX, power_of_two: false }
}

pub(super) const fn number_in(default: u64, min: u64, max: u64) -> OptionKind {
    OptionKind::Number { default, min, max, power_of_two: false }
}

pub(super) const fn size(default: u64) -> OptionKind {
    OptionKind::Size { default }
}

pub(super) const fn float(default: f64) -> OptionKind {
    OptionKind::Float { default }
}

pub(super) const fn seconds(default: f64) -> OptionKind {
    OptionKind::Seconds { default }
}

pub(super) const fn time_span(default: u64) -> OptionKind {
    OptionKind::TimeSpan { default }
}

pub(super) const fn word(default: &'static str, words: &'static [&'static str]) -> OptionKind {
    OptionKind::Word { default, words }
}

pub(super) const fn text(default: &'static str) -> OptionKind {
    OptionKind::Text { default }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_unique_normal_and_documented() {
        let mut names = std::collections::HashSet::new();
        for option in options() {
            assert!(names.insert(option.name), "{} is listed twice", option.name);
            assert_eq!(normalize_key(option.name), option.name);
            assert!(!option.doc.is_empty(), "{}", option.name);
            assert_eq!(find_option(option.name), Some(option));
        }
        assert!(LOCAL_OPTIONS.iter().all(|name| names.contains(name)));
    }

    #[test]
    fn every_default_is_a_value_the_option_takes() {
        for option in options() {
            match option.default_value() {
                OptionValue::Size(bytes) => {
                    assert_eq!(option.parse(&bytes.to_string()), Ok(OptionValue::Size(bytes)));
                }
                OptionValue::Duration(time) => {
                    let text = time.as_secs_f64().to_string();
                    assert_eq!(option.parse(&text), Ok(OptionValue::Duration(time)), "{}", option.name);
                }
                value => assert_eq!(option.parse(&value.to_string()), Ok(value), "{}", option.name),
            }
        }
    }

    #[test]
    fn librbds_defaults_hold() {
        for (name, value) in [
            ("rbd_cache", OptionValue::Bool(true)),
            ("rbd_cache_policy", OptionValue::Text("writearound".to_owned())),
            ("rbd_cache_writethrough_until_flush", OptionValue::Bool(true)),
            ("rbd_cache_size", OptionValue::Size(32 << 20)),
            ("rbd_cache_max_dirty", OptionValue::Size(24 << 20)),
            ("rbd_cache_target_dirty", OptionValue::Size(16 << 20)),
            ("rbd_cache_max_dirty_age", OptionValue::Duration(Duration::from_secs(1))),
            ("rbd_cache_max_dirty_object", OptionValue::Number(0)),
            ("rbd_cache_block_writes_upfront", OptionValue::Bool(false)),
            ("rbd_readahead_trigger_requests", OptionValue::Number(10)),
            ("rbd_readahead_max_bytes", OptionValue::Size(512 << 10)),
            ("rbd_readahead_disable_after_bytes", OptionValue::Size(50 << 20)),
            ("rbd_default_order", OptionValue::Number(22)),
            ("rbd_default_features", OptionValue::Number(61)),
            ("rbd_discard_granularity_bytes", OptionValue::Number(64 << 10)),
            ("rbd_skip_partial_discard", OptionValue::Bool(true)),
        ] {
            assert_eq!(find_option(name).map(OptionDef::default_value), Some(value), "{name}");
        }
    }

    #[test]
    fn keys_fold_white_space_and_dashes_but_not_case() {
        assert_eq!(normalize_key("  rbd  cache\tsize "), "rbd_cache_size");
        assert_eq!(normalize_key("rbd-cache-size"), "rbd_cache_size");
        assert_eq!(normalize_key("RBD cache"), "RBD_cache");
        assert!(claims_to_be_ours("RBD_cache"));
        assert_eq!(option_hint("RBD_cache", &[]).as_deref(), Some("did you mean rbd_cache?"));
    }
}
