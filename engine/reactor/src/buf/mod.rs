//! Buffers: owned views of aligned memory.
//!
//! Views of one block are disjoint, so each is as good as an owned slice; the block is freed, or goes back to
//! its pool, with the last of them. Every byte of a block is initialised when the block is made.

mod block;
mod buddy;
mod pool;
mod region;
mod shared;
#[cfg(test)]
mod tests;

pub(crate) use pool::Pool;
pub use shared::SharedBuf;

use crate::core::Core;
use block::Block;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Alignment of the memory of every buffer that this crate allocates: a page, enough for O_DIRECT on any
/// disk.
pub(crate) const ALIGN: usize = 4096;

/// An owned view of aligned memory. Splitting makes disjoint views of the same block without copying.
pub struct Buf {
    start: NonNull<u8>,
    len: usize,
    owner: Owner,
}

enum Owner {
    /// Nothing: the view is empty.
    None,
    /// A counted reference to a block.
    Block(Block),
    /// The caller of `lent`, who gave memory that starts here.
    Caller(NonNull<u8>),
}

// SAFETY: a Buf is the only way to its bytes (views are disjoint), and blocks count their views atomically.
unsafe impl Send for Buf {}
// SAFETY: a shared Buf only gives shared access to its bytes.
unsafe impl Sync for Buf {}

impl Buf {
    /// No memory.
    pub const fn empty() -> Buf {
        Buf { start: NonNull::dangling(), len: 0, owner: Owner::None }
    }

    /// Zeroed memory from the heap, aligned to 4 KiB.
    pub fn zeroed(len: usize) -> Buf {
        if len == 0 {
            return Buf::empty();
        }
        let (block, start) = Block::heap(len);
        Buf { start, len, owner: Owner::Block(block) }
    }

    /// A copy of `bytes` on the heap, aligned to 4 KiB.
    pub fn from_slice(bytes: &[u8]) -> Buf {
        let mut buf = Buf::zeroed(bytes.len());
        buf.copy_from_slice(bytes);
        buf
    }

    /// Memory from the current core's pool, aligned to 4 KiB. It holds whatever was there before. When the
    /// pool has no room, or there is none, it comes zeroed from the heap.
    pub fn alloc(len: usize) -> Buf {
        if len == 0 {
            return Buf::empty();
        }
        match Core::try_with(|core| core.pool().and_then(|pool| pool.alloc(len))).flatten() {
            Some((block, start)) => Buf { start, len, owner: Owner::Block(block) },
            None => Buf::zeroed(len),
        }
    }

    /// A view of memory that belongs to the caller.
    ///
    /// # Safety
    /// The memory is initialised, and stays valid and is not touched by anyone else until the returned `Buf`
    /// and all that was split off it or shared of it are dropped.
    pub unsafe fn lent(start: *mut u8, len: usize) -> Buf {
        match NonNull::new(start) {
            Some(start) if len > 0 => Buf { start, len, owner: Owner::Caller(start) },
            _ => Buf::empty(),
        }
    }

    /// True for a view of memory that belongs to the caller of [`lent`](Buf::lent).
    pub fn is_lent(&self) -> bool {
        matches!(self.owner, Owner::Caller(_))
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where the bytes are.
    pub fn as_ptr(&self) -> *const u8 {
        self.start.as_ptr()
    }

    /// True when the address and the length are multiples of `align`.
    pub fn is_aligned(&self, align: usize) -> bool {
        self.start.addr().get().is_multiple_of(align) && self.len.is_multiple_of(align)
    }

    /// Takes the first `n` bytes out; `self` keeps the rest.
    pub fn split_to(&mut self, n: usize) -> Buf {
        let rest = self.split_off(n);
        std::mem::replace(self, rest)
    }

    /// Takes all but the first `n` bytes out; `self` keeps the first.
    pub fn split_off(&mut self, n: usize) -> Buf {
        assert!(n <= self.len, "a buffer of {} bytes has no byte {n} to split at", self.len);
        if n == self.len {
            return Buf::empty();
        }
        if n == 0 {
            return std::mem::take(self);
        }
        // SAFETY: `n` is less than the view's length, so the new start is inside the same allocation.
        let start = unsafe { self.start.add(n) };
        let rest = Buf { start, len: self.len - n, owner: self.owner.share() };
        self.len = n;
        rest
    }

    /// Joins the view that begins where this one ends. `other` comes back if it is not that.
    pub fn unsplit(&mut self, other: Buf) -> Result<(), Buf> {
        if other.is_empty() {
            return Ok(());
        }
        if self.is_empty() {
            *self = other;
            return Ok(());
        }
        let adjacent = self.start.as_ptr().wrapping_add(self.len) == other.start.as_ptr();
        if !adjacent || !self.owner.is_same(&other.owner) {
            return Err(other);
        }
        self.len += other.len;
        Ok(())
    }

    /// Forgets the bytes from `len` on, if there are so many.
    pub fn truncate(&mut self, len: usize) {
        if len == 0 {
            *self = Buf::empty();
        } else {
            self.len = self.len.min(len);
        }
    }
}

impl Owner {
    fn share(&self) -> Owner {
        match self {
            Owner::None => Owner::None,
            Owner::Block(block) => Owner::Block(block.share()),
            Owner::Caller(base) => Owner::Caller(*base),
        }
    }

    fn is_same(&self, other: &Owner) -> bool {
        match (self, other) {
            (Owner::Block(a), Owner::Block(b)) => a.is_same(b),
            (Owner::Caller(a), Owner::Caller(b)) => a == b,
            (Owner::None | Owner::Block(_) | Owner::Caller(_), _) => false,
        }
    }
}

impl Default for Buf {
    fn default() -> Buf {
        Buf::empty()
    }
}

impl Deref for Buf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the view's bytes are initialised, alive while the owner is, and no other view has them.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Buf {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl fmt::Debug for Buf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buf({:p}, {} bytes)", self.start, self.len)
    }
}
