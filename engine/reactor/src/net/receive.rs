//! Receiving: one multishot operation serves a connection until the kernel ends it, then it is started again.

use super::recv_ring::{GROUP, RecvRing};
use super::socket::Socket;
use crate::core::{Core, Stream};
use crate::ring::with_target;
use crate::sim::{SimReceive, SimRecvBuf};
use io_uring::{cqueue, opcode, squeue};
use std::future::poll_fn;
use std::io;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

/// The receiving end of a connection. It belongs to the core that first asks it for data.
#[derive(Debug)]
pub struct Receive {
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Real { socket: Arc<Socket>, armed: Option<(Stream, Rc<RecvRing>)>, ended: bool },
    Sim(SimReceive),
}

/// Received bytes, in a buffer of the core's ring, which gets it back on drop. Buffers are few: copy what has
/// to stay.
#[derive(Debug)]
pub struct RecvBuf {
    inner: Bytes,
}

#[derive(Debug)]
enum Bytes {
    Real { ring: Rc<RecvRing>, id: u16, len: usize },
    Sim(SimRecvBuf),
}

impl Receive {
    pub(super) fn real(socket: Arc<Socket>) -> Receive {
        Receive { inner: Inner::Real { socket, armed: None, ended: false } }
    }

    pub(super) fn simulated(receive: SimReceive) -> Receive {
        Receive { inner: Inner::Sim(receive) }
    }

    /// The next bytes. `None` when the peer has ended the stream.
    pub async fn next(&mut self) -> Option<io::Result<RecvBuf>> {
        match &mut self.inner {
            Inner::Real { socket, armed, ended } => {
                if *ended {
                    return None;
                }
                let next = next(socket, armed).await;
                *ended = !matches!(next, Some(Ok(_)));
                next
            }
            Inner::Sim(receive) => {
                receive.next().await.map(|next| next.map(|buf| RecvBuf { inner: Bytes::Sim(buf) }))
            }
        }
    }
}

async fn next(socket: &Socket, armed: &mut Option<(Stream, Rc<RecvRing>)>) -> Option<io::Result<RecvBuf>> {
    loop {
        let (stream, ring) = match armed {
            Some(armed) => armed,
            None => match arm(socket) {
                Ok(new) => armed.insert(new),
                Err(error) => return Some(Err(error)),
            },
        };
        let Some(cqe) = poll_fn(|cx| stream.poll_next(cx)).await else {
            *armed = None;
            continue;
        };
        match cqe.result {
            len if len > 0 => {
                let id = cqueue::buffer_select(cqe.flags).expect("received bytes are in a provided buffer");
                let len = len.unsigned_abs() as usize;
                ring.hold();
                return Some(Ok(RecvBuf { inner: Bytes::Real { ring: ring.clone(), id, len } }));
            }
            0 => {
                ring.give_back_unread(cqe);
                return None;
            }
            error if -error == libc::ENOBUFS => {
                let ring = ring.clone();
                *armed = None;
                ring.wait_for_buffer().await;
            }
            error if -error == libc::EINTR || -error == libc::EAGAIN => *armed = None,
            error => return Some(Err(io::Error::from_raw_os_error(-error))),
        }
    }
}

fn arm(socket: &Socket) -> io::Result<(Stream, Rc<RecvRing>)> {
    Core::with(|core| {
        let driver = core.ring();
        let ring = driver.recv_ring()?;
        let (target, keep) = driver.target(&socket.descriptor);
        let entry = if driver.capabilities().multishot_receive() {
            with_target!(target, fd => opcode::RecvMulti::new(fd, GROUP).build())
        } else {
            let none = std::ptr::null_mut();
            let entry = with_target!(target, fd => opcode::Recv::new(fd, none, 0).buf_group(GROUP).build());
            entry.flags(squeue::Flags::BUFFER_SELECT)
        };
        // SAFETY: the entry names no memory: the kernel picks buffers of `ring`.
        Ok((unsafe { Stream::submit(entry, ring.clone(), keep) }, ring))
    })
}

impl Deref for RecvBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.inner {
            // SAFETY: the kernel picked `id` for this RecvBuf, which alone gives it back, on drop.
            Bytes::Real { ring, id, len } => unsafe { ring.bytes(*id, *len) },
            Bytes::Sim(buf) => buf,
        }
    }
}

impl Drop for RecvBuf {
    fn drop(&mut self) {
        match &self.inner {
            Bytes::Real { ring, id, .. } => ring.release(*id),
            Bytes::Sim(_) => {}
        }
    }
}
