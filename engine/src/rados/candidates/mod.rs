//! Where the monitors of a cluster are, before any of them was reached.
//!
//! As clients of Ceph 16 look for them, the first that says something wins: `mon_host_override`, `mon_host`, the
//! `[mon.NAME]` sections of the configuration file, DNS SRV records (`_ceph-mon._tcp`, after `mon_dns_srv_name`). Once a
//! monitor answered, its map takes the place of all this.
//!
//! Three things are read more kindly than there: a section's address may be a list in brackets, `v2:` without a port means
//! 3300 in a section too, and SRV records may point outside their domain, or to one host at several ports.
//!
//! Host names are looked up by the system. A name with several addresses is several candidates, because it may stand for
//! as many monitors; so are the addresses of an SRV record's target. Names that are unknown are passed over while there
//! are others.

mod error;
mod found;

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU16;

use ringbd_proto::types::{EntityAddr, EntityAddrVec};
use ringbd_reactor::{World, blocking};

pub use error::MonitorsError;

use super::mon_host::{Endpoint, Host, Messenger, MonHost, is_name};
use crate::config::{MonitorSection, Settings};
use crate::error::Error;
use found::{Found, Names, Said};

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

/// The monitors of a cluster as the configuration names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monitors {
    cluster: String,
    source: Source,
    /// Where it was written.
    place: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
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

impl Monitors {
    /// What the settings say. Looks nothing up.
    ///
    /// # Errors
    /// What is written cannot be read.
    pub fn of(settings: &Settings) -> Result<Self, MonitorsError> {
        let cluster = settings.identity().cluster.clone();
        for option in ["mon_host_override", "mon_host"] {
            if let Some(text) = settings.some_text(option) {
                let place = settings.origin(option).to_string();
                let list = text.parse().map_err(|error| MonitorsError::Malformed {
                    option: option.to_owned(),
                    place: place.clone(),
                    error,
                })?;
                return Ok(Self { cluster, source: Source::List { option, list }, place });
            }
        }
        let sections = settings.monitor_sections();
        if let Some(first) = sections.first() {
            let sections = sections.iter().map(Section::of).collect::<Result<_, _>>()?;
            return Ok(Self { cluster, source: Source::Sections(sections), place: first.place.clone() });
        }
        let name = settings.some_text("mon_dns_srv_name").unwrap_or_default();
        let place = match settings.conf_path() {
            Some(path) => format!(" in {}", path.display()),
            None => "; no configuration file was found".to_owned(),
        };
        match service_name(name) {
            Some(service) => Ok(Self { cluster, source: Source::Service(service), place }),
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
    pub async fn resolve(&self) -> crate::Result<Vec<MonitorCandidate>> {
        match self.name_to_look_up() {
            None => self.find(&Names::none()).map_err(|error| self.error(error)),
            Some(name) if World::current().is_simulated() => {
                Err(self.error(MonitorsError::Simulated { name: name.to_owned() }))
            }
            Some(_) => {
                let monitors = self.clone();
                blocking(move || monitors.resolve_blocking()).await
            }
        }
    }

    /// As [`resolve`](Self::resolve), for a thread that may block and is no core.
    ///
    /// # Errors
    /// No candidate is left.
    pub fn resolve_blocking(&self) -> crate::Result<Vec<MonitorCandidate>> {
        self.find(&Names::of_system()).map_err(|error| self.error(error))
    }

    /// The first name that would have to be looked up.
    #[must_use]
    pub fn name_to_look_up(&self) -> Option<&str> {
        match &self.source {
            Source::List { list, .. } => list.names().next(),
            Source::Sections(sections) => {
                sections.iter().flat_map(|section| &section.endpoints).find_map(|one| one.host.name())
            }
            Source::Service(service) => Some(service),
        }
    }

    fn error(&self, error: MonitorsError) -> Error {
        error.into_error(&self.cluster)
    }

    fn find(&self, names: &Names) -> Result<Vec<MonitorCandidate>, MonitorsError> {
        let mut found = Found::default();
        match &self.source {
            Source::List { list, .. } => {
                for endpoints in &list.monitors {
                    found.add(&Said::default(), endpoints, names);
                }
            }
            Source::Sections(sections) => {
                for Section { name, endpoints, priority, weight } in sections {
                    let said = Said { name: Some(name), priority: *priority, weight: *weight };
                    found.add(&said, endpoints, names);
                }
            }
            Source::Service(service) => self.find_service(service, names, &mut found)?,
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

impl fmt::Display for Monitors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::List { option, .. } => write!(f, "{option} ({})", self.place),
            Source::Sections(_) => write!(f, "mon addr of the [mon.NAME] sections ({})", self.place),
            Source::Service(service) => write!(f, "the SRV record {service}"),
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

/// The SRV record that `mon_dns_srv_name` means: the service, and after the first underscore its domain.
fn service_name(option: &str) -> Option<String> {
    let (service, domain) = match option.split_once('_') {
        Some((service, domain)) => (service, format!(".{domain}")),
        None => (option, String::new()),
    };
    let name = format!("_{service}._tcp{domain}");
    (!service.is_empty() && is_name(&name)).then_some(name)
}

#[cfg(test)]
mod tests;
