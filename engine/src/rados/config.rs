//! How a cluster is reached and how patient its client is: the settings, typed, with the user's key found.
//!
//! Names, defaults and meanings are those of Ceph 16's options, which each field names. Times are in seconds in the
//! configuration. Where 0 means "no limit" there, the field is `None` or the largest value.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ringbd_proto::auth::{AuthMethod, CephUser, ConMode, Credentials};
use ringbd_proto::types::{EntityType, Fsid};
use zeroize::Zeroizing;

use super::candidates::Monitors;
use super::user_key::{self, ReadFile, UserKey};
use crate::config::{Origin, Settings, did_you_mean, near_matches};
use crate::error::{Error, ErrorKind, Result};

/// The shortest wait and interval: with less, what waits would spin.
const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// The longest time that is counted, a hundred years; beyond it arithmetic on clocks may overflow.
const TIME_MAX: Duration = Duration::from_secs(100 * 366 * 86_400);

/// How Ceph separates the words of a list.
const LIST_SEPARATORS: [char; 5] = [';', ',', '=', ' ', '\t'];

/// Everything that a client has to know of its cluster before it has spoken to it.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// The cluster's name, which names configuration files and nothing on the wire.
    pub cluster: String,
    /// Who the client is: `client.` and `id=`.
    pub user: CephUser,
    /// The user's key; `None` if there is none, or if cephx is not asked for.
    pub credentials: Option<Arc<Credentials>>,
    /// Where the key came from, for errors: a file or an option; or why there is none.
    pub key_source: String,
    /// Where no key was found and cephx was therefore left out of `methods`: the error to report if the monitors insist on
    /// it.
    pub key_missing: Option<Error>,
    /// `fsid`: the cluster that must answer; `None`: any.
    pub fsid: Option<Fsid>,
    /// `mon_host` and what stands in for it.
    pub monitors: Monitors,
    /// `auth_client_required` (cephx, none), or `auth_supported` where it is set: preferred first, never empty.
    pub methods: Vec<AuthMethod>,
    /// `ms_client_mode` (crc, secure): to OSDs, preferred first, never empty.
    pub client_modes: Vec<ConMode>,
    /// `ms_mon_client_mode` (secure, crc): to monitors and managers, preferred first, never empty.
    pub mon_modes: Vec<ConMode>,
    /// `ms_initial_backoff` (0.2 s): before the first reconnect; it doubles from there.
    pub initial_backoff: Duration,
    /// `ms_max_backoff` (15 s): the longest wait before a reconnect, not below `initial_backoff`.
    pub max_backoff: Duration,
    /// `ms_connection_ready_timeout` (10 s): for a connection to get through its handshake.
    pub ready_timeout: Duration,
    /// `ms_connection_idle_timeout` (900 s): without traffic, before a connection is closed; `None`: never.
    pub idle_timeout: Option<Duration>,
    /// `rados_osd_op_timeout` (0): after which an OSD operation fails; `None`: never.
    pub osd_op_timeout: Option<Duration>,
    /// `rados_mon_op_timeout` (0): after which a monitor operation fails; `None`: never.
    pub mon_op_timeout: Option<Duration>,
    /// `client_mount_timeout` (300 s): for the first session with a monitor. [`Duration::MAX`]: for ever.
    pub mount_timeout: Duration,
    /// `objecter_inflight_ops` (1024): OSD operations in flight. [`usize::MAX`]: any number.
    pub inflight_ops: usize,
    /// `objecter_inflight_op_bytes` (100 MiB): their bytes, in either direction. [`usize::MAX`]: any number.
    pub inflight_bytes: usize,
    /// `objecter_tick_interval` (5 s): between looks at operations that take long and watches that need a ping.
    pub tick_interval: Duration,
    /// `objecter_timeout` (10 s): the age at which an operation asks for a newer OSD map.
    pub laggy_after: Duration,
    /// `osd_client_op_priority` (63): of operations in the OSDs' queues.
    pub op_priority: u16,
    /// `osd_op_complaint_time` (30 s): the age at which an operation without an answer is warned about.
    pub complaint_time: Duration,
    /// `osd_client_watch_timeout`, where somebody set it: after which an OSD gives up a silent watcher. `None`: what the OSD
    /// has for that, 30 s by default.
    pub watch_timeout: Option<Duration>,
    /// `client_notify_timeout` (10 s): for watchers to answer a notification.
    pub notify_timeout: Duration,
    /// `mon_client_hunt_parallel` (3): monitors tried at once. [`usize::MAX`]: all.
    pub mon_hunt_parallel: usize,
    /// `mon_client_hunt_interval` (3 s): for a round of tries.
    pub mon_hunt_interval: Duration,
    /// `mon_client_hunt_interval_backoff` (1.5): by which each failed round lengthens the next; at least 1.
    pub mon_hunt_interval_backoff: f64,
    /// `mon_client_hunt_interval_min_multiple` (1) times the interval.
    pub mon_hunt_interval_min: Duration,
    /// `mon_client_hunt_interval_max_multiple` (10) times the interval, not below the smallest.
    pub mon_hunt_interval_max: Duration,
    /// `mon_client_ping_interval` (10 s): between keepalives to the monitor.
    pub mon_ping_interval: Duration,
    /// `mon_client_ping_timeout` (30 s): of silence, before another monitor is looked for. [`Duration::MAX`]: for ever.
    pub mon_ping_timeout: Duration,
    /// What all of this follows from.
    settings: Settings,
}

