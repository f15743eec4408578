//! A core's pool of aligned buffers: a buddy allocator over one mapped region.
//!
//! Blocks are powers of two of 4 KiB, aligned to their size. The core's own thread allocates and frees
//! without atomics; a block that ends its life on another thread is pushed on `returned`, which the core
//! takes back when it runs short. The region outlives the core until the last block is back: the core leaves,
//! counts what is out, and whoever brings the last one frees it.

use super::block::{Block, Header};
use super::buddy::{Buddy, PAGE};
use super::region::Region;
use crate::core::Core;
use std::cell::{RefCell, UnsafeCell};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

/// End of the stack of returned blocks.
const NIL: u32 = u32::MAX;
/// The stack's head once the core is gone.
const CLOSED: u32 = u32::MAX - 1;

/// What the core and the blocks that are out share.
pub(super) struct PoolShared {
    region: Region,
    headers: Box<[Header]>,
    /// The next block on the stack of returned ones, by page.
    next: Box<[AtomicU32]>,
    returned: AtomicU32,
    /// Only the core's thread looks here.
    local: UnsafeCell<Local>,
    /// Once the core is gone: blocks that are out. Negative while they return before the core has counted
    /// them.
    out: AtomicI64,
}

struct Local {
    buddy: RefCell<Buddy>,
}

/// The core's end of its pool.
pub(crate) struct Pool {
    shared: NonNull<PoolShared>,
}

impl Pool {
    /// A pool of at least `bytes`; `None` for 0 or when there is not so much memory.
    pub(crate) fn map(bytes: usize) -> Option<Pool> {
        if bytes == 0 {
            return None;
        }
        let Some(region) = Region::map(bytes) else {
            tracing::warn!(bytes, "no memory for the core's buffer pool; buffers come from the heap");
            return None;
        };
        let pages = u32::try_from(region.len() / PAGE).expect("a pool has fewer than 2^32 pages");
        let shared = Box::new(PoolShared {
            headers: Box::default(),
            next: (0..pages).map(|_| AtomicU32::new(NIL)).collect(),
            returned: AtomicU32::new(NIL),
            local: UnsafeCell::new(Local { buddy: RefCell::new(Buddy::new(pages)) }),
            out: AtomicI64::new(0),
            region,
        });
        let mut shared = NonNull::from(Box::leak(shared));
        // SAFETY: the pool was just made, nobody else has it.
        unsafe { shared.as_mut() }.headers = (0..pages).map(|page| Header::in_pool(shared, page)).collect();
        Some(Pool { shared })
    }

    fn shared(&self) -> &PoolShared {
        // SAFETY: the pool lives at least until `Pool::drop`.
        unsafe { self.shared.as_ref() }
    }

    /// The region, to register it with the ring.
    pub(crate) fn memory(&self) -> (*mut u8, usize) {
        let region = &self.shared().region;
        (region.start().as_ptr(), region.len())
    }

    /// A block of at least `len` bytes.
    pub(super) fn alloc(&self, len: usize) -> Option<(Block, NonNull<u8>)> {
        let shared = self.shared();
        // SAFETY: a `Pool` is owned by its core and used on that core's thread only (it is not Send).
        let local = unsafe { &*shared.local.get() };
        let mut buddy = local.buddy.borrow_mut();
        let page = match buddy.alloc(len) {
            Some(page) => page,
            None if shared.take_returned(&mut buddy) > 0 => buddy.alloc(len)?,
            None => return None,
        };
        let header = NonNull::from(&shared.headers[page as usize]);
        // SAFETY: the block was just taken from the free lists; pages are inside the region.
        Some(unsafe { (Block::first(header), shared.region.start().add(page as usize * PAGE)) })
    }

    /// Blocks that are out, as far as the core knows.
    #[cfg(test)]
    pub(crate) fn blocks_out(&self) -> u32 {
        let shared = self.shared();
        // SAFETY: as in `alloc`.
        let mut buddy = unsafe { &*shared.local.get() }.buddy.borrow_mut();
        shared.take_returned(&mut buddy);
        buddy.blocks_out()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let shared = self.shared();
        // SAFETY: as in `alloc`.
        let mut buddy = unsafe { &*shared.local.get() }.buddy.borrow_mut();
        let head = shared.returned.swap(CLOSED, Ordering::AcqRel);
        shared.free_chain(head, &mut buddy);
        let out = i64::from(buddy.blocks_out());
        drop(buddy);
        if shared.out.fetch_add(out, Ordering::AcqRel) + out == 0 {
            // SAFETY: every block is back and the core is leaving, so this is the last reference.
            drop(unsafe { Box::from_raw(self.shared.as_ptr()) });
        }
    }
}

