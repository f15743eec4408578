//! The receiving end of a connection: makes frames of received bytes, which come in pieces of any size.
//!
//! A frame is given out only after everything that protects it has been verified. What a frame borrows was copied as
//! rarely as can be:
//!
//! * In crc mode a frame that lies whole in the received bytes is borrowed from there. Of one that does not, the small
//!   parts are gathered in the reader, and the data goes straight into a buffer of the [`Landing`], or is still borrowed if
//!   it lies whole in the received bytes.
//! * In secure mode a frame is gathered and decrypted in the reader.
//!
//! Memory grows with what has arrived, never with what was announced, except for buffers of the landing, which knows what
//! it asked for. An error is the end: the reader repeats it for ever.

mod crc;
mod secure;

use super::epilogue::LateStatus;
use super::gcm::Gcm;
use super::header::HEADER_BYTES;
use super::preamble::{DATA, FRONT, FrameLimits, HEADER, MIDDLE, Preamble, SEGMENTS_MAX};
use super::{Control, Data, Frame, FrameError, Landing, Message, MessageHeader};
use crc::CrcReader;
use secure::SecureReader;
use std::ops::{DerefMut, Range};

/// What the reader keeps between frames. Usual frames are far below; after a large one, such as the first map, the
/// memory is given back, because a client holds a connection to every OSD.
const SCRATCH_KEPT_BYTES_MAX: usize = 1 << 20;

/// What the frames of a connection's receiving end are opened with.
#[derive(Debug)]
pub struct Opener {
    cipher: Option<Box<Gcm>>,
}

impl Opener {
    /// Of a connection in crc mode, as every connection begins.
    pub fn crc() -> Opener {
        Opener { cipher: None }
    }

    pub(super) fn secure(cipher: Gcm) -> Opener {
        Opener { cipher: Some(Box::new(cipher)) }
    }
}

/// The receiving end of a connection. `B` are the buffers that data lands in.
#[derive(Debug)]
pub struct FrameReader<B> {
    limits: FrameLimits,
    mode: Mode<B>,
    /// What was gathered of the frame under way; between frames, what the last frame borrowed.
    scratch: Vec<u8>,
    failed: Option<FrameError>,
}

#[derive(Debug)]
enum Mode<B> {
    Crc(CrcReader<B>),
    Secure(SecureReader),
}

/// A landing buffer whose data is still arriving, taken out of its reader to receive straight into it.
#[derive(Debug)]
pub struct Room<B> {
    buf: B,
    filled: usize,
}

impl<B> Room<B> {
    /// The buffer, to hand to a receive. Its length stays as it is.
    pub fn buf_mut(&mut self) -> &mut B {
        &mut self.buf
    }

    /// Bytes at the buffer's beginning that have arrived. What is received goes behind them.
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// The buffer itself, and how many bytes at its beginning have arrived, for receives that own their buffer.
    pub fn into_parts(self) -> (B, usize) {
        (self.buf, self.filled)
    }

    /// The room again, after [`into_parts`](Room::into_parts).
    pub fn from_parts(buf: B, filled: usize) -> Room<B> {
        Room { buf, filled }
    }
}

impl<B: DerefMut<Target = [u8]>> FrameReader<B> {
    /// Reads what `opener` opens.
    pub fn new(opener: Opener, limits: FrameLimits) -> FrameReader<B> {
        FrameReader { limits, mode: Mode::new(opener), scratch: Vec::new(), failed: None }
    }

