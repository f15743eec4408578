//! The buddy allocator's bookkeeping: pure, it knows page numbers and no memory.
//!
//! Free blocks of each order form a doubly linked list through `links`, so that a buddy found free is
//! unlinked at once.

/// The smallest block.
pub(super) const PAGE: usize = 4096;
/// Orders: the largest block is 4 KiB << 11 = 8 MiB, twice the usual RBD object.
const ORDERS: usize = 12;
const NIL: u32 = u32::MAX;
/// Blocks of each small order that are kept as they are for the next request, rather than joined with their
/// buddies: enough for a burst of requests to find their blocks without splitting.
const KEPT_MAX: u32 = 64;
/// Orders that are kept: up to 64 KiB.
const KEPT_ORDERS: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not the first page of a block.
    Inside,
    Free,
    /// Free, and on the list of kept blocks of its order.
    Kept,
    Out,
}

#[derive(Clone, Copy)]
struct Page {
    state: State,
    order: u8,
    prev: u32,
    next: u32,
}

pub(super) struct Buddy {
    pages: Box<[Page]>,
    /// First free block of each order.
    free: [u32; ORDERS],
    /// The kept blocks of each order, a stack through `next`, and how many.
    kept: [(u32, u32); KEPT_ORDERS],
    out: u32,
}

impl Buddy {
    pub(super) fn new(count: u32) -> Buddy {
        let inside = Page { state: State::Inside, order: 0, prev: NIL, next: NIL };
        let mut buddy = Buddy {
            pages: vec![inside; count as usize].into_boxed_slice(),
            free: [NIL; ORDERS],
            kept: [(NIL, 0); KEPT_ORDERS],
            out: 0,
        };
        let mut page = 0;
        while page < count {
            let by_alignment = if page == 0 { ORDERS - 1 } else { page.trailing_zeros() as usize };
            let by_room = (count - page).ilog2() as usize;
            let order = by_alignment.min(by_room).min(ORDERS - 1);
            buddy.link(page, order);
            page += 1 << order;
        }
        buddy
    }

    /// The first page of a free block of at least `len` bytes.
    pub(super) fn alloc(&mut self, len: usize) -> Option<u32> {
        let order = len.div_ceil(PAGE).next_power_of_two().trailing_zeros() as usize;
        if let Some(page) = self.take_kept(order) {
            return Some(page);
        }
        if let Some(page) = self.split_off(order) {
            return Some(page);
        }
        self.join_kept();
        self.split_off(order)
    }

    /// Takes a block out of the free lists, halving a larger one if need be.
    fn split_off(&mut self, order: usize) -> Option<u32> {
        let found = (order..ORDERS).find(|&order| self.free[order] != NIL)?;
        let page = self.free[found];
        self.unlink(page, found);
        for half in (order..found).rev() {
            self.link(page + (1 << half), half);
        }
        let entry = &mut self.pages[page as usize];
        entry.state = State::Out;
        entry.order = order as u8;
        self.out += 1;
        Some(page)
    }

    /// Takes a block back.
    pub(super) fn free(&mut self, page: u32) {
        let entry = &mut self.pages[page as usize];
        assert_eq!(entry.state, State::Out, "page {page} of the pool is given back once");
        let order = usize::from(entry.order);
        self.out -= 1;
        match self.kept.get_mut(order) {
            Some((first, count)) if *count < KEPT_MAX => {
                entry.state = State::Kept;
                entry.next = *first;
                *first = page;
                *count += 1;
            }
            _ => self.join(page, order),
        }
    }

    fn take_kept(&mut self, order: usize) -> Option<u32> {
        let (first, count) = self.kept.get_mut(order).filter(|kept| kept.1 > 0)?;
        let page = *first;
        let entry = &mut self.pages[page as usize];
        entry.state = State::Out;
        *first = entry.next;
        *count -= 1;
        self.out += 1;
        Some(page)
    }

    /// Joins every kept block with its buddies, to make room for a larger one.
    fn join_kept(&mut self) {
        for order in 0..KEPT_ORDERS {
            while let Some(page) = self.take_kept(order) {
                self.out -= 1;
                self.join(page, order);
            }
        }
    }

