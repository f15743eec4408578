//! The operations in flight: a slab slot for each, which owns whatever the kernel may touch until the last
//! CQE.
//!
//! Life of a one-shot operation: Running → Done → (taken by its future), or Running → Orphaned (its future
//! was dropped) → gone when the CQE is reaped. One with a handler: Handled → gone when the CQE is reaped. A
//! multishot one collects CQEs until the kernel ends it. A slot is reused only after its last CQE; the
//! sequence number in `user_data` proves it, and keeps a late cancel from hitting a stranger.

use super::handled::CompletionHandler;
use crate::buf::Buf;
use crate::net::message::Message;
use crate::net::recv_ring::RecvRing;
use crate::net::socket_address::SocketAddress;
use crate::ring::Descriptor;
use slab::Slab;
use std::collections::VecDeque;
use std::os::fd::{FromRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

/// What the kernel reads or writes while an operation runs.
#[derive(Debug)]
pub(crate) enum Payload {
    /// Nothing but registers.
    Nothing,
    /// The buffer of a read or write.
    Buf(Buf),
    /// A gathered send.
    Message(Box<Message>),
    /// The address that connect reads.
    #[expect(dead_code, reason = "the kernel reads it")]
    Connect(Box<SocketAddress>),
    /// The address that accept writes. Its result is a descriptor.
    Accept(Box<SocketAddress>),
}

impl Payload {
    /// Drops what an operation owned and made, when nobody is left to take it.
    pub(crate) fn discard(self, cqe: Cqe) {
        match self {
            Payload::Accept(_) if cqe.result >= 0 => {
                // SAFETY: the kernel made this descriptor for the operation, whose future is gone: nobody
                // else has it.
                drop(unsafe { OwnedFd::from_raw_fd(cqe.result) });
            }
            Payload::Nothing
            | Payload::Buf(_)
            | Payload::Message(_)
            | Payload::Connect(_)
            | Payload::Accept(_) => {}
        }
    }
}

/// Names an operation: sequence number above, slot below. It is the SQE's `user_data`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OpKey(pub(crate) u64);

impl OpKey {
    fn new(seq: u32, slot: usize) -> OpKey {
        OpKey(u64::from(seq) << 32 | slot as u64)
    }

    fn slot(self) -> usize {
        (self.0 & u64::from(u32::MAX)) as usize
    }

    fn seq(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// A completion as the kernel gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cqe {
    pub(crate) result: i32,
    pub(crate) flags: u32,
}

struct Slot {
    seq: u32,
    life: Life,
    payload: Payload,
    /// Keeps the descriptor open where the kernel was given its number and not a registered slot.
    keep: Option<Arc<Descriptor>>,
}

enum Life {
    Running(Option<Waker>),
    /// No future waits: the handler is told.
    Handled {
        handler: Rc<dyn CompletionHandler>,
        token: u64,
    },
    Done(Cqe),
    Stream {
        cqes: VecDeque<Cqe>,
        waker: Option<Waker>,
        ended: bool,
        ring: Rc<RecvRing>,
    },
    Orphaned {
        ring: Option<Rc<RecvRing>>,
    },
}

/// What is left to do, outside the slab's borrow, after a completion was noted.
#[must_use]
pub(crate) enum Noted {
    Nothing,
    Wake(Waker),
    /// The operation has ended; its buffer goes to the handler.
    Tell {
        handler: Rc<dyn CompletionHandler>,
        token: u64,
        buf: Buf,
        keep: Option<Arc<Descriptor>>,
    },
    /// The operation had no future any more: drop what it owned; give the buffer back if the kernel picked
    /// one.
    Release {
        payload: Payload,
        keep: Option<Arc<Descriptor>>,
        ring: Option<Rc<RecvRing>>,
        cqe: Cqe,
    },
}

/// A finished operation, as its future takes it.
pub(crate) struct Finished {
    pub(crate) cqe: Cqe,
    pub(crate) payload: Payload,
}

/// What a stream has for its reader.
pub(crate) enum Next {
    Cqe(Cqe),
    Ended,
    Pending,
}

#[derive(Default)]
pub(crate) struct Ops {
    slots: Slab<Slot>,
    next_seq: u32,
    in_flight: usize,
}

impl Ops {
    pub(crate) fn insert(&mut self, payload: Payload, keep: Option<Arc<Descriptor>>) -> OpKey {
        self.add(Life::Running(None), payload, keep)
    }

    pub(crate) fn insert_handled(
        &mut self,
        buf: Buf,
        keep: Option<Arc<Descriptor>>,
        handler: Rc<dyn CompletionHandler>,
        token: u64,
    ) -> OpKey {
        self.add(Life::Handled { handler, token }, Payload::Buf(buf), keep)
    }

    pub(crate) fn insert_stream(&mut self, ring: Rc<RecvRing>, keep: Option<Arc<Descriptor>>) -> OpKey {
        let life = Life::Stream { cqes: VecDeque::with_capacity(16), waker: None, ended: false, ring };
        self.add(life, Payload::Nothing, keep)
    }

    fn add(&mut self, life: Life, payload: Payload, keep: Option<Arc<Descriptor>>) -> OpKey {
        // The highest sequence number is left to the ring's own completions.
        self.next_seq = if self.next_seq >= u32::MAX - 1 { 0 } else { self.next_seq + 1 };
        self.in_flight += 1;
        let slot = self.slots.insert(Slot { seq: self.next_seq, life, payload, keep });
        OpKey::new(self.next_seq, slot)
    }

    /// Operations whose last CQE has not been reaped.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn slot(&mut self, key: OpKey) -> &mut Slot {
        let slot = self.slots.get_mut(key.slot()).expect("an operation keeps its slot until it is finished");
        assert_eq!(slot.seq, key.seq(), "a completion for an operation that is gone");
        slot
    }

    /// Notes a CQE. `more` says that the kernel will send another one for the same operation.
    pub(crate) fn complete(&mut self, key: OpKey, cqe: Cqe, more: bool) -> Noted {
        if !more {
            self.in_flight -= 1;
        }
        let slot = self.slot(key);
        match &mut slot.life {
            Life::Running(waker) => {
                assert!(!more, "a one-shot operation has one CQE");
                let waker = waker.take();
                slot.life = Life::Done(cqe);
                waker.map_or(Noted::Nothing, Noted::Wake)
            }
            Life::Handled { .. } => {
                assert!(!more, "a one-shot operation has one CQE");
                let Slot { life, payload, keep, .. } = self.slots.remove(key.slot());
                let (Life::Handled { handler, token }, Payload::Buf(buf)) = (life, payload) else {
                    unreachable!("an operation with a handler has a buffer")
                };
                Noted::Tell { handler, token, buf, keep }
            }
            Life::Stream { cqes, waker, ended, .. } => {
                cqes.push_back(cqe);
                *ended = !more;
                waker.take().map_or(Noted::Nothing, Noted::Wake)
            }
            Life::Orphaned { ring } if more => {
                Noted::Release { payload: Payload::Nothing, keep: None, ring: ring.clone(), cqe }
            }
            Life::Orphaned { ring } => {
                let ring = ring.take();
                let slot = self.slots.remove(key.slot());
                Noted::Release { payload: slot.payload, keep: slot.keep, ring, cqe }
            }
            Life::Done(_) => unreachable!("a one-shot operation has one CQE"),
        }
    }

    /// Takes the result of a one-shot operation, or leaves a waker.
    pub(crate) fn poll(&mut self, key: OpKey, waker: &Waker) -> Option<Finished> {
        let slot = self.slot(key);
        match &mut slot.life {
            Life::Running(Some(old)) => old.clone_from(waker),
            Life::Running(none) => *none = Some(waker.clone()),
            Life::Done(cqe) => {
                let cqe = *cqe;
                let slot = self.slots.remove(key.slot());
                return Some(Finished { cqe, payload: slot.payload });
            }
            Life::Handled { .. } | Life::Stream { .. } | Life::Orphaned { .. } => {
                unreachable!("polled as a one-shot operation")
            }
        }
        None
    }

    /// The next CQE of a stream, or leaves a waker. The slot stays until [`Ops::abandon`].
    pub(crate) fn poll_stream(&mut self, key: OpKey, waker: &Waker) -> Next {
        match &mut self.slot(key).life {
            Life::Stream { cqes, waker: place, ended, .. } => match cqes.pop_front() {
                Some(cqe) => Next::Cqe(cqe),
                None if *ended => Next::Ended,
                None => {
                    *place = Some(waker.clone());
                    Next::Pending
                }
            },
            Life::Running(_) | Life::Handled { .. } | Life::Done(_) | Life::Orphaned { .. } => {
                unreachable!("polled as a stream")
            }
        }
    }

    /// The future is gone: how to cancel the operation, and what it leaves behind, to be dropped outside the
    /// slab's borrow.
    pub(crate) fn abandon(&mut self, key: OpKey) -> (Cancel, Abandoned) {
        let slot = self.slot(key);
        match &mut slot.life {
            Life::Running(_) => {
                slot.life = Life::Orphaned { ring: None };
                let cancel =
                    if matches!(slot.payload, Payload::Accept(_)) { Cancel::Now } else { Cancel::Soon };
                (cancel, Abandoned::default())
            }
            Life::Stream { cqes, ended, ring, .. } => {
                let (ended, cqes, ring) = (*ended, std::mem::take(cqes), ring.clone());
                slot.life = Life::Orphaned { ring: Some(ring.clone()) };
                let slot = ended.then(|| self.slots.remove(key.slot()));
                let keep = slot.and_then(|slot| slot.keep);
                let cancel = if ended { Cancel::No } else { Cancel::Soon };
                (cancel, Abandoned { finished: None, keep, unread: Some((ring, cqes)) })
            }
            Life::Done(cqe) => {
                let cqe = *cqe;
                let slot = self.slots.remove(key.slot());
                (Cancel::No, Abandoned { finished: Some((slot.payload, cqe)), keep: slot.keep, unread: None })
            }
            Life::Handled { .. } => unreachable!("an operation with a handler has no future to drop"),
            Life::Orphaned { .. } => unreachable!("an operation is abandoned once"),
        }
    }

    /// The core ends: handlers are told nothing any more. They are given back, to be dropped outside the
    /// slab's borrow; the operations keep their buffers until their CQEs.
    pub(crate) fn dismiss_handlers(&mut self) -> Vec<Rc<dyn CompletionHandler>> {
        let mut dismissed = Vec::new();
        for (_, slot) in &mut self.slots {
            if matches!(slot.life, Life::Handled { .. })
                && let Life::Handled { handler, .. } =
                    std::mem::replace(&mut slot.life, Life::Orphaned { ring: None })
            {
                dismissed.push(handler);
            }
        }
        dismissed
    }

    /// Forgets every operation that the kernel has not finished with, so that its memory is never freed.
    pub(crate) fn leak(&mut self) -> usize {
        let slots = std::mem::take(&mut self.slots);
        let mut leaked = 0;
        for (_, slot) in slots {
            match slot.life {
                Life::Done(cqe) => slot.payload.discard(cqe),
                Life::Stream { ended: true, .. } => {}
                Life::Running(_) | Life::Handled { .. } | Life::Stream { .. } | Life::Orphaned { .. } => {
                    leaked += 1;
                    std::mem::forget(slot);
                }
            }
        }
        self.in_flight = 0;
        leaked
    }
}

/// How an abandoned operation is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cancel {
    /// It has ended.
    No,
    /// With the core's next submission.
    Soon,
    /// Before anything else is submitted: a cancelled accept that is still in the socket's queue of waiters
    /// would eat the wake that is meant for the next accept.
    Now,
}

/// What an abandoned operation leaves: dropped by the caller, after the slab's borrow has ended.
#[derive(Default)]
pub(crate) struct Abandoned {
    finished: Option<(Payload, Cqe)>,
    keep: Option<Arc<Descriptor>>,
    /// Received buffers that nobody read.
    unread: Option<(Rc<RecvRing>, VecDeque<Cqe>)>,
}

impl Abandoned {
    /// Gives the unread buffers back and drops the rest.
    pub(crate) fn release(self) {
        if let Some((ring, cqes)) = self.unread {
            for cqe in cqes {
                ring.give_back_unread(cqe);
            }
        }
        if let Some((payload, cqe)) = self.finished {
            payload.discard(cqe);
        }
        drop(self.keep);
    }
}
