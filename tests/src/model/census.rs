//! What happened in a simulation, counted: a test over many seeds shows with it that everything it means to try was tried.

use std::fmt;
use std::ops::AddAssign;

macro_rules! seen {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Something that happened to a client.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Seen {
            $($(#[$doc])* $name,)*
        }

        impl Seen {
            /// All of them.
            pub const ALL: &'static [Seen] = &[$(Seen::$name),*];
        }
    };
}

seen! {
    /// A write came again after it was done.
    Repeat,
    /// An operation was dropped because its interval was over.
    Stale,
    /// An operation went where a redirect had pointed to.
    RedirectFollowed,
    /// An OSD asked for quiet about a whole placement group.
    BackoffOfGroup,
    /// About a part of one.
    BackoffOfRange,
    /// About one object.
    BackoffOfObject,
    /// An operation was done by a shard of an erasure-coded placement group.
    ByShard,
    /// Placement groups were divided.
    Split,
    /// Placement groups were joined.
    Merge,
    /// A merge was prepared, and did not happen.
    MergeCalledOff,
    /// A pool was deleted.
    PoolDeleted,
    /// A pool was made.
    PoolMade,
    /// An operation failed because its pool was deleted.
    NoPool,
    /// An operation was dropped because there was no room.
    NoRoom,
    /// An operation of a fenced client was refused.
    Refused,
    /// A client heard that it is fenced.
    Fenced,
    /// A client heard that it is not who it was any more.
    IdentityLost,
    /// A client went on under its global id.
    Reclaimed,
    /// A client could not go on under its global id.
    ReclaimRefused,
    /// Tickets were renewed.
    Renewed,
    /// Tickets were not renewed, because the client's own is worth nothing.
    RenewalRefused,
    /// A service refused a ticket.
    TicketRefused,
    /// A watch was said again.
    Rewatched,
    /// A watch was pinged that had to be said again first.
    PingedInVain,
    /// A watcher that was silent for too long was forgotten.
    WatcherForgotten,
    /// A watcher heard that it does not watch any more.
    WatchLost,
    /// A notification was forgotten with its interval.
    NotificationForgotten,
    /// A notification ended although a watcher had not answered.
    NotifiedInPart,
    /// A notification was answered by all watchers.
    NotifiedAll,
    /// An operation's time was over.
    TimedOut,
    /// An incremental could not be read.
    BrokenIncremental,
    /// A whole map could not be read.
    BrokenMap,
    /// A message left maps out.
    Gap,
    /// A whole map was asked for.
    WholeMapAsked,
    /// A monitor's newest map was older than the client's.
    MonitorBehind,
    /// The monitors elected a leader.
    Election,
    /// A client took the place of one that was over.
    Heir,
}

/// How often everything happened.
#[derive(Clone, PartialEq, Eq)]
pub struct Census([u64; Seen::ALL.len()]);

impl Default for Census {
    fn default() -> Census {
        Census([0; Seen::ALL.len()])
    }
}

impl Census {
    /// Counts.
    pub fn count(&mut self, what: Seen) {
        self.0[what as usize] += 1;
    }

    /// How often it happened.
    pub fn of(&self, what: Seen) -> u64 {
        self.0[what as usize]
    }
}

impl AddAssign<&Census> for Census {
    fn add_assign(&mut self, other: &Census) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, more)| *sum += more);
    }
}

impl fmt::Debug for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(Seen::ALL.iter().map(|what| (what, self.of(*what)))).finish()
    }
}
