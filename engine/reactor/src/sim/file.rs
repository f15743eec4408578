//! Files of a simulated disk, as the handles of the crate hold them.
//!
//! A handle belongs to one life of its node: after a power cut or a kill every operation fails.

use std::future::{pending, poll_fn};
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::disk::{FILE_LEN_MAX, OpId, Request};
use super::image::{Change, SECTOR};
use super::names::Inode;
use super::state::{Event, Operation, State};
use super::trace::{TraceKind, hash_bytes};
use super::world::SimWorld;
use crate::buf::Buf;
use crate::core::CompletionHandler;
use crate::fs::{DirectIo, Durability, OpenOptions};
use crate::task::spawn_detached;

/// An open file.
#[derive(Debug)]
pub(super) struct OpenFile {
    world: SimWorld,
    life: u64,
    inode: Inode,
    handle: u64,
    read: bool,
    write: bool,
    direct: bool,
}

impl OpenFile {
    pub(super) fn new(
        world: SimWorld,
        life: u64,
        inode: Inode,
        handle: u64,
        options: &OpenOptions,
    ) -> OpenFile {
        OpenFile {
            world,
            life,
            inode,
            handle,
            read: options.read,
            write: options.write,
            direct: options.direct,
        }
    }

    /// Runs `f` on the state, unless the life that this handle belongs to has ended.
    fn alive<R>(&self, f: impl FnOnce(&mut State) -> R) -> io::Result<R> {
        self.world.shared.with(|state| {
            let node = &state.nodes[self.world.node];
            if node.dying.is_some() || node.life != self.life { Err(node.dead()) } else { Ok(f(state)) }
        })
    }

