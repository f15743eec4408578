//! The calls that a core made to other cores and that are not answered yet.

use super::message::Answer;
use super::request_end::Finish;
use slab::Slab;
use std::cell::RefCell;
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// Who waits for an answer on this core.
enum Call {
    /// A task; the answer is kept for it until it looks.
    Task { waker: Option<Waker>, answer: Option<Answer> },
    /// Nobody but the request's own end: a request that is one extent of another core's object.
    Request(Finish),
    /// A task that went away; the answer is dropped.
    Abandoned,
}

#[derive(Default)]
pub(crate) struct Calls(RefCell<Slab<Call>>);

impl Calls {
    /// A call whose answer ends a request.
    pub(crate) fn begin_request(&self, finish: Finish) -> u32 {
        self.0.borrow_mut().insert(Call::Request(finish)) as u32
    }

    /// Ends a call that `begin_request` made, which was answered in full.
    #[inline]
    pub(crate) fn end_request(&self, call: u32) -> Finish {
        match self.0.borrow_mut().remove(call as usize) {
            Call::Request(finish) => finish,
            Call::Task { .. } | Call::Abandoned => unreachable!("only requests cross by lanes"),
        }
    }

    /// A call that a task waits for.
    pub(crate) fn begin(&self) -> u32 {
        self.0.borrow_mut().insert(Call::Task { waker: None, answer: None }) as u32
    }

    /// The answer of a call that `begin` made.
    pub(crate) async fn wait(&self, call: u32) -> Answer {
        let guard = Abandon { calls: self, call };
        let answer = poll_fn(|context| {
            let mut calls = self.0.borrow_mut();
            let Some(Call::Task { waker, answer }) = calls.get_mut(call as usize) else {
                unreachable!("a call lives until its task has the answer");
            };
            match answer.take() {
                Some(answer) => Poll::Ready(answer),
                None => {
                    *waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await;
        std::mem::forget(guard);
        self.0.borrow_mut().remove(call as usize);
        answer
    }

    /// Whether every call was answered.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Takes an answer in. Gives back the request that it ends, if it ends one.
    pub(crate) fn answered(&self, call: u32, answer: Answer) -> Option<(Finish, Answer)> {
        let mut calls = self.0.borrow_mut();
        match calls.get_mut(call as usize) {
            Some(Call::Task { waker, answer: place }) => {
                *place = Some(answer);
                let waker = waker.take();
                drop(calls);
                if let Some(waker) = waker {
                    waker.wake();
                }
                None
            }
            Some(Call::Abandoned) => {
                calls.remove(call as usize);
                None
            }
            Some(Call::Request(_)) => match calls.remove(call as usize) {
                Call::Request(finish) => Some((finish, answer)),
                Call::Task { .. } | Call::Abandoned => None,
            },
            None => None,
        }
    }
}

/// Marks a call whose task was dropped, so that its answer finds a place and frees it.
struct Abandon<'a> {
    calls: &'a Calls,
    call: u32,
}

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        let mut calls = self.calls.0.borrow_mut();
        match calls.get_mut(self.call as usize) {
            Some(Call::Task { answer: Some(_), .. }) => {
                calls.remove(self.call as usize);
            }
            Some(call) => *call = Call::Abandoned,
            None => {}
        }
    }
}
