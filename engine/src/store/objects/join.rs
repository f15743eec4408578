//! Several writes at once, in one task: all are submitted before the first is waited for.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

/// A future and, once it has ended, its output.
struct Lane<F: Future> {
    future: Option<Pin<Box<F>>>,
    output: Option<F::Output>,
}

/// Runs the futures together and gives their outputs in order.
pub(super) async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut lanes: Vec<Lane<F>> =
        futures.into_iter().map(|future| Lane { future: Some(Box::pin(future)), output: None }).collect();
    poll_fn(|cx| {
        let mut pending = false;
        for lane in &mut lanes {
            let Some(future) = &mut lane.future else { continue };
            match future.as_mut().poll(cx) {
                Poll::Ready(output) => (lane.future, lane.output) = (None, Some(output)),
                Poll::Pending => pending = true,
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    lanes.into_iter().map(|lane| lane.output.expect("every future has ended")).collect()
}
