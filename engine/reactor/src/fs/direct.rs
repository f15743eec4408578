//! Facts about an open file: the alignment that direct I/O wants, and its length.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;

/// What direct I/O wants addresses and offsets (and lengths) to be multiples of. 1 and 1 when the file is
/// buffered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectIo {
    /// Of a buffer's address.
    pub memory_align: u32,
    /// Of offsets and lengths.
    pub offset_align: u32,
}

impl DirectIo {
    /// No alignment is needed.
    pub const BUFFERED: DirectIo = DirectIo { memory_align: 1, offset_align: 1 };
    /// Good on every disk in use, where the kernel does not say.
    const SAFE: DirectIo = DirectIo { memory_align: 4096, offset_align: 4096 };
}

/// Asks statx (Linux 6.1), else the block layer, else assumes 4 KiB.
pub(super) fn direct_io(file: &std::fs::File) -> DirectIo {
    from_statx(file).or_else(|| from_block_device(file)).unwrap_or(DirectIo::SAFE)
}

fn from_statx(file: &std::fs::File) -> Option<DirectIo> {
    // SAFETY: all-zero is a valid statx structure.
    let mut stat: libc::statx = unsafe { std::mem::zeroed() };
    // SAFETY: the path is an empty C string, so the call is about the open descriptor, and `stat` is live and
    // writable.
    let done = unsafe {
        libc::statx(file.as_raw_fd(), c"".as_ptr(), libc::AT_EMPTY_PATH, libc::STATX_DIOALIGN, &raw mut stat)
    };
    let known = done == 0 && stat.stx_mask & libc::STATX_DIOALIGN != 0 && stat.stx_dio_offset_align != 0;
    known
        .then_some(DirectIo { memory_align: stat.stx_dio_mem_align, offset_align: stat.stx_dio_offset_align })
}

fn from_block_device(file: &std::fs::File) -> Option<DirectIo> {
    const BLKSSZGET: libc::c_ulong = 0x1268;
    if !file.metadata().ok()?.file_type().is_block_device() {
        return None;
    }
    let mut size: libc::c_int = 0;
    // SAFETY: BLKSSZGET writes one int, which `size` is.
    let done = unsafe { libc::ioctl(file.as_raw_fd(), BLKSSZGET, &raw mut size) };
    let align = u32::try_from(size).ok().filter(|&size| done == 0 && size > 0)?;
    Some(DirectIo { memory_align: align, offset_align: align })
}

/// Length of a file or a block device.
pub(super) fn length(file: &std::fs::File, block_device: bool) -> io::Result<u64> {
    const BLKGETSIZE64: libc::c_ulong = 0x8008_1272;
    if !block_device {
        return Ok(file.metadata()?.len());
    }
    let mut bytes: u64 = 0;
    // SAFETY: BLKGETSIZE64 writes one u64, which `bytes` is.
    if unsafe { libc::ioctl(file.as_raw_fd(), BLKGETSIZE64, &raw mut bytes) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(bytes)
}
