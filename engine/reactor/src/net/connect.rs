//! Connecting.

use super::socket::Socket;
use super::socket_address::SocketAddress;
use crate::core::{Op, Payload};
use io_uring::{opcode, types};
use std::io;
use std::net::SocketAddr;

/// Opens a socket and connects it.
pub(super) async fn connect(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Socket::for_address(address)?);
    let room = Box::new(SocketAddress::from_std(address));
    let fd = types::Fd(socket.descriptor.raw());
    let entry = opcode::Connect::new(fd, (&raw const room.storage).cast(), room.len).build();
    // SAFETY: the address is boxed and owned by the payload, the descriptor is kept.
    let op = unsafe { Op::submit(entry, Payload::Connect(room), Some(socket.descriptor.clone())) };
    match op.await.cqe.result {
        0 => Ok(socket),
        error => Err(io::Error::from_raw_os_error(-error)),
    }
}
