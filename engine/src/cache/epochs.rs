//! Flush epochs: what a flush covers, and how old dirty data is.
//!
//! Time is cut into epochs. A block that becomes dirty joins the current one and stays in it until its
//! writeback starts; the writeback then stands for it in the oldest epoch of its blocks until it has landed. A
//! flush closes the current epoch and waits until every epoch up to it is drained. What is dirtied later, or
//! dirtied again after its writeback started, is in a later epoch and holds no earlier flush up.
//!
//! An epoch also ends after a sixteenth of the dirty age, so that its start tells the age of its blocks closely
//! enough. Each epoch lists the objects whose oldest dirty block is in it: the objects in order of age.

use super::block::NIL;
use std::collections::VecDeque;

/// More epochs than this do not live at once: the current one then stays open, and a flush may wait for a
/// little more than it must. A flush for every write, with this many in flight, is still exact.
const EPOCHS_MAX: usize = 512;
/// Epochs in the maximal age of dirty data.
const EPOCHS_PER_AGE: u64 = 16;

/// A flush: everything that was dirty or on its way down when it was taken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Ticket(u64);

pub(super) struct Epoch {
    started_ns: u64,
    /// Dirty blocks of this epoch.
    blocks: u32,
    /// Writebacks in flight whose oldest block is of this epoch, and discards under way that dropped such
    /// blocks.
    flights: u32,
    /// The objects whose oldest dirty block is of this epoch: first and last record.
    pub(super) oldest: u32,
    pub(super) newest: u32,
}

pub(super) struct Epochs {
    /// The number of the first epoch in `live`.
    base: u64,
    /// Never empty; the last is the current one.
    live: VecDeque<Epoch>,
    length_ns: u64,
}

impl Epochs {
    pub(super) fn new(max_dirty_age_ns: u64) -> Self {
        let mut live = VecDeque::with_capacity(16);
        live.push_back(Epoch::new());
        Self { base: 1, live, length_ns: max_dirty_age_ns / EPOCHS_PER_AGE }
    }

    /// A block became dirty: the epoch it joins.
    pub(super) fn join(&mut self, now_ns: u64) -> u32 {
        let current = self.live.back().expect("there is a current epoch");
        if current.is_drained() {
            self.live.back_mut().expect("there is a current epoch").started_ns = now_ns;
        } else if now_ns.saturating_sub(current.started_ns) > self.length_ns && self.live.len() < EPOCHS_MAX {
            self.close(now_ns);
        }
        self.live.back_mut().expect("there is a current epoch").blocks += 1;
        (self.base + self.live.len() as u64 - 1) as u32
    }

    /// A block joins an epoch that is still alive, because a writeback that stands in it failed.
    pub(super) fn rejoin(&mut self, epoch: u32) {
        self.at_mut(epoch).blocks += 1;
    }

    /// A block of this epoch is dirty no more, or its writeback starts.
    pub(super) fn leave(&mut self, epoch: u32) {
        let entry = self.at_mut(epoch);
        entry.blocks = entry.blocks.checked_sub(1).expect("a block leaves the epoch it joined");
        self.drop_drained();
    }

    pub(super) fn begin_flight(&mut self, epoch: u32) {
        self.at_mut(epoch).flights += 1;
    }

    pub(super) fn end_flight(&mut self, epoch: u32) {
        let entry = self.at_mut(epoch);
        entry.flights = entry.flights.checked_sub(1).expect("a writeback lands in the epoch it started in");
        self.drop_drained();
    }

    /// Closes the current epoch, unless nothing is in it.
    pub(super) fn ticket(&mut self) -> Ticket {
        let current = self.base + self.live.len() as u64 - 1;
        let entry = self.live.back().expect("there is a current epoch");
        if entry.is_drained() {
            return Ticket(current - 1);
        }
        if self.live.len() < EPOCHS_MAX {
            let started_ns = entry.started_ns;
            self.close(started_ns);
        }
        Ticket(current)
    }

    pub(super) fn is_flushed(&self, ticket: Ticket) -> bool {
        let covered = (ticket.0 + 1).saturating_sub(self.base);
        self.live.iter().take(covered as usize).all(Epoch::is_drained)
    }

