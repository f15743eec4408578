//! The small types that all of Ceph's messages are made of.

mod addr;
mod entity;
mod errno;
mod fsid;
mod ids;
mod pg;
mod time;

pub use addr::{AddrKind, EntityAddr, EntityAddrVec};
pub use entity::{EntityName, EntityType, EntityTypes};
pub use errno::Errno;
pub use fsid::{Fsid, FsidError};
pub use ids::{Epoch, Eversion, GlobalId, OsdId, PoolId, SnapId, Tid};
pub use pg::{PgId, ShardId, SpgId};
pub use time::Utime;
