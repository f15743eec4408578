//! Truncated, flipped, foreign and missing files: each is an error that names the file, and never a panic or lost data.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::superblock::{Features, Superblock};
use super::*;

/// A closed store with an image that has some objects.
fn used() -> Place {
    let place = Place::with_store();
    let store = place.open().unwrap();
    let image = create_image(&store, IMAGE, &CreateImage::new(1 << 30)).unwrap();
    let objects = open_objects(&store, &image);
    on_core(async {
        for object in 0..20 {
            write(&objects, object, 0, object as u8 + 1, 4096).await;
        }
        objects.flush().await.unwrap();
    });
    place
}

#[test]
fn every_flipped_byte_of_the_superblock_is_an_error() {
    let place = used();
    let good = fs::read(place.file("superblock")).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x41;
        fs::write(place.file("superblock"), &bad).unwrap();
        let error = place.open().unwrap_err().to_string();
        assert!(error.contains("superblock"), "byte {at}: {error}");
    }
    fs::write(place.file("superblock"), &good).unwrap();
    place.open().unwrap();
}

#[test]
fn truncated_files_are_named() {
    for name in ["superblock", "metadata.redb", "data"] {
        let place = used();
        let len = fs::metadata(place.file(name)).unwrap().len();
        for keep in [0, 1, 100, 4096, len / 2, len - 1] {
            let file = fs::OpenOptions::new().write(true).open(place.file(name)).unwrap();
            let good = if name == "data" { Vec::new() } else { fs::read(place.file(name)).unwrap() };
            if keep >= len || (name == "data" && keep >= len / 2) {
                continue;
            }
            file.set_len(keep).unwrap();
            let error = place.open().unwrap_err().to_string();
            assert!(error.contains(name) || error.contains("metadata"), "{name} cut to {keep}: {error}");
            if name == "data" {
                break;
            }
            fs::write(place.file(name), good).unwrap();
            place.open().unwrap();
        }
    }
}

#[test]
fn missing_and_foreign_files_are_named() {
    for (name, foreign) in
        [("superblock", &b"hello"[..]), ("metadata.redb", &[7; 9000]), ("data", &[7; 9000])]
    {
        let place = used();
        let away = place.file("away");
        fs::rename(place.file(name), &away).unwrap();
        let missing = place.open().unwrap_err();
        assert_eq!(missing.errno(), 2, "{name}: {missing}");
        assert!(missing.to_string().contains(name), "{missing}");
        fs::write(place.file(name), foreign).unwrap();
        let error = place.open().unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
        fs::rename(&away, place.file(name)).unwrap();
        place.open().unwrap();
    }
    let nowhere = Store::open(&World::real(), "/nowhere/at/all".as_ref(), OpenMode::ReadWrite).unwrap_err();
    assert!(nowhere.to_string().contains("it does not exist"), "{nowhere}");
}

#[test]
fn files_of_two_stores_cannot_be_mixed() {
    for name in ["superblock", "metadata.redb", "data"] {
        let (one, two) = (used(), Place::with_store());
        fs::copy(two.file(name), one.file(name)).unwrap();
        let error = one.open().unwrap_err().to_string();
        assert!(error.contains("belongs to store"), "{name}: {error}");
    }
}

#[test]
fn flipped_metadata_is_an_error_or_harmless() {
    let place = used();
    let good = fs::read(place.file("metadata.redb")).unwrap();
    let mut errors = 0;
    // The header byte by byte, then many places all over the file.
    let header = 0..320usize;
    let random = std::iter::repeat_with(|| fastrand::usize(..good.len())).take(300);
    for at in header.chain(random) {
        let mut bad = good.clone();
        let bit = 1 << fastrand::u8(..8);
        bad[at] ^= bit;
        fs::write(place.file("metadata.redb"), &bad).unwrap();
        let outcome = catch_unwind(AssertUnwindSafe(|| match place.open() {
            Err(error) => Some(error),
            Ok(store) => {
                let image = store.image(IMAGE).unwrap();
                let objects = open_objects(&store, &image);
                on_core(async {
                    for object in 0..20 {
                        assert_eq!(read(&objects, object, 0, 4096).await, [object as u8 + 1; 4096]);
                    }
                    write(&objects, 21, 0, 1, 4096).await;
                });
                None
            }
        }));
        let error = outcome.unwrap_or_else(|_| panic!("bit {bit:#x} of byte {at} panics"));
        if let Some(error) = error {
            errors += 1;
            assert_eq!(error.errno(), 5, "byte {at}: {error}");
            assert!(error.to_string().contains("metadata.redb"), "byte {at}: {error}");
        }
    }
    assert!(errors > 0, "no flip did any harm at all");
}

#[test]
fn torn_metadata_is_an_error_or_harmless() {
    let place = used();
    let good = fs::read(place.file("metadata.redb")).unwrap();
    for _ in 0..60 {
        let mut bad = good.clone();
        let page = fastrand::usize(..good.len() / 4096) * 4096;
        match fastrand::u8(..3) {
            0 => bad[page..page + 4096].fill(0),
            1 => fastrand::Rng::new().fill(&mut bad[page..page + 4096]),
            _ => bad.copy_within(0..4096, page),
        }
        fs::write(place.file("metadata.redb"), &bad).unwrap();
        let outcome = catch_unwind(AssertUnwindSafe(|| place.open().map(drop)));
        let outcome = outcome.unwrap_or_else(|_| panic!("page {} panics", page / 4096));
        if let Err(error) = outcome {
            assert!(error.to_string().contains("metadata.redb"), "{error}");
        }
    }
}

#[test]
fn features_of_a_newer_ringbd_are_respected() {
    let place = used();
    let good = Superblock::decode(&fs::read(place.file("superblock")).unwrap()).unwrap();
    let put = |features| {
        fs::write(place.file("superblock"), Superblock { features, ..good.clone() }.encode()).unwrap();
    };
    put(Features { compat: 1 << 63, ..Features::default() });
    place.open().unwrap();
    put(Features { ro_compat: 1 << 5, ..Features::default() });
    let error = place.open().unwrap_err();
    assert!(error.to_string().contains("write features 0x20"), "{error}");
    Store::open(&World::real(), place.path(), OpenMode::ReadOnly).unwrap();
    put(Features { incompat: 1 << 7, ..Features::default() });
    let error = Store::open(&World::real(), place.path(), OpenMode::ReadOnly).unwrap_err();
    assert!(error.to_string().contains("incompatible features 0x80"), "{error}");
}

#[test]
fn creation_refuses_what_is_there_and_replaces_its_own_leftovers() {
    let place = used();
    assert_eq!(place.create(&CreateStore::default()).unwrap_err().errno(), 17);
    // As if the power had failed before the superblock got its name.
    fs::rename(place.file("superblock"), place.file("superblock.new")).unwrap();
    place.create(&CreateStore::default()).unwrap();

    let foreign = Place::new();
    fs::write(foreign.file("data"), b"somebody's data").unwrap();
    let error = foreign.create(&CreateStore::default()).unwrap_err();
    assert!(error.to_string().contains("not part of a store"), "{error}");
    assert_eq!(fs::read(foreign.file("data")).unwrap(), b"somebody's data");
    let tiny = CreateStore { data_bytes_max: Some(1000), ..CreateStore::default() };
    assert_eq!(Place::new().create(&tiny).unwrap_err().errno(), 22);
}