    /// Is `epoch` the older one of the two?
    pub(super) fn is_older(&self, epoch: u32, than: u32) -> bool {
        self.position(epoch) < self.position(than)
    }

    /// The live epochs that hold objects, oldest first, up to the ticket's: the first object and the start.
    pub(super) fn with_objects(&self, until: Option<Ticket>) -> impl Iterator<Item = (u32, u64)> {
        let covered = until.map_or(u64::MAX, |ticket| (ticket.0 + 1).saturating_sub(self.base));
        let covered = usize::try_from(covered).unwrap_or(usize::MAX);
        self.live
            .iter()
            .take(covered)
            .filter(|epoch| epoch.oldest != NIL)
            .map(|epoch| (epoch.oldest, epoch.started_ns))
    }

    pub(super) fn at_mut(&mut self, epoch: u32) -> &mut Epoch {
        let position = self.position(epoch);
        &mut self.live[position]
    }

    /// Every live epoch: its number as blocks carry it, blocks, flights, first object; for `check`.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, u32, u32, u32)> {
        let base = self.base;
        self.live.iter().enumerate().map(move |(position, epoch)| {
            ((base + position as u64) as u32, epoch.blocks, epoch.flights, epoch.oldest)
        })
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.live.capacity() * size_of::<Epoch>()
    }

    /// Blocks carry 32 bits of the number; the live epochs are few, so that says which one it is.
    fn position(&self, epoch: u32) -> usize {
        let position = epoch.wrapping_sub(self.base as u32) as usize;
        assert!(position < self.live.len(), "an epoch with blocks or writebacks is alive");
        position
    }

    fn close(&mut self, now_ns: u64) {
        self.live.push_back(Epoch { started_ns: now_ns, ..Epoch::new() });
    }

    fn drop_drained(&mut self) {
        while self.live.len() > 1 && self.live[0].is_drained() {
            assert_eq!(self.live[0].oldest, NIL, "a drained epoch lists no object");
            self.live.pop_front();
            self.base += 1;
        }
    }
}

impl Epoch {
    fn new() -> Self {
        Self { started_ns: 0, blocks: 0, flights: 0, oldest: NIL, newest: NIL }
    }

    fn is_drained(&self) -> bool {
        self.blocks == 0 && self.flights == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_waits_for_what_came_before_it_only() {
        let mut epochs = Epochs::new(1_600);
        assert!({
            let ticket = epochs.ticket();
            epochs.is_flushed(ticket)
        });
        let before = epochs.join(0);
        let ticket = epochs.ticket();
        let after = epochs.join(1);
        assert!(epochs.is_older(before, after));
        epochs.begin_flight(before);
        epochs.leave(before);
        assert!(!epochs.is_flushed(ticket));
        epochs.end_flight(before);
        assert!(epochs.is_flushed(ticket));
        let later = epochs.ticket();
        assert!(!epochs.is_flushed(later));
        epochs.leave(after);
        assert!(epochs.is_flushed(later));
    }

    #[test]
    fn an_epoch_ends_with_its_share_of_the_age() {
        let mut epochs = Epochs::new(1_600);
        let first = epochs.join(1_000);
        assert_eq!(epochs.join(1_100), first);
        let second = epochs.join(1_101);
        assert!(epochs.is_older(first, second));
    }

    #[test]
    fn tickets_without_end_merge_instead_of_growing() {
        let mut epochs = Epochs::new(1_600);
        let tickets: Vec<_> = (0..2_000)
            .map(|_| {
                epochs.join(0);
                epochs.ticket()
            })
            .collect();
        assert_eq!(epochs.live.len(), EPOCHS_MAX);
        let numbers: Vec<u32> =
            epochs.iter().flat_map(|(e, n, ..)| std::iter::repeat_n(e, n as usize)).collect();
        for epoch in numbers {
            epochs.leave(epoch);
        }
        assert!(tickets.iter().all(|&ticket| epochs.is_flushed(ticket)));
    }
}
