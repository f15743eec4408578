//! The table of registered files of one ring. A descriptor's slot is its number in the process, so finding it
//! is one look.

use super::descriptor::{Descriptor, closings, for_each_closed};
use io_uring::IoUring;

/// Descriptors that get a slot. An engine has one per store file and one per OSD connection; those beyond
/// work unregistered.
const FILES_MAX: u32 = 1024;

pub(super) struct FixedFiles {
    /// The id of the descriptor in each slot, 0 for none. Empty when the kernel gave no table.
    ids: Vec<u64>,
    closings_seen: u64,
}

impl FixedFiles {
    pub(super) fn register(ring: &IoUring) -> FixedFiles {
        let ids = match ring.submitter().register_files_sparse(FILES_MAX) {
            Ok(()) => vec![0; FILES_MAX as usize],
            Err(error) => {
                tracing::warn!(%error, "no table of registered files; operations name descriptors instead");
                Vec::new()
            }
        };
        FixedFiles { ids, closings_seen: closings() }
    }

    #[inline]
    pub(super) fn find(&self, descriptor: &Descriptor) -> Option<u32> {
        let index = descriptor.index();
        (self.ids.get(index) == Some(&descriptor.id())).then_some(index as u32)
    }

    pub(super) fn has_room_for(&self, descriptor: &Descriptor) -> bool {
        descriptor.index() < self.ids.len()
    }

    /// Puts the descriptor into its slot. What was there before is closed: its number was free.
    pub(super) fn register_file(&mut self, ring: &IoUring, descriptor: &Descriptor) -> Option<u32> {
        let index = descriptor.index();
        let slot = u32::try_from(index).expect("an index is 32 bits");
        match ring.submitter().register_files_update(slot, &[descriptor.raw()]) {
            Ok(_) => {
                self.ids[index] = descriptor.id();
                descriptor.note_registered();
                Some(slot)
            }
            Err(error) => {
                tracing::debug!(%error, slot, "the file is not registered, but named by its descriptor");
                None
            }
        }
    }

    #[inline]
    pub(super) fn is_behind(&self) -> bool {
        self.closings_seen != closings()
    }

    pub(super) fn release_closed(&mut self, ring: &IoUring) {
        self.closings_seen = closings();
        let mut closed = Vec::new();
        for_each_closed(&self.ids, |index| closed.push(index));
        for index in closed {
            self.ids[index] = 0;
            let slot = u32::try_from(index).expect("an index is 32 bits");
            if let Err(error) = ring.submitter().register_files_update(slot, &[-1]) {
                tracing::debug!(%error, slot, "a closed file stays in the table until its slot is used again");
            }
        }
    }
}
