//! Creating, resizing and removing images: what takes more than one transaction.
//!
//! The rule: a name appears or disappears in one transaction. Before (creation of a thick image) and after it (removal) the image is
//! in a state that nobody sees, and the next opening finishes what was interrupted.

use redb::ReadableTable;

use super::catalog::{self, ImageName, check_size};
use super::error::{Result, StoreError};
use super::layout::{Order, Slot};
use super::metadata::{Fault, IMAGES, NAMES, OBJECTS, refuse};
use super::record::{self, ImageId, ImageRecord, ImageState, ObjectNo, ObjectRecord, ObjectState, SnapId};
use super::shared::Shared;

/// Objects freed or allocated in one transaction.
const STEP_OBJECTS: usize = 1024;

/// Called with objects done and objects in all.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// How much disk space a new image takes at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Preallocate {
    /// None: objects get their slots when they are first written.
    #[default]
    Off,
    /// Every object has its slot and the file system has reserved the space (fallocate).
    Allocate,
    /// As `Allocate`, and zeros were written, so that a first write costs no more than any later one.
    Write,
}

/// What a new image is like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreateImage {
    /// Its size in bytes.
    pub size: u64,
    /// log2 of its object size.
    pub order: u8,
    /// RBD's feature bits.
    pub features: u64,
    /// RBD striping: bytes of a stripe unit, 0 for a whole object.
    pub stripe_unit: u64,
    /// RBD striping: objects a stripe goes over, 0 for one.
    pub stripe_count: u64,
    /// Whether its space is taken now.
    pub preallocate: Preallocate,
}

impl CreateImage {
    /// An image of the default shape: 4 MiB objects, thin.
    pub fn new(size: u64) -> Self {
        Self { size, order: 22, features: 0, stripe_unit: 0, stripe_count: 0, preallocate: Preallocate::Off }
    }
}

/// An image held by a command, so that no core opens it meanwhile.
struct Held<'a> {
    shared: &'a Shared,
    id: ImageId,
}

impl Shared {
    /// Marks an image as in use, if nobody else has.
    pub(super) fn try_lease(&self, id: ImageId) -> bool {
        self.leased().insert(id)
    }

