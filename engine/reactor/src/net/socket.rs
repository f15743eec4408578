//! A socket of the real world.

use crate::ring::Descriptor;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// What a connection's sending half does.
const IDLE: u8 = 0;
const SENDING: u8 = 1;
const TORN: u8 = 2;

#[derive(Debug)]
pub(super) struct Socket {
    pub(super) descriptor: Arc<Descriptor>,
    sending: AtomicU8,
}

/// The right to send on a connection. Dropped before [`SendTurn::done`], it leaves the stream torn.
pub(super) struct SendTurn<'a> {
    socket: &'a Socket,
}

impl Socket {
    pub(super) fn new(fd: OwnedFd) -> Socket {
        Socket { descriptor: Arc::new(Descriptor::new(fd)), sending: AtomicU8::new(IDLE) }
    }

    /// An unconnected TCP socket for that kind of address.
    pub(super) fn for_address(address: SocketAddr) -> io::Result<OwnedFd> {
        let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        // SAFETY: socket takes no pointers.
        let fd = unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just returned by socket and nobody else owns it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    pub(super) fn set_nodelay(&self, yes: bool) -> io::Result<()> {
        set_option(self.descriptor.raw(), libc::IPPROTO_TCP, libc::TCP_NODELAY, i32::from(yes))
    }

    pub(super) fn shutdown(&self) {
        // SAFETY: shutdown takes no pointers. It fails on a connection that has ended, which is what is asked
        // for.
        unsafe { libc::shutdown(self.descriptor.raw(), libc::SHUT_RDWR) };
    }

    pub(super) fn begin_send(&self) -> io::Result<SendTurn<'_>> {
        match self.sending.compare_exchange(IDLE, SENDING, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(SendTurn { socket: self }),
            Err(TORN) => Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "an earlier send on this connection was given up half way; connect again",
            )),
            Err(_) => panic!("one send at a time on a connection"),
        }
    }
}

impl SendTurn<'_> {
    /// The send ended with the stream whole.
    pub(super) fn done(self) {
        self.socket.sending.store(IDLE, Ordering::Release);
        std::mem::forget(self);
    }
}

impl Drop for SendTurn<'_> {
    fn drop(&mut self) {
        self.socket.sending.store(TORN, Ordering::Release);
    }
}

/// Sets an int option.
pub(super) fn set_option(fd: RawFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    let len = libc::socklen_t::try_from(size_of::<i32>()).expect("an int is small");
    // SAFETY: `value` is a live int and `len` its size.
    if unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), len) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
