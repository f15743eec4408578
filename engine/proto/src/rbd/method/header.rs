//! Methods of an image's header, `rbd_header.<id>`, and of its id, `rbd_id.<name>`.

use super::super::features::{Features, ImageFlags, OpFeatures};
use super::super::image::{Child, FeatureMasks, GroupSpec, ImageSize, Parent, SnapSequence};
use super::super::snapshot::{Protection, SnapNamespace, Snapshot};
use super::{Method, nothing, read, write};
use crate::codec::{Decoder, Encoder};
use crate::types::{PoolId, SnapId, Utime};
use std::collections::BTreeMap;

/// Bytes of the shortest entry of the metadata: two lengths.
const ENTRY_MIN: usize = 8;
/// Bytes of the shortest clone in a list.
const CHILD_MIN: usize = 22;

/// The id, of `rbd_id.<name>`.
pub fn get_id() -> Method<String> {
    read("get_id", nothing, |d| d.string())
}

/// Sets the id of `rbd_id.<name>`.
pub fn set_id(id: &str) -> Method<()> {
    write("set_id", |e| {
        e.string(id);
    })
}

/// Makes a header. The object must have been made just before, exclusively.
pub fn create(
    size: u64,
    order: u8,
    features: Features,
    prefix: &str,
    data_pool: Option<PoolId>,
) -> Method<()> {
    write("create", |e| {
        e.u64(size).u8(order).u64(features.0).string(prefix).i64(data_pool.map_or(-1, |pool| pool.0));
    })
}

/// The size, of the head or of a snapshot.
pub fn get_size(snap: SnapId) -> Method<ImageSize> {
    read("get_size", |e| snap.encode(e), ImageSize::decode)
}

/// Sets the size. What a parent covers shrinks with it.
pub fn set_size(size: u64) -> Method<()> {
    write("set_size", |e| {
        e.u64(size);
    })
}

/// What the names of the data objects begin with.
pub fn get_object_prefix() -> Method<String> {
    read("get_object_prefix", nothing, |d| d.string())
}

/// The features, and those of them that a client must know.
pub fn get_features(snap: SnapId, read_only: bool) -> Method<FeatureMasks> {
    let input = |e: &mut Encoder<'_>| {
        e.u64(snap.0).bool(read_only);
    };
    read("get_features", input, FeatureMasks::decode)
}

/// The features that the cluster's class knows.
pub fn get_all_features() -> Method<Features> {
    read("get_all_features", nothing, |d| d.u64().map(Features))
}

/// Switches some features on or off.
pub fn set_features(features: Features, mask: Features) -> Method<()> {
    write("set_features", |e| {
        e.u64(features.0).u64(mask.0);
    })
}

/// What is wrong with the image, or with a snapshot's object map.
pub fn get_flags(snap: SnapId) -> Method<ImageFlags> {
    read("get_flags", |e| snap.encode(e), |d| d.u64().map(ImageFlags))
}

/// Sets some flags, of the head or of a snapshot.
pub fn set_flags(flags: ImageFlags, mask: ImageFlags, snap: SnapId) -> Method<()> {
    write("set_flags", |e| {
        e.u64(flags.0).u64(mask.0).u64(snap.0);
    })
}

/// What the image takes part in.
pub fn op_features_get() -> Method<OpFeatures> {
    read("op_features_get", nothing, |d| d.u64().map(OpFeatures))
}

/// The pool of the data, if it is another.
pub fn get_data_pool() -> Method<Option<PoolId>> {
    read("get_data_pool", nothing, |d| Ok(Some(PoolId::decode(d)?).filter(|pool| pool.0 >= 0)))
}

/// The stripe unit and count. Fails with ENOEXEC where the image has no striping.
pub fn get_stripe_unit_count() -> Method<(u64, u64)> {
    read("get_stripe_unit_count", nothing, |d| Ok((d.u64()?, d.u64()?)))
}

/// Sets the stripe unit and count.
pub fn set_stripe_unit_count(unit: u64, count: u64) -> Method<()> {
    write("set_stripe_unit_count", |e| {
        e.u64(unit).u64(count);
    })
}

/// When the image was made.
pub fn get_create_timestamp() -> Method<Utime> {
    read("get_create_timestamp", nothing, Utime::decode)
}

/// When it was last read, roughly.
pub fn get_access_timestamp() -> Method<Utime> {
    read("get_access_timestamp", nothing, Utime::decode)
}

/// When it was last written, roughly.
pub fn get_modify_timestamp() -> Method<Utime> {
    read("get_modify_timestamp", nothing, Utime::decode)
}

