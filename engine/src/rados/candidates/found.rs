//! Candidates as they are found: names looked up, duplicates and what cannot be used set aside.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};

use ringbd_proto::types::{EntityAddr, EntityAddrVec};

use super::super::dns::{self, DnsError, ResolvConf};
use super::super::mon_host::{Endpoint, Host};
use super::{MONITOR_CANDIDATES_MAX, MonitorCandidate, Monitors, MonitorsError};

/// What is known of a monitor besides its addresses.
#[derive(Default)]
pub(super) struct Said<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) priority: u16,
    pub(super) weight: u16,
}

pub(super) type FindServices = dyn Fn(&str) -> Result<Vec<dns::Service>, DnsError>;

/// How names become addresses.
pub(super) struct Names {
    pub(super) hosts: fn(&str) -> io::Result<Vec<SocketAddr>>,
    pub(super) services: Box<FindServices>,
}

impl Names {
    pub(super) fn of_system() -> Self {
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
    pub(super) fn none() -> Self {
        Self {
            hosts: |_| Err(io::Error::from(io::ErrorKind::Unsupported)),
            services: Box::new(|_| Ok(Vec::new())),
        }
    }
}

/// What was found so far.
#[derive(Default)]
pub(super) struct Found {
    candidates: Vec<MonitorCandidate>,
    /// Addresses that ringbd cannot use.
    legacy: Vec<EntityAddr>,
    /// What the system says of names that it does not know.
    unknown: Vec<String>,
}

impl Found {
    /// Adds one monitor as it was written: one name with several addresses is as many candidates, endpoints written
    /// together are one.
    pub(super) fn add(&mut self, said: &Said<'_>, endpoints: &[Endpoint], names: &Names) {
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

    pub(super) fn push(&mut self, said: &Said<'_>, addrs: Vec<EntityAddr>) {
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

    pub(super) fn finish(self, monitors: &Monitors) -> Result<Vec<MonitorCandidate>, MonitorsError> {
        let Self { candidates, legacy, unknown } = self;
        let origin = monitors.to_string();
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
