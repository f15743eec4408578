//! How much a core has in flight: operations, and bytes of their data. Who would exceed a limit waits for its turn.
//!
//! Ceph's limits are those of a client; each of its cores has an equal share, and may do at least one thing at a time.
//!
//! The rule: first come, first served, also where somebody who came later would fit, and also between the wake of the first
//! and its turn: those who wait may be operations on one object, which keep their order.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

#[derive(Debug, Default)]
pub(super) struct Throttle {
    ops_max: Cell<usize>,
    bytes_max: Cell<usize>,
    ops: Cell<usize>,
    bytes: Cell<usize>,
    line: RefCell<VecDeque<Rc<Waiting>>>,
}

/// Who waits for its turn.
#[derive(Debug)]
struct Waiting {
    bytes: usize,
    waker: RefCell<Option<Waker>>,
}

/// A share of the limits, given back on drop.
#[derive(Debug)]
pub(super) struct Share {
    throttle: Rc<Throttle>,
    bytes: usize,
}

impl Throttle {
    /// Sets the limits. Who is above lower ones finishes; who waited may go under higher ones.
    pub(super) fn limit(&self, ops_max: usize, bytes_max: usize) {
        self.ops_max.set(ops_max.max(1));
        self.bytes_max.set(bytes_max.max(1));
        self.wake_first();
    }

    /// Whether one more of `bytes` may go. What is larger than the limit goes alone.
    fn admits(&self, bytes: usize) -> bool {
        let fits = self.bytes.get() == 0 || self.bytes.get() + bytes <= self.bytes_max.get();
        self.ops.get() < self.ops_max.get() && fits
    }

    /// Waits for a share.
    pub(super) async fn acquire(self: &Rc<Throttle>, bytes: usize) -> Share {
        if self.line.borrow().is_empty() && self.admits(bytes) {
            return self.give(bytes);
        }
        let waiting = Rc::new(Waiting { bytes, waker: RefCell::new(None) });
        self.line.borrow_mut().push_back(waiting.clone());
        let place = Place { throttle: self, waiting };
        poll_fn(|context| place.look(context)).await;
        let share = self.give(bytes);
        // The next one looks at what is left.
        drop(place);
        share
    }

    fn give(self: &Rc<Throttle>, bytes: usize) -> Share {
        self.ops.set(self.ops.get() + 1);
        self.bytes.set(self.bytes.get() + bytes);
        Share { throttle: self.clone(), bytes }
    }

    /// Wakes the first in line, if it may go.
    fn wake_first(&self) {
        let waker = {
            let line = self.line.borrow();
            let first = line.front().filter(|first| self.admits(first.bytes));
            first.and_then(|first| first.waker.borrow_mut().take())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(super) fn in_flight(&self) -> (usize, usize) {
        (self.ops.get(), self.bytes.get())
    }
}

/// A place in line; whoever leaves it lets the next one look.
struct Place<'a> {
    throttle: &'a Throttle,
    waiting: Rc<Waiting>,
}

impl Place<'_> {
    /// Ready when it is the first and may go.
    fn look(&self, context: &mut Context<'_>) -> Poll<()> {
        let line = self.throttle.line.borrow();
        let is_first = line.front().is_some_and(|first| Rc::ptr_eq(first, &self.waiting));
        if is_first && self.throttle.admits(self.waiting.bytes) {
            return Poll::Ready(());
        }
        *self.waiting.waker.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.throttle.line.borrow_mut().retain(|other| !Rc::ptr_eq(other, &self.waiting));
        self.throttle.wake_first();
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let throttle = &self.throttle;
        throttle.ops.set(throttle.ops.get() - 1);
        throttle.bytes.set(throttle.bytes.get() - self.bytes);
        throttle.wake_first();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use proptest::sample::Index;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::Wake;

    const OPS_MAX: usize = 3;
    const BYTES_MAX: usize = 100;

    /// A task that waits for its share, and runs only when it was woken.
    struct Acquiring {
        name: usize,
        future: Pin<Box<dyn Future<Output = Share>>>,
        woken: Arc<Flag>,
    }

    #[derive(Default)]
    struct Flag(AtomicBool);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    impl Acquiring {
        fn new(name: usize, throttle: &Rc<Throttle>, bytes: usize) -> Acquiring {
            let throttle = throttle.clone();
            let future = Box::pin(async move { throttle.acquire(bytes).await });
            Acquiring { name, future, woken: Arc::new(Flag(AtomicBool::new(true))) }
        }

        fn run(&mut self) -> Option<Share> {
            if !self.woken.0.swap(false, Ordering::Relaxed) {
                return None;
            }
            let waker = Waker::from(self.woken.clone());
            match self.future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(share) => Some(share),
                Poll::Pending => None,
            }
        }
    }

