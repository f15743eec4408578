//! The native client of a Ceph cluster.

mod mon_host;

pub use mon_host::{
    Endpoint, Host, MON_HOST_BYTES_MAX, MON_HOST_MONITORS_MAX, MON_PORT, MON_PORT_LEGACY, Messenger, MonHost,
    MonHostError, MonHostErrorKind,
};
