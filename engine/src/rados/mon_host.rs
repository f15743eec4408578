//! The option `mon_host`: a list of monitors as people write it, parsed and printed without any look-up.
//!
//! ```text
//! 10.0.0.1,10.0.0.2;10.0.0.3  mon4.example.com:3300        one monitor each
//! v2:10.0.0.1:3300/0  [2001:db8::1]:3300  2001:db8::1      with a protocol, a nonce; IPv6 with and without brackets
//! [v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0]                  one monitor with its addresses
//! ```
//!
//! What is left out is filled in as clients of Ceph 16 do ([`Endpoint::addrs`]): without a protocol, port 3300 means the
//! second messenger protocol and port 6789 the first; another port could be either; no port means each at its own. In a
//! bracketed list, no protocol means the second.
//!
//! Where Ceph would refuse a list whose meaning is plain, it is read: white space after a comma in brackets, a protocol
//! before a name, names among addresses, a missing port in a bracketed list.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::num::NonZeroU16;
use std::str::FromStr;

use ringbd_proto::types::{AddrKind, EntityAddr};
use thiserror::Error;

/// Where monitors speak the second messenger protocol unless they were told otherwise.
pub const MON_PORT: u16 = 3300;

/// Where they speak the first.
pub const MON_PORT_LEGACY: u16 = 6789;

/// The longest list read: the longest text that an option takes.
pub const MON_HOST_BYTES_MAX: usize = 8 << 10;

/// The most monitors of one list. Clusters have three to nine; a list this long is no list of monitors.
pub const MON_HOST_MONITORS_MAX: usize = 64;

/// The longest name that DNS has.
const NAME_BYTES_MAX: usize = 253;

/// The longest part of a name between dots.
const LABEL_BYTES_MAX: usize = 63;

/// The list, parsed. It prints as it could have been written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonHost {
    /// The monitors, each with the endpoints it was written with: one, or several in brackets.
    pub monitors: Vec<Vec<Endpoint>>,
}

/// Where a monitor is, as far as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The protocol, if it was said.
    pub messenger: Option<Messenger>,
    /// The address, or the name to look it up by.
    pub host: Host,
    /// The port, if it was said.
    pub port: Option<NonZeroU16>,
    /// The nonce, which is 0 for monitors.
    pub nonce: u32,
}

/// The protocols that monitors speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Messenger {
    /// The first, which ringbd does not.
    V1,
    /// The second.
    V2,
}

/// An address or a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address.
    V6 {
        /// The address.
        ip: Ipv6Addr,
        /// The number of the interface for link-local addresses; 0 for others.
        scope: u32,
    },
    /// A name that DNS or the hosts file knows.
    Name(String),
}

/// What is wrong with the list, and with which part of it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{part:?} {kind}")]
pub struct MonHostError {
    /// The part.
    pub part: String,
    /// What is wrong with it.
    pub kind: MonHostErrorKind,
}

/// What is wrong with a part of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MonHostErrorKind {
    /// There is nothing in it.
    #[error("names no monitor")]
    Empty,
    /// It is longer than [`MON_HOST_BYTES_MAX`].
    #[error("is longer than {MON_HOST_BYTES_MAX} bytes")]
    TooLong,
    /// It has more than [`MON_HOST_MONITORS_MAX`] monitors or addresses of one.
    #[error("names more than {MON_HOST_MONITORS_MAX} monitors")]
    TooMany,
    /// A bracket is not closed, or not open.
    #[error("has a bracket without its counterpart")]
    Brackets,
    /// Something follows a closing bracket.
    #[error("has something other than a port after the closing bracket")]
    AfterBracket,
    /// `-`, which is how Ceph prints a blank address.
    #[error("is a blank address")]
    Blank,
    /// A port that cannot be one.
    #[error("has no port from 1 to 65535 after the last colon")]
    Port,
    /// A nonce that cannot be one.
    #[error("has no number after the slash")]
    Nonce,
    /// Colons in something that is no IPv6 address.
    #[error("is no IPv6 address")]
    Ipv6,
    /// Digits and dots that are no IPv4 address.
    #[error("is no IPv4 address")]
    Ipv4,
    /// An interface's name after `%`.
    #[error("names an interface, and only its number can be read")]
    Zone,
    /// Something else that is no name either.
    #[error("is neither an address nor a host name")]
    Name,
}

impl MonHostErrorKind {
    /// What to write instead.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Empty => "write mon_host = 10.0.0.1,10.0.0.2 or host names",
            Self::TooLong | Self::TooMany => "name some of the monitors; the others are learnt from them",
            Self::Brackets | Self::AfterBracket => {
                "write one monitor as [v2:10.0.0.1:3300,v1:10.0.0.1:6789], an IPv6 address as [2001:db8::1]:3300"
            }
            Self::Blank => "write the monitor's address",
            Self::Port => "write a port such as 10.0.0.1:3300, or leave it out",
            Self::Nonce => "a monitor's nonce is 0: write /0, or leave it out",
            Self::Ipv6 => "put an IPv6 address in brackets before a port, as in [2001:db8::1]:3300",
            Self::Ipv4 => "write four numbers from 0 to 255, as in 10.0.0.1",
            Self::Zone => "write the interface's number, as in [fe80::1%2]:3300; `ip link` lists them",
            Self::Name => "write an address such as 10.0.0.1, or a name of letters, digits, dashes and dots",
        }
    }
}

