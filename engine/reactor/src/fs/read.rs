//! Reading at an offset.

use super::DirectIo;
use crate::buf::Buf;
use crate::core::{Core, Op, Payload, with_buf};
use crate::ring::{Descriptor, with_target};
use io_uring::opcode;
use std::io;
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

fn submit(file: &Arc<Descriptor>, mut buf: Buf, done: usize, offset: u64) -> Op {
    let len = (buf.len() - done).min(TRANSFER_MAX);
    let start = buf[done..].as_mut_ptr();
    let len = u32::try_from(len).expect("TRANSFER_MAX fits 31 bits");
    let (target, keep, index) = Core::with(|core| {
        let ring = core.ring();
        let (target, keep) = ring.target(file);
        (target, keep, ring.buffer_index(start, len as usize))
    });
    let entry = with_target!(target, fd => match index {
        Some(index) => opcode::ReadFixed::new(fd, start, len, index).offset(offset).build(),
        None => opcode::Read::new(fd, start, len).offset(offset).build(),
    });
    // SAFETY: `start` and `len` lie in `buf`, which the payload owns and whose memory does not move with it.
    unsafe { Op::submit(entry, Payload::Buf(buf), keep) }
}
