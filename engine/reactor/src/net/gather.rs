//! What one send carries: bytes that were written for it, with shared buffers in between.
//!
//! A protocol's headers are written one behind the other, and what they announce stays where it is. Both memories are kept
//! and come back with the send, so a connection in full swing allocates nothing.

use crate::buf::SharedBuf;

/// Bytes and buffers in the order in which they are sent.
#[derive(Debug, Default)]
pub struct Gather {
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
    piece_bytes: usize,
}

/// A buffer that goes before byte `at` of the bytes.
#[derive(Debug)]
struct Piece {
    at: usize,
    buf: SharedBuf,
}

impl Gather {
    /// Nothing.
    pub const fn new() -> Gather {
        Gather { bytes: Vec::new(), pieces: Vec::new(), piece_bytes: 0 }
    }

    /// The bytes written so far, to write more behind them. They are never made fewer.
    pub fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Puts a buffer before byte `at` of the bytes, and behind all buffers that are there already.
    pub fn insert(&mut self, at: usize, buf: SharedBuf) {
        let last = self.pieces.last().map_or(0, |piece| piece.at);
        assert!(last <= at && at <= self.bytes.len(), "buffers are placed in order, inside the bytes");
        if !buf.is_empty() {
            self.piece_bytes += buf.len();
            self.pieces.push(Piece { at, buf });
        }
    }

    /// Puts a buffer behind everything.
    pub fn push(&mut self, buf: impl Into<SharedBuf>) {
        self.insert(self.bytes.len(), buf.into());
    }

    /// How many bytes there are to send.
    pub fn len(&self) -> usize {
        self.bytes.len() + self.piece_bytes
    }

    /// True when there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lets go of everything but the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.pieces.clear();
        self.piece_bytes = 0;
    }

    /// The parts in the order in which they are sent; none is empty.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let ends = self.pieces.iter().map(|piece| (piece.at, &piece.buf[..]));
        let last = std::iter::once((self.bytes.len(), &[][..]));
        let mut from = 0;
        let parts = ends.chain(last).flat_map(move |(at, piece)| {
            let written = &self.bytes[from..at];
            from = at;
            [written, piece]
        });
        parts.filter(|part| !part.is_empty())
    }
}

impl<B: Into<SharedBuf>> FromIterator<B> for Gather {
    fn from_iter<I: IntoIterator<Item = B>>(bufs: I) -> Gather {
        let mut gather = Gather::new();
        for buf in bufs {
            gather.push(buf);
        }
        gather
    }
}
