//! What a job asks for: which image, where, through which cache, and how its thread waits.
//!
//! Built from the job's options and the name of a file; two files of a process that ask for the same thing share one
//! open image.

use std::ffi::CStr;

use crate::options::JobOptions;

/// An image and all that decides how it is opened. Equal targets are one open image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// `rbdname`, or the name of the file: `name`, `pool/name`, `rbd:…`.
    pub(crate) image: String,
    pub(crate) pool: Option<String>,
    pub(crate) namespace: Option<String>,
    pub(crate) snap: Option<String>,
    pub(crate) store: Option<String>,
    pub(crate) conf: Option<String>,
    pub(crate) cluster: Option<String>,
    /// The Ceph user without `client.`.
    pub(crate) client: Option<String>,
    pub(crate) cache: Option<Cache>,
    /// The engine's own cores: how many, or on which CPUs. Without them the jobs' threads are the cores.
    pub(crate) cores: Option<String>,
}

impl Target {
    /// What `options` ask for where `file` is the job's file; `file_given` says that the user named it.
    pub(crate) fn new(options: &JobOptions, file: &CStr, file_given: bool) -> Result<Target, String> {
        let image = match options.rbdname() {
            Some(name) => text("rbdname", name)?,
            None if file_given => text("filename", file)?,
            None => {
                return Err(
                    "the job names no image (give rbdname=foo or rbdname=pool/foo, or filename=foo)".into()
                );
            }
        };
        let given = |name, value: Option<&CStr>| value.map(|value| text(name, value)).transpose();
        let client = given("clientname", options.clientname())?;
        Ok(Target {
            image,
            pool: given("pool", options.pool())?,
            namespace: given("namespace", options.namespace())?,
            snap: given("snap", options.snap())?,
            store: given("store", options.store())?,
            conf: given("conf", options.conf())?,
            cluster: given("clustername", options.clustername())?,
            client: client.map(|name| match name.strip_prefix("client.") {
                Some(bare) => bare.to_owned(),
                None => name,
            }),
            cache: options.cache(),
            cores: given("cores", options.cores())?,
        })
    }
}

fn text(option: &str, value: &CStr) -> Result<String, String> {
    match value.to_str() {
        Ok(value) => Ok(value.to_owned()),
        Err(_) => Err(format!("{option}={} is not UTF-8", value.to_string_lossy())),
    }
}

/// The words of `cache=`. The numbers are what fio stores; 0 means not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cache {
    None = 1,
    Writeback = 2,
    Writethrough = 3,
    Directsync = 4,
    Unsafe = 5,
    Writearound = 6,
}

impl Cache {
    pub(crate) const ALL: [Cache; 6] = [
        Cache::None,
        Cache::Writeback,
        Cache::Writethrough,
        Cache::Directsync,
        Cache::Unsafe,
        Cache::Writearound,
    ];

    pub(crate) const fn word(self) -> &'static CStr {
        match self {
            Cache::None => c"none",
            Cache::Writeback => c"writeback",
            Cache::Writethrough => c"writethrough",
            Cache::Directsync => c"directsync",
            Cache::Unsafe => c"unsafe",
            Cache::Writearound => c"writearound",
        }
    }

    pub(crate) const fn help(self) -> &'static CStr {
        match self {
            Cache::None => c"No cache: a write is acknowledged by the store",
            Cache::Writeback => c"Reads and writes cached; fsync makes writes durable",
            Cache::Writethrough => c"Reads cached; a write is acknowledged by the store",
            Cache::Directsync => c"As none, and each write is flushed",
            Cache::Unsafe => c"As writeback, and fsync is ignored",
            Cache::Writearound => c"As writeback, but writes are not kept for reads",
        }
    }
}

/// The words of `wait_mode=`. The numbers are what fio stores; 0 means not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitMode {
    Adaptive = 1,
    Poll = 2,
    Park = 3,
}

impl WaitMode {
    pub(crate) const ALL: [WaitMode; 3] = [WaitMode::Adaptive, WaitMode::Poll, WaitMode::Park];

    pub(crate) const fn word(self) -> &'static CStr {
        match self {
            WaitMode::Adaptive => c"adaptive",
            WaitMode::Poll => c"poll",
            WaitMode::Park => c"park",
        }
    }

    pub(crate) const fn help(self) -> &'static CStr {
        match self {
            WaitMode::Adaptive => c"Spin for a moment, then sleep",
            WaitMode::Poll => c"Spin until it is there: shortest latency, a whole CPU",
            WaitMode::Park => c"Sleep at once: least CPU",
        }
    }
}
