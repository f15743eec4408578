//! Methods of a pool's directory of images, `rbd_directory`. Groups have one of the same kind.

use super::{Method, read, write};
use crate::codec::{Decoder, Encoder};
use std::collections::BTreeMap;

/// Bytes of the shortest entry: two lengths.
const ENTRY_MIN: usize = 8;

/// Whether images may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryState {
    /// They may.
    Ready,
    /// They may not: the namespace is being removed.
    AddDisabled,
}

impl DirectoryState {
    fn encode(self, e: &mut Encoder<'_>) {
        e.u8(match self {
            DirectoryState::Ready => 0,
            DirectoryState::AddDisabled => 1,
        });
    }
}

/// The id of the image with this name.
pub fn get_id(name: &str) -> Method<String> {
    let input = |e: &mut Encoder<'_>| {
        e.string(name);
    };
    read("dir_get_id", input, |d| d.string())
}

/// The name of the image with this id.
pub fn get_name(id: &str) -> Method<String> {
    let input = |e: &mut Encoder<'_>| {
        e.string(id);
    };
    read("dir_get_name", input, |d| d.string())
}

/// The images whose names follow `after`, at most `max`: ids by name.
pub fn list(after: &str, max: u64) -> Method<BTreeMap<String, String>> {
    let input = |e: &mut Encoder<'_>| {
        e.string(after).u64(max);
    };
    read("dir_list", input, |d| d.map(ENTRY_MIN, Decoder::label, Decoder::label))
}

/// Adds an image.
pub fn add_image(name: &str, id: &str) -> Method<()> {
    write("dir_add_image", |e| {
        e.string(name).string(id);
    })
}

/// Removes an image; ESTALE where the name and the id do not belong together.
pub fn remove_image(name: &str, id: &str) -> Method<()> {
    write("dir_remove_image", |e| {
        e.string(name).string(id);
    })
}

/// Renames an image.
pub fn rename_image(from: &str, to: &str, id: &str) -> Method<()> {
    write("dir_rename_image", |e| {
        e.string(from).string(to).string(id);
    })
}

/// Fails unless the directory is in this state. Only namespaces have states.
pub fn assert_state(state: DirectoryState) -> Method<()> {
    write("dir_state_assert", |e| state.encode(e))
}

/// Sets the state.
pub fn set_state(state: DirectoryState) -> Method<()> {
    write("dir_state_set", |e| state.encode(e))
}
