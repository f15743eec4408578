//! Striping: which bytes of which object the bytes of an image are.
//!
//! ```text
//!   image:   | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | …       stripe units
//!   object 0: 0 2 4 6      object 2: 8 …                    two objects a stripe, four units an object:
//!   object 1: 1 3 5 7      object 3: 9 …                    objects 0 and 1 are a set, 2 and 3 the next
//! ```
//!
//! Without striping the unit is the object and a stripe is one object. Either way the bytes of one object lie in the image
//! in the order in which they lie in the object, which is what lets the end of an image be an end of each of its objects.

use crate::osd::Extent;
use thiserror::Error;

/// The smallest objects are 4 KiB.
pub const ORDER_MIN: u8 = 12;
/// The largest are 32 MiB.
pub const ORDER_MAX: u8 = 25;
/// What Ceph's own clients refuse to go below.
const STRIPE_UNIT_MIN: u64 = 512;

/// How the bytes of an image go round its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Striping {
    order: u8,
    unit: u64,
    count: u64,
}

/// A piece of an image in one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectExtent {
    /// The object's number.
    pub object: u64,
    /// The bytes in the object.
    pub extent: Extent,
    /// Where they are in the image.
    pub image_offset: u64,
}

/// Why numbers make no striping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StripingError {
    /// Objects too small or too large.
    #[error("the objects' size is 2^{0}, which is not in the range from 2^{ORDER_MIN} to 2^{ORDER_MAX}")]
    Order(u8),
    /// A unit without a count, or the reverse.
    #[error("a stripe has a unit and a count, or neither")]
    Half,
    /// A unit that does not divide the object.
    #[error("a stripe unit of {0} bytes does not divide the object")]
    Unit(u64),
    /// A unit too small.
    #[error("a stripe unit of {0} bytes is smaller than {STRIPE_UNIT_MIN}")]
    UnitTooSmall(u64),
    /// More objects a stripe than there are numbers.
    #[error("a stripe cannot go over {0} objects")]
    Count(u64),
}

impl Striping {
    /// Objects of 2^`order` bytes, in stripes of `count` units of `unit` bytes; 0 and 0 are one unit that is the object.
    ///
    /// # Errors
    /// They make no striping.
    pub fn new(order: u8, unit: u64, count: u64) -> Result<Striping, StripingError> {
        if !(ORDER_MIN..=ORDER_MAX).contains(&order) {
            return Err(StripingError::Order(order));
        }
        let object_bytes = 1 << order;
        let (unit, count) = match (unit, count) {
            (0, 0) => (object_bytes, 1),
            (0, _) | (_, 0) => return Err(StripingError::Half),
            (unit, _) if unit > object_bytes || !object_bytes.is_multiple_of(unit) => {
                return Err(StripingError::Unit(unit));
            }
            (unit, _) if unit < STRIPE_UNIT_MIN => return Err(StripingError::UnitTooSmall(unit)),
            (unit, count) => (unit, count),
        };
        match object_bytes.checked_mul(count) {
            Some(_) => Ok(Striping { order, unit, count }),
            None => Err(StripingError::Count(count)),
        }
    }

    /// The object's size as a power of two.
    pub const fn order(self) -> u8 {
        self.order
    }

    /// Bytes of an object.
    pub const fn object_bytes(self) -> u64 {
        1 << self.order
    }

    /// Bytes of a stripe unit.
    pub const fn unit(self) -> u64 {
        self.unit
    }

    /// Objects of a stripe.
    pub const fn count(self) -> u64 {
        self.count
    }

    /// Whether it is more than a cut into objects.
    pub const fn is_fancy(self) -> bool {
        self.unit != self.object_bytes() || self.count != 1
    }

    /// Bytes of a set of objects, after which the next set begins.
    const fn period(self) -> u64 {
        self.object_bytes() * self.count
    }

    /// How many objects an image of `size` bytes can have.
    pub fn objects(self, size: u64) -> u64 {
        let (whole, rest) = (size / self.period(), size % self.period());
        // A part of a set uses all its objects once a whole stripe is in it, or as many as there are units.
        whole.saturating_mul(self.count).saturating_add(rest.div_ceil(self.unit).min(self.count))
    }

    /// How many bytes of an object an image of `size` bytes uses. They are the object's first.
    pub fn object_bytes_within(self, object: u64, size: u64) -> u64 {
        let (set, position) = (object / self.count, object % self.count);
        let (full_sets, rest) = (size / self.period(), size % self.period());
        if set != full_sets {
            return if set < full_sets { self.object_bytes() } else { 0 };
        }
        let stripe = self.unit * self.count;
        let (stripes, tail) = (rest / stripe, rest % stripe);
        stripes * self.unit + tail.saturating_sub(position * self.unit).min(self.unit)
    }

    /// Where a byte of the image is.
    pub fn locate(self, image_offset: u64) -> (u64, u64) {
        let units_per_object = self.object_bytes() / self.unit;
        let (block, within) = (image_offset / self.unit, image_offset % self.unit);
        let (stripe, position) = (block / self.count, block % self.count);
        let object = stripe / units_per_object * self.count + position;
        (object, stripe % units_per_object * self.unit + within)
    }

