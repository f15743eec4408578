//! Ceph's crc32c: Castagnoli's polynomial with the caller's seed as the register's start, and no inversion at the end.
//!
//! The usual crc32c starts with all ones and inverts its result; Ceph does neither by itself. So a checksum can be
//! continued by giving it as the next seed.

/// What most of Ceph's checksums start with: all ones.
pub const SEED: u32 = u32::MAX;

/// The checksum of `bytes`, from `seed` on.
#[inline]
pub fn crc32c(seed: u32, bytes: &[u8]) -> u32 {
    !crc32c::crc32c_append(!seed, bytes)
}

/// The checksum of several slices as if they lay in a row.
#[inline]
pub fn crc32c_slices(seed: u32, slices: &[&[u8]]) -> u32 {
    slices.iter().fold(seed, |crc, slice| crc32c(crc, slice))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    /// The definition, bit by bit.
    fn bitwise(seed: u32, bytes: &[u8]) -> u32 {
        bytes.iter().fold(seed, |crc, &byte| {
            (0..8)
                .fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 })
        })
    }

    #[test]
    fn the_known_values() {
        assert_eq!(crc32c(SEED, b"123456789"), 0x1cf9_6d7c);
        assert_eq!(crc32c(0, b"123456789"), 0x58e3_fa20);
        assert_eq!(crc32c(0, &[0; 28]), 0);
        assert_eq!(crc32c(SEED, b""), 0xffff_ffff);
    }

    proptest! {
        #[test]
        fn it_is_the_definition_and_continues(seed: u32, bytes: Vec<u8>, cut in any::<proptest::sample::Index>()) {
            let whole = crc32c(seed, &bytes);
            prop_assert_eq!(whole, bitwise(seed, &bytes));
            let (a, b) = bytes.split_at(cut.index(bytes.len() + 1));
            prop_assert_eq!(whole, crc32c_slices(seed, &[a, b]));
        }
    }
}
