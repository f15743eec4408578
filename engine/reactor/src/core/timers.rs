//! The timers of a core: an indexed binary heap, so that a cancelled timer leaves at once.
//!
//! Most timers are timeouts that never fire; leaving them behind as tombstones would grow without bound. Timers of
//! the same deadline fire in the order in which they were set, which the simulation needs.

use crate::clock::Instant;
use slab::Slab;
use std::task::Waker;

/// Names a timer until it fires or is cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TimerKey {
    slot: usize,
    seq: u64,
}

struct Timer {
    deadline: Instant,
    seq: u64,
    place: usize,
    waker: Waker,
}

#[derive(Default)]
pub(crate) struct Timers {
    timers: Slab<Timer>,
    /// Slots of `timers`, a binary heap by (deadline, seq).
    heap: Vec<usize>,
    next_seq: u64,
}

impl Timers {
    pub(crate) fn set(&mut self, deadline: Instant, waker: Waker) -> TimerKey {
        let seq = self.next_seq;
        self.next_seq += 1;
        let place = self.heap.len();
        let slot = self.timers.insert(Timer { deadline, seq, place, waker });
        self.heap.push(slot);
        self.rise(place);
        TimerKey { slot, seq }
    }

    /// Changes who is woken. False when the timer has fired.
    pub(crate) fn rewake(&mut self, key: TimerKey, waker: &Waker) -> bool {
        match self.timers.get_mut(key.slot) {
            Some(timer) if timer.seq == key.seq => {
                timer.waker.clone_from(waker);
                true
            }
            _ => false,
        }
    }

    /// Forgets the timer, if it has not fired.
    pub(crate) fn cancel(&mut self, key: TimerKey) {
        if self.timers.get(key.slot).is_some_and(|timer| timer.seq == key.seq) {
            self.remove(key.slot);
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.heap.first().map(|&slot| self.timers[slot].deadline)
    }

    /// Takes the first timer that is due at `now`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Waker> {
        let &slot = self.heap.first()?;
        if self.timers[slot].deadline > now {
            return None;
        }
        Some(self.remove(slot).waker)
    }

    fn remove(&mut self, slot: usize) -> Timer {
        let timer = self.timers.remove(slot);
        let last = self.heap.pop().expect("a timer that is set is in the heap");
        if last != slot {
            self.heap[timer.place] = last;
            self.timers[last].place = timer.place;
            self.rise(timer.place);
            self.sink(self.timers[last].place);
        }
        timer
    }

    fn before(&self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.timers[a], &self.timers[b]);
        (a.deadline, a.seq) < (b.deadline, b.seq)
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.timers[self.heap[a]].place = a;
        self.timers[self.heap[b]].place = b;
    }

    fn rise(&mut self, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if !self.before(self.heap[place], self.heap[parent]) {
                break;
            }
            self.swap(place, parent);
            place = parent;
        }
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            let mut first = place;
            for child in [2 * place + 1, 2 * place + 2] {
                if child < self.heap.len() && self.before(self.heap[child], self.heap[first]) {
                    first = child;
                }
            }
            if first == place {
                break;
            }
            self.swap(place, first);
            place = first;
        }
    }
}
