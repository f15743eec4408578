//! What a message is.

use std::fmt;

/// What a message is. Peers may send types that ringbd does not know; those are kept as their number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageType(pub u16);

macro_rules! types {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)*) => {
        impl MessageType {
            $($(#[$doc])* pub const $name: MessageType = MessageType($number);)*

            /// Its name, if ringbd knows it.
            pub const fn word(self) -> Option<&'static str> {
                match self {
                    $(MessageType::$name => Some(stringify!($name)),)*
                    MessageType(_) => None,
                }
            }
        }
    };
}

types! {
    /// Sent now and then by monitors to each other and to clients that ask; empty.
    PING = 2;
    /// The monitors' map.
    MON_MAP = 4;
    /// Asks for the monitors' map.
    MON_GET_MAP = 5;
    /// Asks for the cluster's free space.
    STATFS = 13;
    /// The cluster's free space.
    STATFS_REPLY = 14;
    /// Asks for maps, now and whenever they change.
    MON_SUBSCRIBE = 15;
    /// The monitors' answer to it in old releases.
    MON_SUBSCRIBE_ACK = 16;
    /// A step of authentication over a session that stands, to renew tickets.
    AUTH = 17;
    /// The answer to it.
    AUTH_REPLY = 18;
    /// Asks which version of a map is the newest.
    MON_GET_VERSION = 19;
    /// The newest version.
    MON_GET_VERSION_REPLY = 20;
    /// OSD maps.
    OSD_MAP = 41;
    /// An operation on an object.
    OSD_OP = 42;
    /// Its result.
    OSD_OP_REPLY = 43;
    /// A notification for a watcher.
    WATCH_NOTIFY = 44;
    /// The result of an operation on a pool.
    POOL_OP_REPLY = 48;
    /// An operation on a pool.
    POOL_OP = 49;
    /// A command for the monitors.
    MON_COMMAND = 50;
    /// Its result.
    MON_COMMAND_ACK = 51;
    /// Asks for statistics of pools.
    GET_POOL_STATS = 58;
    /// Statistics of pools.
    GET_POOL_STATS_REPLY = 59;
    /// An OSD asks for quiet, or takes that back.
    OSD_BACKOFF = 61;
    /// Configuration from the monitors' database.
    CONFIG = 62;
    /// A command for an OSD or a manager.
    COMMAND = 97;
    /// Its result.
    COMMAND_REPLY = 98;
    /// The managers' map.
    MGR_MAP = 0x704;
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.word() {
            Some(word) => f.write_str(word),
            None => write!(f, "message type {}", self.0),
        }
    }
}

impl fmt::Debug for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}({})", self.0)
    }
}
