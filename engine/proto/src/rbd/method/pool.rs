//! Methods of what a pool has beside its images: `rbd_trash`, `rbd_namespace`, `rbd_children`.

use super::super::image::Parent;
use super::super::trash::{TrashEntry, TrashState};
use super::{Method, read, write};
use crate::codec::{Decoder, Encoder};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of the shortest entry of the trash: an id's length and a structure's head.
const TRASH_ENTRY_MIN: usize = 10;
/// Bytes of the shortest name: its length.
const NAME_MIN: usize = 4;

/// An image in the trash.
pub fn trash_get(id: &str) -> Method<TrashEntry> {
    let input = |e: &mut Encoder<'_>| {
        e.string(id);
    };
    read("trash_get", input, TrashEntry::decode)
}

/// The images in the trash whose ids follow `after`, at most `max`.
pub fn trash_list(after: &str, max: u64) -> Method<BTreeMap<String, TrashEntry>> {
    let input = |e: &mut Encoder<'_>| {
        e.string(after).u64(max);
    };
    read("trash_list", input, |d| d.map(TRASH_ENTRY_MIN, Decoder::label, TrashEntry::decode))
}

/// Puts an image into the trash.
pub fn trash_add(id: &str, entry: &TrashEntry) -> Method<()> {
    write("trash_add", |e| {
        e.string(id);
        entry.encode(e);
    })
}

/// Takes it out.
pub fn trash_remove(id: &str) -> Method<()> {
    write("trash_remove", |e| {
        e.string(id);
    })
}

/// Says what is being done with it, if until now it was `expected`.
pub fn trash_state_set(id: &str, state: TrashState, expected: TrashState) -> Method<()> {
    write("trash_state_set", |e| {
        e.string(id).u8(state.number()).u8(expected.number());
    })
}

/// Makes a namespace.
pub fn namespace_add(name: &str) -> Method<()> {
    write("namespace_add", |e| {
        e.string(name);
    })
}

/// Removes one.
pub fn namespace_remove(name: &str) -> Method<()> {
    write("namespace_remove", |e| {
        e.string(name);
    })
}

/// The namespaces behind `after`, at most `max`.
pub fn namespace_list(after: &str, max: u64) -> Method<Vec<String>> {
    let input = |e: &mut Encoder<'_>| {
        e.string(after).u64(max);
    };
    read("namespace_list", input, |d| d.list(NAME_MIN, Decoder::label))
}

fn child_input(parent: &Parent, child: &str) -> impl FnOnce(&mut Encoder<'_>) {
    move |e| {
        e.i64(parent.pool.0).string(&parent.image_id).u64(parent.snap.0).string(child);
    }
}

/// Lists a clone of the first kind.
pub fn add_child(parent: &Parent, child: &str) -> Method<()> {
    write("add_child", child_input(parent, child))
}

/// The clone is none any more.
pub fn remove_child(parent: &Parent, child: &str) -> Method<()> {
    write("remove_child", child_input(parent, child))
}

/// The clones of the first kind of a snapshot.
pub fn get_children(parent: &Parent) -> Method<BTreeSet<String>> {
    let input = |e: &mut Encoder<'_>| {
        e.i64(parent.pool.0).string(&parent.image_id).u64(parent.snap.0);
    };
    read("get_children", input, |d| Ok(d.list(NAME_MIN, Decoder::string)?.into_iter().collect()))
}