impl ClusterConfig {
    /// Takes what the settings say, and reads the user's key. Blocks on files; looks no names up.
    ///
    /// # Errors
    /// A value that cannot be, with its place; a key that cannot be used, with its file; no key where one is required, with
    /// the files that were tried.
    pub fn load(settings: &Settings) -> Result<Self> {
        Self::load_from(settings, &user_key::read_file)
    }

    /// As [`load`](Self::load), with the files read through `read`.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with(settings: &Settings, read: &dyn Fn(&Path) -> io::Result<Vec<u8>>) -> Result<Self> {
        Self::load_from(settings, &|path| read(path).map(Zeroizing::new))
    }

    fn load_from(settings: &Settings, read: ReadFile<'_>) -> Result<Self> {
        let cluster = settings.identity().cluster.clone();
        let user = user(settings)?;
        let monitors = Monitors::of(settings).map_err(|error| error.into_error(&cluster))?;
        let auth = Authentication::of(settings, &user, read)?;
        let client_modes = modes(settings, "ms_client_mode")?;
        let mon_modes = modes(settings, "ms_mon_client_mode")?;
        let reach = Reach { cluster, user, auth, fsid: fsid(settings)?, monitors, client_modes, mon_modes };
        Ok(Self::tuned(settings, reach))
    }

    /// The same client of the same cluster over the configuration that the monitors sent, names and values: it is weaker
    /// than whatever somebody set here ([`Settings::with_monitor_config`]), and replaces what the monitors said before. How
    /// the cluster is reached stays as it was, and so do modes that cannot be, with a warning, because the monitors'
    /// configuration is others'.
    #[must_use]
    pub fn retuned<'a>(&self, monitor_config: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let settings = &self.settings.with_monitor_config(monitor_config);
        let auth = Authentication {
            methods: self.methods.clone(),
            credentials: self.credentials.clone(),
            key_source: self.key_source.clone(),
            key_missing: self.key_missing.clone(),
        };
        let modes_or = |option, former: &[ConMode]| {
            modes(settings, option).unwrap_or_else(|error| {
                tracing::warn!("the connection modes stay as they were: {error}");
                former.to_vec()
            })
        };
        let reach = Reach {
            cluster: self.cluster.clone(),
            user: self.user.clone(),
            auth,
            fsid: self.fsid,
            monitors: self.monitors.clone(),
            client_modes: modes_or("ms_client_mode", &self.client_modes),
            mon_modes: modes_or("ms_mon_client_mode", &self.mon_modes),
        };
        Self::tuned(settings, reach)
    }

    fn tuned(settings: &Settings, reach: Reach) -> Self {
        let Reach { cluster, user, auth, fsid, monitors, client_modes, mon_modes } = reach;
        let Authentication { methods, credentials, key_source, key_missing } = auth;
        let initial_backoff = settings.duration("ms_initial_backoff").max(INTERVAL_MIN);
        let mon_hunt_interval = settings.duration("mon_client_hunt_interval").max(INTERVAL_MIN);
        let multiple = |option| multiplied(mon_hunt_interval, settings.float(option));
        let mon_hunt_interval_min = multiple("mon_client_hunt_interval_min_multiple");
        Self {
            cluster,
            user,
            credentials,
            key_source,
            key_missing,
            fsid,
            monitors,
            methods,
            client_modes,
            mon_modes,
            initial_backoff,
            max_backoff: settings.duration("ms_max_backoff").max(initial_backoff),
            ready_timeout: whole_seconds(settings, "ms_connection_ready_timeout"),
            idle_timeout: some_time(whole_seconds(settings, "ms_connection_idle_timeout")),
            osd_op_timeout: settings.limit("rados_osd_op_timeout"),
            mon_op_timeout: settings.limit("rados_mon_op_timeout"),
            mount_timeout: settings.limit("client_mount_timeout").unwrap_or(Duration::MAX),
            inflight_ops: count(settings.number("objecter_inflight_ops")),
            inflight_bytes: count(settings.size("objecter_inflight_op_bytes")),
            tick_interval: settings.duration("objecter_tick_interval").max(INTERVAL_MIN),
            laggy_after: settings.duration("objecter_timeout"),
            op_priority: u16::try_from(settings.number("osd_client_op_priority"))
                .expect("the registry's bound fits"),
            complaint_time: settings.duration("osd_op_complaint_time").max(INTERVAL_MIN),
            watch_timeout: (*settings.origin("osd_client_watch_timeout") != Origin::Default)
                .then(|| whole_seconds(settings, "osd_client_watch_timeout")),
            notify_timeout: whole_seconds(settings, "client_notify_timeout"),
            mon_hunt_parallel: count(settings.number("mon_client_hunt_parallel")),
            mon_hunt_interval,
            mon_hunt_interval_backoff: settings.float("mon_client_hunt_interval_backoff").max(1.0),
            mon_hunt_interval_min,
            mon_hunt_interval_max: multiple("mon_client_hunt_interval_max_multiple")
                .max(mon_hunt_interval_min),
            mon_ping_interval: settings.duration("mon_client_ping_interval").max(INTERVAL_MIN),
            mon_ping_timeout: settings.limit("mon_client_ping_timeout").unwrap_or(Duration::MAX),
            settings: settings.clone(),
        }
    }

    /// Where `fsid` was set.
    pub(super) fn fsid_origin(&self) -> String {
        self.settings.origin("fsid").to_string()
    }

    /// What the monitors configured and nobody here overrules, a line each.
    pub(super) fn set_by_monitors(&self) -> impl Iterator<Item = String> {
        let theirs = self.settings.changed().filter(|(_, setting)| setting.origin == Origin::Monitors);
        theirs.map(|(option, setting)| format!("{} = {}", option.name, setting.value))
    }

    /// The connection modes offered to a peer of that kind, preferred first.
    #[must_use]
    pub fn modes(&self, peer: EntityType) -> &[ConMode] {
        match peer {
            EntityType::Mon | EntityType::Mgr => &self.mon_modes,
            EntityType::Mds | EntityType::Osd | EntityType::Client | EntityType::Auth => &self.client_modes,
        }
    }
}