impl MonHost {
    /// The names that have to be looked up.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.monitors.iter().flatten().filter_map(|endpoint| endpoint.host.name())
    }
}

impl Endpoint {
    /// The addresses that are meant, once it is known where the host is; the port of `host` does not matter.
    ///
    /// Without a protocol there can be two: a client of Ceph tries them both.
    #[must_use]
    pub fn addrs(&self, host: SocketAddr) -> Vec<EntityAddr> {
        let port = self.port.map(NonZeroU16::get);
        let at = |kind, port| {
            let mut socket = host;
            socket.set_port(port);
            EntityAddr { kind, nonce: self.nonce, socket: Some(socket) }
        };
        let v2 = |port: Option<u16>| at(AddrKind::Msgr2, port.unwrap_or(MON_PORT));
        let v1 = |port: Option<u16>| at(AddrKind::Legacy, port.unwrap_or(MON_PORT_LEGACY));
        match (self.messenger, port) {
            (Some(Messenger::V2), _) | (None, Some(MON_PORT)) => vec![v2(port)],
            (Some(Messenger::V1), _) | (None, Some(MON_PORT_LEGACY)) => vec![v1(port)],
            (None, _) => vec![v2(port), v1(port)],
        }
    }
}

impl Host {
    /// The address, with port 0, if it was written as one.
    #[must_use]
    pub fn literal(&self) -> Option<SocketAddr> {
        match *self {
            Host::V4(ip) => Some(SocketAddr::new(IpAddr::V4(ip), 0)),
            Host::V6 { ip, scope } => Some(SocketAddr::V6(SocketAddrV6::new(ip, 0, 0, scope))),
            Host::Name(_) => None,
        }
    }

    /// The name, if it was written as one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Host::Name(name) => Some(name),
            Host::V4(_) | Host::V6 { .. } => None,
        }
    }
}

impl FromStr for MonHost {
    type Err = MonHostError;

    fn from_str(text: &str) -> Result<Self, MonHostError> {
        if text.len() > MON_HOST_BYTES_MAX {
            let part = text.chars().take(40).collect();
            return Err(MonHostError { part, kind: MonHostErrorKind::TooLong });
        }
        let monitors = parts(text)?.into_iter().map(monitor).collect::<Result<Vec<_>, _>>()?;
        match monitors.len() {
            0 => Err(wrong(text, MonHostErrorKind::Empty)),
            1..=MON_HOST_MONITORS_MAX => Ok(Self { monitors }),
            _ => Err(wrong(text, MonHostErrorKind::TooMany)),
        }
    }
}

impl FromStr for Endpoint {
    type Err = MonHostError;

    /// Reads one endpoint, without the brackets of a monitor with several.
    fn from_str(text: &str) -> Result<Self, MonHostError> {
        let at = |kind| wrong(text, kind);
        if text == "-" {
            return Err(at(MonHostErrorKind::Blank));
        }
        let (messenger, rest) = protocol(text);
        let (rest, nonce) = match rest.split_once('/') {
            None => (rest, 0),
            Some((rest, nonce)) => (rest, digits(nonce).ok_or(at(MonHostErrorKind::Nonce))?),
        };
        let (host, port) = split_port(rest).map_err(at)?;
        let port = match port {
            None | Some("") => 0,
            Some(port) => digits(port).ok_or(at(MonHostErrorKind::Port))?,
        };
        let port = u16::try_from(port).map_err(|_| at(MonHostErrorKind::Port))?;
        let host = parse_host(host).map_err(at)?;
        Ok(Self { messenger, host, port: NonZeroU16::new(port), nonce })
    }
}

fn wrong(part: &str, kind: MonHostErrorKind) -> MonHostError {
    MonHostError { part: part.to_owned(), kind }
}

