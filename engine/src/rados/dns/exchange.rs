//! One question to one server: over UDP, and over TCP if the answer does not fit.
//!
//! Blocks, and never longer than it is told. What does not belong to the question (late answers, strangers' datagrams,
//! malformed ones) is passed over while there is time.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use ringbd_reactor::{Instant, World};

use super::message::{ANSWER_BYTES_MAX, Answer, Query};

/// A point in time after which nothing is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Instant);

impl Deadline {
    pub(super) fn after(wait: Duration) -> Self {
        Self(World::real().now() + wait)
    }

    /// This one, or one after `wait` if that is earlier.
    pub(super) fn or_after(self, wait: Duration) -> Self {
        Self(self.0.min(Self::after(wait).0))
    }

    /// The time left.
    pub(super) fn left(self) -> io::Result<Duration> {
        let left = self.0.duration_since(World::real().now());
        if left.is_zero() { Err(io::Error::from(io::ErrorKind::TimedOut)) } else { Ok(left) }
    }
}

/// Asks one server.
pub(super) fn ask(server: SocketAddr, query: &Query<'_>, deadline: Deadline) -> io::Result<Answer> {
    let question =
        query.encode().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the name is too long"))?;
    match over_udp(server, query, &question, deadline)? {
        Answer::Truncated => over_tcp(server, query, &question, deadline),
        answer => Ok(answer),
    }
}

fn over_udp(
    server: SocketAddr,
    query: &Query<'_>,
    question: &[u8],
    deadline: Deadline,
) -> io::Result<Answer> {
    let any = match server {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0))?;
    // The kernel passes on nothing but this server's datagrams, and its refusals.
    socket.connect(server)?;
    socket.send(question)?;
    let mut bytes = vec![0; ANSWER_BYTES_MAX];
    loop {
        socket.set_read_timeout(Some(deadline.left()?))?;
        let length = match socket.recv(&mut bytes) {
            Ok(length) => length,
            Err(error) => return Err(as_timeout(error)),
        };
        match query.read(&bytes[..length]) {
            None | Some(Answer::Foreign) => {}
            Some(answer) => return Ok(answer),
        }
    }
}

fn over_tcp(
    server: SocketAddr,
    query: &Query<'_>,
    question: &[u8],
    deadline: Deadline,
) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&server, deadline.left()?)?;
    let length = u16::try_from(question.len()).expect("a name is at most 255 bytes long");
    stream.set_write_timeout(Some(deadline.left()?))?;
    stream.write_all(&[&length.to_be_bytes(), question].concat())?;
    let mut length = [0; 2];
    read_exact(&mut stream, &mut length, deadline)?;
    let length = usize::from(u16::from_be_bytes(length));
    let malformed = |why: &'static str| io::Error::new(io::ErrorKind::InvalidData, why);
    if length > ANSWER_BYTES_MAX {
        return Err(malformed("its answer is too long"));
    }
    let mut bytes = vec![0; length];
    read_exact(&mut stream, &mut bytes, deadline)?;
    match query.read(&bytes) {
        None | Some(Answer::Foreign | Answer::Truncated) => Err(malformed("its answer is malformed")),
        Some(answer) => Ok(answer),
    }
}

fn read_exact(stream: &mut TcpStream, mut bytes: &mut [u8], deadline: Deadline) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.set_read_timeout(Some(deadline.left()?))?;
        match stream.read(bytes).map_err(as_timeout)? {
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            read => bytes = &mut bytes[read..],
        }
    }
    Ok(())
}

/// A read that waited long enough fails with "would block", which tells nobody anything.
fn as_timeout(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::Error::from(io::ErrorKind::TimedOut),
        _ => error,
    }
}