/// What reaches the cluster; the rest of a configuration follows from the settings alone.
struct Reach {
    cluster: String,
    user: CephUser,
    auth: Authentication,
    fsid: Option<Fsid>,
    monitors: Monitors,
    client_modes: Vec<ConMode>,
    mon_modes: Vec<ConMode>,
}

/// How the client proves who it is.
struct Authentication {
    methods: Vec<AuthMethod>,
    credentials: Option<Arc<Credentials>>,
    key_source: String,
    key_missing: Option<Error>,
}

impl Authentication {
    fn of(settings: &Settings, user: &CephUser, read: ReadFile<'_>) -> Result<Self> {
        let mut methods = methods(settings)?;
        if !methods.contains(&AuthMethod::Cephx) {
            let key_source = format!("{user} needs no key, because cephx is not asked for");
            return Ok(Self { methods, credentials: None, key_source, key_missing: None });
        }
        match user_key::find(settings, user, read)? {
            UserKey::Found { key, source } => {
                let credentials = Some(Arc::new(Credentials { user: user.clone(), key }));
                Ok(Self { methods, credentials, key_source: source, key_missing: None })
            }
            UserKey::Absent(error) if methods == [AuthMethod::Cephx] => Err(error),
            UserKey::Absent(error) => {
                // As in Ceph: a client without a keyring is one of a cluster without authentication.
                tracing::info!("cephx is left out: {error}");
                methods.retain(|method| *method != AuthMethod::Cephx);
                let key_source = format!("no key of {user} was found");
                Ok(Self { methods, credentials: None, key_source, key_missing: Some(error) })
            }
        }
    }
}

