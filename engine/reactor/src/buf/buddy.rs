//! The buddy allocator's bookkeeping: pure, it knows page numbers and no memory.
//!
//! Free blocks of each order form a doubly linked list through `links`, so that a buddy found free is
//! unlinked at once.

/// The smallest block.
pub(super) const PAGE: usize = 4096;
/// Orders: the largest block is 4 KiB << 11 = 8 MiB, twice the usual RBD object.
const ORDERS: usize = 12;
const NIL: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not the first page of a block.
    Inside,
    Free,
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
    out: u32,
}

impl Buddy {
    pub(super) fn new(count: u32) -> Buddy {
        let inside = Page { state: State::Inside, order: 0, prev: NIL, next: NIL };
        let mut buddy =
            Buddy { pages: vec![inside; count as usize].into_boxed_slice(), free: [NIL; ORDERS], out: 0 };
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

    /// Takes a block back and joins it with its free buddies.
    pub(super) fn free(&mut self, mut page: u32) {
        let entry = &self.pages[page as usize];
        assert_eq!(entry.state, State::Out, "page {page} of the pool is given back once");
        let mut order = usize::from(entry.order);
        self.pages[page as usize].state = State::Inside;
        self.out -= 1;
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
