//! Where the monitors of a cluster are, before any of them was reached.
//!
//! As clients of Ceph 16 look for them, the first that says something wins: `mon_host_override`, `mon_host`, the
//! `[mon.NAME]` sections of the configuration file, DNS SRV records (`_ceph-mon._tcp`, after `mon_dns_srv_name`). Once a
//! monitor answered, its map takes the place of all this.
//!
//! Host names are looked up by the system. A name with several addresses is several candidates, because it may stand for
//! as many monitors; so are the addresses of an SRV record's target. Names that are unknown are passed over while there
//! are others.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::num::NonZeroU16;

use ringbd_proto::types::{EntityAddr, EntityAddrVec};
use ringbd_reactor::{World, blocking};
use thiserror::Error;

use super::dns::{self, DnsError, ResolvConf};
use super::mon_host::{Endpoint, Host, Messenger, MonHost, MonHostError, is_name};
use crate::config::{MonitorSection, Settings};
use crate::error::{Error, ErrorKind};

/// The most candidates kept. A client needs one that answers; more than this is a name that stands for something else.
pub const MONITOR_CANDIDATES_MAX: usize = 256;

/// An address under which a monitor may answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorCandidate {
    /// Its name, without `mon.`, if the configuration tells; monitors are called otherwise in their own map.
    pub name: Option<String>,
    /// Its addresses; at least one is of the second messenger protocol.
    pub addrs: EntityAddrVec,
    /// Lower ones are tried first. 0 where nobody says.
    pub priority: u16,
    /// Among equal priorities, how much more often it is tried first. 0 for all: equally often.
    pub weight: u16,
}

