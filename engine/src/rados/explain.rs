//! Errors for people: what is known beyond the error of an operation that failed or was given up.
//!
//! The rule: nothing here is needed to do an operation, so it may take its time and look around.

use super::error::OpError;
use super::ioctx::IoCtx;
use super::status;
use crate::error::{Error, ErrorKind};
use ringbd_proto::osd::OsdFlags;
use std::fmt;

/// What an operation needs to be allowed, as OSDs count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// To read.
    Read,
    /// To write.
    Write,
}

impl Need {
    fn word(self) -> &'static str {
        match self {
            Need::Read => "r",
            Need::Write => "w",
        }
    }
}

impl IoCtx {
    /// The error of an operation on `object` that failed with `error`, as whole as it can be told: which capability the user
    /// may lack, or what an operation was waiting for that took too long.
    pub async fn explain(&self, error: OpError, operation: &'static str, need: Need, object: &[u8]) -> Error {
        let shown = self.shown(object);
        match error {
            OpError::Errno(errno @ (1 | 13)) => {
                Error::new(ErrorKind::of_errno(errno), operation, shown, &error)
                    .hint(self.missing_capability(need))
            }
            OpError::TimedOut => {
                let why = self.why_waiting(need, object).await;
                Error::new(ErrorKind::TimedOut, operation, shown, format_args!("{error}: {why}"))
                    .hint("`ceph -s` tells how the cluster does; the limit is rados_osd_op_timeout")
            }
            OpError::Errno(_)
            | OpError::Blocklisted
            | OpError::IdentityLost
            | OpError::NoPool
            | OpError::Closed
            | OpError::Unplaceable(_)
            | OpError::Malformed(_) => error.of(operation, shown),
        }
    }

    /// `data/object`, or the pool alone.
    fn shown(&self, object: &[u8]) -> String {
        let pool = self.pool_name();
        if object.is_empty() { format!("pool {pool}") } else { format!("{pool}/{}", object.escape_ascii()) }
    }

    fn pool_name(&self) -> String {
        let pool = self.pool();
        self.core()
            .with_map(|map| map?.pool_name(pool).map(str::to_owned))
            .unwrap_or_else(|| format!("number {pool}"))
    }

    fn missing_capability(&self, need: Need) -> String {
        let (user, pool, namespace) =
            (self.core().shared().user(), self.pool_name(), &self.locator().namespace);
        let place = match namespace.is_empty() {
            true => format!("pool={pool}"),
            false => format!("pool={pool} namespace={}", namespace.escape_ascii()),
        };
        format!(
            "{user} lacks the OSD capability {}, which osd 'allow rw {place}' gives; `ceph auth get {user}` shows what it \
             has, and `ceph auth caps` changes it",
            need.word()
        )
    }

    /// What an operation waits for that the OSDs do not answer.
    async fn why_waiting(&self, need: Need, object: &[u8]) -> String {
        let (core, place) = (self.core(), self.place_of(object));
        if let Some(hold) = core.hold_of(place, need == Need::Write, OsdFlags::NONE) {
            return hold.to_string();
        }
        // What was done to the pool as a whole may wait for any OSD; one that cannot be reached is to blame first.
        let osd = core.primary_of(place).filter(|_| !object.is_empty());
        let sessions = status::of(core.shared()).await.sessions;
        let mut suspects = sessions.into_iter().filter(|session| match osd {
            Some(osd) => session.osd == osd,
            None => session.connection.is_none(),
        });
        let silence = suspects.next().map(|session| Silence {
            osd: session.osd.0,
            connected: session.connection.is_some(),
            last_error: session.last_error.map(|error| error.reason),
        });
        silence.map_or_else(|| "the OSDs do not answer".to_owned(), |silence| silence.to_string())
    }
}

/// An OSD from which nothing comes.
#[derive(Debug)]
pub(super) struct Silence {
    pub(super) osd: i32,
    pub(super) connected: bool,
    pub(super) last_error: Option<String>,
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let osd = self.osd;
        match (self.connected, &self.last_error) {
            (true, _) => write!(f, "osd.{osd} does not answer"),
            (false, Some(error)) => write!(f, "there is no connection to osd.{osd}: {error}"),
            (false, None) => write!(f, "there is no connection to osd.{osd} yet"),
        }
    }
}
