//! fallocate through the ring: holes, zeroes, preallocation.

use super::sync::run;
use crate::core::Core;
use crate::ring::{Descriptor, with_target};
use io_uring::opcode;
use std::io;
use std::sync::Arc;

/// Frees a range.
pub(super) async fn punch_hole(file: &Arc<Descriptor>, offset: u64, len: u64) -> io::Result<()> {
    fallocate(file, libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE, offset, len).await
}

/// Zeroes a range and keeps it allocated.
pub(super) async fn zero_range(file: &Arc<Descriptor>, offset: u64, len: u64) -> io::Result<()> {
    fallocate(file, libc::FALLOC_FL_ZERO_RANGE | libc::FALLOC_FL_KEEP_SIZE, offset, len).await
}

/// Allocates a range.
pub(super) async fn allocate(file: &Arc<Descriptor>, offset: u64, len: u64) -> io::Result<()> {
    fallocate(file, 0, offset, len).await
}

async fn fallocate(file: &Arc<Descriptor>, mode: i32, offset: u64, len: u64) -> io::Result<()> {
    if len == 0 {
        return Ok(());
    }
    let target = Core::with(|core| core.ring().target(file).0);
    let entry = with_target!(target, fd => opcode::Fallocate::new(fd, len).offset(offset).mode(mode).build());
    run(file, entry).await
}