/// What tells where the monitors are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorSource {
    kind: SourceKind,
    /// Where it was written.
    place: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum SourceKind {
    /// `mon_host`, or what overrides it.
    List { option: &'static str, list: MonHost },
    /// `[mon.NAME]` sections.
    Sections(Vec<Section>),
    /// The SRV record with this name.
    Service(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Section {
    name: String,
    endpoints: Vec<Endpoint>,
    priority: u16,
    weight: u16,
}

/// Why no monitor is known.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MonitorsError {
    /// A list of addresses cannot be read.
    #[error("in {option} ({place}), {error}")]
    Malformed {
        /// The option.
        option: String,
        /// Where it was written.
        place: String,
        /// What is wrong with it.
        error: MonHostError,
    },
    /// Another value of a `[mon.NAME]` section cannot be.
    #[error("{option} of [mon.{name}] ({place}) {reason}")]
    Section {
        /// The option.
        option: &'static str,
        /// The monitor.
        name: String,
        /// Where the section is.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// `mon_dns_srv_name` is no name.
    #[error("mon_dns_srv_name ({place}) is {name:?}, which cannot be the name of a service")]
    ServiceName {
        /// What it is.
        name: String,
        /// Where it was written.
        place: String,
    },
    /// All addresses are for the first messenger protocol.
    #[error(
        "{origin} names only addresses of the first messenger protocol, which ringbd does not speak: {addrs}"
    )]
    LegacyOnly {
        /// What names them.
        origin: String,
        /// The addresses.
        addrs: String,
    },
    /// None of the names can be looked up.
    #[error("none of the monitors in {origin} can be looked up: {reasons}")]
    Unresolved {
        /// What names them.
        origin: String,
        /// What the system says of each.
        reasons: String,
    },
    /// Nothing names monitors, and DNS does not either.
    #[error("mon_host is not set{place}, and {error}")]
    NotFound {
        /// Where it was looked for.
        place: String,
        /// What DNS says.
        error: DnsError,
    },
    /// A simulated world has no names.
    #[error("{name} would have to be looked up, and a simulated world has no names, only addresses")]
    Simulated {
        /// The name.
        name: String,
    },
}

impl MonitorSource {
    /// What the settings say. Looks nothing up.
    ///
    /// # Errors
    /// What is written cannot be read.
    pub fn of(settings: &Settings) -> Result<Self, MonitorsError> {
        for option in ["mon_host_override", "mon_host"] {
            if let Some(text) = settings.some_text(option) {
                let place = settings.origin(option).to_string();
                let list = text.parse().map_err(|error| MonitorsError::Malformed {
                    option: option.to_owned(),
                    place: place.clone(),
                    error,
                })?;
                return Ok(Self { kind: SourceKind::List { option, list }, place });
            }
        }
        let sections = settings.monitor_sections();
        if let Some(first) = sections.first() {
            let sections = sections.iter().map(Section::of).collect::<Result<_, _>>()?;
            return Ok(Self { kind: SourceKind::Sections(sections), place: first.place.clone() });
        }
        let name = settings.some_text("mon_dns_srv_name").unwrap_or_default();
        let place = match settings.conf_path() {
            Some(path) => format!(" in {}", path.display()),
            None => "; no configuration file was found".to_owned(),
        };
        match service_name(name) {
            Some(service) => Ok(Self { kind: SourceKind::Service(service), place }),
            None => Err(MonitorsError::ServiceName {
                name: name.to_owned(),
                place: settings.origin("mon_dns_srv_name").to_string(),
            }),
        }
    }

    /// The candidates, in the order they are written in. Runs on a core; names are looked up off it.
    ///
    /// # Errors
    /// No candidate is left, or a simulated world would have to look a name up.
    pub async fn candidates(&self) -> Result<Vec<MonitorCandidate>, MonitorsError> {
        match self.name_to_look_up() {
            None => self.find(&Names::none()),
            Some(name) if World::current().is_simulated() => {
                Err(MonitorsError::Simulated { name: name.to_owned() })
            }
            Some(_) => {
                let source = self.clone();
                blocking(move || source.candidates_blocking()).await
            }
        }
    }

    /// As [`candidates`](Self::candidates), for a thread that may block.
    ///
    /// # Errors
    /// No candidate is left.
    pub fn candidates_blocking(&self) -> Result<Vec<MonitorCandidate>, MonitorsError> {
        self.find(&Names::of_system())
    }

    /// The first name that somebody would have to look up.
    #[must_use]
    pub fn name_to_look_up(&self) -> Option<&str> {
        match &self.kind {
            SourceKind::List { list, .. } => list.names().next(),
            SourceKind::Sections(sections) => {
                sections.iter().flat_map(|section| &section.endpoints).find_map(|one| one.host.name())
            }
            SourceKind::Service(service) => Some(service),
        }
    }

    fn find(&self, names: &Names) -> Result<Vec<MonitorCandidate>, MonitorsError> {
        let mut found = Found::default();
        match &self.kind {
            SourceKind::List { list, .. } => {
                for endpoints in &list.monitors {
                    found.add(&Said::default(), endpoints, names);
                }
            }
            SourceKind::Sections(sections) => {
                for Section { name, endpoints, priority, weight } in sections {
                    let said = Said { name: Some(name), priority: *priority, weight: *weight };
                    found.add(&said, endpoints, names);
                }
            }
            SourceKind::Service(service) => self.find_service(service, names, &mut found)?,
        }
        found.finish(self)
    }

    fn find_service(&self, service: &str, names: &Names, found: &mut Found) -> Result<(), MonitorsError> {
        let not_found = |error| MonitorsError::NotFound { place: self.place.clone(), error };
        for service in (names.services)(service).map_err(not_found)? {
            let said =
                Said { name: Some(&service.short_name), priority: service.priority, weight: service.weight };
            // The record has a port and no protocol, as an address without one.
            let endpoint = Endpoint {
                messenger: None,
                host: Host::Name(service.target),
                port: NonZeroU16::new(service.port),
                nonce: 0,
            };
            for ip in service.addresses {
                found.push(&said, endpoint.addrs(SocketAddr::new(ip, 0)));
            }
        }
        Ok(())
    }
}

impl fmt::Display for MonitorSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            SourceKind::List { option, .. } => write!(f, "{option} ({})", self.place),
            SourceKind::Sections(_) => write!(f, "mon addr of the [mon.NAME] sections ({})", self.place),
            SourceKind::Service(service) => write!(f, "the SRV record {service}"),
        }
    }
}

