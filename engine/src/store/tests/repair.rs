//! fsck finds leaked and doubly used slots and the other things that do not fit, mends them and says so.

use redb::WriteTransaction;

use super::super::metadata::{Fault, IMAGES, NAMES, OBJECTS, ZONES};
use super::super::record::{self, ImageState, ObjectRecord, ObjectState};
use super::super::{catalog, metadata};
use super::*;

/// A store with an image of four written objects, whose metadata was then changed behind its back.
fn damaged(change: impl FnOnce(&WriteTransaction, &ImageRecord) -> Result<(), Fault>) -> Place {
    let place = Place::with_store();
    let store = place.open().unwrap();
    let image = create_image(&store, IMAGE, &CreateImage::new(64 << 20)).unwrap();
    let objects = open_objects(&store, &image);
    on_core(async {
        for object in 0..4 {
            write(&objects, object, 0, object as u8 + 1, 4 << 20).await;
        }
        objects.flush().await.unwrap();
    });
    store.shared.metadata.write(|txn| change(txn, &image)).unwrap();
    place
}

fn put_object(txn: &WriteTransaction, image: u64, object: u64, address: u64, order: u8) -> Result<(), Fault> {
    let order = Order::new(order).unwrap();
    let record = ObjectRecord { state: ObjectState::Slot(address), order, born: 0 };
    let key = record::object_key(ImageId(image), SnapId::HEAD, ObjectNo(object));
    txn.open_table(OBJECTS)?
        .insert((image, SnapId::HEAD.0, object), record::encode(&record, &key).as_slice())?;
    Ok(())
}

const fn slot_address(index: u64) -> u64 {
    DATA_START + index * (4 << 20)
}

/// fsck must find exactly this, leave it alone without `repair`, mend it with, and then find nothing.
fn mends(place: &Place, problem: &str, action: &str) -> FsckReport {
    let opened = place.open().map(drop);
    let error = opened.expect_err("opening looks too").to_string();
    assert!(error.contains("fsck"), "{error}");
    for repair in [false, true] {
        let report = place.fsck(repair).unwrap();
        assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
        let text = report.findings[0].to_string();
        assert!(text.contains(problem), "{text}");
        assert!(text.contains(if repair { action } else { "not repaired" }), "{text}");
        if repair {
            assert_eq!(report.remaining, 0);
            assert_eq!(place.fsck(false).unwrap().findings, []);
            place.open().unwrap().shared.space().check();
            return report;
        }
    }
    unreachable!("the second round returns")
}

#[test]
fn a_sound_store_has_no_findings() {
    let place = damaged(|_, _| Ok(()));
    let report = place.fsck(true).unwrap();
    assert_eq!((report.pools, report.images, report.objects, report.used_bytes), (1, 1, 4, 16 << 20));
    assert_eq!((report.findings, report.remaining), (Vec::new(), 0));
}

#[test]
fn a_slot_of_no_image_is_leaked_and_freed() {
    let place = damaged(|txn, _| put_object(txn, 77, 5, slot_address(6), 22));
    let report = mends(&place, "leaked slot: object 5 of image 77", "freed");
    assert_eq!(report.findings[0].action, Action::Freed);
    assert_eq!(place.open().unwrap().usage().space.used_bytes, 16 << 20);
}

#[test]
fn a_slot_behind_the_end_is_leaked_and_freed_also_by_opening() {
    let leak =
        |txn: &WriteTransaction, image: &ImageRecord| put_object(txn, image.id.0, 16, slot_address(6), 22);
    let place = damaged(leak);
    let report = place.fsck(true).unwrap();
    assert!(
        report.findings[0].to_string().contains("behind the image's end: freed"),
        "{}",
        report.findings[0]
    );
    let place = damaged(leak);
    assert_eq!(place.open().unwrap().usage().space.used_bytes, 16 << 20);
}

#[test]
fn a_doubly_used_slot_is_copied() {
    let place = damaged(|txn, image| put_object(txn, image.id.0, 9, slot_address(2), 22));
    mends(
        &place,
        "doubly used: object 9 of image 1 and object 2 of image 1 both have slot 2 of zone 0",
        "its own copy",
    );
    let store = place.open().unwrap();
    let objects = open_objects(&store, &store.image(IMAGE).unwrap());
    on_core(async {
        assert_eq!(read(&objects, 9, 0, 4 << 20).await, vec![3; 4 << 20]);
        write(&objects, 9, 0, 8, 4096).await;
        assert_eq!(read(&objects, 2, 0, 4096).await, [3; 4096], "each has its own slot now");
    });
}

