//! Sockets of the simulated network, as the handles of the crate hold them.

use std::future::{pending, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use super::net::{End, ListenKey, NodeId};
use super::state::State;
use super::world::SimWorld;
use crate::net::Gather;

/// Received bytes.
pub(crate) type SimRecvBuf = Vec<u8>;

/// One life of a node, which a socket belongs to.
#[derive(Debug)]
struct Life {
    world: SimWorld,
    life: u64,
}

impl Life {
    fn current(world: &SimWorld) -> io::Result<Life> {
        let life = world.alive(|state| state.nodes[world.node].life)?;
        Ok(Life { world: world.clone(), life })
    }

    /// Runs `f` on the state and the time, unless this life has ended.
    fn alive<R>(&self, f: impl FnOnce(&mut State, u64) -> R) -> io::Result<R> {
        self.world.shared.with(|state| {
            let node = &state.nodes[self.world.node];
            if node.dying.is_some() || node.life != self.life {
                return Err(node.dead());
            }
            let now = state.clock.now_ns();
            Ok(f(state, now))
        })
    }

    /// Polls with `f`, which gives `None` while there is nothing yet.
    async fn wait<R>(
        &self,
        mut f: impl FnMut(&mut State, &std::task::Waker, u64) -> Option<R>,
    ) -> io::Result<R> {
        poll_fn(|cx| match self.alive(|state, now| f(state, cx.waker(), now)) {
            Ok(Some(ready)) => Poll::Ready(Ok(ready)),
            Ok(None) => Poll::Pending,
            Err(_) if self.world.is_dying() => Poll::Pending,
            Err(dead) => Poll::Ready(Err(dead)),
        })
        .await
    }
}

/// A listening socket.
#[derive(Debug)]
pub(crate) struct SimListener {
    life: Life,
    key: ListenKey,
    address: IpAddr,
}

impl SimListener {
    pub(crate) fn bind(world: &SimWorld, address: SocketAddr) -> io::Result<SimListener> {
        let life = Life::current(world)?;
        let key = life.alive(|state, _| {
            if locate(state, world.node, address.ip()) != Some(world.node) {
                return Err(io::Error::from_raw_os_error(libc::EADDRNOTAVAIL));
            }
            state.net.listen(world.node, address.port())
        })??;
        Ok(SimListener { life, key, address: address.ip() })
    }

    #[expect(clippy::unnecessary_wraps, reason = "the real socket may fail, and this is its twin")]
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::new(self.address, self.key.port))
    }

    pub(crate) async fn accept(&self) -> io::Result<(SimStream, SocketAddr)> {
        let accepted = self.life.wait(|state, waker, _| {
            let (end, peer, port) = state.net.accept(self.key, waker)?;
            Some((end, SocketAddr::new(state.nodes[peer].ip, port)))
        });
        let (end, peer) = accepted.await?;
        let life = Life { world: self.life.world.clone(), life: self.life.life };
        Ok((SimStream::new(Socket { life, end, sending: AtomicBool::new(false) }), peer))
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        drop(self.life.alive(|state, now| state.net.unlisten(self.key, now)));
    }
}

/// An end of a connection.
#[derive(Debug)]
struct Socket {
    life: Life,
    end: End,
    /// A send is in flight, or was dropped in flight.
    sending: AtomicBool,
}

impl Drop for Socket {
    fn drop(&mut self) {
        drop(self.life.alive(|state, now| state.net.close(self.end, now)));
    }
}

/// A connection. Dropping it ends both directions.
#[derive(Debug)]
pub(crate) struct SimStream {
    socket: Arc<Socket>,
}

impl SimStream {
    fn new(socket: Socket) -> SimStream {
        SimStream { socket: Arc::new(socket) }
    }

    pub(crate) async fn connect(world: &SimWorld, address: SocketAddr) -> io::Result<SimStream> {
        let life = Life::current(world)?;
        let end = life.alive(|state, now| {
            let to = locate(state, world.node, address.ip());
            let to = to.ok_or_else(|| io::Error::from_raw_os_error(libc::EHOSTUNREACH))?;
            Ok::<End, io::Error>(state.net.connect(world.node, to, address.port(), now))
        })??;
        let socket = Socket { life, end, sending: AtomicBool::new(false) };
        socket.life.wait(|state, waker, _| state.net.connected(end, waker)).await??;
        Ok(SimStream::new(socket))
    }

    pub(crate) fn set_nodelay(&self, _yes: bool) -> io::Result<()> {
        self.socket.life.alive(|_, _| ())
    }

    pub(crate) fn receiver(&self) -> SimReceive {
        SimReceive { socket: self.socket.clone(), ended: false }
    }

    pub(crate) async fn send(&self, gather: Gather) -> (io::Result<()>, Gather) {
        let sending = match Sending::begin(&self.socket, &gather) {
            Ok(sending) => sending,
            Err(_) if self.socket.life.world.is_dying() => return pending().await,
            Err(error) => return (Err(error), gather),
        };
        let end = self.socket.end;
        let sent = self.socket.life.wait(|state, waker, _| state.net.sent(end, waker)).await;
        sending.finish();
        (sent.and_then(|sent| sent), gather)
    }

    pub(crate) fn shutdown(&self) {
        // A dead node's connections are dealt with by its death.
        drop(self.socket.life.alive(|state, now| state.net.shutdown(self.socket.end, now)));
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// A send in flight. Dropped before it is finished, the stream is torn.
struct Sending<'a> {
    socket: &'a Socket,
    finished: bool,
}

impl Sending<'_> {
    fn begin<'a>(socket: &'a Socket, gather: &Gather) -> io::Result<Sending<'a>> {
        socket.life.alive(|state, now| {
            assert!(!socket.sending.swap(true, Ordering::Relaxed), "one send at a time on a connection");
            let sending = Sending { socket, finished: false };
            let bytes = gather.parts().collect::<Vec<_>>().concat();
            match state.net.send(socket.end, &bytes, now) {
                Ok(()) => Ok(sending),
                Err(error) => {
                    sending.finish();
                    Err(error)
                }
            }
        })?
    }

    fn finish(mut self) {
        self.finished = true;
        self.socket.sending.store(false, Ordering::Relaxed);
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.socket.sending.store(false, Ordering::Relaxed);
            drop(self.socket.life.alive(|state, now| state.net.tear(self.socket.end, now)));
        }
    }
}

/// The receiving end of a connection.
#[derive(Debug)]
pub(crate) struct SimReceive {
    socket: Arc<Socket>,
    ended: bool,
}

impl SimReceive {
    pub(crate) async fn next(&mut self) -> Option<io::Result<SimRecvBuf>> {
        if self.ended {
            return None;
        }
        let end = self.socket.end;
        let next = self.socket.life.wait(|state, waker, now| state.net.receive(end, waker, now)).await;
        let next = next.and_then(|next| next).transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// The node that an address means to a node.
fn locate(state: &State, from: NodeId, ip: IpAddr) -> Option<NodeId> {
    if ip.is_loopback() || ip.is_unspecified() {
        return Some(from);
    }
    state.nodes.iter().position(|node| node.ip == ip)
}
