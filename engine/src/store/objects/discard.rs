//! Discarding and zeroing: a whole object gives its slot back, a part of one is punched.

use std::rc::Rc;

use ringbd_reactor::{Buf, Durability};

use super::LocalObjects;
use super::gate::Access;
use super::inner::{Hold, Inner};
use crate::store::data::is_unsupported;
use crate::store::error::Result;
use crate::store::layout::Slot;
use crate::store::record::ObjectNo;

/// Holes have the page size of every file system that can punch; the disk's own blocks may be smaller.
const HOLE_ALIGN: u64 = 4096;

/// Zeros are written in pieces of this size where nothing can be punched.
const ZERO_PIECE: usize = 256 << 10;

impl LocalObjects {
    /// Forgets a part of an object; reading it gives zeros or, where it does not fill a 4 KiB page, what was there. All of it: the slot is freed,
    /// durably, and the object is a hole.
    pub async fn discard(&self, object: ObjectNo, offset: u64, len: u64) -> Result<()> {
        let inner = &self.inner;
        inner.shared.check_writable()?;
        inner.check_range(offset, len)?;
        if offset == 0 && len == inner.order.bytes() {
            return inner.clear(object).await;
        }
        let hold = inner.enter(object, Access::Shared).await;
        let (start, end) = (offset.next_multiple_of(HOLE_ALIGN), (offset + len) & !(HOLE_ALIGN - 1));
        match inner.slot(object) {
            Some(slot) if start < end => inner.zero_pages(&hold, slot.address() + start, end - start).await,
            Some(_) | None => Ok(()),
        }
    }

    /// Makes a part of an object read as zeros, to the byte. All of it: the slot is freed, durably.
    pub async fn write_zeroes(&self, object: ObjectNo, offset: u64, len: u64) -> Result<()> {
        let inner = &self.inner;
        inner.shared.check_writable()?;
        inner.check_range(offset, len)?;
        if offset == 0 && len == inner.order.bytes() {
            return inner.clear(object).await;
        }
        // Alone if blocks are shared with neighbours: they are read and written back.
        let hold = if inner.fits_blocks(offset, len) {
            inner.enter(object, Access::Shared).await
        } else {
            inner.enter_alone(object).await?
        };
        let Some(slot) = inner.slot(object) else { return Ok(()) };
        inner.zero_bytes(&hold, slot, offset, offset + len).await
    }

    /// Cuts the image's objects here at an image of `size` bytes: what lies behind becomes holes and zeros. For shrinking an open image,
    /// on every core before [`crate::store::Store::resize`].
    pub async fn truncate(&self, size: u64) -> Result<()> {
        let order = self.inner.order;
        let (boundary, within) = (size >> order.bits(), size & (order.bytes() - 1));
        for object in self.inner.allocated().into_iter().filter(|object| object.0 >= boundary) {
            if object.0 == boundary && within != 0 {
                self.write_zeroes(object, within, order.bytes() - within).await?;
            } else {
                self.inner.free(object).await?;
            }
        }
        Ok(())
    }
}

impl Inner {
    /// Makes a whole object zeros: a hole, or in a thick image zeros that keep their place.
    async fn clear(self: &Rc<Self>, object: ObjectNo) -> Result<()> {
        if !self.thick {
            return self.free(object).await;
        }
        let hold = self.enter(object, Access::Shared).await;
        match self.slot(object) {
            Some(slot) => self.zero_pages(&hold, slot.address(), self.order.bytes()).await,
            None => Ok(()),
        }
    }

    /// Takes the object's slot away. Nobody is inside while that happens, so nobody uses the slot afterwards.
    async fn free(self: &Rc<Self>, object: ObjectNo) -> Result<()> {
        let hold = self.enter_alone(object).await?;
        let Some(slot) = self.slot(object) else { return Ok(()) };
        let pending = self.shared.free(self.image, object, slot);
        // Not knowing the outcome would be as bad as an abandoned write, so a drop here leaves the same mark.
        hold.write(pending.committed()).await?;
        self.with(object, |entry| entry.set_slot(None));
        Ok(())
    }

    /// Zeroes from `start` to `end` in a slot: whole pages by punching, the rest by writing.
    async fn zero_bytes(&self, hold: &Hold<'_>, slot: Slot, start: u64, end: u64) -> Result<()> {
        let pages = (start.next_multiple_of(HOLE_ALIGN), end & !(HOLE_ALIGN - 1));
        let address = slot.address();
        if pages.0 >= pages.1 {
            return self.zero_by_writing(hold, address + start, end - start).await;
        }
        self.zero_by_writing(hold, address + start, pages.0 - start).await?;
        self.zero_pages(hold, address + pages.0, pages.1 - pages.0).await?;
        self.zero_by_writing(hold, address + pages.1, end - pages.1).await
    }

    /// Zeroes whole pages. In a thick image they stay allocated, so that later writes need no space.
    async fn zero_pages(&self, hold: &Hold<'_>, address: u64, len: u64) -> Result<()> {
        let zeroed = if self.thick {
            hold.write(self.file.zero_range(address, len)).await
        } else {
            hold.write(self.file.punch_hole(address, len)).await
        };
        match zeroed {
            Err(error) if is_unsupported(&error) => self.zero_by_writing(hold, address, len).await,
            other => other.map_err(|e| self.shared.data.io("punch a hole in", e)),
        }
    }

    async fn zero_by_writing(&self, hold: &Hold<'_>, address: u64, len: u64) -> Result<()> {
        let mut done = 0;
        while done < len {
            let piece = Buf::zeroed(ZERO_PIECE.min((len - done) as usize));
            let bytes = piece.len() as u64;
            hold.write(self.modify(piece, address + done, Durability::Volatile)).await.0?;
            done += bytes;
        }
        Ok(())
    }
}
