//! Reading in crc mode.
//!
//! ```text
//! preamble 32 │ segment 0 │ crc 4, if segment 0 is not empty │ segments 1 to 3 │ end 13, if there are several segments
//! ```

use super::{Arrived, Piece, Room, Step, clear, fill, header};
use crate::crc::{self, SEED};
use crate::msgr2::epilogue::{self, CRC_EPILOGUE_BYTES, LateStatus};
use crate::msgr2::preamble::{
    DATA, FRONT, FrameLimits, HEADER, MIDDLE, PREAMBLE_BYTES, Preamble, SEGMENTS_MAX,
};
use crate::msgr2::{FrameError, Landing};
use std::mem;
use std::ops::DerefMut;

const CRC_BYTES: usize = 4;
/// Data this long lands at once. Shorter data waits for the next piece first, which may have it whole; a piece is not
/// longer than this, the size of a receive buffer.
const PIECE_BYTES_MAX: usize = 64 << 10;

/// How far the frame under way has come.
#[derive(Debug)]
pub(super) struct CrcReader<B> {
    stage: Stage<B>,
}

#[derive(Debug)]
enum Stage<B> {
    /// Nothing has arrived.
    Between,
    /// The preamble is being gathered.
    Preamble,
    /// The first segment is being gathered.
    First(Preamble),
    /// What comes before the data is being gathered.
    Front(Preamble),
    /// The data goes into a landing buffer. `crc` is its checksum so far.
    Landing { preamble: Preamble, room: Room<B>, crc: u32 },
    /// The landing buffer is taken out.
    Away { preamble: Preamble, filled: usize, crc: u32 },
    /// The end is being gathered; and before it the data, if it is not in a landing buffer.
    Rest { preamble: Preamble, landed: Option<(B, u32)> },
}

impl<B: DerefMut<Target = [u8]>> CrcReader<B> {
    pub(super) fn is_between_frames(&self) -> bool {
        matches!(self.stage, Stage::Between)
    }

    pub(super) fn step<'i, L: Landing<Buf = B>>(
        &mut self,
        scratch: &mut Vec<u8>,
        input: &mut &'i [u8],
        limits: &FrameLimits,
        landing: &mut L,
    ) -> Result<Step<'i, B>, FrameError> {
        match &mut self.stage {
            Stage::Between if input.is_empty() => return Ok(Step::Starved),
            Stage::Between => {
                if let Some(arrived) = whole(input, limits)? {
                    return Ok(Step::Arrived(arrived));
                }
                clear(scratch);
                self.stage = Stage::Preamble;
            }
            Stage::Preamble => {
                if !fill(scratch, input, PREAMBLE_BYTES) {
                    return Ok(Step::Starved);
                }
                let bytes = scratch.first_chunk().expect("the preamble was gathered");
                self.stage = Stage::First(Preamble::decode(bytes, limits)?);
            }
            Stage::First(preamble) => {
                let preamble = *preamble;
                if !fill(scratch, input, first_end(&preamble)) {
                    return Ok(Step::Starved);
                }
                check_first(&preamble, &scratch[PREAMBLE_BYTES..])?;
                if !preamble.has_epilogue() {
                    return Ok(self.arrived(gathered(&preamble, LateStatus::Complete, None)));
                }
                self.stage = Stage::Front(preamble);
            }
            Stage::Front(preamble) => {
                let preamble = *preamble;
                if !fill(scratch, input, data_at(&preamble)) {
                    return Ok(Step::Starved);
                }
                if let Some(arrived) = data_whole(&preamble, scratch, input)? {
                    return Ok(self.arrived(arrived));
                }
                if input.is_empty() && preamble.len(DATA) <= PIECE_BYTES_MAX {
                    return Ok(Step::Starved);
                }
                self.stage = land(preamble, scratch, landing);
            }
            Stage::Landing { room, crc, .. } => {
                if !room.fill(input, crc) {
                    return Ok(Step::Starved);
                }
                self.landing_is_full();
            }
            Stage::Away { .. } => {
                assert!(input.is_empty(), "the landing buffer is put back before anything is read");
                return Ok(Step::Starved);
            }
            Stage::Rest { preamble, landed } => {
                let data_bytes = if landed.is_some() { 0 } else { preamble.len(DATA) };
                if !fill(scratch, input, data_at(preamble) + data_bytes + CRC_EPILOGUE_BYTES) {
                    return Ok(Step::Starved);
                }
                let (preamble, landed) = (*preamble, landed.take());
                let data_crc = landed.as_ref().map(|(_, crc)| *crc);
                let status = check_gathered(&preamble, scratch, data_crc)?;
                return Ok(self.arrived(gathered(&preamble, status, landed.map(|(buf, _)| buf))));
            }
        }
        Ok(Step::Onward)
    }

    fn arrived<'i>(&mut self, arrived: Arrived<'i, B>) -> Step<'i, B> {
        self.stage = Stage::Between;
        Step::Arrived(arrived)
    }

    pub(super) fn take_room(&mut self, missing_min: usize) -> Option<Room<B>> {
        match mem::replace(&mut self.stage, Stage::Between) {
            Stage::Landing { preamble, room, crc } if room.buf.len() - room.filled >= missing_min => {
                self.stage = Stage::Away { preamble, filled: room.filled, crc };
                Some(room)
            }
            stage => {
                self.stage = stage;
                None
            }
        }
    }

    pub(super) fn put_back(&mut self, mut room: Room<B>, received: usize) {
        let Stage::Away { preamble, filled, mut crc } = self.stage else {
            panic!("no landing buffer was taken out");
        };
        assert_eq!((room.buf.len(), room.filled), (preamble.len(DATA), filled), "it is the buffer taken out");
        crc = crc::crc32c(crc, &room.buf[filled..filled + received]);
        room.filled += received;
        self.stage = Stage::Landing { preamble, room, crc };
    }

    fn landing_is_full(&mut self) {
        let Stage::Landing { preamble, room, crc } = mem::replace(&mut self.stage, Stage::Between) else {
            unreachable!("only a landing buffer can be full");
        };
        self.stage = Stage::Rest { preamble, landed: Some((room.buf, crc)) };
    }
}

