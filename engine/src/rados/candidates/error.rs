//! Why no monitor is known, and what to do about it.

use thiserror::Error as ThisError;

use super::super::dns::DnsError;
use super::super::mon_host::MonHostError;
use crate::error::{Error, ErrorKind};

/// Why no monitor is known.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub enum MonitorsError {
    /// A list of addresses cannot be read.
    #[error("in {option} ({place}), {error}")]
    Malformed {
        /// The option.
        option: String,
        /// Where it was written.
        place: String,
        /// What is wrong with it.
        error: MonHostError,
    },
    /// Another value of a `[mon.NAME]` section cannot be.
    #[error("{option} of [mon.{name}] ({place}) {reason}")]
    Section {
        /// The option.
        option: &'static str,
        /// The monitor.
        name: String,
        /// Where the section is.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// `mon_dns_srv_name` is no name.
    #[error("mon_dns_srv_name ({place}) is {name:?}, which cannot be the name of a service")]
    ServiceName {
        /// What it is.
        name: String,
        /// Where it was written.
        place: String,
    },
    /// All addresses are for the first messenger protocol.
    #[error(
        "{origin} names only addresses of the first messenger protocol, which ringbd does not speak: {addrs}"
    )]
    LegacyOnly {
        /// What names them.
        origin: String,
        /// The addresses.
        addrs: String,
    },
    /// None of the names can be looked up.
    #[error("none of the monitors in {origin} can be looked up: {reasons}")]
    Unresolved {
        /// What names them.
        origin: String,
        /// What the system says of each.
        reasons: String,
    },
    /// Nothing names monitors, and DNS does not either.
    #[error("mon_host is not set{place}, and {error}")]
    NotFound {
        /// Where it was looked for.
        place: String,
        /// What DNS says.
        error: DnsError,
    },
    /// A simulated world has no names.
    #[error("{name} would have to be looked up, and a simulated world has no names, only addresses")]
    Simulated {
        /// The name.
        name: String,
    },
}

impl MonitorsError {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Malformed { .. } | Self::Section { .. } | Self::ServiceName { .. } => {
                ErrorKind::InvalidInput
            }
            Self::LegacyOnly { .. } | Self::Simulated { .. } => ErrorKind::NotSupported,
            Self::Unresolved { .. } => ErrorKind::NotFound,
            Self::NotFound { error, .. } => match error {
                DnsError::NotFound { .. } | DnsError::NoAddresses { .. } | DnsError::NoAnswer { .. } => {
                    ErrorKind::NotFound
                }
                DnsError::ResolvConf(_) => ErrorKind::Io,
            },
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Malformed { error, .. } => error.kind.hint(),
            Self::Section { .. } => "mend the section, or write mon_host in [global], which is stronger",
            Self::ServiceName { .. } => "write ceph-mon, or ceph-mon_example.com for a domain of its own",
            Self::LegacyOnly { .. } => {
                "name port 3300, as in mon_host = v2:10.0.0.1:3300; `ceph mon enable-msgr2` opens it on a cluster that \
                 was upgraded"
            }
            Self::Unresolved { .. } => {
                "write addresses instead of names, or see that the names are known here"
            }
            Self::NotFound { .. } => {
                "write mon_host = 10.0.0.1 (the address of a monitor) into [global] of /etc/ceph/ceph.conf, name \
                 another file with conf=, or write :mon_host=10.0.0.1 behind the image's name"
            }
            Self::Simulated { .. } => "write the monitors' addresses into mon_host",
        }
    }

    /// The error that users of the crate see.
    #[must_use]
    pub fn into_error(self, cluster: &str) -> Error {
        let (kind, hint) = (self.kind(), self.hint());
        Error::new(kind, "find the monitors of cluster", cluster, self).hint(hint)
    }
}
