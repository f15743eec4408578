//! One simulated file: what readers see, what is durable, and the changes in between.
//!
//! The rules, which are all that a disk below a file system promises:
//! * A change is durable once a sync that was issued after its completion has succeeded, or at its completion
//!   if it was written durably. Until then it has no order to other changes; within it, each sector is on its own.
//! * Where changes overlap, a later completed one that survives covers an earlier one.
//! * The length is one field of the inode: what survives is a prefix of its changes. Whatever lies behind the
//!   surviving length is gone, and is zero if the file grows again.

use std::collections::VecDeque;

use super::fate::{Fate, Fates};
use super::image::{Change, Image};

/// A change that a power cut may undo.
#[derive(Clone, Debug)]
struct Unsynced {
    seq: u64,
    change: Change,
    /// Durable all the same, but kept here because an earlier change is not, and must not cover this one.
    durable: bool,
}

/// An operation that the power cut met half way: its changes may have happened at any point after it began.
#[derive(Debug)]
pub(super) struct InFlight {
    /// What the disk's count stood at when it began.
    pub(super) began: u64,
    pub(super) changes: Vec<Change>,
}

/// A file.
#[derive(Debug, Default)]
pub(super) struct FileState {
    visible: Image,
    durable: Image,
    log: VecDeque<Unsynced>,
    /// Whether a directory names it; else its space is given back when its last handle goes.
    pub(super) linked: bool,
    /// Whether it is a block device: its length is fixed, and it takes no space of the file system.
    pub(super) device: bool,
    /// Number of open handles.
    pub(super) handles: u32,
    /// The handle that holds the lock.
    pub(super) locked_by: Option<u64>,
}

impl FileState {
    /// What readers see.
    pub(super) fn visible(&self) -> &Image {
        &self.visible
    }

    /// Whether its blocks count as space of the file system.
    pub(super) fn takes_space(&self) -> bool {
        self.linked && !self.device
    }

    /// The shortest length that a power cut may leave.
    pub(super) fn shortest_len(&self) -> u64 {
        let pending = self.log.iter().filter_map(|change| match change.change {
            Change::Grow { len } | Change::Resize { len } => Some(len),
            Change::Write { .. } | Change::Zero { .. } | Change::Punch { .. } | Change::Allocate { .. } => {
                None
            }
        });
        pending.fold(self.durable.len(), u64::min)
    }

    /// A completed change. `seq` grows from call to call.
    pub(super) fn apply(&mut self, seq: u64, change: Change, durable: bool) {
        assert!(
            self.log.back().is_none_or(|last| last.seq < seq),
            "changes complete in the order of their numbers"
        );
        self.visible.apply(&change);
        if durable && change.is_size() {
            for earlier in self.log.iter_mut().filter(|earlier| earlier.change.is_size()) {
                earlier.durable = true;
            }
        }
        self.log.push_back(Unsynced { seq, change, durable });
        self.absorb();
    }

    /// A sync that was issued when the count stood at `upto` has succeeded.
    pub(super) fn sync(&mut self, upto: u64) {
        for covered in self.log.iter_mut().take_while(|change| change.seq < upto) {
            covered.durable = true;
        }
        self.absorb();
    }

    /// A sync that was issued when the count stood at `upto` has failed: what it should have covered may be
    /// gone for good, although it can still be read until the cache that holds it is given up.
    pub(super) fn sync_failed(&mut self, upto: u64, fates: &mut Fates<'_>, give_up_cache: bool) {
        self.log.retain(|change| {
            change.durable || change.seq >= upto || change.change.is_size() || fates.keeps(change.seq)
        });
        if give_up_cache {
            self.visible = self.durable.clone();
            for change in &self.log {
                self.visible.apply(&change.change);
            }
            self.visible.trim();
        }
    }

    /// Numbers of the changes that a power cut may undo.
    pub(super) fn unsynced(&self) -> impl Iterator<Item = u64> {
        self.log.iter().filter(|change| !change.durable).map(|change| change.seq)
    }

    /// The power fails. Calls `told` with the fate of each change that was at stake.
    pub(super) fn power_cut(
        &mut self,
        in_flight: Vec<InFlight>,
        fates: &mut Fates<'_>,
        mut told: impl FnMut(&Change, Fate),
    ) {
        let mut log: Vec<Unsynced> = self.log.drain(..).collect();
        for operation in in_flight {
            let earliest = log.partition_point(|change| change.seq < operation.began);
            let mut place = fates.place(earliest..log.len());
            // An extending write and its growth are one operation; nothing happens between them.
            while log.get(place).is_some_and(|change| matches!(change.change, Change::Grow { .. })) {
                place += 1;
            }
            for change in operation.changes {
                // Placed changes borrow the number of what they follow, so that the log stays sorted.
                let seq = place.checked_sub(1).map_or(0, |before| log[before].seq).max(operation.began);
                log.insert(place, Unsynced { seq, change, durable: false });
                place += 1;
            }
        }
        let mut length_lost = false;
        for Unsynced { seq, change, durable } in log {
            let fate = match (durable, change.is_size()) {
                (true, _) => Fate::Kept,
                (false, true) if length_lost || !fates.keeps(seq) => Fate::Dropped,
                (false, true) => Fate::Kept,
                (false, false) => fates.of(seq),
            };
            match fate {
                Fate::Kept => self.durable.apply(&change),
                Fate::Dropped => length_lost |= change.is_size(),
                Fate::Torn => {
                    for part in fates.sectors(&change.range()) {
                        self.durable.apply_part(&change, part);
                    }
                }
            }
            if !durable {
                told(&change, fate);
            }
        }
        self.durable.trim();
        self.visible = self.durable.clone();
    }

    /// Moves the durable changes at the front of the log into the durable image.
    fn absorb(&mut self) {
        while self.log.front().is_some_and(|first| first.durable) {
            let first = self.log.pop_front().expect("there is a front");
            self.durable.apply(&first.change);
        }
    }
}
