//! How the data space is cut: zones of 32 MiB, each cut into slots of one order.
//!
//! Pure arithmetic on addresses. The rule kept here: a slot never crosses its zone's end or the end of the data space,
//! and its address is a multiple of its size counted from [`DATA_START`]. Everything that turns a number from the
//! metadata into a place on the disk goes through [`Geometry::slot_at`].

use std::fmt;

/// Where zone 0 begins. Below it lies the label, which ties the data to its superblock.
pub const DATA_START: u64 = 1 << 20;

/// log2 of the zone size: 32 MiB, the largest object RBD knows (order 25), so that one zone can hold any order.
pub(super) const ZONE_SHIFT: u32 = 25;

/// The bytes of a zone.
pub const ZONE_BYTES: u64 = 1 << ZONE_SHIFT;

/// The most zones a store can have: 1 PiB of data, which keeps the in-memory zone table under a few hundred megabytes.
pub(super) const ZONES_MAX: u32 = 1 << 25;

const _: () = assert!(DATA_START.is_multiple_of(4096), "the data must keep direct I/O aligned");
const _: () = assert!(Order::MAX as u32 == ZONE_SHIFT, "the largest slot fills one zone");

/// log2 of an object's size, 12 (4 KiB) to 25 (32 MiB): the range RBD allows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Order(u8);

impl Order {
    /// 4 KiB: the smallest object, and the disk's page.
    pub const MIN: u8 = 12;
    /// 32 MiB: the largest object.
    pub const MAX: u8 = 25;
    /// How many orders there are, for tables indexed by [`Order::index`].
    pub const COUNT: usize = (Self::MAX - Self::MIN) as usize + 1;

    /// The order, if it is one that RBD allows.
    pub const fn new(order: u8) -> Option<Self> {
        if order >= Self::MIN && order <= Self::MAX { Some(Self(order)) } else { None }
    }

    /// The number itself: log2 of the bytes.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The bytes of an object (and of its slot).
    pub const fn bytes(self) -> u64 {
        1 << self.0
    }

    /// How many slots a whole zone of this order has.
    pub const fn slots_per_zone(self) -> u32 {
        1 << (ZONE_SHIFT - self.0 as u32)
    }

    /// The place of this order in a table of [`Order::COUNT`].
    pub const fn index(self) -> usize {
        (self.0 - Self::MIN) as usize
    }

    /// Every order, smallest first.
    pub fn all() -> impl Iterator<Item = Self> {
        (Self::MIN..=Self::MAX).map(Self)
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One object's place on the disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot {
    /// The zone it lies in.
    pub zone: u32,
    /// Its index inside the zone.
    pub index: u32,
    /// Its size, which is the order of the whole zone.
    pub order: Order,
}

impl Slot {
    /// The byte offset in the data file or device.
    pub const fn address(self) -> u64 {
        DATA_START + ((self.zone as u64) << ZONE_SHIFT) + ((self.index as u64) << self.order.bits())
    }

    /// The slot's number among all slots of its order: what a slot table keeps in 32 bits. `None` beyond 2³² − 1 slots.
    pub fn unit(self) -> Option<u32> {
        let unit =
            (u64::from(self.zone) << (ZONE_SHIFT - u32::from(self.order.bits()))) + u64::from(self.index);
        u32::try_from(unit).ok().filter(|&unit| unit != u32::MAX)
    }

    /// The slot that has this number among the slots of `order`.
    pub const fn from_unit(unit: u32, order: Order) -> Self {
        let shift = ZONE_SHIFT - order.bits() as u32;
        Self { zone: ((unit as u64) >> shift) as u32, index: unit & (order.slots_per_zone() - 1), order }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "slot {} of zone {} (order {}, at byte {})",
            self.index,
            self.zone,
            self.order,
            self.address()
        )
    }
}

/// The size of the data space: where slots may lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Geometry {
    /// The end of the usable space: the device's size, the store's limit, or as far as zones go.
    end: u64,
}

