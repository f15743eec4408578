//! Writing at an offset.

use super::Durability;
use super::read::TRANSFER_MAX;
use crate::buf::Buf;
use crate::core::{CompletionHandler, Core, Op, Payload, with_buf};
use crate::ring::{Descriptor, with_target};
use io_uring::{opcode, squeue};
use std::io;
use std::rc::Rc;
use std::sync::Arc;

/// Writes all of the buffer.
pub(super) async fn write_at(
    file: &Arc<Descriptor>,
    mut buf: Buf,
    offset: u64,
    durability: Durability,
) -> (io::Result<usize>, Buf) {
    let mut done = 0;
    while done < buf.len() {
        let result;
        (result, buf) = with_buf(submit(file, buf, done, offset + done as u64, durability)).await;
        match result {
            0 => return (Err(io::ErrorKind::WriteZero.into()), buf),
            n if n > 0 => done += n.unsigned_abs() as usize,
            error if -error == libc::EINTR || -error == libc::EAGAIN => {}
            error => return (Err(io::Error::from_raw_os_error(-error)), buf),
        }
    }
    (Ok(done), buf)
}

/// Begins one operation that writes as much of the buffer as it can.
pub(super) fn start(
    file: &Arc<Descriptor>,
    buf: Buf,
    offset: u64,
    durability: Durability,
    handler: Rc<dyn CompletionHandler>,
    token: u64,
) {
    Core::with(|core| {
        let (entry, keep) = entry(core, file, &buf, offset, durability);
        // SAFETY: the entry names memory of `buf` alone, which the operation owns and which does not move with
        // it.
        unsafe { core.submit_handled(entry, keep, buf, handler, token) };
    });
}

fn submit(file: &Arc<Descriptor>, buf: Buf, done: usize, offset: u64, durability: Durability) -> Op {
    let (entry, keep) = Core::with(|core| entry(core, file, &buf[done..], offset, durability));
    // SAFETY: the entry names memory of `buf` alone, which the payload owns and which does not move with it.
    unsafe { Op::submit(entry, Payload::Buf(buf), keep) }
}

/// The SQE of a write from `bytes`, and the descriptor where it has to be kept open.
fn entry(
    core: &Core,
    file: &Arc<Descriptor>,
    bytes: &[u8],
    offset: u64,
    durability: Durability,
) -> (squeue::Entry, Option<Arc<Descriptor>>) {
    let (start, len) = (bytes.as_ptr(), bytes.len().min(TRANSFER_MAX));
    let flags = match durability {
        Durability::Volatile => 0,
        Durability::Durable => libc::RWF_DSYNC,
    };
    let ring = core.ring();
    let (target, keep) = ring.target(file);
    let index = ring.buffer_index(start, len);
    let len = u32::try_from(len).expect("TRANSFER_MAX fits 31 bits");
    let entry = with_target!(target, fd => match index {
        Some(index) => opcode::WriteFixed::new(fd, start, len, index).offset(offset).rw_flags(flags).build(),
        None => opcode::Write::new(fd, start, len).offset(offset).rw_flags(flags).build(),
    });
    (entry, keep)
}