impl<B> CrcReader<B> {
    pub(super) fn new() -> CrcReader<B> {
        CrcReader { stage: Stage::Between }
    }
}

impl<B: DerefMut<Target = [u8]>> Room<B> {
    /// Moves bytes from `input` into the buffer and its checksum. Says whether the buffer is full.
    fn fill(&mut self, input: &mut &[u8], crc: &mut u32) -> bool {
        let missing = &mut self.buf[self.filled..];
        let (taken, rest) = input.split_at(missing.len().min(input.len()));
        missing[..taken.len()].copy_from_slice(taken);
        *crc = crc::crc32c(*crc, taken);
        *input = rest;
        let is_full = taken.len() == missing.len();
        self.filled += taken.len();
        is_full
    }
}

/// Where the first segment and its checksum end.
fn first_end(preamble: &Preamble) -> usize {
    match preamble.len(HEADER) {
        0 => PREAMBLE_BYTES,
        len => PREAMBLE_BYTES + len + CRC_BYTES,
    }
}

/// Where the data begins, if there is any.
fn data_at(preamble: &Preamble) -> usize {
    first_end(preamble) + preamble.len(FRONT) + preamble.len(MIDDLE)
}

/// Where the frame ends.
fn end(preamble: &Preamble) -> usize {
    data_at(preamble) + preamble.len(DATA) + if preamble.has_epilogue() { CRC_EPILOGUE_BYTES } else { 0 }
}

/// Checks the first segment, which lies at the beginning of `bytes`.
fn check_first(preamble: &Preamble, bytes: &[u8]) -> Result<(), FrameError> {
    let (segment, rest) = bytes.split_at(preamble.len(HEADER));
    if segment.is_empty() {
        return Ok(());
    }
    let found = crc::crc32c(SEED, segment);
    let expected = u32::from_le_bytes(*rest.first_chunk().expect("the checksum was gathered too"));
    match found == expected {
        true => Ok(()),
        false => Err(FrameError::SegmentChecksum { tag: preamble.tag, segment: HEADER, found, expected }),
    }
}

/// Checks the other segments and the end.
fn check_rest(
    preamble: &Preamble,
    front: &[u8],
    middle: &[u8],
    data_crc: u32,
    epilogue: &[u8],
) -> Result<LateStatus, FrameError> {
    let crcs = [0, crc::crc32c(SEED, front), crc::crc32c(SEED, middle), data_crc];
    epilogue::check_crc(preamble, epilogue.first_chunk().expect("the end was gathered"), crcs)
}

