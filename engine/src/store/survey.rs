//! One walk over all metadata: it rebuilds the space and finds everything that does not fit together.
//!
//! Opening a store walks and refuses if anything is wrong; fsck walks and repairs. Neither trusts a number before it was checked here.

use std::collections::{HashMap, HashSet};
use std::fmt;

use redb::{ReadTransaction, ReadableTable};

use super::catalog;
use super::layout::{Geometry, Order, Slot};
use super::metadata::{self, Fault, IMAGES, NAMES, OBJECTS, POOLS, STORE, ZONES};
use super::record::{
    self, ImageId, ImageRecord, ImageState, ObjectNo, ObjectRecord, ObjectState, PoolId, SnapId, ZoneRecord,
};
use super::space::{SlotFault, Space};

/// Problems beyond this many are counted, not listed: a badly damaged store could fill the memory with them.
const PROBLEMS_MAX: usize = 10_000;

/// The key of an object in the metadata.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ObjectKey {
    /// Its image.
    pub image: ImageId,
    /// The head, or a snapshot.
    pub snap: SnapId,
    /// Its number.
    pub object: ObjectNo,
}

impl ObjectKey {
    pub(super) fn tuple(self) -> (u64, u64, u64) {
        (self.image.0, self.snap.0, self.object.0)
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "object {} of image {}", self.object, self.image.0)?;
        if self.snap == SnapId::HEAD { Ok(()) } else { write!(f, " at snapshot {}", self.snap.0) }
    }
}

/// Something in the metadata that does not fit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Problem {
    /// A value cannot be decoded. `object` is set when it is an object's.
    BadRecord {
        /// Its table.
        table: &'static str,
        /// Its key.
        key: String,
        /// What is wrong.
        reason: String,
        /// The object, if it is one.
        object: Option<ObjectKey>,
    },
    /// The next number to give is one that is in use.
    CounterBehind {
        /// `pool` or `image`.
        what: &'static str,
        /// The number the counter must at least have.
        least: u64,
    },
    /// An image's pool is gone.
    NoPool(ImageId, PoolId),
    /// A name leads to no image, or to one with another name.
    DanglingName(Vec<u8>),
    /// An image that its name does not lead to.
    Nameless(ImageId),
    /// An image whose creation or removal was interrupted. Opening finishes it.
    Unfinished(ImageId),
    /// A slot that belongs to no image: leaked.
    NoImage(ObjectKey),
    /// A slot behind the end of its image: leaked.
    BeyondEnd(ObjectKey),
    /// An object whose order is not its image's.
    ForeignOrder(ObjectKey, Order),
    /// A slot that lies where none can.
    OutsideSpace(ObjectKey, u64),
    /// A slot in a zone that is not in use, or is another order's.
    WrongZone(ObjectKey, Slot),
    /// A slot that an earlier object has too.
    DoublyUsed {
        /// The object found later.
        object: ObjectKey,
        /// The object that has the slot first, if it is still known.
        first: Option<ObjectKey>,
        /// The slot.
        slot: Slot,
    },
    /// A gap in the zones' numbers, before this one.
    ZoneGap(u32),
    /// The data ends before its zones do.
    DataTooShort {
        /// What it has.
        bytes: u64,
        /// What the zones need.
        needed: u64,
    },
    /// A feature whose feature bit is not set.
    Unannounced(ObjectKey),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadRecord { table, key, reason, .. } => write!(f, "table {table}, key {key}: {reason}"),
            Self::CounterBehind { what, least } => {
                write!(f, "the next {what} number is below {least}, which is in use")
            }
            Self::NoPool(image, pool) => write!(f, "image {}: its pool {} does not exist", image.0, pool.0),
            Self::DanglingName(key) => write!(f, "name {:?} leads to no image", String::from_utf8_lossy(key)),
            Self::Nameless(image) => write!(f, "image {}: its name does not lead to it", image.0),
            Self::Unfinished(image) => {
                write!(f, "image {}: its creation or removal was interrupted", image.0)
            }
            Self::NoImage(object) => write!(f, "leaked slot: {object} has one, but the image does not exist"),
            Self::BeyondEnd(object) => write!(f, "leaked slot: {object} lies behind the image's end"),
            Self::ForeignOrder(object, order) => write!(f, "{object} has order {order}, unlike its image"),
            Self::OutsideSpace(object, address) => {
                write!(f, "{object} is at byte {address}, where no slot can be")
            }
            Self::WrongZone(object, slot) => {
                write!(f, "{object} has {slot}, but the zone is not of that order")
            }
            Self::DoublyUsed { object, first: Some(first), slot } => {
                write!(f, "doubly used: {object} and {first} both have {slot}")
            }
            Self::DoublyUsed { object, first: None, slot } => {
                write!(f, "doubly used: {object} has {slot} of another")
            }
            Self::ZoneGap(zone) => write!(f, "there are no records for the zones before zone {zone}"),
            Self::DataTooShort { bytes, needed } => {
                write!(f, "the data has {bytes} bytes, but its zones need {needed} (truncated?)")
            }
            Self::Unannounced(object) => write!(f, "{object} uses a feature whose feature bit is not set"),
        }
    }
}

