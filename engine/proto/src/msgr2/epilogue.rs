//! The end of a frame with several segments: whether the sender completed it and, in crc mode, the checksums of the
//! segments after the first.
//!
//! A sender that cannot go on in the middle of a frame still sends as many bytes as it announced, and says at the end
//! that they are worth nothing. Such a frame is read whole, checked, and dropped.

use super::preamble::{DATA, FRONT, MIDDLE, Preamble, SEGMENTS_MAX};
use super::{FrameError, Tag};

/// Bytes of an end in crc mode: status, three checksums.
pub(super) const CRC_EPILOGUE_BYTES: usize = 13;
/// Bytes of an end in secure mode, before it is encrypted: status, zeros.
pub(super) const SECURE_EPILOGUE_BYTES: usize = 16;

const STATUS_MASK: u8 = 0x0f;
const ABORTED: u8 = 0x01;
/// What a completed frame ends with.
pub(super) const COMPLETE: u8 = 0x0e;

/// Whether a frame was completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LateStatus {
    Complete,
    Aborted,
}

impl LateStatus {
    pub(super) fn decode(tag: Tag, status: u8) -> Result<LateStatus, FrameError> {
        match status & STATUS_MASK {
            COMPLETE => Ok(LateStatus::Complete),
            ABORTED => Ok(LateStatus::Aborted),
            _ => Err(FrameError::LateStatus { tag, status }),
        }
    }
}

/// The end of a complete frame in crc mode. Segments that the frame does not have count as 0.
pub(super) fn encode_crc(preamble: &Preamble, crcs: [u32; SEGMENTS_MAX]) -> [u8; CRC_EPILOGUE_BYTES] {
    let mut bytes = [0; CRC_EPILOGUE_BYTES];
    bytes[0] = COMPLETE;
    for (segment, crc) in crcs.iter().enumerate().take(preamble.segments).skip(FRONT) {
        bytes[crc_at(segment)..][..4].copy_from_slice(&crc.to_le_bytes());
    }
    bytes
}

/// Compares what the end of a frame in crc mode says with the checksums of what arrived.
pub(super) fn check_crc(
    preamble: &Preamble,
    epilogue: &[u8; CRC_EPILOGUE_BYTES],
    crcs: [u32; SEGMENTS_MAX],
) -> Result<LateStatus, FrameError> {
    let tag = preamble.tag;
    for (segment, &found) in crcs.iter().enumerate().take(preamble.segments).skip(FRONT) {
        let at = crc_at(segment);
        let expected =
            u32::from_le_bytes([epilogue[at], epilogue[at + 1], epilogue[at + 2], epilogue[at + 3]]);
        if found != expected {
            return Err(FrameError::SegmentChecksum { tag, segment, found, expected });
        }
    }
    LateStatus::decode(tag, epilogue[0])
}

const fn crc_at(segment: usize) -> usize {
    1 + 4 * (segment - FRONT)
}

const _: () = assert!(crc_at(MIDDLE) == 5 && crc_at(DATA) + 4 == CRC_EPILOGUE_BYTES);
