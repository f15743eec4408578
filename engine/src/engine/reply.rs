//! How a request that came from a thread that is no core learns its end.

use crate::error::Result;
use crate::image::core_gone;
use crate::image::request::Completion;
use ringbd_reactor::{Buf, Sender};
use std::sync::Arc;

/// Where the result goes; given on the core that did the request.
pub(crate) enum Reply {
    /// To a closure.
    Callback(Box<dyn FnOnce(Result<u64>, Buf) + Send>),
    /// Into the completion queue of whoever asked.
    Queue(Ticket),
}

impl Reply {
    #[inline]
    pub(crate) fn give(self, result: Result<u64>, buf: Buf) {
        match self {
            Self::Callback(callback) => callback(result, buf),
            Self::Queue(ticket) => ticket.end(result, buf),
        }
    }
}

/// A completion that a queue waits for. It comes even where the engine ends before the request does: nobody may wait for
/// ever.
pub(crate) struct Ticket {
    /// Until the completion was sent.
    to: Option<Arc<Sender<Completion>>>,
    token: u64,
}

impl Ticket {
    pub(crate) fn new(to: Arc<Sender<Completion>>, token: u64) -> Self {
        Self { to: Some(to), token }
    }

    fn end(mut self, result: Result<u64>, buf: Buf) {
        if let Some(to) = self.to.take() {
            to.send(Completion { token: self.token, result, buf });
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(to) = self.to.take() {
            let (result, buf) = core_gone();
            to.send(Completion { token: self.token, result, buf });
        }
    }
}
