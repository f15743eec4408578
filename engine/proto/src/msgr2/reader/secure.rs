//! Reading in secure mode: a frame's blocks are gathered and decrypted where they lie.
//!
//! When a frame is complete, the reader's memory holds, behind each other: the preamble, segment 0 with its padding, and,
//! if the frame has several segments, what the second block's tag has left of its place, the padded segments and the end.

use super::{Arrived, Piece, Step, clear, fill};
use crate::msgr2::FrameError;
use crate::msgr2::epilogue::{LateStatus, SECURE_EPILOGUE_BYTES};
use crate::msgr2::gcm::{Gcm, TAG_BYTES};
use crate::msgr2::preamble::{DATA, FRONT, FrameLimits, HEADER, MIDDLE, PREAMBLE_BYTES, Preamble};
use crate::msgr2::secure::{
    FIRST_BLOCK_BYTES, INLINE_BYTES, padded, rest_bytes, second_block_bytes, third_block_bytes,
};

/// Where the second block begins once the first one's tag is gone.
const SECOND_AT: usize = PREAMBLE_BYTES + INLINE_BYTES;
/// Memory that is taken at once for what a frame announces. Its preamble is known to be the peer's own, so this only
/// bounds what a peer of ours can do by mistake; longer frames grow as they arrive.
const RESERVED_BYTES_MAX: usize = 4 << 20;

#[derive(Debug)]
pub(super) struct SecureReader {
    cipher: Box<Gcm>,
    stage: Stage,
}

/// How far the frame under way has come.
#[derive(Debug)]
enum Stage {
    /// Nothing has arrived.
    Between,
    /// The first block is being gathered.
    First,
    /// The others are being gathered.
    Rest(Preamble),
}

impl SecureReader {
    pub(super) fn new(cipher: Box<Gcm>) -> SecureReader {
        SecureReader { cipher, stage: Stage::Between }
    }

    pub(super) fn is_between_frames(&self) -> bool {
        matches!(self.stage, Stage::Between)
    }

    pub(super) fn into_cipher(self) -> Box<Gcm> {
        self.cipher
    }

    pub(super) fn step<'i, B>(
        &mut self,
        scratch: &mut Vec<u8>,
        input: &mut &'i [u8],
        limits: &FrameLimits,
    ) -> Result<Step<'i, B>, FrameError> {
        match self.stage {
            Stage::Between if input.is_empty() => Ok(Step::Starved),
            Stage::Between => {
                clear(scratch);
                self.stage = Stage::First;
                Ok(Step::Onward)
            }
            Stage::First => {
                if !fill(scratch, input, FIRST_BLOCK_BYTES) {
                    return Ok(Step::Starved);
                }
                self.cipher.open(scratch)?;
                scratch.truncate(SECOND_AT);
                let bytes = scratch.first_chunk().expect("the first block begins with the preamble");
                let preamble = Preamble::decode(bytes, limits)?;
                scratch.reserve(rest_bytes(&preamble).min(RESERVED_BYTES_MAX));
                self.stage = Stage::Rest(preamble);
                Ok(Step::Onward)
            }
            Stage::Rest(preamble) => {
                if !fill(scratch, input, SECOND_AT + rest_bytes(&preamble)) {
                    return Ok(Step::Starved);
                }
                let status = self.open_rest(&preamble, scratch)?;
                self.stage = Stage::Between;
                Ok(Step::Arrived(gathered(preamble, status)))
            }
        }
    }

    fn open_rest(&mut self, preamble: &Preamble, scratch: &mut [u8]) -> Result<LateStatus, FrameError> {
        let second_bytes = second_block_bytes(preamble.len(HEADER));
        let (second, third) = scratch[SECOND_AT..].split_at_mut(second_bytes);
        if !second.is_empty() {
            self.cipher.open(second)?;
        }
        if third.is_empty() {
            return Ok(LateStatus::Complete);
        }
        assert_eq!(third.len(), third_block_bytes(preamble), "the frame was gathered whole");
        self.cipher.open(third)?;
        LateStatus::decode(preamble.tag, third[third.len() - TAG_BYTES - SECURE_EPILOGUE_BYTES])
    }
}

/// Where an opened frame's segments lie.
fn gathered<'i, B>(preamble: Preamble, status: LateStatus) -> Arrived<'i, B> {
    let mut at = SECOND_AT + second_block_bytes(preamble.len(HEADER));
    let mut next = |segment| {
        let start = at;
        at += padded(preamble.len(segment));
        Piece::Scratch(start..start + preamble.len(segment))
    };
    let first = Piece::Scratch(PREAMBLE_BYTES..PREAMBLE_BYTES + preamble.len(HEADER));
    let segments = [first, next(FRONT), next(MIDDLE), next(DATA)];
    Arrived { preamble, status, segments, landed: None }
}
