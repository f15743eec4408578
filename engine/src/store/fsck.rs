//! Checking a store and mending what can be mended without guessing.
//!
//! Damaged pages and blocks are refused by opening and are not mended here: no guess is better than a backup. What is mended is listed
//! at [`Action`]; everything done is in the report, and after a repair the store is walked again.

use std::fmt;
use std::path::Path;

use redb::{ReadableTable, WriteTransaction};
use ringbd_reactor::World;

use super::catalog;
use super::error::Result;
use super::images;
use super::layout::{Order, Slot};
use super::metadata::{self, Fault, IMAGES, NAMES, OBJECTS, STORE};
use super::open::{self, OpenMode};
use super::record::{self, ObjectRecord, ObjectState};
use super::shared::Shared;
use super::survey::{ObjectKey, Problem, Survey};

/// What a check found and did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FsckReport {
    /// Pools in the store.
    pub pools: u64,
    /// Images in the store.
    pub images: u64,
    /// Objects with a slot.
    pub objects: u64,
    /// Bytes in those slots.
    pub used_bytes: u64,
    /// Free bytes that were given back to the file system (after a crash some may still have been allocated).
    pub punched_bytes: u64,
    /// Each problem and what was done about it.
    pub findings: Vec<Finding>,
    /// Problems that are still there.
    pub remaining: u64,
}

/// A problem and its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What is wrong.
    pub problem: Problem,
    /// What was done.
    pub action: Action,
}

/// What fsck does about a problem.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Only reported: repair was not asked for.
    Reported,
    /// The leaked slot was freed.
    Freed,
    /// The object has a copy of the slot's data now; one of the two objects has the wrong contents since before.
    Copied(Slot),
    /// The object's entry pointed nowhere and was removed: it reads as zeros. Its data was lost before.
    Removed,
    /// The name was removed.
    NameRemoved,
    /// The name was made to lead to the image.
    NameRestored,
    /// The counter was raised.
    CounterRaised,
    /// The interrupted creation or removal was finished.
    Finished,
    /// The data file was made as long as its zones; what is missing reads as zeros. Its data was lost before.
    Extended,
    /// It cannot be mended here.
    NotRepairable(&'static str),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.problem)?;
        match &self.action {
            Action::Reported => f.write_str("not repaired (run fsck with --repair)"),
            Action::Freed => f.write_str("freed"),
            Action::Copied(slot) => {
                write!(f, "given its own copy in {slot}; check which of the two images is right")
            }
            Action::Removed => f.write_str("removed; the object reads as zeros (restore it from a backup)"),
            Action::NameRemoved => f.write_str("name removed"),
            Action::NameRestored => f.write_str("name restored"),
            Action::CounterRaised => f.write_str("counter raised"),
            Action::Finished => f.write_str("finished"),
            Action::Extended => {
                f.write_str("extended with zeros (restore the affected images from a backup)")
            }
            Action::NotRepairable(why) => write!(f, "not repairable: {why}"),
        }
    }
}

/// Called with what is being done, how much of it is done and how much there is.
pub type FsckProgress<'a> = &'a mut dyn FnMut(&str, u64, u64);

/// Checks the store in `dir`, which must not be open, and with `repair` mends it.
pub fn fsck(world: &World, dir: &Path, repair: bool, progress: FsckProgress<'_>) -> Result<FsckReport> {
    progress("verify metadata", 0, 1);
    let mode = if repair { OpenMode::ReadWrite } else { OpenMode::ReadOnly };
    let (shared, survey) = open::open_any(world, dir, mode)?;
    progress("verify metadata", 1, 1);
    let mut report = FsckReport {
        pools: survey.pools,
        images: survey.images.len() as u64,
        objects: survey.objects,
        used_bytes: survey.space.usage().used_bytes,
        ..FsckReport::default()
    };
    let (problems, count) = (survey.problems.clone(), survey.problem_count);
    if !repair {
        report.remaining = count;
        report.findings =
            problems.into_iter().map(|problem| Finding { problem, action: Action::Reported }).collect();
        return Ok(report);
    }
    *shared.space() = survey.space;
    let total = problems.len() as u64;
    for (done, problem) in problems.into_iter().enumerate() {
        progress("repair", done as u64, total);
        let action = mend(&shared, &problem)?;
        report.findings.push(Finding { problem, action });
    }
    let geometry = shared.space().geometry();
    let again = shared.metadata.read(|txn| Survey::walk(txn, geometry, shared.data.len()))?;
    report.remaining = again.problem_count;
    again.space.check();
    *shared.space() = again.space;
    if report.remaining == 0 {
        report.punched_bytes = punch_free(&shared, progress)?;
    }
    Ok(report)
}

