//! Finding what is not zero.

use std::ops::Range;

/// The granularity at which zeros are left out. Finer would cut writes into small pieces for little space.
pub(super) const BLOCK_BYTES: usize = 64 << 10;

/// The runs of blocks that are not all zeros, as byte ranges of `bytes`.
pub(super) fn data_runs(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (index, block) in bytes.chunks(BLOCK_BYTES).enumerate() {
        if is_zero(block) {
            continue;
        }
        let start = index * BLOCK_BYTES;
        let end = start + block.len();
        match runs.last_mut() {
            Some(run) if run.end == start => run.end = end,
            _ => runs.push(start..end),
        }
    }
    runs
}

/// Whether all bytes are zero. The inner fold has no branch, so it is vectorised.
fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(4096).all(|part| part.iter().fold(0, |seen, byte| seen | byte) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_joined_and_zeros_left_out() {
        let mut bytes = vec![0; 5 * BLOCK_BYTES + 100];
        assert!(data_runs(&bytes).is_empty());
        bytes[BLOCK_BYTES + 5] = 1;
        bytes[3 * BLOCK_BYTES - 1] = 1;
        bytes[5 * BLOCK_BYTES + 99] = 1;
        assert_eq!(data_runs(&bytes), [BLOCK_BYTES..3 * BLOCK_BYTES, 5 * BLOCK_BYTES..5 * BLOCK_BYTES + 100]);
        assert!(data_runs(&[]).is_empty());
    }
}
