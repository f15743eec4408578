//! Services are found in a real exchange with a server on this machine.

use super::fake::{Fault, Server, Zone};
use super::*;

const SERVICE: &str = "_ceph-mon._tcp";

fn zone() -> Zone {
    Zone::default()
        .srv("_ceph-mon._tcp.example.com", (10, 60, 3300), "mon1.example.com")
        .srv("_ceph-mon._tcp.example.com", (20, 0, 6789), "mon2.other.org")
        .srv("_ceph-mon._tcp.example.com", (10, 0, 3300), "gone.example.com")
        .ip("mon1.example.com", "10.0.0.1")
        .ip("mon1.example.com", "fd00::1")
        .ip("mon2.other.org", "10.0.0.2")
}

fn expected() -> Vec<Service> {
    let service = |target: &str, short: &str, addresses: &[&str], (priority, weight, port)| Service {
        target: target.to_owned(),
        short_name: short.to_owned(),
        addresses: addresses.iter().map(|ip| ip.parse().unwrap()).collect(),
        port,
        priority,
        weight,
    };
    vec![
        service("mon1.example.com", "mon1", &["10.0.0.1", "fd00::1"], (10, 60, 3300)),
        service("mon2.other.org", "mon2.other.org", &["10.0.0.2"], (20, 0, 6789)),
    ]
}

#[test]
fn services_are_found_through_the_search_list_with_their_addresses() {
    let server = Server::start(zone(), Fault::None);
    assert_eq!(services(&server.conf("nonesuch.org example.com"), SERVICE).unwrap(), expected());
    let asked = server.asked();
    assert_eq!(asked[..3], [SERVICE, "_ceph-mon._tcp.nonesuch.org", "_ceph-mon._tcp.example.com"]);
    assert_eq!(services(&server.conf("."), "_ceph-mon._tcp.example.com").unwrap(), expected());
}

#[test]
fn addresses_that_come_along_are_not_asked_for() {
    let server = Server::start(zone().adding_addresses(), Fault::None);
    let found = services(&server.conf("."), "_ceph-mon._tcp.example.com").unwrap();
    assert_eq!(found[0].addresses, ["10.0.0.1".parse::<IpAddr>().unwrap()]);
    assert!(!server.asked().contains(&"mon1.example.com".to_owned()), "{:?}", server.asked());
}

#[test]
fn an_answer_that_does_not_fit_is_fetched_over_tcp() {
    let server = Server::start(zone(), Fault::Truncates);
    assert_eq!(services(&server.conf("example.com"), SERVICE).unwrap(), expected());
    assert!(server.answered_over_tcp() >= 2);
}

#[test]
fn strangers_answers_and_rubbish_are_passed_over() {
    let server = Server::start(zone(), Fault::Noisy);
    assert_eq!(services(&server.conf("example.com"), SERVICE).unwrap(), expected());
}

#[test]
fn the_next_server_is_asked_where_one_fails_refuses_or_is_silent() {
    let good = Server::start(zone(), Fault::None);
    for fault in [Fault::Fails, Fault::Silent] {
        let bad = Server::start(zone(), fault);
        let mut conf = good.conf("example.com");
        conf.servers.insert(0, bad.address);
        conf.timeout = Duration::from_millis(200);
        assert_eq!(services(&conf, SERVICE).unwrap(), expected(), "{fault:?}");
        assert!(!bad.asked().is_empty());
    }
}

#[test]
fn nothing_found_and_nobody_answering_are_different_errors() {
    let server = Server::start(zone(), Fault::None);
    let missing = services(&server.conf("nonesuch.org"), SERVICE).unwrap_err().to_string();
    let expected = format!(
        "there is no SRV record _ceph-mon._tcp nor _ceph-mon._tcp.nonesuch.org (asked {})",
        server.address
    );
    assert_eq!(missing, expected);
    let bare = Zone::default().srv("_ceph-mon._tcp", (0, 0, 3300), "gone.example.com");
    let server = Server::start(bare, Fault::None);
    let error = services(&server.conf("."), SERVICE).unwrap_err();
    assert!(matches!(error, DnsError::NoAddresses { .. }), "{error}");
    assert!(error.to_string().contains("gone.example.com"), "{error}");
    let silent = Server::start(zone(), Fault::Silent);
    let mut conf = silent.conf("example.com");
    conf.timeout = Duration::from_millis(20);
    let error = services(&conf, SERVICE).unwrap_err().to_string();
    assert!(error.contains("no answer in time") && error.contains(&silent.address.to_string()), "{error}");
    silent.wait_until_asked(4);
    let failing = Server::start(zone(), Fault::Fails);
    let error = services(&failing.conf("example.com"), SERVICE).unwrap_err().to_string();
    assert!(error.contains("SERVFAIL"), "{error}");
    let closed = conf.servers[0];
    drop(silent);
    let error = services(&ResolvConf { servers: vec![closed], ..conf }, SERVICE).unwrap_err().to_string();
    assert!(error.contains("refused"), "{error}");
}

#[test]
fn a_short_name_is_what_stands_before_the_domain() {
    for (target, domain, short) in [
        ("mon1.example.com", "example.com", "mon1"),
        ("mon1.EXAMPLE.com", "example.COM", "mon1"),
        ("mon1.rack.example.com", "example.com", "mon1.rack"),
        ("mon1.example.com", "other.com", "mon1.example.com"),
        ("example.com", "example.com", "example.com"),
        (".example.com", "example.com", ".example.com"),
        ("mon1", "", "mon1"),
        ("xexample.com", "example.com", "xexample.com"),
    ] {
        assert_eq!(short_name(target, domain), short, "{target} in {domain}");
    }
}
