//! The small types that all of Ceph's messages are made of.

mod addr;
mod entity;
mod fsid;
mod ids;
mod time;

pub use addr::{AddrKind, EntityAddr, EntityAddrVec};
pub use entity::{EntityName, EntityType, EntityTypes};
pub use fsid::{Fsid, FsidError};
pub use ids::{Epoch, Eversion, GlobalId, OsdId, PoolId, SnapId, Tid};
pub use time::Utime;
