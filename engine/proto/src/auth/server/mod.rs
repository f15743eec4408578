//! The accepting ends: a monitor that lets users in and gives tickets, and a service that checks them.
//!
//! They serve model clusters and OSDs without a disk, so they are one connection's worth of a daemon each: what
//! daemons share is an immutable [`ClusterKeys`], and global ids are counted by whoever accepts connections. They
//! accept what Ceph's daemons accept and refuse what those refuse, with one exception: an expired ticket is refused
//! at once, while Ceph's older daemons wait until the secret behind it is forgotten.

mod keys;
mod login;
mod none;
mod service;
mod ticket_info;

pub use keys::{ClusterKeys, SECRETS_KEPT, TicketLives};
pub use login::{LoginServer, renew};
pub use none::NoneServer;
pub use service::ServiceServer;
