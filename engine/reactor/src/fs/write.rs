//! Writing at an offset.

use super::Durability;
use super::read::TRANSFER_MAX;
use crate::buf::Buf;
use crate::core::{Core, Op, Payload, with_buf};
use crate::ring::{Descriptor, with_target};
use io_uring::opcode;
use std::io;
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

fn submit(file: &Arc<Descriptor>, buf: Buf, done: usize, offset: u64, durability: Durability) -> Op {
    let len = (buf.len() - done).min(TRANSFER_MAX);
    let start = buf[done..].as_ptr();
    let len = u32::try_from(len).expect("TRANSFER_MAX fits 31 bits");
    let flags = match durability {
        Durability::Volatile => 0,
        Durability::Durable => libc::RWF_DSYNC,
    };
    let (target, keep, index) = Core::with(|core| {
        let ring = core.ring();
        let (target, keep) = ring.target(file);
        (target, keep, ring.buffer_index(start, len as usize))
    });
    let entry = with_target!(target, fd => match index {
        Some(index) => opcode::WriteFixed::new(fd, start, len, index).offset(offset).rw_flags(flags).build(),
        None => opcode::Write::new(fd, start, len).offset(offset).rw_flags(flags).build(),
    });
    // SAFETY: `start` and `len` lie in `buf`, which the payload owns and whose memory does not move with it.
    unsafe { Op::submit(entry, Payload::Buf(buf), keep) }
}