fn user(settings: &Settings) -> Result<CephUser> {
    let id = &settings.identity().id;
    CephUser::client(id).map_err(|error| {
        let shown: String = id.chars().take(40).collect();
        Error::new(ErrorKind::InvalidInput, "be the user", format!("client.{shown}"), error)
            .hint("write the Ceph user without client., such as id=admin")
    })
}

fn fsid(settings: &Settings) -> Result<Option<Fsid>> {
    let Some(text) = settings.some_text("fsid") else { return Ok(None) };
    let fsid: Fsid = text.parse().map_err(|error| {
        invalid(settings, "fsid", format!("{text:?} is none: {error}"), "`ceph fsid` prints the cluster's")
    })?;
    // Ceph's word for "not set".
    Ok(Some(fsid).filter(|fsid| *fsid != Fsid::default()))
}

fn methods(settings: &Settings) -> Result<Vec<AuthMethod>> {
    // The older option speaks for clients and daemons alike, and wins in Ceph too.
    let option = match settings.some_text("auth_supported") {
        Some(_) => "auth_supported",
        None => "auth_client_required",
    };
    words(
        settings,
        option,
        &[("cephx", Some(AuthMethod::Cephx)), ("none", Some(AuthMethod::None)), ("gss", None)],
    )
}

fn modes(settings: &Settings, option: &'static str) -> Result<Vec<ConMode>> {
    words(settings, option, &[("crc", Some(ConMode::Crc)), ("secure", Some(ConMode::Secure))])
}

/// The words of a list in their order, each once. Those of Ceph's that ringbd does not know to do are passed over while
/// there are others.
fn words<T: Copy + PartialEq>(
    settings: &Settings,
    option: &'static str,
    known: &[(&str, Option<T>)],
) -> Result<Vec<T>> {
    let doable = known.iter().filter(|(_, meaning)| meaning.is_some());
    let choices = || doable.clone().map(|&(word, _)| word).collect::<Vec<_>>().join(" or ");
    let text = settings.some_text(option).unwrap_or_default();
    let mut list = Vec::new();
    for word in text.split(LIST_SEPARATORS).filter(|word| !word.is_empty()) {
        let Some((_, meaning)) = known.iter().find(|(name, _)| *name == word) else {
            let near = did_you_mean(&near_matches(word, known.iter().map(|&(name, _)| name)));
            let hint = near.unwrap_or_else(|| format!("write {}", choices()));
            return Err(invalid(settings, option, format!("{word:?} is not {}", choices()), hint));
        };
        match meaning {
            Some(meaning) if !list.contains(meaning) => list.push(*meaning),
            Some(_) => {}
            None => tracing::debug!("{word} in {option} is passed over: ringbd does not do it"),
        }
    }
    if list.is_empty() {
        let reason = format!("{text:?} leaves nothing that ringbd can do");
        return Err(invalid(settings, option, reason, format!("write {}", choices())));
    }
    Ok(list)
}

fn invalid(settings: &Settings, option: &str, reason: String, hint: impl Into<String>) -> Error {
    let place = format!("{option} ({})", settings.origin(option));
    Error::new(ErrorKind::InvalidInput, "read option", place, reason).hint(hint.into())
}

/// An option that is a number of seconds.
fn whole_seconds(settings: &Settings, option: &str) -> Duration {
    Duration::from_secs(settings.number(option)).min(TIME_MAX)
}

fn some_time(time: Duration) -> Option<Duration> {
    Some(time).filter(|time| !time.is_zero())
}

/// A limit on a number of things, where 0 is none.
fn count(number: u64) -> usize {
    match number {
        0 => usize::MAX,
        number => usize::try_from(number).unwrap_or(usize::MAX),
    }
}

/// The time times a factor that somebody wrote; what is no time is the nearest that is.
fn multiplied(time: Duration, factor: f64) -> Duration {
    let seconds = (time.as_secs_f64() * factor).clamp(INTERVAL_MIN.as_secs_f64(), TIME_MAX.as_secs_f64());
    Duration::from_secs_f64(seconds)
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
