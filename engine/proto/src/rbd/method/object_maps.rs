//! Methods of an object map, `rbd_object_map.<id>`, and of a snapshot's, `rbd_object_map.<id>.<snap>`.

use super::super::object_map::{ObjectMap, ObjectState};
use super::{Method, nothing, read, write};

/// Objects whose states one call may set: the OSD is busy with nothing else meanwhile.
pub const UPDATE_OBJECTS_MAX: u64 = 1 << 18;

/// The whole map.
pub fn load() -> Method<ObjectMap> {
    read("object_map_load", nothing, |d| ObjectMap::decode(d.bytes(d.left())?))
}

/// Replaces the whole map.
pub fn save(map: &ObjectMap) -> Method<()> {
    write("object_map_save", |e| map.encode_for_call(e))
}

/// Sets the number of objects; new ones get `state`. Makes the map if there is none. ESTALE where objects that exist would
/// be cut off.
pub fn resize(objects: u64, state: ObjectState) -> Method<()> {
    write("object_map_resize", |e| {
        e.u64(objects).u8(state.bits());
    })
}

/// Sets the state of the objects from `begin` to before `end`; only of those that are in state `only` where that is given.
/// An object that [is clean](ObjectState::ExistsClean) counts as one that exists.
pub fn update(begin: u64, end: u64, state: ObjectState, only: Option<ObjectState>) -> Method<()> {
    write("object_map_update", |e| {
        e.u64(begin).u64(end).u8(state.bits());
        e.optional(only, |e, only| {
            e.u8(only.bits());
        });
    })
}

/// A snapshot was taken: objects that exist are clean.
pub fn snap_add() -> Method<()> {
    write("object_map_snap_add", nothing)
}

/// A snapshot with this map was removed: what changed in it counts as changed here.
pub fn snap_remove(removed: &ObjectMap) -> Method<()> {
    write("object_map_snap_remove", |e| removed.encode_for_call(e))
}
