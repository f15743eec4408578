//! Answers of a real cluster's classes about images that the `rbd` tool made, and the objects that it wrote.
//!
//! `golden/rbd/calls.txt` has a line for each: the image, the method, its input and its output in hexadecimal. The image
//! `gold` has two snapshots, `child` and `child2` are clones of them of the first and the second kind, and `striped` is in
//! a namespace and has a data pool. A client held gold's lock meanwhile.

#![allow(clippy::unwrap_used)]

use ringbd_proto::codec::Encoder;
use ringbd_proto::rbd::{
    Child, Features, ImageFlags, ImageSize, Method, ObjectMap, ObjectState, OpFeatures, Parent, Protection,
    SnapNamespace, Striping, TrashSource, TrashState, directory, header, lock, object_maps, pool,
    watch_of_cookie,
};
use ringbd_proto::types::{PoolId, SnapId};

const CALLS: &str = include_str!("golden/rbd/calls.txt");

fn unhex(text: &str) -> Vec<u8> {
    if text == "-" {
        return Vec::new();
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// What was recorded under this label.
fn recorded(image: &str, what: &str, input: &[u8]) -> Vec<u8> {
    let line = CALLS.lines().find(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        words[..2] == [image, what] && unhex(words[2]) == input
    });
    unhex(line.unwrap_or_else(|| panic!("{image} {what} {input:02x?}")).split(' ').next_back().unwrap())
}

/// The answer of a method whose input is encoded as the recorded one was.
fn answer<T>(image: &str, method: &Method<T>) -> T {
    let output = recorded(image, &format!("{}.{}", method.class(), method.name()), method.input());
    method.decode(&output).unwrap()
}

#[test]
fn an_image_with_snapshots() {
    let head = SnapId::HEAD;
    assert_eq!(answer("gold", &header::get_id()), "101e69eb7236");
    assert_eq!(answer("gold", &directory::get_id("gold")), "101e69eb7236");
    assert_eq!(answer("gold", &directory::get_name("101e69eb7236")), "gold");
    assert_eq!(answer("gold", &header::get_size(head)), ImageSize { order: 20, size: 42 << 20 });
    assert_eq!(answer("gold", &header::get_object_prefix()), "rbd_data.101e69eb7236");
    let features = answer("gold", &header::get_features(head, false));
    assert_eq!(features.all, Features(0x13d));
    assert_eq!(answer("gold", &header::get_all_features()).unknown(), Features(0));
    assert_eq!(answer("gold", &header::get_flags(head)), ImageFlags(0));
    assert_eq!(answer("gold", &header::op_features_get()), OpFeatures::CLONE_PARENT);
    assert_eq!(answer("gold", &header::get_data_pool()), None);
    assert_eq!(answer("gold", &header::snapshot_get_limit()), None);
    let snaps = answer("gold", &header::get_snapcontext());
    assert_eq!((snaps.seq, &snaps.snaps[..]), (SnapId(5), &[SnapId(5), SnapId(4)][..]));
    let snap = answer("gold", &header::snapshot_get(SnapId(5)));
    assert_eq!((snap.name.as_str(), snap.size, snap.children), ("s2", 42 << 20, 1));
    assert_eq!(snap.namespace, SnapNamespace::User);
    assert_eq!(answer("gold", &header::get_protection_status(SnapId(4))), Protection::Protected);
    let child = Child { pool: PoolId(3), image_id: "105cb8a6bf98".to_owned(), namespace: String::new() };
    assert_eq!(answer("gold", &header::children_list(SnapId(5))), [child]);
    assert_eq!(answer("gold", &header::metadata_get("note")), b"hello");
    let metadata = answer("gold", &header::metadata_list("", 64));
    assert_eq!(metadata["conf_rbd_cache"], b"false");
    assert!(
        answer("gold", &header::get_create_timestamp()) < answer("gold", &header::get_modify_timestamp())
    );
}

#[test]
fn clones_and_stripes() {
    let head = SnapId::HEAD;
    let parent = |snap| Parent {
        pool: PoolId(3),
        namespace: String::new(),
        image_id: "101e69eb7236".to_owned(),
        snap: SnapId(snap),
    };
    assert_eq!(answer("gold", &header::parent_get()), None);
    assert_eq!(answer("child", &header::parent_get()), Some(parent(4)));
    assert_eq!(answer("child2", &header::parent_get()), Some(parent(5)));
    assert_eq!(answer("child", &header::parent_overlap_get(head)), Some(42 << 20));
    assert_eq!(answer("gold", &header::parent_overlap_get(head)), None);
    assert_eq!(answer("child2", &header::op_features_get()), OpFeatures::CLONE_CHILD);
    assert_eq!(answer("striped", &header::get_stripe_unit_count()), (65536, 4));
    assert_eq!(answer("striped", &header::get_data_pool()), Some(PoolId(4)));
    assert_eq!(answer("striped", &header::get_object_prefix()), "rbd_data.3.1030f5602ef6");
    let features = answer("striped", &header::get_features(head, false)).all;
    assert!(features.contains(Features::STRIPING.with(Features::DATA_POOL)));
}

#[test]
fn a_pool() {
    let images = answer("pool", &directory::list("", 64));
    assert_eq!(images.keys().collect::<Vec<_>>(), ["child", "child2", "empty", "gold"]);
    assert_eq!(answer("pool", &pool::namespace_list("", 64)), ["ns"]);
    let trash = answer("pool", &pool::trash_list("", 64));
    let (_, entry) = trash.first_key_value().unwrap();
    assert_eq!(
        (entry.name.as_str(), entry.source, entry.state),
        ("doomed", TrashSource::User, TrashState::Normal)
    );
}

#[test]
fn a_held_lock() {
    let lock = answer("gold", &lock::get_info("rbd_lock"));
    let [owner] = &lock.owners[..] else { panic!("one owner: {lock:?}") };
    assert_eq!((lock.kind, lock.tag.as_str()), (lock::LockKind::Exclusive, "internal"));
    assert_eq!(owner.client.to_string(), "client.4190");
    assert!(watch_of_cookie(&owner.cookie).is_some());
    assert!(owner.addr.socket.unwrap().ip().is_loopback());
}

/// The whole object, checksums and all, comes back to the byte.
#[test]
fn object_maps_are_written_as_they_were_read() {
    for what in ["object_map", "object_map_of_snapshot"] {
        let stored = recorded("gold", what, &[]);
        let map = ObjectMap::decode(&stored).unwrap();
        assert_eq!(map.objects(), 42);
        assert_eq!(Encoder::to_vec(|e| map.encode(e)), stored);
    }
    let map = answer("gold", &object_maps::load());
    assert_eq!(Encoder::to_vec(|e| map.encode_for_call(e)), recorded("gold", "rbd.object_map_load", &[]));
    assert_eq!(map.state(0), ObjectState::Exists, "it was written after the snapshots");
    assert!(map.present().count() > 1);
    assert_eq!(Striping::new(20, 0, 0).unwrap().objects(42 << 20), map.objects());
}
