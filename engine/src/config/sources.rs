//! What settings are resolved from, captured as data: the environment, `CEPH_ARGS`, and what a front end was told.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use super::cache_mode::QemuCache;
use super::error::{ConfigError, ConfigErrorKind, Result};
use super::options::{OptionKind, claims_to_be_ours, find_option, normalize_key, option_hint};

/// Everything besides the image string and the configuration file that settings depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// The configuration file the command was given. An image string's `conf=` is stronger.
    pub conf: Option<PathBuf>,
    /// The cluster's name, for `$cluster`.
    pub cluster: Option<String>,
    /// The Ceph user, without `client.`. An image string's `id=` is stronger.
    pub id: Option<String>,
    /// Options the command was given, such as `--store DIR` as `ringbd_store`; weaker than the image string only.
    pub options: Vec<(String, String)>,
    /// The cache mode of QEMU, of a fio job or of a benchmark.
    pub qemu_cache: Option<QemuCache>,
    /// The environment.
    pub env: Env,
}

impl Sources {
    /// The sources of this process: its environment and nothing else.
    #[must_use]
    pub fn from_process() -> Self {
        Self { env: Env::from_process(), ..Self::default() }
    }

    /// The same sources with an option the command was given.
    #[must_use]
    pub fn with_option(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.push((key.into(), value.into()));
        self
    }

    /// The same sources with a cache mode.
    #[must_use]
    pub fn with_cache(mut self, mode: QemuCache) -> Self {
        self.qemu_cache = Some(mode);
        self
    }
}

/// The part of a process's environment that settings depend on. The default is an empty environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Env {
    /// `RINGBD_STORE`: the embedded store when nothing stronger names one.
    pub ringbd_store: Option<String>,
    /// `CEPH_CONF`: the configuration file.
    pub ceph_conf: Option<String>,
    /// `CEPH_ARGS`: options as on a command line.
    pub ceph_args: Option<String>,
    /// `CEPH_KEYRING`: the keyring.
    pub ceph_keyring: Option<String>,
    /// `HOME`.
    pub home: Option<String>,
    /// This machine's name up to the first dot.
    pub host: String,
    /// This process.
    pub pid: u32,
    /// A number that differs for each capture of one process, for `$cctid`.
    pub cctid: u64,
}

impl Env {
    /// Captures the environment of this process.
    #[must_use]
    pub fn from_process() -> Self {
        static CAPTURES: AtomicU64 = AtomicU64::new(1);
        let variable = |name: &str| {
            let value = std::env::var_os(name)?.to_string_lossy().into_owned();
            (!value.is_empty()).then_some(value)
        };
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let short_host = host.trim().split('.').next().unwrap_or_default();
        Self {
            ringbd_store: variable("RINGBD_STORE"),
            ceph_conf: variable("CEPH_CONF"),
            ceph_args: variable("CEPH_ARGS"),
            ceph_keyring: variable("CEPH_KEYRING"),
            home: variable("HOME"),
            host: if short_host.is_empty() { "localhost".to_owned() } else { short_host.to_owned() },
            pid: std::process::id(),
            cctid: CAPTURES.fetch_add(1, Ordering::Relaxed),
        }
    }
}

/// What `CEPH_ARGS` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CephArgs {
    pub(super) conf: Option<String>,
    pub(super) cluster: Option<String>,
    pub(super) id: Option<String>,
    pub(super) options: Vec<(String, String)>,
}

impl CephArgs {
    /// Parses `CEPH_ARGS` as Ceph's tools do: words between white space, `--key=value`, `--key value`, a boolean's
    /// `--key` and `--no-key`, and the short forms `-c`, `-n`, `-m`, `-k`, `-K`. Other words are someone else's.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut args = Self::default();
        let mut words = text.split_whitespace().peekable();
        while let Some(word) = words.next() {
            if word == "--" {
                break;
            }
            let (name, inline) = match word.split_once('=') {
                Some((name, value)) if word.starts_with("--") => (name, Some(value)),
                Some(_) | None => (word, None),
            };
            let Some(argument) = Argument::of(name)? else { continue };
            if let Argument::Flag(key, value) = &argument {
                let said = match inline {
                    Some(inline) => inline,
                    None => words.next_if(|next| matches!(*next, "true" | "false")).unwrap_or("true"),
                };
                let negated = *value == "false" && said == "true";
                args.options.push((key.clone(), if negated { "false" } else { said }.to_owned()));
                continue;
            }
            let value = inline.or_else(|| words.next()).ok_or_else(|| {
                mistake(ConfigErrorKind::Syntax, name, "it needs a value and is the last word", None)
            })?;
            args.set(argument, name, value)?;
        }
        Ok(args)
    }

    fn set(&mut self, argument: Argument, name: &str, value: &str) -> Result<()> {
        match argument {
            Argument::Conf => self.conf = Some(value.to_owned()),
            Argument::Cluster => self.cluster = Some(value.to_owned()),
            Argument::Id => self.id = Some(value.to_owned()),
            Argument::Name => match value.split_once('.') {
                Some(("client", id)) if !id.is_empty() => self.id = Some(id.to_owned()),
                Some(_) | None => {
                    let reason = format!("{value:?} is not the name of a client");
                    let hint = "write client.ID, such as client.admin".to_owned();
                    return Err(mistake(ConfigErrorKind::InvalidValue, name, reason, Some(hint)));
                }
            },
            Argument::Option(key) | Argument::Flag(key, _) => self.options.push((key, value.to_owned())),
        }
        Ok(())
    }
}

