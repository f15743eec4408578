//! What holds for any bytes that claim to come from an image's objects or its other users.

use super::method::{Method, directory, header, object_maps, pool};
use super::{Child, HeaderNotice, NoticeReply, ObjectMap, Parent, SnapNamespace, Snapshot, TrashEntry, lock};
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::types::{PoolId, SnapId};
use std::fmt::Debug;

/// Reads `bytes`, whose first says as what. What is read and can be written reads the same again.
///
/// # Panics
/// When it does not.
pub fn fuzz(bytes: &[u8]) {
    let Some((&kind, bytes)) = bytes.split_first() else { return };
    let parent =
        Parent { pool: PoolId(1), namespace: String::new(), image_id: String::new(), snap: SnapId(1) };
    match kind % 16 {
        0 => reads(&header::get_id(), bytes),
        1 => reads(&header::get_size(SnapId::HEAD), bytes),
        2 => reads(&header::get_features(SnapId::HEAD, true), bytes),
        3 => reads(&header::get_snapcontext(), bytes),
        4 => reads(&header::metadata_list("", 64), bytes),
        5 => reads(&header::image_group_get(), bytes),
        6 => reads(&directory::list("", 64), bytes),
        7 => reads(&pool::namespace_list("", 64), bytes),
        8 => reads(&pool::get_children(&parent), bytes),
        9 => reads(&lock::get_info(super::LOCK_NAME), bytes),
        10 => {
            reads(&object_maps::load(), bytes);
            again(bytes, |d| ObjectMap::decode(d.bytes(d.left())?), |map, e| map.encode(e));
        }
        11 => {
            if let Ok(notice) = HeaderNotice::decode(bytes) {
                assert_eq!(HeaderNotice::decode(&notice.encode()), Ok(notice));
            }
            if let Ok(Some(reply)) = NoticeReply::decode(bytes) {
                assert_eq!(NoticeReply::decode(&reply.encode()), Ok(Some(reply)));
            }
        }
        12 => {
            again(bytes, Snapshot::decode, Snapshot::encode);
            again(bytes, SnapNamespace::decode, SnapNamespace::encode);
        }
        13 => again(bytes, TrashEntry::decode, TrashEntry::encode),
        14 => again(bytes, Child::decode, Child::encode),
        _ => {
            let write = |parent: &Option<Parent>, e: &mut Encoder<'_>| match parent {
                Some(parent) => parent.encode(e),
                None => parent_of_nothing().encode(e),
            };
            again(bytes, Parent::decode, write);
        }
    }
}

fn parent_of_nothing() -> Parent {
    Parent { pool: PoolId(-1), namespace: String::new(), image_id: String::new(), snap: SnapId::HEAD }
}

fn reads<T>(method: &Method<T>, bytes: &[u8]) {
    if let Err(error) = method.decode(bytes) {
        assert!(error.offset <= bytes.len(), "{error}");
    }
}

fn again<T: PartialEq + Debug>(
    bytes: &[u8],
    read: impl Fn(&mut Decoder<'_>) -> Result<T, DecodeError>,
    write: impl Fn(&T, &mut Encoder<'_>),
) {
    let Ok(value) = read(&mut Decoder::new("a fuzzed value", bytes)) else { return };
    let written = Encoder::to_vec(|e| write(&value, e));
    assert_eq!(read(&mut Decoder::new("a fuzzed value", &written)), Ok(value));
}
