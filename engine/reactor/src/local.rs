//! Waiting between tasks of one core.

use slab::Slab;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// A queue of waiting tasks: first come, first woken. A wake with nobody waiting is not remembered, so the
/// condition that is waited for must be checked before each wait.
#[derive(Default)]
pub struct WaitQueue {
    waiters: RefCell<Waiters>,
}

#[derive(Default)]
struct Waiters {
    places: Slab<Place>,
    /// Slots of `places` that nobody has woken, oldest first. An entry whose waiter left is skipped by its
    /// ticket.
    order: VecDeque<(usize, u64)>,
    waiting: usize,
    next_ticket: u64,
}

struct Place {
    ticket: u64,
    /// `None` once woken.
    waker: Option<Waker>,
}

impl WaitQueue {
    /// An empty queue.
    pub fn new() -> WaitQueue {
        WaitQueue::default()
    }

    /// Waits to be woken. The place in the queue is taken at the first poll.
    pub async fn wait(&self) {
        Wait { queue: self, place: None }.await;
    }

    /// Wakes the task that has waited longest.
    pub fn wake_one(&self) {
        let waker = self.waiters.borrow_mut().take_first();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Wakes every task that waits now.
    pub fn wake_all(&self) {
        let waiting = self.waiters.borrow().waiting;
        for _ in 0..waiting {
            self.wake_one();
        }
    }

    /// How many tasks wait and have not been woken.
    pub fn waiters(&self) -> usize {
        self.waiters.borrow().waiting
    }
}

impl fmt::Debug for WaitQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WaitQueue({} waiting)", self.waiters())
    }
}

impl Waiters {
    fn join(&mut self, waker: Waker) -> usize {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let place = self.places.insert(Place { ticket, waker: Some(waker) });
        self.order.push_back((place, ticket));
        self.waiting += 1;
        place
    }

    fn take_first(&mut self) -> Option<Waker> {
        while let Some((place, ticket)) = self.order.pop_front() {
            let waiting = self.places.get_mut(place).filter(|place| place.ticket == ticket);
            if let Some(waker) = waiting.and_then(|place| place.waker.take()) {
                self.waiting -= 1;
                return Some(waker);
            }
        }
        None
    }

    /// True when the waiter was woken.
    fn leave(&mut self, place: usize) -> bool {
        let woken = self.places.remove(place).waker.is_none();
        if !woken {
            self.waiting -= 1;
            // Left-behind entries are dropped once they are the larger part, so that the queue stays as long
            // as its waiters.
            if self.order.len() > 2 * self.waiting + 16 {
                let places = &self.places;
                self.order.retain(|&(place, ticket)| places.get(place).is_some_and(|p| p.ticket == ticket));
            }
        }
        woken
    }
}

struct Wait<'a> {
    queue: &'a WaitQueue,
    place: Option<usize>,
}

impl Future for Wait<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut waiters = self.queue.waiters.borrow_mut();
        match self.place {
            None => {
                let place = waiters.join(cx.waker().clone());
                drop(waiters);
                self.place = Some(place);
                Poll::Pending
            }
            Some(place) => match &mut waiters.places[place].waker {
                Some(waker) => {
                    waker.clone_from(cx.waker());
                    Poll::Pending
                }
                None => {
                    waiters.leave(place);
                    drop(waiters);
                    self.place = None;
                    Poll::Ready(())
                }
            },
        }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        // A waiter that was woken and goes without having run passes the wake on.
        let woken = self.queue.waiters.borrow_mut().leave(place);
        if woken {
            self.queue.wake_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
    use proptest::sample::Index;

    proptest! {
        /// Waiters leave and are woken at random; the model is a plain list, and a woken waiter that leaves
        /// unheard passes on.
        #[test]
        fn first_come_first_woken(steps in vec((0u8..4, any::<Index>()), 0..120)) {
            let queue = WaitQueue::new();
            let mut cx = Context::from_waker(Waker::noop());
            let mut futures: Vec<(usize, Pin<Box<Wait<'_>>>)> = Vec::new();
            let (mut waiting, mut woken, mut next) = (Vec::<usize>::new(), Vec::<usize>::new(), 0);
            for (kind, index) in steps {
                match kind {
                    0 => {
                        let mut wait = Box::pin(Wait { queue: &queue, place: None });
                        prop_assert!(wait.as_mut().poll(&mut cx).is_pending());
                        futures.push((next, wait));
                        waiting.push(next);
                        next += 1;
                    }
                    1 => {
                        queue.wake_one();
                        if !waiting.is_empty() {
                            woken.push(waiting.remove(0));
                        }
                    }
                    2 if !futures.is_empty() => {
                        let (name, wait) = futures.swap_remove(index.index(futures.len()));
                        drop(wait);
                        waiting.retain(|&other| other != name);
                        if woken.contains(&name) {
                            woken.retain(|&other| other != name);
                            if !waiting.is_empty() {
                                woken.push(waiting.remove(0));
                            }
                        }
                    }
                    3 if !futures.is_empty() => {
                        let at = index.index(futures.len());
                        let ready = futures[at].1.as_mut().poll(&mut cx).is_ready();
                        let name = futures[at].0;
                        prop_assert_eq!(ready, woken.contains(&name));
                        if ready {
                            woken.retain(|&other| other != name);
                            drop(futures.swap_remove(at));
                        }
                    }
                    _ => {}
                }
                prop_assert_eq!(queue.waiters(), waiting.len());
            }
        }
    }

    #[test]
    fn wakes_without_waiters_are_not_remembered() {
        let queue = WaitQueue::new();
        queue.wake_one();
        queue.wake_all();
        let mut wait = Box::pin(queue.wait());
        assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }

    #[test]
    fn leavers_do_not_pile_up() {
        let queue = WaitQueue::new();
        for _ in 0..1000 {
            let mut wait = Box::pin(queue.wait());
            assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert!(queue.waiters.borrow().order.len() < 64);
    }
}
