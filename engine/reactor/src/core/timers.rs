//! The timers of a core: an indexed binary heap, so that a cancelled timer leaves at once.
//!
//! Most timers are timeouts that never fire; leaving them behind as tombstones would grow without bound.
//! Timers of the same deadline fire in the order in which they were set, which the simulation needs.

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Strategy, prop_assert_eq, prop_oneof, proptest};
    use proptest::{collection::vec, prop_assert};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::task::Wake;

    /// Writes its name into the shared place when woken.
    struct Name(u64, Arc<AtomicU64>);

    impl Wake for Name {
        fn wake(self: Arc<Name>) {
            self.1.store(self.0, Ordering::Relaxed);
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Set(u64),
        Cancel(usize),
        Advance(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0u64..40).prop_map(Step::Set),
            2 => (0usize..100).prop_map(Step::Cancel),
            2 => (0u64..20).prop_map(Step::Advance),
        ]
    }

    impl Timers {
        fn check(&self) {
            assert_eq!(self.heap.len(), self.timers.len());
            for (place, &slot) in self.heap.iter().enumerate() {
                assert_eq!(self.timers[slot].place, place);
                assert!(place == 0 || !self.before(slot, self.heap[(place - 1) / 2]));
            }
        }
    }

    proptest! {
        #[test]
        fn timers_fire_like_a_sorted_list(steps in vec(step(), 0..200)) {
            let woken = Arc::new(AtomicU64::new(u64::MAX));
            let mut timers = Timers::default();
            let (mut keys, mut model, mut now) = (Vec::new(), Vec::<(u64, u64)>::new(), 0);
            for step in steps {
                match step {
                    Step::Set(after) => {
                        let name = keys.len() as u64;
                        let waker = Waker::from(Arc::new(Name(name, Arc::clone(&woken))));
                        keys.push(timers.set(Instant::from_nanos(now + after), waker));
                        model.push((now + after, name));
                    }
                    Step::Cancel(nth) if nth < keys.len() => {
                        let alive = model.iter().any(|timer| timer.1 == nth as u64);
                        prop_assert_eq!(timers.rewake(keys[nth], Waker::noop()), alive);
                        timers.cancel(keys[nth]);
                        model.retain(|timer| timer.1 != nth as u64);
                    }
                    Step::Cancel(_) => {}
                    Step::Advance(by) => {
                        now += by;
                        model.sort_unstable();
                        while let Some(waker) = timers.pop_due(Instant::from_nanos(now)) {
                            waker.wake();
                            let (deadline, name) = model.remove(0);
                            prop_assert!(deadline <= now);
                            prop_assert_eq!(woken.load(Ordering::Relaxed), name);
                        }
                    }
                }
                timers.check();
                let next = model.iter().min().map(|timer| Instant::from_nanos(timer.0));
                prop_assert_eq!(timers.next_deadline(), next);
            }
        }
    }
}
