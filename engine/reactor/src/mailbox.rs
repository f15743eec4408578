//! Mailboxes: queues across cores, and from any thread to a core. Unbounded: limits are kept where requests
//! enter.
//!
//! The receiver announces that it waits, then looks once more; a sender pushes, then looks for the
//! announcement and takes it down before it wakes. SeqCst fences on both sides let one of them see the other.
//! In the same way a receiver that goes says so, then empties the mailbox, and a sender looks after it pushed: no
//! value is kept that nobody will take, because one may hold what somebody waits for.

use crossbeam_queue::SegQueue;
use crossbeam_utils::CachePadded;
use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

struct Shared<T> {
    queue: CachePadded<SegQueue<T>>,
    waiting: CachePadded<AtomicBool>,
    waker: Mutex<Option<Waker>>,
    senders: AtomicUsize,
    /// The receiver is gone.
    left: AtomicBool,
}

/// The sending end. Clones send to the same mailbox.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

/// The receiving end.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

/// A mailbox.
pub fn mailbox<T: Send>() -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        queue: CachePadded::new(SegQueue::new()),
        waiting: CachePadded::new(AtomicBool::new(false)),
        waker: Mutex::new(None),
        senders: AtomicUsize::new(1),
        left: AtomicBool::new(false),
    });
    (Sender { shared: Arc::clone(&shared) }, Receiver { shared })
}

impl<T> Shared<T> {
    /// Wakes the receiver if it waits.
    fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) && self.waiting.swap(false, Ordering::SeqCst) {
            let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Drops what is in the mailbox.
    fn empty(&self) {
        while self.queue.pop().is_some() {}
    }
}

impl<T: Send> Sender<T> {
    /// Puts a value into the mailbox. It is dropped when nobody receives any more.
    pub fn send(&self, value: T) {
        self.shared.queue.push(value);
        self.shared.wake();
        // Behind the fence in `wake`.
        if self.shared.left.load(Ordering::Relaxed) {
            self.shared.empty();
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        self.shared.senders.fetch_add(1, Ordering::Relaxed);
        Sender { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.shared.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.wake();
        }
    }
}

impl<T> Receiver<T> {
    /// The next value; `None` when all senders are gone and the mailbox is empty.
    pub async fn recv(&mut self) -> Option<T> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// The next value, if there is one now.
    pub fn try_recv(&mut self) -> Option<T> {
        self.shared.queue.pop()
    }

    /// Values in the mailbox.
    pub fn len(&self) -> usize {
        self.shared.queue.len()
    }

    /// True when there is no value.
    pub fn is_empty(&self) -> bool {
        self.shared.queue.is_empty()
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if let Some(value) = self.shared.queue.pop() {
            return Poll::Ready(Some(value));
        }
        {
            let mut waker = self.shared.waker.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *waker {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
        }
        self.shared.waiting.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        // The count is read before the queue: what the last sender sent is there when its leaving is seen.
        let senders = self.shared.senders.load(Ordering::Acquire);
        match self.shared.queue.pop() {
            Some(value) => {
                self.shared.waiting.store(false, Ordering::Relaxed);
                Poll::Ready(Some(value))
            }
            None if senders == 0 => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.left.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        self.shared.empty();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender({} waiting)", self.shared.queue.len())
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receiver({} waiting)", self.shared.queue.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn nothing_stays_in_a_mailbox_that_nobody_receives_from() {
        let value = Arc::new(());
        let (sender, receiver) = mailbox();
        sender.send(Arc::clone(&value));
        drop(receiver);
        assert_eq!(Arc::strong_count(&value), 1, "what was there");
        sender.send(Arc::clone(&value));
        assert_eq!(Arc::strong_count(&value), 1, "what is sent to nobody");
    }

    #[test]
    fn a_value_sent_while_the_receiver_goes_is_taken_or_dropped() {
        let value = Arc::new(());
        for _ in 0..2000 {
            let (sender, receiver) = mailbox();
            let sending = {
                let value = Arc::clone(&value);
                thread::spawn(move || {
                    sender.send(value);
                    sender
                })
            };
            drop(receiver);
            let _sender = sending.join().unwrap();
            assert_eq!(Arc::strong_count(&value), 1);
        }
    }
}
