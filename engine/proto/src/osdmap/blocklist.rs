//! Who must not write any more.

use super::wire::Addrs;
use crate::types::{AddrKind, EntityAddr};
use std::net::{IpAddr, SocketAddr};

/// The addresses that OSDs refuse, each until some time, which is for the monitors to watch: an entry counts while it is
/// in the map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocklist {
    /// Clients, each by its address and nonce. Without port and nonce it is everybody at an address.
    pub clients: Addrs,
    /// Networks: the nonce says how many bits of the address count.
    pub ranges: Addrs,
}

impl Blocklist {
    /// Whether the client with that address is refused.
    pub fn has(&self, addr: &EntityAddr) -> bool {
        if self.clients.is_empty() && self.ranges.is_empty() {
            return false;
        }
        let addr = EntityAddr { kind: AddrKind::Any, ..*addr };
        let host = addr.socket.map(|socket| EntityAddr {
            kind: AddrKind::Any,
            nonce: 0,
            socket: Some(SocketAddr::new(socket.ip(), 0)),
        });
        self.clients.contains_key(&addr)
            || host.is_some_and(|host| self.clients.contains_key(&host))
            || addr.socket.is_some_and(|socket| self.ranges.keys().any(|range| covers(range, socket.ip())))
    }
}

/// Whether the network `range` has `ip`.
fn covers(range: &EntityAddr, ip: IpAddr) -> bool {
    let differs = |a: u128, b: u128, bits: u32| {
        let prefix = range.nonce.min(bits);
        (a ^ b).checked_shr(bits - prefix).unwrap_or(0) != 0
    };
    match (range.socket.map(|socket| socket.ip()), ip) {
        (Some(IpAddr::V4(net)), IpAddr::V4(ip)) => !differs(net.to_bits().into(), ip.to_bits().into(), 32),
        (Some(IpAddr::V6(net)), IpAddr::V6(ip)) => !differs(net.to_bits(), ip.to_bits(), 128),
        (None | Some(_), _) => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::types::Utime;

    fn addr(socket: &str, nonce: u32) -> EntityAddr {
        EntityAddr { kind: AddrKind::Any, nonce, socket: Some(socket.parse().unwrap()) }
    }

    #[test]
    fn a_client_is_refused_by_its_address_and_nonce_or_with_its_host() {
        let mut list = Blocklist::default();
        list.clients.insert(addr("10.0.0.1:0", 77), Utime::default());
        list.clients.insert(addr("10.0.0.2:0", 0), Utime::default());
        assert!(list.has(&addr("10.0.0.1:0", 77)));
        assert!(list.has(&EntityAddr { kind: AddrKind::Msgr2, ..addr("10.0.0.1:0", 77) }));
        assert!(!list.has(&addr("10.0.0.1:0", 78)));
        assert!(list.has(&addr("10.0.0.2:6800", 5)));
        assert!(!list.has(&addr("10.0.0.3:6800", 5)));
        assert!(!list.has(&EntityAddr::default()));
    }

    #[test]
    fn a_network_refuses_all_that_are_in_it() {
        let mut list = Blocklist::default();
        let network = |net: &str, bits: u32| EntityAddr { kind: AddrKind::Cidr, ..addr(net, bits) };
        list.ranges.insert(network("10.1.2.0:0", 24), Utime::default());
        list.ranges.insert(network("[2001:db8::]:0", 33), Utime::default());
        assert!(list.has(&addr("10.1.2.255:1", 9)));
        assert!(!list.has(&addr("10.1.3.0:1", 9)));
        assert!(list.has(&addr("[2001:db8:7fff::1]:1", 9)));
        assert!(!list.has(&addr("[2001:db8:8000::1]:1", 9)));
        list.ranges.insert(network("0.0.0.0:0", 0), Utime::default());
        assert!(list.has(&addr("255.1.1.1:1", 9)));
    }
}
