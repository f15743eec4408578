//! The server: one thread that sleeps until a connection has something, then answers all whole requests of it
//! with one write.

use crate::wire::{HEADER, REQUEST};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};

struct Connection {
    stream: TcpStream,
    tag: [u8; 8],
    at: usize,
    replies: Vec<u8>,
}

/// Starts the server on a CPU; it ends with the process.
pub(crate) fn start(cpu: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback is there");
    let address = listener.local_addr().expect("it is bound");
    listener.set_nonblocking(true).expect("it is a socket");
    std::thread::spawn(move || {
        core_affinity::set_for_current(core_affinity::CoreId { id: cpu });
        serve(&listener);
    });
    address
}

fn serve(listener: &TcpListener) {
    let mut connections: Vec<Connection> = Vec::new();
    let mut bytes = vec![0; 1 << 18];
    loop {
        let streams = connections.iter().map(|connection| connection.stream.as_raw_fd());
        wait(std::iter::once(listener.as_raw_fd()).chain(streams));
        if let Ok((stream, _)) = listener.accept() {
            stream.set_nodelay(true).expect("it is a TCP socket");
            stream.set_nonblocking(true).expect("it is a socket");
            connections.push(Connection { stream, tag: [0; 8], at: 0, replies: Vec::new() });
        }
        connections.retain_mut(|connection| match connection.stream.read(&mut bytes) {
            Ok(0) => false,
            Ok(n) => connection.answer(&bytes[..n]),
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        });
    }
}

/// Sleeps until one of them can be read.
fn wait(sockets: impl Iterator<Item = RawFd>) {
    let mut polled: Vec<libc::pollfd> =
        sockets.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }).collect();
    // SAFETY: `polled` is a live array of the length given.
    unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, -1) };
}

impl Connection {
    /// False when the peer is gone.
    fn answer(&mut self, mut bytes: &[u8]) -> bool {
        self.replies.clear();
        while !bytes.is_empty() {
            let n = (REQUEST - self.at).min(bytes.len());
            if self.at < 8 {
                let part = n.min(8 - self.at);
                self.tag[self.at..self.at + part].copy_from_slice(&bytes[..part]);
            }
            self.at += n;
            bytes = &bytes[n..];
            if self.at == REQUEST {
                self.at = 0;
                let start = self.replies.len();
                self.replies.resize(start + HEADER, 0);
                self.replies[start..start + 8].copy_from_slice(&self.tag);
            }
        }
        let mut sent = 0;
        while sent < self.replies.len() {
            match self.stream.write(&self.replies[sent..]) {
                Ok(n) => sent += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                Err(_) => return false,
            }
        }
        true
    }
}
