//! Which slots are used, clean or dirty: the allocator's state in memory, rebuilt from the metadata at each opening.
//!
//! Pure bookkeeping. A slot is *used* (an object's, or held while something is done to it), *clean* (free, and known to read as
//! zeros also after a power cut) or *dirty* (free, contents unknown). The rule: only clean slots are handed to objects.
//! A slot becomes clean when it lies in a zone that was never written, or when it was punched and the punch synced; what is free at
//! opening is dirty, because a crash forgets which punches were synced.
//!
//! Zones are given to orders one after the other; a zone without used slots may be given to another order.

use std::collections::BTreeSet;

use super::layout::{DATA_START, Geometry, Order, Slot};

/// The state of every zone.
#[derive(Debug)]
pub(super) struct Space {
    geometry: Geometry,
    zones: Vec<Zone>,
    orders: [OrderState; Order::COUNT],
}

#[derive(Debug)]
struct Zone {
    order: Order,
    slots: u32,
    used: Box<[u64]>,
    clean: Box<[u64]>,
    used_count: u32,
    clean_count: u32,
    /// A zone that is being given away is nobody's until [`Space::publish_zone`].
    held: bool,
}

/// Where an order's free slots are.
#[derive(Debug, Default)]
struct OrderState {
    clean_zones: BTreeSet<u32>,
    dirty_zones: BTreeSet<u32>,
    clean: u64,
    used: u64,
}

/// Why a slot named by the metadata cannot be marked used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SlotFault {
    /// Another object has it.
    DoublyUsed,
    /// Its zone is not in the metadata.
    NoZone,
    /// Its zone belongs to another order.
    WrongOrder(Order),
}

/// A zone about to be given to an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ZoneGrant {
    /// The zone's number.
    pub zone: u32,
    /// Its order from now on.
    pub order: Order,
    /// True if it is new at the end of the data: the file must grow over it.
    pub grows: bool,
}

/// How full the space is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SpaceUsage {
    /// Bytes in used slots.
    pub used_bytes: u64,
    /// Bytes in free slots of zones that have an order.
    pub free_bytes: u64,
    /// Bytes in zones that have an order.
    pub zone_bytes: u64,
    /// The most bytes there can be in slots, when the space is limited.
    pub capacity_bytes: u64,
}

impl Space {
    /// A space without zones.
    pub(super) fn new(geometry: Geometry) -> Self {
        Self { geometry, zones: Vec::new(), orders: Default::default() }
    }

    /// The limits of the space.
    pub(super) fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// How many zones have an order.
    pub(super) fn zone_count(&self) -> u32 {
        self.zones.len() as u32
    }

    /// The byte behind the last slot of the last zone: how long the data must at least be.
    pub(super) fn zones_end(&self) -> u64 {
        let Some(last) = self.zones.last() else { return DATA_START };
        let zone = self.zone_count() - 1;
        Slot { zone, index: 0, order: last.order }.address() + (u64::from(last.slots) << last.order.bits())
    }

    /// Adds the next zone as the metadata has it, all its slots free and dirty.
    pub(super) fn load_zone(&mut self, order: Order) {
        let zone = self.zone_count();
        self.zones.push(Zone::new(order, self.geometry.slots_in(zone, order)));
        self.file(zone);
    }

    /// Marks a slot that the metadata names as used.
    pub(super) fn load_used(&mut self, slot: Slot) -> Result<(), SlotFault> {
        let zone = self.zones.get_mut(slot.zone as usize).ok_or(SlotFault::NoZone)?;
        if zone.order != slot.order {
            return Err(SlotFault::WrongOrder(zone.order));
        }
        if zone.is_used(slot.index) {
            return Err(SlotFault::DoublyUsed);
        }
        self.set(slot, State::Used);
        Ok(())
    }

    /// How many clean slots an order has.
    pub(super) fn clean_count(&self, order: Order) -> u64 {
        self.orders[order.index()].clean
    }

    /// Takes the lowest clean slot and marks it used.
    pub(super) fn take_clean(&mut self, order: Order) -> Option<Slot> {
        let zone = *self.orders[order.index()].clean_zones.first()?;
        let index =
            first_set(&self.zones[zone as usize].clean).expect("the zone is listed as having a clean slot");
        let slot = Slot { zone, index, order };
        self.set(slot, State::Used);
        Some(slot)
    }