    /// The naive throttle: who is in and who waits, by name and bytes.
    #[derive(Default)]
    struct Model {
        inside: Vec<(usize, usize)>,
        line: Vec<(usize, usize)>,
    }

    impl Model {
        fn used(&self) -> usize {
            self.inside.iter().map(|(_, bytes)| bytes).sum()
        }

        /// Who is first goes in if it may; true if it did.
        fn admit(&mut self) -> bool {
            let Some(&(_, bytes)) = self.line.first() else { return false };
            let fits = self.used() == 0 || self.used() + bytes <= BYTES_MAX;
            if self.inside.len() < OPS_MAX && fits {
                self.inside.push(self.line.remove(0));
                return true;
            }
            false
        }
    }

    proptest! {
        /// Some come, some finish, some give up while they wait: nobody overtakes, nobody who may go sleeps on, nothing leaks.
        #[test]
        fn first_come_first_served(steps in vec((0u8..5, 0usize..150, any::<Index>()), 0..150)) {
            let throttle = Rc::new(Throttle::default());
            throttle.limit(OPS_MAX, BYTES_MAX);
            let (mut waiting, mut shares) = (Vec::<Acquiring>::new(), Vec::<(usize, Share)>::new());
            let (mut model, mut next) = (Model::default(), 0);
            for (kind, bytes, index) in steps {
                match kind {
                    0 | 1 => {
                        let mut acquiring = Acquiring::new(next, &throttle, bytes);
                        model.line.push((next, bytes));
                        if model.line.len() == 1 {
                            model.admit();
                        }
                        match acquiring.run() {
                            Some(share) => shares.push((next, share)),
                            None => waiting.push(acquiring),
                        }
                        next += 1;
                    }
                    2 if !shares.is_empty() => {
                        let (name, share) = shares.swap_remove(index.index(shares.len()));
                        drop(share);
                        model.inside.retain(|(other, _)| *other != name);
                    }
                    3 if !waiting.is_empty() => {
                        let gone = waiting.swap_remove(index.index(waiting.len()));
                        model.line.retain(|(other, _)| *other != gone.name);
                    }
                    _ => {
                        while model.admit() {}
                        // In any order, until nobody is awake.
                        let mut awake = true;
                        while std::mem::take(&mut awake) {
                            let all = std::mem::take(&mut waiting);
                            for mut acquiring in all.into_iter().rev() {
                                match acquiring.run() {
                                    Some(share) => {
                                        shares.push((acquiring.name, share));
                                        awake = true;
                                    }
                                    None => waiting.push(acquiring),
                                }
                            }
                        }
                    }
                }
                let mut inside: Vec<usize> = shares.iter().map(|(name, _)| *name).collect();
                let mut right: Vec<usize> = model.inside.iter().map(|(name, _)| *name).collect();
                inside.sort_unstable();
                right.sort_unstable();
                prop_assert_eq!(inside, right);
                prop_assert_eq!(throttle.in_flight(), (model.inside.len(), model.used()));
                prop_assert_eq!(throttle.line.borrow().len(), model.line.len());
            }
        }
    }
}
