//! Placement groups: what a pool's objects are hashed into.

use super::PoolId;
use crate::codec::{DecodeError, Decoder, Encoder};
use std::fmt;

/// The form of an encoded placement group.
const PG_FORM: u8 = 1;
/// A preferred OSD, which nobody has any more.
const NO_PREFERRED: i32 = -1;

/// A placement group of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PgId {
    /// The pool.
    pub pool: PoolId,
    /// Its number in the pool.
    pub seed: u32,
}

impl PgId {
    /// Bytes that it takes.
    pub const BYTES: usize = 17;

    /// Reads one.
    pub fn decode(d: &mut Decoder<'_>) -> Result<PgId, DecodeError> {
        if d.u8()? != PG_FORM {
            return Err(d.invalid("a placement group of an unknown form"));
        }
        let pg = PgId { pool: PoolId::decode(d)?, seed: d.u32()? };
        d.i32()?;
        Ok(pg)
    }

    /// Writes it.
    pub fn encode(self, e: &mut Encoder<'_>) {
        e.u8(PG_FORM).i64(self.pool.0).u32(self.seed).i32(NO_PREFERRED);
    }
}

impl fmt::Display for PgId {
    /// As Ceph writes it: `2.1f`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:x}", self.pool, self.seed)
    }
}

/// Which part of an erasure-coded placement group an OSD holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub i8);

impl ShardId {
    /// All of it: the pool is replicated.
    pub const NONE: ShardId = ShardId(-1);
}

/// A placement group, or the shard of one, as an OSD serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpgId {
    /// The placement group.
    pub pg: PgId,
    /// The shard.
    pub shard: ShardId,
}

impl SpgId {
    /// Bytes that it takes.
    pub const BYTES: usize = 6 + PgId::BYTES + 1;

    /// The whole of a replicated placement group.
    pub const fn replicated(pg: PgId) -> SpgId {
        SpgId { pg, shard: ShardId::NONE }
    }

    /// Reads one.
    pub fn decode(d: &mut Decoder<'_>) -> Result<SpgId, DecodeError> {
        d.versioned("a placement group's shard", 1, |d, _| {
            Ok(SpgId { pg: PgId::decode(d)?, shard: ShardId(d.u8()?.cast_signed()) })
        })
    }

    /// Writes it.
    pub fn encode(self, e: &mut Encoder<'_>) {
        e.versioned(1, 1, |e| {
            self.pg.encode(e);
            e.u8(self.shard.0.cast_unsigned());
        });
    }
}

impl fmt::Display for SpgId {
    /// As Ceph writes it: `2.1f`, `3.0s1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shard {
            ShardId::NONE => self.pg.fmt(f),
            ShardId(shard) => write!(f, "{}s{shard}", self.pg),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_written_as_an_osd_reads_it() {
        let spg = SpgId { pg: PgId { pool: PoolId(3), seed: 0x1f }, shard: ShardId(2) };
        let bytes = Encoder::to_vec(|e| spg.encode(e));
        assert_eq!(
            bytes,
            [1, 1, 18, 0, 0, 0, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0x1f, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 2]
        );
        assert_eq!(bytes.len(), SpgId::BYTES);
        assert_eq!(SpgId::decode(&mut Decoder::new("test", &bytes)), Ok(spg));
        assert_eq!(spg.to_string(), "3.1fs2");
    }
}