    /// Whether the handle was opened for this, and the operation is aligned if it has to be.
    fn check(&self, request: &Request) -> io::Result<()> {
        let (allowed, range) = match request {
            Request::Read { offset, len } => (self.read, *offset..offset.saturating_add(*len)),
            Request::Change { change, .. } => (self.write, change.range()),
            Request::Sync => (true, 0..0),
        };
        let transfers =
            matches!(request, Request::Read { .. } | Request::Change { change: Change::Write { .. }, .. });
        if !allowed {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        let end = match request {
            Request::Change { change: Change::Resize { len } | Change::Grow { len }, .. } => *len,
            Request::Read { .. } | Request::Change { .. } | Request::Sync => range.end,
        };
        if end > FILE_LEN_MAX {
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        }
        if self.direct && transfers && (range.start % SECTOR != 0 || range.end % SECTOR != 0) {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        Ok(())
    }

    /// A synchronous operation.
    pub(super) fn run(&self, request: Request) -> io::Result<()> {
        self.check(&request)?;
        self.alive(|state| {
            let node = self.world.node;
            let disk = &mut state.nodes[node].disk;
            let op = disk.begin(self.inode, request);
            let (kind, inode, range, data) = disk.describe(op);
            state.tell(kind, node, inode, range.start, range.end - range.start, data);
            state.check_power(node)?;
            state.nodes[node].disk.complete(op)
        })?
    }

    /// An operation that takes its time. Dropped, it goes on, and nobody hears of its end.
    async fn operate(&self, request: Request) -> io::Result<()> {
        self.check(&request)?;
        let op = self.alive(|state| {
            let at = self.world.node;
            let node = &mut state.nodes[at];
            let op = node.disk.begin(self.inode, request);
            let time = state.clock.now_ns() + node.disk.latency_ns();
            node.operations.insert(op, Operation::default());
            state.clock.at(time, Event::Disk { node: at, life: self.life, op });
            state.check_power(at).map(|()| op)
        });
        if self.world.is_dying() {
            return pending().await;
        }
        let op = op??;
        let running = Running { file: self, op };
        poll_fn(|cx| running.poll(cx)).await
    }

    fn read(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.alive(|state| {
            let count = state.nodes[self.world.node].disk.read(self.inode, offset, buf);
            let hash = hash_bytes(&buf[..count]);
            state.tell(TraceKind::Read, self.world.node, self.inode.0, offset, count as u64, hash);
            count
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.alive(|state| state.nodes[self.world.node].disk.len(self.inode))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.run(Request::Change { change: Change::Resize { len }, durable: false })
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.alive(|state| state.nodes[self.world.node].disk.try_lock(self.inode, self.handle))
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        // A handle of an earlier life was closed by its node's death.
        drop(self.alive(|state| state.nodes[self.world.node].disk.close_handle(self.inode, self.handle)));
    }
}

/// An operation that a future waits for.
struct Running<'a> {
    file: &'a OpenFile,
    op: OpId,
}

impl Running<'_> {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = self.file.alive(|state| {
            let waiting = state.nodes[self.file.world.node].operations.get_mut(&self.op);
            let waiting = waiting.expect("an operation is known until its future is gone");
            match waiting.result.take() {
                Some(result) => Poll::Ready(result),
                None => {
                    waiting.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        });
        match polled {
            Ok(polled) => polled,
            Err(_) if self.file.world.is_dying() => Poll::Pending,
            Err(dead) => Poll::Ready(Err(dead)),
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        drop(self.file.alive(|state| state.nodes[self.file.world.node].operations.remove(&self.op)));
    }
}

/// An open file for asynchronous operations.
#[derive(Clone, Debug)]
pub(crate) struct SimFile {
    file: Arc<OpenFile>,
}

impl SimFile {
    pub(super) fn new(file: OpenFile) -> SimFile {
        SimFile { file: Arc::new(file) }
    }

    pub(crate) async fn read_at(&self, mut buf: Buf, offset: u64) -> (io::Result<usize>, Buf) {
        if let Err(error) = self.check_memory(&buf) {
            return (Err(error), buf);
        }
        let len = buf.len() as u64;
        let result = self.file.operate(Request::Read { offset, len }).await;
        let result = result.and_then(|()| self.file.read(offset, &mut buf));
        (result, buf)
    }

    pub(crate) async fn write_at(
        &self,
        buf: Buf,
        offset: u64,
        durability: Durability,
    ) -> (io::Result<usize>, Buf) {
        if let Err(error) = self.check_memory(&buf) {
            return (Err(error), buf);
        }
        if buf.is_empty() {
            return (Ok(0), buf);
        }
        let durable = match durability {
            Durability::Volatile => false,
            Durability::Durable => true,
        };
        let change = Change::Write { offset, data: Arc::from(&buf[..]) };
        let result = self.file.operate(Request::Change { change, durable }).await;
        (result.map(|()| buf.len()), buf)
    }

    pub(crate) fn start_read(
        &self,
        mut buf: Buf,
        offset: u64,
        handler: Rc<dyn CompletionHandler>,
        token: u64,
    ) {
        let (file, rest) = (self.clone(), buf.split_off(self.transfer_len(buf.len())));
        spawn_detached(async move {
            let (result, mut buf) = file.read_at(buf, offset).await;
            buf.unsplit(rest).expect("it was split off this buffer");
            handler.completed(token, result, buf);
        });
    }

    pub(crate) fn start_write(
        &self,
        mut buf: Buf,
        offset: u64,
        durability: Durability,
        handler: Rc<dyn CompletionHandler>,
        token: u64,
    ) {
        let (file, rest) = (self.clone(), buf.split_off(self.transfer_len(buf.len())));
        spawn_detached(async move {
            let (result, mut buf) = file.write_at(buf, offset, durability).await;
            buf.unsplit(rest).expect("it was split off this buffer");
            handler.completed(token, result, buf);
        });
    }

    /// How much of a transfer one operation moves. On a dead node nothing moves, which the operation will tell.
    fn transfer_len(&self, len: usize) -> usize {
        let at = self.file.world.node;
        self.file.alive(|state| state.nodes[at].disk.transfer_len(len)).unwrap_or(len)
    }

    pub(crate) async fn sync_data(&self) -> io::Result<()> {
        self.file.operate(Request::Sync).await
    }

    pub(crate) async fn punch_hole(&self, offset: u64, len: u64) -> io::Result<()> {
        self.change(Change::Punch { offset, len }, len).await
    }

    pub(crate) async fn zero_range(&self, offset: u64, len: u64) -> io::Result<()> {
        self.change(Change::Zero { offset, len }, len).await
    }

    pub(crate) async fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.change(Change::Allocate { offset, len }, len).await
    }

    async fn change(&self, change: Change, len: u64) -> io::Result<()> {
        if len == 0 {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        self.file.operate(Request::Change { change, durable: false }).await
    }

    pub(crate) fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    pub(crate) fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    pub(crate) fn direct_io(&self) -> DirectIo {
        let align = SECTOR as u32;
        if self.file.direct {
            DirectIo { memory_align: align, offset_align: align }
        } else {
            DirectIo::BUFFERED
        }
    }

    pub(crate) fn try_lock(&self) -> io::Result<bool> {
        self.file.try_lock()
    }

    pub(crate) fn is_block_device(&self) -> bool {
        let file = &self.file;
        // Nobody hears what a file of a dead node was.
        file.alive(|state| state.nodes[file.world.node].disk.is_device(file.inode)).unwrap_or(false)
    }

    /// Direct I/O wants aligned memory, as on a real disk.
    fn check_memory(&self, buf: &Buf) -> io::Result<()> {
        if self.file.direct && !buf.is_empty() && !(buf.as_ptr().addr() as u64).is_multiple_of(SECTOR) {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        Ok(())
    }
}

/// An open file for blocking operations. They take no virtual time.
#[derive(Debug)]
pub(crate) struct SimSyncFile {
    file: OpenFile,
}

impl SimSyncFile {
    pub(super) fn new(file: OpenFile) -> SimSyncFile {
        SimSyncFile { file }
    }

    pub(crate) fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.run(Request::Read { offset, len: buf.len() as u64 })?;
        self.file.read(offset, buf)
    }

    pub(crate) fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        if self.read_at(buf, offset)? < buf.len() {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "failed to fill whole buffer"));
        }
        Ok(())
    }

    pub(crate) fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        if buf.is_empty() {
            return Ok(());
        }
        self.file.run(Request::Change { change: Change::Write { offset, data: buf.into() }, durable: false })
    }

    pub(crate) fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    pub(crate) fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    pub(crate) fn sync_data(&self) -> io::Result<()> {
        self.file.run(Request::Sync)
    }

    pub(crate) fn sync_all(&self) -> io::Result<()> {
        self.file.run(Request::Sync)
    }

    pub(crate) fn punch_hole(&self, offset: u64, len: u64) -> io::Result<()> {
        self.change(Change::Punch { offset, len }, len)
    }

    pub(crate) fn zero_range(&self, offset: u64, len: u64) -> io::Result<()> {
        self.change(Change::Zero { offset, len }, len)
    }

    pub(crate) fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.change(Change::Allocate { offset, len }, len)
    }

    fn change(&self, change: Change, len: u64) -> io::Result<()> {
        if len == 0 { Ok(()) } else { self.file.run(Request::Change { change, durable: false }) }
    }

    pub(crate) fn try_lock(&self) -> io::Result<bool> {
        self.file.try_lock()
    }
}
