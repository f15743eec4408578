//! Snapshots of an image.

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::types::{PoolId, SnapId, Utime};

/// Who made a snapshot, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapNamespace {
    /// A person.
    User,
    /// A group of images that is snapshotted together.
    Group {
        /// The pool of the group.
        pool: PoolId,
        /// The group.
        group: String,
        /// The group's snapshot.
        snapshot: String,
    },
    /// It was removed, and clones still need it.
    Trash {
        /// What it was called.
        name: String,
        /// The number of the kind that it was of.
        kind: u32,
    },
    /// Mirroring, and kinds that this release does not know, as they came.
    Other {
        /// The number of the kind.
        kind: u32,
        /// What follows it.
        rest: Vec<u8>,
    },
}

impl SnapNamespace {
    /// Reads one.
    pub fn decode(d: &mut Decoder<'_>) -> Result<SnapNamespace, DecodeError> {
        d.versioned("a snapshot's namespace", 1, |d, _| {
            Ok(match d.u32()? {
                0 => SnapNamespace::User,
                1 => {
                    SnapNamespace::Group { pool: PoolId::decode(d)?, group: d.label()?, snapshot: d.label()? }
                }
                2 => SnapNamespace::Trash { name: d.label()?, kind: d.u32()? },
                kind => SnapNamespace::Other { kind, rest: d.bytes(d.left())?.to_vec() },
            })
        })
    }

    /// Writes it.
    pub fn encode(&self, e: &mut Encoder<'_>) {
        e.versioned(1, 1, |e| {
            match self {
                SnapNamespace::User => e.u32(0),
                SnapNamespace::Group { pool, group, snapshot } => {
                    e.u32(1).i64(pool.0).string(group).string(snapshot)
                }
                SnapNamespace::Trash { name, kind } => e.u32(2).string(name).u32(*kind),
                SnapNamespace::Other { kind, rest } => e.u32(*kind).bytes(rest),
            };
        });
    }
}

/// A snapshot as the header has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its number.
    pub id: SnapId,
    /// Who made it.
    pub namespace: SnapNamespace,
    /// Its name.
    pub name: String,
    /// The image's size then.
    pub size: u64,
    /// When it was made.
    pub created: Utime,
    /// Clones of it that the header lists.
    pub children: u32,
}

impl Snapshot {
    /// Reads one.
    pub fn decode(d: &mut Decoder<'_>) -> Result<Snapshot, DecodeError> {
        d.versioned("a snapshot", 1, |d, _| {
            Ok(Snapshot {
                id: SnapId::decode(d)?,
                namespace: SnapNamespace::decode(d)?,
                name: d.label()?,
                size: d.u64()?,
                created: Utime::decode(d)?,
                children: d.u32()?,
            })
        })
    }

    /// Writes it.
    pub fn encode(&self, e: &mut Encoder<'_>) {
        e.versioned(1, 1, |e| {
            self.id.encode(e);
            self.namespace.encode(e);
            e.string(&self.name).u64(self.size);
            self.created.encode(e);
            e.u32(self.children);
        });
    }
}

/// Whether a snapshot may be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// It may.
    Unprotected,
    /// Somebody is about to allow it.
    Unprotecting,
    /// It may not: clones depend on it.
    Protected,
}

impl Protection {
    /// Reads it.
    pub fn decode(d: &mut Decoder<'_>) -> Result<Protection, DecodeError> {
        match d.u8()? {
            0 => Ok(Protection::Unprotected),
            1 => Ok(Protection::Unprotecting),
            2 => Ok(Protection::Protected),
            _ => Err(d.invalid("an unknown state of protection")),
        }
    }
}