    /// Takes up to `most` dirty slots that lie side by side and marks them used until they are given back.
    pub(super) fn take_dirty_run(&mut self, order: Order, most: u32) -> Option<(Slot, u32)> {
        let zone_no = *self.orders[order.index()].dirty_zones.first()?;
        let zone = &self.zones[zone_no as usize];
        let start =
            (0..zone.slots).find(|&i| zone.is_dirty(i)).expect("the zone is listed as having a dirty slot");
        let count = (start..zone.slots).take_while(|&i| zone.is_dirty(i)).take(most as usize).count() as u32;
        for index in start..start + count {
            self.set(Slot { zone: zone_no, index, order }, State::Used);
        }
        Some((Slot { zone: zone_no, index: start, order }, count))
    }

    /// Gives a used slot back: its contents are durably zeros.
    pub(super) fn release_clean(&mut self, slot: Slot) {
        self.set(slot, State::Clean);
    }

    /// Gives a used slot back: its contents are unknown.
    pub(super) fn release_dirty(&mut self, slot: Slot) {
        self.set(slot, State::Dirty);
    }

    /// Picks a zone to give to `order`: one that nobody uses, or a new one at the end. `None`: the space is full.
    /// The zone is held until [`Space::publish_zone`] or [`Space::abandon_zone`].
    pub(super) fn grant_zone(&mut self, order: Order) -> Option<ZoneGrant> {
        let idle = (0..self.zone_count()).find(|&no| {
            let zone = &self.zones[no as usize];
            zone.used_count == 0 && !zone.held && zone.order != order && self.geometry.slots_in(no, order) > 0
        });
        if let Some(zone) = idle {
            self.unfile(zone);
            self.zones[zone as usize].held = true;
            return Some(ZoneGrant { zone, order, grows: false });
        }
        let zone = self.zone_count();
        let slots = if zone < self.geometry.zones() { self.geometry.slots_in(zone, order) } else { 0 };
        if slots == 0 {
            return None;
        }
        self.zones.push(Zone { held: true, ..Zone::new(order, slots) });
        Some(ZoneGrant { zone, order, grows: true })
    }

    /// The metadata now gives the zone to its order. `clean` says that all of it is durably zeros.
    pub(super) fn publish_zone(&mut self, grant: ZoneGrant, clean: bool) {
        let slots = self.geometry.slots_in(grant.zone, grant.order);
        let zone = &mut self.zones[grant.zone as usize];
        assert!(zone.held, "only a held zone is published");
        *zone = Zone::new(grant.order, slots);
        if clean {
            (0..slots).for_each(|index| set_bit(&mut zone.clean, index, true));
            zone.clean_count = slots;
        }
        self.file(grant.zone);
    }

    /// The metadata was not changed: the zone is what it was before.
    pub(super) fn abandon_zone(&mut self, grant: ZoneGrant) {
        assert!(self.zones[grant.zone as usize].held, "only a held zone is abandoned");
        if grant.grows && grant.zone + 1 == self.zone_count() {
            self.zones.pop();
            return;
        }
        assert!(!grant.grows, "new zones are abandoned last first");
        self.zones[grant.zone as usize].held = false;
        self.file(grant.zone);
    }

    /// How full the space is.
    pub(super) fn usage(&self) -> SpaceUsage {
        let mut usage = SpaceUsage { capacity_bytes: self.geometry.end(), ..SpaceUsage::default() };
        for zone in self.zones.iter().filter(|zone| !zone.held) {
            usage.used_bytes += u64::from(zone.used_count) << zone.order.bits();
            usage.free_bytes += u64::from(zone.slots - zone.used_count) << zone.order.bits();
        }
        usage.zone_bytes = usage.used_bytes + usage.free_bytes;
        usage.capacity_bytes = usage.capacity_bytes.saturating_sub(DATA_START);
        usage
    }

    /// Panics if the counts and lists do not say what the bitmaps say. For tests and fsck.
    pub(super) fn check(&self) {
        for order in Order::all() {
            let state = &self.orders[order.index()];
            let of_order = |zone: &&Zone| zone.order == order && !zone.held;
            let clean: u64 = self.zones.iter().filter(of_order).map(|zone| u64::from(zone.clean_count)).sum();
            let used: u64 = self.zones.iter().filter(of_order).map(|zone| u64::from(zone.used_count)).sum();
            assert_eq!((state.clean, state.used), (clean, used), "counts of order {order}");
        }
        for (no, zone) in self.zones.iter().enumerate() {
            let ones = |bits: &[u64]| bits.iter().map(|word| word.count_ones()).sum::<u32>();
            assert_eq!(ones(&zone.used), zone.used_count, "used slots of zone {no}");
            assert_eq!(ones(&zone.clean), zone.clean_count, "clean slots of zone {no}");
            let both = zone.used.iter().zip(&zone.clean).any(|(used, clean)| used & clean != 0);
            assert!(!both, "zone {no} has a slot that is used and free");
            assert!(zone.used_count + zone.clean_count <= zone.slots, "zone {no} has too many slots");
            let state = &self.orders[zone.order.index()];
            let key = no as u32;
            assert_eq!(
                state.clean_zones.contains(&key),
                !zone.held && zone.clean_count > 0,
                "zone {no} in clean list"
            );
            assert_eq!(
                state.dirty_zones.contains(&key),
                !zone.held && zone.dirty_count() > 0,
                "zone {no} in dirty list"
            );
        }
    }

