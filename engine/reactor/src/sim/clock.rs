//! Virtual time: a heap of what is to happen, ordered by time and, within one instant, by when it was arranged.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// The time of a simulation, and everything that will happen in it.
#[derive(Debug)]
pub(super) struct Clock<E> {
    now_ns: u64,
    arranged: u64,
    heap: BinaryHeap<Reverse<Timed<E>>>,
}

impl<E> Clock<E> {
    /// A clock that stands at `now_ns`.
    pub(super) fn new(now_ns: u64) -> Clock<E> {
        Clock { now_ns, arranged: 0, heap: BinaryHeap::new() }
    }

    /// Nanoseconds of virtual time.
    pub(super) fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// Arranges for `event` to happen at `time_ns`; in the past means now.
    pub(super) fn at(&mut self, time_ns: u64, event: E) {
        self.arranged += 1;
        self.heap.push(Reverse(Timed { time_ns: time_ns.max(self.now_ns), seq: self.arranged, event }));
    }

    /// When the next event happens.
    pub(super) fn next_ns(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(next)| next.time_ns)
    }

    /// Takes the next event that is due now; time does not move.
    pub(super) fn due(&mut self) -> Option<E> {
        if self.next_ns()? > self.now_ns {
            return None;
        }
        self.heap.pop().map(|Reverse(next)| next.event)
    }

    /// Lets a little time pass; events that fall into it happen a little late.
    pub(super) fn pass(&mut self, span_ns: u64) {
        self.now_ns += span_ns;
    }

    /// Moves time forward to `time_ns`, which must not jump over an event.
    pub(super) fn advance(&mut self, time_ns: u64) {
        assert!(time_ns >= self.now_ns, "time runs forward: {} to {time_ns}", self.now_ns);
        assert!(
            self.next_ns().is_none_or(|next| next >= time_ns),
            "an event before {time_ns} would be skipped"
        );
        self.now_ns = time_ns;
    }
}

#[derive(Debug)]
struct Timed<E> {
    time_ns: u64,
    seq: u64,
    event: E,
}

impl<E> Ord for Timed<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.time_ns, self.seq).cmp(&(other.time_ns, other.seq))
    }
}

impl<E> PartialOrd for Timed<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Timed<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Timed<E> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_then_by_arrangement() {
        let mut clock = Clock::new(100);
        clock.at(300, 'c');
        clock.at(200, 'a');
        clock.at(200, 'b');
        clock.at(50, 'p');
        assert_eq!((clock.due(), clock.due()), (Some('p'), None));
        clock.advance(200);
        assert_eq!((clock.due(), clock.due(), clock.due()), (Some('a'), Some('b'), None));
        assert_eq!((clock.next_ns(), clock.now_ns()), (Some(300), 200));
    }

    #[test]
    #[should_panic(expected = "would be skipped")]
    fn no_event_is_jumped_over() {
        let mut clock = Clock::new(0);
        clock.at(10, ());
        clock.advance(11);
    }
}