fn mend(shared: &Shared, problem: &Problem) -> Result<Action> {
    match problem {
        Problem::BadRecord { object: Some(object), .. }
        | Problem::OutsideSpace(object, _)
        | Problem::WrongZone(object, _)
        | Problem::ForeignOrder(object, _) => {
            change(shared, |txn| drop_object(txn, *object), Action::Removed)
        }
        Problem::NoImage(object) | Problem::BeyondEnd(object) => {
            change(shared, |txn| drop_object(txn, *object), Action::Freed)
        }
        Problem::BadRecord { object: None, .. } => {
            Ok(Action::NotRepairable("the record's contents are lost; restore metadata.redb from a backup"))
        }
        Problem::CounterBehind { what, least } => {
            change(shared, |txn| raise(txn, what, *least), Action::CounterRaised)
        }
        Problem::DanglingName(key) => change(shared, |txn| drop_name(txn, key), Action::NameRemoved),
        Problem::Nameless(image) => {
            let restored = shared.metadata.write(|txn| restore_name(txn, *image))?;
            let taken = "its name is another image's; remove or rename that first";
            Ok(if restored { Action::NameRestored } else { Action::NotRepairable(taken) })
        }
        Problem::Unfinished(_) => {
            images::finish_interrupted(shared)?;
            Ok(Action::Finished)
        }
        Problem::DoublyUsed { object, slot, .. } => copy_slot(shared, *object, *slot).map(Action::Copied),
        Problem::DataTooShort { needed, .. } if !shared.data.is_device() => {
            let geometry = shared.space().geometry();
            shared.data.grow(*needed, geometry)?;
            Ok(Action::Extended)
        }
        Problem::DataTooShort { .. } => Ok(Action::NotRepairable("the device is smaller than it was")),
        Problem::NoPool(..) => Ok(Action::NotRepairable("restore metadata.redb from a backup")),
        Problem::ZoneGap(_) => Ok(Action::NotRepairable("restore metadata.redb from a backup")),
        Problem::Unannounced(_) => Ok(Action::NotRepairable("use the ringbd that wrote it")),
    }
}

fn change(
    shared: &Shared,
    step: impl FnOnce(&WriteTransaction) -> Result<(), Fault>,
    action: Action,
) -> Result<Action> {
    shared.metadata.write(step).map(|()| action)
}

fn drop_object(txn: &WriteTransaction, object: ObjectKey) -> Result<(), Fault> {
    txn.open_table(OBJECTS)?.remove(object.tuple())?;
    Ok(())
}

fn drop_name(txn: &WriteTransaction, key: &[u8]) -> Result<(), Fault> {
    txn.open_table(NAMES)?.remove(key)?;
    Ok(())
}

fn raise(txn: &WriteTransaction, what: &str, least: u64) -> Result<(), Fault> {
    let mut store = metadata::store_record(&txn.open_table(STORE)?)?;
    let counter = if what == "pool" { &mut store.next_pool } else { &mut store.next_image };
    *counter = (*counter).max(least);
    metadata::put_store(txn, &store)
}

/// Points the image's name at it, unless the name is rightly another's.
fn restore_name(txn: &WriteTransaction, id: record::ImageId) -> Result<bool, Fault> {
    let table = txn.open_table(IMAGES)?;
    let Some(image) = catalog::image(&table, id)? else { return Ok(false) };
    let mut names = txn.open_table(NAMES)?;
    let key = catalog::name_key(image.pool, &image.namespace, &image.name);
    let other = names.get(key.as_slice())?.map(|id| record::ImageId(id.value()));
    if let Some(other) = other
        && let Some(other) = catalog::image(&table, other)?
        && catalog::name_key(other.pool, &other.namespace, &other.name) == key
    {
        return Ok(false);
    }
    names.insert(key.as_slice(), id.0)?;
    Ok(true)
}

/// Gives the later of two objects in one slot a slot of its own with the same data.
fn copy_slot(shared: &Shared, object: ObjectKey, from: Slot) -> Result<Slot> {
    shared.supply(from.order, 1, 0)?;
    let to = shared.space().take_clean(from.order).ok_or_else(|| shared.full())?;
    shared.data.copy(from.address(), to.address(), from.order.bytes())?;
    shared.data.sync()?;
    shared.metadata.write(|txn| {
        let key = record::object_key(object.image, object.snap, object.object);
        let record = ObjectRecord { state: ObjectState::Slot(to.address()), order: to.order, born: 0 };
        txn.open_table(OBJECTS)?.insert(object.tuple(), record::encode(&record, &key).as_slice())?;
        Ok(())
    })?;
    Ok(to)
}

/// Gives all free slots' disk space back: a crash may have come between freeing and punching.
fn punch_free(shared: &Shared, progress: FsckProgress<'_>) -> Result<u64> {
    let free = shared.space().usage().free_bytes;
    let mut punched = 0;
    for order in Order::all() {
        let mut done = Vec::new();
        loop {
            let run = shared.space().take_dirty_run(order, u32::MAX);
            let Some((first, count)) = run else { break };
            let bytes = u64::from(count) << order.bits();
            shared.data.zero(first.address(), bytes)?;
            punched += bytes;
            progress("give free space back", punched, free);
            done.push((first, count));
        }
        let mut space = shared.space();
        for (first, count) in done {
            (first.index..first.index + count).for_each(|index| space.release_dirty(Slot { index, ..first }));
        }
    }
    shared.data.sync()?;
    Ok(punched)
}