/// It was read just now.
pub fn set_access_timestamp() -> Method<()> {
    write("set_access_timestamp", nothing)
}

/// It was written just now.
pub fn set_modify_timestamp() -> Method<()> {
    write("set_modify_timestamp", nothing)
}

/// The snapshots' numbers.
pub fn get_snapcontext() -> Method<SnapSequence> {
    read("get_snapcontext", nothing, SnapSequence::decode)
}

/// A snapshot.
pub fn snapshot_get(snap: SnapId) -> Method<Snapshot> {
    read("snapshot_get", |e| snap.encode(e), Snapshot::decode)
}

/// Adds a snapshot. Fails with ESTALE where a newer one is there already.
pub fn snapshot_add(name: &str, id: SnapId, namespace: &SnapNamespace) -> Method<()> {
    write("snapshot_add", |e| {
        e.string(name).u64(id.0);
        namespace.encode(e);
    })
}

/// Removes a snapshot.
pub fn snapshot_remove(snap: SnapId) -> Method<()> {
    write("snapshot_remove", |e| snap.encode(e))
}

/// Renames a snapshot.
pub fn snapshot_rename(snap: SnapId, name: &str) -> Method<()> {
    write("snapshot_rename", |e| {
        e.u64(snap.0).string(name);
    })
}

/// How many snapshots the image may have; none is no limit.
pub fn snapshot_get_limit() -> Method<Option<u64>> {
    read("snapshot_get_limit", nothing, |d| Ok(Some(d.u64()?).filter(|limit| *limit != u64::MAX)))
}

/// Whether a snapshot may be removed.
pub fn get_protection_status(snap: SnapId) -> Method<Protection> {
    read("get_protection_status", |e| snap.encode(e), Protection::decode)
}

/// The snapshot that the image is a clone of.
pub fn parent_get() -> Method<Option<Parent>> {
    read("parent_get", nothing, Parent::decode)
}

/// How many of the image's bytes its parent has, for the head or a snapshot.
pub fn parent_overlap_get(snap: SnapId) -> Method<Option<u64>> {
    read("parent_overlap_get", |e| snap.encode(e), |d| d.optional(Decoder::u64))
}

/// Makes the image a clone.
pub fn parent_attach(parent: &Parent, overlap: u64, again: bool) -> Method<()> {
    write("parent_attach", |e| {
        parent.encode(e);
        e.u64(overlap).bool(again);
    })
}

/// The image is a clone no more.
pub fn parent_detach() -> Method<()> {
    write("parent_detach", nothing)
}

/// Lists a clone of a snapshot, in its parent's header.
pub fn child_attach(snap: SnapId, child: &Child) -> Method<()> {
    write("child_attach", |e| {
        snap.encode(e);
        child.encode(e);
    })
}

/// The clone is none any more.
pub fn child_detach(snap: SnapId, child: &Child) -> Method<()> {
    write("child_detach", |e| {
        snap.encode(e);
        child.encode(e);
    })
}

/// The clones of a snapshot that the header lists.
pub fn children_list(snap: SnapId) -> Method<Vec<Child>> {
    read("children_list", |e| snap.encode(e), |d| d.list(CHILD_MIN, Child::decode))
}

/// The group that the image is in.
pub fn image_group_get() -> Method<Option<GroupSpec>> {
    read("image_group_get", nothing, GroupSpec::decode)
}

/// Sets entries of the metadata.
pub fn metadata_set<'a>(entries: impl ExactSizeIterator<Item = (&'a str, &'a [u8])>) -> Method<()> {
    write("metadata_set", |e| {
        e.list(entries, |e, (key, value)| {
            e.string(key).blob(value);
        });
    })
}

/// The value of an entry.
pub fn metadata_get(key: &str) -> Method<Vec<u8>> {
    let input = |e: &mut Encoder<'_>| {
        e.string(key);
    };
    read("metadata_get", input, |d| d.blob().map(<[u8]>::to_vec))
}

/// Removes an entry; there need not be one.
pub fn metadata_remove(key: &str) -> Method<()> {
    write("metadata_remove", |e| {
        e.string(key);
    })
}

/// The entries behind `after`, at most `max`.
pub fn metadata_list(after: &str, max: u64) -> Method<BTreeMap<String, Vec<u8>>> {
    let input = |e: &mut Encoder<'_>| {
        e.string(after).u64(max);
    };
    read("metadata_list", input, |d| d.map(ENTRY_MIN, Decoder::label, |d| d.blob().map(<[u8]>::to_vec)))
}