    fn hold(&self, id: ImageId, name: ImageName<'_>) -> Result<Held<'_>> {
        if self.try_lease(id) {
            return Ok(Held { shared: self, id });
        }
        let reason = "it is open (close it first)".into();
        Err(StoreError::Busy { kind: "image", name: name.to_string(), reason })
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.shared.leased().remove(&self.id);
    }
}

/// Makes an image; its pool is made too if it is not there.
pub(super) fn create(
    shared: &Shared,
    name: ImageName<'_>,
    options: &CreateImage,
    progress: Progress<'_>,
) -> Result<ImageRecord> {
    shared.check_writable()?;
    name.check()?;
    let order = parse_order(options.order)?;
    check_size(options.size, order)?;
    let stripe_unit = if options.stripe_unit == 0 { order.bytes() } else { options.stripe_unit };
    if stripe_unit > order.bytes() || !order.bytes().is_multiple_of(stripe_unit) {
        let reason = format!("{stripe_unit} does not divide the object size {}", order.bytes());
        return Err(StoreError::Invalid { what: "stripe unit", reason });
    }
    let thick = options.preallocate != Preallocate::Off;
    let now = shared.now_ns();
    let mut image = shared.metadata.write(|txn| {
        let pool = catalog::ensure_pool(txn, name.pool, now)?;
        let image = ImageRecord {
            id: catalog::next_image(txn)?,
            pool,
            namespace: name.namespace.into(),
            name: name.image.into(),
            size: options.size,
            order,
            state: if thick { ImageState::Creating } else { ImageState::Ready },
            features: options.features,
            flags: 0,
            thick,
            stripe_unit,
            stripe_count: options.stripe_count.max(1),
            created_ns: now,
            modified_ns: now,
            snap_seq: 0,
            parent: None,
        };
        let key = catalog::name_key(pool, name.namespace, name.image);
        let mut names = txn.open_table(NAMES)?;
        if names.get(key.as_slice())?.is_some() {
            return refuse(StoreError::Exists { kind: "image", name: name.to_string() });
        }
        if !thick {
            names.insert(key.as_slice(), image.id.0)?;
        }
        catalog::put_image(txn, &image)?;
        Ok(image)
    })?;
    if thick {
        let held = shared.hold(image.id, name)?;
        if let Err(error) = fill(shared, &image, 0, options.preallocate, progress)
            .and_then(|()| publish(shared, &mut image, name))
        {
            // The error that matters is the first; what cannot be undone now is undone at the next opening.
            let _ = remove_objects(shared, &image, 0, &mut |_, _| {}).and_then(|()| forget(shared, image.id));
            return Err(error);
        }
        drop(held);
    }
    Ok(image)
}

/// Gives a finished thick image its name.
fn publish(shared: &Shared, image: &mut ImageRecord, name: ImageName<'_>) -> Result<()> {
    image.state = ImageState::Ready;
    shared.metadata.write(|txn| {
        let key = catalog::name_key(image.pool, name.namespace, name.image);
        let mut names = txn.open_table(NAMES)?;
        if names.get(key.as_slice())?.is_some() {
            return refuse(StoreError::Exists { kind: "image", name: name.to_string() });
        }
        names.insert(key.as_slice(), image.id.0)?;
        drop(names);
        catalog::put_image(txn, image)
    })
}

/// Gives every object from `first` on its slot, and the slots their disk space.
fn fill(
    shared: &Shared,
    image: &ImageRecord,
    first: u64,
    how: Preallocate,
    progress: Progress<'_>,
) -> Result<()> {
    let objects = image.size.div_ceil(image.order.bytes());
    let mut next = first;
    while next < objects {
        let wanted = (objects - next).min(STEP_OBJECTS as u64);
        let mut slots = Vec::new();
        let outcome = take_slots(shared, image.order, wanted, &mut slots)
            .and_then(|()| prepare(shared, &slots, how))
            .and_then(|()| assign(shared, image, next, &slots));
        if let Err(error) = outcome {
            give_back_punched(shared, slots);
            return Err(error);
        }
        next += wanted;
        progress(next, objects);
    }
    Ok(())
}

fn take_slots(shared: &Shared, order: Order, wanted: u64, slots: &mut Vec<Slot>) -> Result<()> {
    while (slots.len() as u64) < wanted {
        // Its own statement: the space must not stay locked while slots are made.
        let clean = shared.space().take_clean(order);
        match clean {
            Some(slot) => slots.push(slot),
            None => shared.supply(order, 1, wanted - slots.len() as u64)?,
        }
    }
    Ok(())
}

fn prepare(shared: &Shared, slots: &[Slot], how: Preallocate) -> Result<()> {
    for slot in slots {
        shared.data.preallocate(slot.address(), slot.order.bytes(), how == Preallocate::Write)?;
    }
    shared.data.sync()
}

fn assign(shared: &Shared, image: &ImageRecord, first: u64, slots: &[Slot]) -> Result<()> {
    shared.metadata.write(|txn| {
        let mut table = txn.open_table(OBJECTS)?;
        for (object, slot) in (first..).zip(slots) {
            let record =
                ObjectRecord { state: ObjectState::Slot(slot.address()), order: slot.order, born: 0 };
            let key = record::object_key(image.id, SnapId::HEAD, ObjectNo(object));
            table.insert((image.id.0, SnapId::HEAD.0, object), record::encode(&record, &key).as_slice())?;
        }
        Ok(())
    })
}

/// Changes an image's size. Shrinking frees the objects behind the new end; of an open image the caller has freed them.
pub(super) fn resize(
    shared: &Shared,
    name: ImageName<'_>,
    size: u64,
    progress: Progress<'_>,
) -> Result<ImageRecord> {
    shared.check_writable()?;
    let image = shared.metadata.read(|txn| catalog::find_in(txn, name))?;
    check_size(size, image.order)?;
    let objects = size.div_ceil(image.order.bytes());
    let held = shared.hold(image.id, name).ok();
    if size > image.size {
        // Slot tables that are with cores would not learn of new slots: a thick image that is open grows thin.
        if image.thick && held.is_some() {
            let grown = ImageRecord { size, ..image.clone() };
            fill(shared, &grown, image.size.div_ceil(image.order.bytes()), Preallocate::Allocate, progress)?;
        }
        return set_size(shared, name, size);
    }
    if held.is_none() && object_from(shared, image.id, objects)?.is_some() {
        let reason = "it is open and has data behind the new end (discard that first)".into();
        return Err(StoreError::Busy { kind: "image", name: name.to_string(), reason });
    }
    // The tail is zeroed before and the objects are freed after the size is set, so that a crash never shows an image that
    // grows back with old data, nor one that lost objects it still claims.
    if held.is_some() {
        zero_tail(shared, &image, size)?;
    }
    let image = set_size(shared, name, size)?;
    if held.is_some() {
        remove_objects(shared, &image, objects, progress)?;
    }
    Ok(image)
}

fn set_size(shared: &Shared, name: ImageName<'_>, size: u64) -> Result<ImageRecord> {
    let now = shared.now_ns();
    shared.metadata.write(|txn| {
        let mut image = catalog::find_for_change(txn, name)?;
        (image.size, image.modified_ns) = (size, now);
        catalog::put_image(txn, &image)?;
        Ok(image)
    })
}

/// Records the size of an open image.
pub(super) fn record_size(shared: &Shared, id: ImageId, size: u64) -> Result<()> {
    shared.check_writable()?;
    let now = shared.now_ns();
    shared.metadata.write(|txn| {
        let Some(mut image) = catalog::image(&txn.open_table(IMAGES)?, id)? else {
            return refuse(StoreError::NotFound { kind: "image", name: id.0.to_string() });
        };
        check_size(size, image.order).or_else(refuse)?;
        (image.size, image.modified_ns) = (size, now);
        catalog::put_image(txn, &image)
    })
}

/// Zeroes what the last object has behind the new end, so that growing again shows zeros.
fn zero_tail(shared: &Shared, image: &ImageRecord, size: u64) -> Result<()> {
    let within = size & (image.order.bytes() - 1);
    if within == 0 {
        return Ok(());
    }
    let Some((object, slot)) = object_from(shared, image.id, size >> image.order.bits())? else {
        return Ok(());
    };
    if object != size >> image.order.bits() {
        return Ok(());
    }
    shared.data.zero(slot.address() + within, image.order.bytes() - within)?;
    shared.data.sync()
}

/// Removes an image: its name first, then its slots.
pub(super) fn remove(shared: &Shared, name: ImageName<'_>, progress: Progress<'_>) -> Result<()> {
    shared.check_writable()?;
    let image = shared.metadata.read(|txn| catalog::find_in(txn, name))?;
    let _held = shared.hold(image.id, name)?;
    shared.metadata.write(|txn| {
        let key = catalog::name_key(image.pool, &image.namespace, &image.name);
        txn.open_table(NAMES)?.remove(key.as_slice())?;
        catalog::clear_meta(txn, image.id)?;
        catalog::put_image(txn, &ImageRecord { state: ImageState::Removing, ..image.clone() })
    })?;
    remove_objects(shared, &image, 0, progress)?;
    forget(shared, image.id)
}

/// Finishes the removals and shrinks and undoes the creations that a crash interrupted.
pub(super) fn finish_interrupted(shared: &Shared) -> Result<()> {
    let images = shared.metadata.read(|txn| catalog::images(&txn.open_table(IMAGES)?))?;
    for image in &images {
        if image.state == ImageState::Ready {
            remove_objects(shared, image, image.size.div_ceil(image.order.bytes()), &mut |_, _| {})?;
            continue;
        }
        tracing::info!(image = image.id.0, name = image.name, "finishing an interrupted creation or removal");
        remove_objects(shared, image, 0, &mut |_, _| {})?;
        shared.metadata.write(|txn| catalog::clear_meta(txn, image.id))?;
        forget(shared, image.id)?;
    }
    Ok(())
}

fn forget(shared: &Shared, id: ImageId) -> Result<()> {
    shared.metadata.write(|txn| Ok(txn.open_table(IMAGES)?.remove(id.0).map(drop)?))
}

/// Frees every slot from object `first` on, some at a time.
fn remove_objects(shared: &Shared, image: &ImageRecord, first: u64, progress: Progress<'_>) -> Result<()> {
    let objects = image.size.div_ceil(image.order.bytes());
    let mut from = first;
    loop {
        let step = take_step(shared, image.id, from)?;
        let Some(last) = step.last() else { return Ok(()) };
        from = last.0 + 1;
        give_back_punched(shared, step.into_iter().map(|(_, slot)| slot));
        progress(from.min(objects), objects);
    }
}

/// Returns slots that no record names any more, and their disk space.
pub(super) fn give_back_punched(shared: &Shared, slots: impl IntoIterator<Item = Slot>) {
    for slot in slots {
        if let Err(error) = shared.data.zero(slot.address(), slot.order.bytes()) {
            tracing::warn!(%slot, %error, "a freed slot keeps its disk space until it is used again");
        }
        shared.give_back(slot);
    }
}

/// Takes some objects out of the metadata, durably.
fn take_step(shared: &Shared, id: ImageId, from: u64) -> Result<Vec<(u64, Slot)>> {
    let geometry = shared.space().geometry();
    shared.metadata.write(|txn| {
        let mut table = txn.open_table(OBJECTS)?;
        let mut step = Vec::new();
        let range = (id.0, SnapId::HEAD.0, from)..=(id.0, SnapId::HEAD.0, u64::MAX);
        for entry in table.range(range)?.take(STEP_OBJECTS) {
            let (key, value) = entry?;
            step.extend(slot_of(id, key.value().2, value.value(), geometry)?);
        }
        for (object, _) in &step {
            table.remove((id.0, SnapId::HEAD.0, *object))?;
        }
        Ok(step)
    })
}

/// The first object at or after `from` that has a slot.
fn object_from(shared: &Shared, id: ImageId, from: u64) -> Result<Option<(u64, Slot)>> {
    let geometry = shared.space().geometry();
    shared.metadata.read(|txn| {
        let table = txn.open_table(OBJECTS)?;
        let range = (id.0, SnapId::HEAD.0, from)..=(id.0, SnapId::HEAD.0, u64::MAX);
        match ReadableTable::range(&table, range)?.next() {
            Some(entry) => {
                let (key, value) = entry?;
                slot_of(id, key.value().2, value.value(), geometry)
            }
            None => Ok(None),
        }
    })
}

/// Where an object lies. Opening has checked every record, so what cannot be read now has been damaged since.
pub(super) fn slot_of(
    id: ImageId,
    object: u64,
    value: &[u8],
    geometry: super::layout::Geometry,
) -> Result<Option<(u64, Slot)>, Fault> {
    let fault = |source| Fault::Record { table: "objects", key: format!("{}/{object}", id.0), source };
    let key = record::object_key(id, SnapId::HEAD, ObjectNo(object));
    let record: ObjectRecord = record::decode(value, &key).map_err(fault)?;
    let ObjectState::Slot(address) = record.state else { return Ok(None) };
    let slot = geometry.slot_at(address, record.order).ok_or(fault(record::RecordError::Field("slot")))?;
    Ok(Some((object, slot)))
}

fn parse_order(order: u8) -> Result<Order> {
    Order::new(order).ok_or_else(|| StoreError::Invalid {
        what: "object order",
        reason: format!("{order} is not between {} (4 KiB) and {} (32 MiB)", Order::MIN, Order::MAX),
    })
}
