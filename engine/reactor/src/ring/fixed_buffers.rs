//! Memory registered with a ring: the kernel keeps its pages pinned, so reads and writes in it skip the
//! pinning.
//!
//! Registered memory counts against RLIMIT_MEMLOCK (without CAP_IPC_LOCK). When the limit is too small the
//! ring goes on with less: operations elsewhere still work, they only cost more.

use super::kernel::{MEMLOCK_REMEDY, memlock_limit};
use io_uring::IoUring;

/// Table entries. A region takes one, or a few when it is large or the limit cuts it up.
const BUFFERS_MAX: u32 = 1024;
/// The kernel takes at most 1 GiB in one entry.
const PIECE_MAX: usize = 1 << 30;
/// Smaller pieces are not worth an entry.
const PIECE_MIN: usize = 64 << 10;

struct Piece {
    start: usize,
    end: usize,
    index: u16,
}

pub(super) struct FixedBuffers {
    /// Sorted by address, not overlapping.
    pieces: Vec<Piece>,
    table: bool,
}

impl FixedBuffers {
    pub(super) fn register(ring: &IoUring) -> FixedBuffers {
        let table = ring.submitter().register_buffers_sparse(BUFFERS_MAX);
        if let Err(error) = &table {
            tracing::warn!(%error, "no table of registered buffers; every operation pins its pages itself");
        }
        FixedBuffers { pieces: Vec::new(), table: table.is_ok() }
    }

    /// The entry that contains the memory.
    #[inline]
    pub(super) fn find(&self, start: *const u8, len: usize) -> Option<u16> {
        let start = start.addr();
        let after = self.pieces.partition_point(|piece| piece.start <= start);
        let piece = self.pieces.get(after.checked_sub(1)?)?;
        (start + len <= piece.end).then_some(piece.index)
    }

    /// Registers a region. False when not all of it was taken; what was, is used.
    ///
    /// # Safety
    /// The memory stays mapped until the ring is closed.
    pub(super) unsafe fn add(&mut self, ring: &IoUring, base: *mut u8, len: usize) -> bool {
        if !self.table {
            return false;
        }
        let mut done = 0;
        let mut piece = len.min(PIECE_MAX);
        while done < len {
            let index = self.pieces.len();
            if index == BUFFERS_MAX as usize {
                tracing::warn!(regions = index, "the table of registered buffers is full");
                return false;
            }
            piece = piece.min(len - done);
            let start = base.wrapping_add(done);
            let iovec = libc::iovec { iov_base: start.cast(), iov_len: piece };
            // SAFETY: the caller keeps the region mapped until the ring is closed, and the piece lies in it.
            let updated = unsafe { ring.submitter().register_buffers_update(index as u32, &[iovec], None) };
            match updated {
                Ok(()) => {
                    self.insert(start.addr(), piece, index as u16);
                    done += piece;
                }
                Err(error) if error.raw_os_error() == Some(libc::ENOMEM) && piece / 2 >= PIECE_MIN => {
                    piece /= 2;
                }
                Err(error) => {
                    warn_short(&error, done, len);
                    return false;
                }
            }
        }
        true
    }

    fn insert(&mut self, start: usize, len: usize, index: u16) {
        let place = self.pieces.partition_point(|piece| piece.start < start);
        self.pieces.insert(place, Piece { start, end: start + len, index });
    }
}

fn warn_short(error: &std::io::Error, done: usize, len: usize) {
    if error.raw_os_error() == Some(libc::ENOMEM) {
        tracing::warn!(
            registered_bytes = done,
            wanted_bytes = len,
            "RLIMIT_MEMLOCK is {}, too small to register all buffers; going on with fewer ({MEMLOCK_REMEDY})",
            memlock_limit()
        );
    } else {
        let (registered_bytes, wanted_bytes) = (done, len);
        tracing::warn!(%error, registered_bytes, wanted_bytes, "buffers were not registered; going on without");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buf::Buf;

    #[test]
    fn memory_is_found_in_its_piece_only() {
        let ring = IoUring::new(8).unwrap();
        let mut buffers = FixedBuffers::register(&ring);
        let (mut a, mut b) = (Buf::zeroed(64 << 10), Buf::zeroed(128 << 10));
        for buf in [&mut b, &mut a] {
            // SAFETY: the ring ends before the buffers do.
            assert!(unsafe { buffers.add(&ring, buf.as_mut_ptr(), buf.len()) });
        }
        for (buf, index) in [(&a, 1), (&b, 0)] {
            let start = buf.as_ptr();
            assert_eq!(buffers.find(start, buf.len()), Some(index));
            assert_eq!(buffers.find(start.wrapping_add(4096), 4096), Some(index));
            assert_eq!(buffers.find(start.wrapping_add(4096), buf.len()), None);
            assert_eq!(buffers.find(start.wrapping_sub(1), 1), None);
        }
        drop(ring);
    }
}
