//! Memory for pools, straight from the kernel: huge pages where there are some.

use std::ptr::NonNull;

/// Size of a huge page, and the alignment of every region.
pub(super) const HUGE_PAGE: usize = 2 << 20;

/// A mapped region: zeroed, aligned to a huge page. Unmapped on drop.
pub(super) struct Region {
    start: NonNull<u8>,
    len: usize,
    map_start: *mut libc::c_void,
    map_len: usize,
}

impl Region {
    /// Maps at least `len` bytes, in whole huge pages; `None` when the kernel has not so much.
    pub(super) fn map(len: usize) -> Option<Region> {
        let len = len.checked_next_multiple_of(HUGE_PAGE)?;
        if let Some(start) = mmap(len, libc::MAP_HUGETLB) {
            return Some(Region { start: NonNull::new(start.cast())?, len, map_start: start, map_len: len });
        }
        // One huge page more, so that an aligned start is inside.
        let map_len = len.checked_add(HUGE_PAGE)?;
        let map_start = mmap(map_len, 0)?;
        let skip = map_start.cast::<u8>().align_offset(HUGE_PAGE);
        // SAFETY: `skip` is less than a huge page, which was mapped in addition to `len`.
        let start = unsafe { map_start.cast::<u8>().add(skip) };
        // SAFETY: the range is part of the mapping just made. Failure (no transparent huge pages) costs speed
        // only.
        unsafe { libc::madvise(start.cast(), len, libc::MADV_HUGEPAGE) };
        Some(Region { start: NonNull::new(start)?, len, map_start, map_len })
    }

    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping was made in `map` and nobody else unmaps it; the owner drops the region after
        // its last use.
        unsafe { libc::munmap(self.map_start, self.map_len) };
    }
}

fn mmap(len: usize, flags: libc::c_int) -> Option<*mut libc::c_void> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | flags;
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches no memory of ours.
    let start =
        unsafe { libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    (start != libc::MAP_FAILED).then_some(start)
}