    fn set(&mut self, slot: Slot, state: State) {
        let zone = &mut self.zones[slot.zone as usize];
        assert!(
            zone.order == slot.order && slot.index < zone.slots && !zone.held,
            "{slot} is not in the space"
        );
        let was_used = zone.is_used(slot.index);
        assert_eq!(was_used, state != State::Used, "{slot} changes between used and free");
        let was_clean = zone.is_clean(slot.index);
        let is_clean = state == State::Clean;
        set_bit(&mut zone.used, slot.index, state == State::Used);
        set_bit(&mut zone.clean, slot.index, is_clean);
        let counts = &mut self.orders[slot.order.index()];
        if was_used {
            zone.used_count -= 1;
            counts.used -= 1;
        } else {
            zone.used_count += 1;
            counts.used += 1;
        }
        zone.clean_count = zone.clean_count + u32::from(is_clean) - u32::from(was_clean);
        counts.clean = counts.clean + u64::from(is_clean) - u64::from(was_clean);
        list(&mut counts.clean_zones, slot.zone, zone.clean_count > 0);
        list(&mut counts.dirty_zones, slot.zone, zone.dirty_count() > 0);
    }

    /// Enters a zone in its order's lists and counts.
    fn file(&mut self, zone_no: u32) {
        let zone = &self.zones[zone_no as usize];
        let state = &mut self.orders[zone.order.index()];
        state.clean += u64::from(zone.clean_count);
        state.used += u64::from(zone.used_count);
        list(&mut state.clean_zones, zone_no, zone.clean_count > 0);
        list(&mut state.dirty_zones, zone_no, zone.dirty_count() > 0);
    }

    fn unfile(&mut self, zone_no: u32) {
        let zone = &self.zones[zone_no as usize];
        let state = &mut self.orders[zone.order.index()];
        state.clean -= u64::from(zone.clean_count);
        state.used -= u64::from(zone.used_count);
        state.clean_zones.remove(&zone_no);
        state.dirty_zones.remove(&zone_no);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Used,
    Clean,
    Dirty,
}

impl Zone {
    fn new(order: Order, slots: u32) -> Self {
        let words = slots.div_ceil(64) as usize;
        let bits = || vec![0; words].into_boxed_slice();
        Self { order, slots, used: bits(), clean: bits(), used_count: 0, clean_count: 0, held: false }
    }

    fn dirty_count(&self) -> u32 {
        self.slots - self.used_count - self.clean_count
    }

    fn is_used(&self, index: u32) -> bool {
        bit(&self.used, index)
    }

    fn is_clean(&self, index: u32) -> bool {
        bit(&self.clean, index)
    }

    fn is_dirty(&self, index: u32) -> bool {
        !self.is_used(index) && !self.is_clean(index)
    }
}

fn list(zones: &mut BTreeSet<u32>, zone: u32, listed: bool) {
    if listed {
        zones.insert(zone);
    } else {
        zones.remove(&zone);
    }
}

fn bit(words: &[u64], index: u32) -> bool {
    words[(index / 64) as usize] >> (index % 64) & 1 == 1
}

fn set_bit(words: &mut [u64], index: u32, value: bool) {
    let word = &mut words[(index / 64) as usize];
    *word = *word & !(1 << (index % 64)) | u64::from(value) << (index % 64);
}

fn first_set(words: &[u64]) -> Option<u32> {
    let (at, word) = words.iter().enumerate().find(|&(_, &word)| word != 0)?;
    Some(at as u32 * 64 + word.trailing_zeros())
}

#[cfg(test)]
mod tests {
    use super::super::layout::{DATA_START, ZONE_BYTES};
    use super::*;
    use proptest::prelude::*;

    fn order(bits: u8) -> Order {
        Order::new(bits).expect("a valid order")
    }

    fn space(zones: u64) -> Space {
        Space::new(Geometry::new(Some(DATA_START + zones * ZONE_BYTES)))
    }

