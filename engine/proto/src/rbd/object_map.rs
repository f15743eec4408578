//! The object map: two bits for each object of an image, which say whether it exists.
//!
//! ```text
//!   on disk and in calls
//!   u32 14 ┆ header: 1, 1, u32 8, u64 objects ┆ bits, four objects a byte, the first highest ┆ u32 n ┆ footer of n bytes
//!   footer: u32 crc of the header ┆ u32 blocks ┆ u32 crc of each 4096 bytes of bits; empty in calls
//! ```

use crate::codec::{DecodeError, DecodeErrorKind, Decoder, Encoder};
use crate::crc::crc32c;
use thiserror::Error;

/// Objects of one map: what Ceph's clients allow, 64 MiB of bits.
pub const OBJECTS_MAX: u64 = 256_000_000;
/// Bytes of bits that share a checksum.
const BLOCK: usize = 4096;
/// Bytes of the header.
const HEADER_BYTES: u32 = 14;

/// Whether an object exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectState {
    /// It does not.
    Nonexistent,
    /// It does, or may.
    Exists,
    /// It is being removed.
    Pending,
    /// It does, and has not changed since the last snapshot.
    ExistsClean,
}

impl ObjectState {
    /// Its two bits.
    pub const fn bits(self) -> u8 {
        match self {
            ObjectState::Nonexistent => 0,
            ObjectState::Exists => 1,
            ObjectState::Pending => 2,
            ObjectState::ExistsClean => 3,
        }
    }

    const fn from_bits(bits: u8) -> ObjectState {
        match bits & 3 {
            0 => ObjectState::Nonexistent,
            1 => ObjectState::Exists,
            2 => ObjectState::Pending,
            _ => ObjectState::ExistsClean,
        }
    }
}

/// An image that is too long for a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{0} objects are more than an object map can have")]
pub struct ObjectMapError(pub u64);

/// The states of an image's objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectMap {
    objects: u64,
    bits: Vec<u8>,
}

impl ObjectMap {
    /// A map of so many objects that do not exist.
    ///
    /// # Errors
    /// There are too many.
    pub fn new(objects: u64) -> Result<ObjectMap, ObjectMapError> {
        Ok(ObjectMap { objects, bits: vec![0; bytes_for(objects)?] })
    }

    /// How many objects it is of.
    pub fn objects(&self) -> u64 {
        self.objects
    }

    /// The state of an object; one behind the map's end does not exist.
    pub fn state(&self, object: u64) -> ObjectState {
        match self.place(object) {
            Some((byte, shift)) => ObjectState::from_bits(self.bits[byte] >> shift),
            None => ObjectState::Nonexistent,
        }
    }

    /// Sets the state of an object.
    ///
    /// # Panics
    /// When the map is not of that object.
    pub fn set(&mut self, object: u64, state: ObjectState) {
        let (byte, shift) = self.place(object).expect("a state is set of an object that the map is of");
        self.bits[byte] = self.bits[byte] & !(3 << shift) | state.bits() << shift;
    }

    /// The objects that exist or may, in order.
    pub fn present(&self) -> impl Iterator<Item = u64> {
        (0..self.objects).filter(|&object| self.state(object) != ObjectState::Nonexistent)
    }

    fn place(&self, object: u64) -> Option<(usize, u32)> {
        if object >= self.objects {
            return None;
        }
        let byte = usize::try_from(object / 4).expect("the bits are in memory");
        Some((byte, 6 - 2 * (object % 4) as u32))
    }

