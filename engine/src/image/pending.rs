//! Futures of requests, for any executor: the request is already on its way when the future is made.

use crate::error::{Error, ErrorKind, Result};
use ringbd_reactor::Buf;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The end of a request that carries a buffer. Dropping it abandons the result, not the request.
#[must_use = "a request's result is known only when its future is awaited"]
pub struct PendingIo(pub(super) oneshot::AsyncReceiver<(Result<u64>, Buf)>);

impl Future for PendingIo {
    type Output = (Result<u64>, Buf);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|end| end.unwrap_or_else(|_| core_gone()))
    }
}

/// The end of a request without a buffer.
#[must_use = "a request's result is known only when its future is awaited"]
pub struct Pending(pub(super) PendingIo);

impl Future for Pending {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|(result, _)| result.map(|_| ()))
    }
}

/// The core ended before the request: only when an engine is torn down under a request.
pub(crate) fn core_gone() -> (Result<u64>, Buf) {
    let error = Error::new(ErrorKind::Closed, "finish", "request", "the engine ended before the request did");
    (Err(error), Buf::empty())
}