    /// Puts a block into the free lists, joined with its free buddies.
    fn join(&mut self, mut page: u32, mut order: usize) {
        self.pages[page as usize].state = State::Inside;
        while order < ORDERS - 1 {
            let buddy = page ^ (1 << order);
            match self.pages.get(buddy as usize) {
                Some(entry) if entry.state == State::Free && usize::from(entry.order) == order => {}
                _ => break,
            }
            self.unlink(buddy, order);
            page = page.min(buddy);
            order += 1;
        }
        self.link(page, order);
    }

    pub(super) fn blocks_out(&self) -> u32 {
        self.out
    }

    fn link(&mut self, page: u32, order: usize) {
        let first = self.free[order];
        self.pages[page as usize] = Page { state: State::Free, order: order as u8, prev: NIL, next: first };
        if first != NIL {
            self.pages[first as usize].prev = page;
        }
        self.free[order] = page;
    }

    fn unlink(&mut self, page: u32, order: usize) {
        let Page { prev, next, .. } = self.pages[page as usize];
        match prev {
            NIL => self.free[order] = next,
            prev => self.pages[prev as usize].next = next,
        }
        if next != NIL {
            self.pages[next as usize].prev = prev;
        }
        self.pages[page as usize].state = State::Inside;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
    use proptest::sample::Index;

    impl Buddy {
        /// Pages in free blocks; checks the lists on the way.
        fn check(&self) -> u32 {
            let mut free_pages = 0;
            for order in 0..ORDERS {
                let (mut page, mut prev) = (self.free[order], NIL);
                while page != NIL {
                    let entry = self.pages[page as usize];
                    assert_eq!(
                        (entry.state, usize::from(entry.order), entry.prev),
                        (State::Free, order, prev)
                    );
                    assert!(page.is_multiple_of(1 << order));
                    free_pages += 1 << order;
                    (prev, page) = (page, entry.next);
                }
            }
            for (order, &(first, count)) in self.kept.iter().enumerate() {
                let (mut page, mut found) = (first, 0);
                while found < count {
                    let entry = self.pages[page as usize];
                    assert_eq!((entry.state, usize::from(entry.order)), (State::Kept, order));
                    (page, found) = (entry.next, found + 1);
                }
                free_pages += count << order;
            }
            free_pages
        }
    }

    proptest! {
        #[test]
        fn blocks_are_apart_aligned_and_come_back(
            count in 1u32..3000,
            steps in vec((any::<bool>(), 1usize..(64 * PAGE), any::<Index>()), 0..150),
        ) {
            let mut buddy = Buddy::new(count);
            prop_assert_eq!(buddy.check(), count);
            let mut out: Vec<(u32, u32)> = Vec::new();
            for (take, len, which) in steps {
                if take {
                    let pages = len.div_ceil(PAGE).next_power_of_two() as u32;
                    let Some(page) = buddy.alloc(len) else { continue };
                    prop_assert!(page + pages <= count && page.is_multiple_of(pages));
                    prop_assert!(out.iter().all(|&(other, n)| page + pages <= other || other + n <= page));
                    out.push((page, pages));
                } else if !out.is_empty() {
                    let (page, _) = out.swap_remove(which.index(out.len()));
                    buddy.free(page);
                }
                let taken: u32 = out.iter().map(|block| block.1).sum();
                prop_assert_eq!(buddy.check() + taken, count);
                prop_assert_eq!(buddy.blocks_out() as usize, out.len());
            }
            for (page, _) in out {
                buddy.free(page);
            }
            buddy.join_kept();
            // Everything joined again: as many blocks as at the start.
            let (fresh, again) = (Buddy::new(count), buddy);
            for order in 0..ORDERS {
                let is_free = |page: &&Page| page.state == State::Free && usize::from(page.order) == order;
                let blocks = |buddy: &Buddy| buddy.pages.iter().filter(is_free).count();
                prop_assert_eq!(blocks(&fresh), blocks(&again));
            }
        }
    }

    #[test]
    #[should_panic(expected = "given back once")]
    fn a_block_is_not_given_back_twice() {
        let mut buddy = Buddy::new(8);
        let page = buddy.alloc(1).unwrap();
        buddy.free(page);
        buddy.free(page);
    }

    #[test]
    fn a_block_too_large_is_refused() {
        assert_eq!(Buddy::new(8).alloc(9 * PAGE), None);
        assert_eq!(Buddy::new(1 << 14).alloc((PAGE << (ORDERS - 1)) + 1), None);
    }
}
