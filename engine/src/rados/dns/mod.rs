//! Finding a service in DNS: SRV records, and the addresses of their targets.
//!
//! The system's own resolver is what host names are looked up with, but it does not know SRV records; this is a small
//! resolver for them that asks the servers of `/etc/resolv.conf` in turn. It blocks, so it runs off the cores. An answer
//! is taken if its sender, id and question fit; with cephx a forged one leads no further than to a host that cannot
//! authenticate.

mod exchange;
mod message;
mod resolv_conf;

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use ringbd_reactor::World;
use thiserror::Error;

#[doc(hidden)]
pub use message::fuzz_answer;
pub use resolv_conf::ResolvConf;

use exchange::{Deadline, ask};
use message::{Answer, Query, RecordKind, Records, ServiceRecord};

/// The most services of one name, and addresses of one service.
pub const RECORDS_MAX: usize = 64;

/// How long finding a service may take in all, whatever the servers and search domains: a user waits for it.
const LOOKUP_TIME_MAX: Duration = Duration::from_secs(60);

/// A place where a service is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The host, as DNS names it.
    pub target: String,
    /// The part of `target` before the domain in which the service was found.
    pub short_name: String,
    /// The host's addresses.
    pub addresses: Vec<IpAddr>,
    /// The port.
    pub port: u16,
    /// Lower ones are tried first.
    pub priority: u16,
    /// Among equal priorities, how much more often it is tried first.
    pub weight: u16,
}

/// Why nothing was found.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DnsError {
    /// The servers answered: nobody offers it.
    #[error("there is no SRV record {names} (asked {servers})")]
    NotFound {
        /// The full names that were tried.
        names: String,
        /// The servers.
        servers: String,
    },
    /// The hosts that offer it have no addresses.
    #[error("the hosts in the SRV record {name} have no addresses: {targets} (asked {servers})")]
    NoAddresses {
        /// The record's name.
        name: String,
        /// The hosts.
        targets: String,
        /// The servers.
        servers: String,
    },
    /// No server gave an answer.
    #[error("no DNS server answered for {name}: {reasons}")]
    NoAnswer {
        /// The name asked for last.
        name: String,
        /// What happened at each.
        reasons: String,
    },
    /// `/etc/resolv.conf` cannot be read.
    #[error("/etc/resolv.conf cannot be read: {0}")]
    ResolvConf(String),
}

/// Finds where `service` (`_name._tcp`, with or without a domain) is offered. Blocks, for a minute at most.
///
/// # Errors
/// Nobody offers it, or no server says.
pub fn services(conf: &ResolvConf, service: &str) -> Result<Vec<Service>, DnsError> {
    let lookup = Lookup { conf, deadline: Deadline::after(LOOKUP_TIME_MAX) };
    let names = conf.full_names(service);
    let mut failure = None;
    for name in &names {
        match lookup.records(name, RecordKind::Srv) {
            Ok(records) if records.services.is_empty() => {}
            Ok(records) => return lookup.with_addresses(name, records),
            // One domain's servers may be down and another's not.
            Err(error) => failure = Some(error),
        }
    }
    Err(failure
        .unwrap_or_else(|| DnsError::NotFound { names: names.join(" nor "), servers: conf.servers_text() }))
}

/// A search for one service.
struct Lookup<'a> {
    conf: &'a ResolvConf,
    deadline: Deadline,
}

impl Lookup<'_> {
    fn with_addresses(&self, name: &str, records: Records) -> Result<Vec<Service>, DnsError> {
        let domain = name.splitn(3, '.').nth(2).unwrap_or_default();
        let mut services = Vec::new();
        let mut bare = Vec::new();
        for record in records.services.into_iter().take(RECORDS_MAX) {
            let ServiceRecord { priority, weight, port, target } = record;
            let mut addresses = match added(&records.added, &target) {
                none if none.is_empty() => self.addresses(&target),
                found => found,
            };
            addresses.truncate(RECORDS_MAX);
            if addresses.is_empty() {
                tracing::warn!("{target} of the SRV record {name} has no address");
                bare.push(target);
                continue;
            }
            let short_name = short_name(&target, domain).to_owned();
            services.push(Service { target, short_name, addresses, port, priority, weight });
        }
        if services.is_empty() {
            let (targets, servers) = (bare.join(", "), self.conf.servers_text());
            return Err(DnsError::NoAddresses { name: name.to_owned(), targets, servers });
        }
        Ok(services)
    }

    /// A host's addresses, IPv4 first; none if there are none or no server says.
    fn addresses(&self, host: &str) -> Vec<IpAddr> {
        let host = host.strip_suffix('.').unwrap_or(host);
        let kinds = [RecordKind::A, RecordKind::Aaaa].into_iter();
        let found = kinds.flat_map(|kind| match self.records(host, kind) {
            Ok(records) => records.addresses,
            Err(error) => {
                tracing::warn!("{error}");
                Vec::new()
            }
        });
        found.collect()
    }

    /// Asks every server in turn, as often as the system would, until one answers.
    fn records(&self, name: &str, kind: RecordKind) -> Result<Records, DnsError> {
        let mut reasons = vec![String::new(); self.conf.servers.len()];
        for _ in 0..self.conf.attempts {
            for (server, reason) in self.conf.servers.iter().zip(&mut reasons) {
                let id = (World::real().random_u64() & 0xffff) as u16;
                let answer =
                    ask(*server, &Query { id, name, kind }, self.deadline.or_after(self.conf.timeout));
                *reason = match answer {
                    Ok(Answer::Records(records)) => return Ok(records),
                    Ok(Answer::NoSuchName) => return Ok(Records::default()),
                    Ok(Answer::Refused(why)) => format!("{server}: {why}"),
                    Ok(Answer::Foreign | Answer::Truncated) => format!("{server}: its answer is malformed"),
                    Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                        format!("{server}: no answer in time")
                    }
                    Err(error) => format!("{server}: {error}"),
                };
            }
        }
        reasons.retain(|reason| !reason.is_empty());
        Err(DnsError::NoAnswer { name: name.to_owned(), reasons: reasons.join("; ") })
    }
}

/// The addresses of a host among those that came along.
fn added(added: &[(String, IpAddr)], target: &str) -> Vec<IpAddr> {
    added.iter().filter(|(name, _)| name.eq_ignore_ascii_case(target)).map(|&(_, ip)| ip).collect()
}

/// A host's name without the domain.
fn short_name<'a>(target: &'a str, domain: &str) -> &'a str {
    let dot = target.len().checked_sub(domain.len() + 1);
    match dot.and_then(|dot| Some((target.get(..dot)?, target.get(dot..)?.strip_prefix('.')?))) {
        Some((short, rest)) if !short.is_empty() && rest.eq_ignore_ascii_case(domain) => short,
        Some(_) | None => target,
    }
}

#[cfg(test)]
pub(super) mod fake;
#[cfg(test)]
mod tests;
