//! From image extents to object extents: where the bytes of an image live.
//!
//! An image is cut into objects of 2^order bytes. Offsets in the image, in an object and in a caller's buffer are three
//! different things; only this file turns one into another.

use crate::cache::{Extent, SECTOR_BYTES};
use crate::error::{Error, ErrorKind, Result};

/// The smallest object, 4 KiB, is one cache block.
pub const ORDER_MIN: u8 = 12;
/// The largest object, 32 MiB, as librbd's.
pub const ORDER_MAX: u8 = 25;
/// 4 MiB, librbd's default.
pub const ORDER_DEFAULT: u8 = 22;

/// How an image is cut into objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    order: u8,
}

impl Layout {
    pub(crate) fn new(order: u8) -> Result<Self> {
        if (ORDER_MIN..=ORDER_MAX).contains(&order) {
            return Ok(Self { order });
        }
        Err(Error::new(
            ErrorKind::InvalidInput,
            "lay out image",
            format!("order {order}"),
            "not an object order",
        )
        .hint(format!(
            "give {ORDER_MIN} (4 KiB objects) to {ORDER_MAX} (32 MiB objects); the default is {ORDER_DEFAULT}"
        )))
    }

    #[inline]
    pub(crate) fn order(self) -> u8 {
        self.order
    }

    #[inline]
    pub(crate) fn object_bytes(self) -> u64 {
        1 << self.order
    }

    /// The first piece of the image extent, at most to the end of its object.
    #[inline]
    pub(crate) fn first(self, offset: u64, len: u64) -> Extent {
        let inside = offset & (self.object_bytes() - 1);
        let len = len.min(self.object_bytes() - inside);
        // Objects are at most 32 MiB, so both fit 32 bits.
        Extent::new(offset >> self.order, inside as u32, len as u32)
    }

    /// The pieces of the image extent, in order.
    pub(crate) fn extents(self, offset: u64, len: u64) -> impl Iterator<Item = Extent> {
        let mut at = offset;
        let end = offset.saturating_add(len);
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let extent = self.first(at, end - at);
            at += u64::from(extent.len);
            Some(extent)
        })
    }
}

/// Clips a request to the image as librbd does: it may end past the end (and is then short), but not start there.
pub(crate) fn clip(offset: u64, len: u64, image_size: u64) -> Option<u64> {
    if len == 0 {
        return Some(0);
    }
    if offset >= image_size {
        return None;
    }
    Some(len.min(image_size - offset))
}

/// The part of a discard that is whole units of `granularity`; the end of the object ends a unit too. `None`: nothing.
pub(crate) fn discardable(extent: Extent, granularity: u32, object_bytes: u64) -> Option<Extent> {
    let unit = granularity.next_multiple_of(SECTOR_BYTES).max(SECTOR_BYTES);
    let start = extent.offset.next_multiple_of(unit);
    let end = if u64::from(extent.end()) == object_bytes { extent.end() } else { extent.end() / unit * unit };
    (start < end).then(|| Extent::new(extent.object, start, end - start))
}

/// An extent cut into a ragged head, whole sectors and a ragged tail.
pub(crate) fn cut_at_sectors(extent: Extent) -> (Option<Extent>, Option<Extent>, Option<Extent>) {
    let start = extent.offset.next_multiple_of(SECTOR_BYTES).min(extent.end());
    let end = (extent.end() / SECTOR_BYTES * SECTOR_BYTES).max(start);
    let piece = |from: u32, to: u32| (from < to).then(|| Extent::new(extent.object, from, to - from));
    (piece(extent.offset, start), piece(start, end), piece(end, extent.end()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_are_clipped_as_librbd_does() {
        assert_eq!(clip(0, 0, 0), Some(0));
        assert_eq!(clip(100, 0, 100), Some(0));
        assert_eq!(clip(100, 1, 100), None);
        assert_eq!(clip(99, 10, 100), Some(1));
        assert_eq!(clip(u64::MAX, 2, 100), None);
        assert_eq!(clip(0, 100, 100), Some(100));
    }

    #[test]
    fn orders_outside_the_limits_are_refused_by_name() {
        let error = Layout::new(26).unwrap_err().to_string();
        assert!(error.contains("order 26") && error.contains("25"), "{error}");
        assert!(Layout::new(11).is_err());
    }

    #[test]
    fn discards_keep_to_the_granularity_except_at_the_end_of_an_object() {
        let unit = 65536;
        let object = 1 << 22;
        let of =
            |offset, len| discardable(Extent::new(1, offset, len), unit, object).map(|e| (e.offset, e.len));
        assert_eq!(of(0, unit), Some((0, unit)));
        assert_eq!(of(1, unit), None);
        assert_eq!(of(100, 3 * unit), Some((unit, 2 * unit)));
        assert_eq!(of((1 << 22) - 1000, 1000), None);
        assert_eq!(of((1 << 22) - unit - 5, unit + 5), Some(((1 << 22) - unit, unit)));
        assert_eq!(discardable(Extent::new(0, 1000, 3000), 0, object), Some(Extent::new(0, 1024, 2560)));
    }

    proptest! {
        #[test]
        fn an_extent_cut_at_sectors_is_whole_again(offset in 0u32..5000, len in 1u32..5000) {
            let extent = Extent::new(0, offset, len);
            let (head, body, tail) = cut_at_sectors(extent);
            let mut at = offset;
            for piece in [head, body, tail].into_iter().flatten() {
                prop_assert_eq!(piece.offset, at);
                at = piece.end();
            }
            prop_assert_eq!(at, extent.end());
            prop_assert!(body.is_none_or(|body| body.is_sector_aligned()));
            prop_assert!([head, tail].into_iter().flatten().all(|ragged| ragged.len < SECTOR_BYTES));
        }

        #[test]
        fn extents_cover_the_request_once_and_in_order(order in 12u8..=25, offset in 0u64..1 << 40, len in 0u64..1 << 27) {
            let layout = Layout::new(order).unwrap();
            let mut at = offset;
            for extent in layout.extents(offset, len) {
                prop_assert_eq!(extent.object * layout.object_bytes() + u64::from(extent.offset), at);
                prop_assert!(extent.len > 0);
                prop_assert!(u64::from(extent.offset) + u64::from(extent.len) <= layout.object_bytes());
                at += u64::from(extent.len);
            }
            prop_assert_eq!(at, offset + len);
        }
    }
}
