//! The `[mon.NAME]` sections of a configuration file, in which clusters named their monitors before there was
//! `mon_host`. Clients of Ceph 16 still read them where `mon_host` is not set.

use super::conf_file::{ConfEntry, ConfFile};
use super::metavariables::{Identity, expand};

/// What the configuration file says of one monitor. The values are as written; the reader of addresses judges them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorSection {
    /// The part of the section's name after `mon.`.
    pub name: String,
    /// `mon addr`.
    pub addr: String,
    /// `mon priority`: monitors with a lower one are tried first.
    pub priority: Option<String>,
    /// `mon weight`: among equal priorities, how much more often it is tried first.
    pub weight: Option<String>,
    /// Where the address stands, as `file:line`.
    pub place: String,
}

/// The sections that name an address, in the order of their names. As in Ceph, `[mon]` and `[global]` stand in where a
/// section does not say.
pub(super) fn monitor_sections(conf: &ConfFile, identity: &Identity) -> Vec<MonitorSection> {
    let mut monitors = Vec::new();
    for section in conf.section_names() {
        let Some(name) = section.strip_prefix("mon.").filter(|name| !name.is_empty()) else { continue };
        let find = |key: &str| conf.find(&[section, "mon", "global"], key);
        let Some(addr) = find("mon_addr") else { continue };
        let plain = |entry: &ConfEntry| entry.value.clone();
        let place = format!("{}:{}", conf.path().display(), addr.line);
        match expand(&addr.value, "mon_addr", &place, identity, &|_| None) {
            Ok(addr) => monitors.push(MonitorSection {
                name: name.to_owned(),
                addr,
                priority: find("mon_priority").map(plain),
                weight: find("mon_weight").map(plain),
                place,
            }),
            Err(error) => tracing::debug!("{error}"),
        }
    }
    monitors
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn sections_are_read_with_what_stands_in_for_them() {
        let text = "[global]\nmon priority = 7\n[mon]\nmon weight = 3\n[mon.]\nmon addr = 9.9.9.9\n[mon.c]\nhost = x\n\
                    [mon.b]\nmon addr = 10.0.0.2:6789\nmon weight = 5\n[mon.a]\nmon  addr = $host\n";
        let conf = ConfFile::parse(Path::new("/x.conf"), text.as_bytes()).unwrap();
        let identity = Identity {
            cluster: "ceph".to_owned(),
            id: "admin".to_owned(),
            host: "node1".to_owned(),
            pid: 1,
            cctid: 1,
            home: String::new(),
        };
        let section = |name: &str, addr: &str, weight: &str, line: u32| MonitorSection {
            name: name.to_owned(),
            addr: addr.to_owned(),
            priority: Some("7".to_owned()),
            weight: Some(weight.to_owned()),
            place: format!("/x.conf:{line}"),
        };
        let expected = [section("a", "node1", "3", 13), section("b", "10.0.0.2:6789", "5", 10)];
        assert_eq!(monitor_sections(&conf, &identity), expected);
    }
}
