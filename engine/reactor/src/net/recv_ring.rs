//! The provided-buffer ring of a core: the kernel picks a buffer when data arrives, so idle connections cost
//! no memory.
//!
//! A buffer is with the kernel, or with the one `RecvBuf` that names it, or was never needed so far. All entries but
//! the tail are ours to write; the kernel reads what the tail covers. When all buffers are out, receives end with
//! ENOBUFS; they start again with more buffers, or, when there are no more, once one is back.
//!
//! The kernel takes buffers in turn, never the one that it used last. So the fewer there are, the sooner the next bytes
//! land in memory that the CPU's cache still has.

use crate::core::Cqe;
use crate::local::WaitQueue;
use io_uring::types::BufRingEntry;
use io_uring::{IoUring, cqueue};
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

/// Buffers to begin with: 1 MiB, which fits the caches of most CPUs and holds what a connection with a hundred blocks
/// in flight receives at a time.
const COUNT_MIN: u16 = 16;
/// Buffers at most; a power of two. As many connections can be received from in one turn.
const COUNT_MAX: u16 = 64;
const _: () = assert!(COUNT_MAX.is_power_of_two() && COUNT_MIN <= COUNT_MAX);
/// Bytes of each.
const SIZE: usize = 64 << 10;
/// The only buffer group of a ring.
pub(super) const GROUP: u16 = 0;
const PAGE: usize = 4096;

pub(crate) struct RecvRing {
    entries: NonNull<BufRingEntry>,
    data: NonNull<u8>,
    tail: Cell<u16>,
    /// Buffers that the kernel has been given at least once.
    count: Cell<u16>,
    /// Buffers that `RecvBuf`s hold.
    held: Cell<u16>,
    /// Receives that found no buffer.
    starved: WaitQueue,
}

impl std::fmt::Debug for RecvRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RecvRing({} x {SIZE})", self.count.get())
    }
}

fn entries_layout() -> Layout {
    Layout::from_size_align(usize::from(COUNT_MAX) * size_of::<BufRingEntry>(), PAGE)
        .expect("a small constant")
}

fn data_layout() -> Layout {
    Layout::from_size_align(usize::from(COUNT_MAX) * SIZE, PAGE).expect("a small constant")
}

fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: both layouts above have a size.
    NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}

impl RecvRing {
    /// Makes the ring and gives it to the kernel.
    pub(crate) fn register(ring: &IoUring) -> io::Result<RecvRing> {
        let recv_ring = RecvRing {
            entries: allocate(entries_layout()).cast(),
            data: allocate(data_layout()),
            tail: Cell::new(0),
            count: Cell::new(0),
            held: Cell::new(0),
            starved: WaitQueue::new(),
        };
        let address = recv_ring.entries.addr().get() as u64;
        // SAFETY: the entries live until `unregister`, or for ever when the core leaks the ring.
        unsafe { ring.submitter().register_buf_ring_with_flags(address, COUNT_MAX, GROUP, 0)? };
        recv_ring.grow_to(COUNT_MIN);
        Ok(recv_ring)
    }

    /// Gives the kernel buffers that it never had until it has had `count`.
    fn grow_to(&self, count: u16) {
        for id in self.count.replace(count)..count {
            self.offer(id);
        }
    }

    /// Takes the ring back from the kernel. No receive may be in flight.
    pub(crate) fn unregister(&self, ring: &IoUring) {
        if let Err(error) = ring.submitter().unregister_buf_ring(GROUP) {
            tracing::debug!(%error, "the provided-buffer ring goes with its io_uring");
        }
    }

    /// Gives buffer `id` to the kernel.
    fn offer(&self, id: u16) {
        let tail = self.tail.get();
        let index = usize::from(tail & (COUNT_MAX - 1));
        // SAFETY: the index is inside the entries. The kernel reads this entry only once the tail, stored
        // below, covers it. The fields are written one by one because the first entry's last field is the
        // tail itself.
        unsafe {
            let entry = self.entries.add(index).as_mut();
            entry.set_addr(self.buffer(id).addr().get() as u64);
            entry.set_len(SIZE as u32);
            entry.set_bid(id);
        }
        self.tail.set(tail.wrapping_add(1));
        // SAFETY: the first entry's reserved field is the ring's tail, which the kernel reads concurrently:
        // hence atomic.
        let shared = unsafe { &*BufRingEntry::tail(self.entries.as_ptr()).cast::<AtomicU16>() };
        shared.store(self.tail.get(), Ordering::Release);
    }

    fn buffer(&self, id: u16) -> NonNull<u8> {
        assert!(id < COUNT_MAX, "the kernel picks buffers that it was given");
        // SAFETY: the offset is inside the data.
        unsafe { self.data.add(usize::from(id) * SIZE) }
    }

    /// The received bytes of a buffer that the kernel picked.
    ///
    /// # Safety
    /// The kernel picked `id` and it was not given back since.
    pub(super) unsafe fn bytes(&self, id: u16, len: usize) -> &[u8] {
        assert!(len <= SIZE);
        // SAFETY: the buffer is inside the data, initialised, and the kernel does not write to it until it is
        // offered again.
        unsafe { std::slice::from_raw_parts(self.buffer(id).as_ptr(), len) }
    }

    /// Notes that a `RecvBuf` holds a buffer.
    pub(super) fn hold(&self) {
        self.held.set(self.held.get() + 1);
    }

    /// Takes a buffer back from a `RecvBuf`.
    pub(super) fn release(&self, id: u16) {
        self.held.set(self.held.get() - 1);
        self.give_back(id);
    }

    fn give_back(&self, id: u16) {
        self.offer(id);
        self.starved.wake_one();
    }

    /// Gives back the buffer of a CQE that nobody will read.
    pub(crate) fn give_back_unread(&self, cqe: Cqe) {
        if let Some(id) = cqueue::buffer_select(cqe.flags) {
            self.give_back(id);
        }
    }

    /// Waits until there is a buffer: at once when there can be more of them. So it is, too, when no `RecvBuf` is alive:
    /// the missing ones came back already, or are about to be read.
    pub(super) async fn wait_for_buffer(&self) {
        let count = self.count.get();
        if count < COUNT_MAX {
            self.grow_to((2 * count).min(COUNT_MAX));
        } else if self.held.get() > 0 {
            self.starved.wait().await;
        }
    }
}

impl Drop for RecvRing {
    fn drop(&mut self) {
        // SAFETY: both were allocated with these layouts; the kernel has let go of them (`unregister`, or the
        // ring is closed), and every `RecvBuf` and operation that names a buffer holds a reference to this
        // ring.
        unsafe {
            dealloc(self.entries.as_ptr().cast(), entries_layout());
            dealloc(self.data.as_ptr(), data_layout());
        }
    }
}
