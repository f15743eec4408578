//! Read-only views that can be shared: what is sent may have to be sent again, to somebody else.

use super::{Buf, Owner};
use std::fmt;
use std::ops::{Bound, Deref, RangeBounds};
use std::ptr::NonNull;

/// A read-only view of memory. Clones and slices view the same bytes without copying them, from any core.
pub struct SharedBuf {
    start: NonNull<u8>,
    len: usize,
    owner: Owner,
}

// SAFETY: nobody writes to the bytes of a shared view, and blocks count their views atomically.
unsafe impl Send for SharedBuf {}
// SAFETY: as above.
unsafe impl Sync for SharedBuf {}

impl SharedBuf {
    /// No memory.
    pub const fn empty() -> SharedBuf {
        SharedBuf { start: NonNull::dangling(), len: 0, owner: Owner::None }
    }

    /// A part of the view.
    pub fn slice(&self, range: impl RangeBounds<usize>) -> SharedBuf {
        let start = match range.start_bound() {
            Bound::Included(&start) => start,
            Bound::Excluded(&before) => before + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&last) => last + 1,
            Bound::Excluded(&end) => end,
            Bound::Unbounded => self.len,
        };
        assert!(start <= end && end <= self.len, "a view of {} bytes has no {start}..{end}", self.len);
        if start == end {
            return SharedBuf::empty();
        }
        // SAFETY: `start` is inside the view.
        let at = unsafe { self.start.add(start) };
        SharedBuf { start: at, len: end - start, owner: self.owner.share() }
    }
}

impl From<Buf> for SharedBuf {
    /// From now on nobody writes to these bytes.
    fn from(mut buf: Buf) -> SharedBuf {
        let owner = std::mem::replace(&mut buf.owner, Owner::None);
        SharedBuf { start: buf.start, len: buf.len, owner }
    }
}

impl Clone for SharedBuf {
    fn clone(&self) -> SharedBuf {
        SharedBuf { start: self.start, len: self.len, owner: self.owner.share() }
    }
}

impl Default for SharedBuf {
    fn default() -> SharedBuf {
        SharedBuf::empty()
    }
}

impl Deref for SharedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the view's bytes are initialised and alive while the owner is, and only shared views have them.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl AsRef<[u8]> for SharedBuf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for SharedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedBuf({:p}, {} bytes)", self.start, self.len)
    }
}
