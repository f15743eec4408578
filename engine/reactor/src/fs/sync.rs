//! fdatasync through the ring.

use crate::core::{Core, Op, Payload};
use crate::ring::{Descriptor, with_target};
use io_uring::{opcode, squeue, types};
use std::io;
use std::sync::Arc;

/// Makes what was written durable.
pub(super) async fn sync_data(file: &Arc<Descriptor>) -> io::Result<()> {
    let target = Core::with(|core| core.ring().target(file).0);
    let entry = with_target!(target, fd => opcode::Fsync::new(fd).flags(types::FsyncFlags::DATASYNC).build());
    run(file, entry).await
}

/// Runs an operation that a kernel worker does: it looks its descriptor up only then, so the descriptor is
/// kept open.
pub(super) async fn run(file: &Arc<Descriptor>, entry: squeue::Entry) -> io::Result<()> {
    loop {
        // SAFETY: the entry names no memory, and the descriptor is kept.
        let op = unsafe { Op::submit(entry.clone(), Payload::Nothing, Some(file.clone())) };
        match op.await.cqe.result {
            n if n >= 0 => return Ok(()),
            error if -error == libc::EINTR => {}
            error => return Err(io::Error::from_raw_os_error(-error)),
        }
    }
}
