//! Listening and accepting.

use super::TcpStream;
use super::socket::{Socket, set_option};
use super::socket_address::SocketAddress;
use crate::core::{Op, Payload};
use crate::ring::Descriptor;
use crate::sim::SimListener;
use crate::world::World;
use io_uring::{opcode, types};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;

/// Connections that may wait to be accepted; the kernel cuts it to net.core.somaxconn.
const BACKLOG: i32 = 1024;

/// A listening TCP socket.
#[derive(Debug)]
pub struct TcpListener {
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Real(Arc<Descriptor>),
    Sim(SimListener),
}

impl TcpListener {
    /// Listens on `address`, in the world of the running core. Port 0 takes any free one.
    pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
        let inner = match World::current().as_simulated() {
            None => Inner::Real(Arc::new(Descriptor::new(bind(address)?))),
            Some(world) => Inner::Sim(SimListener::bind(world, address)?),
        };
        Ok(TcpListener { inner })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.inner {
            Inner::Real(descriptor) => local_addr(descriptor.raw()),
            Inner::Sim(listener) => listener.local_addr(),
        }
    }

    /// The next connection.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match &self.inner {
            Inner::Real(descriptor) => accept(descriptor).await,
            Inner::Sim(listener) => {
                listener.accept().await.map(|(stream, peer)| (TcpStream::simulated(stream), peer))
            }
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<OwnedFd> {
    let fd = Socket::for_address(address)?;
    set_option(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    let raw = SocketAddress::from_std(address);
    // SAFETY: `raw` is a live address of the length it says.
    if unsafe { libc::bind(fd.as_raw_fd(), (&raw const raw.storage).cast(), raw.len) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: listen takes no pointers.
    if unsafe { libc::listen(fd.as_raw_fd(), BACKLOG) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(fd)
}

fn local_addr(fd: i32) -> io::Result<SocketAddr> {
    let mut room = SocketAddress::room();
    // SAFETY: the storage is live, and `len` says how large it is.
    if unsafe { libc::getsockname(fd, (&raw mut room.storage).cast(), &raw mut room.len) } != 0 {
        return Err(io::Error::last_os_error());
    }
    room.to_std().ok_or_else(|| io::ErrorKind::Unsupported.into())
}

async fn accept(listener: &Arc<Descriptor>) -> io::Result<(TcpStream, SocketAddr)> {
    loop {
        let mut room = Box::new(SocketAddress::room());
        let entry =
            opcode::Accept::new(types::Fd(listener.raw()), (&raw mut room.storage).cast(), &raw mut room.len);
        let entry = entry.flags(libc::SOCK_CLOEXEC).build();
        // SAFETY: the kernel writes to the boxed address, which the payload owns; the listener is kept.
        let op = unsafe { Op::submit(entry, Payload::Accept(room), Some(listener.clone())) };
        let finished = op.await;
        let Payload::Accept(room) = finished.payload else { unreachable!("submitted as an accept") };
        match finished.cqe.result {
            fd if fd >= 0 => {
                // SAFETY: the kernel just made this descriptor for us.
                let socket = Socket::new(unsafe { OwnedFd::from_raw_fd(fd) });
                let peer = room.to_std().ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))?;
                return Ok((TcpStream::real(socket), peer));
            }
            // The peer went away before it was accepted.
            error if -error == libc::ECONNABORTED || -error == libc::EINTR => {}
            error => return Err(io::Error::from_raw_os_error(-error)),
        }
    }
}
