//! Pools, images, names, sizes.

use super::*;

#[test]
fn images_come_and_go_and_survive_reopening() {
    let place = Place::new();
    let store = place.create(&CreateStore::default()).unwrap();
    let made = create_image(&store, IMAGE, &CreateImage::new(10 << 30)).unwrap();
    let spaced = ImageName { namespace: "ns", ..IMAGE };
    create_image(&store, spaced, &CreateImage { order: 20, ..CreateImage::new(1) }).unwrap();
    let error = create_image(&store, IMAGE, &CreateImage::new(1)).unwrap_err();
    assert_eq!(error.errno(), 17, "{error}");
    store.set_image_meta(IMAGE, "conf_rbd_cache", b"false").unwrap();
    drop(store);

    let store = place.open().unwrap();
    assert_eq!(store.image(IMAGE).unwrap(), made);
    assert_eq!(store.pools().unwrap(), ["data"]);
    let names = |namespace| -> Vec<String> {
        store.images("data", namespace).unwrap().into_iter().map(|image| image.name).collect()
    };
    assert_eq!((names("").len(), names("ns").len(), names("other").len()), (1, 1, 0));
    assert_eq!(store.image_meta(IMAGE).unwrap(), [("conf_rbd_cache".to_owned(), b"false".to_vec())]);
    assert_eq!(store.remove_pool("data").unwrap_err().errno(), 16);

    let renamed = ImageName { image: "disk2", ..IMAGE };
    store.rename(IMAGE, renamed).unwrap();
    assert_eq!(store.image(IMAGE).unwrap_err().errno(), 2);
    assert_eq!(store.resize(renamed, 5 << 30, &mut |_, _| {}).unwrap().size, 5 << 30);
    store.remove(renamed, &mut |_, _| {}).unwrap();
    store.remove(spaced, &mut |_, _| {}).unwrap();
    store.remove_pool("data").unwrap();
    assert!(store.pools().unwrap().is_empty());
    drop(store);
    assert_eq!(place.fsck(false).unwrap().remaining, 0);
}

#[test]
fn image_numbers_are_never_used_again() {
    let place = Place::new();
    let store = place.create(&CreateStore::default()).unwrap();
    let first = create_image(&store, IMAGE, &CreateImage::new(1 << 20)).unwrap();
    store.remove(IMAGE, &mut |_, _| {}).unwrap();
    let second = create_image(&store, IMAGE, &CreateImage::new(1 << 20)).unwrap();
    assert!(second.id > first.id);
}

#[test]
fn nonsense_is_refused_with_a_reason() {
    let place = Place::new();
    let store = place.create(&CreateStore::default()).unwrap();
    let order = create_image(&store, IMAGE, &CreateImage { order: 30, ..CreateImage::new(1) }).unwrap_err();
    assert!(order.to_string().contains("30 is not between 12"), "{order}");
    let huge =
        create_image(&store, IMAGE, &CreateImage { order: 12, ..CreateImage::new(u64::MAX) }).unwrap_err();
    assert!(huge.to_string().contains("too many objects"), "{huge}");
    let unit = CreateImage { stripe_unit: 3000, ..CreateImage::new(1) };
    assert_eq!(create_image(&store, IMAGE, &unit).unwrap_err().errno(), 22);
    assert_eq!(store.images("nowhere", "").unwrap_err().errno(), 2);
    assert!(store.pools().unwrap().is_empty(), "a refused image makes no pool");
}

