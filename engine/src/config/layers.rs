//! Gathers what every source says into layers and lets the strongest win.

use std::io;
use std::path::{Path, PathBuf};

use super::conf_file::ConfFile;
use super::error::{ConfigError, ConfigErrorKind, Result};
use super::image_spec::{ImageSpec, SpecOption};
use super::metavariables::{Identity, expand};
use super::monitor_section::{MonitorSection, monitor_sections};
use super::options::{
    OptionDef, OptionValue, claims_to_be_ours, is_ceph_family, normalize_key, option_at, option_hint,
    options, position,
};
use super::origin::Origin;
use super::settings::Setting;
use super::sources::{CephArgs, Sources};

/// The options of an image string that are not Ceph's options but tell where to look for them.
const SPEC_KEYS: [&str; 2] = ["conf", "id"];

/// Where Ceph looks for a configuration when nobody names one, in order.
const DEFAULT_CONF_FILES: &str = "/etc/ceph/$cluster.conf,$home/.ceph/$cluster.conf,$cluster.conf";

type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<Vec<u8>>;

/// What all sources say.
#[derive(Clone)]
pub(super) struct Layers {
    pub(super) identity: Identity,
    pub(super) conf_path: Option<PathBuf>,
    pub(super) monitor_sections: Vec<MonitorSection>,
    /// The weakest: what the monitors say.
    monitors: Vec<Assignment>,
    /// What this machine's user and its files say, weakest first.
    assignments: Vec<Assignment>,
    /// The strongest: what pools and images say of themselves.
    metadata: Vec<Assignment>,
}

/// One source's word on one option.
#[derive(Clone)]
struct Assignment {
    position: usize,
    text: String,
    origin: Origin,
    /// The place for errors, finer than the origin where it can be.
    place: String,
}

/// The layers that are not this machine's.
#[derive(Clone, Copy)]
enum Foreign {
    Monitors,
    Metadata,
}

/// A configuration file that was asked for, and by whom.
struct ConfRequest {
    files: String,
    asked_by: Option<String>,
}

impl Layers {
    /// Collects every source, and reads the configuration file.
    pub(super) fn collect(spec: &ImageSpec, sources: &Sources, read: ReadFile<'_>) -> Result<Self> {
        let args = match &sources.env.ceph_args {
            Some(text) => CephArgs::parse(text)?,
            None => CephArgs::default(),
        };
        let request = conf_request(spec, sources, &args);
        let mut identity = identity(spec, sources, &args)?;
        let named_cluster = sources.cluster.clone().or_else(|| args.cluster.clone());
        identity.cluster = named_cluster.clone().unwrap_or_else(|| "ceph".to_owned());
        let conf = find_conf(&request, &identity, read)?;
        if let (None, Some(_), Some(conf)) = (&named_cluster, &request.asked_by, &conf) {
            identity.cluster = cluster_of(conf.path());
        }
        let mut layers = Self {
            identity,
            conf_path: conf.as_ref().map(|conf| conf.path().to_owned()),
            monitor_sections: Vec::new(),
            monitors: Vec::new(),
            assignments: Vec::new(),
            metadata: Vec::new(),
        };
        if let Some(dir) = &sources.env.ringbd_store {
            layers.assign("ringbd_store", dir, Origin::Env("RINGBD_STORE"));
        }
        if let Some(mode) = sources.qemu_cache {
            for (key, value) in mode.options() {
                layers.assign(key, value, Origin::Qemu(mode));
            }
        }
        if let Some(conf) = &conf {
            layers.add_conf(conf)?;
            layers.monitor_sections = monitor_sections(conf, &layers.identity);
        }
        if let Some(keyring) = &sources.env.ceph_keyring {
            layers.assign("keyring", keyring, Origin::Env("CEPH_KEYRING"));
        }
        for (key, value) in &args.options {
            layers.assign(key, value, Origin::CephArgs);
        }
        for (key, value) in &sources.options {
            layers.add_told(key, value, Origin::CommandLine, "the command line".to_owned())?;
        }
        for option in &spec.options {
            layers.add_spec_option(spec, option)?;
        }
        layers.name_host();
        Ok(layers)
    }