    /// The next frame of `input`, which is moved on past what was read; none when all of it was read. Aborted frames are
    /// skipped.
    pub fn next<'s, 'i: 's, L: Landing<Buf = B>>(
        &'s mut self,
        input: &mut &'i [u8],
        landing: &mut L,
    ) -> Result<Option<Frame<'s, B>>, FrameError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        match self.advance(input, landing) {
            Ok(None) => Ok(None),
            Ok(Some(arrived)) => arrived.into_frame(&self.scratch).map(Some),
            Err(error) => {
                self.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Reads on until a frame is complete or the input is used up.
    fn advance<'i, L: Landing<Buf = B>>(
        &mut self,
        input: &mut &'i [u8],
        landing: &mut L,
    ) -> Result<Option<Arrived<'i, B>>, FrameError> {
        loop {
            let step = match &mut self.mode {
                Mode::Crc(reader) => reader.step(&mut self.scratch, input, &self.limits, landing)?,
                Mode::Secure(reader) => reader.step(&mut self.scratch, input, &self.limits)?,
            };
            match step {
                Step::Starved => return Ok(None),
                Step::Onward => {}
                Step::Arrived(arrived) => match arrived.status {
                    LateStatus::Complete => return Ok(Some(arrived)),
                    LateStatus::Aborted => {}
                },
            }
        }
    }

    /// Changes what the next frame is opened with. Only between frames.
    pub(super) fn switch(&mut self, opener: Opener) -> Opener {
        assert!(self.is_between_frames(), "the opener changes between frames");
        match std::mem::replace(&mut self.mode, Mode::new(opener)) {
            Mode::Crc(_) => Opener::crc(),
            Mode::Secure(reader) => Opener { cipher: Some(reader.into_cipher()) },
        }
    }

    /// Whether all that was read were whole frames.
    pub fn is_between_frames(&self) -> bool {
        match &self.mode {
            Mode::Crc(reader) => reader.is_between_frames(),
            Mode::Secure(reader) => reader.is_between_frames(),
        }
    }

    /// The landing buffer that data is going into, if at least `missing_min` bytes of it are missing, so that they can
    /// be received into it directly. It must be put back before anything else is read.
    pub fn take_room(&mut self, missing_min: usize) -> Option<Room<B>> {
        match &mut self.mode {
            Mode::Crc(reader) => reader.take_room(missing_min),
            Mode::Secure(_) => None,
        }
    }

    /// Puts a landing buffer back, with `received` more bytes in it.
    pub fn put_back(&mut self, room: Room<B>, received: usize) {
        match &mut self.mode {
            Mode::Crc(reader) => reader.put_back(room, received),
            Mode::Secure(_) => unreachable!("no room is taken in secure mode"),
        }
    }

    #[cfg(test)]
    pub(super) fn scratch_capacity(&self) -> usize {
        self.scratch.capacity()
    }
}

impl<B> Mode<B> {
    fn new(opener: Opener) -> Mode<B> {
        match opener.cipher {
            None => Mode::Crc(CrcReader::new()),
            Some(cipher) => Mode::Secure(SecureReader::new(cipher)),
        }
    }
}

/// A frame that was verified.
struct Arrived<'i, B> {
    preamble: Preamble,
    status: LateStatus,
    segments: [Piece<'i>; SEGMENTS_MAX],
    /// The last segment, if it went into a landing buffer.
    landed: Option<B>,
}

/// What a step of reading came to.
enum Step<'i, B> {
    /// The input is used up.
    Starved,
    /// The next step is another one.
    Onward,
    /// The frame's end.
    Arrived(Arrived<'i, B>),
}

/// Where a segment is.
enum Piece<'i> {
    Input(&'i [u8]),
    Scratch(Range<usize>),
}

impl<'i> Piece<'i> {
    fn bytes<'s>(self, scratch: &'s [u8]) -> &'s [u8]
    where
        'i: 's,
    {
        match self {
            Piece::Input(bytes) => bytes,
            Piece::Scratch(range) => &scratch[range],
        }
    }
}

impl<'i, B> Arrived<'i, B> {
    fn into_frame<'s>(self, scratch: &'s [u8]) -> Result<Frame<'s, B>, FrameError>
    where
        'i: 's,
    {
        let segments = self.segments.map(|piece| piece.bytes(scratch));
        if let Some(control) = Control::decode(self.preamble.tag, segments[HEADER])? {
            return Ok(Frame::Control(control));
        }
        let data = match self.landed {
            Some(buf) => Data::Landed(buf),
            None => Data::Borrowed(segments[DATA]),
        };
        Ok(Frame::Message(Message {
            header: header(segments[HEADER]),
            front: segments[FRONT],
            middle: segments[MIDDLE],
            data,
        }))
    }
}

fn header(segment: &[u8]) -> MessageHeader {
    let bytes = segment.first_chunk::<HEADER_BYTES>();
    MessageHeader::decode(bytes.expect("a preamble of a message with another header is refused"))
}

/// Makes room for a new frame.
fn clear(scratch: &mut Vec<u8>) {
    scratch.clear();
    scratch.shrink_to(SCRATCH_KEPT_BYTES_MAX);
}

/// Moves bytes from `input` to the end of `scratch` until that has `want` bytes. Says whether it has.
fn fill(scratch: &mut Vec<u8>, input: &mut &[u8], want: usize) -> bool {
    let missing = want - scratch.len();
    let (taken, rest) = input.split_at(missing.min(input.len()));
    scratch.extend_from_slice(taken);
    *input = rest;
    scratch.len() == want
}