#[test]
fn a_thick_image_has_all_its_slots() {
    let place = Place::new();
    let store = place.create(&CreateStore::default()).unwrap();
    let options = CreateImage { preallocate: Preallocate::Write, ..CreateImage::new((9 << 20) + 1) };
    let image = create_image(&store, IMAGE, &options).unwrap();
    assert_eq!(store.allocated_bytes(&image).unwrap(), 12 << 20);
    let objects = open_objects(&store, &image);
    on_core(async {
        assert!(objects.is_allocated(ObjectNo(2)));
        assert_eq!(read(&objects, 2, 0, 8192).await, [0; 8192]);
        write(&objects, 1, 0, 7, 4096).await;
        objects.discard(ObjectNo(1), 0, 4 << 20).await.unwrap();
        assert!(objects.is_allocated(ObjectNo(1)), "a thick image keeps its place");
        assert_eq!(read(&objects, 1, 0, 4096).await, [0; 4096]);
    });
    drop(objects);
    let grown = store.resize(IMAGE, 20 << 20, &mut |_, _| {}).unwrap();
    assert_eq!(store.allocated_bytes(&grown).unwrap(), 20 << 20);
    let shrunk = store.resize(IMAGE, 4 << 20, &mut |_, _| {}).unwrap();
    assert_eq!(store.allocated_bytes(&shrunk).unwrap(), 4 << 20);
}

#[test]
fn a_thick_image_that_does_not_fit_leaves_nothing_behind() {
    let place = Place::new();
    let options = CreateStore { data_bytes_max: Some(DATA_START + 64 * (1 << 20)), ..CreateStore::default() };
    let store = place.create(&options).unwrap();
    let thick = CreateImage { preallocate: Preallocate::Allocate, ..CreateImage::new(80 << 20) };
    let error = create_image(&store, IMAGE, &thick).unwrap_err();
    assert_eq!(error.errno(), 28, "{error}");
    assert_eq!(store.image(IMAGE).unwrap_err().errno(), 2);
    assert_eq!(store.usage().space.used_bytes, 0);
    let fits = CreateImage { preallocate: Preallocate::Allocate, ..CreateImage::new(64 << 20) };
    create_image(&store, IMAGE, &fits).unwrap();
    drop(store);
    assert_eq!(place.fsck(false).unwrap().remaining, 0);
}

#[test]
fn growing_after_shrinking_shows_zeros() {
    let place = Place::new();
    let store = place.create(&CreateStore::default()).unwrap();
    let image = create_image(&store, IMAGE, &CreateImage::new(16 << 20)).unwrap();
    let objects = open_objects(&store, &image);
    on_core(async {
        for object in 0..4 {
            write(&objects, object, 0, 9, 4 << 20).await;
        }
    });
    drop(objects);
    store.resize(IMAGE, (4 << 20) + 1000, &mut |_, _| {}).unwrap();
    let image = store.resize(IMAGE, 16 << 20, &mut |_, _| {}).unwrap();
    let objects = open_objects(&store, &image);
    on_core(async {
        let edge = read(&objects, 1, 0, 8192).await;
        assert_eq!((&edge[..1000], &edge[1000..]), (&[9; 1000][..], &[0; 7192][..]));
        assert!(!objects.is_allocated(ObjectNo(2)));
    });
}

#[test]
fn an_open_image_can_be_shrunk_by_its_owner_and_not_removed() {
    let place = Place::new();
    let store = place.create(&CreateStore::default()).unwrap();
    let image = create_image(&store, IMAGE, &CreateImage::new(16 << 20)).unwrap();
    let objects = open_objects(&store, &image);
    on_core(async {
        for object in 0..4 {
            write(&objects, object, 0, 9, 4 << 20).await;
        }
        assert_eq!(store.remove(IMAGE, &mut |_, _| {}).unwrap_err().errno(), 16);
        assert_eq!(store.slot_tables(&image).err().unwrap().errno(), 16);
        assert_eq!(store.resize(IMAGE, 5 << 20, &mut |_, _| {}).unwrap_err().errno(), 16);
        objects.truncate(5 << 20).await.unwrap();
        store.resize(IMAGE, 5 << 20, &mut |_, _| {}).unwrap();
        assert!(objects.is_allocated(ObjectNo(1)) && !objects.is_allocated(ObjectNo(2)));
        let edge = read(&objects, 1, (1 << 20) - 4096, 8192).await;
        assert_eq!((&edge[..4096], &edge[4096..]), (&[9; 4096][..], &[0; 4096][..]));
    });
    drop(objects);
    store.remove(IMAGE, &mut |_, _| {}).unwrap();
    assert_eq!(store.usage().space.used_bytes, 0);
}
