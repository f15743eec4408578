//! The logarithm that straw2 draws with: 2^44·log2(x+1) in integers, from three small tables.
//!
//! The tables are computed at compile time from their definition, except that the fine one must repeat the
//! inaccuracies with which it was first published: all placements of all clusters depend on them.

/// 2^48·128/(128+k), rounded up: the reciprocal that moves x next to a power of two.
/// Beside it 2^48·log2(1+k/128), rounded down.
const COARSE: [(u64, u64); 129] = coarse();
/// 2^48·log2(1+k/2^15), with its historic errors.
const FINE: [u64; 256] = fine();

/// 2^48: the logarithm of 2^16 in the scale of [`crush_ln`], of which straw2 takes the distance.
const ONE: u64 = 1 << 48;

/// What most entries of the fine table are too large by.
const FINE_ERROR: u64 = 0x1_4770_0000;

/// The entries of the fine table whose error is another.
const FINE_ERRORS: [(usize, u64); 23] = [
    (56, 0x1_3ed9_b9b0),
    (127, 0x3a4f_4285),
    (134, 0xd5e8_95a5),
    (181, 0xeee4_abc5),
    (184, 0x1_4340_b8bf),
    (188, 0x833e_b34b),
    (193, 0xe43e_ed13),
    (198, 0x95ad_3c32),
    (199, 0x9f2a_5b80),
    (200, 0xe2f4_5e65),
    (207, 0x1_2cba_cd37),
    (210, 0x1_144d_0710),
    (212, 0xdac5_961c),
    (225, 0xbf46_f5f9),
    (227, 0x5a42_d14a),
    (228, 0x9eac_5357),
    (229, 0x217c_fafc),
    (231, 0xd2d5_723c),
    (235, 0x1_21cb_06eb),
    (236, 0x1_3ac6_617a),
    (240, 0x9df6_bfdd),
    (241, 0xfa8d_3579),
    (247, 0x1595_5a58),
];

/// The entries of the fine table that are exact, besides those from [`FINE_EXACT_FROM`] on.
const FINE_EXACT: [usize; 13] = [0, 1, 203, 216, 222, 233, 237, 238, 239, 243, 244, 245, 246];
const FINE_EXACT_FROM: usize = 248;

/// 2^48·log2(1+k/2^bits), rounded down, for k < 2^bits: digit by digit, squaring the argument for each.
const fn log2(k: u64, bits: u32) -> u64 {
    let one = 62;
    let mut x: u64 = (1 << one) + (k << (one - bits));
    let mut log = 0;
    let mut digit = 0;
    while digit < 48 {
        x = ((x as u128 * x as u128) >> one) as u64;
        log <<= 1;
        if x >= 1 << (one + 1) {
            x >>= 1;
            log |= 1;
        }
        digit += 1;
    }
    log
}

const fn coarse() -> [(u64, u64); 129] {
    let mut table = [(0, 0); 129];
    let mut k = 0;
    while k < 128 {
        table[k] = ((ONE * 128).div_ceil(128 + k as u64), log2(k as u64, 7));
        k += 1;
    }
    table[128] = (ONE / 2, 0xffff_0000_0000);
    table
}

const fn fine() -> [u64; 256] {
    let mut table = [0; 256];
    let mut k = 0;
    while k < 256 {
        let error = if k < FINE_EXACT_FROM { FINE_ERROR } else { 0 };
        table[k] = log2(k as u64, 15) + error;
        k += 1;
    }
    let mut n = 0;
    while n < FINE_EXACT.len() {
        table[FINE_EXACT[n]] -= FINE_ERROR;
        n += 1;
    }
    let mut n = 0;
    while n < FINE_ERRORS.len() {
        let (k, error) = FINE_ERRORS[n];
        table[k] = table[k] - FINE_ERROR + error;
        n += 1;
    }
    table
}

/// 2^44·log2(x+1) for x < 2^16.
#[inline]
fn crush_ln(x: u32) -> u64 {
    debug_assert!(x < 1 << 16);
    let x = x + 1;
    // Shift x up until it lies between 2^15 and 2^16; each bit is a whole number in the logarithm.
    let bits = x.leading_zeros().saturating_sub(16);
    let x = u64::from(x << bits);
    let (reciprocal, log) = COARSE[(x >> 8) as usize - 128];
    let rest = (x * reciprocal) >> 48;
    (u64::from(15 - bits) << 44) + ((log + FINE[(rest & 0xff) as usize]) >> 4)
}

/// How far below 1 the logarithm of a 16-bit random number is, for straw2: 2^48 − [`crush_ln`].
#[inline]
pub(super) fn below_one(x: u32) -> u64 {
    ONE - crush_ln(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::digest::{SHA256, digest};

    fn sha256(words: impl Iterator<Item = u64>) -> String {
        let bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        digest(&SHA256, &bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_tables_are_those_that_clusters_use() {
        let coarse = COARSE.iter().flat_map(|&(reciprocal, log)| [reciprocal, log]);
        assert_eq!(
            sha256(coarse.chain(FINE)),
            "15a55531c6346fcb2c14f7c8248dddb44b5307ff26d030f2b6dab74cf8774157"
        );
    }

    #[test]
    fn every_logarithm_is_that_of_clusters() {
        assert_eq!(
            sha256((0..1 << 16).map(crush_ln)),
            "7e86f34e8fedc36c3b6252e5a6e4fe3fa4e115ed44e16f58f7fed6543aa1bd20"
        );
        for (x, ln) in [(0, 0), (1, 0x1000_0000_0000), (1000, 0x9f79_b349_27a5), (65535, 0xffff_f000_0000)] {
            assert_eq!(crush_ln(x), ln, "{x}");
        }
    }

    #[test]
    fn the_logarithm_falls_only_from_one_number_to_the_next() {
        // Straw2 relies on it when it passes over what cannot win.
        let mut highest = 0;
        for x in 2..1 << 16 {
            highest = highest.max(crush_ln(x - 2));
            assert!(crush_ln(x) >= highest, "{x}");
        }
    }
}
