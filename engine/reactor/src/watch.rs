//! Waiting for something that nobody announces: the core looks for it each time that it comes round, and a last time before
//! it sleeps.

use crate::core::Core;
use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// Something that a task of the current core looks out for, until it is dropped.
pub struct Watch {
    watched: Rc<Watched>,
}

/// What a core has of a [`Watch`].
pub(crate) type Watched = WatchedFor<dyn Fn() -> bool>;

pub(crate) struct WatchedFor<F: ?Sized> {
    /// The task, while it waits.
    waker: Cell<Option<Waker>>,
    seen: F,
}

impl Watch {
    /// Looks out for `seen` to be true. While a task waits for it the core calls it in every turn, so it must be as cheap as
    /// a look at a word of memory, and it must not wait or watch itself.
    ///
    /// Whoever makes it true from another thread need not wake this core while it is awake; while it may sleep it
    /// must be roused, as [`rouse`](crate::rouse) does.
    pub fn new(seen: impl Fn() -> bool + 'static) -> Watch {
        let watched: Rc<Watched> = Rc::new(WatchedFor { waker: Cell::new(None), seen });
        Core::with(|core| core.watch(watched.clone()));
        Watch { watched }
    }

    /// Waits until it is true.
    pub async fn seen(&self) {
        poll_fn(|cx| {
            if (self.watched.seen)() {
                self.watched.waker.set(None);
                return Poll::Ready(());
            }
            self.watched.waker.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

impl Watched {
    /// Whether a task waits for this and it is there.
    pub(crate) fn is_due(&self) -> bool {
        let waker = self.waker.take();
        let waited_for = waker.is_some();
        self.waker.set(waker);
        waited_for && (self.seen)()
    }

    /// Wakes the task if it is there. True if a task was woken.
    pub(crate) fn look(&self) -> bool {
        let Some(waker) = self.waker.take() else { return false };
        if !(self.seen)() {
            self.waker.set(Some(waker));
            return false;
        }
        waker.wake();
        true
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        Core::try_with(|core| core.unwatch(&self.watched));
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}
