//! The cache behaviour that really runs, resolved from options and the cache mode, and how to say it in one line.
//!
//! | cache mode | sets | and besides |
//! |---|---|---|
//! | `none` | `rbd_cache = false` | |
//! | `writeback` | `rbd_cache = true`, `rbd_cache_policy = writeback` | |
//! | `writearound` | `rbd_cache = true`, `rbd_cache_policy = writearound` | |
//! | `writethrough` | `rbd_cache = true`, `rbd_cache_max_dirty = 0` | a flush after every write |
//! | `directsync` | `rbd_cache = false` | a flush after every write |
//! | `unsafe` | as `writeback`, and `rbd_cache_writethrough_until_flush = false` | flushes are ignored |
//!
//! The mode is weaker than a configuration file and an image string. Two words say more than QEMU does: QEMU's own
//! `writeback` sets `rbd_cache = true` alone, and librbd then runs its default policy, which is *writearound*. Ours
//! means what it says; `writearound` is the word for what QEMU with librbd runs. And with `unsafe` no flush ever
//! reaches the cache, so a cache that waited for the first one would stay writethrough for ever.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::error::{ConfigError, ConfigErrorKind, did_you_mean, near_matches};
use super::origin::Origin;
use super::size::format_size;
use crate::cache::Policy;

/// A cache mode in QEMU's words, and our `writearound`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QemuCache {
    /// No client cache.
    None,
    /// A write is acknowledged when it is in the cache; reads are cached.
    Writeback,
    /// A write is acknowledged when it is stored; reads are cached; a flush follows every write.
    Writethrough,
    /// No client cache, and a flush follows every write.
    Directsync,
    /// As writeback, and flushes are ignored.
    Unsafe,
    /// A write is acknowledged when it is queued in the client; reads are not cached. librbd's default policy.
    Writearound,
}

impl QemuCache {
    /// Every mode.
    pub const ALL: [QemuCache; 6] =
        [Self::None, Self::Writeback, Self::Writethrough, Self::Directsync, Self::Unsafe, Self::Writearound];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Writeback => "writeback",
            Self::Writethrough => "writethrough",
            Self::Directsync => "directsync",
            Self::Unsafe => "unsafe",
            Self::Writearound => "writearound",
        }
    }

    /// The options it sets, weaker than anyone else who sets them.
    #[must_use]
    pub fn options(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::None | Self::Directsync => &[("rbd_cache", "false")],
            Self::Writeback => &[("rbd_cache", "true"), ("rbd_cache_policy", "writeback")],
            Self::Writearound => &[("rbd_cache", "true"), ("rbd_cache_policy", "writearound")],
            Self::Writethrough => &[("rbd_cache", "true"), ("rbd_cache_max_dirty", "0")],
            Self::Unsafe => &[
                ("rbd_cache", "true"),
                ("rbd_cache_policy", "writeback"),
                ("rbd_cache_writethrough_until_flush", "false"),
            ],
        }
    }

    /// Whether a flush follows every write.
    #[must_use]
    pub fn flushes_after_write(self) -> bool {
        match self {
            Self::Writethrough | Self::Directsync => true,
            Self::None | Self::Writeback | Self::Unsafe | Self::Writearound => false,
        }
    }

    /// Whether flushes are ignored.
    #[must_use]
    pub fn ignores_flushes(self) -> bool {
        self == Self::Unsafe
    }
}

impl FromStr for QemuCache {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text).ok_or_else(|| {
            let words = Self::ALL.map(Self::as_str);
            let reason = format!("{text:?} is none of {}", words.join(", "));
            ConfigError::new(ConfigErrorKind::InvalidValue, "cache mode", "", reason)
                .maybe_hint(did_you_mean(&near_matches(text, words)))
        })
    }
}

impl fmt::Display for QemuCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// When and how far to read ahead. Only caches that keep reads do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readahead {
    /// Sequential requests that start it; 0: never.
    pub trigger_requests: u64,
    /// The longest readahead in bytes; 0: none.
    pub max_bytes: u64,
    /// Bytes read after which it ends for good; 0: never.
    pub disable_after_bytes: u64,
}

impl Readahead {
    /// Whether there is any.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.trigger_requests > 0 && self.max_bytes > 0
    }
}

/// The cache of one image as it runs.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheSettings {
    /// What the cache does.
    pub mode: Policy,
    /// A flush follows every write.
    pub flush_after_write: bool,
    /// Flushes are acknowledged without being done.
    pub ignore_flush: bool,
    /// Behave as writethrough until the first flush. Only ever true where writes are acknowledged early.
    pub writethrough_until_flush: bool,
    /// Bytes of cache; 0 without one.
    pub size_bytes: u64,
    /// Bytes that may be acknowledged and not stored; 0 in `none` and `writethrough`. At most `size_bytes`.
    pub max_dirty_bytes: u64,
    /// Dirty bytes at which writeback starts. At most `max_dirty_bytes`.
    pub target_dirty_bytes: u64,
    /// How long data may stay dirty before writeback starts.
    pub max_dirty_age: Duration,
    /// Objects that may be dirty at once; 0: derived from the size.
    pub max_dirty_object: u64,
    /// At the dirty limit, hold back the submission of a write instead of its completion.
    pub block_writes_upfront: bool,
    /// Readahead.
    pub readahead: Readahead,
    /// The option that decided the mode, and who set it.
    pub decided_by: (&'static str, Origin),
    /// What was asked for and could not be, in sentences for people.
    pub notes: Vec<String>,
}

