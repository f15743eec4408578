//! What the objects of images are called.

use ringbd_proto::types::{PoolId, SnapId};

/// The images of a pool or namespace.
pub(super) const DIRECTORY: &[u8] = b"rbd_directory";
/// The groups of one.
pub(super) const GROUP_DIRECTORY: &[u8] = b"rbd_group_directory";
/// The namespaces of a pool.
pub(super) const NAMESPACES: &[u8] = b"rbd_namespace";
/// The images that were thrown away.
pub(super) const TRASH: &[u8] = b"rbd_trash";
/// The clones of the first kind.
pub(super) const CHILDREN: &[u8] = b"rbd_children";
/// A pool's metadata, and the word that it can hold images.
pub(super) const POOL_INFO: &[u8] = b"rbd_info";

/// The longest id: names of data objects have room for no more.
const ID_CHARS_MAX: usize = 14;

pub(super) fn id_object(name: &str) -> Vec<u8> {
    format!("rbd_id.{name}").into_bytes()
}

/// The header of an image of format 1.
pub(super) fn old_header(name: &str) -> Vec<u8> {
    format!("{name}.rbd").into_bytes()
}

pub(super) fn header(id: &str) -> Vec<u8> {
    format!("rbd_header.{id}").into_bytes()
}

pub(super) fn object_map(id: &str, snap: SnapId) -> Vec<u8> {
    match snap {
        SnapId::HEAD => format!("rbd_object_map.{id}").into_bytes(),
        SnapId(snap) => format!("rbd_object_map.{id}.{snap:016x}").into_bytes(),
    }
}

/// What the names of an image's data objects begin with. `pool` is the image's own where its data lies in another.
pub(super) fn data_prefix(id: &str, pool: Option<PoolId>) -> String {
    match pool {
        Some(pool) => format!("rbd_data.{pool}.{id}"),
        None => format!("rbd_data.{id}"),
    }
}

pub(super) fn data_object(prefix: &str, object: u64) -> Vec<u8> {
    format!("{prefix}.{object:016x}").into_bytes()
}

/// An id that no other image has: of the client that makes it, and a random number.
pub(super) fn new_id(client: u64, random: u32) -> String {
    let id = format!("{client:x}{random:x}");
    id[id.len().saturating_sub(ID_CHARS_MAX)..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_other_clients() {
        assert_eq!(
            data_object(&data_prefix("101e69eb7236", None), 10),
            b"rbd_data.101e69eb7236.000000000000000a"
        );
        assert_eq!(data_prefix("1030f5602ef6", Some(PoolId(3))), "rbd_data.3.1030f5602ef6");
        assert_eq!(object_map("a", SnapId::HEAD), b"rbd_object_map.a");
        assert_eq!(object_map("a", SnapId(4)), b"rbd_object_map.a.0000000000000004");
        assert_eq!(new_id(0x1030, 0xf560_2ef6), "1030f5602ef6");
        assert_eq!(new_id(0xabcd_ef01_2345, 0xf560_2ef6), "012345f5602ef6");
    }
}