#[test]
fn objects_in_impossible_places_are_removed() {
    let outside = damaged(|txn, image| put_object(txn, image.id.0, 9, slot_address(2) + 512, 22));
    mends(&outside, "where no slot can be", ": removed");
    let zoneless = damaged(|txn, image| put_object(txn, image.id.0, 9, slot_address(8 * 500), 22));
    mends(&zoneless, "the zone is not of that order", ": removed");
    let order = damaged(|txn, image| put_object(txn, image.id.0, 9, slot_address(2), 20));
    mends(&order, "the zone is not of that order", ": removed");
}

#[test]
fn a_damaged_value_is_named() {
    let place = damaged(|txn, image| {
        txn.open_table(OBJECTS)?.insert((image.id.0, SnapId::HEAD.0, 3), &b"rubbish!!"[..])?;
        Ok(())
    });
    mends(&place, "key object 3 of image 1: its checksum is wrong", ": removed");
    let place = damaged(|txn, _| {
        txn.open_table(ZONES)?.insert(0, &b"rubbish!!"[..])?;
        Ok(())
    });
    let report = place.fsck(true).unwrap();
    let zone = report.findings.iter().find(|finding| finding.to_string().contains("table zones, key 0"));
    assert!(matches!(zone.unwrap().action, Action::NotRepairable(_)));
}

#[test]
fn names_and_images_find_each_other_again() {
    let nameless = damaged(|txn, image| {
        let key = catalog::name_key(image.pool, &image.namespace, &image.name);
        txn.open_table(NAMES)?.remove(key.as_slice())?;
        Ok(())
    });
    mends(&nameless, "its name does not lead to it", ": name restored");
    assert!(nameless.open().unwrap().image(IMAGE).is_ok());
    let dangling = damaged(|txn, image| {
        let key = catalog::name_key(image.pool, "", "ghost");
        txn.open_table(NAMES)?.insert(key.as_slice(), 99)?;
        Ok(())
    });
    mends(&dangling, "ghost\" leads to no image", ": name removed");
}

#[test]
fn counters_that_fell_behind_are_raised() {
    let place = damaged(|txn, _| {
        let mut store = metadata::store_record(&txn.open_table(metadata::STORE)?)?;
        store.next_image = 1;
        metadata::put_store(txn, &store)
    });
    mends(&place, "below 2, which is in use", ": counter raised");
}

#[test]
fn interrupted_removals_are_finished_by_opening() {
    let interrupt = |txn: &WriteTransaction, image: &ImageRecord| {
        let key = catalog::name_key(image.pool, &image.namespace, &image.name);
        txn.open_table(NAMES)?.remove(key.as_slice())?;
        catalog::put_image(txn, &ImageRecord { state: ImageState::Removing, ..image.clone() })
    };
    let place = damaged(interrupt);
    assert_eq!(place.fsck(false).unwrap().remaining, 1);
    let store = place.open().unwrap();
    assert_eq!((store.all_images().unwrap(), store.usage().space.used_bytes), (Vec::new(), 0));
    drop(store);
    assert_eq!(place.fsck(false).unwrap().remaining, 0);
    let place = damaged(interrupt);
    assert_eq!(place.fsck(true).unwrap().remaining, 0);
}

#[test]
fn an_image_without_its_record_leaks_its_slots() {
    let place = damaged(|txn, image| {
        txn.open_table(IMAGES)?.remove(image.id.0)?;
        Ok(())
    });
    let report = place.fsck(true).unwrap();
    assert_eq!((report.findings.len(), report.remaining), (5, 0), "four slots and a name");
    assert_eq!(place.open().unwrap().usage().space.used_bytes, 0);
}

#[test]
fn cut_data_is_found_and_extended() {
    let place = damaged(|_, _| Ok(()));
    let file = std::fs::OpenOptions::new().write(true).open(place.file("data")).unwrap();
    file.set_len(slot_address(1)).unwrap();
    mends(&place, "(truncated?)", ": extended with zeros");
    let store = place.open().unwrap();
    let objects = open_objects(&store, &store.image(IMAGE).unwrap());
    on_core(async {
        assert_eq!(read(&objects, 0, 0, 4096).await, [1; 4096]);
        assert_eq!(read(&objects, 3, 0, 4096).await, [0; 4096]);
    });
}