impl Geometry {
    /// A space that ends at byte `limit` of the data file or device, or that may grow for ever.
    pub(super) fn new(limit: Option<u64>) -> Self {
        let most = DATA_START + u64::from(ZONES_MAX) * ZONE_BYTES;
        Self { end: limit.unwrap_or(most).min(most) }
    }

    /// The byte behind the last usable one.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// How many zones there can be, counting a last one that is cut short.
    pub(super) fn zones(&self) -> u32 {
        let zones = self.end.saturating_sub(DATA_START).div_ceil(ZONE_BYTES);
        u32::try_from(zones).unwrap_or(ZONES_MAX).min(ZONES_MAX)
    }

    /// How many slots of `order` fit in `zone`: fewer than usual in a last zone that is cut short.
    pub(super) fn slots_in(&self, zone: u32, order: Order) -> u32 {
        let start = DATA_START + (u64::from(zone) << ZONE_SHIFT);
        let slots = (self.end.saturating_sub(start) >> order.bits()).min(u64::from(order.slots_per_zone()));
        let first = Slot { zone, index: 0, order };
        // A zone whose slots have no 32-bit unit holds no slots of this order: slot tables could not name them.
        let last = Slot { zone, index: order.slots_per_zone() - 1, order };
        if first.unit().is_none() || last.unit().is_none() { 0 } else { slots as u32 }
    }

    /// The slot of `order` that begins at byte `address`, if there can be one.
    pub(super) fn slot_at(&self, address: u64, order: Order) -> Option<Slot> {
        let offset = address.checked_sub(DATA_START)?;
        if !offset.is_multiple_of(order.bytes()) {
            return None;
        }
        let zone = u32::try_from(offset >> ZONE_SHIFT).ok().filter(|&zone| zone < self.zones())?;
        let index = ((offset & (ZONE_BYTES - 1)) >> order.bits()) as u32;
        (index < self.slots_in(zone, order)).then_some(Slot { zone, index, order })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order(bits: u8) -> Order {
        Order::new(bits).expect("a valid order")
    }

    #[test]
    fn orders_outside_rbd_are_refused() {
        assert_eq!(Order::new(11), None);
        assert_eq!(Order::new(26), None);
        assert_eq!(Order::all().count(), Order::COUNT);
    }

    #[test]
    fn a_cut_zone_has_fewer_slots() {
        let geometry = Geometry::new(Some(DATA_START + ZONE_BYTES + (9 << 20)));
        assert_eq!(geometry.zones(), 2);
        assert_eq!(geometry.slots_in(0, order(22)), 8);
        assert_eq!(geometry.slots_in(1, order(22)), 2);
        assert_eq!(geometry.slots_in(1, order(25)), 0);
        assert_eq!(geometry.slots_in(2, order(12)), 0);
        assert_eq!(Geometry::new(Some(0)).zones(), 0);
    }

    #[test]
    fn small_orders_end_where_units_end() {
        let geometry = Geometry::new(None);
        assert_eq!(geometry.slots_in(ZONES_MAX - 1, order(22)), 8);
        assert_eq!(geometry.slots_in(1 << 19, order(12)), 0, "its units need more than 32 bits");
    }

    proptest! {
        #[test]
        fn address_and_unit_name_the_same_slot(zone in 0u32..1 << 18, bits in 12u8..=25, pick in any::<u32>()) {
            let order = order(bits);
            let slot = Slot { zone, index: pick % order.slots_per_zone(), order };
            prop_assert_eq!(Geometry::new(None).slot_at(slot.address(), order), Some(slot));
            prop_assert_eq!(Slot::from_unit(slot.unit().expect("small enough"), order), slot);
        }

        #[test]
        fn slot_at_never_leaves_the_space(address in any::<u64>(), bits in 12u8..=25, end in any::<u64>()) {
            let geometry = Geometry::new(Some(end));
            if let Some(slot) = geometry.slot_at(address, order(bits)) {
                prop_assert_eq!(slot.address(), address);
                prop_assert!(address + slot.order.bytes() <= end);
            }
        }
    }
}
