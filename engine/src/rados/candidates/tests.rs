//! Which source wins, what each means, and what every failure says.

use std::io;
use std::path::Path;

use ringbd_reactor::{CoreConfig, Sim, SimConfig};

use super::super::dns;
use super::super::dns::fake::{Fault, Server, Zone};
use super::*;
use crate::config::{ImageSpec, Sources};
use crate::error::ErrorKind;

fn settings(conf: &str, options: &[(&str, &str)]) -> Settings {
    let spec = ImageSpec::new("data", "foo");
    let spec = options.iter().fold(spec, |spec, (key, value)| spec.with_option(*key, *value));
    let read = |path: &Path| match path.to_str() {
        Some("/etc/ceph/ceph.conf") => Ok(conf.as_bytes().to_vec()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    Settings::load_with(&spec, &Sources::default(), &read).unwrap()
}

fn monitors(conf: &str) -> Monitors {
    Monitors::of(&settings(conf, &[])).unwrap_or_else(|error| panic!("{conf}: {error}"))
}

/// Two names are known, and one has no address.
fn hosts(name: &str) -> io::Result<Vec<SocketAddr>> {
    let hosts: &[&str] = match name {
        "mon1" => &["10.0.0.1:0", "[fd00::1]:0"],
        "mon2" => &["10.0.0.2:0"],
        "bare" => &[],
        _ => return Err(io::Error::other("Name or service not known")),
    };
    Ok(hosts.iter().map(|host| host.parse().unwrap()).collect())
}

fn names() -> Names {
    Names { hosts, ..Names::none() }
}

fn found(monitors: &Monitors, names: &Names) -> Vec<String> {
    let candidates = monitors.find(names).unwrap_or_else(|error| panic!("{monitors}: {error}"));
    assert!(candidates.iter().all(|candidate| candidate.msgr2().socket.is_some()));
    candidates.iter().map(ToString::to_string).collect()
}

fn message(error: MonitorsError) -> String {
    error.into_error("ceph").to_string()
}

#[test]
fn the_strongest_source_wins() {
    let section = "[mon.a]\nmon addr = v2:10.0.0.3:3300\n";
    let list = format!("[global]\nmon host = 10.0.0.1:3300\n{section}");
    let overridden = format!("[global]\nmon_host_override = 10.0.0.2:3300\n{list}");
    assert_eq!(found(&monitors(&overridden), &names()), ["a monitor at v2:10.0.0.2:3300/0"]);
    assert_eq!(found(&monitors(&list), &names()), ["a monitor at v2:10.0.0.1:3300/0"]);
    assert_eq!(found(&monitors(section), &names()), ["mon.a at v2:10.0.0.3:3300/0"]);
    assert_eq!(monitors("").to_string(), "the SRV record _ceph-mon._tcp");
    assert_eq!(monitors(&list).to_string(), "mon_host (/etc/ceph/ceph.conf:2)");
    assert_eq!(monitors(section).to_string(), "mon addr of the [mon.NAME] sections (/etc/ceph/ceph.conf:2)");
}

#[test]
fn an_address_without_a_protocol_is_one_candidate_with_both() {
    let list = monitors(
        "mon host = 10.0.0.1, 10.0.0.2:6789, 10.0.0.3:3300, v2:10.0.0.1:3300, [v2:10.0.0.4,v1:10.0.0.4]",
    );
    assert_eq!(
        found(&list, &names()),
        [
            "a monitor at [v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0]",
            "a monitor at v2:10.0.0.3:3300/0",
            "a monitor at [v2:10.0.0.4:3300/0,v1:10.0.0.4:6789/0]",
        ]
    );
}

#[test]
fn a_name_is_as_many_candidates_as_it_has_addresses() {
    let list = monitors("mon host = mon1 unknown mon2:3300 [v2:mon2:4000,v1:mon2:4001]");
    assert_eq!(
        found(&list, &names()),
        [
            "a monitor at [v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0]",
            "a monitor at [v2:[fd00::1]:3300/0,v1:[fd00::1]:6789/0]",
            "a monitor at v2:10.0.0.2:3300/0",
            "a monitor at [v2:10.0.0.2:4000/0,v1:10.0.0.2:4001/0]",
        ]
    );
    assert_eq!(list.name_to_look_up(), Some("mon1"));
    assert_eq!(monitors("mon host = 10.0.0.1").name_to_look_up(), None);
}

#[test]
fn the_system_knows_the_local_host() {
    let candidates = monitors("mon host = localhost:3300").resolve_blocking().unwrap();
    assert!(candidates.iter().all(|one| one.msgr2().socket.unwrap().ip().is_loopback()), "{candidates:?}");
}

#[test]
fn sections_speak_the_first_protocol_unless_they_say_otherwise() {
    let conf = "[mon]\nmon priority = 2\n[mon.a]\nmon addr = 10.0.0.1\n[mon.b]\nmon addr = v2:10.0.0.2\n\
                mon priority = 1\nmon weight = 9\n[mon.c]\nmon addr = [v2:10.0.0.3:3300,v1:10.0.0.3:6789]\n";
    let candidates = monitors(conf).find(&names()).unwrap();
    let expected = ["mon.b at v2:10.0.0.2:3300/0", "mon.c at [v2:10.0.0.3:3300/0,v1:10.0.0.3:6789/0]"];
    assert_eq!(candidates.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
    let order: Vec<_> = candidates.iter().map(|candidate| (candidate.priority, candidate.weight)).collect();
    assert_eq!(order, [(1, 9), (2, 0)]);
}

#[test]
fn services_are_candidates_with_their_order() {
    let zone = Zone::default()
        .srv("_ceph-mon._tcp.example.com", (10, 60, 3300), "mon1.example.com")
        .srv("_ceph-mon._tcp.example.com", (10, 40, 6789), "mon1.example.com")
        .srv("_ceph-mon._tcp.example.com", (20, 0, 0), "mon2.example.com")
        .ip("mon1.example.com", "10.0.0.1")
        .ip("mon2.example.com", "10.0.0.2");
    let server = Server::start(zone, Fault::None);
    let (short, long) = (server.conf("example.com"), server.conf("."));
    for (conf, resolv) in [("", short), ("mon dns srv name = ceph-mon_example.com", long)] {
        let names = Names { services: Box::new(move |name| dns::services(&resolv, name)), ..names() };
        let candidates = monitors(conf).find(&names).unwrap();
        let expected =
            ["mon.mon1 at v2:10.0.0.1:3300/0", "mon.mon2 at [v2:10.0.0.2:3300/0,v1:10.0.0.2:6789/0]"];
        assert_eq!(candidates.iter().map(ToString::to_string).collect::<Vec<_>>(), expected, "{conf}");
        let order: Vec<_> = candidates.iter().map(|one| (one.priority, one.weight)).collect();
        assert_eq!(order, [(10, 60), (20, 0)]);
    }
}

#[test]
fn addresses_of_the_first_protocol_alone_are_an_error_of_their_own() {
    let error = monitors("mon host = 10.0.0.1:6789 v1:10.0.0.2").find(&names()).unwrap_err();
    assert!(matches!(error, MonitorsError::LegacyOnly { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::NotSupported);
    assert_eq!(
        message(error),
        "find the monitors of cluster ceph: mon_host (/etc/ceph/ceph.conf:1) names only addresses of the first \
         messenger protocol, which ringbd does not speak: [v1:10.0.0.1:6789/0,v1:10.0.0.2:6789/0] (name port 3300, as \
         in mon_host = v2:10.0.0.1:3300; `ceph mon enable-msgr2` opens it on a cluster that was upgraded)"
    );
}

#[test]
fn every_mistake_names_the_option_the_place_and_what_to_write() {
    let unparsed = |conf: &str| message(Monitors::of(&settings(conf, &[])).unwrap_err());
    let unfound = |conf: &str| message(monitors(conf).find(&names()).unwrap_err());
    for (message, parts) in [
        (
            unparsed("\nmon host = 10.0.0.1:x"),
            ["in mon_host (/etc/ceph/ceph.conf:2)", "\"10.0.0.1:x\"", "write a port"],
        ),
        (unparsed("mon host = ,"), ["mon_host (/etc/ceph/ceph.conf:1)", "names no monitor", "host names"]),
        (
            unparsed("[mon.a]\nmon addr = a b"),
            ["mon addr of [mon.a] (/etc/ceph/ceph.conf:2)", "more than one", "[global]"],
        ),
        (
            unparsed("[mon.a]\nmon addr = 1.2.3"),
            ["mon addr of [mon.a] (/etc/ceph/ceph.conf:2)", "no IPv4", "four"],
        ),
        (
            unparsed("[mon.a]\nmon addr = 1.2.3.4\nmon weight = much"),
            ["mon weight of [mon.a] (/etc/ceph/ceph.conf:2)", "\"much\"", "mend the section"],
        ),
        (
            unparsed("mon dns srv name = a b"),
            ["mon_dns_srv_name (/etc/ceph/ceph.conf:1)", "\"a b\"", "ceph-mon"],
        ),
        (unparsed("mon dns srv name ="), ["mon_dns_srv_name (/etc/ceph/ceph.conf:1)", "\"\"", "ceph-mon"]),
        (
            unfound("mon host = unknown bare"),
            ["unknown: Name or service", "bare: it has no address", "addresses instead"],
        ),
    ] {
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn a_new_user_is_told_where_monitors_are_named() {
    let server = Server::start(Zone::default(), Fault::None);
    let resolv = server.conf("example.com");
    let names = Names { services: Box::new(move |name| dns::services(&resolv, name)), ..names() };
    let error = monitors("").find(&names).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let text = message(error);
    for part in
        ["mon_host is not set in /etc/ceph/ceph.conf", "_ceph-mon._tcp.example.com", "mon_host = 10.0.0.1"]
    {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_simulated_world_has_addresses_only() {
    let sim = Sim::new(SimConfig::seeded(7));
    let node = sim.node("client");
    let looked = async {
        let literal = monitors("mon host = 10.0.0.1:3300").resolve().await.unwrap();
        assert_eq!(literal.len(), 1);
        for conf in ["mon host = mon1", "", "[mon.a]\nmon addr = v2:mon1"] {
            let error = monitors(conf).resolve().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotSupported);
            assert!(error.to_string().contains("into mon_host"), "{error}");
        }
    };
    sim.block_on(&node, looked).unwrap();
}

#[test]
fn a_core_looks_names_up_without_blocking_itself() {
    let core = World::real()
        .start_core(CoreConfig::default(), || async {
            let candidates = monitors("mon host = localhost:3300").resolve().await.unwrap();
            assert!(!candidates.is_empty());
        })
        .unwrap();
    core.join().unwrap();
}