impl MonitorCandidate {
    /// Where the second messenger protocol is spoken.
    ///
    /// # Panics
    /// If somebody took the addresses away.
    #[must_use]
    pub fn msgr2(&self) -> &EntityAddr {
        self.addrs.msgr2().expect("a candidate has an address of the second protocol")
    }
}

impl fmt::Display for MonitorCandidate {
    /// `mon.a at v2:10.0.0.1:3300/0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "mon.{name} at {}", self.addrs),
            None => write!(f, "a monitor at {}", self.addrs),
        }
    }
}

impl Section {
    /// A section's addresses have always been for the first protocol unless they say otherwise.
    fn of(section: &MonitorSection) -> Result<Self, MonitorsError> {
        let malformed = |error| MonitorsError::Malformed {
            option: format!("mon addr of [mon.{}]", section.name),
            place: section.place.clone(),
            error,
        };
        let wrong = |option, reason: String| MonitorsError::Section {
            option,
            name: section.name.clone(),
            place: section.place.clone(),
            reason,
        };
        let number = |option, text: &Option<String>| match text.as_deref() {
            None => Ok(0),
            Some(text) => text.parse::<u16>().map_err(|_| {
                wrong(option, format!("is {text:?}, which is no number from 0 to {}", u16::MAX))
            }),
        };
        let list: MonHost = section.addr.parse().map_err(malformed)?;
        let Ok([mut endpoints]) = <[_; 1]>::try_from(list.monitors) else {
            return Err(wrong("mon addr", "names more than one monitor".to_owned()));
        };
        for endpoint in &mut endpoints {
            endpoint.messenger.get_or_insert(Messenger::V1);
        }
        Ok(Self {
            name: section.name.clone(),
            endpoints,
            priority: number("mon priority", &section.priority)?,
            weight: number("mon weight", &section.weight)?,
        })
    }
}

/// What is known of a monitor besides its addresses.
#[derive(Default)]
struct Said<'a> {
    name: Option<&'a str>,
    priority: u16,
    weight: u16,
}

type FindServices = dyn Fn(&str) -> Result<Vec<dns::Service>, DnsError>;

/// How names become addresses.
struct Names {
    hosts: fn(&str) -> io::Result<Vec<SocketAddr>>,
    services: Box<FindServices>,
}

impl Names {
    fn of_system() -> Self {
        Self {
            hosts: |name| (name, 0).to_socket_addrs().map(Iterator::collect),
            services: Box::new(|service| {
                let conf =
                    ResolvConf::of_system().map_err(|error| DnsError::ResolvConf(error.to_string()))?;
                dns::services(&conf, service)
            }),
        }
    }

    /// For sources that have only addresses.
    fn none() -> Self {
        Self {
            hosts: |_| Err(io::Error::from(io::ErrorKind::Unsupported)),
            services: Box::new(|_| Ok(Vec::new())),
        }
    }
}

/// What was found so far.
#[derive(Default)]
struct Found {
    candidates: Vec<MonitorCandidate>,
    /// Addresses that ringbd cannot use.
    legacy: Vec<EntityAddr>,
    /// What the system says of names that it does not know.
    unknown: Vec<String>,
}

impl Found {
    /// Adds one monitor as it was written: one name with several addresses is as many candidates, endpoints written
    /// together are one.
    fn add(&mut self, said: &Said<'_>, endpoints: &[Endpoint], names: &Names) {
        let mut together = Vec::new();
        for endpoint in endpoints {
            let hosts = match endpoint.host.literal() {
                Some(host) => vec![host],
                None => self.look_up(&endpoint.host, names),
            };
            if endpoints.len() > 1 {
                together.extend(hosts.into_iter().flat_map(|host| endpoint.addrs(host)));
            } else {
                hosts.into_iter().for_each(|host| self.push(said, endpoint.addrs(host)));
            }
        }
        if !together.is_empty() {
            self.push(said, together);
        }
    }

