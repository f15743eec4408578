//! Slot tables: where each object of an image lies, one table for each of its 64 shards.
//!
//! A table moves between cores whole and is used only on the core it is with, so it has no locks. An entry is eight
//! bytes: the slot's number and the object's gate (see `gate.rs`). Entries come in chunks, so that a sparse image costs little.

use std::sync::Arc;

use super::super::error::{Result, StoreError};
use super::super::layout::{Order, Slot};
use super::super::record::{ImageId, ImageRecord, ObjectNo};
use super::super::shared::Opened;
use super::gate::Gate;

/// How many shards the objects of an image are spread over.
pub const SHARDS: usize = 64;

/// Entries of a chunk: one page of them.
const CHUNK: usize = 512;

/// The entry of an object that has no slot.
const NO_SLOT: u32 = u32::MAX;

/// The shard of an object. Of any 64 consecutive objects (from a multiple of 64) each shard has exactly one.
pub fn shard_of(image: ImageId, object: ObjectNo) -> usize {
    let mix = (image.0 ^ (object.0 >> 6)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58;
    ((object.0 ^ mix) & 63) as usize
}

/// The image is open as long as one of its tables exists.
pub(crate) struct Lease {
    pub(super) shared: Arc<Opened>,
    image: ImageId,
}

impl Lease {
    pub(in crate::store) fn take(shared: &Arc<Opened>, image: &ImageRecord) -> Result<Arc<Self>> {
        if shared.try_lease(image.id) {
            return Ok(Arc::new(Self { shared: Arc::clone(shared), image: image.id }));
        }
        let reason = "it is open already (share the open image, or close it first)".into();
        Err(StoreError::Busy { kind: "image", name: image.name.clone(), reason })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shared.leased().remove(&self.image);
    }
}

/// One shard's objects.
pub struct SlotTable {
    _lease: Arc<Lease>,
    pub(super) image: ImageId,
    pub(super) order: Order,
    pub(super) shard: usize,
    chunks: Vec<Option<Box<[Entry; CHUNK]>>>,
}

/// An object's slot and gate.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    unit: u32,
    pub(super) gate: Gate,
}

impl Entry {
    const EMPTY: Self = Self { unit: NO_SLOT, gate: Gate::FREE };

    pub(super) fn slot(self, order: Order) -> Option<Slot> {
        (self.unit != NO_SLOT).then(|| Slot::from_unit(self.unit, order))
    }

    pub(super) fn set_slot(&mut self, slot: Option<Slot>) {
        self.unit =
            slot.map_or(NO_SLOT, |slot| slot.unit().expect("the geometry gives no slot without a unit"));
    }
}

impl SlotTable {
    /// Empty tables for all shards of an image.
    pub(crate) fn all(lease: &Arc<Lease>, image: &ImageRecord) -> Vec<Self> {
        let table = |shard| Self {
            _lease: Arc::clone(lease),
            image: image.id,
            order: image.order,
            shard,
            chunks: Vec::new(),
        };
        (0..SHARDS).map(table).collect()
    }

    /// Which shard this is.
    pub fn shard(&self) -> usize {
        self.shard
    }

    /// The image it belongs to.
    pub fn image(&self) -> ImageId {
        self.image
    }

    /// Enters what the metadata says about an object.
    pub(crate) fn load(&mut self, object: ObjectNo, slot: Slot) {
        self.entry_mut(object).set_slot(Some(slot));
    }

    /// An object's entry; one that was never touched is empty.
    pub(super) fn entry(&self, object: ObjectNo) -> Entry {
        let (chunk, at) = place(object);
        match self.chunks.get(chunk) {
            Some(Some(chunk)) => chunk[at],
            Some(None) | None => Entry::EMPTY,
        }
    }

    /// An object's entry, made if need be.
    pub(super) fn entry_mut(&mut self, object: ObjectNo) -> &mut Entry {
        let (chunk, at) = place(object);
        if chunk >= self.chunks.len() {
            self.chunks.resize_with(chunk + 1, || None);
        }
        let chunk = self.chunks[chunk].get_or_insert_with(|| Box::new([Entry::EMPTY; CHUNK]));
        &mut chunk[at]
    }

    /// True if nobody is using any of its objects.
    pub(super) fn is_idle(&self) -> bool {
        self.chunks.iter().flatten().all(|chunk| chunk.iter().all(|entry| entry.gate.is_free()))
    }

    /// Every object with a slot, in no particular order of numbers across chunks.
    pub(super) fn allocated(&self) -> impl Iterator<Item = ObjectNo> + '_ {
        let (image, shard) = (self.image, self.shard);
        self.chunks.iter().enumerate().flat_map(move |(chunk_no, chunk)| {
            let entries = chunk.iter().flat_map(|chunk| chunk.iter().enumerate());
            entries.filter(|(_, entry)| entry.unit != NO_SLOT).map(move |(at, _)| {
                let row = (chunk_no * CHUNK + at) as u64;
                // In a row of 64 objects the shard is the object's low bits under a mask that the row gives.
                let mask = shard_of(image, ObjectNo(row << 6)) as u64;
                ObjectNo(row << 6 | shard as u64 ^ mask)
            })
        })
    }
}

fn place(object: ObjectNo) -> (usize, usize) {
    let row = usize::try_from(object.0 >> 6).expect("an image has at most 2^32 objects");
    (row / CHUNK, row % CHUNK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_64_objects_has_every_shard_once() {
        for image in [1, 2, 99] {
            for row in [0u64, 1, 7, 1 << 20] {
                let shards = (0..64).map(|i| 1u64 << shard_of(ImageId(image), ObjectNo(row * 64 + i)));
                assert_eq!(shards.fold(0, |all, bit| all | bit), u64::MAX);
            }
        }
    }

    #[test]
    fn the_object_is_found_back_from_row_and_shard() {
        for object in [0u64, 1, 63, 64, 1000, 123_456] {
            let shard = shard_of(ImageId(5), ObjectNo(object)) as u64;
            let mask = shard_of(ImageId(5), ObjectNo(object >> 6 << 6)) as u64;
            assert_eq!(object >> 6 << 6 | shard ^ mask, object);
        }
    }
}
