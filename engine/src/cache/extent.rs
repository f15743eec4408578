//! Where bytes lie: extents of an object, and how they fall on blocks and sectors.
//!
//! A block is what the cache allocates, a sector is what it knows valid or dirty. A block has eight sectors, so
//! one byte is a mask of them.

/// What the cache allocates.
pub const BLOCK_BYTES: u32 = 4096;
/// What the cache tracks: one bit of a block's masks.
pub const SECTOR_BYTES: u32 = 512;
/// The largest object the cache takes (librbd's order 25).
pub const OBJECT_BYTES_MAX: u32 = 32 << 20;

const _: () = assert!(BLOCK_BYTES / SECTOR_BYTES == u8::BITS);
const _: () = assert!(OBJECT_BYTES_MAX / BLOCK_BYTES <= u16::MAX as u32, "block counts of an object are u16");

/// A byte range of one object. Never empty when handed to a shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Extent {
    /// The object's number in its image.
    pub object: u64,
    /// First byte inside the object.
    pub offset: u32,
    /// Length in bytes.
    pub len: u32,
}

impl Extent {
    /// `len` bytes of `object` from `offset` on.
    pub fn new(object: u64, offset: u32, len: u32) -> Self {
        Self { object, offset, len }
    }

    /// One past the last byte inside the object.
    pub fn end(self) -> u32 {
        self.offset + self.len
    }

    /// Do the two share a byte?
    pub fn overlaps(self, other: Self) -> bool {
        self.object == other.object && self.offset < other.end() && other.offset < self.end()
    }

    /// Are both ends multiples of the sector size?
    pub fn is_sector_aligned(self) -> bool {
        (self.offset | self.len).is_multiple_of(SECTOR_BYTES)
    }

    /// Does it lie inside one block?
    #[inline]
    pub(super) fn is_in_one_block(self) -> bool {
        (self.offset ^ (self.end() - 1)) < BLOCK_BYTES
    }

    /// The part of this extent that its first block holds.
    #[inline]
    pub(super) fn first_piece(self) -> Piece {
        let start = self.offset % BLOCK_BYTES;
        Piece { block: self.offset / BLOCK_BYTES, start, len: self.len.min(BLOCK_BYTES - start), at: 0 }
    }

    /// The extent cut at block boundaries.
    pub(super) fn pieces(self) -> impl Iterator<Item = Piece> {
        let mut next = (self.len > 0).then(|| self.first_piece());
        std::iter::from_fn(move || {
            let piece = next?;
            let at = piece.at + piece.len as usize;
            let left = self.len - at as u32;
            next = (left > 0).then(|| Piece {
                block: piece.block + 1,
                start: 0,
                len: left.min(BLOCK_BYTES),
                at,
            });
            Some(piece)
        })
    }
}

/// The part of an extent that lies in one block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// The block's number inside the object.
    pub(super) block: u32,
    /// First byte inside the block.
    pub(super) start: u32,
    pub(super) len: u32,
    /// Where the piece begins in the caller's buffer.
    pub(super) at: usize,
}

impl Piece {
    /// The sectors it touches.
    #[inline]
    pub(super) fn touched(self) -> u8 {
        sectors(self.start / SECTOR_BYTES, (self.start + self.len).div_ceil(SECTOR_BYTES))
    }

    /// The sectors it covers from end to end.
    #[inline]
    pub(super) fn covered(self) -> u8 {
        let first = self.start.div_ceil(SECTOR_BYTES);
        sectors(first, ((self.start + self.len) / SECTOR_BYTES).max(first))
    }

    /// First byte inside the object.
    pub(super) fn offset(self) -> u32 {
        self.block * BLOCK_BYTES + self.start
    }

    /// The byte range inside the block.
    #[inline]
    pub(super) fn bytes(self) -> std::ops::Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }

    /// The byte range inside the caller's buffer.
    #[inline]
    pub(super) fn buffer(self) -> std::ops::Range<usize> {
        self.at..self.at + self.len as usize
    }

    /// The parts of this piece whose sectors are in `mask`, as pieces.
    pub(super) fn select(self, mask: u8) -> impl Iterator<Item = Piece> {
        sector_runs(mask & self.touched()).map(move |(first, end)| {
            let start = (first * SECTOR_BYTES).max(self.start);
            let end = (end * SECTOR_BYTES).min(self.start + self.len);
            Piece { block: self.block, start, len: end - start, at: self.at + (start - self.start) as usize }
        })
    }
}

/// The mask of sectors `first..end`.
#[inline]
pub(super) fn sectors(first: u32, end: u32) -> u8 {
    debug_assert!(first <= end && end <= u8::BITS);
    ((1u16 << end) - (1u16 << first)) as u8
}

/// The byte range of sectors `first..end` inside a block.
pub(super) fn sector_bytes(first: u32, end: u32) -> std::ops::Range<usize> {
    (first * SECTOR_BYTES) as usize..(end * SECTOR_BYTES) as usize
}

/// The runs of set bits of a sector mask, as `first..end`, ascending.
pub(super) fn sector_runs(mut mask: u8) -> impl Iterator<Item = (u32, u32)> {
    std::iter::from_fn(move || {
        if mask == 0 {
            return None;
        }
        let first = mask.trailing_zeros();
        let end = first + (mask >> first).trailing_ones();
        mask &= !sectors(first, end);
        Some((first, end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_tile_the_extent() {
        let extent = Extent::new(3, 4000, 9000);
        let pieces: Vec<_> = extent.pieces().map(|p| (p.block, p.start, p.len, p.at)).collect();
        assert_eq!(pieces, [(0, 4000, 96, 0), (1, 0, 4096, 96), (2, 0, 4096, 4192), (3, 0, 712, 8288)]);
    }

    #[test]
    fn ragged_piece_touches_more_than_it_covers() {
        let piece = Extent::new(0, 100, 1000).first_piece();
        assert_eq!(piece.touched(), 0b111);
        assert_eq!(piece.covered(), 0b010);
        let inside = Extent::new(0, 100, 50).first_piece();
        assert_eq!((inside.touched(), inside.covered()), (1, 0));
    }

    #[test]
    fn runs_of_a_mask() {
        assert_eq!(sector_runs(0b1110_0101).collect::<Vec<_>>(), [(0, 1), (2, 3), (5, 8)]);
        assert_eq!(sector_runs(0xff).collect::<Vec<_>>(), [(0, 8)]);
        assert_eq!(sector_runs(0).count(), 0);
    }
}
