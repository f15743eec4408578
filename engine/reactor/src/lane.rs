//! Lanes: from one core to one other and back, the cheapest way across. A value goes over in a slot of a ring, is worked
//! on there in place by the other core, and is taken back out of the same slot.
//!
//! ```text
//!        asker                          slots                             answerer
//!   ask ───────► write slot ─► asked ──────────────► answer: works on slots answered..asked in place
//!   take_back ◄─ read slot ◄────────────── answered ◄──┘
//! ```
//!
//! A slot belongs to the asker, but for the time between `asked` and `answered`; so a value costs the transfer of its own
//! cache lines once, a second time only if the answerer wrote to them, and the two counters' lines once a batch: what is
//! asked is published when [`BATCH`] values are together, or when the asker says so.
//!
//! Both sides look at the lane when they come by ([`Watch`](crate::Watch)); nobody is woken who is awake. A side that
//! sleeps is roused ([`rouse`]): what was put in is published first, then a SeqCst fence, then the other core's
//! announcement of sleep is read. That core announces, has its own fence, and looks at its lanes once more before it
//! sleeps. One of the two sees the other.

use crate::core::{current_place, rouse_core};
use crossbeam_utils::CachePadded;
use std::cell::UnsafeCell;
use std::fmt;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering, fence};

/// Slots of a lane: more than one core has under way on another at usual queue depths, and few enough that the ring stays
/// in the caches of both.
const SLOTS: u32 = 64;
const _: () =
    assert!(SLOTS.is_power_of_two(), "the counters wrap around, and slots are chosen by their low bits");

/// Values that are published together: a counter's cache line goes over once for them, and the other side need not wait for
/// long while this one has more to do.
const BATCH: u32 = 8;

/// A slot has cache lines of its own: its neighbour may be with the other core.
#[repr(align(64))]
struct Slot<T>(UnsafeCell<MaybeUninit<T>>);

struct Shared<T> {
    slots: Box<[Slot<T>]>,
    /// Values ever put in. Written by the asker.
    asked: CachePadded<AtomicU32>,
    /// Values ever worked on. Written by the answerer.
    answered: CachePadded<AtomicU32>,
    places: CachePadded<Places>,
    /// Values ever taken back, written when the asker is dropped: what is after them is dropped with the lane.
    taken_at_the_end: AtomicU32,
}

/// The places of both sides' cores in the table of cores.
struct Places {
    asker: AtomicU32,
    answerer: AtomicU32,
}

// SAFETY: the counters hand each slot from one side to the other and back: the asker touches slots that are not
// in `answered..asked`, the answerer only those that are, and each end is one value used by `&mut`. The counters are
// stored with Release after the last touch of a slot and read with Acquire before the first, so what crosses is a T
// that is moved, or lent mutably, to the other thread: T must be Send.
unsafe impl<T: Send> Sync for Shared<T> {}
// SAFETY: as above; the lane's end drops the values that are left, on whichever thread.
unsafe impl<T: Send> Send for Shared<T> {}

impl<T> Shared<T> {
    fn slot(&self, number: u32) -> *mut MaybeUninit<T> {
        self.slots[(number & (SLOTS - 1)) as usize].0.get()
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        let mut number = *self.taken_at_the_end.get_mut();
        while number != *self.asked.get_mut() {
            // SAFETY: both ends are gone. Slots from the last taken back to the last asked hold values.
            unsafe { (*self.slot(number)).assume_init_drop() };
            number = number.wrapping_add(1);
        }
    }
}

/// The end of a lane that values start from and come back to.
pub struct Asker<T> {
    shared: Arc<Shared<T>>,
    asked: u32,
    /// `asked` as the other side sees it.
    published: u32,
    taken: u32,
    /// `answered` as last seen.
    answered: u32,
    /// Something was published since the other side was last roused.
    news: bool,
}

/// The end of a lane where values are worked on.
pub struct Answerer<T> {
    shared: Arc<Shared<T>>,
    answered: u32,
    news: bool,
}

/// A lane whose asker is the current core. The other end is for a core that [`settles`](Answerer::settle) it.
pub fn lane<T: Send>() -> (Asker<T>, Answerer<T>) {
    let slot = |_| Slot(UnsafeCell::new(MaybeUninit::uninit()));
    let shared = Arc::new(Shared {
        slots: (0..SLOTS).map(slot).collect(),
        asked: CachePadded::new(AtomicU32::new(0)),
        answered: CachePadded::new(AtomicU32::new(0)),
        places: CachePadded::new(Places {
            asker: AtomicU32::new(current_place()),
            answerer: AtomicU32::new(NOWHERE),
        }),
        taken_at_the_end: AtomicU32::new(0),
    });
    let asker = Asker { shared: shared.clone(), asked: 0, published: 0, taken: 0, answered: 0, news: false };
    (asker, Answerer { shared, answered: 0, news: false })
}

/// The place of an answerer that no core has settled: whoever it was sent to looks when it settles it.
const NOWHERE: u32 = u32::MAX;

