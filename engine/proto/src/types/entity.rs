//! Who takes part in a cluster.

use crate::codec::{DecodeError, Decoder, Encoder};
use std::fmt;

/// The kind of a participant. The number is a bit, so that kinds can be asked for together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntityType {
    /// A monitor.
    Mon,
    /// A metadata server.
    Mds,
    /// An object storage daemon.
    Osd,
    /// A client.
    Client,
    /// A manager.
    Mgr,
    /// The authentication service.
    Auth,
}

impl EntityType {
    /// Its bit.
    pub const fn bit(self) -> u8 {
        match self {
            EntityType::Mon => 0x01,
            EntityType::Mds => 0x02,
            EntityType::Osd => 0x04,
            EntityType::Client => 0x08,
            EntityType::Mgr => 0x10,
            EntityType::Auth => 0x20,
        }
    }

    /// The kind with that bit.
    pub const fn from_bit(bit: u32) -> Option<EntityType> {
        match bit {
            0x01 => Some(EntityType::Mon),
            0x02 => Some(EntityType::Mds),
            0x04 => Some(EntityType::Osd),
            0x08 => Some(EntityType::Client),
            0x10 => Some(EntityType::Mgr),
            0x20 => Some(EntityType::Auth),
            _ => None,
        }
    }

    /// The word that names it in names and files.
    pub const fn word(self) -> &'static str {
        match self {
            EntityType::Mon => "mon",
            EntityType::Mds => "mds",
            EntityType::Osd => "osd",
            EntityType::Client => "client",
            EntityType::Mgr => "mgr",
            EntityType::Auth => "auth",
        }
    }
}

impl fmt::Display for EntityType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntityTypes(pub u32);

impl EntityTypes {
    /// The set of these.
    pub fn of(types: &[EntityType]) -> EntityTypes {
        EntityTypes(types.iter().fold(0, |bits, kind| bits | u32::from(kind.bit())))
    }

    /// Whether it is in the set.
    pub fn contains(self, kind: EntityType) -> bool {
        self.0 & u32::from(kind.bit()) != 0
    }
}

/// A participant by kind and number (`osd.3`, `client.4105`), as messages name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntityName {
    /// The kind's bit; whatever a peer sends is kept.
    pub kind: u8,
    /// The number.
    pub num: i64,
}

impl EntityName {
    /// The client that the monitors gave this global id.
    pub fn client(global_id: super::GlobalId) -> EntityName {
        EntityName { kind: EntityType::Client.bit(), num: global_id.0.cast_signed() }
    }

    /// Reads one.
    pub fn decode(d: &mut Decoder<'_>) -> Result<EntityName, DecodeError> {
        Ok(EntityName { kind: d.u8()?, num: d.i64()? })
    }

    /// Writes it.
    pub fn encode(self, e: &mut Encoder<'_>) {
        e.u8(self.kind).i64(self.num);
    }
}

impl fmt::Display for EntityName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match EntityType::from_bit(u32::from(self.kind)) {
            Some(kind) => write!(f, "{kind}.{}", self.num),
            None => write!(f, "unknown({}).{}", self.kind, self.num),
        }
    }
}
