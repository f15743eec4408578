//! The first 32 bytes of a frame: what it is, and how long its segments are.
//!
//! ```text
//! u8 tag │ u8 segments │ 4 × { u32 length, u16 alignment } │ u8 flags │ u8 0 │ u32 crc (seed 0) of the 28 bytes before
//! ```
//!
//! All lengths are checked against [`FrameLimits`] here, before anything is allocated for them.

use super::header::HEADER_BYTES;
use super::{FrameError, Tag};
use crate::crc;

/// Bytes of a preamble.
pub(super) const PREAMBLE_BYTES: usize = 32;
/// Segments of a frame.
pub(super) const SEGMENTS_MAX: usize = 4;
/// The first segment of a message.
pub(super) const HEADER: usize = 0;
/// The second.
pub(super) const FRONT: usize = 1;
/// The third.
pub(super) const MIDDLE: usize = 2;
/// The last.
pub(super) const DATA: usize = 3;

const CRC_AT: usize = 28;
const FLAGS_AT: usize = 26;
/// Where a receiver may want control payloads in memory.
const ALIGN_SMALL: u16 = 8;
/// Where a receiver may want data in memory: on a page.
const ALIGN_DATA: u16 = 4096;

/// How long the segments of a frame may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLimits {
    segment_bytes_max: [u32; SEGMENTS_MAX],
}

impl FrameLimits {
    /// Until the peer has proved who it is: control frames of one segment. The largest carry tickets of some hundred
    /// bytes each; 64 KiB is far more than any has, and little enough for anybody to make us hold.
    pub const HANDSHAKE: FrameLimits = FrameLimits { segment_bytes_max: [64 << 10, 0, 0, 0] };

    /// On an established connection. Fronts carry maps: a monitor puts 10 MiB of them into a message unless told
    /// otherwise, and the map of ten thousand OSDs is of that size. Nothing that ringbd asks for has a middle. Data is an
    /// object or a part of one: OSDs refuse objects beyond 128 MiB.
    pub const ESTABLISHED: FrameLimits =
        FrameLimits { segment_bytes_max: [64 << 10, 64 << 20, 1 << 20, 128 << 20] };
}

/// What a frame is, and how long its segments are. The lengths behind the last segment are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Preamble {
    pub(super) tag: Tag,
    /// 1 to 4.
    pub(super) segments: usize,
    pub(super) lens: [u32; SEGMENTS_MAX],
}

impl Preamble {
    /// Of a frame with segments this long. Empty ones at the end are left out; one is left.
    pub(super) fn new(tag: Tag, lens: [usize; SEGMENTS_MAX]) -> Preamble {
        let segments = lens.iter().rposition(|&len| len > 0).map_or(1, |last| last + 1);
        let lens = lens.map(|len| u32::try_from(len).expect("a segment that ringbd sends is below 4 GiB"));
        Preamble { tag, segments, lens }
    }

    /// Reads one and checks all that it says.
    pub(super) fn decode(bytes: &[u8; PREAMBLE_BYTES], limits: &FrameLimits) -> Result<Preamble, FrameError> {
        let found = crc::crc32c(0, &bytes[..CRC_AT]);
        let expected = u32_at(bytes, CRC_AT);
        if found != expected {
            return Err(FrameError::PreambleChecksum { found, expected });
        }
        let tag = Tag::from_number(bytes[0]).ok_or(FrameError::UnknownTag(bytes[0]))?;
        let count = bytes[1];
        let segments = usize::from(count);
        if !(1..=SEGMENTS_MAX).contains(&segments) {
            return Err(FrameError::SegmentCount { tag, count });
        }
        if bytes[FLAGS_AT] != 0 {
            return Err(FrameError::Flags { tag, flags: bytes[FLAGS_AT] });
        }
        let mut lens = [0; SEGMENTS_MAX];
        for (segment, len) in lens.iter_mut().enumerate().take(segments) {
            *len = u32_at(bytes, 2 + 6 * segment);
        }
        let preamble = Preamble { tag, segments, lens };
        preamble.check(limits)?;
        Ok(preamble)
    }

    fn check(&self, limits: &FrameLimits) -> Result<(), FrameError> {
        let tag = self.tag;
        if self.segments > 1 && self.lens[self.segments - 1] == 0 {
            return Err(FrameError::EmptyLastSegment { tag, count: self.segments as u8 });
        }
        for (segment, (&len, &max)) in self.lens.iter().zip(&limits.segment_bytes_max).enumerate() {
            let max = if segment > 0 && tag != Tag::Message { 0 } else { max };
            if len > max {
                return Err(FrameError::SegmentTooLong { tag, segment, len, max });
            }
        }
        if tag == Tag::Message && self.len(HEADER) != HEADER_BYTES {
            return Err(FrameError::HeaderLength(self.lens[HEADER]));
        }
        Ok(())
    }

