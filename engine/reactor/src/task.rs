//! Spawning tasks on the running core, and waiting for them.

use crate::core::Core;
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Waits for a task's output. Dropping it lets the task run on.
#[must_use = "dropping a JoinHandle lets the task run on; spawn_detached says so"]
pub struct JoinHandle<T> {
    cell: Rc<RefCell<JoinCell<T>>>,
}

struct JoinCell<T> {
    output: Option<T>,
    waker: Option<Waker>,
}

/// Runs `future` as a task of the running core.
pub fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> JoinHandle<T> {
    let cell = Rc::new(RefCell::new(JoinCell { output: None, waker: None }));
    let task_end = Rc::clone(&cell);
    spawn_detached(async move {
        let output = future.await;
        let waker = {
            let mut cell = task_end.borrow_mut();
            cell.output = Some(output);
            cell.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    });
    JoinHandle { cell }
}

/// Runs `future` as a task of the running core that nobody waits for.
pub fn spawn_detached(future: impl Future<Output = ()> + 'static) {
    Core::with(|core| core.spawn(Box::pin(future)));
}

impl<T> JoinHandle<T> {
    /// True when the task has ended and its output was not taken.
    pub fn is_finished(&self) -> bool {
        self.cell.borrow().output.is_some()
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut cell = self.cell.borrow_mut();
        match cell.output.take() {
            Some(output) => Poll::Ready(output),
            None => {
                cell.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Lets the other ready tasks of the core run, and I/O have its turn.
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