    /// One setting for each option, by place in the registry.
    pub(super) fn resolve(&self) -> Result<Vec<Setting>> {
        let mut settings: Vec<Setting> = options()
            .map(|option| Setting { value: option.default_value(), origin: Origin::Default })
            .collect();
        let mut places: Vec<&str> = vec!["the default"; settings.len()];
        for assignment in self.monitors.iter().chain(&self.assignments).chain(&self.metadata) {
            let option = option_at(assignment.position);
            match option.parse(&assignment.text) {
                Ok(value) => {
                    settings[assignment.position] = Setting { value, origin: assignment.origin.clone() };
                    places[assignment.position] = &assignment.place;
                }
                // Ceph too goes on after a wrong value in a file, and this one changes nothing here.
                Err(error) if !option.used && matches!(assignment.origin, Origin::ConfFile { .. }) => {
                    tracing::debug!("{} ({}) is left out: {}", option.name, assignment.place, error.reason);
                }
                Err(error) => {
                    let subject = format!("option {}", option.name);
                    let kind = ConfigErrorKind::InvalidValue;
                    return Err(ConfigError::new(kind, subject, &assignment.place, error.reason)
                        .maybe_hint(error.hint));
                }
            }
        }
        self.expand(&settings, &places)
    }

    /// Puts what the monitors say in place of what they said before. What cannot be used is left out: a cluster's
    /// configuration is for clients of all releases, and one wrong value in it must not keep them all away.
    pub(super) fn set_monitor_config<'a>(&mut self, config: impl IntoIterator<Item = (&'a str, &'a str)>) {
        self.monitors.clear();
        for (key, text) in config {
            let name = normalize_key(key);
            match position(&name) {
                Some(position) if option_at(position).takes_monitor_config() => {
                    self.admit(Foreign::Monitors, position, key, text, Origin::Monitors);
                }
                Some(_) => tracing::warn!("{name} cannot be set in {}; it is left out", Origin::Monitors),
                None => tracing::debug!("{name} of {} is not for ringbd", Origin::Monitors),
            }
        }
        self.verify(Foreign::Monitors);
    }

    /// Adds `conf_*` metadata of a pool or an image, stronger than all before. What cannot be used is left out, as in
    /// librbd, so that no metadata keeps an image from being opened.
    pub(super) fn add_metadata<'a>(
        &mut self,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
        origin: &Origin,
    ) {
        for (key, text) in pairs {
            let Some(name) = key.strip_prefix("conf_") else { continue };
            match position(name).filter(|_| name.starts_with("rbd_")) {
                Some(position) => self.admit(Foreign::Metadata, position, key, text, origin.clone()),
                None => tracing::warn!("{key} of {origin} is no option of images and is left out"),
            }
        }
        self.verify(Foreign::Metadata);
    }

    /// Takes a word that others wrote if it can be used.
    fn admit(&mut self, layer: Foreign, position: usize, key: &str, text: &str, origin: Origin) {
        let option = option_at(position);
        match option.parse(text) {
            Ok(_) => {}
            Err(error) if option.used => {
                tracing::warn!("{key} = {text:?} of {origin} is left out: {}", error.reason);
                return;
            }
            Err(error) => {
                tracing::debug!("{key} = {text:?} of {origin} is left out: {}", error.reason);
                return;
            }
        }
        let place = origin.to_string();
        self.layer(layer).push(Assignment { position, text: text.to_owned(), origin, place });
        // A text may refer to others and be referred to, so only the whole tells whether it can be used.
        if option.is_text()
            && let Err(error) = self.resolve()
        {
            tracing::warn!("{key} = {text:?} is left out: {error}");
            self.layer(layer).pop();
        }
    }

    /// Holds the whole against a layer that others wrote. Each word of it could be used by itself; if all together
    /// cannot, because a number made a text too long that refers to it, the layer goes.
    fn verify(&mut self, layer: Foreign) {
        if let Err(error) = self.resolve() {
            tracing::warn!("all of what others configured is left out: {error}");
            self.layer(layer).clear();
        }
    }

    fn layer(&mut self, layer: Foreign) -> &mut Vec<Assignment> {
        match layer {
            Foreign::Monitors => &mut self.monitors,
            Foreign::Metadata => &mut self.metadata,
        }
    }

    /// Expands the metavariables of every text.
    fn expand(&self, settings: &[Setting], places: &[&str]) -> Result<Vec<Setting>> {
        let lookup = |name: &str| position(name).map(|position| plain(&settings[position].value));
        let mut expanded = settings.to_vec();
        for ((option, setting), place) in options().zip(&mut expanded).zip(places) {
            let OptionValue::Text(text) = &mut setting.value else { continue };
            if !option.is_text() || !text.contains('$') {
                continue;
            }
            match expand(text, option.name, place, &self.identity, &lookup) {
                Ok(value) => *text = value,
                Err(error) if option.used => return Err(error),
                Err(error) => tracing::debug!("{error}"),
            }
        }
        Ok(expanded)
    }

    /// A word on an option that is known to exist.
    fn assign(&mut self, name: &str, text: &str, origin: Origin) {
        let position = position(name).expect("the caller names an option of the registry");
        let place = origin.to_string();
        self.assignments.push(Assignment { position, text: text.to_owned(), origin, place });
    }

    /// What the file says to this user: its own section, `[client]`, `[global]`.
    fn add_conf(&mut self, conf: &ConfFile) -> Result<()> {
        let own = self.identity.name();
        let sections = [own.as_str(), "client", "global"];
        for section in sections {
            for (key, entry) in conf.section(section) {
                if position(key).is_some() {
                    continue;
                }
                let place = format!("{}:{}", conf.path().display(), entry.line);
                if claims_to_be_ours(key) && !is_ceph_family(key) {
                    return Err(unknown(key, place, &[]));
                }
                tracing::debug!("{key} ({place}) is not for ringbd");
            }
        }
        for (position, OptionDef { name, .. }) in options().enumerate() {
            if let Some(entry) = conf.find(&sections, name) {
                let origin = Origin::ConfFile { path: conf.path().to_owned(), line: entry.line };
                let place = origin.to_string();
                self.assignments.push(Assignment { position, text: entry.value.clone(), origin, place });
            }
        }
        Ok(())
    }

    /// An option that somebody wrote for this very image: it must exist.
    fn add_told(&mut self, key: &str, text: &str, origin: Origin, place: String) -> Result<()> {
        let name = normalize_key(key);
        match position(&name) {
            Some(position) => {
                self.assignments.push(Assignment { position, text: text.to_owned(), origin, place });
                Ok(())
            }
            None if is_ceph_family(&name) => {
                tracing::debug!("{name} ({place}) is not for ringbd");
                Ok(())
            }
            None => Err(unknown(key, place, &SPEC_KEYS)),
        }
    }

    fn add_spec_option(&mut self, spec: &ImageSpec, option: &SpecOption) -> Result<()> {
        let SpecOption { key, value, column } = option;
        if SPEC_KEYS.contains(&normalize_key(key).as_str()) {
            return Ok(());
        }
        let place = match column {
            0 => "the image string".to_owned(),
            column => format!("column {column} of the image string of {}", spec.short()),
        };
        self.add_told(key, value, Origin::ImageString, place)
    }

    /// `$host` follows the option `host` where somebody set it.
    fn name_host(&mut self) {
        let host = position("host").expect("the registry has host");
        let said = self.assignments.iter().rev().find(|assignment| assignment.position == host);
        if let Some(said) = said.filter(|said| !said.text.is_empty()) {
            self.identity.host.clone_from(&said.text);
        }
    }
}

