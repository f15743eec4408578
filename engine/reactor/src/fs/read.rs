//! Reading at an offset.

use super::DirectIo;
use crate::buf::Buf;
use crate::core::{CompletionHandler, Core, Op, Payload, with_buf};
use crate::ring::{Descriptor, with_target};
use io_uring::{opcode, squeue};
use std::io;
use std::rc::Rc;
use std::sync::Arc;

/// The kernel moves at most this much in one operation.
pub(super) const TRANSFER_MAX: usize = 0x7fff_f000;

/// Reads until the buffer is full or the file ends.
pub(super) async fn read_at(
    file: &Arc<Descriptor>,
    direct: DirectIo,
    mut buf: Buf,
    offset: u64,
) -> (io::Result<usize>, Buf) {
    let mut done = 0;
    while done < buf.len() {
        let result;
        (result, buf) = with_buf(submit(file, buf, done, offset + done as u64)).await;
        match result {
            0 => break,
            n if n > 0 => done += n.unsigned_abs() as usize,
            error if -error == libc::EINTR || -error == libc::EAGAIN => continue,
            error => return (Err(io::Error::from_raw_os_error(-error)), buf),
        }
        // A direct read stops inside a block only at the end of the file; going on there would be refused.
        if !done.is_multiple_of(direct.offset_align as usize) {
            break;
        }
    }
    (Ok(done), buf)
}

/// Begins one operation that reads as much of the buffer as it can.
pub(super) fn start(
    file: &Arc<Descriptor>,
    mut buf: Buf,
    offset: u64,
    handler: Rc<dyn CompletionHandler>,
    token: u64,
) {
    Core::with(|core| {
        let (entry, keep) = entry(core, file, &mut buf, offset);
        // SAFETY: the entry names memory of `buf` alone, which the operation owns and which does not move with
        // it.
        unsafe { core.submit_handled(entry, keep, buf, handler, token) };
    });
}

fn submit(file: &Arc<Descriptor>, mut buf: Buf, done: usize, offset: u64) -> Op {
    let (entry, keep) = Core::with(|core| entry(core, file, &mut buf[done..], offset));
    // SAFETY: the entry names memory of `buf` alone, which the payload owns and which does not move with it.
    unsafe { Op::submit(entry, Payload::Buf(buf), keep) }
}

/// The SQE of a read into `bytes`, and the descriptor where it has to be kept open.
fn entry(
    core: &Core,
    file: &Arc<Descriptor>,
    bytes: &mut [u8],
    offset: u64,
) -> (squeue::Entry, Option<Arc<Descriptor>>) {
    let (start, len) = (bytes.as_mut_ptr(), bytes.len().min(TRANSFER_MAX));
    let ring = core.ring();
    let (target, keep) = ring.target(file);
    let index = ring.buffer_index(start, len);
    let len = u32::try_from(len).expect("TRANSFER_MAX fits 31 bits");
    let entry = with_target!(target, fd => match index {
        Some(index) => opcode::ReadFixed::new(fd, start, len, index).offset(offset).build(),
        None => opcode::Read::new(fd, start, len).offset(offset).build(),
    });
    (entry, keep)
}