/// The options the behaviour follows from, before they are held against each other.
#[derive(Clone, Debug)]
pub(super) struct CacheOptions {
    pub(super) enabled: (bool, Origin),
    pub(super) policy: (String, Origin),
    pub(super) writethrough_until_flush: bool,
    pub(super) size_bytes: (u64, Origin),
    pub(super) max_dirty_bytes: (u64, Origin),
    pub(super) target_dirty_bytes: (u64, Origin),
    pub(super) max_dirty_age: Duration,
    pub(super) max_dirty_object: u64,
    pub(super) block_writes_upfront: bool,
    pub(super) readahead: Readahead,
    pub(super) qemu: Option<QemuCache>,
}

impl CacheSettings {
    /// Resolves what runs.
    ///
    /// librbd holds the sizes against each other nowhere: with `rbd_cache_max_dirty` above `rbd_cache_size` it lets
    /// dirty data outgrow the cache, and with `rbd_cache_target_dirty` above the limit it never starts early. Here the
    /// cache's size is a promise, so the larger value comes down to the smaller one and a note says so.
    pub(super) fn resolve(options: &CacheOptions) -> Self {
        let size = options.size_bytes.0;
        let max_dirty = options.max_dirty_bytes.0.min(size);
        let (mode, decided_by) = decide(options, max_dirty);
        let notes = if mode == Policy::None { Vec::new() } else { clamp_notes(options, max_dirty) };
        let early = mode.acknowledges_early();
        let cached = mode != Policy::None;
        let max_dirty_bytes = if early { max_dirty } else { 0 };
        let settings = Self {
            mode,
            flush_after_write: options.qemu.is_some_and(QemuCache::flushes_after_write),
            ignore_flush: options.qemu.is_some_and(QemuCache::ignores_flushes),
            writethrough_until_flush: early && options.writethrough_until_flush,
            size_bytes: if cached { size } else { 0 },
            max_dirty_bytes,
            target_dirty_bytes: options.target_dirty_bytes.0.min(max_dirty_bytes),
            max_dirty_age: options.max_dirty_age,
            max_dirty_object: options.max_dirty_object,
            block_writes_upfront: early && options.block_writes_upfront,
            readahead: if mode.keeps_clean() {
                options.readahead
            } else {
                Readahead { trigger_requests: 0, ..options.readahead }
            },
            decided_by,
            notes,
        };
        settings.check();
        settings
    }

    /// The relations that hold between the fields.
    fn check(&self) {
        assert!(self.target_dirty_bytes <= self.max_dirty_bytes);
        assert!(self.max_dirty_bytes <= self.size_bytes);
        assert!(self.mode.acknowledges_early() == (self.max_dirty_bytes > 0));
        assert!(self.mode.acknowledges_early() || !self.writethrough_until_flush);
        assert!(!(self.flush_after_write && self.ignore_flush));
    }
}

/// The mode, and the option that decided it.
fn decide(options: &CacheOptions, max_dirty: u64) -> (Policy, (&'static str, Origin)) {
    let (enabled, enabled_by) = &options.enabled;
    if !enabled {
        return (Policy::None, ("rbd_cache", enabled_by.clone()));
    }
    if max_dirty == 0 {
        let by = if options.max_dirty_bytes.0 == 0 {
            ("rbd_cache_max_dirty", options.max_dirty_bytes.1.clone())
        } else {
            ("rbd_cache_size", options.size_bytes.1.clone())
        };
        return (Policy::Writethrough, by);
    }
    let (policy, policy_by) = &options.policy;
    let mode = policy.parse().expect("the registry lets no other policy through");
    (mode, ("rbd_cache_policy", policy_by.clone()))
}

/// Notes on what had to come down. Defaults that come down because something else was set small need none.
fn clamp_notes(options: &CacheOptions, max_dirty: u64) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |name: &str, (asked, origin): &(u64, Origin), limit: u64, limit_name: &str| {
        if *asked > limit && *origin != Origin::Default {
            let (asked, limit) = (format_size(*asked), format_size(limit));
            notes.push(format!("{name} = {asked} ({origin}) comes down to {limit_name} = {limit}"));
        }
    };
    note("rbd_cache_max_dirty", &options.max_dirty_bytes, options.size_bytes.0, "rbd_cache_size");
    note("rbd_cache_target_dirty", &options.target_dirty_bytes, max_dirty, "rbd_cache_max_dirty");
    notes
}

/// `writeback (rbd_cache_policy from the image string; writethrough until first flush)`.
impl fmt::Display for CacheSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (option, origin) = &self.decided_by;
        write!(f, "{} ({option} from {origin}", self.mode)?;
        if self.writethrough_until_flush {
            write!(f, "; writethrough until first flush")?;
        }
        if self.flush_after_write {
            write!(f, "; flush after every write")?;
        }
        if self.ignore_flush {
            write!(f, "; flushes ignored")?;
        }
        write!(f, ")")
    }
}

#[cfg(test)]
#[path = "cache_mode_tests.rs"]
mod tests;
