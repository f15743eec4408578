//! The native client of a Ceph cluster.

pub mod dns;
mod mon_host;
mod monitors;

pub use mon_host::{
    Endpoint, Host, MON_HOST_BYTES_MAX, MON_HOST_MONITORS_MAX, MON_PORT, MON_PORT_LEGACY, Messenger, MonHost,
    MonHostError, MonHostErrorKind,
};
pub use monitors::{MONITOR_CANDIDATES_MAX, MonitorCandidate, MonitorSource, MonitorsError};
