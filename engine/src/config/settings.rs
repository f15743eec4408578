//! The settings of one image: every option resolved to one value, with the place that decided it.
//!
//! Strongest first: `conf_*` metadata of the image and of its pool (once it is open), the image string, the command
//! line, `CEPH_ARGS`, `CEPH_KEYRING`, the configuration file, the cache mode, `RINGBD_STORE`, the configuration that the
//! monitors keep (once they are reached), the default. So a client of Ceph 16 has it, too; only what QEMU says stands
//! higher there, above the file, and is lower here on purpose.

use std::fmt;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::cache_mode::{CacheOptions, CacheSettings, QemuCache, Readahead};
use super::conf_file::CONF_FILE_BYTES_MAX;
use super::core_list::parse_core_list;
use super::error::{ConfigError, ConfigErrorKind, Result};
use super::image_spec::ImageSpec;
use super::layers::Layers;
use super::metavariables::Identity;
use super::monitor_section::MonitorSection;
use super::options::{OptionDef, OptionValue, options, position};
use super::origin::Origin;
use super::sources::Sources;

/// Every option of one image, resolved.
#[derive(Clone)]
pub struct Settings {
    /// By place in the registry.
    pub(super) values: Vec<Setting>,
    /// What the values follow from, so that a layer can be added.
    layers: Arc<Layers>,
    pub(super) qemu_cache: Option<QemuCache>,
    cache: CacheSettings,
    core_list: Vec<usize>,
}

/// A value and who decided it.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The value; metavariables in texts are expanded.
    pub value: OptionValue,
    /// Where it came from.
    pub origin: Origin,
}

/// What new images get where their creator does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewImageDefaults {
    /// The object size as a power of two.
    pub order: u8,
    /// The features as a bit mask.
    pub features: u64,
    /// The stripe unit in bytes; 0: the object size.
    pub stripe_unit_bytes: u64,
    /// The objects a stripe goes over; 0: 1.
    pub stripe_count: u64,
    /// The pool of data objects; `None`: the image's own.
    pub data_pool: Option<String>,
}

/// What to do with discards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiscardSettings {
    /// Discards are cut to this alignment, and what is smaller is left out; 0: every byte counts.
    pub granularity_bytes: u64,
    /// Whether what is left of an object below the granularity is skipped.
    pub skip_partial: bool,
}

impl Settings {
    /// Resolves the settings of an image, reading the configuration file that is named or the default one.
    ///
    /// # Errors
    /// A wrong option, value, name or file: named, with its place and near matches.
    pub fn load(spec: &ImageSpec, sources: &Sources) -> Result<Self> {
        Self::load_with(spec, sources, &read_file)
    }