    #[test]
    fn new_zones_are_handed_out_in_address_order_until_full() {
        let mut space = space(2);
        for zone in 0..2 {
            let grant = space.grant_zone(order(22)).expect("space is left");
            assert_eq!((grant.zone, grant.grows), (zone, true));
            space.publish_zone(grant, true);
            for index in 0..8 {
                assert_eq!(space.take_clean(order(22)), Some(Slot { zone, index, order: order(22) }));
            }
            space.check();
        }
        assert_eq!(space.take_clean(order(22)), None);
        assert_eq!(space.grant_zone(order(22)), None);
        assert_eq!(space.usage().used_bytes, 2 * ZONE_BYTES);
    }

    #[test]
    fn freed_slots_are_dirty_until_cleaned() {
        let mut space = space(1);
        let grant = space.grant_zone(order(24)).expect("space is left");
        space.publish_zone(grant, true);
        let slots =
            [space.take_clean(order(24)).expect("clean"), space.take_clean(order(24)).expect("clean")];
        slots.into_iter().for_each(|slot| space.release_dirty(slot));
        assert_eq!(space.take_clean(order(24)), None);
        assert_eq!(space.take_dirty_run(order(24), 9), Some((slots[0], 2)));
        assert_eq!(space.take_dirty_run(order(24), 9), None);
        slots.into_iter().for_each(|slot| space.release_clean(slot));
        assert_eq!(space.take_clean(order(24)), Some(slots[0]));
        space.check();
    }

    #[test]
    fn an_idle_zone_may_change_its_order() {
        let mut space = space(1);
        let grant = space.grant_zone(order(25)).expect("space is left");
        space.publish_zone(grant, true);
        assert_eq!(space.take_clean(order(25)).map(|slot| slot.index), Some(0));
        assert_eq!(space.grant_zone(order(12)), None, "its one slot is used");
        space.release_dirty(Slot { zone: 0, index: 0, order: order(25) });
        let grant = space.grant_zone(order(12)).expect("it is idle now");
        assert!(!grant.grows);
        space.abandon_zone(grant);
        space.check();
        let grant = space.grant_zone(order(12)).expect("still idle");
        space.publish_zone(grant, false);
        assert_eq!(space.take_clean(order(12)), None, "its contents are unknown");
        assert_eq!(space.take_dirty_run(order(12), u32::MAX).map(|run| run.1), Some(8192));
        space.check();
    }

    #[test]
    fn faulty_slots_are_told_apart() {
        let mut space = space(4);
        space.load_zone(order(22));
        let slot = Slot { zone: 0, index: 3, order: order(22) };
        assert_eq!(space.load_used(slot), Ok(()));
        assert_eq!(space.load_used(slot), Err(SlotFault::DoublyUsed));
        assert_eq!(space.load_used(Slot { order: order(20), ..slot }), Err(SlotFault::WrongOrder(order(22))));
        assert_eq!(space.load_used(Slot { zone: 1, ..slot }), Err(SlotFault::NoZone));
    }

    proptest! {
        /// Random takes and releases against a plain set of used slots.
        #[test]
        fn no_slot_is_handed_out_twice(steps in proptest::collection::vec((0u8..6, any::<u16>()), 1..200)) {
            let mut space = space(6);
            let mut used: Vec<Slot> = Vec::new();
            for (step, pick) in steps {
                let order = order([20, 22, 25][usize::from(pick) % 3]);
                match step {
                    0 | 1 => if let Some(slot) = space.take_clean(order) {
                        prop_assert!(!used.contains(&slot));
                        used.push(slot);
                    },
                    2 => if let Some(grant) = space.grant_zone(order) {
                        if pick % 5 == 0 { space.abandon_zone(grant) } else { space.publish_zone(grant, pick % 2 == 0) }
                    },
                    3 => if let Some((first, count)) = space.take_dirty_run(order, u32::from(pick % 4) + 1) {
                        for index in first.index..first.index + count {
                            let slot = Slot { index, ..first };
                            prop_assert!(!used.contains(&slot));
                            space.release_clean(slot);
                        }
                    },
                    _ => if !used.is_empty() {
                        let slot = used.swap_remove(usize::from(pick) % used.len());
                        if step == 4 { space.release_dirty(slot) } else { space.release_clean(slot) }
                    },
                }
                space.check();
                let bytes: u64 = used.iter().map(|slot| slot.order.bytes()).sum();
                prop_assert_eq!(space.usage().used_bytes, bytes);
            }
        }
    }
}