    /// Where a byte of an object is in the image; none if no image is that long.
    pub fn image_offset(self, object: u64, offset: u64) -> Option<u64> {
        let (set, position) = (object / self.count, object % self.count);
        let (unit, within) = (offset / self.unit, offset % self.unit);
        let in_set = unit * self.unit * self.count + position * self.unit + within;
        set.checked_mul(self.period())?.checked_add(in_set)
    }

    /// The pieces of an image extent, in the order in which they lie in the image.
    pub fn object_extents(self, extent: Extent) -> impl Iterator<Item = ObjectExtent> {
        let (mut at, end) = (extent.offset, extent.offset.saturating_add(extent.length));
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let (object, offset) = self.locate(at);
            // Where stripes have one object the units of an object touch.
            let contiguous = if self.count == 1 { self.object_bytes() } else { self.unit };
            let length = (contiguous - offset % contiguous).min(end - at);
            let piece = ObjectExtent { object, extent: Extent { offset, length }, image_offset: at };
            at += length;
            Some(piece)
        })
    }

    /// The pieces of an object's extent in the image, in the order in which they lie in the object.
    pub fn image_extents(self, object: u64, extent: Extent) -> impl Iterator<Item = Extent> {
        let (mut at, end) = (extent.offset, extent.offset.saturating_add(extent.length));
        let end = end.min(self.object_bytes());
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let contiguous = if self.count == 1 { self.object_bytes() } else { self.unit };
            let length = (contiguous - at % contiguous).min(end - at);
            let piece = Extent { offset: self.image_offset(object, at)?, length };
            at += length;
            Some(piece)
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};

    fn strategy() -> impl Strategy<Value = Striping> {
        (12_u8..15, 9_u32..13, prop_oneof![Just(0_u64), 1_u64..6]).prop_map(|(order, unit, count)| {
            let unit = if count == 0 { 0 } else { 1 << unit };
            Striping::new(order, unit, count).unwrap()
        })
    }

    /// Byte by byte: goes through the image as it is drawn above, unit by unit round the objects of a set.
    fn naive(striping: Striping, size: u64) -> Vec<(u64, u64)> {
        let mut places = Vec::new();
        for set in 0.. {
            for row in 0..striping.object_bytes() / striping.unit {
                for position in 0..striping.count {
                    for byte in 0..striping.unit {
                        if places.len() as u64 == size {
                            return places;
                        }
                        places.push((set * striping.count + position, row * striping.unit + byte));
                    }
                }
            }
        }
        places
    }

    proptest! {
        #![proptest_config(proptest::test_runner::Config { cases: 48, ..Default::default() })]

        #[test]
        fn it_is_the_naive_walk(striping in strategy(), size in 0_u64..100_000, from in 0_u64..100_000, len in 0_u64..50_000) {
            let places = naive(striping, size);
            let objects = places.iter().map(|(object, _)| object + 1).max().unwrap_or(0);
            prop_assert_eq!(striping.objects(size), objects);
            for object in 0..objects + 2 {
                let used = places.iter().filter(|place| place.0 == object).map(|place| place.1 + 1).max();
                prop_assert_eq!(striping.object_bytes_within(object, size), used.unwrap_or(0));
            }
            let (from, to) = (from.min(size), from.saturating_add(len).min(size));
            let mut at = from;
            for piece in striping.object_extents(Extent { offset: from, length: to - from }) {
                prop_assert_eq!(piece.image_offset, at);
                for byte in 0..piece.extent.length {
                    let place = (piece.object, piece.extent.offset + byte);
                    prop_assert_eq!(places[usize::try_from(at).unwrap()], place);
                    prop_assert_eq!(striping.image_offset(place.0, place.1), Some(at));
                    at += 1;
                }
                let back: Vec<_> = striping.image_extents(piece.object, piece.extent).collect();
                prop_assert_eq!(back, vec![Extent { offset: piece.image_offset, length: piece.extent.length }]);
            }
            prop_assert_eq!(at, to);
        }

        #[test]
        fn nothing_overflows(order in 12_u8..26, unit in 9_u32..26, count: u64, size: u64, object: u64, offset: u64) {
            let Ok(striping) = Striping::new(order, 1 << unit, count) else { return Ok(()) };
            let objects = striping.objects(size);
            prop_assert!(striping.object_bytes_within(object, size) <= striping.object_bytes());
            prop_assert_eq!(striping.object_bytes_within(objects, size), 0);
            let (object_of, within) = striping.locate(size);
            prop_assert_eq!(striping.image_offset(object_of, within), Some(size));
            striping.image_offset(object, offset % striping.object_bytes());
        }
    }

    #[test]
    fn what_makes_no_striping() {
        assert_eq!(Striping::new(26, 0, 0), Err(StripingError::Order(26)));
        assert_eq!(Striping::new(11, 0, 0), Err(StripingError::Order(11)));
        assert_eq!(Striping::new(22, 65536, 0), Err(StripingError::Half));
        assert_eq!(Striping::new(22, 3000, 2), Err(StripingError::Unit(3000)));
        assert_eq!(Striping::new(22, 1 << 23, 2), Err(StripingError::Unit(1 << 23)));
        assert_eq!(Striping::new(22, 256, 2), Err(StripingError::UnitTooSmall(256)));
        assert!(Striping::new(22, 1 << 22, u64::MAX).is_err());
        // What rbd counts for 100 MiB in stripes of 4 units of 64 KiB.
        assert_eq!(Striping::new(22, 65536, 4).unwrap().objects(100 << 20), 28);
    }
}