/// A frame that lies whole in the input, if it does.
fn whole<'i, B>(input: &mut &'i [u8], limits: &FrameLimits) -> Result<Option<Arrived<'i, B>>, FrameError> {
    let Some(bytes) = input.first_chunk() else { return Ok(None) };
    let preamble = Preamble::decode(bytes, limits)?;
    let Some((frame, rest)) = input.split_at_checked(end(&preamble)) else { return Ok(None) };
    *input = rest;
    check_first(&preamble, &frame[PREAMBLE_BYTES..])?;
    let first = &frame[PREAMBLE_BYTES..][..preamble.len(HEADER)];
    let (front, rest) = frame[first_end(&preamble)..].split_at(preamble.len(FRONT));
    let (middle, rest) = rest.split_at(preamble.len(MIDDLE));
    let (data, epilogue) = rest.split_at(preamble.len(DATA));
    let status = match preamble.has_epilogue() {
        true => check_rest(&preamble, front, middle, crc::crc32c(SEED, data), epilogue)?,
        false => LateStatus::Complete,
    };
    let segments = [first, front, middle, data].map(Piece::Input);
    Ok(Some(Arrived { preamble, status, segments, landed: None }))
}

/// A frame of which all before the data was gathered and the rest lies whole in the input, if it does.
fn data_whole<'i, B>(
    preamble: &Preamble,
    scratch: &[u8],
    input: &mut &'i [u8],
) -> Result<Option<Arrived<'i, B>>, FrameError> {
    let bytes = preamble.len(DATA) + CRC_EPILOGUE_BYTES;
    let Some((rest, after)) = input.split_at_checked(bytes) else { return Ok(None) };
    *input = after;
    let (data, epilogue) = rest.split_at(preamble.len(DATA));
    let (front, middle) = scratch[first_end(preamble)..].split_at(preamble.len(FRONT));
    let status = check_rest(preamble, front, middle, crc::crc32c(SEED, data), epilogue)?;
    let mut arrived = gathered(preamble, status, None);
    arrived.segments[DATA] = Piece::Input(data);
    Ok(Some(arrived))
}

/// Checks a frame that was gathered, but for what has gone into a landing buffer.
fn check_gathered(
    preamble: &Preamble,
    scratch: &[u8],
    data_crc: Option<u32>,
) -> Result<LateStatus, FrameError> {
    let (rest, epilogue) = scratch.split_at(scratch.len() - CRC_EPILOGUE_BYTES);
    let rest = &rest[first_end(preamble)..];
    let (front, rest) = rest.split_at(preamble.len(FRONT));
    let (middle, data) = rest.split_at(preamble.len(MIDDLE));
    let data_crc = data_crc.unwrap_or_else(|| crc::crc32c(SEED, data));
    check_rest(preamble, front, middle, data_crc, epilogue)
}

/// Where a gathered frame's segments lie.
fn gathered<'i, B>(preamble: &Preamble, status: LateStatus, landed: Option<B>) -> Arrived<'i, B> {
    let first = PREAMBLE_BYTES..PREAMBLE_BYTES + preamble.len(HEADER);
    let front_at = first_end(preamble);
    let middle_at = front_at + preamble.len(FRONT);
    let data_at = data_at(preamble);
    let data_end = if landed.is_some() { data_at } else { data_at + preamble.len(DATA) };
    let segments: [_; SEGMENTS_MAX] = [first, front_at..middle_at, middle_at..data_at, data_at..data_end];
    Arrived { preamble: *preamble, status, segments: segments.map(Piece::Scratch), landed }
}

/// Finds a place for data of which only a part has arrived.
fn land<B, L>(preamble: Preamble, scratch: &[u8], landing: &mut L) -> Stage<B>
where
    B: DerefMut<Target = [u8]>,
    L: Landing<Buf = B>,
{
    let data_bytes = preamble.len(DATA);
    if data_bytes == 0 {
        return Stage::Rest { preamble, landed: None };
    }
    match landing.land(&header(&scratch[PREAMBLE_BYTES..]), data_bytes) {
        None => Stage::Rest { preamble, landed: None },
        Some(buf) => {
            assert_eq!(buf.len(), data_bytes, "a landing buffer has the size that was asked for");
            Stage::Landing { preamble, room: Room { buf, filled: 0 }, crc: SEED }
        }
    }
}