impl<T: Send> Asker<T> {
    /// Puts a value in; gives it back if the lane is full. The other side sees it at the latest after [`publish`](Self::publish),
    /// which is due, with [`rouse`], before this core sleeps.
    #[inline]
    pub fn ask(&mut self, value: T) -> Result<(), T> {
        if self.in_flight() == SLOTS {
            return Err(value);
        }
        // SAFETY: the slot was taken back, or never used, for fewer than SLOTS are in flight: it is this side's, and empty.
        unsafe { (*self.shared.slot(self.asked)).write(value) };
        self.asked = self.asked.wrapping_add(1);
        if self.asked.wrapping_sub(self.published) == BATCH {
            self.publish();
        }
        Ok(())
    }

    /// The next value that the other side has worked on, in the order of asking.
    #[inline]
    pub fn take_back(&mut self) -> Option<T> {
        if self.taken == self.answered {
            self.answered = self.shared.answered.load(Ordering::Acquire);
            if self.taken == self.answered {
                return None;
            }
        }
        // SAFETY: the slot was asked and is answered, so it is this side's again and holds a value, which moves out: `taken`
        // goes past it.
        let value = unsafe { (*self.shared.slot(self.taken)).assume_init_read() };
        self.taken = self.taken.wrapping_add(1);
        Some(value)
    }

    /// Whether there is something to take back.
    #[inline]
    pub fn has_answers(&self) -> bool {
        self.taken != self.answered || self.shared.answered.load(Ordering::Relaxed) != self.taken
    }

    /// Whether the other side may not have seen what was put in: [`publish`](Self::publish) and [`rouse`] are due.
    #[inline]
    pub fn has_news(&self) -> bool {
        self.news || self.asked != self.published
    }

    /// Values put in and not taken back.
    #[inline]
    pub fn in_flight(&self) -> u32 {
        self.asked.wrapping_sub(self.taken)
    }
}

impl<T> Asker<T> {
    /// Shows what was put in to the other side; if that may be asleep, [`rouse`] is due.
    #[inline]
    pub fn publish(&mut self) {
        if self.asked != self.published {
            self.published = self.asked;
            self.shared.asked.store(self.asked, Ordering::Release);
            self.news = true;
        }
    }
}

impl<T: Send> Answerer<T> {
    /// Takes the current core for the one that answers. What was put in before has to be looked for after this.
    pub fn settle(&mut self) {
        self.shared.places.answerer.store(current_place(), Ordering::Relaxed);
        // Against the fence in `rouse`: the asker sees the new place, or this core sees what was put in.
        fence(Ordering::SeqCst);
        self.news = true;
    }

    /// Works on everything that is there, in the order of asking. Gives how much that was.
    #[inline]
    pub fn answer(&mut self, mut work: impl FnMut(&mut T)) -> u32 {
        let asked = self.shared.asked.load(Ordering::Acquire);
        let count = asked.wrapping_sub(self.answered);
        for number in 0..count.min(BATCH) {
            prefetch(self.shared.slot(self.answered.wrapping_add(number)));
        }
        while self.answered != asked {
            let next = self.answered.wrapping_add(1);
            prefetch(self.shared.slot(self.answered.wrapping_add(BATCH)));
            // SAFETY: the slot lies in answered..asked, so it holds a value and is this side's until `answered` goes past it.
            work(unsafe { (*self.shared.slot(self.answered)).assume_init_mut() });
            self.answered = next;
            if asked.wrapping_sub(next).is_multiple_of(BATCH) {
                self.shared.answered.store(next, Ordering::Release);
            }
        }
        self.news |= count > 0;
        count
    }

    /// Whether there is something to work on.
    #[inline]
    pub fn has_questions(&self) -> bool {
        self.shared.asked.load(Ordering::Relaxed) != self.answered
    }

    /// Whether the other side may sleep over an answer: [`rouse`] is due.
    #[inline]
    pub fn has_news(&self) -> bool {
        self.news
    }

    /// Whether nothing can come any more: the asker is gone, and everything was worked on.
    pub fn is_over(&self) -> bool {
        let alone = Arc::strong_count(&self.shared) == 1;
        // With the asker's giving up of its reference: what it put in before is seen.
        fence(Ordering::Acquire);
        alone && !self.has_questions()
    }
}

/// Gets those up that sleep at the other ends while there is something for them: what was published
/// ([`Asker::publish`]) or answered. One fence for all lanes of a core.
#[inline]
pub fn rouse<'a, T: Send + 'a>(
    askers: impl Iterator<Item = &'a mut Asker<T>>,
    answerers: impl Iterator<Item = &'a mut Answerer<T>>,
) {
    let mut fenced = false;
    let mut rouse = |place: &AtomicU32| {
        if !std::mem::replace(&mut fenced, true) {
            fence(Ordering::SeqCst);
        }
        rouse_core(place.load(Ordering::Relaxed));
    };
    for asker in askers {
        if std::mem::take(&mut asker.news) {
            rouse(&asker.shared.places.answerer);
        }
    }
    for answerer in answerers {
        if std::mem::take(&mut answerer.news) {
            rouse(&answerer.shared.places.asker);
        }
    }
}