impl PoolShared {
    /// Takes a block back, on any thread.
    ///
    /// # Safety
    /// `page` is the first of a block of this pool that was handed out and has no view any more.
    pub(super) unsafe fn free(pool: NonNull<PoolShared>, page: u32) {
        let ours = Core::try_with(|core| core.pool().is_some_and(|mine| mine.shared == pool)) == Some(true);
        // SAFETY: the pool waits for this block.
        let shared = unsafe { pool.as_ref() };
        if ours {
            // SAFETY: the current core is the pool's, so this is its thread.
            unsafe { &*shared.local.get() }.buddy.borrow_mut().free(page);
        } else if !shared.push_returned(page) && shared.out.fetch_sub(1, Ordering::AcqRel) == 1 {
            // SAFETY: the core is gone and this was the last block that was out.
            drop(unsafe { Box::from_raw(pool.as_ptr()) });
        }
    }

    /// False when the core is gone.
    fn push_returned(&self, page: u32) -> bool {
        let mut head = self.returned.load(Ordering::Acquire);
        loop {
            if head == CLOSED {
                return false;
            }
            self.next[page as usize].store(head, Ordering::Relaxed);
            match self.returned.compare_exchange_weak(head, page, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => head = now,
            }
        }
    }

    /// Moves the returned blocks to the free lists. Only the core takes, and it takes all, so the stack needs
    /// no tags.
    fn take_returned(&self, buddy: &mut Buddy) -> usize {
        let head = self.returned.swap(NIL, Ordering::AcqRel);
        self.free_chain(head, buddy)
    }

    fn free_chain(&self, mut page: u32, buddy: &mut Buddy) -> usize {
        let mut freed = 0;
        while page != NIL {
            let next = self.next[page as usize].load(Ordering::Relaxed);
            buddy.free(page);
            page = next;
            freed += 1;
        }
        freed
    }
}

#[cfg(test)]
mod tests {
    use crate::{Buf, CoreConfig, World};

    fn config() -> CoreConfig {
        CoreConfig { pool_bytes: 4 << 20, ..CoreConfig::default() }
    }

    fn blocks_out() -> u32 {
        crate::core::Core::with(|core| core.pool().expect("the core has a pool").blocks_out())
    }

    #[test]
    fn blocks_come_back_from_other_threads() {
        let mut core = World::real().lend_core(config()).unwrap();
        core.enter(|| {
            let bufs: Vec<Buf> = (0..1024).map(|_| Buf::alloc(4096)).collect();
            assert_eq!(blocks_out(), 1024);
            assert!(bufs.iter().all(|buf| buf.is_aligned(4096)));
            // The pool is full: the next one is from the heap, and zeroed.
            assert!(Buf::alloc(4096).iter().all(|&byte| byte == 0));
            assert_eq!(blocks_out(), 1024);
            std::thread::spawn(move || drop(bufs)).join().unwrap();
            let again: Vec<Buf> = (0..1024).map(|_| Buf::alloc(4096)).collect();
            assert_eq!(blocks_out(), 1024);
            drop(again);
            assert_eq!(blocks_out(), 0);
        });
    }

    #[test]
    fn buffers_outlive_their_core() {
        let mut core = World::real().lend_core(config()).unwrap();
        let mut here = core.enter(|| Buf::alloc(10_000));
        let mut there = core.enter(|| Buf::alloc(10_000));
        here.fill(1);
        there.fill(2);
        drop(core);
        assert!(here.iter().all(|&byte| byte == 1));
        let there = std::thread::spawn(move || {
            assert!(there.iter().all(|&byte| byte == 2));
            there
        });
        drop(here);
        drop(there.join().unwrap());
    }

    #[test]
    fn threads_that_free_while_the_core_ends_free_the_pool_once() {
        for _ in 0..50 {
            let mut core = World::real().lend_core(CoreConfig { pool_bytes: 2 << 20, ..config() }).unwrap();
            let (a, b): (Vec<Buf>, Vec<Buf>) =
                core.enter(|| (0..128).map(|_| (Buf::alloc(4096), Buf::alloc(4096))).unzip());
            let threads = [a, b].map(|bufs| std::thread::spawn(move || drop(bufs)));
            drop(core);
            for thread in threads {
                thread.join().unwrap();
            }
        }
    }
}
