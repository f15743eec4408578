//! Where an object is to be found: its pool, its namespace, and what is hashed to place it.

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::hash::object_hash;
use crate::types::PoolId;

/// A preferred OSD, which nobody has any more.
const NO_PREFERRED: i32 = -1;
/// No hash of its own.
const NO_HASH: i64 = -1;

/// What an object is placed by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Placement {
    /// The hash of its name.
    #[default]
    Name,
    /// The hash of this key, so that objects can be kept together.
    Key(Vec<u8>),
    /// This hash.
    Hash(u32),
}

/// Where an object is, beside its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectLocator {
    /// The pool.
    pub pool: PoolId,
    /// The namespace in the pool; empty for the default one.
    pub namespace: Vec<u8>,
    /// What places it.
    pub placement: Placement,
}

impl ObjectLocator {
    /// The namespace that lists the objects of all of them.
    pub const ALL_NAMESPACES: &'static [u8] = b"\x01";

    /// The default namespace of a pool.
    pub const fn pool(pool: PoolId) -> ObjectLocator {
        ObjectLocator { pool, namespace: Vec::new(), placement: Placement::Name }
    }

    /// A namespace of a pool.
    pub fn namespace(pool: PoolId, namespace: &[u8]) -> ObjectLocator {
        ObjectLocator { pool, namespace: namespace.to_vec(), placement: Placement::Name }
    }

    /// The key that replaces the name in the hash; empty if there is none.
    pub fn key(&self) -> &[u8] {
        match &self.placement {
            Placement::Key(key) => key,
            Placement::Name | Placement::Hash(_) => b"",
        }
    }

    /// The hash that places the object `name`: all 32 bits.
    pub fn hash_of(&self, name: &[u8]) -> u32 {
        match &self.placement {
            Placement::Name => object_hash(&self.namespace, name),
            Placement::Key(key) => object_hash(&self.namespace, key),
            Placement::Hash(hash) => *hash,
        }
    }

    /// Reads one.
    pub fn decode(d: &mut Decoder<'_>) -> Result<ObjectLocator, DecodeError> {
        d.versioned("an object's locator", 6, |d, version| {
            if version < 6 {
                return Err(d.invalid("a form older than any that a supported cluster sends"));
            }
            let pool = PoolId::decode(d)?;
            d.i32()?;
            let key = d.blob()?.to_vec();
            let namespace = d.blob()?.to_vec();
            let placement = match (d.i64()?, key.is_empty()) {
                (NO_HASH, true) => Placement::Name,
                (NO_HASH, false) => Placement::Key(key),
                (_, false) => return Err(d.invalid("both a key and a hash")),
                (hash, true) => match u32::try_from(hash) {
                    Ok(hash) => Placement::Hash(hash),
                    Err(_) => return Err(d.invalid("a hash that is no 32-bit number")),
                },
            };
            Ok(ObjectLocator { pool, namespace, placement })
        })
    }

    /// Writes it.
    pub fn encode(&self, e: &mut Encoder<'_>) {
        // Only who knows version 6 looks at the hash, so a locator with one must not be read by anybody else.
        let (compat, hash) = match self.placement {
            Placement::Name | Placement::Key(_) => (3, NO_HASH),
            Placement::Hash(hash) => (6, i64::from(hash)),
        };
        e.versioned(6, compat, |e| {
            e.i64(self.pool.0).i32(NO_PREFERRED);
            e.blob(self.key()).blob(&self.namespace).i64(hash);
        });
    }
}