/// Cuts a list at its separators, but not inside brackets.
fn parts(text: &str) -> Result<Vec<&str>, MonHostError> {
    let mut parts = Vec::new();
    let (mut start, mut depth) = (0, 0_u32);
    for (at, c) in text.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.checked_sub(1).ok_or_else(|| wrong(text, MonHostErrorKind::Brackets))?,
            _ if depth == 0 && (matches!(c, ',' | ';') || c.is_whitespace()) => {
                parts.push(&text[start..at]);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    if depth != 0 {
        return Err(wrong(text, MonHostErrorKind::Brackets));
    }
    parts.push(&text[start..]);
    parts.retain(|part| !part.is_empty());
    Ok(parts)
}

/// One monitor: an endpoint, or several in brackets.
fn monitor(part: &str) -> Result<Vec<Endpoint>, MonHostError> {
    let Some(opened) = part.strip_prefix('[').filter(|opened| !is_bracketed_address(opened)) else {
        return Ok(vec![part.parse()?]);
    };
    let inner = opened.strip_suffix(']').ok_or_else(|| wrong(part, MonHostErrorKind::AfterBracket))?;
    let mut endpoints =
        parts(inner)?.into_iter().map(Endpoint::from_str).collect::<Result<Vec<Endpoint>, _>>()?;
    for endpoint in &mut endpoints {
        endpoint.messenger.get_or_insert(Messenger::V2);
    }
    match endpoints.len() {
        0 => Err(wrong(part, MonHostErrorKind::Empty)),
        1..=MON_HOST_MONITORS_MAX => Ok(endpoints),
        _ => Err(wrong(part, MonHostErrorKind::TooMany)),
    }
}

/// Whether what follows an opening bracket is one address in brackets, and not a list.
fn is_bracketed_address(opened: &str) -> bool {
    let Some((inner, _)) = opened.split_once(']') else { return false };
    let (messenger, _) = protocol(inner);
    let colons = inner.matches(':').count();
    messenger.is_none()
        && !inner.contains([',', ';', '['])
        && (colons >= 2 || inner.parse::<Ipv4Addr>().is_ok())
}

/// The protocol in front, and the rest. `any:` is Ceph's word for not saying.
fn protocol(text: &str) -> (Option<Messenger>, &str) {
    let prefixes = [("v1:", Some(Messenger::V1)), ("v2:", Some(Messenger::V2)), ("any:", None)];
    prefixes
        .into_iter()
        .find_map(|(prefix, messenger)| Some((messenger, text.strip_prefix(prefix)?)))
        .unwrap_or((None, text))
}

fn digits(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The host, and the port as written.
fn split_port(text: &str) -> Result<(&str, Option<&str>), MonHostErrorKind> {
    if let Some(opened) = text.strip_prefix('[') {
        let (host, rest) = opened.split_once(']').ok_or(MonHostErrorKind::Brackets)?;
        return match (rest, rest.strip_prefix(':')) {
            ("", _) => Ok((host, None)),
            (_, Some(port)) => Ok((host, Some(port))),
            (_, None) => Err(MonHostErrorKind::AfterBracket),
        };
    }
    match text.matches(':').count() {
        1 => Ok(text.split_once(':').map(|(host, port)| (host, Some(port))).expect("a colon was counted")),
        _ => Ok((text, None)),
    }
}

fn parse_host(text: &str) -> Result<Host, MonHostErrorKind> {
    if text.contains(':') {
        let (ip, scope) = text.split_once('%').map_or((text, None), |(ip, scope)| (ip, Some(scope)));
        let ip = ip.parse().map_err(|_| MonHostErrorKind::Ipv6)?;
        let scope = scope.map_or(Ok(0), |scope| digits(scope).ok_or(MonHostErrorKind::Zone))?;
        return Ok(Host::V6 { ip, scope });
    }
    if let Ok(ip) = text.parse() {
        return Ok(Host::V4(ip));
    }
    if !text.is_empty() && text.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit()) {
        return Err(MonHostErrorKind::Ipv4);
    }
    if is_name(text) { Ok(Host::Name(text.to_owned())) } else { Err(MonHostErrorKind::Name) }
}

/// Whether a text can be a name in DNS; underscores are in use, though no host should have one.
pub(super) fn is_name(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
    };
    text.len() <= NAME_BYTES_MAX && text.split('.').all(is_label)
}

impl fmt::Display for MonHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, monitor) in self.monitors.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            let several = monitor.len() > 1;
            if several {
                f.write_str("[")?;
            }
            for (at, endpoint) in monitor.iter().enumerate() {
                write!(f, "{}{endpoint}", if at > 0 { "," } else { "" })?;
            }
            if several {
                f.write_str("]")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = match (self.messenger, &self.host) {
            (Some(Messenger::V1), _) => "v1:",
            (Some(Messenger::V2), _) => "v2:",
            // A host may be called as a protocol is.
            (None, Host::Name(name)) if matches!(name.as_str(), "v1" | "v2" | "any") => "any:",
            (None, _) => "",
        };
        write!(f, "{prefix}{}", self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        match self.nonce {
            0 => Ok(()),
            nonce => write!(f, "/{nonce}"),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::V4(ip) => ip.fmt(f),
            Host::V6 { ip, scope: 0 } => write!(f, "[{ip}]"),
            Host::V6 { ip, scope } => write!(f, "[{ip}%{scope}]"),
            Host::Name(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
#[path = "mon_host_tests.rs"]
mod tests;