    /// Reads it from its object, where its checksums must fit, or from a call's answer, which has none.
    pub fn decode(bytes: &[u8]) -> Result<ObjectMap, DecodeError> {
        let mut d = Decoder::new("an object map", bytes);
        let mut header = d.nested("an object map's header")?;
        let header_bytes = header.clone().bytes(header.left())?;
        let objects = header.versioned("an object map's header", 1, |d, _| d.u64())?;
        let len = bytes_for(objects).map_err(|_| d.invalid("more objects than a map can have"))?;
        let bits = d.bytes(len)?;
        let mut footer = d.nested("an object map's footer")?;
        if footer.left() > 0 {
            check(&footer, footer.clone().u32()?, header_bytes)?;
            footer.u32()?;
            if footer.u32()? as usize != len.div_ceil(BLOCK) {
                return Err(footer.invalid("checksums that are not one for each block"));
            }
            for block in bits.chunks(BLOCK) {
                check(&footer, footer.clone().u32()?, block)?;
                footer.u32()?;
            }
        }
        Ok(ObjectMap { objects, bits: bits.to_vec() })
    }

    /// Writes it as its object holds it.
    pub fn encode(&self, e: &mut Encoder<'_>) {
        self.encode_bits(e);
        e.nested(|e| {
            let header = Encoder::to_vec(|e| self.encode_header(e));
            e.u32(crc32c(0, &header));
            e.list(self.bits.chunks(BLOCK), |e, block| {
                e.u32(crc32c(0, block));
            });
        });
    }

    /// Writes it as calls take it.
    pub fn encode_for_call(&self, e: &mut Encoder<'_>) {
        self.encode_bits(e);
        e.u32(0);
    }

    fn encode_header(&self, e: &mut Encoder<'_>) {
        e.versioned(1, 1, |e| {
            e.u64(self.objects);
        });
    }

    fn encode_bits(&self, e: &mut Encoder<'_>) {
        e.u32(HEADER_BYTES);
        self.encode_header(e);
        e.bytes(&self.bits);
    }
}

fn bytes_for(objects: u64) -> Result<usize, ObjectMapError> {
    match objects {
        0..=OBJECTS_MAX => usize::try_from(objects.div_ceil(4)).map_err(|_| ObjectMapError(objects)),
        _ => Err(ObjectMapError(objects)),
    }
}

fn check(at: &Decoder<'_>, expected: u32, bytes: &[u8]) -> Result<(), DecodeError> {
    match crc32c(0, bytes) {
        found if found == expected => Ok(()),
        found => Err(at.error(DecodeErrorKind::Checksum { found, expected })),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

    fn states() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(0_u8..4, 0..40_000)
    }

    proptest! {
        #![proptest_config(proptest::test_runner::Config { cases: 64, ..Default::default() })]

        #[test]
        fn it_is_a_list_of_states(states in states(), flip in any::<proptest::sample::Index>()) {
            let mut map = ObjectMap::new(states.len() as u64).unwrap();
            for (object, bits) in states.iter().enumerate().rev() {
                map.set(object as u64, ObjectState::from_bits(*bits));
            }
            for (object, bits) in states.iter().enumerate() {
                prop_assert_eq!(map.state(object as u64).bits(), *bits);
            }
            prop_assert_eq!(map.state(map.objects()), ObjectState::Nonexistent);
            let present = states.iter().enumerate().filter(|(_, bits)| **bits != 0).map(|(at, _)| at as u64);
            prop_assert!(map.present().eq(present));
            let mut stored = Encoder::to_vec(|e| map.encode(e));
            prop_assert_eq!(&ObjectMap::decode(&stored).unwrap(), &map);
            let called = Encoder::to_vec(|e| map.encode_for_call(e));
            prop_assert_eq!(&ObjectMap::decode(&called).unwrap(), &map);
            // Whatever bit is turned shows: in the lengths, or by a checksum.
            let at = flip.index(stored.len());
            stored[at] ^= 0x10;
            prop_assert!(ObjectMap::decode(&stored).is_err() || at < 6, "byte {}", at);
        }
    }

    #[test]
    fn an_announced_size_does_not_allocate() {
        assert!(ObjectMap::new(OBJECTS_MAX + 1).is_err());
        let empty = ObjectMap::new(0).unwrap();
        let mut bytes = Encoder::to_vec(|e| empty.encode(e));
        bytes[10..18].copy_from_slice(&OBJECTS_MAX.to_le_bytes());
        assert!(ObjectMap::decode(&bytes).is_err());
    }
}
