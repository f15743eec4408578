//! What an image's header says in answer to calls.

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::types::{PoolId, SnapId};

use super::Features;

/// Bytes of a snapshot's number.
const SNAP_BYTES: usize = 8;

/// The size of an image, or of its snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageSize {
    /// The objects' size as a power of two.
    pub order: u8,
    /// Bytes.
    pub size: u64,
}

impl ImageSize {
    /// Reads it.
    pub fn decode(d: &mut Decoder<'_>) -> Result<ImageSize, DecodeError> {
        Ok(ImageSize { order: d.u8()?, size: d.u64()? })
    }
}

/// The features of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureMasks {
    /// All of them.
    pub all: Features,
    /// Those that a client must know to do what it asked for.
    pub incompatible: Features,
}

impl FeatureMasks {
    /// Reads them.
    pub fn decode(d: &mut Decoder<'_>) -> Result<FeatureMasks, DecodeError> {
        Ok(FeatureMasks { all: Features(d.u64()?), incompatible: Features(d.u64()?) })
    }
}

/// The snapshots that exist, newest first, and the newest that there ever was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapSequence {
    /// The newest number.
    pub seq: SnapId,
    /// The snapshots.
    pub snaps: Vec<SnapId>,
}

impl SnapSequence {
    /// Reads it.
    pub fn decode(d: &mut Decoder<'_>) -> Result<SnapSequence, DecodeError> {
        let seq = SnapId::decode(d)?;
        let snaps = d.list(SNAP_BYTES, SnapId::decode)?;
        if snaps.windows(2).any(|pair| pair[0] <= pair[1]) || snaps.first().is_some_and(|first| *first > seq)
        {
            return Err(d.invalid("snapshots that are not in descending order"));
        }
        Ok(SnapSequence { seq, snaps })
    }
}

/// The snapshot that an image is a clone of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The pool.
    pub pool: PoolId,
    /// The namespace in it.
    pub namespace: String,
    /// The image's id.
    pub image_id: String,
    /// The snapshot.
    pub snap: SnapId,
}

impl Parent {
    /// Reads it; an image without a parent names no pool.
    pub fn decode(d: &mut Decoder<'_>) -> Result<Option<Parent>, DecodeError> {
        d.versioned("a parent", 1, |d, _| {
            let parent = Parent {
                pool: PoolId::decode(d)?,
                namespace: d.string()?,
                image_id: d.string()?,
                snap: SnapId::decode(d)?,
            };
            Ok(Some(parent).filter(|parent| parent.pool.0 >= 0))
        })
    }

    /// Writes it.
    pub fn encode(&self, e: &mut Encoder<'_>) {
        e.versioned(1, 1, |e| {
            e.i64(self.pool.0).string(&self.namespace).string(&self.image_id).u64(self.snap.0);
        });
    }
}

/// A clone, as its parent lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// The pool.
    pub pool: PoolId,
    /// The image's id.
    pub image_id: String,
    /// The namespace in the pool.
    pub namespace: String,
}

impl Child {
    /// Reads one.
    pub fn decode(d: &mut Decoder<'_>) -> Result<Child, DecodeError> {
        d.versioned("a clone", 2, |d, version| {
            let (pool, image_id) = (PoolId::decode(d)?, d.string()?);
            let namespace = if version >= 2 { d.string()? } else { String::new() };
            Ok(Child { pool, image_id, namespace })
        })
    }

    /// Writes it.
    pub fn encode(&self, e: &mut Encoder<'_>) {
        e.versioned(2, 1, |e| {
            e.i64(self.pool.0).string(&self.image_id).string(&self.namespace);
        });
    }
}

/// The group that an image is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSpec {
    /// The pool.
    pub pool: PoolId,
    /// The group's id.
    pub group_id: String,
}

impl GroupSpec {
    /// Reads it; an image in no group names no pool.
    pub fn decode(d: &mut Decoder<'_>) -> Result<Option<GroupSpec>, DecodeError> {
        d.versioned("a group", 1, |d, _| {
            let group = GroupSpec { pool: PoolId::decode(d)?, group_id: d.string()? };
            Ok(Some(group).filter(|group| group.pool.0 >= 0))
        })
    }
}
