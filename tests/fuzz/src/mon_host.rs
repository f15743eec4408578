//! How a cluster's monitors are named: lists of addresses, and what DNS servers answer.

use ringbd::rados::{MON_HOST_MONITORS_MAX, MonHost, dns};

/// A list of monitors parses, prints as itself and names no more than the limit, or is refused on one line.
pub fn mon_host(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match text.parse::<MonHost>() {
        Ok(list) => {
            assert_eq!(list.to_string().parse(), Ok(list.clone()), "{list}");
            assert!((1..=MON_HOST_MONITORS_MAX).contains(&list.monitors.len()), "{list}");
            let endpoints = list.monitors.iter().flatten();
            for host in endpoints.filter_map(|one| Some(one.addrs(one.host.literal()?))) {
                assert!(
                    host.iter().all(|addr| addr.socket.is_some_and(|socket| socket.port() != 0)),
                    "{list}"
                );
            }
        }
        Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
    }
}

/// A DNS message is an answer to the question for monitors, or it is not; a resolver's configuration always reads.
pub fn dns_answer(bytes: &[u8]) {
    dns::fuzz_answer(bytes);
    let conf = dns::ResolvConf::parse(&String::from_utf8_lossy(bytes), "node1.example.com");
    assert!(!conf.servers.is_empty() && !conf.full_names("_ceph-mon._tcp").is_empty());
}
