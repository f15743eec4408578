//! The native Ceph client: monitors, maps, and operations on objects, thread per core.
//!
//! | module | what |
//! |---|---|
//! | `cluster` | the client and its cores; `ioctx` a pool on one of them |
//! | `objecter` | operations at home on a core: where they go, and again when the map changes |
//! | `session` | what is to be done by one OSD, and the connection that carries it |
//! | `connection` | one TCP connection: handshake, frames out, frames in |
//! | `monitor` | the session with a monitor: maps, tickets, commands |
//! | `linger` | watches and notifications |
//!
//! What holds everywhere:
//!
//! 1. A client has one identity: one global id, one address and nonce on all connections, one space of tids. Whoever fences
//!    it fences all its cores.
//! 2. An OSD is spoken to over one connection, on one core. Operations of other cores go there as encoded messages, and
//!    their answers come back the same way; nothing else is shared but immutable maps and tickets.
//! 3. A tid is used once in a client's life, and an operation has one tid however often it is sent.
//! 4. Operations on one object that were asked for on one core are done in that order, through resends, moves and backoffs.
//! 5. A lost connection, a dead OSD, an old map are nothing that a caller hears of. It waits, unless it set a limit.

mod candidates;
mod cluster;
mod config;
mod connection;
mod core;
mod credentials;
pub mod dns;
mod error;
mod identity;
mod ioctx;
mod linger;
mod list;
mod message;
mod mon_host;
mod monitor;
mod objecter;
mod pieces;
mod reply;
mod session;
mod shared;
mod snapshots;
mod status;
mod user_key;

pub use candidates::{MONITOR_CANDIDATES_MAX, MonitorCandidate, Monitors, MonitorsError};
pub use cluster::{CORES_MAX, Cluster, Rados, Seat};
pub use config::ClusterConfig;
pub use error::OpError;
pub use ioctx::{IoCtx, Operation};
pub use linger::{Notification, NotifyOutcome, NotifyReply, Watch, WatchNews};
pub use list::{Listing, ObjectName};
pub use message::{CoreNo, OpResult};
pub use mon_host::{
    Endpoint, Host, MON_HOST_BYTES_MAX, MON_HOST_MONITORS_MAX, MON_PORT, MON_PORT_LEGACY, Messenger, MonHost,
    MonHostError, MonHostErrorKind,
};
pub use monitor::CommandOutput;
pub use reply::OpReply;
pub use status::{
    ClusterStatus, ConnectionStatus, CoreStatus, LastError, LatencySummary, MonitorStatus, MonitorsStatus,
    OsdCounts, PoolStatus, SessionStatus,
};

pub use ringbd_proto::auth::ConMode;
pub use ringbd_proto::msgr2::Features;
pub use ringbd_proto::osd::{
    AllocHints, ChecksumSeed, Comparison, Extent, OmapAssertion, OpFlags, OsdOp, SnapContext, Stat,
    WatchAction, Watcher, XattrOperand,
};
pub use ringbd_proto::osdmap::{MapFlags, PoolKind};
pub use ringbd_proto::types::{EntityAddr, Epoch, Fsid, GlobalId, OsdId, PoolId, SnapId};
