//! The bytes of one simulated file: sparse pages, a length, and the blocks that occupy space.
//!
//! A file has two of these, what readers see and what a power cut leaves, and both change only by applying
//! a [`Change`]. Applying is pure: no fault, no order, no randomness here.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::extents::Extents;

/// What a disk writes whole or not at all.
pub(super) const SECTOR: u64 = 512;

/// Unit of storage and of space accounting.
pub(super) const BLOCK: u64 = 4096;

type Page = [u8; BLOCK as usize];

/// One step in a file's history.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// Bytes were stored. Does not move the end of the file: an extending write is followed by a [`Change::Grow`].
    Write { offset: u64, data: Arc<[u8]> },
    /// A range became zeroes and keeps its blocks.
    Zero { offset: u64, len: u64 },
    /// A range became zeroes and gave its whole blocks back.
    Punch { offset: u64, len: u64 },
    /// A range got its blocks; its bytes stay as they are.
    Allocate { offset: u64, len: u64 },
    /// The file now ends at `len` or later.
    Grow { len: u64 },
    /// The file now ends at `len` exactly.
    Resize { len: u64 },
}

impl Change {
    /// Whether this changes the length field of the inode, not its content.
    pub(super) fn is_size(&self) -> bool {
        match self {
            Change::Grow { .. } | Change::Resize { .. } => true,
            Change::Write { .. } | Change::Zero { .. } | Change::Punch { .. } | Change::Allocate { .. } => {
                false
            }
        }
    }

    /// The bytes touched; empty for a change of size.
    pub(super) fn range(&self) -> Range<u64> {
        match self {
            Change::Write { offset, data } => *offset..offset.saturating_add(data.len() as u64),
            Change::Zero { offset, len }
            | Change::Punch { offset, len }
            | Change::Allocate { offset, len } => *offset..offset.saturating_add(*len),
            Change::Grow { .. } | Change::Resize { .. } => 0..0,
        }
    }
}

/// The content of a file. Pages are shared between copies until one of them is written.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    pages: BTreeMap<u64, Arc<Page>>,
    allocated: Extents,
    len: u64,
}

impl Image {
    /// Length of the file.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The blocks that occupy space.
    pub(super) fn allocated(&self) -> &Extents {
        &self.allocated
    }

    /// Fills `buf` from `offset`; returns how many bytes there were before the end of the file.
    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> usize {
        let count = self.len.saturating_sub(offset).min(buf.len() as u64) as usize;
        for (page, within, part) in pieces(offset, count) {
            match self.pages.get(&page) {
                Some(bytes) => buf[part.clone()].copy_from_slice(&bytes[within..within + part.len()]),
                None => buf[part].fill(0),
            }
        }
        count
    }

