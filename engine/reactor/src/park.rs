//! Waiting on a thread that is no core: it sleeps until a future that somebody else completes is ready.
//!
//! Not for a thread inside a core, whose own work would stand still meanwhile; nor in a simulated world, which has
//! nobody else.

use crate::clock::machine_now;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

thread_local! {
    static WAKER: Waker = Waker::from(Arc::new(Unpark(thread::current())));
}

/// Sleeps until `future` is ready.
pub fn block_on<F: Future>(future: F) -> F::Output {
    block_on_for(future, None).expect("without a limit the wait ends only when the future is ready")
}

/// Sleeps until `future` is ready, or until `limit` is over; then the future is dropped.
pub fn block_on_for<F: Future>(future: F, limit: Option<Duration>) -> Option<F::Output> {
    let mut future = pin!(future);
    let waker = WAKER.with(Waker::clone);
    let mut context = Context::from_waker(&waker);
    let end = limit.map(|limit| machine_now() + limit);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        // A wake that came before is kept for this sleep; one that was meant for an earlier sleep costs a round.
        match end.map(|end| end.duration_since(machine_now())) {
            Some(Duration::ZERO) => return None,
            Some(left) => thread::park_timeout(left),
            None => thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox;
    use std::future::{pending, ready};

    #[test]
    fn a_value_of_another_thread_ends_the_sleep() {
        let (sender, mut receiver) = mailbox();
        let echo = thread::spawn(move || {
            for n in 0..1000 {
                sender.send(n);
            }
        });
        for n in 0..1000 {
            assert_eq!(block_on(receiver.recv()), Some(n));
        }
        echo.join().unwrap();
        assert_eq!(block_on(receiver.recv()), None);
    }

    #[test]
    fn a_wait_with_a_limit_ends_either_way() {
        assert_eq!(block_on_for(pending::<()>(), Some(Duration::from_millis(1))), None);
        assert_eq!(block_on_for(pending::<()>(), Some(Duration::ZERO)), None);
        assert_eq!(block_on_for(ready(7), Some(Duration::ZERO)), Some(7));
        assert_eq!(block_on_for(ready(7), Some(Duration::MAX)), Some(7));
    }
}
