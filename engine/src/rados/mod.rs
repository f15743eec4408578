//! The native client of a Ceph cluster.

mod candidates;
mod config;
pub mod dns;
mod mon_host;
mod user_key;

pub use candidates::{MONITOR_CANDIDATES_MAX, MonitorCandidate, Monitors, MonitorsError};
pub use config::ClusterConfig;
pub use mon_host::{
    Endpoint, Host, MON_HOST_BYTES_MAX, MON_HOST_MONITORS_MAX, MON_PORT, MON_PORT_LEGACY, Messenger, MonHost,
    MonHostError, MonHostErrorKind,
};