    /// Writes it.
    pub(super) fn encode(&self) -> [u8; PREAMBLE_BYTES] {
        let mut bytes = [0; PREAMBLE_BYTES];
        bytes[0] = self.tag.number();
        bytes[1] = self.segments as u8;
        for (segment, len) in self.lens.iter().enumerate().take(self.segments) {
            let at = 2 + 6 * segment;
            let align = if segment == DATA { ALIGN_DATA } else { ALIGN_SMALL };
            bytes[at..at + 4].copy_from_slice(&len.to_le_bytes());
            bytes[at + 4..at + 6].copy_from_slice(&align.to_le_bytes());
        }
        let crc = crc::crc32c(0, &bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Bytes of a segment.
    pub(super) fn len(&self, segment: usize) -> usize {
        self.lens[segment] as usize
    }

    /// Whether the frame has an end of its own, which says whether it is complete.
    pub(super) fn has_epilogue(&self) -> bool {
        self.segments > 1
    }
}

fn u32_at(bytes: &[u8; PREAMBLE_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A preamble with this tag, count and first length, and the right checksum.
    fn raw(tag: u8, count: u8, lens: &[u32]) -> [u8; PREAMBLE_BYTES] {
        let mut bytes = [0; PREAMBLE_BYTES];
        bytes[0] = tag;
        bytes[1] = count;
        for (segment, len) in lens.iter().enumerate() {
            bytes[2 + 6 * segment..6 + 6 * segment].copy_from_slice(&len.to_le_bytes());
        }
        sealed(bytes)
    }

    fn sealed(mut bytes: [u8; PREAMBLE_BYTES]) -> [u8; PREAMBLE_BYTES] {
        let crc = crc::crc32c(0, &bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn refusal(bytes: [u8; PREAMBLE_BYTES], limits: FrameLimits) -> FrameError {
        Preamble::decode(&bytes, &limits).expect_err("it must be refused")
    }

    #[test]
    fn nine_segments_are_refused() {
        let error = refusal(raw(1, 9, &[8]), FrameLimits::HANDSHAKE);
        assert_eq!(error, FrameError::SegmentCount { tag: Tag::Hello, count: 9 });
        let error = refusal(raw(17, 0, &[]), FrameLimits::ESTABLISHED);
        assert_eq!(error, FrameError::SegmentCount { tag: Tag::Message, count: 0 });
    }

    #[test]
    fn lengths_beyond_the_limits_are_refused() {
        let error = refusal(raw(1, 1, &[u32::MAX]), FrameLimits::HANDSHAKE);
        let max = 64 << 10;
        assert_eq!(error, FrameError::SegmentTooLong { tag: Tag::Hello, segment: 0, len: u32::MAX, max });
        let all = [u32::MAX; 4];
        for limits in [FrameLimits::HANDSHAKE, FrameLimits::ESTABLISHED] {
            assert!(matches!(refusal(raw(17, 4, &all), limits), FrameError::SegmentTooLong { .. }));
        }
        let error = refusal(raw(17, 2, &[41, 1]), FrameLimits::HANDSHAKE);
        assert_eq!(error, FrameError::SegmentTooLong { tag: Tag::Message, segment: 1, len: 1, max: 0 });
        let error = refusal(raw(18, 2, &[8, 8]), FrameLimits::ESTABLISHED);
        assert_eq!(error, FrameError::SegmentTooLong { tag: Tag::Keepalive2, segment: 1, len: 8, max: 0 });
    }

    #[test]
    fn an_empty_last_segment_is_refused() {
        let error = refusal(raw(17, 4, &[41, 5, 0, 0]), FrameLimits::ESTABLISHED);
        assert_eq!(error, FrameError::EmptyLastSegment { tag: Tag::Message, count: 4 });
    }

    #[test]
    fn a_header_of_another_size_is_refused() {
        let error = refusal(raw(17, 1, &[40]), FrameLimits::ESTABLISHED);
        assert_eq!(error, FrameError::HeaderLength(40));
    }

    #[test]
    fn flags_and_tags_that_were_not_agreed_on_are_refused() {
        let mut bytes = raw(18, 1, &[8]);
        bytes[FLAGS_AT] = 1;
        let error = refusal(sealed(bytes), FrameLimits::ESTABLISHED);
        assert_eq!(error, FrameError::Flags { tag: Tag::Keepalive2, flags: 1 });
        assert_eq!(refusal(raw(21, 1, &[8]), FrameLimits::ESTABLISHED), FrameError::UnknownTag(21));
        let mut bytes = raw(18, 1, &[8]);
        bytes[3] ^= 1;
        assert!(matches!(refusal(bytes, FrameLimits::ESTABLISHED), FrameError::PreambleChecksum { .. }));
    }

    #[test]
    fn empty_segments_at_the_end_are_left_out() {
        let preamble = Preamble::new(Tag::Message, [41, 0, 0, 0]);
        assert_eq!((preamble.segments, preamble.has_epilogue()), (1, false));
        assert_eq!(Preamble::new(Tag::Message, [41, 0, 0, 9]).segments, 4);
        assert_eq!(Preamble::new(Tag::Wait, [0; 4]).segments, 1);
        let preamble = Preamble::new(Tag::Message, [41, 7, 0, 9]);
        assert_eq!(Preamble::decode(&preamble.encode(), &FrameLimits::ESTABLISHED), Ok(preamble));
    }
}
