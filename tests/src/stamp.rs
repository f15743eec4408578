//! Blocks that say who wrote them: every 512-byte sector carries its place, its version and a pattern made of both.

/// The unit of the tests' writes.
pub const BLOCK_BYTES: usize = 4096;
/// What a disk writes whole or not at all.
pub const SECTOR_BYTES: usize = 512;

/// Fills a block with the stamp of `version`; version 0 is all zeros.
pub fn fill(block: u64, version: u64, bytes: &mut [u8]) {
    assert_eq!(bytes.len(), BLOCK_BYTES);
    for (n, sector) in bytes.chunks_exact_mut(SECTOR_BYTES).enumerate() {
        if version == 0 {
            sector.fill(0);
            continue;
        }
        let place = block * (BLOCK_BYTES / SECTOR_BYTES) as u64 + n as u64;
        let mut pattern = place ^ version.rotate_left(32);
        for (at, word) in sector.chunks_exact_mut(8).enumerate() {
            let value = match at {
                0 => place,
                1 => version,
                _ => {
                    pattern = pattern.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
                    pattern
                }
            };
            word.copy_from_slice(&value.to_le_bytes());
        }
    }
}

/// Whose stamp one sector of a block carries: 0 for zeros, or an error that says what is there instead.
pub fn read(block: u64, sector: usize, bytes: &[u8]) -> Result<u64, String> {
    assert_eq!(bytes.len(), SECTOR_BYTES);
    if bytes.iter().all(|&byte| byte == 0) {
        return Ok(0);
    }
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let (place, version) = (word(0), word(8));
    let mut whole = vec![0; BLOCK_BYTES];
    fill(block, version, &mut whole);
    if whole[sector * SECTOR_BYTES..][..SECTOR_BYTES] == *bytes {
        return Ok(version);
    }
    Err(format!(
        "block {block} sector {sector}: neither zeros nor a stamp (place {place}, version {version})"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_reads_back_and_a_flipped_bit_does_not() {
        let mut block = vec![0; BLOCK_BYTES];
        fill(7, 42, &mut block);
        for sector in 0..8 {
            assert_eq!(read(7, sector, &block[sector * 512..][..512]), Ok(42));
            assert!(read(8, sector, &block[sector * 512..][..512]).is_err(), "a stamp of another place");
        }
        block[100] ^= 1;
        assert!(read(7, 0, &block[..512]).is_err());
    }
}