    /// Applies a change as a whole.
    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Grow { len } => self.len = self.len.max(*len),
            Change::Resize { len } => {
                if *len < self.len {
                    self.len = *len;
                    self.trim();
                }
                self.len = *len;
            }
            Change::Write { .. } | Change::Zero { .. } | Change::Punch { .. } | Change::Allocate { .. } => {
                self.apply_part(change, change.range());
            }
        }
    }

    /// Applies what lies in `part` of a change of content. `part` must lie within the change's range.
    pub(super) fn apply_part(&mut self, change: &Change, part: Range<u64>) {
        let whole = change.range();
        assert!(whole.start <= part.start && part.end <= whole.end, "{part:?} is not within {whole:?}");
        match change {
            Change::Write { offset, data } => {
                let bytes = &data[(part.start - offset) as usize..(part.end - offset) as usize];
                self.store(part.start, bytes);
                self.allocated.insert(blocks(&part));
            }
            Change::Zero { .. } => {
                self.clear(&part);
                self.allocated.insert(blocks(&part));
            }
            Change::Punch { .. } => {
                self.clear(&part);
                self.allocated.remove(part.start.div_ceil(BLOCK)..part.end / BLOCK);
            }
            Change::Allocate { .. } => self.allocated.insert(blocks(&part)),
            Change::Grow { .. } | Change::Resize { .. } => unreachable!("a change of size has no parts"),
        }
    }

    /// Forgets everything behind the end of the file.
    pub(super) fn trim(&mut self) {
        self.clear(&(self.len..u64::MAX));
        self.allocated.remove(self.len.div_ceil(BLOCK)..u64::MAX);
    }

    fn store(&mut self, offset: u64, data: &[u8]) {
        for (page, within, part) in pieces(offset, data.len()) {
            let bytes = self.pages.entry(page).or_insert_with(|| Arc::new([0; BLOCK as usize]));
            Arc::make_mut(bytes)[within..within + part.len()].copy_from_slice(&data[part]);
        }
    }

    fn clear(&mut self, range: &Range<u64>) {
        if range.start >= range.end {
            return;
        }
        let whole = range.start.div_ceil(BLOCK)..range.end / BLOCK;
        if whole.start < whole.end {
            let gone: Vec<u64> = self.pages.range(whole).map(|(&page, _)| page).collect();
            for page in gone {
                self.pages.remove(&page);
            }
        }
        for page in [range.start / BLOCK, (range.end - 1) / BLOCK] {
            let from = range.start.max(page * BLOCK) - page * BLOCK;
            let to = range.end.min((page + 1).saturating_mul(BLOCK)) - page * BLOCK;
            if let Some(bytes) = self.pages.get_mut(&page) {
                Arc::make_mut(bytes)[from as usize..to as usize].fill(0);
            }
        }
    }
}

/// The blocks that a byte range touches.
pub(super) fn blocks(range: &Range<u64>) -> Range<u64> {
    range.start / BLOCK..range.end.div_ceil(BLOCK)
}

/// Cuts `len` bytes from `offset` on at page boundaries: (page, offset within it, range within the buffer).
fn pieces(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == len {
            return None;
        }
        let at = offset + done as u64;
        let within = (at % BLOCK) as usize;
        let count = (len - done).min(BLOCK as usize - within);
        let part = done..done + count;
        done += count;
        Some((at / BLOCK, within, part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(image: &Image) -> Vec<u8> {
        let mut bytes = vec![0xee; image.len() as usize + 10];
        let count = image.read(0, &mut bytes);
        assert_eq!(count as u64, image.len());
        bytes.truncate(count);
        bytes
    }

    #[test]
    fn agrees_with_a_plain_vector_on_random_changes() {
        for seed in 0..300 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let (mut image, mut model) = (Image::default(), Vec::new());
            for step in 0..30 {
                let (offset, len) = (rng.usize(0..14_000), rng.usize(1..9_000));
                let range = offset..offset + len;
                match rng.u8(0..4) {
                    0 => {
                        let len = rng.usize(0..20_000);
                        image.apply(&Change::Resize { len: len as u64 });
                        model.resize(len, 0);
                    }
                    1 => {
                        let data = vec![step + 1; len];
                        image.apply(&Change::Write { offset: offset as u64, data: data.into() });
                        image.apply(&Change::Grow { len: range.end as u64 });
                        model.resize(model.len().max(range.end), 0);
                        model[range].fill(step + 1);
                    }
                    kind => {
                        let (offset, len) = (offset as u64, len as u64);
                        image.apply(&match kind {
                            2 => Change::Zero { offset, len },
                            _ => Change::Punch { offset, len },
                        });
                        let end = range.end.min(model.len());
                        model[range.start.min(end)..end].fill(0);
                    }
                }
                assert_eq!(content(&image), model, "seed {seed}");
            }
        }
    }

    #[test]
    fn a_large_file_costs_only_what_was_written() {
        let mut image = Image::default();
        image.apply(&Change::Resize { len: 1 << 40 });
        image.apply(&Change::Allocate { offset: 0, len: 1 << 30 });
        image.apply(&Change::Write { offset: (1 << 39) + 5, data: vec![7; 10].into() });
        assert_eq!((image.pages.len(), image.allocated().blocks()), (1, (1 << 18) + 1));
        image.apply(&Change::Punch { offset: 100, len: 1 << 30 });
        assert_eq!(image.allocated().blocks(), 2, "the first block is punched in part only");
    }
}