/// What a walk found.
pub(super) struct Survey {
    pub(super) space: Space,
    pub(super) problems: Vec<Problem>,
    pub(super) problem_count: u64,
    pub(super) images: HashMap<ImageId, ImageRecord>,
    pub(super) pools: u64,
    pub(super) objects: u64,
}

impl Survey {
    /// Walks everything.
    pub(super) fn walk(txn: &ReadTransaction, geometry: Geometry, data_len: u64) -> Result<Self, Fault> {
        let mut survey = Self {
            space: Space::new(geometry),
            problems: Vec::new(),
            problem_count: 0,
            images: HashMap::new(),
            pools: 0,
            objects: 0,
        };
        let (next_pool, next_image) = survey.counters(txn)?;
        let pools = survey.walk_pools(txn, next_pool)?;
        survey.walk_images(txn, &pools, next_image)?;
        survey.walk_names(txn)?;
        survey.walk_zones(txn, data_len)?;
        survey.walk_objects(txn)?;
        survey.name_first_owners(txn)?;
        Ok(survey)
    }

    fn report(&mut self, problem: Problem) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }

    fn bad_record(&mut self, table: &'static str, key: String, reason: &record::RecordError) {
        self.report(Problem::BadRecord { table, key, reason: reason.to_string(), object: None });
    }

    fn counters(&mut self, txn: &ReadTransaction) -> Result<(u64, u64), Fault> {
        match metadata::store_record(&txn.open_table(STORE)?) {
            Ok(store) => Ok((store.next_pool, store.next_image)),
            Err(Fault::Record { table, key, source }) => {
                self.bad_record(table, key, &source);
                Ok((0, 0))
            }
            Err(other) => Err(other),
        }
    }

    fn walk_pools(&mut self, txn: &ReadTransaction, next: u64) -> Result<HashSet<PoolId>, Fault> {
        let mut pools = HashSet::new();
        for entry in txn.open_table(POOLS)?.iter()? {
            let (key, value) = entry?;
            let id = key.value();
            match record::decode::<record::PoolRecord>(value.value(), &id.to_le_bytes()) {
                Ok(_) => pools.insert(PoolId(id)),
                Err(source) => {
                    self.bad_record("pools", id.to_string(), &source);
                    continue;
                }
            };
            if id >= next {
                self.report(Problem::CounterBehind { what: "pool", least: id.saturating_add(1) });
            }
        }
        self.pools = pools.len() as u64;
        Ok(pools)
    }

    fn walk_images(
        &mut self,
        txn: &ReadTransaction,
        pools: &HashSet<PoolId>,
        next: u64,
    ) -> Result<(), Fault> {
        let names = txn.open_table(NAMES)?;
        for entry in txn.open_table(IMAGES)?.iter()? {
            let (key, value) = entry?;
            let id = ImageId(key.value());
            let image = match record::decode::<ImageRecord>(value.value(), &id.0.to_le_bytes()) {
                Ok(image) => image,
                Err(source) => {
                    self.bad_record("images", id.0.to_string(), &source);
                    continue;
                }
            };
            if id.0 >= next {
                self.report(Problem::CounterBehind { what: "image", least: id.0.saturating_add(1) });
            }
            if image.state != ImageState::Ready {
                self.report(Problem::Unfinished(id));
            } else if !pools.contains(&image.pool) {
                self.report(Problem::NoPool(id, image.pool));
            } else {
                let key = catalog::name_key(image.pool, &image.namespace, &image.name);
                if names.get(key.as_slice())?.map(|found| found.value()) != Some(id.0) {
                    self.report(Problem::Nameless(id));
                }
            }
            self.images.insert(id, image);
        }
        Ok(())
    }

    fn walk_names(&mut self, txn: &ReadTransaction) -> Result<(), Fault> {
        for entry in txn.open_table(NAMES)?.iter()? {
            let (key, id) = entry?;
            let leads = self.images.get(&ImageId(id.value())).is_some_and(|image| {
                image.state == ImageState::Ready
                    && catalog::name_key(image.pool, &image.namespace, &image.name) == key.value()
            });
            if !leads {
                self.report(Problem::DanglingName(key.value().to_vec()));
            }
        }
        Ok(())
    }

    fn walk_zones(&mut self, txn: &ReadTransaction, data_len: u64) -> Result<(), Fault> {
        for entry in txn.open_table(ZONES)?.iter()? {
            let (key, value) = entry?;
            let zone = key.value();
            if zone != self.space.zone_count() {
                self.report(Problem::ZoneGap(zone));
                break;
            }
            match record::decode::<ZoneRecord>(value.value(), &zone.to_le_bytes()) {
                Ok(record) => self.space.load_zone(record.order),
                Err(source) => {
                    self.bad_record("zones", zone.to_string(), &source);
                    break;
                }
            }
        }
        let needed = self.space.zones_end();
        if data_len < needed {
            self.report(Problem::DataTooShort { bytes: data_len, needed });
        }
        Ok(())
    }

    fn walk_objects(&mut self, txn: &ReadTransaction) -> Result<(), Fault> {
        for entry in txn.open_table(OBJECTS)?.iter()? {
            let (key, value) = entry?;
            let (image, snap, object) = key.value();
            let key = ObjectKey { image: ImageId(image), snap: SnapId(snap), object: ObjectNo(object) };
            self.objects += 1;
            if let Some(problem) = self.place(key, value.value()) {
                self.report(problem);
            }
        }
        Ok(())
    }

    /// Marks one object's slot used, or says why that cannot be.
    fn place(&mut self, key: ObjectKey, value: &[u8]) -> Option<Problem> {
        let bytes = record::object_key(key.image, key.snap, key.object);
        let object = match record::decode::<ObjectRecord>(value, &bytes) {
            Ok(object) => object,
            Err(source) => {
                let (table, reason) = ("objects", source.to_string());
                return Some(Problem::BadRecord { table, key: key.to_string(), reason, object: Some(key) });
            }
        };
        let ObjectState::Slot(address) = object.state else { return Some(Problem::Unannounced(key)) };
        if key.snap != SnapId::HEAD || object.born != 0 {
            return Some(Problem::Unannounced(key));
        }
        let Some(slot) = self.space.geometry().slot_at(address, object.order) else {
            return Some(Problem::OutsideSpace(key, address));
        };
        match self.space.load_used(slot) {
            Ok(()) => {}
            Err(SlotFault::DoublyUsed) => {
                return Some(Problem::DoublyUsed { object: key, first: None, slot });
            }
            Err(SlotFault::NoZone | SlotFault::WrongOrder(_)) => return Some(Problem::WrongZone(key, slot)),
        }
        match self.images.get(&key.image) {
            None => Some(Problem::NoImage(key)),
            Some(image) if image.order != object.order => Some(Problem::ForeignOrder(key, object.order)),
            // What an unfinished image holds is freed with it.
            Some(image) if image.state != ImageState::Ready => None,
            Some(image) if key.object.0 >= image.size.div_ceil(image.order.bytes()) => {
                Some(Problem::BeyondEnd(key))
            }
            Some(_) => None,
        }
    }

    /// A second walk, only if slots are used twice: says with whom.
    fn name_first_owners(&mut self, txn: &ReadTransaction) -> Result<(), Fault> {
        let doubled: HashSet<u64> = self
            .problems
            .iter()
            .filter_map(|problem| match problem {
                Problem::DoublyUsed { slot, .. } => Some(slot.address()),
                _ => None,
            })
            .collect();
        if doubled.is_empty() {
            return Ok(());
        }
        let mut owners = HashMap::new();
        for entry in txn.open_table(OBJECTS)?.iter()? {
            let (key, value) = entry?;
            let (image, snap, object) = key.value();
            let key = ObjectKey { image: ImageId(image), snap: SnapId(snap), object: ObjectNo(object) };
            let bytes = record::object_key(key.image, key.snap, key.object);
            if let Ok(ObjectRecord { state: ObjectState::Slot(address), .. }) =
                record::decode(value.value(), &bytes)
                && doubled.contains(&address)
            {
                owners.entry(address).or_insert(key);
            }
        }
        for problem in &mut self.problems {
            if let Problem::DoublyUsed { object, first, slot } = problem {
                *first = owners.get(&slot.address()).copied().filter(|owner| owner != object);
            }
        }
        Ok(())
    }
}