    fn look_up(&mut self, host: &Host, names: &Names) -> Vec<SocketAddr> {
        let name = host.name().unwrap_or_default();
        match (names.hosts)(name) {
            Ok(hosts) if !hosts.is_empty() => hosts,
            Ok(_) => {
                self.unknown.push(format!("{name}: it has no address"));
                Vec::new()
            }
            Err(error) => {
                self.unknown.push(format!("{name}: {error}"));
                Vec::new()
            }
        }
    }

    fn push(&mut self, said: &Said<'_>, addrs: Vec<EntityAddr>) {
        let addrs = EntityAddrVec(addrs);
        let Some(msgr2) = addrs.msgr2() else {
            self.legacy.extend(addrs.0);
            return;
        };
        let known = self.candidates.iter().any(|candidate| candidate.addrs.0.contains(msgr2));
        if !known && self.candidates.len() < MONITOR_CANDIDATES_MAX {
            let name = said.name.map(str::to_owned);
            let Said { priority, weight, .. } = *said;
            self.candidates.push(MonitorCandidate { name, addrs, priority, weight });
        }
    }

    fn finish(self, source: &MonitorSource) -> Result<Vec<MonitorCandidate>, MonitorsError> {
        let Self { candidates, legacy, unknown } = self;
        let origin = source.to_string();
        if candidates.is_empty() && !legacy.is_empty() {
            return Err(MonitorsError::LegacyOnly { origin, addrs: EntityAddrVec(legacy).to_string() });
        }
        if candidates.is_empty() {
            return Err(MonitorsError::Unresolved { origin, reasons: unknown.join("; ") });
        }
        for unknown in unknown {
            tracing::warn!("a monitor in {origin} is passed over: {unknown}");
        }
        for addr in legacy {
            tracing::debug!(
                "{addr} in {origin} is passed over: ringbd speaks the second messenger protocol only"
            );
        }
        Ok(candidates)
    }
}

/// The SRV record that `mon_dns_srv_name` means: the service, and after the first underscore its domain.
fn service_name(option: &str) -> Option<String> {
    let (service, domain) = match option.split_once('_') {
        Some((service, domain)) => (service, format!(".{domain}")),
        None => (option, String::new()),
    };
    let name = format!("_{service}._tcp{domain}");
    (!service.is_empty() && is_name(&name)).then_some(name)
}

impl MonitorsError {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Malformed { .. } | Self::Section { .. } | Self::ServiceName { .. } => {
                ErrorKind::InvalidInput
            }
            Self::LegacyOnly { .. } | Self::Simulated { .. } => ErrorKind::NotSupported,
            Self::Unresolved { .. } => ErrorKind::NotFound,
            Self::NotFound { error, .. } => match error {
                DnsError::NotFound { .. } | DnsError::NoAddresses { .. } | DnsError::NoAnswer { .. } => {
                    ErrorKind::NotFound
                }
                DnsError::ResolvConf(_) => ErrorKind::Io,
            },
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Malformed { error, .. } => error.kind.hint(),
            Self::Section { .. } => "mend the section, or write mon_host in [global], which is stronger",
            Self::ServiceName { .. } => "write ceph-mon, or ceph-mon_example.com for a domain of its own",
            Self::LegacyOnly { .. } => {
                "name port 3300, as in mon_host = v2:10.0.0.1:3300; `ceph mon enable-msgr2` opens it on a cluster that \
                 was upgraded"
            }
            Self::Unresolved { .. } => {
                "write addresses instead of names, or see that the names are known here"
            }
            Self::NotFound { .. } => {
                "write mon_host = 10.0.0.1 (the address of a monitor) into [global] of /etc/ceph/ceph.conf, name \
                 another file with conf=, or write :mon_host=10.0.0.1 behind the image's name"
            }
            Self::Simulated { .. } => "write the monitors' addresses into mon_host",
        }
    }

    /// The error that users of the crate see.
    #[must_use]
    pub fn into_error(self, cluster: &str) -> Error {
        let (kind, hint) = (self.kind(), self.hint());
        Error::new(kind, "find the monitors of cluster", cluster, self).hint(hint)
    }
}

#[cfg(test)]
#[path = "monitors_tests.rs"]
mod tests;
