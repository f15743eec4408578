//! What clients and monitors say to each other.
//!
//! All messages are read and written, because the model monitors of the tests speak the other side. Answers carry their
//! request's tid in the header.

mod auth;
mod command;
mod config;
mod monmap;
mod osd_map;
mod paxos;
mod ping;
mod pool_op;
mod statfs;
mod subscribe;
mod version;

pub use auth::{MAuth, MAuthReply};
pub use command::{MMonCommand, MMonCommandAck};
pub use config::MConfig;
pub use monmap::{MMonGetMap, MMonMap, MonInfo, MonMap};
pub use osd_map::MOsdMap;
pub use ping::MPing;
pub use pool_op::{MPoolOp, MPoolOpReply, PoolChange};
pub use statfs::{MStatfs, MStatfsReply};
pub use subscribe::{MMonSubscribe, Subscription};
pub use version::{MMonGetVersion, MMonGetVersionReply};
