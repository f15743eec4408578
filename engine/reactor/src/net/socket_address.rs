//! Socket addresses as the kernel lays them out.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Room for an IPv4 or IPv6 address, and its length.
#[repr(C)]
pub(crate) struct SocketAddress {
    pub(super) storage: libc::sockaddr_storage,
    pub(super) len: libc::socklen_t,
}

impl std::fmt::Debug for SocketAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SocketAddress({:?})", self.to_std())
    }
}

impl SocketAddress {
    /// Room for the kernel to write an address to.
    pub(super) fn room() -> SocketAddress {
        // SAFETY: all-zero is a valid sockaddr_storage, of no family.
        let storage = unsafe { std::mem::zeroed() };
        SocketAddress { storage, len: size_of::<libc::sockaddr_storage>() as libc::socklen_t }
    }

    pub(super) fn from_std(address: SocketAddr) -> SocketAddress {
        let mut room = SocketAddress::room();
        let place = &raw mut room.storage;
        match address {
            SocketAddr::V4(address) => {
                let raw = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: address.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
                    sin_zero: [0; 8],
                };
                // SAFETY: a sockaddr_storage is as large and as aligned as any socket address.
                unsafe { place.cast::<libc::sockaddr_in>().write(raw) };
                room.len = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            }
            SocketAddr::V6(address) => {
                let raw = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: address.port().to_be(),
                    sin6_flowinfo: address.flowinfo(),
                    sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
                    sin6_scope_id: address.scope_id(),
                };
                // SAFETY: as above.
                unsafe { place.cast::<libc::sockaddr_in6>().write(raw) };
                room.len = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
            }
        }
        room
    }

    /// `None` when the family is neither IPv4 nor IPv6.
    pub(super) fn to_std(&self) -> Option<SocketAddr> {
        let place = &raw const self.storage;
        match i32::from(self.storage.ss_family) {
            libc::AF_INET => {
                // SAFETY: the family says that it is a sockaddr_in, for which the storage is large enough.
                let raw = unsafe { place.cast::<libc::sockaddr_in>().read() };
                let ip = Ipv4Addr::from(raw.sin_addr.s_addr.to_ne_bytes());
                Some(SocketAddrV4::new(ip, u16::from_be(raw.sin_port)).into())
            }
            libc::AF_INET6 => {
                // SAFETY: the family says that it is a sockaddr_in6, for which the storage is large enough.
                let raw = unsafe { place.cast::<libc::sockaddr_in6>().read() };
                let ip = Ipv6Addr::from(raw.sin6_addr.s6_addr);
                Some(
                    SocketAddrV6::new(ip, u16::from_be(raw.sin6_port), raw.sin6_flowinfo, raw.sin6_scope_id)
                        .into(),
                )
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_kernel_layout() {
        for text in ["127.0.0.1:3300", "10.1.2.3:65535", "[::1]:6789", "[fe80::1%3]:1"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(SocketAddress::from_std(address).to_std(), Some(address));
        }
        assert_eq!(SocketAddress::room().to_std(), None);
    }
}