    /// As [`load`](Self::load), with the files read through `read`.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with(
        spec: &ImageSpec,
        sources: &Sources,
        read: &dyn Fn(&Path) -> io::Result<Vec<u8>>,
    ) -> Result<Self> {
        let layers = Layers::collect(spec, sources, read)?;
        Self::of(layers, sources.qemu_cache)
    }

    fn of(layers: Layers, qemu_cache: Option<QemuCache>) -> Result<Self> {
        let values = layers.resolve()?;
        let view = Values(&values);
        let core_list = view.core_list()?;
        let cache = CacheSettings::resolve(&view.cache_options(qemu_cache));
        for note in &cache.notes {
            tracing::warn!("{note}");
        }
        Ok(Self { values, layers: Arc::new(layers), qemu_cache, cache, core_list })
    }

    /// The same settings over the configuration that the monitors keep (`ceph config set`), as they send it: names and
    /// values. It is weaker than all but the defaults, and takes the place of what the monitors said before.
    ///
    /// What reaches the monitors in the first place (`mon_host`, `keyring`, `fsid` and so on) and ringbd's own options
    /// are not theirs to set. A value that cannot be is left out, with a warning.
    #[must_use]
    pub fn with_monitor_config<'a>(&self, config: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut layers = Layers::clone(&self.layers);
        layers.set_monitor_config(config);
        Self::of(layers, self.qemu_cache).expect("what cannot be resolved was left out")
    }

    /// The same settings under `conf_*` metadata: of the pool, then of the image, whose values win over all others.
    ///
    /// Metadata is written by others; as in librbd a value that cannot be is left out, with a warning, so that no
    /// metadata keeps an image from being opened.
    #[must_use]
    pub fn with_metadata<'a>(
        &self,
        pool: impl IntoIterator<Item = (&'a str, &'a str)>,
        image: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let mut layers = Layers::clone(&self.layers);
        layers.add_metadata(pool, &Origin::PoolMetadata);
        layers.add_metadata(image, &Origin::ImageMetadata);
        Self::of(layers, self.qemu_cache).expect("what cannot be resolved was left out")
    }

    /// The setting of an option; `None` if there is no such option.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Setting> {
        position(name).map(|position| &self.values[position])
    }

    /// Every option with its setting.
    pub fn iter(&self) -> impl Iterator<Item = (&'static OptionDef, &Setting)> {
        options().zip(&self.values)
    }

    /// The options that somebody set, with their settings: what a report shows.
    pub fn changed(&self) -> impl Iterator<Item = (&'static OptionDef, &Setting)> {
        self.iter().filter(|(_, setting)| setting.origin != Origin::Default)
    }

    /// One line for each option that somebody set, such as `rbd_cache_size = 64 MiB (from the image string)`.
    /// Secrets are not shown.
    pub fn report(&self) -> impl Iterator<Item = String> {
        self.changed().map(|(option, Setting { value, origin })| {
            let value = if option.is_secret() { "(hidden)".to_owned() } else { value.to_string() };
            format!("{} = {value} (from {origin})", option.name)
        })
    }

    /// Where an option's value came from.
    ///
    /// # Panics
    /// If there is no such option.
    #[must_use]
    pub fn origin(&self, name: &str) -> &Origin {
        &self.view().at(name).origin
    }

    /// The cache as it runs.
    #[must_use]
    pub fn cache(&self) -> &CacheSettings {
        &self.cache
    }

    /// The cache mode that was asked for.
    #[must_use]
    pub fn qemu_cache(&self) -> Option<QemuCache> {
        self.qemu_cache
    }

    /// Who asks, and of which cluster.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.layers.identity
    }

    /// The configuration file that was read, if any.
    #[must_use]
    pub fn conf_path(&self) -> Option<&Path> {
        self.layers.conf_path.as_deref()
    }

    /// The `[mon.NAME]` sections of the configuration file that name an address.
    #[must_use]
    pub fn monitor_sections(&self) -> &[MonitorSection] {
        &self.layers.monitor_sections
    }

    /// The directory of the embedded store; `None`: the image is in a Ceph cluster.
    #[must_use]
    pub fn store(&self) -> Option<&Path> {
        self.some_text("ringbd_store").map(Path::new)
    }

    /// Whether every write to the embedded store is durable when acknowledged.
    #[must_use]
    pub fn store_dsync(&self) -> bool {
        self.view().flag("ringbd_store_dsync")
    }

    /// The engine's threads; 0: one for each CPU. Who lists CPUs and does not say how many gets a thread for each.
    #[must_use]
    pub fn cores(&self) -> usize {
        let cores = usize::try_from(self.view().number("ringbd_cores")).expect("the registry's bound fits");
        let unsaid = cores == 0 || *self.origin("ringbd_cores") == Origin::Default;
        if unsaid && !self.core_list.is_empty() { self.core_list.len() } else { cores }
    }

    /// The CPUs the threads are pinned to, in order, no fewer than [`cores`](Self::cores); empty: any.
    #[must_use]
    pub fn core_list(&self) -> &[usize] {
        &self.core_list
    }

    /// How long a core polls before it sleeps.
    #[must_use]
    pub fn spin(&self) -> Duration {
        Duration::from_micros(self.view().number("ringbd_spin_us"))
    }

    /// The requests of one image that may be in flight.
    #[must_use]
    pub fn queue_depth_max(&self) -> usize {
        usize::try_from(self.view().number("ringbd_queue_depth_max")).expect("the registry's bound fits")
    }

    /// What to log; `None`: warnings.
    #[must_use]
    pub fn log(&self) -> Option<&str> {
        self.some_text("ringbd_log")
    }

    /// What new images get.
    #[must_use]
    pub fn new_image(&self) -> NewImageDefaults {
        let view = self.view();
        NewImageDefaults {
            order: u8::try_from(view.number("rbd_default_order")).expect("the registry's bound fits"),
            features: view.number("rbd_default_features"),
            stripe_unit_bytes: view.size("rbd_default_stripe_unit"),
            stripe_count: view.number("rbd_default_stripe_count"),
            data_pool: self.some_text("rbd_default_data_pool").map(str::to_owned),
        }
    }

    /// What to do with discards.
    #[must_use]
    pub fn discard(&self) -> DiscardSettings {
        let view = self.view();
        let skip_partial = view.flag("rbd_skip_partial_discard");
        let granularity = view.number("rbd_discard_granularity_bytes");
        DiscardSettings { granularity_bytes: if skip_partial { granularity } else { 0 }, skip_partial }
    }

    /// Operations in flight of a resize or removal.
    #[must_use]
    pub fn concurrent_management_ops(&self) -> usize {
        usize::try_from(self.view().number("rbd_concurrent_management_ops"))
            .expect("the registry's bound fits")
    }

    /// Whether reading a parent's object copies it into the clone.
    #[must_use]
    pub fn clone_copy_on_read(&self) -> bool {
        self.view().flag("rbd_clone_copy_on_read")
    }

    /// A text option that is set to something: `mon_host`, `keyring`, `log_file` and the like.
    ///
    /// # Panics
    /// If there is no such text option.
    #[must_use]
    pub fn some_text(&self, name: &str) -> Option<&str> {
        Some(self.view().text(name)).filter(|text| !text.is_empty())
    }

    /// A boolean option.
    ///
    /// # Panics
    /// If there is no such boolean option.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.view().flag(name)
    }

    /// A time option; `None` where 0 means never.
    ///
    /// # Panics
    /// If there is no such option of a time.
    #[must_use]
    pub fn limit(&self, name: &str) -> Option<Duration> {
        Some(self.view().duration(name)).filter(|limit| !limit.is_zero())
    }

    /// A time option.
    ///
    /// # Panics
    /// If there is no such option of a time.
    #[must_use]
    pub fn duration(&self, name: &str) -> Duration {
        self.view().duration(name)
    }

    /// A whole number.
    ///
    /// # Panics
    /// If there is no such option of a number.
    #[must_use]
    pub fn number(&self, name: &str) -> u64 {
        self.view().number(name)
    }

    /// A decimal number.
    ///
    /// # Panics
    /// If there is no such option of a decimal number.
    #[must_use]
    pub fn float(&self, name: &str) -> f64 {
        self.view().float(name)
    }

    /// A size in bytes.
    ///
    /// # Panics
    /// If there is no such option of a size.
    #[must_use]
    pub fn size(&self, name: &str) -> u64 {
        self.view().size(name)
    }

    fn view(&self) -> Values<'_> {
        Values(&self.values)
    }
}

