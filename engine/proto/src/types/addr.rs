//! Where a participant is: an address, the protocol spoken there, and a nonce that tells one life of the process from
//! the next.

use crate::codec::{DecodeError, Decoder, Encoder};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Linux's numbers of the address families, which is what travels.
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
/// Bytes of a socket address after its family.
const V4_BODY: usize = 14;
const V6_BODY: usize = 26;
/// Addresses of one participant: one a protocol and IP version today.
const ADDRS_MAX: usize = 64;

/// What is spoken at an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AddrKind {
    /// Nothing.
    #[default]
    None,
    /// The first messenger protocol, which ringbd does not speak.
    Legacy,
    /// The second.
    Msgr2,
    /// Either; the kind of a client, and of a blocklist's entry.
    Any,
    /// A network, in a blocklist; the nonce is how many bits of the address count.
    Cidr,
    /// A kind that this release does not know.
    Other(u32),
}

impl AddrKind {
    fn from_number(number: u32) -> AddrKind {
        match number {
            0 => AddrKind::None,
            1 => AddrKind::Legacy,
            2 => AddrKind::Msgr2,
            3 => AddrKind::Any,
            4 => AddrKind::Cidr,
            other => AddrKind::Other(other),
        }
    }

    fn number(self) -> u32 {
        match self {
            AddrKind::None => 0,
            AddrKind::Legacy => 1,
            AddrKind::Msgr2 => 2,
            AddrKind::Any => 3,
            AddrKind::Cidr => 4,
            AddrKind::Other(other) => other,
        }
    }
}

/// One address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntityAddr {
    /// What is spoken there.
    pub kind: AddrKind,
    /// One life of the process; 0 for monitors.
    pub nonce: u32,
    /// The socket; none when the address is blank.
    pub socket: Option<SocketAddr>,
}

impl EntityAddr {
    /// Reads one, in the present form or the one of clusters that never knew the second protocol.
    pub fn decode(d: &mut Decoder<'_>) -> Result<EntityAddr, DecodeError> {
        match d.u8()? {
            0 => EntityAddr::decode_legacy(d),
            1 => d.versioned("an address", 1, |d, _| {
                let (kind, nonce) = (AddrKind::from_number(d.u32()?), d.u32()?);
                let mut body = d.nested("a socket address")?;
                let socket = match body.left() {
                    0 => None,
                    _ => {
                        let family = body.u16()?;
                        decode_socket(&mut body, family)?
                    }
                };
                Ok(EntityAddr { kind, nonce, socket })
            }),
            _ => Err(d.invalid("an address of an unknown form")),
        }
    }

    /// The form's first byte was read.
    fn decode_legacy(d: &mut Decoder<'_>) -> Result<EntityAddr, DecodeError> {
        d.bytes(3)?;
        let nonce = d.u32()?;
        let mut body = Decoder::new("a socket address", d.bytes(128)?);
        let family = u16::from_be_bytes(body.array()?);
        let socket = decode_socket(&mut body, family)?;
        Ok(EntityAddr { kind: AddrKind::Legacy, nonce, socket })
    }

    /// Writes it, in the present form.
    pub fn encode(&self, e: &mut Encoder<'_>) {
        e.u8(1).versioned(1, 1, |e| {
            e.u32(self.kind.number()).u32(self.nonce);
            match self.socket {
                None => e.u32(0),
                Some(SocketAddr::V4(addr)) => {
                    e.count(2 + V4_BODY).u16(AF_INET).bytes(&addr.port().to_be_bytes());
                    e.bytes(&addr.ip().octets()).zeros(8)
                }
                Some(SocketAddr::V6(addr)) => {
                    e.count(2 + V6_BODY).u16(AF_INET6).bytes(&addr.port().to_be_bytes());
                    e.bytes(&addr.flowinfo().to_be_bytes()).bytes(&addr.ip().octets()).u32(addr.scope_id())
                }
            };
        });
    }
}

fn decode_socket(d: &mut Decoder<'_>, family: u16) -> Result<Option<SocketAddr>, DecodeError> {
    match family {
        0 => Ok(None),
        AF_INET => {
            let port = u16::from_be_bytes(d.array()?);
            Ok(Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(d.array::<4>()?)), port)))
        }
        AF_INET6 => {
            let (port, flow) = (u16::from_be_bytes(d.array()?), u32::from_be_bytes(d.array()?));
            let ip = Ipv6Addr::from(d.array::<16>()?);
            Ok(Some(SocketAddr::V6(SocketAddrV6::new(ip, port, flow, d.u32()?))))
        }
        _ => Err(d.invalid("a socket address that is neither IPv4 nor IPv6")),
    }
}

impl fmt::Display for EntityAddr {
    /// As Ceph writes it: `v2:127.0.0.1:3300/0`. A blocklist's entries have no word before them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            AddrKind::None => return f.write_str("-"),
            AddrKind::Legacy => f.write_str("v1:")?,
            AddrKind::Msgr2 => f.write_str("v2:")?,
            AddrKind::Any => {}
            AddrKind::Cidr => f.write_str("cidr:")?,
            AddrKind::Other(kind) => write!(f, "type{kind}:")?,
        }
        match self.socket {
            Some(socket) => write!(f, "{socket}/{}", self.nonce),
            None => write!(f, ":/{}", self.nonce),
        }
    }
}

/// All addresses of a participant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EntityAddrVec(pub Vec<EntityAddr>);

impl EntityAddrVec {
    /// Reads them: a list, or a single address of older senders.
    pub fn decode(d: &mut Decoder<'_>) -> Result<EntityAddrVec, DecodeError> {
        let mut form = d.clone();
        match form.u8()? {
            0 | 1 => EntityAddr::decode(d).map(|addr| EntityAddrVec(vec![addr])),
            2 => {
                *d = form;
                let addrs = d.list(7, EntityAddr::decode)?;
                if addrs.len() > ADDRS_MAX {
                    return Err(d.invalid("more addresses than one participant can have"));
                }
                Ok(EntityAddrVec(addrs))
            }
            _ => Err(d.invalid("a list of addresses of an unknown form")),
        }
    }

    /// Writes them.
    pub fn encode(&self, e: &mut Encoder<'_>) {
        e.u8(2).list(self.0.iter(), |e, addr| addr.encode(e));
    }

    /// Where the second protocol is spoken.
    pub fn msgr2(&self) -> Option<&EntityAddr> {
        self.0.iter().find(|addr| addr.kind == AddrKind::Msgr2 && addr.socket.is_some())
    }
}

impl fmt::Display for EntityAddrVec {
    /// As Ceph writes it: `[v2:127.0.0.1:3300/0,v1:127.0.0.1:6789/0]`, without brackets when there is one or none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0[..] {
            [] => return Ok(()),
            [addr] => return addr.fmt(f),
            [_, _, ..] => {}
        }
        f.write_str("[")?;
        for (at, addr) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            addr.fmt(f)?;
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back() {
        for text in ["127.0.0.1:3300", "[fe80::1%3]:6800", "[::1]:1"] {
            let socket = text.parse().ok();
            let addr = EntityAddr { kind: AddrKind::Msgr2, nonce: 77, socket };
            let bytes = Encoder::to_vec(|e| addr.encode(e));
            let mut d = Decoder::new("test", &bytes);
            assert_eq!(EntityAddr::decode(&mut d), Ok(addr));
            assert_eq!(d.left(), 0);
        }
    }
}