enum Argument {
    Conf,
    Cluster,
    Id,
    Name,
    Option(String),
    /// A boolean, and the value it has when none follows.
    Flag(String, &'static str),
}

impl Argument {
    /// What a word of `CEPH_ARGS` asks for; `None` for words that are no business of ours.
    fn of(name: &str) -> Result<Option<Self>> {
        let argument = match name {
            "-c" | "--conf" => Self::Conf,
            "--cluster" => Self::Cluster,
            "--id" | "--user" => Self::Id,
            "-n" | "--name" => Self::Name,
            "-m" => Self::Option("mon_host".to_owned()),
            "-k" => Self::Option("keyring".to_owned()),
            "-K" => Self::Option("keyfile".to_owned()),
            long => {
                let Some(long) = long.strip_prefix("--") else { return Ok(None) };
                return Self::option(&normalize_key(long));
            }
        };
        Ok(Some(argument))
    }

    fn option(key: &str) -> Result<Option<Self>> {
        if let Some(option) = find_option(key) {
            return Ok(Some(match option.kind {
                OptionKind::Bool { .. } => Self::Flag(key.to_owned(), "true"),
                _ => Self::Option(key.to_owned()),
            }));
        }
        if let Some(positive) = key.strip_prefix("no_")
            && find_option(positive).is_some_and(|option| matches!(option.kind, OptionKind::Bool { .. }))
        {
            return Ok(Some(Self::Flag(positive.to_owned(), "false")));
        }
        if claims_to_be_ours(key) {
            let hint = option_hint(key, &[]);
            return Err(mistake(ConfigErrorKind::UnknownOption, key, "there is no such option", hint));
        }
        tracing::debug!(option = key, "CEPH_ARGS has an option that is not for ringbd");
        Ok(None)
    }
}

fn mistake(
    kind: ConfigErrorKind,
    option: &str,
    reason: impl Into<String>,
    hint: Option<String>,
) -> ConfigError {
    ConfigError::new(kind, format!("option {option}"), "CEPH_ARGS", reason).maybe_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceph_args_take_both_forms_flags_and_short_names() {
        let args = CephArgs::parse(
            "-c /etc/x.conf --cluster=west --id alice -m 10.0.0.1 -k /k --rbd-cache-size=1M --rbd_cache_policy \
             writeback --no-rbd-cache --ringbd_store_dsync --rbd_clone_copy_on_read false stray --debug_rbd=20",
        )
        .unwrap();
        assert_eq!(args.conf.as_deref(), Some("/etc/x.conf"));
        assert_eq!((args.cluster.as_deref(), args.id.as_deref()), (Some("west"), Some("alice")));
        let options: Vec<_> =
            args.options.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(
            options,
            [
                ("mon_host", "10.0.0.1"),
                ("keyring", "/k"),
                ("rbd_cache_size", "1M"),
                ("rbd_cache_policy", "writeback"),
                ("rbd_cache", "false"),
                ("ringbd_store_dsync", "true"),
                ("rbd_clone_copy_on_read", "false"),
            ]
        );
        assert_eq!(CephArgs::parse("-n client.bob").unwrap().id.as_deref(), Some("bob"));
        assert_eq!(CephArgs::parse("-- --rbd_cach=1").unwrap(), CephArgs::default());
    }

    #[test]
    fn a_mistake_names_the_option_the_variable_and_what_was_meant() {
        for (text, expected) in [
            ("--rbd_cach=true", ["option rbd_cach (CEPH_ARGS)", "did you mean rbd_cache?"]),
            ("-n osd.0", ["option -n (CEPH_ARGS)", "write client.ID"]),
            ("--name admin", ["option --name (CEPH_ARGS)", "write client.ID"]),
            ("--conf", ["option --conf (CEPH_ARGS)", "last word"]),
        ] {
            let message = CephArgs::parse(text).unwrap_err().to_string();
            assert!(expected.iter().all(|part| message.contains(part)), "{text}: {message}");
        }
    }

    #[test]
    fn the_process_has_an_environment() {
        let (one, two) = (Env::from_process(), Env::from_process());
        assert!(!one.host.is_empty() && !one.host.contains('.'));
        assert_ne!(one.cctid, two.cctid);
    }
}
