//! TCP: multishot receive into the core's provided-buffer ring, one gathered send in flight per connection.

mod accept;
mod connect;
mod gather;
pub(crate) mod message;
mod receive;
pub(crate) mod recv_ring;
mod send;
mod socket;
pub(crate) mod socket_address;

pub use accept::TcpListener;
pub use gather::Gather;
pub use receive::{Receive, RecvBuf};

use crate::sim::SimStream;
use crate::world::World;
use socket::Socket;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// A TCP connection. Dropping it closes the connection, also while a [`Receive`] of it is alive.
#[derive(Debug)]
pub struct TcpStream {
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Real(Arc<Socket>),
    Sim(SimStream),
}

impl TcpStream {
    fn real(socket: Socket) -> TcpStream {
        TcpStream { inner: Inner::Real(Arc::new(socket)) }
    }

    pub(crate) fn simulated(stream: SimStream) -> TcpStream {
        TcpStream { inner: Inner::Sim(stream) }
    }

    /// Connects, in the world of the running core.
    pub async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        match World::current().as_simulated() {
            None => connect::connect(address).await.map(TcpStream::real),
            Some(world) => SimStream::connect(world, address).await.map(TcpStream::simulated),
        }
    }

    /// Sends small frames at once (TCP_NODELAY).
    pub fn set_nodelay(&self, yes: bool) -> io::Result<()> {
        match &self.inner {
            Inner::Real(socket) => socket.set_nodelay(yes),
            Inner::Sim(stream) => stream.set_nodelay(yes),
        }
    }

    /// What arrives. There is one receiver of a connection at a time.
    pub fn receiver(&self) -> Receive {
        match &self.inner {
            Inner::Real(socket) => Receive::real(socket.clone()),
            Inner::Sim(stream) => Receive::simulated(stream.receiver()),
        }
    }

    /// Sends everything, in order, or fails. One send at a time: a second one while the first is in
    /// flight is a bug and panics. When a send is dropped half way the stream is torn, and later sends fail.
    pub async fn send(&self, gather: Gather) -> (io::Result<()>, Gather) {
        match &self.inner {
            Inner::Real(socket) => send::send(socket, gather).await,
            Inner::Sim(stream) => stream.send(gather).await,
        }
    }

    /// Ends both directions: the peer reads the end of the stream, and so does the receiver.
    pub fn shutdown(&self) {
        match &self.inner {
            Inner::Real(socket) => socket.shutdown(),
            Inner::Sim(stream) => stream.shutdown(),
        }
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        match &self.inner {
            // A receive in flight and the cores' tables of registered files hold the socket open; this ends
            // it all the same.
            Inner::Real(socket) => socket.shutdown(),
            Inner::Sim(_) => {}
        }
    }
}