/// Has the line of a slot on its way before it is looked at.
#[inline]
fn prefetch<T>(slot: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing that the program could tell, whatever the address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(slot.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = slot;
}

impl<T> Drop for Asker<T> {
    fn drop(&mut self) {
        // Before the reference is given up, which is a Release: whoever drops the lane sees it.
        self.shared.taken_at_the_end.store(self.taken, Ordering::Relaxed);
        self.publish();
    }
}

impl<T> fmt::Debug for Asker<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Asker({} in flight)", self.asked.wrapping_sub(self.taken))
    }
}

impl<T> fmt::Debug for Answerer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answerer({} answered)", self.answered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Sim, SimConfig};
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
    use std::collections::VecDeque;

    /// Lanes know their cores, so tests of one thread run on a simulated one.
    fn on_a_core<R>(test: impl FnOnce() -> R) -> R {
        let sim = Sim::new(SimConfig::default());
        let node = sim.node("a");
        sim.block_on(&node, async { test() }).expect("nobody cuts its power")
    }

    /// A value that is counted, so that none is lost or dropped twice.
    struct Counted {
        number: u32,
        worked: bool,
        alive: Arc<AtomicU32>,
    }

    impl Counted {
        fn new(number: u32, alive: &Arc<AtomicU32>) -> Counted {
            alive.fetch_add(1, Ordering::Relaxed);
            Counted { number, worked: false, alive: alive.clone() }
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            self.alive.fetch_sub(1, Ordering::Relaxed);
        }
    }

    proptest! {
        /// The model is two queues: what was asked, of which the first `published` are seen, and what was answered.
        #[test]
        fn a_lane_does_what_two_queues_do(steps in vec((0u8..7, any::<bool>()), 0..600)) {
            on_a_core(|| -> Result<(), proptest::test_runner::TestCaseError> {
                let alive = Arc::new(AtomicU32::new(0));
                let (mut asker, mut answerer) = lane();
                answerer.settle();
                let (mut asked, mut answered) = (VecDeque::new(), VecDeque::new());
                let (mut next, mut published) = (0, 0);
                for (step, many) in steps {
                    match step {
                        0..3 => for _ in 0..if many { SLOTS / 3 } else { 1 } {
                            let full = asked.len() + answered.len() == SLOTS as usize;
                            match asker.ask(Counted::new(next, &alive)) {
                                Ok(()) => asked.push_back(next),
                                Err(back) => prop_assert_eq!((full, back.number), (true, next)),
                            }
                            next += u32::from(!full);
                            if asked.len() - published == BATCH as usize {
                                published = asked.len();
                            }
                        },
                        3 => {
                            asker.publish();
                            published = asked.len();
                        }
                        4 => {
                            let seen = asked.drain(..published).collect::<VecDeque<_>>();
                            published = 0;
                            let mut worked = Vec::new();
                            let count = answerer.answer(|value| {
                                value.worked = true;
                                worked.push(value.number);
                            });
                            prop_assert_eq!(count as usize, worked.len());
                            prop_assert_eq!(&worked, &Vec::from(seen.clone()));
                            answered.extend(seen);
                        }
                        _ => for _ in 0..if many { SLOTS / 3 } else { 1 } {
                            let value = asker.take_back();
                            prop_assert!(value.as_ref().is_none_or(|value| value.worked));
                            prop_assert_eq!(value.map(|value| value.number), answered.pop_front());
                        },
                    }
                    prop_assert_eq!(asker.in_flight() as usize, asked.len() + answered.len());
                    prop_assert_eq!(asker.has_answers(), !answered.is_empty());
                    prop_assert_eq!(answerer.has_questions(), published > 0);
                    prop_assert!(asker.has_news() || published == asked.len());
                    prop_assert_eq!(alive.load(Ordering::Relaxed), asker.in_flight());
                }
                prop_assert!(!answerer.is_over());
                drop(asker);
                prop_assert_eq!(answerer.is_over(), asked.is_empty());
                drop(answerer);
                prop_assert_eq!(alive.load(Ordering::Relaxed), 0, "what was left in the lane went with it");
                Ok(())
            })?;
        }
    }

    #[test]
    fn counters_may_wrap_around() {
        on_a_core(|| {
            let (mut asker, mut answerer) = lane();
            let start = u32::MAX - 5;
            (asker.asked, asker.taken, asker.answered, answerer.answered) = (start, start, start, start);
            asker.published = start;
            asker.shared.asked.store(start, Ordering::Relaxed);
            asker.shared.answered.store(start, Ordering::Relaxed);
            for number in 0..SLOTS {
                asker.ask(Box::new(number)).expect("there is room");
            }
            assert_eq!(asker.ask(Box::new(SLOTS)), Err(Box::new(SLOTS)));
            assert_eq!(answerer.answer(|value| **value += 1), SLOTS);
            for number in 0..SLOTS / 2 {
                assert_eq!(asker.take_back(), Some(Box::new(number + 1)));
            }
        });
    }
}
