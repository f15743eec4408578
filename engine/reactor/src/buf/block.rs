//! A block: memory that several buffers view, with their count. Its header is in the pool's table, or on the
//! heap.

use super::ALIGN;
use super::pool::PoolShared;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering, fence};

/// What the views of a block share.
pub(super) struct Header {
    views: AtomicU32,
    origin: Origin,
}

enum Origin {
    Heap {
        start: NonNull<u8>,
        layout: Layout,
    },
    /// Page number in the pool. The pool stays until all its blocks are back.
    Pool {
        pool: NonNull<PoolShared>,
        page: u32,
    },
}

impl Header {
    /// A header of the pool's table, for a block that nobody has yet.
    pub(super) fn in_pool(pool: NonNull<PoolShared>, page: u32) -> Header {
        Header { views: AtomicU32::new(0), origin: Origin::Pool { pool, page } }
    }
}

/// One counted reference to a block.
pub(super) struct Block(NonNull<Header>);

impl Block {
    /// Zeroed memory of at least `len` bytes.
    pub(super) fn heap(len: usize) -> (Block, NonNull<u8>) {
        let layout = Layout::from_size_align(len, ALIGN).expect("a buffer is smaller than the address space");
        assert!(len > 0, "an empty buffer has no block");
        // SAFETY: the layout's size is not zero.
        let start = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        let header = Header { views: AtomicU32::new(1), origin: Origin::Heap { start, layout } };
        (Block(NonNull::from(Box::leak(Box::new(header)))), start)
    }

    /// The first view of a pool's block.
    ///
    /// # Safety
    /// `header` is in the table of a living pool, and its block was just taken out of the pool's free lists.
    pub(super) unsafe fn first(header: NonNull<Header>) -> Block {
        // SAFETY: the caller says that the header is alive.
        let views = unsafe { &header.as_ref().views };
        debug_assert_eq!(views.load(Ordering::Relaxed), 0);
        views.store(1, Ordering::Relaxed);
        Block(header)
    }

    fn header(&self) -> &Header {
        // SAFETY: a header lives while its count is not zero, and `self` is one of the counted.
        unsafe { self.0.as_ref() }
    }

    pub(super) fn share(&self) -> Block {
        let before = self.header().views.fetch_add(1, Ordering::Relaxed);
        assert!(before < u32::MAX / 2, "a block has fewer than 2^31 views");
        Block(self.0)
    }

    pub(super) fn is_same(&self, other: &Block) -> bool {
        self.0 == other.0
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let header = self.header();
        // A block with one view cannot gain another one meanwhile, so the common case needs no atomic
        // read-modify-write.
        if header.views.load(Ordering::Acquire) == 1 {
            header.views.store(0, Ordering::Relaxed);
        } else if header.views.fetch_sub(1, Ordering::Release) != 1 {
            return;
        } else {
            fence(Ordering::Acquire);
        }
        match header.origin {
            Origin::Heap { start, layout } => {
                // SAFETY: this was the last view; `start` was allocated with `layout` and the header boxed,
                // in `heap`.
                unsafe {
                    dealloc(start.as_ptr(), layout);
                    drop(Box::from_raw(self.0.as_ptr()));
                }
            }
            // SAFETY: this was the last view of a block that the pool handed out, and the pool waits for it.
            Origin::Pool { pool, page } => unsafe { PoolShared::free(pool, page) },
        }
    }
}
