//! Sleeping and time limits, on the running core's timers.

use crate::clock::{Instant, now};
use crate::core::{Core, TimerKey};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

/// A time limit passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time limit passed")]
pub struct Elapsed;

/// Waits for `duration`.
pub async fn sleep(duration: Duration) {
    sleep_until(now() + duration).await;
}

/// Waits until `deadline`.
pub async fn sleep_until(deadline: Instant) {
    Timer { deadline, key: None }.await;
}

/// Runs `future` for at most `limit`, then drops it.
pub async fn timeout<F: Future>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut timer = pin!(Timer { deadline: now() + limit, key: None });
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        timer.as_mut().poll(cx).map(|()| Err(Elapsed))
    })
    .await
}

/// A timer, set at the first poll and cancelled on drop.
struct Timer {
    deadline: Instant,
    key: Option<TimerKey>,
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Core::with(|core| match self.key {
            None if core.now() >= self.deadline => Poll::Ready(()),
            None => {
                self.key = Some(core.set_timer(self.deadline, cx.waker().clone()));
                Poll::Pending
            }
            Some(key) if core.rewake_timer(key, cx.waker()) => Poll::Pending,
            Some(_) => {
                self.key = None;
                Poll::Ready(())
            }
        })
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            Core::try_with(|core| core.cancel_timer(key));
        }
    }
}
