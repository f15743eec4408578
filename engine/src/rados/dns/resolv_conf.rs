//! What `/etc/resolv.conf` says, as far as finding a service needs it: servers, search list, patience.
//!
//! The defaults and limits are those of resolver(5). A server with an interface's name in its address (`fe80::1%eth0`)
//! is passed over.

use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

/// Where the system keeps it.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Where DNS servers listen.
const DNS_PORT: u16 = 53;

/// Servers asked; the system's own resolver asks no more.
const SERVERS_MAX: usize = 3;

/// Domains searched. Each costs a round of questions; older resolvers stop here too.
const SEARCH_MAX: usize = 6;

const NDOTS_DEFAULT: usize = 1;
const NDOTS_MAX: usize = 15;
const TIMEOUT_S_DEFAULT: u64 = 5;
const TIMEOUT_S_MAX: u64 = 30;
const ATTEMPTS_DEFAULT: usize = 2;
const ATTEMPTS_MAX: usize = 5;

/// Whom to ask, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    /// The servers, in the order they are asked.
    pub servers: Vec<SocketAddr>,
    /// The domains put behind a name.
    pub search: Vec<String>,
    /// A name with so many dots is looked up as it is before the domains are tried.
    pub ndots: usize,
    /// How long to wait for one server.
    pub timeout: Duration,
    /// How often each server is asked.
    pub attempts: usize,
}

impl ResolvConf {
    /// The system's. Where there is no file, the local host is asked, as resolver(5) has it.
    ///
    /// # Errors
    /// The file exists and cannot be read.
    pub fn of_system() -> io::Result<Self> {
        let text = match std::fs::read(Path::new(RESOLV_CONF)) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Ok(Self::parse(&text, host.trim()))
    }

    /// Reads the file's text. What it does not understand it passes over, as every resolver does. Without a `search` line
    /// the domain of this `host` is searched.
    #[must_use]
    pub fn parse(text: &str, host: &str) -> Self {
        let local = host.split_once('.').map(|(_, domain)| domain.to_owned());
        let mut conf = Self {
            servers: Vec::new(),
            search: local.into_iter().filter(|domain| !domain.is_empty()).collect(),
            ndots: NDOTS_DEFAULT,
            timeout: Duration::from_secs(TIMEOUT_S_DEFAULT),
            attempts: ATTEMPTS_DEFAULT,
        };
        for line in text.lines() {
            let mut words = line.split(['#', ';']).next().unwrap_or_default().split_whitespace();
            match words.next() {
                Some("nameserver") if conf.servers.len() < SERVERS_MAX => {
                    let ip = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    conf.servers.extend(ip.map(|ip| SocketAddr::new(ip, DNS_PORT)));
                }
                Some("search" | "domain") => {
                    conf.search =
                        words.take(SEARCH_MAX).map(|word| word.trim_matches('.').to_owned()).collect();
                }
                Some("options") => words.for_each(|word| conf.set(word)),
                Some(_) | None => {}
            }
        }
        if conf.servers.is_empty() {
            conf.servers.push(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DNS_PORT));
        }
        conf
    }

    fn set(&mut self, word: &str) {
        let Some((option, value)) = word.split_once(':') else { return };
        let Ok(value) = value.parse::<u32>() else { return };
        match option {
            "ndots" => self.ndots = (value as usize).min(NDOTS_MAX),
            "timeout" => self.timeout = Duration::from_secs(u64::from(value).clamp(1, TIMEOUT_S_MAX)),
            "attempts" => self.attempts = (value as usize).clamp(1, ATTEMPTS_MAX),
            _ => {}
        }
    }

    /// The full names that a name may stand for, in the order they are tried.
    #[must_use]
    pub fn full_names(&self, name: &str) -> Vec<String> {
        if let Some(absolute) = name.strip_suffix('.') {
            return vec![absolute.to_owned()];
        }
        let searched = self.search.iter().filter(|domain| !domain.is_empty());
        let mut names: Vec<String> = searched.map(|domain| format!("{name}.{domain}")).collect();
        let as_it_is = if name.matches('.').count() >= self.ndots { 0 } else { names.len() };
        names.insert(as_it_is, name.to_owned());
        names
    }

    /// The servers, for errors.
    pub(super) fn servers_text(&self) -> String {
        let mut text = String::new();
        for server in &self.servers {
            let separator = if text.is_empty() { "" } else { ", " };
            match server.port() {
                DNS_PORT => write!(text, "{separator}{}", server.ip()),
                _ => write!(text, "{separator}{server}"),
            }
            .expect("a string takes everything");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_lines_are_read() {
        let text = "# made by hand\nnameserver 10.0.0.53\nnameserver fd00::53 ; second\nnameserver fe80::1%eth0\n\
                    domain old.example\nsearch example.com lab.example.com.\n\
                    options ndots:2 timeout:3 attempts:4 rotate edns0\nsortlist x\n";
        let conf = ResolvConf::parse(text, "node1.site.example");
        let servers: Vec<SocketAddr> =
            ["10.0.0.53:53", "[fd00::53]:53"].map(|server| server.parse().unwrap()).to_vec();
        let expected = ResolvConf {
            servers,
            search: vec!["example.com".to_owned(), "lab.example.com".to_owned()],
            ndots: 2,
            timeout: Duration::from_secs(3),
            attempts: 4,
        };
        assert_eq!(conf, expected);
        assert_eq!(conf.servers_text(), "10.0.0.53, fd00::53");
    }

    #[test]
    fn nothing_means_the_local_host_and_its_domain() {
        let conf = ResolvConf::parse("", "node1.site.example");
        assert_eq!(conf.servers, ["127.0.0.1:53".parse().unwrap()]);
        assert_eq!(conf.search, ["site.example"]);
        assert_eq!((conf.ndots, conf.timeout, conf.attempts), (1, Duration::from_secs(5), 2));
        assert!(ResolvConf::parse("", "node1").search.is_empty());
        assert!(ResolvConf::parse("search .", "node1.site").full_names("a.b") == ["a.b"]);
    }

    #[test]
    fn limits_hold() {
        let text = "nameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\nnameserver 4.4.4.4\n\
                    search a b c d e f g h\noptions ndots:99 timeout:0 attempts:0\n";
        let conf = ResolvConf::parse(text, "");
        assert_eq!((conf.servers.len(), conf.search.len()), (SERVERS_MAX, SEARCH_MAX));
        assert_eq!((conf.ndots, conf.timeout, conf.attempts), (NDOTS_MAX, Duration::from_secs(1), 1));
        let patient = ResolvConf::parse("options timeout:4000000000 attempts:99 ndots:x", "");
        assert_eq!((patient.timeout, patient.attempts), (Duration::from_secs(TIMEOUT_S_MAX), ATTEMPTS_MAX));
    }

    #[test]
    fn dots_decide_whether_a_name_is_tried_as_it_is_first() {
        let mut conf = ResolvConf::parse("search example.com lab", "");
        let service = "_ceph-mon._tcp";
        assert_eq!(conf.full_names(service), [service, "_ceph-mon._tcp.example.com", "_ceph-mon._tcp.lab"]);
        conf.ndots = 2;
        assert_eq!(conf.full_names(service), ["_ceph-mon._tcp.example.com", "_ceph-mon._tcp.lab", service]);
        assert_eq!(conf.full_names("a.b."), ["a.b"]);
    }
}