impl fmt::Debug for Settings {
    /// What somebody set, without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.report()).finish()
    }
}

/// Typed views of values. An option or type that does not exist is a mistake in our code, so it panics.
struct Values<'a>(&'a [Setting]);

impl<'a> Values<'a> {
    fn at(&self, name: &str) -> &'a Setting {
        let position = position(name).unwrap_or_else(|| panic!("no option is called {name}"));
        &self.0[position]
    }

    fn flag(&self, name: &str) -> bool {
        match self.at(name).value {
            OptionValue::Bool(value) => value,
            ref other => panic!("{name} is no boolean but {other:?}"),
        }
    }

    fn number(&self, name: &str) -> u64 {
        match self.at(name).value {
            OptionValue::Number(value) => value,
            ref other => panic!("{name} is no number but {other:?}"),
        }
    }

    fn float(&self, name: &str) -> f64 {
        match self.at(name).value {
            OptionValue::Float(value) => value,
            ref other => panic!("{name} is no decimal number but {other:?}"),
        }
    }

    fn size(&self, name: &str) -> u64 {
        match self.at(name).value {
            OptionValue::Size(bytes) => bytes,
            ref other => panic!("{name} is no size but {other:?}"),
        }
    }

    fn duration(&self, name: &str) -> Duration {
        match self.at(name).value {
            OptionValue::Duration(value) => value,
            ref other => panic!("{name} is no time but {other:?}"),
        }
    }

    fn text(&self, name: &str) -> &'a str {
        match &self.at(name).value {
            OptionValue::Text(value) => value,
            other => panic!("{name} is no text but {other:?}"),
        }
    }

    fn core_list(&self) -> Result<Vec<usize>> {
        let list = self.at("ringbd_core_list");
        let wrong = |name: &str, origin: &Origin, reason: String| {
            let subject = format!("option {name}");
            ConfigError::new(ConfigErrorKind::InvalidValue, subject, origin.to_string(), reason)
                .hint("write CPU numbers and ranges, such as 0,2-3, one for each of ringbd_cores")
        };
        let cpus = parse_core_list(self.text("ringbd_core_list"))
            .map_err(|reason| wrong("ringbd_core_list", &list.origin, reason))?;
        let cores = self.number("ringbd_cores");
        if !cpus.is_empty() && cores > cpus.len() as u64 {
            let reason =
                format!("{cores} threads cannot each have a CPU of the {} in ringbd_core_list", cpus.len());
            return Err(wrong("ringbd_cores", &self.at("ringbd_cores").origin, reason));
        }
        Ok(cpus)
    }

    fn cache_options(&self, qemu: Option<QemuCache>) -> CacheOptions {
        let sized = |name| (self.size(name), self.at(name).origin.clone());
        CacheOptions {
            enabled: (self.flag("rbd_cache"), self.at("rbd_cache").origin.clone()),
            policy: (self.text("rbd_cache_policy").to_owned(), self.at("rbd_cache_policy").origin.clone()),
            writethrough_until_flush: self.flag("rbd_cache_writethrough_until_flush"),
            size_bytes: sized("rbd_cache_size"),
            max_dirty_bytes: sized("rbd_cache_max_dirty"),
            target_dirty_bytes: sized("rbd_cache_target_dirty"),
            max_dirty_age: self.duration("rbd_cache_max_dirty_age"),
            max_dirty_object: self.number("rbd_cache_max_dirty_object"),
            block_writes_upfront: self.flag("rbd_cache_block_writes_upfront"),
            readahead: Readahead {
                trigger_requests: self.number("rbd_readahead_trigger_requests"),
                max_bytes: self.size("rbd_readahead_max_bytes"),
                disable_after_bytes: self.size("rbd_readahead_disable_after_bytes"),
            },
            qemu,
        }
    }
}

/// Reads a configuration file, one byte past the limit at most, so that the parser sees that it is too long.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(CONF_FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