fn unknown(key: &str, place: String, also: &[&'static str]) -> ConfigError {
    let reason = "neither Ceph nor ringbd has such an option";
    ConfigError::new(ConfigErrorKind::UnknownOption, format!("option {key}"), place, reason)
        .maybe_hint(option_hint(&normalize_key(key), also))
}

/// A value as Ceph puts it in place of `$option`.
fn plain(value: &OptionValue) -> String {
    match value {
        OptionValue::Size(bytes) => bytes.to_string(),
        OptionValue::Duration(time) => time.as_secs_f64().to_string(),
        OptionValue::Bool(_) | OptionValue::Number(_) | OptionValue::Float(_) | OptionValue::Text(_) => {
            value.to_string()
        }
    }
}

fn identity(spec: &ImageSpec, sources: &Sources, args: &CephArgs) -> Result<Identity> {
    let (id, place) = match (spec.id(), &sources.id, &args.id) {
        (Some(id), _, _) => (id, "the image string"),
        (None, Some(id), _) => (id.as_str(), "the command line"),
        (None, None, Some(id)) => (id.as_str(), "CEPH_ARGS"),
        (None, None, None) => ("admin", "the default"),
    };
    if id.is_empty() {
        let error =
            ConfigError::new(ConfigErrorKind::InvalidValue, "option id", place, "the user's name is empty");
        return Err(error.hint("write the Ceph user without client., such as id=admin"));
    }
    let env = &sources.env;
    Ok(Identity {
        cluster: String::new(),
        id: id.to_owned(),
        host: env.host.clone(),
        pid: env.pid,
        cctid: env.cctid,
        home: env.home.clone().unwrap_or_default(),
    })
}

fn conf_request(spec: &ImageSpec, sources: &Sources, args: &CephArgs) -> ConfRequest {
    let asked =
        |files: &str, by: &str| ConfRequest { files: files.to_owned(), asked_by: Some(by.to_owned()) };
    if let Some(files) = spec.conf() {
        return asked(files, "conf= in the image string");
    }
    if let Some(file) = &sources.conf {
        return asked(&file.to_string_lossy(), "the command line");
    }
    if let Some(files) = &args.conf {
        return asked(files, "CEPH_ARGS");
    }
    if let Some(files) = &sources.env.ceph_conf {
        return asked(files, "CEPH_CONF");
    }
    ConfRequest { files: DEFAULT_CONF_FILES.to_owned(), asked_by: None }
}

/// Reads the first file that exists: what was written as one path, then as Ceph's kind of list, which is separated by
/// commas, semicolons or white space.
fn find_conf(request: &ConfRequest, identity: &Identity, read: ReadFile<'_>) -> Result<Option<ConfFile>> {
    let place = request.asked_by.as_deref().unwrap_or("a default place");
    let separators = |c: char| matches!(c, ',' | ';') || c.is_whitespace();
    let listed = request.files.split(separators).filter(|file| !file.is_empty());
    for file in [request.files.as_str()].into_iter().chain(listed) {
        if request.asked_by.is_none() && file.contains("$home") && identity.home.is_empty() {
            continue;
        }
        let path = PathBuf::from(expand(file, "conf", place, identity, &|_| None)?);
        match read(&path) {
            Ok(bytes) => return ConfFile::parse(&path, &bytes).map(Some),
            Err(error) if is_missing(&error) => {}
            Err(error) => {
                let subject = format!("configuration file {}", path.display());
                return Err(ConfigError::new(
                    ConfigErrorKind::UnreadableFile,
                    subject,
                    place,
                    error.to_string(),
                )
                .errno_of(&error)
                .hint("make it readable, or write conf=/dev/null in the image string to go without"));
            }
        }
    }
    let Some(asked_by) = &request.asked_by else { return Ok(None) };
    let subject = format!("configuration file {}", request.files.escape_debug());
    Err(ConfigError::new(ConfigErrorKind::MissingFile, subject, asked_by, "it does not exist")
        .hint("write the path of an existing file, or /dev/null to go without"))
}

/// Whether the error means that there is no such file. A list taken for one path can be too long for one.
fn is_missing(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | InvalidFilename)
}

/// The cluster a configuration file is for, by its name.
fn cluster_of(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match name.split_once(".conf") {
        Some((cluster, _)) if !cluster.is_empty() => cluster.to_owned(),
        Some(_) | None => "ceph".to_owned(),
    }
}
