//! The buddy allocator's bookkeeping: pure, it knows page numbers and no memory.
//!
//! Free blocks of each order form a doubly linked list through `links`, so that a buddy found free is unlinked at once.

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
