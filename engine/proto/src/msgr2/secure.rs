//! How a frame is cut into blocks in secure mode, and the keys of the two ends.
//!
//! ```text
//! first   Enc(preamble 32 │ the first 48 bytes of segment 0, with zeros behind) │ tag     always, 96 bytes
//! second  Enc(the rest of segment 0, padded) │ tag                                       if there is a rest
//! third   Enc(segment 1, padded │ segment 2, padded │ segment 3, padded │ end 16) │ tag  if there are several segments
//! ```
//!
//! Segments are padded with zeros to 16 bytes.

use super::epilogue::SECURE_EPILOGUE_BYTES;
use super::gcm::{GcmPair, TAG_BYTES};
use super::preamble::{DATA, FRONT, HEADER, MIDDLE, PREAMBLE_BYTES, Preamble};
use super::{Opener, Sealer};
use crate::auth::ConnectionSecret;

/// Bytes of segment 0 that travel with the preamble.
pub(super) const INLINE_BYTES: usize = 48;
/// Bytes of the first block, with its tag.
pub(super) const FIRST_BLOCK_BYTES: usize = PREAMBLE_BYTES + INLINE_BYTES + TAG_BYTES;

const BLOCK: usize = 16;

/// The length of a segment with the zeros behind it.
pub(super) const fn padded(len: usize) -> usize {
    len.next_multiple_of(BLOCK)
}

/// Bytes of the second block, with its tag; 0 if there is none.
pub(super) const fn second_block_bytes(first_segment: usize) -> usize {
    match padded(first_segment) {
        0..=INLINE_BYTES => 0,
        padded => padded - INLINE_BYTES + TAG_BYTES,
    }
}

/// Bytes of the third block, with its tag; 0 if there is none.
pub(super) fn third_block_bytes(preamble: &Preamble) -> usize {
    if !preamble.has_epilogue() {
        return 0;
    }
    let segments: usize = [FRONT, MIDDLE, DATA].map(|segment| padded(preamble.len(segment))).iter().sum();
    segments + SECURE_EPILOGUE_BYTES + TAG_BYTES
}

/// Bytes of all blocks after the first.
pub(super) fn rest_bytes(preamble: &Preamble) -> usize {
    second_block_bytes(preamble.len(HEADER)) + third_block_bytes(preamble)
}

/// The two ends of a connection in secure mode, of the one who made it.
pub fn client_ends(secret: &ConnectionSecret) -> (Sealer, Opener) {
    let pair = GcmPair::new(secret);
    (Sealer::secure(pair.client_to_server), Opener::secure(pair.server_to_client))
}

/// The two ends of a connection in secure mode, of the one who accepted it.
pub fn server_ends(secret: &ConnectionSecret) -> (Sealer, Opener) {
    let pair = GcmPair::new(secret);
    (Sealer::secure(pair.server_to_client), Opener::secure(pair.client_to_server))
}
