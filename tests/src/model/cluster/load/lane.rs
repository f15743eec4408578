//! A lane: one sequence of operations on one core, and what may become of each.
//!
//! The rule: an operation succeeds, or it ends for a reason that the plan gives it: its time was over, or the client was
//! fenced or lost its identity. Everything else that a caller hears of is wrong. A client that is over is so at once, on
//! all cores and for good.

use super::Load;
use crate::model::census::Seen;
use ringbd::rados::{Extent, OpError, OpReply, OsdOp, Rados};
use ringbd_reactor::{Instant, SharedBuf, now};
use std::time::Duration;

/// How much later than it should something may end: turns of busy cores take time in the simulation too.
const SLACK: Duration = Duration::from_millis(100);

/// What a lane does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    Writer(u64),
    Quitter,
    Stranger,
    Watcher,
    Notifier,
    Asker,
    Successor,
}

/// How an operation ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model::cluster) enum Told {
    /// Its time was over: it may have been done, or not.
    TimedOut,
    /// The client is fenced.
    Fenced,
    /// The client is not who it was.
    IdentityLost,
    /// Something is wrong, and was written down.
    Wrong,
}

/// A sequence of operations.
pub(super) struct Lane {
    pub(super) load: Load,
    pub(super) rados: Rados,
    /// Its number among the lanes of all clients.
    pub(super) no: u64,
}

impl Lane {
    pub(super) fn new(load: &Load, rados: &Rados, core: u64, role: Role) -> Lane {
        let role = match role {
            Role::Writer(nth) => nth,
            Role::Quitter => 100,
            Role::Stranger => 101,
            Role::Watcher => 102,
            Role::Notifier => 103,
            Role::Asker => 104,
            Role::Successor => 105,
        };
        Lane { load: load.clone(), rados: rados.clone(), no: load.no << 16 | core << 8 | role }
    }

    pub(super) fn random(&self) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.load.plan.seed ^ (self.no + 1) << 32)
    }

    pub(super) fn violation(&self, what: String) {
        self.load.shared.violation(what);
    }

    /// Whether the client can do nothing any more.
    pub(super) fn is_over(&self) -> bool {
        self.load.ended().is_some()
    }

    /// Whether the cluster has done something that ends the client.
    pub(super) fn may_be_over(&self) -> bool {
        let id = self.load.client.global_id();
        self.load.shared.with(|state| state.is_fenced(id) || state.is_disowned(id))
    }

    /// Asks for an operation of an OSD.
    pub(super) async fn operate<T>(
        &self,
        what: String,
        operation: impl Future<Output = Result<T, OpError>>,
    ) -> Result<T, Told> {
        let (begun, since) = (self.load.begin(what.clone()), now());
        let done = operation.await;
        self.load.end(begun);
        let limit = self.load.plan.limits.op_timeout_s.map(Duration::from_secs);
        if let Some(limit) = limit.filter(|limit| since.elapsed() > *limit + SLACK) {
            self.violation(format!("{what} took {:?}, and {limit:?} is the limit", since.elapsed()));
        }
        match self.hear(&what, since, done) {
            Err(told @ (Told::Fenced | Told::IdentityLost)) => Err(self.try_once_more(told).await),
            other => other,
        }
    }

    /// Asks for something that is not one operation of an OSD, and has no limit.
    pub(super) async fn ask<T>(
        &self,
        what: String,
        question: impl Future<Output = Result<T, OpError>>,
    ) -> Result<T, Told> {
        let (begun, since) = (self.load.begin(what.clone()), now());
        let done = question.await;
        self.load.end(begun);
        self.hear(&what, since, done)
    }

    fn hear<T>(&self, what: &str, since: Instant, done: Result<T, OpError>) -> Result<T, Told> {
        let Load { plan, shared, client, .. } = &self.load;
        let told = match done {
            Ok(answer) => return Ok(answer),
            Err(OpError::TimedOut) if plan.limits.op_timeout_s.is_some() => {
                shared.count(Seen::TimedOut);
                return Err(Told::TimedOut);
            }
            Err(OpError::Blocklisted) if shared.with(|state| state.is_fenced(client.global_id())) => {
                Told::Fenced
            }
            Err(OpError::IdentityLost) if shared.with(|state| state.is_disowned(client.global_id())) => {
                Told::IdentityLost
            }
            Err(error) => {
                self.violation(format!("lane {:#x}: {what}: {error}", self.no));
                return Err(Told::Wrong);
            }
        };
        let is_first = !self.is_over();
        let (first, ended) = self.load.note_end(told);
        if is_first {
            shared.count(if told == Told::Fenced { Seen::Fenced } else { Seen::IdentityLost });
        }
        let waited = since.max(ended).elapsed();
        if waited > SLACK || first != told {
            self.violation(format!("{what} heard of {told:?} {waited:?} late, after {first:?}"));
        }
        Err(told)
    }

    /// Who is over once is over for good, and hears so at once.
    async fn try_once_more(&self, told: Told) -> Told {
        let (io, since) = (super::data(&self.rados), now());
        let done = read(&io, b"anything", 1).await.map(|_| ());
        let right = match told {
            Told::Fenced => Err(OpError::Blocklisted),
            Told::IdentityLost => Err(OpError::IdentityLost),
            Told::TimedOut | Told::Wrong => unreachable!("such a client is not over"),
        };
        if done != right || since.elapsed() > SLACK {
            self.violation(format!("a client that is over came to {done:?} after {:?}", since.elapsed()));
        }
        told
    }
}

/// Reads an object from its beginning. That it is not there is an answer.
async fn read(io: &ringbd::rados::IoCtx, name: &[u8], length: u64) -> Result<OpReply, OpError> {
    let op: OsdOp<'_, SharedBuf> = OsdOp::Read(Extent { offset: 0, length });
    io.operate_read(name, &[op.into()], None).await.and_then(heard)
}

/// An OSD's word that the client is fenced is no answer.
pub(super) fn heard(reply: OpReply) -> Result<OpReply, OpError> {
    if reply.result() == -108 { Err(OpError::Blocklisted) } else { Ok(reply) }
}
